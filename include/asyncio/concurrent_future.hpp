// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/concurrent_core.hpp>
#include <asyncio/future.hpp>
#include <asyncio/time.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T = void>
class concurrent_future;

namespace detail {

template <class T = void>
class concurrent_promise;

template <class T, class F>
struct concurrent_call final : concurrent_callback {
  explicit concurrent_call(F&& g) : f(std::move(g)) {
    this->call = [](concurrent_callback* self, concurrent_ref core) noexcept {
      auto* mine = static_cast<concurrent_call*>(self);
      try {
        (void)mine->f(concurrent_future<T>::from_core(std::move(core)));
      } catch (...) {
        report_concurrent_callback();
      }
      delete mine;
    };
  }
  F f;
};

/// The value of a finished concurrent future: moved when nobody else can ask for it or it cannot be copied, else copied.
template <class T>
T take_or_copy(concurrent_core& from) {
  stored_t<T>& value = *concurrent_value<T>(&from);
  if constexpr (can_copy<T>) {
    if (!from.only_reference()) return static_cast<const T&>(value);
  } else {
    from.take_value();
  }
  return std::move(value);
}

/// Puts the value where a future has its own. Errors: what copying it throws.
template <class T>
void give_to_future(concurrent_core& from, future_core& to) {
  if constexpr (!std::is_void_v<T>) emplace_value<T>(&to, take_or_copy<T>(from));
}

}  // namespace detail

/// The future of work that is done outside the loop, by a thread, a process, or another thread's loop: a shared handle,
/// cheap to copy. Threads wait for it by result(), coroutines by co_await.
/// Thread: any, of everything but co_await.   Python: concurrent.futures.Future.
template <class T>
class concurrent_future {
 public:
  using value_type = T;

  /// Has an outcome of any kind.
  bool done() const noexcept { return core_->done(); }
  /// Was cancelled before the work had begun.
  bool cancelled() const noexcept { return core_->state() == detail::concurrent_state::cancelled; }
  /// The work has begun and not ended. Of a coroutine (run_coroutine_threadsafe) it is never said.
  bool running() const noexcept { return core_->state() == detail::concurrent_state::running; }
  /// Asks that the work be not done. True: it is not, and callbacks were called in here. False: it has ended, or
  /// begun; then it goes on, asked to stop if it is a function that takes a std::stop_token.
  bool cancel() const noexcept { return core_->cancel(); }

  /// Blocks until there is an outcome, or until `timeout` has passed, which leaves the work alone. The value: a copy; of a
  /// type that cannot be copied the value itself, once.
  /// Errors: what the work threw; cancelled_error; timeout_error; invalid_state_error when a value that cannot be copied
  /// was taken already; std::runtime_error instead of waiting for ever, when the loop that runs here would have to
  /// complete it.
  T result(std::optional<timedelta> timeout = {}) const {
    core_->wait(timeout);
    core_->check_outcome();
    if constexpr (!std::is_void_v<T>) {
      if constexpr (detail::can_copy<T>)
        return static_cast<const T&>(*detail::concurrent_value<T>(core_.get()));
      else
        return detail::take_or_copy<T>(*core_.get());
    }
  }
  /// A length of time needs a unit. The parameter's name stands in the compiler's error.
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  T result(a_number_without_a_unit_write_5s_or_100ms) const = delete;
  /// Blocks as result() does; what the work threw, or null. Errors: cancelled_error, timeout_error, std::runtime_error.
  std::exception_ptr exception(std::optional<timedelta> timeout = {}) const {
    core_->wait(timeout);
    return core_->error();
  }
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  std::exception_ptr exception(a_number_without_a_unit_write_5s_or_100ms) const = delete;

  /// Calls f(concurrent_future) once there is an outcome, in the thread that completes it; here and now if there is one
  /// already. What f throws is logged.
  template <detail::plain_callable<concurrent_future> F>
  void add_done_callback(F f) const {
    core_->add_callback(new detail::concurrent_call<T, F>(std::move(f)));
  }
  template <class F>
    requires(!detail::plain_callable<F, concurrent_future>)
  void add_done_callback(F) const {
    static_assert(detail::plain_callable<F, concurrent_future>,
                  "add_done_callback takes a function of a concurrent_future; a coroutine function would never run");
  }

  friend bool operator==(const concurrent_future& a, const concurrent_future& b) noexcept {
    return a.core_.get() == b.core_.get();
  }

  /// Waits as for wrap_future(*this). Cancel: cancels the work, if it has not begun; the wait ends at once.
  typename future<T>::moving_awaiter operator co_await() const;

  /// The library's own.
  static concurrent_future from_core(detail::concurrent_ref core) noexcept {
    return concurrent_future(std::move(core));
  }
  const detail::concurrent_ref& raw_core() const noexcept { return core_; }

 private:
  explicit concurrent_future(detail::concurrent_ref core) noexcept : core_(std::move(core)) {}
  detail::concurrent_ref core_;
};

/// A future of the running loop with the outcome of `work`: awaited, gathered and cancelled like any other. Cancelling it
/// cancels `work`; an outcome that comes when the loop is closed is dropped.
/// Errors: std::runtime_error outside a running loop.   Python: asyncio.wrap_future().
template <class T>
future<T> wrap_future(concurrent_future<T> work) {
  future<T> wrapped(get_running_loop());
  detail::bridge_to_loop(work.raw_core(), wrapped.raw_core().get(), &detail::give_to_future<T>);
  return wrapped;
}

template <class T>
typename future<T>::moving_awaiter concurrent_future<T>::operator co_await() const {
  return wrap_future(*this).operator co_await();
}

namespace detail {

/// The producer's end of a concurrent future. start(), then one of set_result() and set_exception(), which end it; or its
/// destruction. Move-only.   Thread: any, one at a time.
template <class T>
class concurrent_promise {
 public:
  concurrent_promise() : core_(concurrent_ref::adopt(make_concurrent<T>())) {}
  concurrent_promise(concurrent_promise&&) noexcept = default;
  concurrent_promise& operator=(concurrent_promise&& other) noexcept {
    concurrent_promise old(std::move(*this));
    core_ = std::move(other.core_);
    return *this;
  }
  ~concurrent_promise() {
    if (core_) abandon_concurrent(std::move(core_));
  }

  concurrent_future<T> get_future() const noexcept { return concurrent_future<T>::from_core(core_); }
  /// The work begins. False: it was cancelled, and is not to be done.
  bool start() const noexcept { return core_->start(); }
  /// Makes the value in its place. What its constructor throws becomes the outcome.
  template <class... A>
  void set_result(A&&... args) {
    try {
      emplace_concurrent<T>(core_.get(), std::forward<A>(args)...);
    } catch (...) {
      return set_exception(std::current_exception());
    }
    concurrent_core::finish_value(std::move(core_));
  }
  void set_exception(std::exception_ptr error) { concurrent_core::finish_error(std::move(core_), std::move(error)); }
  /// Of work that has not started.
  void cancel() noexcept {
    core_->cancel();
    core_ = {};
  }

 private:
  concurrent_ref core_;
};

}  // namespace detail

}  // namespace asyncio
