// SPDX-License-Identifier: BSL-1.0
#include "io/socket.hpp"

#include "io/io.hpp"
#include "io/socket_file.hpp"

#include <stdexcept>
#include <string>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

constexpr int tries_for_a_common_port = 16;

int set_option(int fd, int level, int name, int value) noexcept {
  return sys::setsockopt(fd, level, name, &value, static_cast<socklen_t>(sizeof value));
}

void require_option(int fd, int level, int name, const char* what) {
  if (const int error = set_option(fd, level, name, 1); error < 0) throw os_error(-error, what);
}

bool is_tcp(int family) noexcept { return family == AF_INET || family == AF_INET6; }

socket_address with_port(socket_address address, int port) noexcept {
  auto* native = detail::address_access::data(address);
  const auto value = htons(static_cast<std::uint16_t>(port));
  if (native->sa_family == AF_INET) reinterpret_cast<sockaddr_in*>(native)->sin_port = value;
  if (native->sa_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(native)->sin6_port = value;
  return address;
}

/// One bound socket; an empty one when the machine does not have this address or family.
unique_fd bind_one(const socket_address& address, const listen_options& options) {
  unique_fd fd;
  try {
    fd = open_stream_socket(address.family());
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::address_family_not_supported) return {};
    throw;
  }
  if (options.reuse_address) require_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR");
  if (options.reuse_port) require_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT");
  if (options.keep_alive) require_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
  // Else the socket for :: would take the IPv4 port too, and that of 0.0.0.0 could not be bound.
  if (address.family() == address_family::inet6) require_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
  int error = sys::bind(fd.get(), address_access::data(address), address_access::size(address));
  if (error == -EADDRINUSE && remove_stale_file(address))
    error = sys::bind(fd.get(), address_access::data(address), address_access::size(address));
  if (error == -EADDRNOTAVAIL) return {};
  if (error < 0) throw os_error(-error, "cannot bind to " + address.to_string());
  return fd;
}

/// With a port of 0 the first socket's port is tried for all the others: an empty result means that it was taken there.
std::vector<unique_fd> bind_all(std::span<const socket_address> addresses, const listen_options& options,
                                bool may_retry) {
  std::vector<unique_fd> bound;
  int chosen = 0;
  for (const socket_address& address : addresses) {
    const bool follows = chosen != 0 && address.port() == 0;
    try {
      unique_fd fd = bind_one(follows ? with_port(address, chosen) : address, options);
      if (fd.get() < 0) continue;
      if (address.port() == 0 && chosen == 0) chosen = local_address(fd.get()).port();
      bound.push_back(std::move(fd));
    } catch (const std::system_error& e) {
      if (follows && may_retry && e.code() == std::errc::address_in_use) return {};
      throw;
    }
  }
  if (bound.empty()) {
    std::string names;
    for (const socket_address& address : addresses) names += (names.empty() ? "" : ", ") + address.to_string();
    throw os_error(EADDRNOTAVAIL, "cannot bind to any address of " + names);
  }
  return bound;
}

}  // namespace

unique_fd open_stream_socket(address_family family) {
  const int native = native_family(family);
  const int fd = sys::socket(native, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw os_error(-fd, "cannot open a socket");
  if (is_tcp(native)) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return unique_fd(fd);
}

int duplicate(int fd) {
  const int copy = sys::duplicate(fd);
  if (copy < 0) throw os_error(-copy, "cannot make a second descriptor of " + std::to_string(fd));
  return copy;
}

bool is_stream_socket(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return sys::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

void adopt_stream_socket(int fd) {
  int type = 0, family = 0;
  socklen_t size = sizeof type;
  const int error = sys::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  if (error == -EBADF) throw os_error(EBADF, "sock " + std::to_string(fd));
  if (error < 0 || type != SOCK_STREAM)
    throw std::invalid_argument("a stream socket was expected, got descriptor " + std::to_string(fd));
  const int flags = sys::get_status_flags(fd);
  const int changed = flags < 0 ? flags : sys::set_status_flags(fd, flags | O_NONBLOCK);
  if (changed < 0) throw os_error(-changed, "sock " + std::to_string(fd));
  size = sizeof family;
  if (sys::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && is_tcp(family))
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void adopt_unix_socket(int fd) {
  int family = AF_UNIX;
  socklen_t size = sizeof family;
  if (sys::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family != AF_UNIX)
    throw std::invalid_argument("a Unix stream socket was expected, got descriptor " + std::to_string(fd));
  adopt_stream_socket(fd);
}

void require_non_blocking(int fd, const char* call) {
  const int flags = sys::get_status_flags(fd);
  if (flags < 0) throw os_error(-flags, std::string(call) + "(): descriptor " + std::to_string(fd));
  if ((flags & O_NONBLOCK) == 0) throw std::invalid_argument(std::string(call) + "(): the socket must be non-blocking");
}

std::vector<unique_fd> bind_listeners(std::span<const socket_address> addresses, const listen_options& options) {
  for (int tries = 1;; ++tries) {
    auto bound = bind_all(addresses, options, tries < tries_for_a_common_port);
    if (!bound.empty()) return bound;
  }
}

void start_listening(int fd, int backlog) {
  if (const int error = sys::listen(fd, backlog); error < 0)
    throw os_error(-error, "cannot listen on " + local_address(fd).to_string());
}

}  // namespace asyncio::io
