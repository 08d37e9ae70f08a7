// SPDX-License-Identifier: BSL-1.0
#include "io/address.hpp"

#include "io/io.hpp"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace asyncio {

namespace {

using detail::address_access;

template <class Sockaddr>
const Sockaddr& as(const socket_address& a) noexcept {
  return *reinterpret_cast<const Sockaddr*>(address_access::data(a));
}

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

}  // namespace

socket_address::socket_address() noexcept = default;

socket_address::socket_address(std::string_view numeric_host, int port) {
  io::check_port(port);
  const auto parsed = io::parse_numeric(numeric_host, port, address_family::unspecified);
  if (!parsed)
    throw std::invalid_argument("'" + std::string(numeric_host) +
                                "' is not an address in numbers, such as 127.0.0.1 or ::1");
  *this = *parsed;
}

socket_address socket_address::unix_path(std::string_view path) {
  sockaddr_un native{};
  const bool abstract = !path.empty() && path.front() == '\0';
  // A path ends with a NUL; an abstract name is all that is there.
  const std::size_t most = sizeof native.sun_path - (abstract ? 0 : 1);
  if (path.empty()) throw std::invalid_argument("an empty path names no Unix socket");
  if (path.size() > most)
    throw std::invalid_argument("AF_UNIX path too long: " + std::to_string(path.size()) + " bytes, at most " +
                                std::to_string(most));
  if (!abstract && path.find('\0') != std::string_view::npos)
    throw std::invalid_argument("a path with a NUL inside names no Unix socket");
  native.sun_family = AF_UNIX;
  std::memcpy(native.sun_path, path.data(), path.size());
  const std::size_t size = path_offset + path.size() + (abstract ? 0 : 1);
  return io::address_of(&native, static_cast<socklen_t>(size));
}

address_family socket_address::family() const noexcept {
  if (size_ < sizeof(sa_family_t)) return address_family::unspecified;
  switch (address_access::data(*this)->sa_family) {
    case AF_INET: return address_family::inet;
    case AF_INET6: return address_family::inet6;
    case AF_UNIX: return address_family::unix_;
    default: return address_family::unspecified;
  }
}

std::string socket_address::host() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (family() == address_family::inet) {
    inet_ntop(AF_INET, &as<sockaddr_in>(*this).sin_addr, text, sizeof text);
    return text;
  }
  if (family() != address_family::inet6) return {};
  const auto& native = as<sockaddr_in6>(*this);
  inet_ntop(AF_INET6, &native.sin6_addr, text, sizeof text);
  std::string host = text;
  if (native.sin6_scope_id != 0) {
    char interface[IF_NAMESIZE] = {};
    host += '%';
    host += if_indextoname(native.sin6_scope_id, interface) != nullptr ? std::string(interface)
                                                                       : std::to_string(native.sin6_scope_id);
  }
  return host;
}

int socket_address::port() const noexcept {
  switch (family()) {
    case address_family::inet: return ntohs(as<sockaddr_in>(*this).sin_port);
    case address_family::inet6: return ntohs(as<sockaddr_in6>(*this).sin6_port);
    default: return 0;
  }
}

std::string socket_address::path() const {
  if (family() != address_family::unix_ || size_ <= path_offset) return {};
  const char* name = as<sockaddr_un>(*this).sun_path;
  const std::size_t room = size_ - path_offset;
  if (name[0] == '\0') return std::string(name, room);
  return std::string(name, strnlen(name, room));
}

std::string socket_address::to_string() const {
  switch (family()) {
    case address_family::inet: return host() + ":" + std::to_string(port());
    case address_family::inet6: return "[" + host() + "]:" + std::to_string(port());
    case address_family::unix_: {
      std::string name = path();
      for (char& c : name)
        if (c == '\0') c = '@';
      return name;
    }
    case address_family::unspecified: break;
  }
  return {};
}

}  // namespace asyncio

namespace asyncio::io {

socket_address address_of(const void* data, socklen_t size) noexcept {
  socket_address a;
  const socklen_t known = size < sizeof(sockaddr_storage) ? size : static_cast<socklen_t>(sizeof(sockaddr_storage));
  std::memcpy(address_access::data(a), data, known);
  address_access::set_size(a, known);
  return a;
}

int native_family(address_family family) noexcept {
  switch (family) {
    case address_family::inet: return AF_INET;
    case address_family::inet6: return AF_INET6;
    case address_family::unix_: return AF_UNIX;
    case address_family::unspecified: break;
  }
  return AF_UNSPEC;
}

namespace {

/// An interface by name or by number; 0 when there is none of that name.
std::uint32_t scope_of(const std::string& text) noexcept {
  if (text.empty()) return 0;
  if (const unsigned index = if_nametoindex(text.c_str()); index != 0) return index;
  if (text.find_first_not_of("0123456789") != std::string::npos || text.size() > 9) return 0;
  return static_cast<std::uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
}

std::optional<socket_address> parse_inet6(const std::string& host, int port) {
  sockaddr_in6 native{};
  native.sin6_family = AF_INET6;
  native.sin6_port = htons(static_cast<std::uint16_t>(port));
  const std::size_t percent = host.find('%');
  if (inet_pton(AF_INET6, host.substr(0, percent).c_str(), &native.sin6_addr) != 1) return std::nullopt;
  if (percent != std::string::npos) {
    native.sin6_scope_id = scope_of(host.substr(percent + 1));
    if (native.sin6_scope_id == 0) return std::nullopt;
  }
  return address_of(&native, sizeof native);
}

}  // namespace

std::optional<socket_address> parse_numeric(std::string_view host, int port, address_family family) {
  if (host.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string text(host);
  if (family != address_family::inet && text.find(':') != std::string::npos) return parse_inet6(text, port);
  if (family != address_family::inet && family != address_family::unspecified) return std::nullopt;
  sockaddr_in native{};
  native.sin_family = AF_INET;
  native.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, text.c_str(), &native.sin_addr) != 1) return std::nullopt;
  return address_of(&native, sizeof native);
}

void check_port(int port) {
  if (port < 0 || port > 65535) throw std::invalid_argument("port must be 0-65535, not " + std::to_string(port));
}

socket_address local_address(int fd) noexcept {
  socket_address a;
  socklen_t size = sizeof(sockaddr_storage);
  if (kernel::sys::getsockname(fd, address_access::data(a), &size) == 0) address_access::set_size(a, size);
  return a;
}

socket_address peer_address(int fd) noexcept {
  socket_address a;
  socklen_t size = sizeof(sockaddr_storage);
  if (kernel::sys::getpeername(fd, address_access::data(a), &size) == 0) address_access::set_size(a, size);
  return a;
}

}  // namespace asyncio::io
