// SPDX-License-Identifier: BSL-1.0
#pragma once
// Sockets for the tests of the loop's calls on them.
#include "spec/spec.hpp"
#include "support/descriptors.hpp"

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace asyncio::spec {

using test::socket_pair;

/// A descriptor, closed with its owner.
class owned_fd {
 public:
  explicit owned_fd(int fd) noexcept : fd_(fd) {}
  owned_fd(owned_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  owned_fd& operator=(const owned_fd&) = delete;
  ~owned_fd() { close(); }
  operator int() const noexcept { return fd_; }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

/// A socket on a port of the loopback that the kernel chooses, and its address.
struct bound_socket {
  explicit bound_socket(int type) : fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof native;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&native), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&native), &size), 0);
    address = socket_address("127.0.0.1", ntohs(native.sin_port));
  }
  owned_fd fd;
  socket_address address;
};

struct listening_socket : bound_socket {
  explicit listening_socket(int backlog = 16) : bound_socket(SOCK_STREAM) { EXPECT_EQ(::listen(fd, backlog), 0); }
};

inline owned_fd new_socket(int type = SOCK_STREAM) {
  return owned_fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// A client of the kernel's, connected at once.
inline owned_fd connected_to(const socket_address& address) {
  owned_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in native{};
  native.sin_family = AF_INET;
  native.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  native.sin_port = htons(static_cast<in_port_t>(address.port()));
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&native), sizeof native), 0);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

inline void put(int fd, std::string_view bytes) {
  ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

/// What has arrived at this moment.
inline std::string taken_from(int fd) {
  std::string all, block(64 * 1024, '\0');
  for (ssize_t n = 1; n > 0;) {
    n = ::recv(fd, block.data(), block.size(), MSG_DONTWAIT);
    if (n > 0) all.append(block, 0, static_cast<std::size_t>(n));
  }
  return all;
}

/// Fills a socket's send buffer.
inline std::string fill(int fd) {
  const std::string block(64 * 1024, 'f');
  std::string all;
  for (ssize_t n = 1; n > 0;) {
    n = ::send(fd, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) all.append(block, 0, static_cast<std::size_t>(n));
  }
  return all;
}

/// The errno that a system_error of f()'s carries; 0 when there is none.
template <class A>
coroutine<int> error_of(A awaited) {
  try {
    (void)co_await std::move(awaited);
  } catch (const std::system_error& e) {
    co_return e.code().value();
  }
  co_return 0;
}

}  // namespace asyncio::spec
