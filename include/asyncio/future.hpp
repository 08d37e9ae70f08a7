// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/context_core.hpp>
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/detail/future_core.hpp>
#include <asyncio/errors.hpp>

#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

namespace asyncio {

class event_loop;
/// The loop that runs in this thread. Errors: std::runtime_error when there is none.  Python: get_running_loop().
event_loop& get_running_loop();

/// Names a done-callback, for remove_done_callback().
class callback_token {
 public:
  callback_token() = default;
  explicit callback_token(std::uint64_t id) noexcept : id_(id) {}
  std::uint64_t id() const noexcept { return id_; }
  friend bool operator==(callback_token, callback_token) = default;

 private:
  std::uint64_t id_ = 0;
};

namespace detail {

/// A done-callback. Waits among the future's waiters; when the future is done it stands in the ready queue, with a
/// reference to the future, and is called in the next turn.
struct done_callback : waiter, op {
  std::uint64_t id = 0;
  core_ref<> subject;
  counted_thing variables;                             ///< of the context that it was registered in
  void (*call)(done_callback*, core_ref<>) = nullptr;  ///< runs the closure; may throw
  void (*destroy)(done_callback*) noexcept = nullptr;
};

callback_token link_done_callback(future_core* core, done_callback* node);
bool unlink_done_callback(future_core* core, callback_token token);
event_loop& face_of(future_core* core);
/// Errors: std::runtime_error in a wrong thread.
inbox& home_of(event_loop& loop);
[[noreturn]] void throw_empty_handle();
[[noreturn]] void throw_task_result();
[[noreturn]] void throw_other_loop();
[[noreturn]] void throw_self_await();

template <class Handle, class F>
callback_token add_callback(future_core* core, F f) {
  struct node : done_callback {
    explicit node(F g) : f(std::move(g)) {}
    F f;
  };
  auto* n = pool_new<node>(std::move(f));
  n->call = [](done_callback* self, core_ref<> subject) {
    static_cast<node*>(self)->f(Handle::from_core(std::move(subject)));
  };
  n->destroy = [](done_callback* self) noexcept {
    auto* mine = static_cast<node*>(self);
    mine->~node();
    pool_free(mine, sizeof(node));
  };
  return link_done_callback(core, n);
}

/// Waits for a future: the awaiter of futures, tasks and whatever stands on them.
class future_wait : public wait_base, public waiter {
 public:
  explicit future_wait(core_ref<> subject) noexcept : subject_(std::move(subject)) {}
  future_wait(const future_wait&) = delete;
  future_wait& operator=(const future_wait&) = delete;
  ~future_wait() {
    if (linked()) [[unlikely]]
      stop_waiting();
  }

  bool await_ready() const {
    if (!subject_) [[unlikely]]
      throw_empty_handle();
    if (here.task == nullptr || here.task->home != subject_->home) [[unlikely]]
      check_from_elsewhere();
    return subject_->is_done() && within_budget();
  }
  void await_suspend(std::coroutine_handle<> frame) {
    task_ = awaiting_task(frame);
    if (subject_->is_done()) [[unlikely]]
      return task_->schedule();
    if (task_ == subject_.get()) [[unlikely]]
      throw_self_await();
    notify = &wake_task;
    cancel = &cancel_future_wait;
    subject_->add_waiter(this);
    begin_wait(task_, this);
  }
  /// Passes the request on to what is waited for.
  static bool cancel_future_wait(wait_base* self) noexcept;
  /// Tells the task that the subject is done.
  static void wake_task(waiter* self, future_core* subject) noexcept;
  future_core* subject() const noexcept { return subject_.get(); }
  /// Who waits.
  coro_core* task() const noexcept { return task_; }
  /// Ends the wait without the subject: for a ring of tasks that wait for each other.
  void abandon() noexcept {
    subject_->remove_waiter(this);
    abandoned_ = true;
    task_->wake();
  }

 private:
  void stop_waiting() noexcept;       // a frame that is destroyed while it waits
  void check_from_elsewhere() const;  // awaited by no task of the subject's loop: that is allowed when it is done
  [[noreturn]] void throw_failure();

 protected:
  /// Throws what stands in the way of the value.
  void settle() {
    if (abandoned_) [[unlikely]]
      throw_cancelled(task_);
    if (subject_->has_no_value()) [[unlikely]]
      throw_failure();
  }

  core_ref<> subject_;
  coro_core* task_ = nullptr;
  bool abandoned_ = false;
};

}  // namespace detail

/// A result that is still to come: a shared handle, cheap to copy; == is identity. Written once, by set_result(),
/// set_exception() or cancel(); awaited by anybody, as often as they like.
/// Thread: copies and destruction in any; all else the loop's, checked.   Python: asyncio.Future.
template <class T = void>
class future {
 public:
  using value_type = T;

  /// A pending future. Errors: std::runtime_error outside a running loop when none is given.
  explicit future(event_loop& loop = get_running_loop())
      : core_(detail::core_ref<>::adopt(detail::make_future_core<T>(&detail::home_of(loop)))) {}

  /// Has an outcome of any kind.
  bool done() const { return core("future.done()")->is_done(); }
  /// Was cancelled.
  bool cancelled() const { return core("future.cancelled()")->state == detail::future_state::cancelled; }

  /// The value, by const reference. Errors: invalid_state_error while pending, cancelled_error, the stored exception.
  decltype(auto) result() const {
    detail::future_core* c = core("future.result()");
    c->check_result();
    if constexpr (!std::is_void_v<T>) return static_cast<const T&>(*detail::value_of<T>(c));
  }
  /// The stored exception, null when there is a value. Errors: invalid_state_error while pending, cancelled_error.
  std::exception_ptr exception() const { return core("future.exception()")->get_exception(); }

  /// Gives the value; wakes who waits in the next turn. Errors: invalid_state_error when already done.
  template <class U = T>
    requires(!std::is_void_v<T>) && std::constructible_from<detail::stored_t<T>, U>
  void set_result(U&& value) const {
    detail::future_core* c = settable("future.set_result()");
    detail::emplace_value<T>(c, std::forward<U>(value));
    c->finish_value();
  }
  void set_result() const
    requires std::is_void_v<T>
  {
    settable("future.set_result()")->finish_value();
  }

  /// Gives an exception instead of a value. One that nobody looks at is reported when the last handle goes.
  /// Errors: invalid_state_error when already done; std::invalid_argument for null.
  void set_exception(std::exception_ptr error) const {
    detail::future_core* c = settable("future.set_exception()");
    if (error == nullptr) throw std::invalid_argument("set_exception(nullptr)");
    c->finish_error(std::move(error));
  }
  template <class E>
    requires(!std::convertible_to<E, std::exception_ptr>)
  void set_exception(E error) const {
    set_exception(std::make_exception_ptr(std::move(error)));
  }

  /// Asks for cancellation. A plain future is cancelled at once; a task is asked to (see task::cancel); a gather passes
  /// it to its children. False: already done.
  bool cancel(std::string message = {}) const {
    detail::future_core* c = core("future.cancel()");
    return c->kind->cancel(c, detail::shared_text(std::move(message)));
  }

  /// Calls f(future) in a turn of its own once done; in the next one if it is already. Exceptions of f go to the loop's
  /// exception handler.
  template <detail::plain_callable<future> F>
  callback_token add_done_callback(F f) const {
    return detail::add_callback<future>(core("future.add_done_callback()"), std::move(f));
  }
  /// Takes a callback back. False: it was called, or is about to be.
  bool remove_done_callback(callback_token token) const {
    return detail::unlink_done_callback(core("future.remove_done_callback()"), token);
  }

  event_loop& get_loop() const { return detail::face_of(core("future.get_loop()")); }

  friend bool operator==(const future& a, const future& b) noexcept { return a.core_.get() == b.core_.get(); }

  class awaiter : public detail::future_wait {
   public:
    using future_wait::future_wait;
    decltype(auto) await_resume() {
      this->settle();
      if constexpr (!std::is_void_v<T>) return static_cast<const T&>(*detail::value_of<T>(this->subject_.get()));
    }
  };

  class moving_awaiter : public detail::future_wait {
   public:
    using future_wait::future_wait;
    T await_resume() {
      this->settle();
      [[maybe_unused]] detail::future_core* c = this->subject_.get();
      if constexpr (!std::is_void_v<T>) {
        T& value = *detail::value_of<T>(c);
        if constexpr (std::is_trivially_copyable_v<T>) return value;
        if constexpr (detail::can_copy<T>) {
          if (!c->only_reference()) return static_cast<const T&>(value);
        }
        return std::move(value);
      }
    }
  };

  /// Waits for the outcome: the value by const reference, or what result() throws.
  /// Cancel: the future is cancelled with the task that waits for it (shield() prevents that).
  awaiter operator co_await() const& { return awaiter(core_); }
  /// Waits, and moves the value out if this was the last handle or it cannot be copied; else copies it.
  moving_awaiter operator co_await() && { return moving_awaiter(std::move(core_)); }

  /// The library's own.
  static future from_core(detail::core_ref<> core) noexcept { return future(std::move(core)); }
  const detail::core_ref<>& raw_core() const noexcept { return core_; }

 protected:
  explicit future(detail::core_ref<> core) noexcept : core_(std::move(core)) {}
  detail::future_core* core(const char* call) const {
    if (!core_) [[unlikely]]
      detail::throw_empty_handle();
    core_->check_thread(call);
    return core_.get();
  }

 private:
  detail::future_core* settable(const char* call) const {
    detail::future_core* c = core(call);
    if (c->is_task()) [[unlikely]]
      detail::throw_task_result();
    c->check_settable(call);
    return c;
  }

  detail::core_ref<> core_;
};

}  // namespace asyncio
