// SPDX-License-Identifier: BSL-1.0
// streams — readers, writers, servers: bytes and connections as coroutines see them.
// May include: what stands in its row of ARCHITECTURE.md.      Included by: curl, testing.
// Thread: the loop's, checked by every public call.
// Owns: what was received and not yet read; a server's clients. Borrows: nothing from a coroutine frame but the target
//       of a read_into() that waits.
// Laws: no descriptors but through io; a public call copies its views before it returns its awaitable.
#pragma once
#include "io/channel.hpp"
#include "io/secure.hpp"
#include "streams/read_buffer.hpp"
#include "streams/wait_line.hpp"

#include <asyncio/coroutine.hpp>
#include <asyncio/streams.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

namespace asyncio::streams {

/// The two ends of one connection have this in common: the channel, what was received, and who waits for what. Each
/// handle and each call under way has a reference.
class stream_core final : public io::counted, private io::channel_user {
 public:
  /// Who is told when the connection is gone.
  class observer {
   public:
    virtual void connection_lost() noexcept = 0;

   protected:
    ~observer() = default;
  };

  /// Fed by hand when `channel` is null. Errors: std::invalid_argument for a limit of 0.
  static io::ref<stream_core> make(io::ref<io::channel> channel, std::size_t limit);

  /// Errors: std::runtime_error in a thread that is not the loop's.
  void check_thread(const char* call) const;
  void set_observer(observer* o) noexcept { observer_ = o; }

  // ---- reading
  read_buffer& input() noexcept { return input_; }
  std::size_t limit() const noexcept { return limit_; }
  bool eof() const noexcept { return eof_; }
  const std::exception_ptr& error() const noexcept { return error_; }
  /// What a read does when the buffer does not satisfy it: throws the error that broke the connection, if one did; asks
  /// the channel for about `wanted` bytes. True: there is news (bytes, or the end). False: wait_for_data().
  /// Errors: std::runtime_error when another read waits.
  bool fetch(const char* call, std::size_t wanted);
  bool somebody_reads() const noexcept { return !data_line_.empty(); }
  line_wait wait_for_data() noexcept;
  /// The same for a stream_wait, which calls bind_here() before.
  wait_line& data_line() noexcept { return data_line_; }
  /// A reader that is fed by hand belongs to the loop of who waits.
  void bind_here() noexcept {
    if (box_ == nullptr) bond_.bind_here();
  }
  /// Reads that were satisfied at once, one after the other; true when it is time to let others run.
  bool used_up_its_turn() noexcept;
  void has_waited() noexcept { reads_at_once_ = 0; }
  /// Straight from the channel into `to`: -EAGAIN when there is nothing at this moment.
  std::int64_t read_directly(std::byte* to, std::size_t size) noexcept;
  /// Where the next bytes shall go, while a read waits for them: how many went there is put into `got`, once.
  void set_target(std::byte* to, std::size_t size, std::size_t& got) noexcept;
  /// Nothing more goes into `got`.
  void clear_target(std::size_t& got) noexcept;
  void feed(std::string_view bytes);
  void feed_eof() noexcept;
  void set_error(std::exception_ptr error) noexcept;

  // ---- writing
  /// Null when fed by hand, or when the connection is lost.
  io::channel* channel() const noexcept { return channel_.get(); }
  bool lost() const noexcept { return lost_; }
  /// Puts TLS between this and its channel, whose next bytes are those of the handshake: what was received and not yet
  /// read is given to it first, and a read that waits is answered by it. Errors: those of tls_provider::secure(); the
  /// connection is aborted then.
  io::ref<io::secure_channel> secure(detail::tls_provider& tls, const io::secure_options& options);
  /// What lost() was told, which wait_closed() throws.
  const std::exception_ptr& lost_error() const noexcept { return lost_error_; }
  /// What a write on a lost connection comes to.
  [[noreturn]] void throw_lost() const;
  wait_line& drain_line() noexcept { return drain_line_; }
  line_wait wait_for_loss() noexcept { return line_wait(loss_line_); }
  socket_address peer() const noexcept;

 private:
  stream_core(io::ref<io::channel> channel, std::size_t limit) noexcept;
  ~stream_core() override;

  void received(std::string_view bytes) noexcept override;
  void received_eof() noexcept override;
  void output_drained() noexcept override;
  void lost(std::exception_ptr error) noexcept override;
  void keep(std::string_view bytes);
  void lose_input() noexcept;

  io::ref<io::channel> channel_;  // stays after the loss: for peer()
  read_buffer input_;
  const std::size_t limit_;
  std::byte* target_ = nullptr;
  std::size_t target_size_ = 0;
  std::size_t* target_got_ = nullptr;  // null: no target
  unsigned reads_at_once_ = 0;
  bool eof_ = false;
  bool lost_ = false;
  bool input_lost_ = false;
  std::exception_ptr error_;
  std::exception_ptr lost_error_;
  wait_line data_line_;
  wait_line drain_line_;
  wait_line loss_line_;
  observer* observer_ = nullptr;
  detail::inbox* box_ = nullptr;  // fed by hand: none
  detail::loop_bond bond_;        // fed by hand: of the loop whose task waits
};

using core_ref = io::ref<stream_core>;

/// Receives until the stream ends; nothing is taken from the buffer.   Cancel: safe.
coroutine<> receive_everything(core_ref core, const char* call);

/// Reader and writer of a new connection.
connection make_connection(io::ref<io::channel> channel, std::size_t limit);
connection make_connection(core_ref core);

/// What open_connection() and open_unix_connection() connect, for another user than a stream_core.
coroutine<io::ref<io::channel>> open_channel(std::string_view host, int port, const connection_options& options);
coroutine<io::ref<io::channel>> open_unix_channel(std::string_view path, const connection_options& options);

}  // namespace asyncio::streams
