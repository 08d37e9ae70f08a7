// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "base/clock.hpp"
#include "io/channel.hpp"
#include "io/transport.hpp"
#include "kernel/kernel.hpp"
#include "loop/loop.hpp"

#include "support/backend.hpp"
#include "support/descriptors.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/socket.h>

namespace io_test {

namespace io = asyncio::io;
using asyncio::socket_address;
using namespace std::chrono_literals;

/// A clock that does not let a loop sleep until a deadline: it is there at once.
class leaping_clock final : public asyncio::clock_source {
 public:
  asyncio::time_point now() noexcept override { return now_; }
  bool jump_to(asyncio::time_point deadline) noexcept override {
    if (!may_leap) return false;
    now_ = std::max(now_, deadline);
    return true;
  }
  bool may_leap = true;

 private:
  asyncio::time_point now_{};
};

inline std::unique_ptr<asyncio::loop::loop> make_loop(
    asyncio::clock_source& clock = asyncio::base::steady_clock_source()) {
  const int wake_fd = asyncio::kernel::make_wake_fd();
  return std::make_unique<asyncio::loop::loop>(test::make_kernel(wake_fd), clock, wake_fd);
}

/// Turns the loop until `reached` holds; false when that has not come within five seconds. A turn waits at most `most`: a
/// leaping clock leaps so far.
inline bool run_until(asyncio::loop::loop& loop, const std::function<bool()>& reached,
                      std::chrono::nanoseconds most = 10ms) {
  const asyncio::loop::loop::entry inside(loop);
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!reached()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    loop.run_once(most);
  }
  return true;
}

inline void run_turns(asyncio::loop::loop& loop, int turns) {
  const asyncio::loop::loop::entry inside(loop);
  for (int i = 0; i < turns; ++i) loop.run_once(0ns);
}

inline int code_of(const std::exception_ptr& error) {
  if (error == nullptr) return 0;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code().value();
  }
}

inline std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

/// Writes down what a channel tells.
struct recording_user final : io::channel_user {
  void received(std::string_view bytes) noexcept override { input += bytes; }
  void received_eof() noexcept override { ++ends; }
  void output_drained() noexcept override { ++drained; }
  void lost(std::exception_ptr e) noexcept override {
    ++losses;
    error = std::move(e);
  }
  std::string input;
  int ends = 0;
  int drained = 0;
  int losses = 0;
  std::exception_ptr error;
};

/// A connected pair of TCP sockets on the loopback: both ends non-blocking.
struct tcp_ends {
  tcp_ends() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener, 1), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    theirs = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(theirs, reinterpret_cast<sockaddr*>(&address), size), 0);
    ours = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ::close(listener);
  }
  tcp_ends(const tcp_ends&) = delete;
  tcp_ends& operator=(const tcp_ends&) = delete;
  ~tcp_ends() { close_theirs(); }

  void close_theirs() {
    if (theirs >= 0) ::close(std::exchange(theirs, -1));
  }
  void reset_theirs() {
    const linger reset{1, 0};
    ::setsockopt(theirs, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close_theirs();
  }
  void put(std::string_view bytes) const {
    EXPECT_EQ(::send(theirs, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  /// What has arrived there at this moment.
  std::string get() const {
    std::string all, block(64 * 1024, '\0');
    for (ssize_t n = 1; n > 0;) {
      n = ::recv(theirs, block.data(), block.size(), MSG_DONTWAIT);
      if (n > 0) all.append(block, 0, static_cast<std::size_t>(n));
      at_end = n == 0;
    }
    return all;
  }

  int ours = -1;  // given away
  int theirs = -1;
  mutable bool at_end = false;
};

}  // namespace io_test
