// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/bytes.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/detail/stream_wait.hpp>
#include <asyncio/net.hpp>
#include <asyncio/time.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

class event_loop;

namespace streams {
class stream_core;
class server_core;
}  // namespace streams

/// The reading end of a connection. Move-only; the connection is closed by its writer.
/// Bytes that were received are never lost: a read that is cancelled leaves them, and a connection that breaks delivers
/// what came before it raises. Input is taken from the socket when a read wants it, at most about twice the limit ahead.
/// Each call's operation may be awaited, made a task, or kept as a coroutine of what it yields.
/// Thread: the loop's, checked.   Overlap: one read at a time, else std::runtime_error.   Python: asyncio.StreamReader.
class stream_reader {
 public:
  /// A reader that is fed by hand. Errors: std::invalid_argument for a limit of 0.
  explicit stream_reader(std::size_t limit = 64 * 1024);
  stream_reader(stream_reader&& other) noexcept : core_(detail::taken(other.core_)) {}
  stream_reader& operator=(stream_reader&& other) noexcept;
  ~stream_reader();

  /// At least one byte and at most `n`, empty only at the end of the stream; n < 0: everything up to the end.
  /// Cancel: safe.   Errors: std::system_error (ECONNRESET …).
  read_operation read(std::ptrdiff_t n = -1);
  /// The same into `buffer`, without a copy where possible; 0 only at the end (or for an empty buffer).
  read_into_operation read_into(buffer_view buffer);
  /// A line with its "\n"; what is left at the end of the stream; then empty.
  /// Cancel: safe.   Errors: std::invalid_argument for a line longer than the limit, which is dropped.
  coroutine<std::string> readline();
  /// Exactly `n` bytes.   Cancel: safe.   Errors: incomplete_read_error with what had come.
  readexactly_operation readexactly(std::size_t n);
  /// Up to and including the separator.   Cancel: safe.   Errors: incomplete_read_error at the end of the stream;
  /// limit_overrun_error, the bytes stay; std::invalid_argument for an empty separator.
  coroutine<std::string> readuntil(bytes_view separator = "\n");
  /// Up to and including the separator that ends first.
  template <class... S>
    requires(sizeof...(S) > 1) && (std::convertible_to<S, bytes_view> && ...)
  coroutine<std::string> readuntil(S&&... separators) {
    const std::string_view all[] = {bytes_view(separators)...};
    return read_until_any(all, sizeof...(S));
  }
  /// The next line, nothing at the end: while (auto line = co_await reader.next()) …   Python: async for.
  coroutine<std::optional<std::string>> next();

  /// The end has come and everything was read.
  bool at_eof() const;

  /// For tests: what a connection would bring. Errors: std::runtime_error after feed_eof().
  void feed_data(bytes_view data);
  void feed_eof();
  /// Every read that the buffer does not satisfy throws `error` from here on.
  void set_exception(std::exception_ptr error);
  /// What set_exception() was given, or what broke the connection; null when nothing did.
  std::exception_ptr exception() const;

  /// The library's own: takes over a reference; the core, null when it was moved away.
  static stream_reader from_core(streams::stream_core* core) noexcept { return stream_reader(owned{core}); }
  streams::stream_core* raw_core() const noexcept { return core_; }

 private:
  struct owned {
    streams::stream_core* core;
  };
  explicit stream_reader(owned o) noexcept : core_(o.core) {}
  streams::stream_core& core(const char* call) const;
  coroutine<std::string> read_until_any(const std::string_view* separators, std::size_t count);
  streams::stream_core* core_;
};

/// The writing end of a connection, which owns it: a writer that is destroyed open closes it as close() does, so what
/// was written still goes out. Move-only.
/// What is written is buffered and leaves at the end of the loop's turn, at drain(), or when it is much.
/// Thread: the loop's, checked.   Python: asyncio.StreamWriter.
class stream_writer {
 public:
  stream_writer(stream_writer&& other) noexcept : core_(detail::taken(other.core_)) {}
  stream_writer& operator=(stream_writer&& other) noexcept;
  ~stream_writer();

  /// Buffers a copy of `data`; ignored when the connection is closing. Follow it with drain(), so that a slow reader
  /// slows this writer down. Errors: std::runtime_error after write_eof().
  void write(bytes_view data);
  /// The same, given away: large strings are not copied.
  template <std::same_as<std::string> S>
  void write(S&& data) {
    write_string(std::forward<S>(data));
  }
  template <class R>
    requires requires(R& pieces) { bytes_view(*std::begin(pieces)); }
  void writelines(R&& pieces) {
    for (auto&& piece : pieces) write(bytes_view(piece));
  }
  /// Waits while more is buffered than the high-water mark (64 KiB), until it has fallen to the low one (16 KiB); under
  /// TLS 512 and 128 KiB.
  /// Cancel: safe, what is buffered goes out.   Overlap: any number of tasks.
  /// Errors: std::system_error (ECONNRESET …) once the connection is lost.
  drain_operation drain();
  /// write() and drain().
  write_operation write_all(bytes_view data);
  template <std::same_as<std::string> S>
  write_operation write_all(S&& data) {
    return write_string_all(std::forward<S>(data));
  }
  /// Ends the outgoing direction after what is buffered; reading goes on. Errors: std::runtime_error under TLS, which
  /// has no such thing.
  void write_eof();
  bool can_write_eof() const;

  /// Sends what is buffered, then closes. Returns at once: see wait_closed(). Under TLS both sides say goodbye first.
  void close();
  /// Closes at once; what is buffered is lost.   Python: writer.transport.abort().
  void abort();
  bool is_closing() const;
  /// Waits until the connection is closed.   Cancel: safe.   Errors: std::system_error when it was lost.
  coroutine<> wait_closed();
  /// close() and wait_closed().
  coroutine<> aclose();

  /// Waits as drain() does, then goes on under TLS: a handshake, and from there on reader and writer are those of the
  /// secured connection. `.server_hostname` is a client's; a server says `.server_side = true`. What came in the clear
  /// is never taken for what comes protected: a client that has received more than it has read is refused; what a
  /// server has received is the beginning of the handshake. Needs asyncio::tls.
  /// Cancel: the connection is aborted.   Errors: ssl_error, std::system_error (ECONNRESET …) of a handshake that
  /// failed, after which the connection is closed; std::invalid_argument; std::runtime_error while a read waits.
  /// Python: StreamWriter.start_tls().
  coroutine<> start_tls(const ssl_context& context, start_tls_options options = {});
  /// What the TLS handshake came to; nothing in the clear.   Python: get_extra_info("ssl_object") and others.
  std::optional<tls_info> ssl_info() const;

  /// Whom it is connected to, also after the end; an empty address when that is not known.
  socket_address peername() const;
  /// Its own address; empty once it is closed.
  socket_address sockname() const;
  /// -1 once it is closed.
  int fileno() const;
  std::size_t get_write_buffer_size() const;
  /// Errors: std::invalid_argument unless high >= low.
  void set_write_buffer_limits(std::size_t high, std::size_t low);

  /// async_with(std::move(writer), …): closes it and waits; an error of the body goes before one of the closing.
  coroutine<> aenter();
  coroutine<> aexit(std::exception_ptr error);

  /// The library's own: takes over a reference.
  static stream_writer from_core(streams::stream_core* core) noexcept { return stream_writer(owned{core}); }

 private:
  struct owned {
    streams::stream_core* core;
  };
  explicit stream_writer(owned o) noexcept : core_(o.core) {}
  streams::stream_core& core(const char* call) const;
  void write_string(std::string&& data);
  write_operation write_string_all(std::string&& data);
  streams::stream_core* core_;
};

/// A connection: auto [reader, writer] = co_await open_connection(…), or async_with(co_await open_connection(…), …).
/// The writer owns it: moving the reader away and dropping the writer closes it.
struct connection {
  connection(stream_reader r, stream_writer w) noexcept : reader(std::move(r)), writer(std::move(w)) {}
  stream_reader reader;
  stream_writer writer;

  coroutine<> aenter() { return writer.aenter(); }
  coroutine<> aexit(std::exception_ptr error) { return writer.aexit(std::move(error)); }
};

/// Listens, and runs a task for each client. Move-only; destroyed, it is closed, and clients that are being served go
/// on (with the handler, which lives until the last of them has ended).
/// Thread: the loop's, checked.   Python: asyncio.Server.
class server {
 public:
  server(server&& other) noexcept : core_(detail::taken(other.core_)) {}
  server& operator=(server&& other) noexcept;
  ~server();

  /// Accepts clients until it is cancelled, which closes the server and its clients' connections, or until the server is
  /// closed by others; then waits as wait_closed(), and throws cancelled_error. Errors: std::runtime_error when it runs already, or the server is closed.
  coroutine<> serve_forever();
  /// Accepts clients. Idempotent. Errors: std::system_error; std::runtime_error when closed.
  coroutine<> start_serving();
  bool is_serving() const;
  /// Stops listening; clients are left alone. Idempotent.
  void close();
  /// Waits until the server is closed and no connection of it is left.   Cancel: safe.
  coroutine<> wait_closed();
  /// Closes every client's connection: what is buffered goes out.
  void close_clients();
  /// Closes every client's connection at once.
  void abort_clients();
  /// Closes, gives the clients' tasks `grace` to end, then cancels them and aborts their connections; returns when all
  /// have ended.   Cancel: the rest is cancelled and aborted at once.
  coroutine<> shutdown(timedelta grace);

  /// The addresses listened on; none once closed.
  std::vector<socket_address> sockets() const;
  /// The port of the first of them, also after close(); 0 for a Unix socket.
  int port() const;
  event_loop& get_loop() const;

  /// async_with(std::move(s), …): close() and wait_closed() at its end; when the body has thrown, or was cancelled, the
  /// clients are cancelled and cut.
  coroutine<> aenter();
  coroutine<> aexit(std::exception_ptr error);

  /// The library's own: takes over a reference.
  static server from_core(streams::server_core* core) noexcept { return server(owned{core}); }

 private:
  struct owned {
    streams::server_core* core;
  };
  explicit server(owned o) noexcept : core_(o.core) {}
  streams::server_core& core(const char* call) const;
  streams::server_core* core_;
};

/// What a server calls for each client: a coroutine function that takes reader and writer by value.
template <class H>
concept client_handler = detail::async_callable<std::decay_t<H>&, stream_reader, stream_writer>;

namespace detail {

/// A server's handler, its type forgotten.
struct client_callback : counted {
  using counted::counted;
  coroutine<> (*call)(client_callback* self, stream_reader&& reader, stream_writer&& writer) = nullptr;
  bool makes_protocols = false;  ///< it is a protocol_factory instead, see protocols.hpp
};
using client_callback_ptr = counted_ptr<client_callback>;

template <class A>
coroutine<> await_and_forget(A awaited) {
  co_await std::move(awaited);
}

template <class H>
struct typed_client_callback final : client_callback {
  template <class G>
  explicit typed_client_callback(std::in_place_t, G&& h)
      : client_callback([](counted* self) noexcept { delete static_cast<typed_client_callback*>(self); }),
        handler(std::forward<G>(h)) {
    this->call = [](client_callback* self, stream_reader&& reader, stream_writer&& writer) -> coroutine<> {
      H& handler = static_cast<typed_client_callback*>(self)->handler;
      using awaited = std::invoke_result_t<H&, stream_reader, stream_writer>;
      if constexpr (std::same_as<awaited, coroutine<>>)
        return detail::invoke(handler, std::move(reader), std::move(writer));
      else
        return await_and_forget<std::decay_t<awaited>>(detail::invoke(handler, std::move(reader), std::move(writer)));
    };
  }
  H handler;
};

/// A handler, checked, its type forgotten.
template <class H>
client_callback_ptr make_client_callback(H&& handler) {
  static_assert(client_handler<H>,
                "a handler takes stream_reader and stream_writer by value, and is a coroutine function");
  static_assert(closure_has_a_name<H>, ASYNCIO_CLOSURE_SENTENCE);
  if constexpr (client_handler<H> && closure_has_a_name<H>)
    return client_callback_ptr(new typed_client_callback<std::decay_t<H>>(std::in_place, std::forward<H>(handler)));
  else
    return client_callback_ptr();
}

coroutine<server> start_server(client_callback_ptr handler, std::string_view host, int port, server_options options);
coroutine<server> start_unix_server(client_callback_ptr handler, std::string_view path, server_options options);

}  // namespace detail

/// Connects to host:port. Names are resolved in another thread; addresses are tried as RFC 8305 says.
/// The call copies its arguments: it may be made a task.   Cancel: safe, nothing stays open.
/// Errors: std::invalid_argument for arguments that do not fit together; gai_error; std::system_error of the address
/// that failed, or of all of them ("Multiple exceptions: …").   Python: asyncio.open_connection().
coroutine<connection> open_connection(std::string_view host, int port, connection_options options = {});

/// Serves host:port (host "": all interfaces; port 0: one that is free, see port()): a task for each client runs
/// handler(reader, writer). A handler that throws is reported, and its connection closed.
/// Errors: as open_connection(), with the address that could not be bound.   Python: asyncio.start_server().
template <class H>
coroutine<server> start_server(H&& handler, std::string_view host, int port, server_options options = {}) {
  return detail::start_server(detail::make_client_callback(std::forward<H>(handler)), host, port, options);
}

/// Connects to the Unix socket at `path`; one that begins with NUL is a name in Linux' abstract namespace.
/// While the server's backlog is full it waits for room, as connect(2) does. The call copies its arguments.
/// Cancel: safe, nothing stays open.   Errors: std::invalid_argument for a path that is empty, has a NUL inside or is
/// longer than 107 bytes, and for options that are not for Unix sockets; std::system_error with the path (ENOENT,
/// ECONNREFUSED, EACCES …).   Python: asyncio.open_unix_connection().
coroutine<connection> open_unix_connection(std::string_view path, connection_options options = {});

/// Serves the Unix socket at `path`, as start_server() does a port. A socket file that nobody is bound to any more is
/// replaced; that of a living server, and any other file, never is. The file's permissions are those of the umask. When
/// the server is closed, or destroyed, it removes the file if that is still its own (`.cleanup_socket`).
/// Errors: as open_unix_connection() (EADDRINUSE, EACCES …).   Python: asyncio.start_unix_server().
template <class H>
coroutine<server> start_unix_server(H&& handler, std::string_view path, server_options options = {}) {
  return detail::start_unix_server(detail::make_client_callback(std::forward<H>(handler)), path, options);
}

}  // namespace asyncio
