// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/parking.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/timeout.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <utility>

namespace asyncio {

namespace detail {

/// Something with permits: a lock has one, a semaphore as many as it likes. Strictly first come, first served: while
/// anybody is in line, whoever comes queues up behind. A permit that is given back calls the first in line, and is
/// `promised` until that task takes it.
class permits {
 public:
  /// `taker`: what the caller calls to get a permit, for messages.
  permits(std::size_t value, const char* taker) noexcept : free_(value), taker_(taker) {}

  /// Errors: std::runtime_error in a wrong thread.
  void check_thread(const char* call) const { home_.check_thread(call); }
  /// For a task that need not wait, and has budget left.
  bool try_take() {
    check_thread(taker_);
    if (none_left() || !within_budget()) return false;
    --free_;
    return true;
  }
  void give() noexcept {
    ++free_;
    call_next();
  }
  bool none_left() const noexcept { return free_ == 0 || !line_.empty(); }
  std::size_t free() const noexcept { return free_; }

 private:
  friend class permit_wait;
  void call_next() noexcept {
    while (promised_ < free_ && line_.call_first()) ++promised_;
  }
  std::size_t free_;          // the promised ones included
  std::size_t promised_ = 0;  // how many have been called and have not come yet
  const char* taker_;
  loop_bond home_;
  parking line_{home_};
};

/// Waits for a permit.
class [[nodiscard("it must be awaited: co_await x.acquire()")]] permit_wait : public parked {
 public:
  explicit permit_wait(permits& from) noexcept : from_(&from) {}
  permit_wait(permit_wait&& other) noexcept : parked(static_cast<parked&&>(other)), from_(other.from_) {}

  bool await_ready() { return from_->try_take(); }
  void await_suspend(std::coroutine_handle<> frame) {
    from_->line_.park(*this, frame, &permit_wait::collect, &permit_wait::cancelled_when_called);
    from_->call_next();  // itself, if it need not wait
  }
  void await_resume() { check_cancelled(); }

 private:
  static bool collect(parked& p) noexcept {
    permits& from = *static_cast<permit_wait&>(p).from_;
    --from.promised_;
    --from.free_;
    from.call_next();  // those who queued up behind p while more than one permit was free
    return true;
  }
  static void cancelled_when_called(parked& p) noexcept {
    permits& from = *static_cast<permit_wait&>(p).from_;
    --from.promised_;
    from.call_next();
  }
  permits* from_;
};

}  // namespace detail

namespace detail {
/// Inside a catch block.
void report_failed_release() noexcept;
}  // namespace detail

/// A permit that is given back when the guard goes. If that fails, because somebody released it by hand, the loop's
/// exception handler is told.
class [[nodiscard("a guard that is not kept releases at once")]] scoped_guard {
 public:
  explicit scoped_guard(void* owner, void (*give_back)(void*)) noexcept : owner_(owner), give_back_(give_back) {}
  scoped_guard(scoped_guard&& other) noexcept : owner_(detail::taken(other.owner_)), give_back_(other.give_back_) {}
  scoped_guard& operator=(scoped_guard&& other) noexcept {
    detail::swap_pointers(owner_, other.owner_);
    detail::swap_pointers(give_back_, other.give_back_);
    return *this;
  }
  ~scoped_guard() {
    try {
      release();
    } catch (...) {
      detail::report_failed_release();
    }
  }
  /// Gives it back now; the guard is empty then.
  void release() {
    if (owner_ != nullptr) give_back_(detail::taken(owner_));
  }

 private:
  void* owner_;
  void (*give_back_)(void*);
};

namespace detail {

class [[nodiscard("it must be awaited: auto guard = co_await x.scoped()")]] scoped_wait : public permit_wait {
 public:
  scoped_wait(permits& from, void* owner, void (*give_back)(void*)) noexcept
      : permit_wait(from), owner_(owner), give_back_(give_back) {}
  scoped_guard await_resume() {
    permit_wait::await_resume();
    return scoped_guard(owner_, give_back_);
  }

 private:
  void* owner_;
  void (*give_back_)(void*);
};

}  // namespace detail

/// Mutual exclusion between tasks; first come, first served; not re-entrant; any task may release it.
/// Cancel: of acquire(): safe, the lock is not taken, or it is and the cancellation arrives at the next suspension.
/// Thread: the loop's, checked: of whose tasks the first waited for it. Until then one at a time, as any object; this
/// holds for everything here.   Python: asyncio.Lock.
class lock {
 public:
  lock() noexcept : permits_(1, "lock.acquire()") {}
  lock(const lock&) = delete;
  lock& operator=(const lock&) = delete;

  detail::permit_wait acquire() noexcept { return detail::permit_wait(permits_); }
  /// Errors: std::runtime_error when it is not locked.
  void release();
  bool locked() const {
    permits_.check_thread("lock.locked()");
    return permits_.free() == 0;
  }
  /// auto guard = co_await l.scoped();
  detail::scoped_wait scoped() noexcept {
    return detail::scoped_wait(permits_, this, [](void* self) { static_cast<lock*>(self)->release(); });
  }
  detail::permit_wait aenter() noexcept { return acquire(); }
  detail::ready_operation_void aexit(std::exception_ptr) {
    release();
    return {};
  }

 private:
  friend class condition;
  detail::permits permits_;
};

namespace detail {
/// As many permits. Errors: std::invalid_argument for a number that was negative before it became a size.
std::size_t checked_permits(std::size_t value);
}  // namespace detail

/// At most so many at once; first come, first served.   Cancel: as lock.   Python: asyncio.Semaphore.
class semaphore {
 public:
  /// Errors: std::invalid_argument for a negative value.
  explicit semaphore(std::size_t value = 1) : permits_(detail::checked_permits(value), "semaphore.acquire()") {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  virtual ~semaphore() = default;

  detail::permit_wait acquire() noexcept { return detail::permit_wait(permits_); }
  virtual void release() {
    permits_.check_thread("semaphore.release()");
    permits_.give();
  }
  /// Would acquire() wait?
  bool locked() const {
    permits_.check_thread("semaphore.locked()");
    return permits_.none_left();
  }
  detail::scoped_wait scoped() noexcept {
    return detail::scoped_wait(permits_, this, [](void* self) { static_cast<semaphore*>(self)->release(); });
  }
  detail::permit_wait aenter() noexcept { return acquire(); }
  detail::ready_operation_void aexit(std::exception_ptr) {
    release();
    return {};
  }

 protected:
  detail::permits permits_;
};

/// A semaphore that cannot be released more often than it was acquired.   Python: asyncio.BoundedSemaphore.
class bounded_semaphore : public semaphore {
 public:
  /// Errors: std::invalid_argument for a negative value.
  explicit bounded_semaphore(std::size_t value = 1) : semaphore(value), bound_(value) {}
  /// Errors: std::invalid_argument when it would exceed its initial value.
  void release() override;

 private:
  std::size_t bound_;
};

/// Something that happened, or not yet.   Python: asyncio.Event.
class event {
 public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  class [[nodiscard("it must be awaited: co_await e.wait()")]] waiter : public detail::parked {
   public:
    explicit waiter(event& e) noexcept : event_(&e) {}
    waiter(waiter&& other) noexcept : parked(static_cast<parked&&>(other)), event_(other.event_) {}
    bool await_ready() const {
      event_->home_.check_thread("event.wait()");
      return event_->set_ && detail::within_budget();
    }
    void await_suspend(std::coroutine_handle<> frame) {
      event_->line_.park(*this, frame, &detail::collect_nothing, &detail::call_nobody_else);
      if (event_->set_) event_->line_.call_all();
    }
    void await_resume() { check_cancelled(); }

   private:
    event* event_;
  };

  /// Waits until it is set; does not suspend when it is.   Cancel: safe.
  waiter wait() noexcept { return waiter(*this); }
  /// Wakes everybody who waits now, in order, even if clear() follows at once.
  void set() {
    home_.check_thread("event.set()");
    set_ = true;
    line_.call_all();
  }
  void clear() {
    home_.check_thread("event.clear()");
    set_ = false;
  }
  bool is_set() const {
    home_.check_thread("event.is_set()");
    return set_;
  }

 private:
  bool set_ = false;
  detail::loop_bond home_;
  detail::parking line_{home_};
};

/// A lock with a place to wait in until something has changed. Who waits in one that is destroyed gets a
/// std::runtime_error; but guards of its own lock must go before it.   Python: asyncio.Condition.
class condition {
 public:
  condition() noexcept : lock_(&own_) {}
  /// Uses a lock of the caller's, which must outlive it.
  explicit condition(lock& l) noexcept : lock_(&l) {}
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;

  detail::permit_wait acquire() noexcept { return lock_->acquire(); }
  void release() { lock_->release(); }
  bool locked() const { return lock_->locked(); }
  detail::scoped_wait scoped() noexcept { return lock_->scoped(); }
  detail::permit_wait aenter() noexcept { return acquire(); }
  detail::ready_operation_void aexit(std::exception_ptr error) { return lock_->aexit(std::move(error)); }

  /// Releases the lock, waits to be notified, takes the lock again: always, cancelled or not. May wake without reason.
  /// Cancel: safe; a notification that reached this task goes on to another.
  /// Errors: std::runtime_error when the lock is not held.
  coroutine<> wait();
  /// Waits until pred() is true.
  template <std::predicate F>
  coroutine<> wait_for(F&& pred) {
    static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
    return wait_until_true<std::decay_t<F>>(this, std::forward<F>(pred));
  }
  /// Wakes up to n of those who wait, in order. Errors: std::runtime_error when the lock is not held.
  void notify(std::size_t n = 1);
  void notify_all();

 private:
  friend class barrier;
  class notification;
  template <class F>
  static coroutine<> wait_until_true(condition* self, F pred) {
    bool ready = pred();
    while (!ready) {
      co_await self->wait();
      ready = pred();
    }
  }
  coroutine<> wait_for_notification();
  /// Errors: std::runtime_error in a wrong thread.
  void check_thread(const char* call) const {
    home_.check_thread(call);
    lock_->permits_.check_thread(call);
  }
  /// And when the lock is not held.
  void check_locked(const char* call) const;

  lock own_;
  lock* lock_;
  detail::loop_bond home_;
  detail::parking line_{home_};
};

/// A point that several tasks pass together.   Python: asyncio.Barrier.
class barrier {
 public:
  /// Errors: std::invalid_argument for zero parties.
  explicit barrier(std::size_t parties);
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  /// Waits until all parties wait; each gets an index of its own, from 0.
  /// Cancel: safe, the others go on waiting.   Errors: broken_barrier_error.
  coroutine<std::size_t> wait();
  /// Who waits gets broken_barrier_error; the barrier is as new afterwards.
  coroutine<> reset();
  /// Breaks it until reset().
  coroutine<> abort();
  std::size_t parties() const noexcept { return parties_; }
  std::size_t n_waiting() const {
    changed_.check_thread("barrier.n_waiting()");
    return phase_ == phase::filling ? count_ : 0;
  }
  bool broken() const {
    changed_.check_thread("barrier.broken()");
    return phase_ == phase::broken;
  }
  coroutine<std::size_t> aenter() { return wait(); }
  detail::ready_operation_void aexit(std::exception_ptr) noexcept { return {}; }

 private:
  enum class phase { filling, draining, resetting, broken };
  coroutine<std::size_t> pass();
  coroutine<> start_anew();
  coroutine<> break_it();
  coroutine<> block();
  coroutine<> wait_for_others();
  void leave();

  condition changed_;
  std::size_t parties_;
  std::size_t count_ = 0;
  phase phase_ = phase::filling;
};

}  // namespace asyncio
