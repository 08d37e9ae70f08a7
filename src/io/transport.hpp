// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/channel.hpp"
#include "io/output_queue.hpp"
#include "io/socket.hpp"
#include "io/water_marks.hpp"

#include <array>
#include <memory>

namespace asyncio::io {

/// What a transport's descriptor is.
enum class stream_kind : std::uint8_t {
  socket,
  pipe_to_read,   ///< nothing is written to it
  pipe_to_write,  ///< nothing is read from it; write_eof() closes it
};

/// A connected stream socket, or one end of a pipe.
///
///   open ──close()──▶ flushing ──all sent──▶ ending ──ops done──▶ farewell ──▶ closed
///     └──abort(), error──────────────────────▲
///
/// Ending cancels the ops in flight and waits for each of them; only then, in a turn of its own, the descriptor is
/// closed and the user told. When sending has failed there may still be input from before the peer went away: it is
/// delivered first. The ops, the pending flush and the farewell hold a reference each, so a transport may be dropped at
/// any time, and what was written still goes out.
class stream_transport final : public channel {
 public:
  /// Takes over `fd`. `peer` may be empty: then it is asked for when somebody wants to know.
  static ref<stream_transport> make(loop::loop& l, unique_fd fd, const socket_address& peer);
  /// Takes over this process's end of a pipe, which does not block.
  static ref<stream_transport> make_pipe(loop::loop& l, unique_fd fd, stream_kind kind);

  /// A pipe that nobody reads any more is closed: nothing else would tell whoever writes to it.
  void set_user(channel_user* user) noexcept override {
    user_ = user;
    if (user == nullptr && kind_ == stream_kind::pipe_to_read) close();
  }
  read_state read(std::size_t most, std::string_view& bytes) noexcept override;
  std::int64_t read_into(std::byte* to, std::size_t size) noexcept override;
  void write(std::string_view bytes) override;
  void write(std::string&& text) override;
  void flush() noexcept override;
  void send(std::string&& text) override;
  std::size_t buffered() const noexcept override { return out_.size(); }
  bool congested() const noexcept override { return marks_.congested(); }
  void set_limits(std::size_t high, std::size_t low) override;
  bool can_write_eof() const noexcept override { return true; }
  void write_eof() noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  bool closing() const noexcept override { return closing_; }
  detail::inbox& box() const noexcept override { return home_.box(); }
  int fd() const noexcept override { return fd_; }
  socket_address peer() const noexcept override;

 private:
  stream_transport(loop::loop& l, unique_fd fd, stream_kind kind) noexcept;
  ~stream_transport() override;

  struct transfer_op : kernel::io_op {
    stream_transport* owner = nullptr;
  };
  struct plain_op : detail::op {
    stream_transport* owner = nullptr;
  };

  static void recv_done(detail::op* self) noexcept;
  static void send_done(detail::op* self) noexcept;
  static void turn_ended(detail::op* self) noexcept;
  static void farewell(detail::op* self) noexcept;

  bool check_writable() const;
  std::size_t send_directly(std::string_view bytes) noexcept;
  void schedule_output() noexcept;
  void output_sent() noexcept;
  void note_output() noexcept;
  void fail(int error) noexcept;
  void end(std::exception_ptr error) noexcept;
  void continue_ending() noexcept;
  void take_last_read() noexcept;
  bool wants_last_input() const noexcept;
  void deliver_last_input() noexcept;
  void close_descriptor() noexcept;

  home home_;
  int fd_;
  const stream_kind kind_;
  bool eof_seen_ = false;
  bool eof_wanted_ = false;  // write_eof() was called
  bool eof_sent_ = false;
  bool closing_ = false;
  bool ending_ = false;
  bool send_failed_ = false;
  bool input_dropped_ = false;  // so nothing that comes after it is delivered
  bool flush_scheduled_ = false;
  bool resuming_ = false;  // inside output_drained()
  channel_user* user_ = nullptr;
  transfer_op recv_;
  transfer_op send_;
  iovec piece_{};                    // of send_, when the output is one chunk
  std::unique_ptr<iovec[]> pieces_;  // when it is several
  plain_op flush_;
  plain_op farewell_;
  output_queue out_;
  water_marks marks_;
  std::exception_ptr error_;
  std::uint8_t peer_size_ = 0;
  std::array<unsigned char, sizeof(sockaddr_in6)> peer_{};  // when it fits
  std::unique_ptr<const socket_address> long_peer_;         // when it does not: a Unix path
};

}  // namespace asyncio::io
