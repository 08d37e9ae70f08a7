// SPDX-License-Identifier: BSL-1.0
#include "io/datagram_socket.hpp"

#include "io/io.hpp"

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

void set_option(int fd, int level, int name, const void* value, std::size_t size, const char* what) {
  if (const int error = sys::setsockopt(fd, level, name, value, static_cast<socklen_t>(size)); error < 0)
    throw os_error(-error, what);
}

void set_option(int fd, int level, int name, int value, const char* what) {
  set_option(fd, level, name, &value, sizeof value, what);
}

void bind_to(int fd, const socket_address& local) {
  int error = sys::bind(fd, address_access::data(local), address_access::size(local));
  if (error == -EADDRINUSE && remove_stale_file(local))
    error = sys::bind(fd, address_access::data(local), address_access::size(local));
  if (error < 0) throw os_error(-error, "cannot bind to " + local.to_string());
}

void connect_to(int fd, const socket_address& remote) {
  int error = -EINTR;
  while (error == -EINTR) error = sys::connect(fd, address_access::data(remote), address_access::size(remote));
  if (error < 0) throw os_error(-error, "cannot connect to " + remote.to_string());
}

/// `local` and `remote` may be null.
datagram_socket open_one(const socket_address* local, const socket_address* remote,
                         const datagram_socket_options& options) {
  const address_family family = local != nullptr    ? local->family()
                                : remote != nullptr ? remote->family()
                                                    : options.family;
  datagram_socket made;
  const int fd = sys::socket(native_family(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw os_error(-fd, "cannot open a socket");
  made.fd = unique_fd(fd);
  if (options.reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  if (options.allow_broadcast) set_option(fd, SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST");
  if (local != nullptr) {
    bind_to(fd, *local);
    made.file = socket_file::at(*local);
  }
  if (remote != nullptr) {
    made.remote = *remote;
    made.connected = !options.allow_broadcast;
    if (made.connected) connect_to(fd, *remote);
  }
  return made;
}

/// Opens pairs until one succeeds; remembers the first error.
class pair_opener {
 public:
  explicit pair_opener(const datagram_socket_options& options) noexcept : options_(options) {}

  bool try_pair(const socket_address* local, const socket_address* remote) {
    try {
      opened_ = open_one(local, remote, options_);
      return true;
    } catch (const std::system_error&) {
      if (first_error_ == nullptr) first_error_ = std::current_exception();
      return false;
    }
  }
  datagram_socket result() {
    if (opened_) return std::move(*opened_);
    if (first_error_ != nullptr) std::rethrow_exception(first_error_);
    throw std::invalid_argument("local_addr and remote_addr have no address of one family");
  }

 private:
  const datagram_socket_options& options_;
  std::optional<datagram_socket> opened_;
  std::exception_ptr first_error_;
};

}  // namespace

datagram_socket open_datagram_socket(std::span<const socket_address> locals, std::span<const socket_address> remotes,
                                     const datagram_socket_options& options) {
  pair_opener opener(options);
  if (locals.empty() && remotes.empty()) {
    opener.try_pair(nullptr, nullptr);
    return opener.result();
  }
  if (remotes.empty()) {
    for (const socket_address& local : locals)
      if (opener.try_pair(&local, nullptr)) break;
    return opener.result();
  }
  for (const socket_address& remote : remotes) {
    if (locals.empty() && opener.try_pair(nullptr, &remote)) return opener.result();
    for (const socket_address& local : locals)
      if (local.family() == remote.family() && opener.try_pair(&local, &remote)) return opener.result();
  }
  return opener.result();
}

datagram_socket adopt_datagram_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  const int error = sys::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  if (error == -EBADF) throw os_error(EBADF, "sock " + std::to_string(fd));
  if (error < 0 || type != SOCK_DGRAM)
    throw std::invalid_argument("a datagram socket was expected, got descriptor " + std::to_string(fd));
  const int flags = sys::get_status_flags(fd);
  const int changed = flags < 0 ? flags : sys::set_status_flags(fd, flags | O_NONBLOCK);
  if (changed < 0) throw os_error(-changed, "sock " + std::to_string(fd));
  datagram_socket adopted;
  socket_address peer;
  size = sizeof(sockaddr_storage);
  if (sys::getpeername(fd, address_access::data(peer), &size) == 0) {
    address_access::set_size(peer, size);
    adopted.connected = true;  // one of a socketpair() has a peer without a name
    if (peer.port() != 0 || !peer.path().empty()) adopted.remote = peer;
  }
  adopted.fd = unique_fd(fd);
  return adopted;
}

namespace {

std::optional<unsigned> interface_index(const std::string& name) {
  if (name.empty()) return 0;
  if (const unsigned index = if_nametoindex(name.c_str()); index != 0) return index;
  if (name.find_first_not_of("0123456789") != std::string::npos || name.size() > 9) return std::nullopt;
  return static_cast<unsigned>(std::stoul(name));
}

[[noreturn]] void refuse_interface(const std::string& interface) {
  throw std::invalid_argument("'" + interface + "' is no network interface");
}

ip_mreqn interface_request(const std::string& interface) {
  ip_mreqn request{};
  if (const auto index = interface_index(interface))
    request.imr_ifindex = static_cast<int>(*index);
  else if (inet_pton(AF_INET, interface.c_str(), &request.imr_address) != 1)
    refuse_interface(interface);
  return request;
}

bool is_inet6(int fd) noexcept {
  int family = 0;
  socklen_t size = sizeof family;
  return sys::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_INET6;
}

}  // namespace

void change_membership(int fd, const std::string& group, const std::string& interface, bool join) {
  const auto address = parse_numeric(group, 0, address_family::unspecified);
  const std::string text = (join ? "cannot join the multicast group " : "cannot leave the multicast group ") + group;
  if (address && address->family() == address_family::inet) {
    const auto& native = *reinterpret_cast<const sockaddr_in*>(address_access::data(*address));
    if (IN_MULTICAST(ntohl(native.sin_addr.s_addr))) {
      ip_mreqn request = interface_request(interface);
      request.imr_multiaddr = native.sin_addr;
      return set_option(fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request, sizeof request,
                        text.c_str());
    }
  }
  if (address && address->family() == address_family::inet6) {
    const auto& native = *reinterpret_cast<const sockaddr_in6*>(address_access::data(*address));
    if (IN6_IS_ADDR_MULTICAST(&native.sin6_addr)) {
      const auto index = interface_index(interface);
      if (!index) refuse_interface(interface);
      ipv6_mreq request{};
      request.ipv6mr_multiaddr = native.sin6_addr;
      request.ipv6mr_interface = interface.empty() ? native.sin6_scope_id : *index;
      return set_option(fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request, sizeof request,
                        text.c_str());
    }
  }
  throw std::invalid_argument("'" + group + "' is not a multicast address in numbers");
}

void set_multicast_interface(int fd, const std::string& interface) {
  const char* text = "cannot set the interface for multicasts";
  if (is_inet6(fd)) {
    const auto index = interface_index(interface);
    if (!index) refuse_interface(interface);
    return set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(*index), text);
  }
  const ip_mreqn request = interface_request(interface);
  set_option(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request, text);
}

void set_multicast_hops(int fd, int hops) {
  if (hops < 0 || hops > 255) throw std::invalid_argument("hops must be 0-255, not " + std::to_string(hops));
  const bool inet6 = is_inet6(fd);
  set_option(fd, inet6 ? IPPROTO_IPV6 : IPPROTO_IP, inet6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, hops,
             "cannot set the hops of multicasts");
}

void set_multicast_loopback(int fd, bool on) {
  const bool inet6 = is_inet6(fd);
  set_option(fd, inet6 ? IPPROTO_IPV6 : IPPROTO_IP, inet6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, on ? 1 : 0,
             "cannot set the loopback of multicasts");
}

}  // namespace asyncio::io
