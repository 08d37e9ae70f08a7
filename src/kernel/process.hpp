// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>

namespace asyncio::kernel {

/// How many descriptors this process has open, the one used for counting not included.
std::size_t count_descriptors();

}  // namespace asyncio::kernel
