// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/bytes.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/net.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

namespace streams {
class datagram_core;
}

/// A datagram socket: UDP, or Unix. Move-only; destroyed, it is closed as by close().
///
/// Datagrams that nobody asks for wait in the kernel's buffer, where the newest are lost when it is full; the endpoint
/// keeps none itself but the one that a cancelled receive had been waiting for. Sending waits until the kernel has the
/// datagram. What the network has to say (ECONNREFUSED: nobody listens at remote_addr) is thrown by the next call that
/// sends or receives, and the endpoint lives on.
/// Thread: the loop's, checked.   Overlap: any number of tasks, first come, first served.
/// Python has none for coroutines: there it is loop.create_datagram_endpoint() with a protocol.
class datagram_endpoint {
 public:
  datagram_endpoint(datagram_endpoint&& other) noexcept : core_(detail::taken(other.core_)) {}
  datagram_endpoint& operator=(datagram_endpoint&& other) noexcept;
  ~datagram_endpoint();

  /// The next datagram, which may be empty, and who sent it.   Cancel: safe, no datagram is lost.
  /// Errors: std::system_error: ECONNREFUSED and other news of the network; EMSGSIZE for a datagram that was longer than
  /// the limit, and is lost; std::runtime_error once the endpoint is closed.
  coroutine<datagram> recvfrom();
  /// The same for loops: while (auto d = co_await endpoint.next()) …; nothing once the endpoint is closed.
  coroutine<std::optional<datagram>> next();

  /// Sends one datagram, which is copied by the call, or moved from a std::string&&, and waits until the kernel has it.
  /// Cancel: safe, it is not sent.
  /// Errors: std::system_error: EMSGSIZE when it is too long, ECONNREFUSED, EHOSTUNREACH …, of an earlier datagram too,
  /// and then this one was not sent; std::invalid_argument for another address than remote_addr; std::runtime_error once
  /// the endpoint is closed.
  coroutine<> sendto(bytes_view data, const socket_address& address);
  template <std::same_as<std::string> S>
  coroutine<> sendto(S&& data, const socket_address& address) {
    return send_owned(static_cast<std::string&&>(data), address);
  }
  /// The same, to remote_addr. Errors: std::system_error, EDESTADDRREQ when there is none.
  coroutine<> send(bytes_view data);
  template <std::same_as<std::string> S>
  coroutine<> send(S&& data) {
    return send_owned(static_cast<std::string&&>(data), socket_address());
  }

  /// Sends what waits to be sent, then closes; who waits for a datagram gets an error. Idempotent.
  void close();
  /// Closes at once; who waits to send gets an error too.
  void abort();
  bool is_closing() const;
  /// Waits until it is closed.   Cancel: safe.   Errors: std::system_error when it was lost.
  coroutine<> wait_closed();
  /// close() and wait_closed().
  coroutine<> aclose();

  /// Its own address; empty once it is closed.
  socket_address sockname() const;
  /// remote_addr; empty when it has none.
  socket_address peername() const;
  /// Its own port, 0 for Unix sockets.
  int port() const;
  /// -1 once it is closed.
  int fileno() const;

  /// Gets the datagrams for a multicast group, an address in numbers such as "239.1.2.3" or "ff02::1234", that arrive at
  /// `interface`: its name or number, or for IPv4 its address; empty: the one of the system's choice. The endpoint must
  /// be bound to the group's port, and with `.reuse_port` there may be several on one machine.
  /// Errors: std::invalid_argument for what is no such address or interface; std::system_error (ENODEV, EADDRINUSE …).
  void join_multicast_group(std::string_view group, std::string_view interface = {});
  void leave_multicast_group(std::string_view group, std::string_view interface = {});
  /// Through which interface multicasts are sent.
  void set_multicast_interface(std::string_view interface);
  /// How many networks they may pass: 0 none, 1 (as it is at first) this one. Errors: std::invalid_argument beyond 255.
  void set_multicast_hops(int hops);
  /// Whether sockets on this machine get them too (as it is at first).
  void set_multicast_loopback(bool on);

  /// async_with(co_await open_datagram_endpoint(…), …): closes it and waits.
  coroutine<> aenter();
  coroutine<> aexit(std::exception_ptr error);

  /// The library's own: takes over a reference.
  static datagram_endpoint from_core(streams::datagram_core* core) noexcept { return datagram_endpoint(owned{core}); }

 private:
  struct owned {
    streams::datagram_core* core;
  };
  explicit datagram_endpoint(owned o) noexcept : core_(o.core) {}
  streams::datagram_core& core(const char* call) const;
  int socket(const char* call) const;
  coroutine<> send_owned(std::string&& data, const socket_address& address);
  streams::datagram_core* core_;
};

/// Opens a datagram socket: bound to .local_addr, connected to .remote_addr, or both, or with .family alone neither. Names
/// are resolved in another thread. A stale file at the path of a Unix socket is replaced; the endpoint removes its own.
/// The call copies its arguments: it may be made a task.   Cancel: safe, nothing stays open.
/// Errors: std::invalid_argument for options that do not fit together; gai_error; std::system_error with the address.
coroutine<datagram_endpoint> open_datagram_endpoint(datagram_options options = {});

}  // namespace asyncio
