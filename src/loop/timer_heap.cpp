// SPDX-License-Identifier: BSL-1.0
#include "loop/timer_heap.hpp"

#include <algorithm>

namespace asyncio::loop {

namespace {
constexpr std::size_t arity = 4;
}  // namespace

void timer_heap::add(detail::timer_op& timer) {
  const entry e{timer.deadline, ++arrivals_, &timer};
  entries_.push_back(e);
  sift_up(entries_.size() - 1, e);
}

void timer_heap::remove(detail::timer_op& timer) noexcept {
  if (timer.slot == detail::timer_op::due)
    unlink_due(timer);
  else if (timer.armed())
    take(timer.slot);
}

void timer_heap::collect_due(time_point now) noexcept {
  while (!entries_.empty() && entries_.front().deadline <= now) {
    detail::timer_op& timer = *entries_.front().timer;
    take(0);
    timer.slot = detail::timer_op::due;
    timer.next = nullptr;
    timer.prev_due = due_tail_;
    if (due_tail_ == nullptr)
      due_head_ = &timer;
    else
      due_tail_->next = &timer;
    due_tail_ = &timer;
  }
}

detail::timer_op* timer_heap::pop_due() noexcept {
  detail::timer_op* timer = due_head_;
  if (timer != nullptr) unlink_due(*timer);
  return timer;
}

void timer_heap::unlink_due(detail::timer_op& timer) noexcept {
  auto* after = static_cast<detail::timer_op*>(timer.next);
  if (timer.prev_due == nullptr)
    due_head_ = after;
  else
    timer.prev_due->next = after;
  if (after == nullptr)
    due_tail_ = timer.prev_due;
  else
    after->prev_due = timer.prev_due;
  timer.slot = detail::timer_op::none;
}

void timer_heap::place(std::size_t slot, const entry& e) noexcept {
  entries_[slot] = e;
  e.timer->slot = static_cast<std::uint32_t>(slot);
}

void timer_heap::sift_up(std::size_t slot, entry e) noexcept {
  while (slot > 0) {
    const std::size_t parent = (slot - 1) / arity;
    if (!e.before(entries_[parent])) break;
    place(slot, entries_[parent]);
    slot = parent;
  }
  place(slot, e);
}

void timer_heap::sift_down(std::size_t slot, entry e) noexcept {
  const std::size_t count = entries_.size();
  while (true) {
    const std::size_t first = slot * arity + 1;
    if (first >= count) break;
    std::size_t least = first;
    const std::size_t end = std::min(first + arity, count);
    for (std::size_t child = first + 1; child < end; ++child)
      if (entries_[child].before(entries_[least])) least = child;
    if (!entries_[least].before(e)) break;
    place(slot, entries_[least]);
    slot = least;
  }
  place(slot, e);
}

void timer_heap::take(std::size_t slot) noexcept {
  entries_[slot].timer->slot = detail::timer_op::none;
  const entry last = entries_.back();
  entries_.pop_back();
  if (slot == entries_.size()) return;
  if (slot > 0 && last.before(entries_[(slot - 1) / arity]))
    sift_up(slot, last);
  else
    sift_down(slot, last);
}

}  // namespace asyncio::loop
