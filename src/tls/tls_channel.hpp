// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/secure.hpp"
#include "io/water_marks.hpp"
#include "tls/context.hpp"
#include "tls/engine.hpp"
#include "tls/plain_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

namespace asyncio::tls {

/// TLS as a channel over another channel, of which it is the user.
///
///   handshaking ──▶ open ──close()──▶ flushing ──all encrypted──▶ parting ──peer's goodbye──▶ ending ──▶ gone
///       │            │                                              (our goodbye is out)        ▲
///       └────────────┴── error: the alert goes out ──────────────────────────────────────────────┤
///                        abort(), timeouts: `lower` is aborted ──────────────────────────────────┘
///
/// Ending waits for `lower` to be lost, which comes in a turn of its own; whoever waits for the handshake, and then the
/// user, are told there. Input: `lower` is asked for more only when OpenSSL wants it and somebody wants plaintext (or
/// the handshake, or the goodbye, does). So what is here and not yet decrypted is bounded by what one such read gives.
/// Output: plaintext waits in a queue until the end of the turn, and while `lower` has more than the low-water mark to
/// send. So what is encrypted and not yet sent is bounded, however much is written.
///
/// Bytes that `lower` lends are lent until the next call into any channel: they are copied before such a call, which is
/// a write to `lower`, or telling the user something, or returning.
///
/// What may happen in between:
/// - The peer's goodbye with bytes before it: the bytes are delivered, the end is asked for again. The other direction
///   stays open: what is buffered still goes out (S213).
/// - `lower` ends without a goodbye: what was decrypted is delivered first, then the user is told that the stream was cut.
/// - `lower` breaks while input is still encrypted here: it is decrypted and delivered, as far as it is whole.
/// - The user closes or aborts while it is being told something: what comes after that looks at the phase again.
/// - A peer that sends what must be answered and reads no answers is not read from, until it does.
/// - `lower` has drained while it is being written to: the pump is running already and goes on by itself.
///
/// It holds a reference to itself from the beginning of the handshake to its end, and from close() until it is gone: its
/// timer and `lower` would else refer to what may be dropped. The close of the loop aborts it.
class tls_channel final : public io::secure_channel, private io::channel_user {
 public:
  /// Errors: ssl_error; std::bad_alloc.
  static io::ref<tls_channel> make(io::ref<context> ctx, io::ref<io::channel> lower, std::string_view read_ahead,
                                   const io::secure_options& options);

  void set_handshake_user(io::handshake_user* user) noexcept override { handshake_user_ = user; }
  void set_user(io::channel_user* user) noexcept override { user_ = user; }
  io::read_state read(std::size_t most, std::string_view& bytes) noexcept override;
  std::int64_t read_into(std::byte* to, std::size_t size) noexcept override;
  void write(std::string_view bytes) override;
  void write(std::string&& text) override;
  void flush() noexcept override;
  std::size_t buffered() const noexcept override { return out_.size() + lower_->buffered(); }
  bool congested() const noexcept override { return marks_.congested(); }
  void set_limits(std::size_t high, std::size_t low) override;
  bool can_write_eof() const noexcept override { return false; }
  /// TLS has no such thing that peers would understand: stream_writer refuses it. Nothing happens.
  void write_eof() noexcept override {}
  void close() noexcept override;
  void abort() noexcept override;
  bool closing() const noexcept override { return closing_ || lower_->closing(); }
  detail::inbox& box() const noexcept override { return home_.box(); }
  int fd() const noexcept override { return lower_->fd(); }
  socket_address peer() const noexcept override { return lower_->peer(); }
  std::optional<tls_info> security() const override;

 private:
  enum class phase : std::uint8_t { handshaking, open, flushing, parting, ending, gone };
  struct own_op : detail::op {
    tls_channel* owner = nullptr;
    bool scheduled = false;
  };
  struct own_timer : detail::timer_op {
    tls_channel* owner = nullptr;
  };
  struct own_hook : detail::close_hook {
    tls_channel* owner = nullptr;
  };

  tls_channel(loop::loop& l, io::ref<context> ctx, io::ref<io::channel> lower, const io::secure_options& options,
              ssl_ptr ssl, std::string peer);
  ~tls_channel() override;

  // As the user of `lower`.
  void received(std::string_view bytes) noexcept override;
  void received_eof() noexcept override;
  void output_drained() noexcept override;
  void lost(std::exception_ptr error) noexcept override;

  static void go_on(detail::op* self) noexcept;
  static void turn_ended(detail::op* self) noexcept;
  static void time_is_up(detail::op* self) noexcept;
  static void loop_ends(detail::close_hook* self) noexcept;

  void begin(std::string_view read_ahead);
  void step() noexcept;
  void shake_hands() noexcept;
  void deliver() noexcept;
  void swallow() noexcept;
  void deliver_last_input() noexcept;
  engine::status decrypt(std::size_t most, std::size_t& got) noexcept;
  bool get_input() noexcept;
  bool keep_input() noexcept;
  void stop_on(engine::status s) noexcept;
  std::exception_ptr cut_error() const noexcept;
  bool check_writable() const noexcept;
  void schedule_output() noexcept;
  void pump() noexcept;
  void ship() noexcept;
  void note_output() noexcept;
  void part() noexcept;
  void fail(std::exception_ptr error) noexcept;
  void break_off(std::exception_ptr error) noexcept;
  void post(own_op& o) noexcept;
  bool start_timer(std::chrono::nanoseconds after) noexcept;
  void stop_timer() noexcept;

  io::home home_;
  const io::ref<context> context_;  // of the engine's sessions: outlives it
  const io::ref<io::channel> lower_;
  engine engine_;
  const std::string peer_;  // as errors call it
  const bool server_side_;
  const std::chrono::nanoseconds handshake_timeout_;
  const std::chrono::nanoseconds shutdown_timeout_;
  io::channel_user* user_ = nullptr;
  io::handshake_user* handshake_user_ = nullptr;
  io::ref<tls_channel> self_;
  plain_queue out_;
  plain_buffer in_;  // what was decrypted last
  io::water_marks marks_;
  std::size_t asked_ = 0;  // while a read waits
  std::size_t left_at_timer_ = 0;
  own_op news_;
  own_op flush_;
  own_timer timer_;
  own_hook hook_;
  std::exception_ptr error_;
  phase phase_ = phase::handshaking;
  bool closing_ = false;
  bool joined_ = false;  // lower_ tells us
  bool hooked_ = true;
  bool hello_came_ = false;
  bool end_seen_ = false;
  bool pumping_ = false;
  bool input_waits_ = false;  // until `lower` has sent what it has
  bool all_sent_ = false;     // our goodbye, and everything before it
};

}  // namespace asyncio::tls
