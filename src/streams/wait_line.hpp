// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/coro_core.hpp>

#include <coroutine>

namespace asyncio::streams {

class line_wait;

/// Tasks that wait for the same thing. They are woken all at once, in order, and then look for themselves.
class wait_line {
 public:
  wait_line() = default;
  wait_line(const wait_line&) = delete;
  wait_line& operator=(const wait_line&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  void wake_all() noexcept;

 private:
  friend class line_wait;
  void link(line_wait& w) noexcept;
  void unlink(line_wait& w) noexcept;
  line_wait* first_ = nullptr;  // of a circle
};

/// Suspends the task until its line is woken. Lives in the awaiting frame.
class line_wait final : public detail::wait_base {
 public:
  explicit line_wait(wait_line& line) noexcept : line_(&line) { cancel = &line_wait::cancel_wait; }
  line_wait(line_wait&& other) noexcept : line_wait(*other.line_) {}  // moved only before it waits
  line_wait& operator=(const line_wait&) = delete;
  ~line_wait() { line_->unlink(*this); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    task_ = detail::awaiting_task(frame);
    line_->link(*this);
    detail::begin_wait(task_, this);
  }
  void await_resume() {
    if (cancelled_) [[unlikely]]
      detail::throw_cancelled(task_);
  }

 private:
  friend class wait_line;
  static bool cancel_wait(wait_base* self) noexcept {
    auto* me = static_cast<line_wait*>(self);
    me->line_->unlink(*me);
    me->cancelled_ = true;
    me->task_->wake();
    return true;
  }

  wait_line* line_;
  detail::coro_core* task_ = nullptr;
  line_wait* prev_ = nullptr;
  line_wait* next_ = nullptr;
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

inline void wait_line::link(line_wait& w) noexcept {
  if (first_ == nullptr) {
    first_ = w.prev_ = w.next_ = &w;
    return;
  }
  w.next_ = first_;
  w.prev_ = first_->prev_;
  w.prev_->next_ = first_->prev_ = &w;
}

inline void wait_line::unlink(line_wait& w) noexcept {
  if (w.next_ == nullptr) return;
  if (w.next_ == &w) {
    first_ = nullptr;
  } else {
    w.prev_->next_ = w.next_;
    w.next_->prev_ = w.prev_;
    if (first_ == &w) first_ = w.next_;
  }
  w.prev_ = w.next_ = nullptr;
}

inline void wait_line::wake_all() noexcept {
  while (line_wait* w = first_) {
    unlink(*w);
    if (w->task_->loop() != nullptr) w->task_->wake();  // else its loop is closed, and it will never run again
  }
}

}  // namespace asyncio::streams
