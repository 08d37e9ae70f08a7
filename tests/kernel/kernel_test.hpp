// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "kernel/kernel.hpp"
#include "kernel/sys.hpp"

#include "support/descriptors.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace kernel_test {

using asyncio::kernel::io_kind;
using asyncio::kernel::io_op;
using namespace std::chrono_literals;

/// An op that remembers that it was done.
struct recorded_op : io_op {
  recorded_op(io_kind k, int descriptor) {
    kind = k;
    fd = descriptor;
    done = [](asyncio::detail::op* self) noexcept {
      auto* me = static_cast<recorded_op*>(static_cast<io_op*>(self));
      ++me->times_done;
      if (me->data != nullptr && me->result > 0)
        me->bytes.assign(reinterpret_cast<const char*>(me->data), static_cast<std::size_t>(me->result));
    };
  }
  std::string_view now() const { return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(result)}; }
  int times_done = 0;
  std::string bytes;
};

struct send_op : recorded_op {
  send_op(int descriptor, std::string_view bytes) : recorded_op(io_kind::send, descriptor) {
    piece.iov_base = const_cast<char*>(bytes.data());
    piece.iov_len = bytes.size();
    iov = &piece;
    iov_count = 1;
  }
  iovec piece{};
};

/// A kernel, made by the derived one, and its wake-up descriptor, worked by hand.
class kernel_fixture : public testing::Test {
 protected:
  kernel_fixture() : wake_fd(asyncio::kernel::make_wake_fd()) {}
  ~kernel_fixture() override {
    kernel.reset();
    asyncio::kernel::close_fd(wake_fd);
  }

  /// One wait(), and done() of what it listed. Returns how many that were.
  int turn(std::optional<std::chrono::nanoseconds> most = 5s) {
    asyncio::detail::op_queue finished;
    kernel->wait(most, finished);
    int n = 0;
    while (asyncio::detail::op* node = finished.pop()) {
      node->done(node);
      ++n;
    }
    return n;
  }

  /// Lets the kernel see what was started; whatever finishes is done.
  void hand_in_quietly() { turn(std::chrono::nanoseconds(0)); }

  int wake_fd;
  std::unique_ptr<asyncio::kernel::kernel> kernel;
};

class epoll_fixture : public kernel_fixture {
 protected:
  epoll_fixture() { kernel = asyncio::kernel::make_epoll_kernel(wake_fd); }
};

/// With so little room that it is soon used up. Skipped, with the reason, where the machine has no io_uring for us.
class uring_fixture : public kernel_fixture {
 protected:
  void SetUp() override {
    try {
      kernel = asyncio::kernel::make_uring_kernel(wake_fd, {.requests = 4, .completions = 8});
    } catch (const std::system_error& error) {
      GTEST_SKIP() << error.what();
    }
  }
};

inline void put(int fd, std::string_view bytes) {
  ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

/// Fills a socket's send buffer; returns how much went in.
inline std::size_t fill(int fd) {
  const std::string block(64 * 1024, 'f');
  std::size_t total = 0;
  for (ssize_t n = 1; n > 0; total += n > 0 ? static_cast<std::size_t>(n) : 0)
    n = ::send(fd, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return total;
}

inline std::size_t drain(int fd) {
  std::string block(64 * 1024, '\0');
  std::size_t total = 0;
  for (ssize_t n = 1; n > 0; total += n > 0 ? static_cast<std::size_t>(n) : 0)
    n = ::recv(fd, block.data(), block.size(), MSG_DONTWAIT);
  return total;
}

/// A listening TCP socket on the loopback, with its address.
struct tcp_listener {
  explicit tcp_listener(int backlog = 16) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    auto* in = reinterpret_cast<sockaddr_in*>(&address);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size = sizeof *in;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd, backlog), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  }
  tcp_listener(const tcp_listener&) = delete;
  tcp_listener& operator=(const tcp_listener&) = delete;
  ~tcp_listener() { ::close(fd); }

  int fd;
  sockaddr_storage address{};
  socklen_t size = 0;
};

/// A connected pair of TCP sockets: `a` is non-blocking, `b` the other end.
struct tcp_pair : test::socket_pair {
  tcp_pair() : socket_pair(SOCK_STREAM) {
    close_a();
    close_b();
    tcp_listener listener;
    b = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(b, reinterpret_cast<sockaddr*>(&listener.address), listener.size), 0);
    a = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    EXPECT_GE(a, 0);
  }
};

}  // namespace kernel_test
