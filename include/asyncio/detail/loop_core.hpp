// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/inbox.hpp>
#include <asyncio/detail/op.hpp>
#include <asyncio/time.hpp>

#include <cstddef>
#include <cstdint>

namespace asyncio {
class event_loop;
}

namespace asyncio::detail {

struct coro_core;

/// A deadline in a loop's timer queue; lives in the awaiter or callback that waits for it. `done` is called once when
/// it is due, unless the timer is removed first. Equal deadlines fire in the order in which they were added.
struct timer_op : op {
  timer_op() noexcept = default;
  explicit timer_op(unset u) noexcept : op(u) {}

  time_point deadline;
  timer_op* prev_due;         ///< the one before it among those that are due in this turn
  std::uint32_t slot = none;  ///< its place in the heap

  static constexpr std::uint32_t none = UINT32_MAX, due = UINT32_MAX - 1;
  bool armed() const noexcept { return slot != none; }
};

/// A task's place in the list of its loop's tasks; the loop has the list's root.
struct task_links {
  task_links* prev_task;
  task_links* next_task;
};

/// Something that must hear of its loop's end: it lets go of what it holds. Called once, and unlinked before that.
struct close_hook {
  close_hook* prev = nullptr;
  close_hook* next = nullptr;
  void (*on_close)(close_hook*) noexcept = nullptr;
};

/// The part of a loop that awaiters touch: inline, so that a yield is a few instructions. loop::loop derives from it.
class loop_core {
 public:
  loop_core(const loop_core&) = delete;
  loop_core& operator=(const loop_core&) = delete;

  /// Runs `node` in the next turn, behind everything that is ready.  Thread: the loop's.
  void post(op* node) noexcept { ready_.push(node); }

  /// Starts a timer. Errors: std::bad_alloc.  Thread: the loop's.
  void add_timer(timer_op& timer);
  /// Stops a timer that has not fired (due ones whose turn has come too); never allocates, O(log n).
  void remove_timer(timer_op& timer) noexcept;
  time_point now() noexcept { return clock_->now(); }

  /// Another thread works for this loop, and will post. Each is followed by one post_came().  Thread of both: the loop's.
  void expect_post() noexcept { ++posts_expected_; }
  void post_came() noexcept { --posts_expected_; }
  /// What it posts is one of those that the end of the loop waits for, as it does for the kernel.
  void hold_end() noexcept { ++ends_held_; }
  void free_end() noexcept { --ends_held_; }

  void add_close_hook(close_hook& hook) noexcept;
  void remove_close_hook(close_hook& hook) noexcept;
  /// `f` adds and removes none.
  template <class F>
  void for_each_close_hook(F f) noexcept {
    for (close_hook* hook = close_hooks_; hook != nullptr; hook = hook->next == close_hooks_ ? nullptr : hook->next)
      f(*hook);
  }

  inbox& box() noexcept { return *inbox_; }
  /// The loop is being closed: callbacks are dropped, not called.
  bool closing() const noexcept { return (start_care_ & care_closing) != 0; }
  /// Is there more to do for a new task than to put it into the ready queue?
  bool start_needs_care() const noexcept { return start_care_ != 0; }
  bool has_task_factory() const noexcept { return (start_care_ & care_factory) != 0; }
  void set_has_task_factory(bool has) noexcept {
    start_care_ = static_cast<std::uint8_t>((start_care_ & care_closing) | (has ? care_factory : 0));
  }

  /// The tasks of this loop that are not done, oldest first.
  coro_core* first_task() const noexcept;
  /// The one after `task`, null after the last.
  coro_core* task_after(coro_core* task) const noexcept;
  void link_task(coro_core* task) noexcept;
  void unlink_task(coro_core* task) noexcept;
  std::uint64_t next_task_number() noexcept { return ++task_numbers_; }
  std::size_t task_count() const noexcept { return task_count_; }

  /// What each step of a task may spend: see within_budget().
  std::int32_t step_budget() const noexcept { return step_budget_; }
  void set_step_budget(std::int32_t awaits) noexcept { step_budget_ = awaits; }

  bool debug() const noexcept { return debug_; }
  /// The public object over this loop.
  event_loop* face() const noexcept { return face_; }
  void set_face(event_loop* face) noexcept { face_ = face; }

 protected:
  loop_core() = default;
  ~loop_core() = default;

  op_queue ready_;
  clock_source* clock_ = nullptr;
  event_loop* face_ = nullptr;
  inbox* inbox_ = nullptr;
  task_links tasks_{&tasks_, &tasks_};
  close_hook* close_hooks_ = nullptr;  // circular
  std::size_t task_count_ = 0;
  std::size_t posts_expected_ = 0;
  std::size_t ends_held_ = 0;
  std::uint64_t task_numbers_ = 0;
  std::int32_t step_budget_ = INT32_MAX;
  bool debug_ = false;
  static constexpr std::uint8_t care_closing = 1, care_factory = 2;
  std::uint8_t start_care_ = 0;
};

}  // namespace asyncio::detail
