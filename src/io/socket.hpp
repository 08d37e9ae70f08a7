// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/address.hpp"
#include "kernel/sys.hpp"

#include <asyncio/net.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace asyncio::io {

/// A descriptor that nobody has registered anywhere, closed with its owner.
class unique_fd {
 public:
  unique_fd() noexcept = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    unique_fd old(std::exchange(fd_, other.release()));
    return *this;
  }
  ~unique_fd() {
    if (fd_ >= 0) kernel::sys::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// A second descriptor of the same open file. Errors: std::system_error.
int duplicate(int fd);

/// How long to wait until a Unix server whose backlog is full is tried again, less and less often: the kernel does not
/// tell when there is room.
class room_delay {
 public:
  timedelta next() noexcept { return std::exchange(delay_, std::min(delay_ + delay_, longest)); }

 private:
  static constexpr timedelta longest{std::chrono::milliseconds(50)};
  timedelta delay_{std::chrono::milliseconds(1)};
};

/// A stream socket, non-blocking and close-on-exec; TCP_NODELAY on TCP. Errors: std::system_error.
unique_fd open_stream_socket(address_family family);

bool is_stream_socket(int fd) noexcept;

/// Takes over somebody's stream socket: makes it non-blocking, TCP_NODELAY on TCP.
/// Errors: std::invalid_argument when it is none; std::system_error. The descriptor is the caller's again then.
void adopt_stream_socket(int fd);
/// The same, for those of Unix only.
void adopt_unix_socket(int fd);

/// Errors: std::invalid_argument, with the name of the call, when a call on this descriptor might block the thread;
/// std::system_error.
void require_non_blocking(int fd, const char* call);

struct listen_options {
  bool reuse_address = true;
  bool reuse_port = false;
  bool keep_alive = false;
};

/// Bound sockets, one for each address. An address that this machine does not have, or whose family it does not know,
/// is left out, unless nothing remains. With port 0 all get the same port, chosen by the kernel. What is accepted from
/// them inherits TCP_NODELAY and keep_alive. A stale file at a Unix path is replaced.
/// Errors: std::system_error with the address in its text; nothing stays open then.
std::vector<unique_fd> bind_listeners(std::span<const socket_address> addresses, const listen_options& options);

/// Errors: std::system_error.
void start_listening(int fd, int backlog);

}  // namespace asyncio::io
