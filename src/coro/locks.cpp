// SPDX-License-Identifier: BSL-1.0
#include <asyncio/locks.hpp>

#include "coro/coro.hpp"

#include <asyncio/errors.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace asyncio {

void lock::release() {
  permits_.check_thread("lock.release()");
  if (permits_.free() != 0) throw std::runtime_error("the lock is not acquired");
  permits_.give();
}

std::size_t detail::checked_permits(std::size_t value) {
  if (value > static_cast<std::size_t>(PTRDIFF_MAX))
    throw std::invalid_argument("the value of a semaphore must not be negative");
  return value;
}

void bounded_semaphore::release() {
  permits_.check_thread("bounded_semaphore.release()");
  if (permits_.free() >= bound_) throw std::invalid_argument("a bounded_semaphore was released too many times");
  semaphore::release();
}

void detail::report_failed_release() noexcept {
  loop_core* loop = here.loop;
  coro::report(loop != nullptr ? loop->face() : nullptr, "a guard could not release what it holds",
               std::current_exception());
}

/// A place among those who wait for a notification.
class condition::notification : public detail::parked {
 public:
  explicit notification(condition& c) noexcept : condition_(&c) {}
  notification(const notification&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    condition_->line_.park(*this, frame, &detail::collect_nothing, &notification::pass_on);
  }
  void await_resume() { check_cancelled(); }
  bool came() const noexcept { return collected(); }
  bool gone() const noexcept { return abandoned(); }

 private:
  static void pass_on(parked& p) noexcept { static_cast<notification&>(p).condition_->line_.call_first(); }
  condition* condition_;
};

void condition::check_locked(const char* call) const {
  check_thread(call);
  if (lock_->permits_.free() != 0) throw std::runtime_error(std::string(call) + ": the lock is not acquired");
}

coroutine<> condition::wait() {
  check_thread("condition.wait()");
  return wait_for_notification();
}

// Cancelled or not, the lock is taken again before anything leaves here, and that needs no memory. A cancellation while
// it is being taken again is kept, and thrown once it is held; the latest wins. When an error leaves a wait that had been
// notified, the notification is passed on. A condition that was destroyed meanwhile has left nothing but a lock of the
// caller's.
coroutine<> condition::wait_for_notification() {
  check_locked("condition.wait()");
  lock& held_by_caller = *lock_;
  const bool lock_is_own = lock_ == &own_;
  std::exception_ptr error;
  notification notice(*this);
  release();
  try {
    co_await detail::in_place(notice);
  } catch (...) {
    error = std::current_exception();
  }
  if (notice.gone() && lock_is_own) std::rethrow_exception(error);
  bool held = false;
  while (!held) {
    try {
      co_await held_by_caller.acquire();
      held = true;
    } catch (const cancelled_error&) {
      error = std::current_exception();
    }
  }
  if (error == nullptr) co_return;
  if (notice.came()) notify(1);
  std::rethrow_exception(error);
}

void condition::notify(std::size_t n) {
  check_locked("condition.notify()");
  while (n > 0 && line_.call_first()) --n;
}

void condition::notify_all() { notify(static_cast<std::size_t>(-1)); }

barrier::barrier(std::size_t parties) : parties_(parties) {
  if (parties == 0) throw std::invalid_argument("a barrier needs at least one party");
}

coroutine<std::size_t> barrier::wait() {
  changed_.check_thread("barrier.wait()");
  return pass();
}

coroutine<> barrier::reset() {
  changed_.check_thread("barrier.reset()");
  return start_anew();
}

coroutine<> barrier::abort() {
  changed_.check_thread("barrier.abort()");
  return break_it();
}

// filling: tasks arrive; the last one turns it to draining and lets all go; who comes while it drains waits until the
// last has left. reset() turns a filling one to resetting until everybody has left with broken_barrier_error.
coroutine<std::size_t> barrier::pass() {
  co_await changed_.acquire();
  std::optional<std::size_t> index;
  std::exception_ptr error;
  try {
    co_await block();
    index = count_++;
    if (*index + 1 == parties_) {
      phase_ = phase::draining;
      changed_.notify_all();
    } else {
      co_await wait_for_others();
    }
  } catch (const detail::abandoned_wait&) {
    throw;  // the barrier is gone, and its lock with it
  } catch (...) {
    error = std::current_exception();
  }
  if (index) {
    --count_;
    leave();
  }
  changed_.release();
  if (error != nullptr) std::rethrow_exception(error);
  co_return *index;
}

coroutine<> barrier::block() {
  while (phase_ == phase::draining || phase_ == phase::resetting) co_await changed_.wait();
  if (phase_ == phase::broken) throw broken_barrier_error("the barrier was aborted");
}

coroutine<> barrier::wait_for_others() {
  while (phase_ == phase::filling) co_await changed_.wait();
  if (phase_ == phase::broken || phase_ == phase::resetting)
    throw broken_barrier_error("the barrier was aborted or reset while it was waited for");
}

void barrier::leave() {
  if (count_ > 0) return;
  if (phase_ == phase::resetting || phase_ == phase::draining) phase_ = phase::filling;
  changed_.notify_all();
}

coroutine<> barrier::start_anew() {
  auto guard = co_await changed_.scoped();
  if (count_ > 0) {
    if (phase_ != phase::resetting) phase_ = phase::resetting;
  } else {
    phase_ = phase::filling;
  }
  changed_.notify_all();
}

coroutine<> barrier::break_it() {
  auto guard = co_await changed_.scoped();
  phase_ = phase::broken;
  changed_.notify_all();
}

}  // namespace asyncio
