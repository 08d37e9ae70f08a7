// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "kernel/sys.hpp"

#include <asyncio/net.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace asyncio::detail {

/// What this room sees of a public address.
struct address_access {
  static sockaddr* data(socket_address& a) noexcept { return reinterpret_cast<sockaddr*>(a.storage_); }
  static const sockaddr* data(const socket_address& a) noexcept {
    return reinterpret_cast<const sockaddr*>(a.storage_);
  }
  static socklen_t size(const socket_address& a) noexcept { return a.size_; }
  /// At most sizeof(sockaddr_storage).
  static void set_size(socket_address& a, socklen_t size) noexcept { a.size_ = size; }
};

}  // namespace asyncio::detail

namespace asyncio::io {

using detail::address_access;

/// From a sockaddr of any kind, at any alignment.
socket_address address_of(const void* data, socklen_t size) noexcept;

/// AF_…
int native_family(address_family family) noexcept;

/// `host` as an address in numbers (with a scope: "fe80::1%eth0"); nullopt when it is a name, or not of `family`.
std::optional<socket_address> parse_numeric(std::string_view host, int port, address_family family);

/// Errors: std::invalid_argument unless 0 <= port <= 65535.
void check_port(int port);

/// The addresses of a socket; an empty one when there is none.
socket_address local_address(int fd) noexcept;
socket_address peer_address(int fd) noexcept;

}  // namespace asyncio::io
