// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/detail/stream_wait.hpp>

#include <coroutine>

namespace asyncio::streams {

/// Tasks that wait for the same thing. They are woken all at once, in order, and then look for themselves.
class wait_line {
 public:
  wait_line() = default;
  wait_line(const wait_line&) = delete;
  wait_line& operator=(const wait_line&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  void wake_all() noexcept;
  void link(detail::line_place& w) noexcept;
  /// Nothing happens to one that is in no line.
  void unlink(detail::line_place& w) noexcept;

 private:
  detail::line_place* first_ = nullptr;  // of a circle
};

/// Suspends the task until its line is woken. Lives in the awaiting frame.
class line_wait final : public detail::wait_base {
 public:
  explicit line_wait(wait_line& line) noexcept : line_(&line) { cancel = &line_wait::cancel_wait; }
  line_wait(line_wait&& other) noexcept : line_wait(*other.line_) {}  // moved only before it waits
  line_wait& operator=(const line_wait&) = delete;
  ~line_wait() { line_->unlink(place_); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    place_.task = detail::awaiting_task(frame);
    place_.step = place_.task;
    line_->link(place_);
    detail::begin_wait(place_.task, this);
  }
  void await_resume() {
    if (cancelled_) [[unlikely]]
      detail::throw_cancelled(place_.task);
  }

 private:
  static bool cancel_wait(wait_base* self) noexcept {
    auto* me = static_cast<line_wait*>(self);
    me->line_->unlink(me->place_);
    me->cancelled_ = true;
    me->place_.task->wake();
    return true;
  }

  wait_line* line_;
  detail::line_place place_;
  bool cancelled_ = false;
};

/// Lets everybody else run once, as sleep(0s) does; smaller, since many frames hold one.
class turn_wait final {
 public:
  using native = void;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    task_ = detail::awaiting_task(frame);
    task_->schedule();
  }
  void await_resume() const {
    if (task_->must_cancel) [[unlikely]]
      detail::throw_cancelled(task_);
  }

 private:
  detail::coro_core* task_ = nullptr;
};

inline void wait_line::link(detail::line_place& w) noexcept {
  if (first_ == nullptr) {
    first_ = w.prev = w.next = &w;
    return;
  }
  w.next = first_;
  w.prev = first_->prev;
  w.prev->next = first_->prev = &w;
}

inline void wait_line::unlink(detail::line_place& w) noexcept {
  if (w.next == nullptr) return;
  if (w.next == &w) {
    first_ = nullptr;
  } else {
    w.prev->next = w.next;
    w.next->prev = w.prev;
    if (first_ == &w) first_ = w.next;
  }
  w.next = nullptr;
}

inline void wait_line::wake_all() noexcept {
  while (detail::line_place* w = first_) {
    unlink(*w);
    detail::coro_core* const task = w->task;
    if (task->loop() == nullptr) continue;  // its loop is closed, and it will never run again
    task->waiting = nullptr;
    task->scheduled = true;
    task->loop()->post(w->step);
  }
}

}  // namespace asyncio::streams
