// SPDX-License-Identifier: BSL-1.0
#include "testing/memory_channel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace asyncio::testing {

using asyncio::detail::op;

namespace {
constexpr std::size_t send_at_once = 64 * 1024;
}

// ---- the wire

bool wire::move() noexcept {
  const std::size_t before = arrived_;
  arrived_ += std::min(waiting(), room_ - std::min(room_, arrived_));
  return arrived_ > before;
}

std::string_view wire::take(std::size_t most) noexcept {
  bytes_.consume(std::exchange(lent_, 0));
  iovec piece{};
  bytes_.gather(&piece, 1);
  lent_ = std::min({most, arrived_, piece.iov_len});
  arrived_ -= lent_;
  return {static_cast<const char*>(piece.iov_base), lent_};
}

void wire::clear() noexcept {
  bytes_.clear();
  lent_ = arrived_ = 0;
}

// ---- the channel

io::ref<memory_channel> memory_channel::make(loop::loop& l, std::size_t room) {
  return io::ref<memory_channel>::adopt(new memory_channel(l, room));
}

memory_channel::memory_channel(loop::loop& l, std::size_t room) noexcept : home_(l), in_(room) {
  flush_.owner = news_.owner = farewell_.owner = this;
  flush_.done = &memory_channel::turn_ended;
  news_.done = &memory_channel::bring_news;
  farewell_.done = &memory_channel::farewell;
  hook_.owner = this;
  hook_.on_close = [](asyncio::detail::close_hook* self) noexcept {
    static_cast<own_hook*>(self)->owner->end(nullptr, false);
  };
  l.add_close_hook(hook_);
}

memory_channel::~memory_channel() {
  if (!ending_) home_.get().remove_close_hook(hook_);
}

void memory_channel::join(memory_channel& a, memory_channel& b) noexcept {
  a.peer_ = io::ref<memory_channel>::share(&b);
  b.peer_ = io::ref<memory_channel>::share(&a);
}

// ---- input

io::read_state memory_channel::read(std::size_t most, std::string_view& bytes) noexcept {
  if (eof_seen_) return io::read_state::end;
  if (closing_ || asked_ != 0) return io::read_state::later;
  if (in_.arrived() > 0) {
    bytes = in_.take(most);
    made_room();
    return io::read_state::bytes;
  }
  eof_seen_ = in_.at_end();
  if (eof_seen_) return io::read_state::end;
  asked_ = most;
  if (reset_) fail();
  return io::read_state::later;
}

std::int64_t memory_channel::read_into(std::byte* to, std::size_t size) noexcept {
  if (eof_seen_ || (in_.at_end() && !closing_ && asked_ == 0)) {
    eof_seen_ = true;
    return 0;
  }
  if (closing_ || asked_ != 0 || in_.arrived() == 0) return -EAGAIN;
  const std::string_view bytes = in_.take(size);
  std::memcpy(to, bytes.data(), bytes.size());
  made_room();
  return static_cast<std::int64_t>(bytes.size());
}

// The peer's next bytes come at the end of the turn.
void memory_channel::made_room() noexcept {
  if (in_.waiting() > 0 && peer_) peer_->schedule_output();
}

// There is something to tell a read that waits.
void memory_channel::tell() noexcept {
  if (asked_ == 0 || news_scheduled_) return;
  news_scheduled_ = true;
  retain();
  home_.get().post(&news_);
}

void memory_channel::bring_news(op* self) noexcept {
  memory_channel* me = static_cast<own_op*>(self)->owner;
  me->news_scheduled_ = false;
  if (me->asked_ != 0 && !me->closing_) me->take_news();
  me->release();
}

void memory_channel::take_news() noexcept {
  if (in_.arrived() > 0) {
    const std::string_view bytes = in_.take(std::exchange(asked_, 0));
    made_room();
    if (user_ != nullptr) user_->received(bytes);
  } else if (in_.at_end()) {
    asked_ = 0;
    eof_seen_ = true;
    if (user_ != nullptr) user_->received_eof();
  } else if (reset_) {
    fail();
  }
}

// ---- output

bool memory_channel::check_writable() const {
  if (eof_wanted_) throw std::runtime_error("cannot call write() after write_eof()");
  return !closing_;
}

void memory_channel::write(std::string_view bytes) {
  if (!check_writable() || bytes.empty()) return;
  if (peer_) peer_->in_.write(bytes);
  schedule_output();
}

void memory_channel::write(std::string&& text) {
  if (!check_writable() || text.empty()) return;
  if (peer_) peer_->in_.write(std::move(text));
  schedule_output();
}

void memory_channel::schedule_output() noexcept {
  undeliverable_ |= !peer_;
  if (buffered() >= send_at_once) {
    flush();
  } else if (!flush_scheduled_) {
    flush_scheduled_ = true;
    retain();
    home_.get().at_turn_end(&flush_);
  }
  note_output();
}

void memory_channel::turn_ended(op* self) noexcept {
  memory_channel* me = static_cast<own_op*>(self)->owner;
  me->flush_scheduled_ = false;
  me->flush();
  me->release();
}

void memory_channel::flush() noexcept {
  if (ending_) return;
  if (undeliverable_) return fail();
  if (peer_ && peer_->in_.move()) peer_->tell();
  if (buffered() == 0) output_sent();
  note_output();
}

// Everything has arrived: what had to wait for that.
void memory_channel::output_sent() noexcept {
  if (eof_wanted_ && !eof_sent_) {
    eof_sent_ = true;
    if (peer_) {
      peer_->in_.end();
      peer_->tell();
    }
  }
  if (closing_) end(nullptr, false);
}

void memory_channel::note_output() noexcept {
  if (!ending_ && !undeliverable_ && marks_.note(buffered()) && user_ != nullptr) user_->output_drained();
}

void memory_channel::set_limits(std::size_t high, std::size_t low) {
  marks_.set(high, low);
  note_output();
}

void memory_channel::write_eof() noexcept {
  if (closing_ || eof_wanted_) return;
  eof_wanted_ = true;
  if (buffered() == 0 && !undeliverable_) output_sent();
}

// ---- the end

void memory_channel::close() noexcept {
  if (closing_) return;
  closing_ = true;
  asked_ = 0;
  flush();
}

void memory_channel::abort() noexcept {
  closing_ = true;
  end(nullptr, true);
}

// As TCP has it: a peer that aborted is a connection reset; one that closed leaves a broken pipe to who still writes.
void memory_channel::fail() noexcept {
  end(io::os_exception(reset_ ? ECONNRESET : EPIPE, undeliverable_ ? "cannot send" : "cannot receive"), false);
}

void memory_channel::end(std::exception_ptr error, bool reset) noexcept {
  if (ending_) return;
  const auto alive = io::ref<memory_channel>::share(this);
  ending_ = closing_ = true;
  asked_ = 0;
  marks_.clear();
  error_ = std::move(error);
  if (const auto peer = std::exchange(peer_, {})) peer->peer_ended(in_.waiting() > 0, reset);
  home_.get().remove_close_hook(hook_);
  retain();
  home_.get().post(&farewell_);
}

// What this end had sent and the other had no room for can never arrive: that is an error now, and not at the next write.
void memory_channel::peer_ended(bool unsent, bool reset) noexcept {
  peer_ = {};
  if (home_.get().closing()) return;
  reset_ = reset;
  if (reset)
    in_.cut();
  else
    in_.end();
  if (unsent) schedule_output();
  tell();
}

// A peer that answers early and closes makes writing fail, while its answer is already here.
void memory_channel::farewell(op* self) noexcept {
  memory_channel* me = static_cast<own_op*>(self)->owner;
  while (me->undeliverable_ && me->user_ != nullptr && !me->home_.closed() && me->in_.arrived() > 0)
    me->user_->received(me->in_.take(me->in_.arrived()));
  me->in_.clear();
  if (io::channel_user* user = std::exchange(me->user_, nullptr)) user->lost(std::move(me->error_));
  me->release();
}

}  // namespace asyncio::testing
