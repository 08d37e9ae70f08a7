// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/io.hpp"

#include <asyncio/net.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::io {

/// Who uses a channel. Everything but output_drained() comes from the loop, never from inside a call of the channel:
/// received()*, received_eof()?, lost() exactly once, and nothing afterwards.
class channel_user {
 public:
  /// Input that read() had to wait for; the bytes are valid during this call.
  virtual void received(std::string_view bytes) noexcept = 0;
  /// The end that read() had to wait for. The other direction stays open.
  virtual void received_eof() noexcept = 0;
  /// The output buffer was above its high-water mark, and has fallen to the low one. Also from inside flush(). What is
  /// written in here is sent even if the channel is closing, unless it has ended by then.
  virtual void output_drained() noexcept = 0;
  /// The channel is closed. `error` is null when that was our wish.
  virtual void lost(std::exception_ptr error) noexcept = 0;

 protected:
  ~channel_user() = default;
};

enum class read_state : std::uint8_t {
  bytes,  ///< here they are
  end,    ///< end of stream
  later,  ///< the user will hear: received(), received_eof() or lost()
};

/// A two-way stream of bytes: a socket, or TLS over one. Input flows only when it is asked for; output is buffered.
class channel : public counted {
 public:
  /// Who is told. Null: nobody any more; a channel closes all the same.
  virtual void set_user(channel_user* user) noexcept = 0;

  /// Asks for input once: at most `most` bytes. `bytes` are valid until the next call into any channel of this loop.
  /// Asking again while the user has not been told changes nothing.
  virtual read_state read(std::size_t most, std::string_view& bytes) noexcept = 0;
  /// Moves input that is there at this moment to `to`: the number of bytes, 0 at the end; -EAGAIN: ask read().
  virtual std::int64_t read_into(std::byte* to, std::size_t size) noexcept = 0;

  /// Buffers a copy of `bytes`; they leave at the end of the loop's turn, at flush(), or when there are many. Ignored
  /// once the channel is closing. Errors: std::runtime_error after write_eof(); std::bad_alloc.
  virtual void write(std::string_view bytes) = 0;
  virtual void write(std::string&& text) = 0;
  /// Sends now what the kernel takes.
  virtual void flush() noexcept = 0;
  /// write() and flush(), which a channel may do in one.
  virtual void send(std::string&& text) {
    write(std::move(text));
    flush();
  }
  virtual std::size_t buffered() const noexcept = 0;
  /// Above the high-water mark, and not yet down to the low one.
  virtual bool congested() const noexcept = 0;
  /// Errors: std::invalid_argument unless high >= low.
  virtual void set_limits(std::size_t high, std::size_t low) = 0;

  virtual bool can_write_eof() const noexcept = 0;
  /// Ends the outgoing direction after what is buffered. Ignored once the channel is closing.
  virtual void write_eof() noexcept = 0;
  /// Stops reading, sends what is buffered, then closes.
  virtual void close() noexcept = 0;
  /// Closes at once; what is buffered is lost.
  virtual void abort() noexcept = 0;
  virtual bool closing() const noexcept = 0;

  /// The loop's door, also after its end.
  virtual detail::inbox& box() const noexcept = 0;
  /// -1 when closed.
  virtual int fd() const noexcept = 0;
  virtual socket_address peer() const noexcept = 0;
  /// What a TLS handshake came to; nothing on a channel in the clear. Errors: std::bad_alloc.
  virtual std::optional<tls_info> security() const { return std::nullopt; }
};

}  // namespace asyncio::io
