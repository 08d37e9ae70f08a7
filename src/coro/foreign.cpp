// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/foreign.hpp>

#include "coro/coro.hpp"

#include <asyncio/interop.hpp>

#include <exception>
#include <stdexcept>

namespace asyncio::detail {

/// Tells the wait that its bridge was resumed, or else, at the end, that it never was.
struct bridge_end {
  bridge_end() noexcept = default;
  bridge_end(const bridge_end&) = delete;
  bridge_end& operator=(const bridge_end&) = delete;
  ~bridge_end() {
    if (wait != nullptr) wait->arrive(true);
  }
  void resumed() noexcept { std::exchange(wait, nullptr)->arrive(false); }

  foreign_wait* wait = nullptr;  // from when the bridge is complete
};

namespace {

/// The coroutine that foreign code resumes, in any thread. It frees itself: nobody waits for its end.
struct bridge {
  struct promise_type {
    bridge_end end;

    bridge get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() noexcept { end.resumed(); }
    void unhandled_exception() const noexcept { std::terminate(); }
    static void* operator new(std::size_t size) { return pool_allocate(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { pool_free(frame, size); }
  };
  std::coroutine_handle<promise_type> handle;
};

bridge make_bridge() { co_return; }

}  // namespace

coro_core* task_behind(void* frame) {
  coro_core* task = here.task;
  if (task == nullptr) throw_outside_task();
  if (!foreign_wait::step_aside(task, frame))
    throw std::runtime_error(
        "a coroutine of another library awaits something of asyncio: there, write co_await as_awaitable_on(loop, …)");
  return task;
}

foreign_wait::foreign_wait() noexcept {
  cancel = &foreign_wait::cancel_foreign;
  done = &foreign_wait::go_on;
}

bool foreign_wait::cancel_foreign(wait_base* self) noexcept {
  auto* me = static_cast<foreign_wait*>(self);
  if (me->arrived_.load(order::acquire)) return false;
  me->cancelled_ = true;
  return true;
}

void foreign_wait::go_on(op* self) noexcept { coro::continue_now(static_cast<foreign_wait*>(self)->task_); }

std::coroutine_handle<> foreign_wait::begin(std::coroutine_handle<> frame) {
  task_ = awaiting_task(frame);
  if (task_->must_cancel) {
    never_begun_ = true;
    task_->schedule();
    return nullptr;
  }
  const bridge b = make_bridge();
  b.handle.promise().end.wait = this;
  bridge_ = b.handle.address();
  begin_wait(task_, this);
  return b.handle;
}

void foreign_wait::take_back() noexcept {
  task_->waiting = nullptr;  // also what it has handed the bridge on to
  if (bridge_ == nullptr) return;
  const auto b = std::coroutine_handle<bridge::promise_type>::from_address(std::exchange(bridge_, nullptr));
  b.promise().end.wait = nullptr;
  b.destroy();
}

bool foreign_wait::step_aside(coro_core* task, void* frame) noexcept {
  if (task->waiting == nullptr || task->waiting->cancel != &foreign_wait::cancel_foreign) return false;
  auto* me = static_cast<foreign_wait*>(task->waiting);
  if (me->bridge_ != frame) return false;
  me->take_back();
  if (std::exchange(me->cancelled_, false)) task->must_cancel = true;
  return true;
}

// The loop is there: it does not close before its tasks are done. After the post this object may be gone.
void foreign_wait::arrive(bool abandoned) noexcept {
  abandoned_ = abandoned;
  inbox* const home = task_->home;
  arrived_.store(true, order::release);
  if (home->owned_here())
    home->loop()->post(this);
  else
    home->post(this);
}

void foreign_wait::throw_if_never_begun() {
  if (never_begun_) [[unlikely]]
    throw_cancelled(task_);
}

bool foreign_wait::cancelled_while_it_ran() {
  if (abandoned_) [[unlikely]] {
    if (cancelled_) throw_cancelled(task_);
    throw std::runtime_error("what this task waited for was destroyed before it was done");
  }
  return cancelled_;
}

guest_call::guest_call(event_loop& loop) noexcept : home_(&loop.core().box()) {}

void guest_call::send(void (*step)(op*) noexcept) {
  done = step;
  const bool here = home_->owned_here();
  if (here && !home_->loop()->closing()) return home_->loop()->post(this);
  if (here || !home_->post(this)) throw_closed();
}

void guest_call::throw_closed() { throw std::runtime_error("as_awaitable_on(): the event loop is closed"); }

// What was sent to a loop that closes is run when its door is shut already: then nothing can be posted any more.
void guest_call::resume_caller() noexcept {
  done = [](op* self) noexcept {
    const auto* call = static_cast<guest_call*>(self);
    loop_core* const loop = call->loop();
    try {
      std::coroutine_handle<>::from_address(call->caller_).resume();
    } catch (...) {
      coro::report(loop != nullptr ? loop->face() : nullptr,
                   "exception in a coroutine that was resumed by as_awaitable_on()", std::current_exception());
    }
  };
  if (loop() != nullptr)
    loop()->post(this);
  else
    done(this);
}

}  // namespace asyncio::detail
