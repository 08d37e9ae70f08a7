// SPDX-License-Identifier: BSL-1.0
#pragma once
// std::shared_ptr without the rest of <memory>: see smart_pointers.hpp.
#if __has_include(<bits/shared_ptr.h>)
#include <bits/shared_ptr.h>
#else
#include <memory>
#endif
