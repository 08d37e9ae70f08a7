// SPDX-License-Identifier: BSL-1.0
#pragma once
// Tests of what does I/O run on both backends: ASYNCIO_BACKEND says on which, as it does for every loop.
#include "kernel/kernel.hpp"

#include <cstdlib>
#include <memory>
#include <string_view>

namespace test {

inline bool on_io_uring() {
  const char* name = std::getenv("ASYNCIO_BACKEND");
  return name != nullptr && std::string_view(name) == "io_uring";
}

/// A kernel of that kind.
inline std::unique_ptr<asyncio::kernel::kernel> make_kernel(int wake_fd) {
  return on_io_uring() ? asyncio::kernel::make_uring_kernel(wake_fd) : asyncio::kernel::make_epoll_kernel(wake_fd);
}

}  // namespace test
