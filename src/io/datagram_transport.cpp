// SPDX-License-Identifier: BSL-1.0
#include "io/datagram_transport.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

constexpr std::size_t header_size = 8;          // what a queued datagram counts beside its bytes
constexpr std::size_t longest_shared = 65'535;  // one byte more is asked for, to see that there was more
constexpr std::size_t most_limit = std::size_t{1} << 30;
constexpr int most_a_turn = 64;

/// Errors after which nothing will ever come: somebody else has closed the descriptor.
bool is_fatal(int error) noexcept { return error == EBADF || error == ENOTSOCK; }

sockaddr_storage* storage_of(socket_address& a) noexcept {
  return reinterpret_cast<sockaddr_storage*>(address_access::data(a));
}

}  // namespace

struct datagram_transport::waiting {
  waiting(std::string b, const socket_address& t, datagram_sender* s) : bytes(std::move(b)), to(t), sender(s) {}
  std::string bytes;
  socket_address to;
  datagram_sender* sender;
  waiting* previous = nullptr;
  waiting* next = nullptr;
  bool taken_back = false;  // while the kernel had it

  std::size_t counted_size() const noexcept { return bytes.size() + header_size; }
};

ref<datagram_transport> datagram_transport::make(loop::loop& l, datagram_socket socket, std::size_t limit) {
  return ref<datagram_transport>::adopt(new datagram_transport(l, std::move(socket), limit));
}

datagram_transport::datagram_transport(loop::loop& l, datagram_socket socket, std::size_t limit)
    : home_(l),
      fd_(socket.fd.get()),
      limit_(std::min(limit, most_limit)),
      remote_(socket.remote),
      connected_(socket.connected),
      room_is_silent_(!socket.connected && local_address(fd_).family() == address_family::unix_),
      file_(std::move(socket.file)) {
  recv_.owner = send_.owner = turn_.owner = retry_.owner = farewell_.owner = this;
  recv_.kind = kernel::io_kind::recv;
  send_.kind = kernel::io_kind::send;
  recv_.fd = send_.fd = fd_;
  recv_.bounded_reads = true;
  recv_.address = storage_of(from_);
  recv_.size = limit_ + 1;
  if (limit_ > longest_shared) {
    buffer_.reset(new std::byte[limit_ + 1]);
    recv_.buffer = buffer_.get();
  }
  send_.try_only = room_is_silent_;
  recv_.done = &datagram_transport::recv_done;
  send_.done = &datagram_transport::send_done;
  turn_.done = &datagram_transport::turn_came;
  retry_.done = &datagram_transport::pause_over;
  farewell_.done = &datagram_transport::farewell;
  socket.fd.release();
  l.own(fd_);
}

datagram_transport::~datagram_transport() {
  while (first_ != nullptr) finish_oldest(ECANCELED);  // the loop is closed
  close_descriptor();
}

// The file first: as long as the socket is open, no other one gets its inode.
void datagram_transport::close_descriptor() noexcept {
  if (fd_ < 0) return;
  file_.remove();
  if (!home_.closed()) home_.get().forget(fd_);
  sys::close(std::exchange(fd_, -1));
}

// ---- input

int datagram_transport::receive(std::string_view& bytes, socket_address& from) noexcept {
  if (closing_ || recv_.in_flight || home_.closed()) return -EAGAIN;
  if (!home_.get().start(recv_)) {
    retain();
    return -EAGAIN;
  }
  const int error = take_received();
  if (is_fatal(error)) {
    end(os_exception(error, "cannot receive"));
    return -EAGAIN;
  }
  if (error != 0) return -error;
  bytes = {reinterpret_cast<const char*>(recv_.data), static_cast<std::size_t>(recv_.result)};
  from = from_;
  return 0;
}

// The error of a receive that has ended; 0: there is a datagram, and its sender's address.
int datagram_transport::take_received() noexcept {
  if (recv_.result < 0) return static_cast<int>(-recv_.result);
  if (static_cast<std::size_t>(recv_.result) > limit_) return EMSGSIZE;
  address_access::set_size(from_, recv_.address_size);
  return 0;
}

void datagram_transport::recv_done(detail::op* self) noexcept {
  datagram_transport* me = static_cast<owned<kernel::io_op>*>(self)->owner;
  const int error = me->take_received();
  if (me->ending_) {
    me->continue_ending();
  } else if (error == ECANCELED) {
    if (!me->closing_) me->end(nullptr);  // not by us: the loop is being closed
  } else if (me->closing_) {
    // what came meanwhile is not wanted any more
  } else if (is_fatal(error)) {
    me->end(os_exception(error, "cannot receive"));
  } else if (me->user_ != nullptr && error != 0) {
    me->user_->receive_failed(error);
  } else if (me->user_ != nullptr) {
    const std::string_view bytes(reinterpret_cast<const char*>(me->recv_.data),
                                 static_cast<std::size_t>(me->recv_.result));
    me->user_->received(bytes, me->from_);
  }
  me->release();
}

// ---- output

void datagram_transport::check_target(const socket_address& to) const {
  if (address_access::size(remote_) == 0 || address_access::size(to) == 0 || to == remote_) return;
  throw std::invalid_argument("the address must be empty or " + remote_.to_string() + ", not " + to.to_string());
}

// A connected socket is given no address: some families refuse even the one that it has.
void datagram_transport::aim(kernel::io_op& request, const socket_address& to) noexcept {
  to_ = address_access::size(to) == 0 ? remote_ : to;
  const bool needs_address = !connected_ && address_access::size(to_) != 0;
  request.address = needs_address ? storage_of(to_) : nullptr;
  request.address_size = needs_address ? address_access::size(to_) : 0;
}

int datagram_transport::try_send(std::string_view bytes, const socket_address& to) noexcept {
  if (first_ != nullptr) return -EAGAIN;
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  kernel::io_op direct;
  direct.kind = send_.kind;
  direct.fd = fd_;
  direct.try_only = true;
  direct.iov = &piece;
  direct.iov_count = 1;
  aim(direct, to);
  home_.get().start(direct);
  return direct.result < 0 ? static_cast<int>(direct.result) : 0;
}

datagram_transport::waiting* datagram_transport::queue(std::string bytes, const socket_address& to,
                                                       datagram_sender* sender) {
  auto* w = new waiting(std::move(bytes), to, sender);
  w->previous = last_;
  (last_ != nullptr ? last_->next : first_) = w;
  last_ = w;
  size_ += w->counted_size();
  marks_.note(size_);
  if (!sending_) send_next_turn();
  return w;
}

void datagram_transport::unlink(waiting* w) noexcept {
  (w->previous != nullptr ? w->previous->next : first_) = w->next;
  (w->next != nullptr ? w->next->previous : last_) = w->previous;
  size_ -= w->counted_size();
}

bool datagram_transport::take_back(waiting* w) noexcept {
  if (w == first_ && send_.in_flight) {
    w->taken_back = true;
    home_.get().cancel(send_);
    return false;
  }
  unlink(w);
  delete w;
  return true;
}

void datagram_transport::forget_sender(waiting* w) noexcept { w->sender = nullptr; }

// The turn after something was queued.
void datagram_transport::turn_came(detail::op* self) noexcept {
  datagram_transport* me = static_cast<owned<detail::op>*>(self)->owner;
  me->send_queued();
  me->release();
}

void datagram_transport::pause_over(detail::op* self) noexcept {
  datagram_transport* me = static_cast<owned<detail::timer_op>*>(self)->owner;
  me->send_queued();
  me->release();
}

// `sending_` stays true from the first datagram to the last: whoever is told of one of them may queue another, or close.
void datagram_transport::send_queued() noexcept {
  for (int left = most_a_turn; first_ != nullptr && !ending_; --left) {
    if (left == 0) return send_next_turn();
    piece_ = {first_->bytes.data(), first_->bytes.size()};
    send_.iov = &piece_;
    send_.iov_count = 1;
    aim(send_, first_->to);
    if (!home_.get().start(send_)) {
      retain();
      return;
    }
    if (send_.result == -EAGAIN) return wait_for_room();
    finish_oldest(send_.result < 0 ? static_cast<int>(-send_.result) : 0);
  }
  sending_ = false;
  if (ending_) return continue_ending();
  note_output();
  if (closing_ && first_ == nullptr) end(nullptr);
}

void datagram_transport::send_next_turn() noexcept {
  sending_ = true;
  retain();
  home_.get().post(&turn_);
}

void datagram_transport::wait_for_room() noexcept {
  loop::loop& l = home_.get();
  retry_.deadline = l.now() + room_delay_.next();
  try {
    l.add_timer(retry_);
    retain();
  } catch (const std::bad_alloc&) {
    finish_oldest(ENOMEM);  // it cannot wait
    send_next_turn();
  }
}

void datagram_transport::send_done(detail::op* self) noexcept {
  datagram_transport* me = static_cast<owned<kernel::io_op>*>(self)->owner;
  const int error = me->send_.result < 0 ? static_cast<int>(-me->send_.result) : 0;
  if (error != ECANCELED || me->first_->taken_back) {
    me->finish_oldest(error);
    me->send_queued();
  } else {
    me->sending_ = false;
    if (me->ending_)
      me->continue_ending();
    else
      me->end(nullptr);  // not cancelled by us: the loop is being closed
  }
  me->release();
}

void datagram_transport::finish_oldest(int error) noexcept {
  const std::unique_ptr<waiting> w(first_);
  first_ = w->next;
  (first_ != nullptr ? first_->previous : last_) = nullptr;
  size_ -= w->counted_size();
  if (error == 0) room_delay_ = {};
  if (w->sender != nullptr)
    w->sender->sent(error);
  else if (error != 0 && error != ECANCELED && user_ != nullptr)
    user_->send_failed(error);
}

void datagram_transport::note_output() noexcept {
  if (!ending_ && marks_.note(size_) && user_ != nullptr) user_->output_drained();
}

void datagram_transport::set_limits(std::size_t high, std::size_t low) {
  marks_.set(high, low);
  note_output();
}

// ---- the end

void datagram_transport::close() noexcept {
  if (closing_) return;
  closing_ = true;
  if (home_.closed()) return close_descriptor();
  if (recv_.in_flight) home_.get().cancel(recv_);
  if (first_ == nullptr) end(nullptr);
}

void datagram_transport::abort() noexcept {
  closing_ = true;
  if (home_.closed()) return close_descriptor();
  end(nullptr);
}

void datagram_transport::end(std::exception_ptr error) noexcept {
  if (ending_) return;
  ending_ = closing_ = true;
  marks_.clear();
  error_ = std::move(error);
  if (!home_.closed()) {
    loop::loop& l = home_.get();
    if (recv_.in_flight) l.cancel(recv_);
    if (send_.in_flight) l.cancel(send_);
    if (retry_.armed()) {
      l.remove_timer(retry_);
      sending_ = false;
      release();
    }
  }
  continue_ending();
}

void datagram_transport::continue_ending() noexcept {
  if (recv_.in_flight || sending_) return;
  retain();
  if (home_.closed())
    farewell(&farewell_);
  else
    home_.get().post(&farewell_);
}

void datagram_transport::farewell(detail::op* self) noexcept {
  datagram_transport* me = static_cast<owned<detail::op>*>(self)->owner;
  while (me->first_ != nullptr) me->finish_oldest(ECANCELED);
  me->close_descriptor();
  if (datagram_user* user = std::exchange(me->user_, nullptr)) user->lost(std::move(me->error_));
  me->release();
}

}  // namespace asyncio::io
