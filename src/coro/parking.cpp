// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/parking.hpp>

#include "coro/coro.hpp"
#include "loop/loop.hpp"

#include <stdexcept>

namespace asyncio::detail {

void parking::line::push(parked& p) noexcept {
  if (first == nullptr) {
    first = p.prev_ = p.next_ = &p;
    return;
  }
  p.next_ = first;
  p.prev_ = first->prev_;
  p.prev_->next_ = &p;
  first->prev_ = &p;
}

// Somebody who was called in vain goes back to its place: near the front, behind those who came before it.
void parking::line::push_by_ticket(parked& p) noexcept {
  parked* after = first;
  if (after == nullptr || first->ticket_ > p.ticket_) {
    push(p);
    first = &p;
    return;
  }
  while (after->next_ != first && after->next_->ticket_ < p.ticket_) after = after->next_;
  p.prev_ = after;
  p.next_ = after->next_;
  p.next_->prev_ = &p;
  after->next_ = &p;
}

void parking::line::remove(parked& p) noexcept {
  if (p.next_ == &p) {
    first = nullptr;
  } else {
    p.prev_->next_ = p.next_;
    p.next_->prev_ = p.prev_;
    if (first == &p) first = p.next_;
  }
  p.prev_ = p.next_ = nullptr;
}

void parking::park(parked& p, std::coroutine_handle<> frame, collector collect,
                   void (*called_in_vain)(parked& p) noexcept) {
  coro_core* task = awaiting_task(frame);
  const parked* other = waiting_.first != nullptr ? waiting_.first : called_.first;
  if (other != nullptr && other->task_->home != task->home)
    throw std::runtime_error("this lock, event or queue is bound to a different event loop, where a task waits for it");
  home_->bind_here();
  collect_ = collect;
  called_in_vain_ = called_in_vain;
  p.task_ = task;
  p.lot_ = this;
  p.ticket_ = ++tickets_;
  p.place_ = parked::place::waiting;
  p.cancel = &parking::cancel_parked;
  p.done = &parking::run_called;
  waiting_.push(p);
  begin_wait(task, &p);
}

bool parking::call_first() noexcept {
  parked* p = waiting_.first;
  if (p == nullptr) return false;
  waiting_.remove(*p);
  p->place_ = parked::place::called;
  called_.push(*p);
  p->task_->loop()->post(p);
  return true;
}

void parking::run_called(op* self) noexcept {
  auto* p = static_cast<parked*>(self);
  if (p->place_ == parked::place::leaving) {
    p->place_ = parked::place::over;
    if (parking* lot = p->lot_) {
      lot->called_.remove(*p);
      lot->called_in_vain_(*p);
    }
    return coro::continue_now(p->task_);
  }
  parking& lot = *p->lot_;
  lot.called_.remove(*p);
  if (!lot.collect_(*p)) {
    p->place_ = parked::place::waiting;
    lot.waiting_.push_by_ticket(*p);
    return;
  }
  p->place_ = parked::place::over;
  coro::continue_now(p->task_);
}

void parking::end_waiting(parked& p) noexcept {
  waiting_.remove(p);
  p.place_ = parked::place::over;
  p.cancelled_ = true;
  p.task_->wake();
}

// Goes on where its op stands in the queue, as it would have done anyway, and stands in line until then.
void parking::end_called(parked& p) noexcept {
  p.place_ = parked::place::leaving;
  p.cancelled_ = true;
  p.task_->waiting = nullptr;
  p.task_->scheduled = true;
}

bool parking::cancel_parked(wait_base* self) noexcept {
  auto* p = static_cast<parked*>(self);
  if (p->place_ == parked::place::called)
    p->lot_->end_called(*p);
  else
    p->lot_->end_waiting(*p);
  return true;
}

void parking::abandon() noexcept {
  while (parked* p = called_.first) {
    called_.remove(*p);
    p->lot_ = nullptr;
    if (p->place_ == parked::place::leaving) continue;
    p->abandoned_ = true;
    end_called(*p);
  }
  while (parked* p = waiting_.first) {
    p->abandoned_ = true;
    end_waiting(*p);
  }
}

void parked::throw_ended_early() {
  if (abandoned_) throw abandoned_wait("the lock, event or queue was destroyed while this task waited for it");
  throw_cancelled(task_);
}

// A frame that is destroyed while it waits: only a loop that is closed around a task that will not end does that.
parked::~parked() {
  if (place_ == place::idle || place_ == place::over) return;
  if (lot_ != nullptr) (place_ == place::waiting ? lot_->waiting_ : lot_->called_).remove(*this);
  if (place_ != place::waiting) loop::loop::of(*task_->loop()).unpost(this);
}

}  // namespace asyncio::detail
