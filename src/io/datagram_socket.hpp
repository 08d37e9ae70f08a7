// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/socket.hpp"
#include "io/socket_file.hpp"

#include <asyncio/net.hpp>

#include <span>
#include <string>

namespace asyncio::io {

struct datagram_socket_options {
  address_family family = address_family::unspecified;  ///< when there are no addresses
  bool reuse_port = false;
  bool allow_broadcast = false;
};

/// A datagram socket that nobody has registered yet.
struct datagram_socket {
  unique_fd fd;
  socket_address remote;   ///< the only one it talks to; empty: anybody
  bool connected = false;  ///< the kernel knows `remote`: nothing else arrives, and errors do
  socket_file file;        ///< of a Unix socket that has a path
};

/// A non-blocking, close-on-exec socket, bound to one of `locals`, if there are any, and connected to one of `remotes`, if
/// there are any: the first pair of one family that can be had. SO_REUSEADDR is never set: two sockets on one port would
/// share its datagrams by chance. With `allow_broadcast` the socket is not connected: answers come from other addresses
/// than the broadcast goes to. A stale file at a Unix path is replaced.
/// Errors: std::invalid_argument when no two addresses are of one family; std::system_error, that of the first pair.
datagram_socket open_datagram_socket(std::span<const socket_address> locals, std::span<const socket_address> remotes,
                                     const datagram_socket_options& options);

/// Takes over somebody's datagram socket: makes it non-blocking, and sees whether it is connected.
/// Errors: std::invalid_argument when it is none; std::system_error. The descriptor is the caller's again then.
datagram_socket adopt_datagram_socket(int fd);

/// `interface`: a name ("eth0") or a number of one, or for IPv4 its address; empty: the one of the system's choice.
/// Errors: std::invalid_argument for a group that is no multicast address in numbers, or an interface that does not
/// exist; std::system_error.
void change_membership(int fd, const std::string& group, const std::string& interface, bool join);
void set_multicast_interface(int fd, const std::string& interface);
/// How far multicasts go: 0 this machine, 1 this network. Errors: std::invalid_argument unless 0 <= hops <= 255.
void set_multicast_hops(int fd, int hops);
/// Whether this machine gets its own multicasts.
void set_multicast_loopback(int fd, bool on);

}  // namespace asyncio::io
