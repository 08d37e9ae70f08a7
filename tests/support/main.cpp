// SPDX-License-Identifier: BSL-1.0
#include "support/backend.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <system_error>

namespace {

constexpr int skipped = 77;  // SKIP_RETURN_CODE of the tests on io_uring

/// False: this machine has no io_uring for us, and what asks for it would run on epoll.
bool has_what_it_asks_for() {
  if (!test::on_io_uring()) return true;
  const int wake_fd = asyncio::kernel::make_wake_fd();
  bool has = true;
  try {
    asyncio::kernel::make_uring_kernel(wake_fd);
  } catch (const std::system_error& error) {
    std::printf("skipped: %s\n", error.what());
    has = false;
  }
  asyncio::kernel::close_fd(wake_fd);
  return has;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // A death test that forks while other threads run would inherit their locks.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  return has_what_it_asks_for() ? RUN_ALL_TESTS() : skipped;
}
