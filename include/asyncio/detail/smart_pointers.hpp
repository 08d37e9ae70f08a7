// SPDX-License-Identifier: BSL-1.0
#pragma once
// std::unique_ptr without the rest of <memory>, which would cost every file that includes us a tenth of a second. Where
// the standard library has no such header, <memory> it is.
#if __has_include(<bits/unique_ptr.h>)
#include <bits/unique_ptr.h>
#else
#include <memory>
#endif
