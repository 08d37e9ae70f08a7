// SPDX-License-Identifier: BSL-1.0
#include "kernel/sys.hpp"

#include "kernel/kernel.hpp"

#include <system_error>

namespace asyncio::kernel {

#if defined(ASYNCIO_TEST_SEAMS)
namespace sys {

namespace {
constinit const table real_calls;
}  // namespace

constinit std::atomic<const table*> installed{&real_calls};

void install(const table* replacement) noexcept {
  installed.store(replacement != nullptr ? replacement : &real_calls, std::memory_order_release);
}

}  // namespace sys
#endif

int make_wake_fd() {
  const int fd = sys::eventfd(0u, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw std::system_error(-fd, std::generic_category(), "eventfd");
  return fd;
}

void write_wake_fd(int fd) noexcept {
  const std::uint64_t one = 1;
  while (sys::write(fd, &one, sizeof one) == -EINTR) {}
}

void close_fd(int fd) noexcept { sys::close(fd); }

}  // namespace asyncio::kernel
