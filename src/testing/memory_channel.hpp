// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/channel.hpp"
#include "io/output_queue.hpp"
#include "io/water_marks.hpp"

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

namespace asyncio::testing {

/// One direction: what was written at one end and not yet read at the other. The first of these bytes have arrived, as
/// many as there is room for; the others wait.
class wire {
 public:
  explicit wire(std::size_t room) noexcept : room_(room) {}

  // ---- the writer's side
  /// Errors: std::bad_alloc; nothing is written then.
  void write(std::string_view bytes) { bytes_.append(bytes); }
  void write(std::string&& text) { bytes_.append(std::move(text)); }
  std::size_t waiting() const noexcept { return cut_ ? 0 : bytes_.size() - lent_ - arrived_; }
  /// Lets arrive what there is room for. True: there is more to read.
  bool move() noexcept;
  /// Nothing follows what was written.
  void end() noexcept { ended_ = true; }
  /// What has not arrived never will.
  void cut() noexcept { cut_ = true; }

  // ---- the reader's side
  std::size_t arrived() const noexcept { return arrived_; }
  bool at_end() const noexcept { return ended_ && arrived_ == 0; }
  /// At least one byte of those that have arrived, at most `most`; valid until the next call of this side.
  std::string_view take(std::size_t most) noexcept;
  void clear() noexcept;

 private:
  io::output_queue bytes_;  // the last ones that were taken still in front
  const std::size_t room_;
  std::size_t lent_ = 0;  // of the bytes: taken, and still valid
  std::size_t arrived_ = 0;
  bool ended_ = false;
  bool cut_ = false;
};

/// One of two ends in memory. Each has what is on the way to it, and a reference to the other until one of them ends:
///
///   open ──close()──▶ flushing ──all arrived──▶ ending ──▶ farewell ──▶ closed
///     └──abort(), error──────────────────────────▲
///
/// Who is told something is told in a later turn, by an op that holds a reference. The close of the loop ends both, so
/// afterwards neither knows the other, and the last references may be dropped in any thread.
class memory_channel final : public io::channel {
 public:
  static io::ref<memory_channel> make(loop::loop& l, std::size_t room);
  /// Makes each the other's peer.
  static void join(memory_channel& a, memory_channel& b) noexcept;

  void set_user(io::channel_user* user) noexcept override { user_ = user; }
  io::read_state read(std::size_t most, std::string_view& bytes) noexcept override;
  std::int64_t read_into(std::byte* to, std::size_t size) noexcept override;
  void write(std::string_view bytes) override;
  void write(std::string&& text) override;
  void flush() noexcept override;
  std::size_t buffered() const noexcept override { return peer_ ? peer_->in_.waiting() : 0; }
  bool congested() const noexcept override { return marks_.congested(); }
  void set_limits(std::size_t high, std::size_t low) override;
  bool can_write_eof() const noexcept override { return true; }
  void write_eof() noexcept override;
  void close() noexcept override;
  void abort() noexcept override;
  bool closing() const noexcept override { return closing_; }
  asyncio::detail::inbox& box() const noexcept override { return home_.box(); }
  int fd() const noexcept override { return -1; }
  socket_address peer() const noexcept override { return {}; }

 private:
  memory_channel(loop::loop& l, std::size_t room) noexcept;
  ~memory_channel() override;

  struct own_op : asyncio::detail::op {
    memory_channel* owner = nullptr;
  };
  struct own_hook : asyncio::detail::close_hook {
    memory_channel* owner = nullptr;
  };
  static void turn_ended(asyncio::detail::op* self) noexcept;
  static void bring_news(asyncio::detail::op* self) noexcept;
  static void farewell(asyncio::detail::op* self) noexcept;

  bool check_writable() const;
  void schedule_output() noexcept;
  void output_sent() noexcept;
  void note_output() noexcept;
  void made_room() noexcept;
  void tell() noexcept;
  void take_news() noexcept;
  void fail() noexcept;
  void end(std::exception_ptr error, bool reset) noexcept;
  void peer_ended(bool unsent, bool reset) noexcept;

  io::home home_;
  io::ref<memory_channel> peer_;
  wire in_;
  io::water_marks marks_;
  io::channel_user* user_ = nullptr;
  std::size_t asked_ = 0;  // while a read waits
  own_op flush_;
  own_op news_;
  own_op farewell_;
  own_hook hook_;
  std::exception_ptr error_;
  bool eof_seen_ = false;
  bool eof_wanted_ = false;  // write_eof() was called
  bool eof_sent_ = false;
  bool closing_ = false;
  bool ending_ = false;
  bool reset_ = false;          // by the peer
  bool undeliverable_ = false;  // what was written has nowhere to go
  bool flush_scheduled_ = false;
  bool news_scheduled_ = false;
};

}  // namespace asyncio::testing
