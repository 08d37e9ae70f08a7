// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/bytes.hpp>
#include <asyncio/detail/shared_pointers.hpp>
#include <asyncio/net.hpp>

#include <cstddef>
#include <exception>
#include <iterator>
#include <span>
#include <string>
#include <system_error>
#include <utility>

// Connections by callbacks: a protocol says what happens when bytes come, a transport carries them. The functions that
// connect the two are members of event_loop, see protocols.hpp.

namespace asyncio {

class transport;
class datagram_transport;

/// What all protocols are told. Every callback but pause_writing() and resume_writing() comes from the loop, never from
/// inside a call of the transport: connection_made() once, then the others, connection_lost() once and last. The transport
/// shares its protocol until then. What a callback throws is told to the loop's exception handler.
/// Python: asyncio.BaseProtocol.
class base_protocol {
 public:
  base_protocol() = default;
  base_protocol(const base_protocol&) = default;
  base_protocol& operator=(const base_protocol&) = default;
  virtual ~base_protocol() = default;

  /// The connection is closed. `error`: what broke it; null when that was our wish, or the peer has ended it in order.
  virtual void connection_lost(std::exception_ptr error) { static_cast<void>(error); }
  /// More is buffered than the high-water mark: whoever writes should stop.
  virtual void pause_writing() {}
  /// No more is buffered than the low one: whoever writes may go on.
  virtual void resume_writing() {}
};

/// A protocol over a stream of bytes: TCP, a Unix socket, a pipe. An exception of data_received() or eof_received() ends
/// the connection, and connection_lost() gets it.   Python: asyncio.Protocol.
class protocol : public base_protocol {
 public:
  /// `t` lives until connection_lost() has returned, and longer while somebody shares it.
  virtual void connection_made(transport& t) { static_cast<void>(t); }
  /// Some bytes, at least one; they are valid during the call.
  virtual void data_received(std::span<const std::byte> data) { static_cast<void>(data); }
  /// The peer will send no more. True: the connection stays open for what we send; false: it is closed, when what is
  /// buffered has gone out.
  virtual bool eof_received() { return false; }
};

/// A protocol that says where the bytes shall go. An exception of get_buffer(), buffer_updated() or eof_received(), and an
/// empty buffer, end the connection.   Python: asyncio.BufferedProtocol.
class buffered_protocol : public base_protocol {
 public:
  virtual void connection_made(transport& t) { static_cast<void>(t); }
  /// Where the next bytes go, which must not be empty; it is valid until the next call of the protocol. `hint`: how many
  /// would be good; 0: any number is.
  virtual std::span<std::byte> get_buffer(std::size_t hint) = 0;
  /// So many bytes have come, at the beginning of the buffer.
  virtual void buffer_updated(std::size_t n) = 0;
  virtual bool eof_received() { return false; }
};

/// A protocol over datagrams. What its callbacks throw ends nothing.   Python: asyncio.DatagramProtocol.
class datagram_protocol : public base_protocol {
 public:
  virtual void connection_made(datagram_transport& t) { static_cast<void>(t); }
  /// One datagram, which may be empty; it is valid during the call.
  virtual void datagram_received(std::span<const std::byte> data, const socket_address& from) {
    static_cast<void>(data);
    static_cast<void>(from);
  }
  /// What the network says of a datagram that was sent (ECONNREFUSED, EMSGSIZE …), or that one was longer than the limit
  /// and is lost (EMSGSIZE). Nothing ends by it.
  virtual void error_received(std::error_code error) { static_cast<void>(error); }
};

/// What carries a protocol's bytes; an abstract class, so that tests may have one of their own. Open, it keeps itself
/// alive; closed, it answers until the last who shares it is gone.
/// Thread: the loop's, checked.   Python: asyncio.Transport.
class transport {
 public:
  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  virtual ~transport();

  /// Buffers a copy of `data`, which leaves at the end of the loop's turn, or at once when it is much. Ignored once the
  /// transport is closing; the log is told of the fifth time after the connection was lost, and of those after it.
  /// Errors: std::runtime_error after write_eof(), and while a sendfile() runs.
  virtual void write(bytes_view data) = 0;
  template <class R>
    requires requires(R& pieces) { bytes_view(*std::begin(pieces)); }
  void writelines(R&& pieces) {
    for (auto&& piece : pieces) write(bytes_view(piece));
  }
  /// Ends the outgoing direction after what is buffered; reading goes on.
  virtual void write_eof() = 0;
  virtual bool can_write_eof() const = 0;
  /// Stops reading, sends what is buffered, then closes: connection_lost(nullptr). Idempotent.
  virtual void close() = 0;
  /// Closes at once; what is buffered is lost.
  virtual void abort() = 0;
  virtual bool is_closing() const = 0;

  /// No data_received() until resume_reading(). Both are idempotent.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  /// Neither paused nor closing.
  virtual bool is_reading() const = 0;

  /// When pause_writing() and resume_writing() are called: 64 KiB and 16 KiB at first.
  /// Errors: std::invalid_argument unless high >= low.
  virtual void set_write_buffer_limits(std::size_t high, std::size_t low) = 0;
  void set_write_buffer_limits(std::size_t high) { set_write_buffer_limits(high, high / 4); }
  /// (low, high), as in Python.
  virtual std::pair<std::size_t, std::size_t> get_write_buffer_limits() const = 0;
  virtual std::size_t get_write_buffer_size() const = 0;

  /// Whom it is connected to, also after the end; an empty address when that is not known.
  virtual socket_address peername() const = 0;
  /// Its own address; empty once it is closed.
  virtual socket_address sockname() const = 0;
  /// -1 once it is closed.
  virtual int fileno() const = 0;

  /// Who is told from now on, until connection_lost(): a protocol or a buffered_protocol, whose connection_made() is not
  /// called.
  /// Nobody, when connection_lost() was called. Errors: std::invalid_argument for null and for other kinds.
  virtual void set_protocol(std::shared_ptr<base_protocol> p) = 0;
  /// Null once connection_lost() was called.
  virtual std::shared_ptr<base_protocol> get_protocol() const = 0;
};

/// What carries datagrams.   Thread: the loop's, checked.   Python: asyncio.DatagramTransport.
class datagram_transport {
 public:
  datagram_transport() = default;
  datagram_transport(const datagram_transport&) = delete;
  datagram_transport& operator=(const datagram_transport&) = delete;
  virtual ~datagram_transport();

  /// Sends one datagram to `to` (empty: to remote_addr), or queues a copy of it. What fails is told to error_received().
  /// Ignored once the transport is closing.   Errors: std::invalid_argument for another address than remote_addr.
  virtual void sendto(bytes_view data, const socket_address& to = {}) = 0;
  /// Sends what is queued, then closes.
  virtual void close() = 0;
  virtual void abort() = 0;
  virtual bool is_closing() const = 0;
  /// As transport's; each datagram in the queue counts eight bytes more than it has.
  virtual void set_write_buffer_limits(std::size_t high, std::size_t low) = 0;
  void set_write_buffer_limits(std::size_t high) { set_write_buffer_limits(high, high / 4); }
  virtual std::pair<std::size_t, std::size_t> get_write_buffer_limits() const = 0;
  virtual std::size_t get_write_buffer_size() const = 0;
  /// remote_addr; empty when it has none.
  virtual socket_address peername() const = 0;
  virtual socket_address sockname() const = 0;
  virtual int fileno() const = 0;
  /// Nobody, when connection_lost() was called. Errors: std::invalid_argument for null and for other kinds.
  virtual void set_protocol(std::shared_ptr<base_protocol> p) = 0;
  virtual std::shared_ptr<base_protocol> get_protocol() const = 0;
};

}  // namespace asyncio
