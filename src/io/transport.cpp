// SPDX-License-Identifier: BSL-1.0
#include "io/transport.hpp"

#include "io/spare_text.hpp"

#include <cstring>
#include <stdexcept>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

constexpr std::size_t send_at_once = 64 * 1024;
constexpr int most_pieces = 16;
constexpr std::size_t most_last_input = 1024 * 1024;

std::string_view text_of(const kernel::io_op& request) noexcept {
  return {reinterpret_cast<const char*>(request.data), static_cast<std::size_t>(request.result)};
}

}  // namespace

ref<stream_transport> stream_transport::make(loop::loop& l, unique_fd fd, const socket_address& peer) {
  auto made = ref<stream_transport>::adopt(new stream_transport(l, std::move(fd), stream_kind::socket));
  made->recv_.bounded_reads = peer.family() == address_family::unix_;
  if (address_access::size(peer) > made->peer_.size()) {
    made->long_peer_ = std::make_unique<socket_address>(peer);
  } else {
    made->peer_size_ = static_cast<std::uint8_t>(address_access::size(peer));
    std::memcpy(made->peer_.data(), address_access::data(peer), made->peer_size_);
  }
  return made;
}

ref<stream_transport> stream_transport::make_pipe(loop::loop& l, unique_fd fd, stream_kind kind) {
  return ref<stream_transport>::adopt(new stream_transport(l, std::move(fd), kind));
}

stream_transport::stream_transport(loop::loop& l, unique_fd fd, stream_kind kind) noexcept
    : home_(l), fd_(fd.release()), kind_(kind) {
  l.own(fd_);
  recv_.owner = send_.owner = this;
  flush_.owner = farewell_.owner = this;
  recv_.kind = kind == stream_kind::socket ? kernel::io_kind::recv : kernel::io_kind::read;
  send_.kind = kind == stream_kind::socket ? kernel::io_kind::send : kernel::io_kind::write;
  recv_.fd = send_.fd = fd_;
  // A terminal gives a line at a time, a pipe of packets one of them: less than was asked for is not the last of it.
  recv_.bounded_reads = kind != stream_kind::socket;
  recv_.done = &stream_transport::recv_done;
  send_.done = &stream_transport::send_done;
  flush_.done = &stream_transport::turn_ended;
  farewell_.done = &stream_transport::farewell;
}

stream_transport::~stream_transport() { close_descriptor(); }

void stream_transport::close_descriptor() noexcept {
  if (fd_ < 0) return;
  if (!home_.closed()) home_.get().forget(fd_);
  sys::close(std::exchange(fd_, -1));
  spare_text::drop();
}

socket_address stream_transport::peer() const noexcept {
  if (long_peer_) return *long_peer_;
  if (peer_size_ != 0) return address_of(peer_.data(), peer_size_);
  return fd_ < 0 ? socket_address() : peer_address(fd_);
}

// ---- input

read_state stream_transport::read(std::size_t most, std::string_view& bytes) noexcept {
  if (eof_seen_) return read_state::end;
  if (closing_ || recv_.in_flight || home_.closed()) return read_state::later;
  recv_.size = most;
  if (!home_.get().start(recv_)) {
    retain();
    return read_state::later;
  }
  if (recv_.result < 0) {
    fail(static_cast<int>(-recv_.result));
    return read_state::later;
  }
  bytes = text_of(recv_);
  eof_seen_ = bytes.empty();
  return eof_seen_ ? read_state::end : read_state::bytes;
}

std::int64_t stream_transport::read_into(std::byte* to, std::size_t size) noexcept {
  if (eof_seen_) return 0;
  if (closing_ || recv_.in_flight || home_.closed()) return -EAGAIN;
  kernel::io_op direct;
  direct.kind = recv_.kind;
  direct.fd = fd_;
  direct.try_only = true;
  direct.bounded_reads = recv_.bounded_reads;
  direct.buffer = to;
  direct.size = size;
  home_.get().start(direct);
  if (direct.result < 0 && direct.result != -EAGAIN) {
    fail(static_cast<int>(-direct.result));
    return -EAGAIN;
  }
  eof_seen_ = direct.result == 0;
  return direct.result;
}

void stream_transport::recv_done(detail::op* self) noexcept {
  stream_transport* me = static_cast<transfer_op*>(self)->owner;
  const std::int64_t result = me->recv_.result;
  if (me->ending_) {
    me->take_last_read();
    me->continue_ending();
  } else if (me->closing_) {
    me->input_dropped_ |= result > 0;  // flushing: what came in is not wanted any more
  } else if (result > 0) {
    if (me->user_ != nullptr) me->user_->received(text_of(me->recv_));
  } else if (result == 0) {
    me->eof_seen_ = true;
    if (me->user_ != nullptr) me->user_->received_eof();
  } else {
    me->fail(static_cast<int>(-result));
  }
  me->release();
}

// ---- output

bool stream_transport::check_writable() const {
  if (eof_wanted_) throw std::runtime_error("cannot call write() after write_eof()");
  return (!closing_ || resuming_) && !ending_ && !home_.closed();
}

void stream_transport::write(std::string_view bytes) {
  if (!check_writable()) return;
  const std::size_t sent = bytes.size() >= send_at_once ? send_directly(bytes) : 0;
  if (ending_ || sent == bytes.size()) return;
  try {
    out_.append(bytes.substr(sent));
  } catch (...) {
    if (sent > 0) fail(ENOMEM);  // a part of it is gone: nothing sensible can follow
    throw;
  }
  schedule_output();
}

void stream_transport::write(std::string&& text) {
  if (!check_writable() || text.empty()) return;
  out_.append(std::move(text));
  schedule_output();
}

// What nothing stands before goes out of the caller's memory; what the kernel does not take is buffered.
void stream_transport::send(std::string&& text) {
  if (!check_writable() || text.empty()) return flush();
  const std::size_t sent = home_.get().calls_at_once() ? send_directly(text) : 0;
  if (ending_ || sent == text.size()) return spare_text::give(text);
  try {
    if (sent > 0)
      out_.append_rest(std::move(text), sent);
    else
      out_.append(std::move(text));
  } catch (...) {
    if (sent > 0) fail(ENOMEM);  // as in write()
    throw;
  }
  note_output();
  flush();
}

std::size_t stream_transport::send_directly(std::string_view bytes) noexcept {
  if (!out_.empty() || send_.in_flight) return 0;
  loop::loop& loop = home_.get();
  std::size_t sent = 0;
  send_.try_only = true;
  send_.iov = &piece_;
  send_.iov_count = 1;
  do {
    piece_ = {const_cast<char*>(bytes.data()) + sent, bytes.size() - sent};
    loop.start(send_);
    if (send_.result < 0) break;
    sent += static_cast<std::size_t>(send_.result);
  } while (sent < bytes.size());
  send_.try_only = false;
  if (send_.result < 0 && send_.result != -EAGAIN) {
    send_failed_ = true;
    fail(static_cast<int>(-send_.result));
  }
  return sent;
}

void stream_transport::schedule_output() noexcept {
  if (out_.size() >= send_at_once) {
    flush();
  } else if (!flush_scheduled_ && !send_.in_flight) {
    flush_scheduled_ = true;
    retain();
    home_.get().at_turn_end(&flush_);
  }
  note_output();
}

void stream_transport::turn_ended(detail::op* self) noexcept {
  stream_transport* me = static_cast<plain_op*>(self)->owner;
  me->flush_scheduled_ = false;
  me->flush();
  me->release();
}

void stream_transport::flush() noexcept {
  if (ending_ || send_.in_flight || out_.empty() || home_.closed()) return;
  while (!out_.empty()) {
    const bool single = out_.chunk_count() == 1;
    if (!single && !pieces_) pieces_.reset(new (std::nothrow) iovec[most_pieces]);
    iovec* pieces = !single && pieces_ ? pieces_.get() : &piece_;
    send_.iov = pieces;
    send_.iov_count = out_.gather(pieces, pieces == &piece_ ? 1 : most_pieces);
    if (!home_.get().start(send_)) {
      retain();
      break;
    }
    if (send_.result < 0) {
      send_failed_ = true;
      return fail(static_cast<int>(-send_.result));
    }
    out_.consume(static_cast<std::size_t>(send_.result));
  }
  note_output();
  if (out_.empty() && !send_.in_flight) output_sent();
}

void stream_transport::send_done(detail::op* self) noexcept {
  stream_transport* me = static_cast<transfer_op*>(self)->owner;
  const std::int64_t result = me->send_.result;
  if (me->ending_) {
    me->continue_ending();
  } else if (result < 0) {
    me->send_failed_ = result != -ECANCELED;
    me->fail(static_cast<int>(-result));
  } else {
    me->out_.consume(static_cast<std::size_t>(result));
    if (!me->out_.empty()) {
      me->flush();
    } else {
      me->note_output();
      if (me->out_.empty()) me->output_sent();
    }
  }
  me->release();
}

// The buffer is empty: what had to wait for that.
void stream_transport::output_sent() noexcept {
  pieces_.reset();
  if (eof_wanted_ && !eof_sent_) {
    eof_sent_ = true;
    if (kind_ == stream_kind::pipe_to_write) return end(nullptr);
    sys::shutdown(fd_, SHUT_WR);  // fails when the peer is gone, which reading will tell
  }
  if (closing_) end(nullptr);
}

// Told that there is room, its user may write once more, even while the transport closes: what it had kept back for that.
void stream_transport::note_output() noexcept {
  if (ending_ || !marks_.note(out_.size()) || user_ == nullptr) return;
  const bool outer = std::exchange(resuming_, true);
  user_->output_drained();
  resuming_ = outer;
}

void stream_transport::set_limits(std::size_t high, std::size_t low) {
  marks_.set(high, low);
  note_output();
}

void stream_transport::write_eof() noexcept {
  if (closing_ || eof_wanted_) return;
  eof_wanted_ = true;
  if (out_.empty() && !home_.closed()) output_sent();
}

// ---- the end

void stream_transport::close() noexcept {
  if (closing_) return;
  closing_ = true;
  if (home_.closed()) return close_descriptor();
  if (recv_.in_flight) home_.get().cancel(recv_);
  if (out_.empty())
    end(nullptr);
  else
    flush();
}

void stream_transport::abort() noexcept {
  closing_ = true;
  if (home_.closed()) return close_descriptor();
  end(nullptr);
}

void stream_transport::fail(int error) noexcept {
  if (error == ECANCELED) return end(nullptr);  // not by us: the loop is being closed
  end(os_exception(error, send_failed_ ? "cannot send" : "cannot receive"));
}

void stream_transport::end(std::exception_ptr error) noexcept {
  if (ending_) return;
  ending_ = closing_ = true;
  marks_.clear();
  error_ = std::move(error);
  if (!home_.closed()) {
    if (recv_.in_flight) home_.get().cancel(recv_);
    if (send_.in_flight) home_.get().cancel(send_);
  }
  continue_ending();
}

void stream_transport::continue_ending() noexcept {
  if (recv_.in_flight || send_.in_flight) return;
  out_.clear();
  pieces_.reset();
  retain();
  if (home_.closed())
    farewell(&farewell_);
  else
    home_.get().post(&farewell_);
}

void stream_transport::farewell(detail::op* self) noexcept {
  stream_transport* me = static_cast<plain_op*>(self)->owner;
  if (me->wants_last_input()) me->deliver_last_input();
  me->close_descriptor();
  if (channel_user* user = std::exchange(me->user_, nullptr)) user->lost(std::move(me->error_));
  me->release();
}

// A read that had its bytes, or the end, when the transport began to end. Input is a stream without holes: either these
// bytes are delivered, or nothing that came after them is.
void stream_transport::take_last_read() noexcept {
  if (recv_.result == 0) eof_seen_ = true;
  if (recv_.result <= 0) return;
  if (wants_last_input())
    user_->received(text_of(recv_));
  else
    input_dropped_ = true;
}

bool stream_transport::wants_last_input() const noexcept {
  return send_failed_ && kind_ == stream_kind::socket && !input_dropped_ && user_ != nullptr && !home_.closed();
}

// A peer that answers early and closes makes our sends fail, while its answer is already here.
void stream_transport::deliver_last_input() noexcept {
  std::size_t delivered = 0;
  while (!eof_seen_ && delivered < most_last_input) {
    recv_.try_only = true;
    recv_.size = 0;
    home_.get().start(recv_);
    if (recv_.result < 0) return;
    eof_seen_ = recv_.result == 0;
    delivered += static_cast<std::size_t>(recv_.result);
    if (!eof_seen_) user_->received(text_of(recv_));
  }
}

}  // namespace asyncio::io
