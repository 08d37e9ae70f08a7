// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/channel.hpp"
#include "io/protocol_host.hpp"
#include "io/secure.hpp"
#include "io/socket.hpp"

#include <asyncio/transports.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace asyncio::io {

/// A protocol on a channel.
///
/// Its life: made, the turn in which connection_made() is called and reading begins, then what the channel tells, and
/// lost(). It shares itself from start() to lost(), or to the end of the loop, after which nobody is called any more.
///
/// Reading. `pump()` asks the channel for input and hands it on, at most 256 KiB a turn, until the channel has none: then
/// received() comes. Input that was asked for before pause_reading(), and comes after it, is held back until
/// resume_reading(), and so is what a protocol had no buffer for when it paused or was exchanged in between. The end of
/// the stream is held back too. What ends reading for good: eof, close(), the loss.
///
/// Writing. The channel counts; the protocol is told when a write has passed the high mark, and when the channel says that
/// it has drained. While a sendfile() runs nobody may write.
class protocol_transport final : public asyncio::transport,
                                 private channel_user,
                                 public std::enable_shared_from_this<protocol_transport> {
 public:
  /// Errors: std::invalid_argument for a protocol of another kind.
  static std::shared_ptr<protocol_transport> make(loop::loop& l, ref<channel> c, std::shared_ptr<base_protocol> p,
                                                  host_ptr host);
  /// Calls connection_made() in the loop's next turn, then reads (unless the channel is for writing only).
  void start(bool reads = true);
  /// Told once, of the loss.
  void set_observer(transport_observer* o) noexcept { observer_ = o; }
  /// The peer is gone, and the channel does not know it: ends, with `error` when that is not null.
  void end(std::exception_ptr error) noexcept;
  /// Something of what was written is not with the kernel yet.
  bool unsent() const noexcept { return channel_->buffered() > 0; }

  void write(bytes_view data) override;
  void write_eof() override;
  bool can_write_eof() const override;
  void close() override;
  void abort() override;
  bool is_closing() const override;
  void pause_reading() override;
  void resume_reading() override;
  bool is_reading() const override;
  void set_write_buffer_limits(std::size_t high, std::size_t low) override;
  std::pair<std::size_t, std::size_t> get_write_buffer_limits() const override { return {low_, high_}; }
  std::size_t get_write_buffer_size() const override;
  socket_address peername() const override;
  socket_address sockname() const override;
  int fileno() const override;
  void set_protocol(std::shared_ptr<base_protocol> p) override;
  /// Null after the end.
  std::shared_ptr<base_protocol> get_protocol() const override { return protocol_; }

  // ---- for start_tls()
  /// TLS over the channel from here on; what was received and held back is its beginning. After the handshake go_on() reads.
  /// Errors: std::runtime_error when closing, or while a file is sent; what tls_provider::secure() throws.
  ref<secure_channel> secure(detail::tls_provider& tls, const secure_options& options);
  void go_on() noexcept { schedule_pump(); }
  std::size_t held() const noexcept { return held_.size(); }

  // ---- for sendfile()
  /// Nobody may write until unlock_output(); `then` is called, from the loop or at once, when all that was written is
  /// with the kernel, or the connection is lost. Errors: std::runtime_error when another sendfile() runs, or closing.
  void lock_output(void (*then)(void*) noexcept, void* context);
  void unlock_output() noexcept;
  /// Within the lock: buffers bytes of the file, and calls `then` as lock_output() does. Errors: std::bad_alloc.
  void write_locked(std::string bytes, void (*then)(void*) noexcept, void* context);
  /// Bytes may pass by the channel: it is a plain socket.
  bool is_plain() const { return !channel_->security() && is_stream_socket(channel_->fd()); }
  bool lost() const noexcept { return lost_; }
  /// What is written from here on is ignored: the connection ends, and its loss may still have to be told.
  bool ends() const noexcept { return lost_ || channel_->closing(); }

  /// The library's own: see make().
  protocol_transport(loop::loop& l, ref<channel> c, host_ptr host) noexcept;
  ~protocol_transport() override;

 private:
  template <class Base>
  struct owned : Base {
    protocol_transport* owner = nullptr;
  };
  static void begin(detail::op* self) noexcept;
  static void pump_turn(detail::op* self) noexcept;
  static void loop_closes(detail::close_hook* self) noexcept;

  void received(std::string_view bytes) noexcept override;
  void received_eof() noexcept override;
  void output_drained() noexcept override;
  void lost(std::exception_ptr error) noexcept override;

  bool may_read() const noexcept { return !paused_ && !eof_ && !lost_ && !fatal_ && !channel_->closing(); }
  void pump() noexcept;
  void schedule_pump() noexcept;
  bool fill_buffer(std::size_t most, std::size_t& got) noexcept;
  std::size_t deliver(std::string_view bytes) noexcept;
  bool hold(std::string_view bytes) noexcept;
  void deliver_held() noexcept;
  void deliver_eof() noexcept;
  bool get_buffer(std::span<std::byte>& buffer) noexcept;
  void note_output() noexcept;
  void call_when_empty(void (*then)(void*) noexcept, void* context);
  void shut_down() noexcept;
  void fatal(const char* message, std::exception_ptr error) noexcept;
  void forget_protocol() noexcept;
  template <class F>
  std::exception_ptr call(F f) noexcept;
  template <class F>
  void call_reporting(F f, const char* message) noexcept;
  void check_thread(const char* call) const { channel_->box().check_thread(call); }

  home home_;
  ref<channel> channel_;
  host_ptr host_;
  std::shared_ptr<base_protocol> protocol_;
  asyncio::protocol* plain_ = nullptr;  // the one of both that it is
  buffered_protocol* buffered_ = nullptr;
  std::shared_ptr<protocol_transport> self_;        // from start() to the end
  std::shared_ptr<protocol_transport> begin_self_;  // while the op stands in the loop's queue
  std::shared_ptr<protocol_transport> pump_self_;
  transport_observer* observer_ = nullptr;
  owned<detail::op> begin_;
  owned<detail::op> pump_;
  owned<detail::close_hook> hook_;
  std::string held_;
  std::exception_ptr error_;  // of end() and fatal()
  std::size_t high_;
  std::size_t low_;
  void (*when_empty_)(void*) noexcept = nullptr;
  void* when_empty_context_ = nullptr;
  unsigned writes_after_loss_ = 0;
  bool reads_ = true;
  bool paused_ = false;
  bool full_read_ = false;  // the last read got as much as it asked for: there is more, probably
  bool eof_ = false;        // eof_received() was called
  bool eof_held_ = false;
  bool writing_paused_ = false;
  bool output_locked_ = false;
  bool close_wanted_ = false;  // while output was locked
  bool fatal_ = false;
  bool lost_ = false;
};

}  // namespace asyncio::io
