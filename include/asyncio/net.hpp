// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/time.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace asyncio {

class base_protocol;
class ssl_context;
class transport;
struct server_options;
struct connection_options;

/// `unix_` has its underscore because `unix` is a macro under -std=gnu++20.
enum class address_family { unspecified, inet, inet6, unix_ };

namespace detail {
struct address_access;
}

/// The address of a socket: IPv4, IPv6 or a Unix path; what peername(), sockname() and server::sockets() give. A value.
/// Python: the address tuple, or the path.
class socket_address {
 public:
  /// No address: family() is unspecified, to_string() empty.
  socket_address() noexcept;
  /// From an address in numbers, "127.0.0.1", "::1" or "fe80::1%eth0".
  /// Errors: std::invalid_argument for anything else (names are resolved by getaddrinfo), and for a port that is none.
  socket_address(std::string_view numeric_host, int port);
  /// A Unix path; one that begins with NUL is a name in the abstract namespace.
  /// Errors: std::invalid_argument when empty, longer than the system allows (107 bytes), or with a NUL inside.
  static socket_address unix_path(std::string_view path);

  /// The address in numbers, with its scope; empty for Unix paths.
  std::string host() const;
  /// 0 for Unix paths.
  int port() const noexcept;
  /// Empty for other families, and for a socket that has no name.
  std::string path() const;
  address_family family() const noexcept;
  /// "1.2.3.4:80", "[::1]:80", "/path".
  std::string to_string() const;

  friend bool operator==(const socket_address& a, const socket_address& b) noexcept {
    return std::string_view(reinterpret_cast<const char*>(a.storage_), a.size_) ==
           std::string_view(reinterpret_cast<const char*>(b.storage_), b.size_);
  }

 private:
  friend struct detail::address_access;
  alignas(8) unsigned char storage_[128] = {};  // a sockaddr_storage
  unsigned size_ = 0;
};

/// What one datagram carried, and who sent it.   Python: (data, addr).
struct datagram {
  datagram(std::string bytes, const socket_address& sender) : data(std::move(bytes)), address(sender) {}
  std::string data;
  socket_address address;
};

/// What event_loop::getaddrinfo() asks for. `type`: SOCK_STREAM, SOCK_DGRAM …, 0: any. `proto`: IPPROTO_…, `flags`: AI_….
struct getaddrinfo_options {
  address_family family = address_family::unspecified;
  int type = 0;
  int proto = 0;
  int flags = 0;
};

/// Which part of a file loop.sendfile() and loop.sock_sendfile() send: from `offset`, `count` bytes, or all there are.
struct sendfile_options {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> count = {};
  bool fallback = true;  ///< false: sendfile_not_available_error when the kernel cannot, rather than a copy
};

/// Host and port, for options: `.local_addr = {"127.0.0.1", 0}`. A view.
struct host_port {
  std::string_view host = {};
  int port = 0;
};

namespace detail {
class tls_provider;
/// The TLS of the default context. Defined in asyncio-tls: where the linker does not find it, link asyncio::tls.
tls_provider* link_asyncio_tls();
}  // namespace detail

/// What `.ssl` takes: true (a context of ssl_context::create_default_context(), the same for all), or an ssl_context,
/// which is copied by the call. Needs asyncio::tls: without that library a program that names either does not link.
class ssl_arg {
 public:
  constexpr ssl_arg() noexcept = default;
  ssl_arg(std::same_as<bool> auto on) : provider_(on ? detail::link_asyncio_tls() : nullptr) {}
  ssl_arg(const ssl_context& context);

  constexpr explicit operator bool() const noexcept { return provider_ != nullptr; }
  detail::tls_provider* provider() const noexcept { return provider_; }

 private:
  detail::tls_provider* provider_ = nullptr;
};

/// How open_connection() and open_unix_connection() connect.
struct connection_options {
  ssl_arg ssl = {};
  std::string_view server_hostname = {};  ///< the name the certificate must have, when it is not `host`; needs ssl
  std::size_t limit = 64 * 1024;          ///< of the reader's buffer: how long a line may be
  address_family family = address_family::unspecified;
  host_port local_addr = {};  ///< connect from this address
  /// How long one address may be silent before the next is tried beside it; nullopt: one after the other (RFC 8305).
  std::optional<timedelta> happy_eyeballs_delay = timedelta(std::chrono::milliseconds(250));
  /// How many addresses of the first family come before the families take turns; default 1 with a delay, else 0: the
  /// order of the resolver.
  std::optional<int> interleave = {};
  std::optional<timedelta> ssl_handshake_timeout = {};  ///< default 60 s
  std::optional<timedelta> ssl_shutdown_timeout = {};   ///< how long close() waits for the peer's goodbye; default 30 s
  int sock = -1;  ///< a connected stream socket, taken over; instead of host and port, or path
};

/// How start_server() and start_unix_server() listen and serve.
struct server_options {
  ssl_arg ssl = {};
  int backlog = 100;                       ///< connections that wait in the kernel to be accepted
  bool reuse_port = false;                 ///< SO_REUSEPORT: several processes listen on one port
  std::size_t limit = 64 * 1024;           ///< of the readers' buffers: how long a line may be
  bool start_serving = true;               ///< false: bind only; start_serving() or serve_forever() listens
  std::optional<bool> reuse_address = {};  ///< SO_REUSEADDR; default true
  bool keep_alive = false;                 ///< SO_KEEPALIVE
  address_family family = address_family::unspecified;
  std::size_t max_connections = 0;  ///< at most so many at a time, more wait unaccepted; 0: no bound
  std::optional<timedelta> ssl_handshake_timeout = {};  ///< default 60 s
  std::optional<timedelta> ssl_shutdown_timeout = {};   ///< how long close() waits for the peer's goodbye; default 30 s
  bool cleanup_socket = true;                           ///< Unix: remove the path when the server is closed
  int sock = -1;  ///< a bound stream socket, taken over; instead of host and port, or path
};

/// How stream_writer::start_tls() goes on.
struct start_tls_options {
  std::string_view server_hostname = {};  ///< a client's: the name that the certificate must have
  bool server_side = false;
  std::optional<timedelta> ssl_handshake_timeout = {};  ///< default 60 s
  std::optional<timedelta> ssl_shutdown_timeout = {};   ///< how long close() waits for the peer's goodbye; default 30 s
};

/// What a handshake came to; stream_writer::ssl_info().   Python: get_extra_info("ssl_object"), ("cipher"), ("peercert").
struct tls_info {
  std::string version;               ///< "TLSv1.3"
  std::string cipher;                ///< "TLS_AES_256_GCM_SHA384"
  std::string alpn;                  ///< empty when none was agreed upon
  std::string server_name;           ///< the name that the client asked for; empty for a number
  std::string peer_certificate_pem;  ///< empty when the peer has shown none; not verified under verify_mode::none
  bool session_reused = false;       ///< an abbreviated handshake: the peer was verified in an earlier one
};

/// How open_datagram_endpoint() and loop.create_datagram_endpoint() open a datagram socket. An address is a host and a
/// port; for `family` unix_ its host is the path (one that begins with NUL: a name in the abstract namespace).
struct datagram_options {
  host_port local_addr = {};   ///< receive there; port 0: one that is free
  host_port remote_addr = {};  ///< talk to this one only: nobody else's datagrams arrive
  address_family family = address_family::unspecified;
  bool reuse_port = false;  ///< SO_REUSEPORT: several sockets share a port
  bool allow_broadcast =
      false;  ///< SO_BROADCAST; remote_addr is then where send() goes, and answers may come from others
  std::size_t limit =
      65'535;     ///< the longest datagram that is received, and UDP's longest; Unix sockets know longer ones
  int sock = -1;  ///< a datagram socket, taken over; instead of everything above but limit
};

static_assert(detail::plain_options<getaddrinfo_options>);
static_assert(detail::plain_options<sendfile_options>);
static_assert(detail::plain_options<host_port>);
static_assert(detail::plain_options<connection_options>);
static_assert(detail::plain_options<datagram_options>);
static_assert(detail::plain_options<server_options>);
static_assert(detail::plain_options<start_tls_options>);

}  // namespace asyncio
