// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/loop_core.hpp>

#include <cstdint>
#include <vector>

namespace asyncio::loop {

/// The timers of a loop, earliest first: a 4-ary heap with the keys inline, ordered by deadline, then by order of
/// arrival. Every timer knows its slot, so that removing one costs O(log n) and leaves nothing behind. Timers that came
/// due wait in a list of their own until their turn, and can be removed from there too.
class timer_heap {
 public:
  timer_heap() = default;
  timer_heap(const timer_heap&) = delete;
  timer_heap& operator=(const timer_heap&) = delete;

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  time_point earliest() const noexcept { return entries_.front().deadline; }

  /// Errors: std::bad_alloc; the timer is not added then.
  void add(detail::timer_op& timer);
  void remove(detail::timer_op& timer) noexcept;

  /// Is a timer's turn now?
  bool any_due(time_point now) const noexcept {
    return due_head_ != nullptr || (!entries_.empty() && entries_.front().deadline <= now);
  }
  /// Moves every timer with a deadline of `now` or earlier to the list of due ones, in order.
  void collect_due(time_point now) noexcept;
  /// Takes the first of the due ones, or null.
  detail::timer_op* pop_due() noexcept;
  bool has_due() const noexcept { return due_head_ != nullptr; }

 private:
  struct entry {
    time_point deadline;
    std::uint64_t order;
    detail::timer_op* timer;
    bool before(const entry& other) const noexcept {
      return deadline != other.deadline ? deadline < other.deadline : order < other.order;
    }
  };

  void place(std::size_t slot, const entry& e) noexcept;
  void sift_up(std::size_t slot, entry e) noexcept;
  void sift_down(std::size_t slot, entry e) noexcept;
  void take(std::size_t slot) noexcept;
  void unlink_due(detail::timer_op& timer) noexcept;

  std::vector<entry> entries_;
  detail::timer_op* due_head_ = nullptr;
  detail::timer_op* due_tail_ = nullptr;
  std::uint64_t arrivals_ = 0;
};

}  // namespace asyncio::loop
