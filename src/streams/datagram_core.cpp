// SPDX-License-Identifier: BSL-1.0
#include "streams/datagram_core.hpp"

#include <new>

namespace asyncio::streams {

namespace {

constexpr unsigned most_at_once = 16;

}  // namespace

// ---- receiving

void receive_wait::await_suspend(std::coroutine_handle<> frame) {
  task_ = detail::awaiting_task(frame);
  core_->link(*this);
  detail::begin_wait(task_, this);
}

receive_wait::~receive_wait() {
  if (linked_) core_->unlink(*this);
}

bool receive_wait::cancel_receive(wait_base* self) noexcept {
  auto* me = static_cast<receive_wait*>(self);
  me->core_->unlink(*me);
  me->cancelled_ = true;
  me->task_->wake();
  return true;
}

void receive_wait::finish() noexcept {
  core_->unlink(*this);
  if (task_->loop() != nullptr) task_->wake();  // else its loop is closed, and it will never run again
}

io::ref<datagram_core> datagram_core::make(io::ref<io::datagram_transport> transport) {
  return datagram_ref::adopt(new datagram_core(std::move(transport)));
}

datagram_core::datagram_core(io::ref<io::datagram_transport> transport) noexcept : transport_(std::move(transport)) {
  transport_->set_user(this);
}

datagram_core::~datagram_core() { transport_->set_user(nullptr); }

void datagram_core::link(receive_wait& w) noexcept {
  w.linked_ = true;
  w.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &w;
  last_ = &w;
}

void datagram_core::unlink(receive_wait& w) noexcept {
  w.linked_ = false;
  (w.previous_ != nullptr ? w.previous_->next_ : first_) = w.next_;
  (w.next_ != nullptr ? w.next_->previous_ : last_) = w.previous_;
}

bool datagram_core::take(arrival& into) {
  if (first_ != nullptr) return false;  // they were here before
  if (kept_) {
    into = std::move(*kept_);
    kept_.reset();
    return true;
  }
  std::string_view bytes;
  const int result = transport_->receive(bytes, into.from);
  if (result == -EAGAIN) return false;
  into.error = -result;
  if (result == 0) into.bytes.assign(bytes);
  return true;
}

bool datagram_core::used_up_its_turn() noexcept {
  if (++at_once_ <= most_at_once) return false;
  at_once_ = 0;
  return true;
}

void datagram_core::received(std::string_view bytes, const socket_address& from) noexcept {
  hand_over(bytes, from, 0);
  ask_for_more();
}

void datagram_core::receive_failed(int error) noexcept {
  hand_over({}, {}, error);
  ask_for_more();
}

// To the first who waits; kept when all of them have gone meanwhile.
void datagram_core::hand_over(std::string_view bytes, const socket_address& from, int error) noexcept {
  arrival& to = first_ != nullptr ? first_->got : kept_.emplace();
  to.from = from;
  to.error = error;
  try {
    to.bytes.assign(bytes);
  } catch (const std::bad_alloc&) {
    to.error = ENOMEM;
  }
  if (first_ != nullptr) first_->finish();
}

void datagram_core::ask_for_more() noexcept {
  while (first_ != nullptr) {
    std::string_view bytes;
    socket_address from;
    const int result = transport_->receive(bytes, from);
    if (result == -EAGAIN) return;
    hand_over(bytes, from, -result);
  }
}

void datagram_core::lost(std::exception_ptr error) noexcept {
  const datagram_ref alive = datagram_ref::share(this);
  lost_ = true;
  lost_error_ = std::move(error);
  while (first_ != nullptr) {
    first_->got.error = ECANCELED;
    first_->finish();
  }
  loss_line_.wake_all();
}

// ---- sending

void send_wait::await_suspend(std::coroutine_handle<> frame) {
  task_ = detail::awaiting_task(frame);
  waiting_ = transport_->queue(std::move(bytes_), to_, this);
  detail::begin_wait(task_, this);
}

send_wait::~send_wait() {
  if (waiting_ == nullptr) return;
  io::datagram_transport::forget_sender(waiting_);
  if (!transport_->box().closed()) transport_->take_back(waiting_);
}

bool send_wait::cancel_send(wait_base* self) noexcept {
  auto* me = static_cast<send_wait*>(self);
  if (me->cancelling_) return true;  // the kernel has been asked
  me->cancelling_ = true;
  if (!me->transport_->take_back(me->waiting_)) return true;
  me->sent(ECANCELED);
  return true;
}

void send_wait::sent(int error) noexcept {
  waiting_ = nullptr;
  result_ = error;
  if (task_->loop() == nullptr) return;  // its loop is closed, and it will never run again
  if (cancelling_ && error != ECANCELED) task_->must_cancel = task_->late_cancel = true;
  task_->wake();
}

}  // namespace asyncio::streams
