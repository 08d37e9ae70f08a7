// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/coro_core.hpp>

#include <concepts>
#include <coroutine>
#include <new>
#include <type_traits>
#include <utility>

namespace asyncio::detail {

/// An awaiter of this library: it wakes the task that it suspends, and takes requests for its cancellation.
template <class W>
concept native_awaiter = std::is_base_of_v<wait_base, W> || requires { typename W::native; };

/// The type of the awaiter behind `co_await a`, a reference when `a` is the awaiter itself.
template <class A>
using awaiter_of = decltype(get_awaiter(std::declval<A>()));
template <class A>
concept foreign_awaitable = awaitable<A> && !native_awaiter<std::remove_cvref_t<awaiter_of<A>>>;

/// A task waits for something that knows nothing of tasks: another library's awaiter, which resumes a coroutine handle,
/// once, in whatever thread. It is given the handle of a *bridge*, a coroutine of a few words whose only step posts this
/// op to the task's loop.
///
///     idle → begun → (cancelled) → arrived → over
///                └─▶ aside ─────────────────▶ over
///
/// begun:     the bridge is out there. The foreign side cannot be asked to stop: a request for cancellation is noted, and
///            thrown when it has arrived.
/// arrived:   set by the thread that resumed the bridge, before it posts. A request that comes later finds a result that
///            is there, and waits for the next suspension.
/// abandoned: the bridge was destroyed unresumed, as its owner ends: the task goes on with an error.
/// aside:     the foreign awaiter is a wrapper that has handed the bridge on to an awaiter of this library. The bridge is
///            gone, and the task waits as if there were no wrapper.
class foreign_wait : public wait_base, public op {
 public:
  foreign_wait() noexcept;
  foreign_wait(const foreign_wait&) = delete;
  foreign_wait& operator=(const foreign_wait&) = delete;

  /// Suspends the task. Null: it goes on in the next turn, since it is cancelled already; else the handle that the foreign
  /// side is to resume. Errors: std::bad_alloc; then nothing has begun.
  std::coroutine_handle<> begin(std::coroutine_handle<> frame);
  /// The foreign side did not suspend after all, or failed to begin.
  void take_back() noexcept;
  /// The wait is over: was it cancelled, before the foreign side began or while it ran?
  /// Errors: std::runtime_error when the foreign side was destroyed before it was done.
  bool cancelled_while_it_ran();
  void throw_if_never_begun();
  void keep_request() noexcept { task_->must_cancel = task_->late_cancel = true; }
  coro_core* task() const noexcept { return task_; }
  /// An awaiter of this library is about to suspend `frame` for the running task. True: that is the bridge of the wait
  /// that has just begun, which is over then.
  static bool step_aside(coro_core* task, void* frame) noexcept;
  /// Is this the op of such a wait?
  static bool continues(const op& node) noexcept { return node.done == &foreign_wait::go_on; }

 private:
  friend struct bridge_end;
  static void go_on(op* self) noexcept;
  static bool cancel_foreign(wait_base* self) noexcept;
  void arrive(bool abandoned) noexcept;

  void* bridge_ = nullptr;  // as long as it may be taken back
  coro_core* task_ = nullptr;
  atomic_cell<bool> arrived_{false};
  bool cancelled_ = false;
  bool never_begun_ = false;
  bool abandoned_ = false;
};

/// What stands behind co_await for a foreign awaitable. The awaiter is made when the await begins, so that this may be
/// moved before that.
/// Cancel: waits for the foreign side to be done, drops its result, and throws. An exception of the foreign side comes first,
/// and the cancellation at the next suspension.
template <class A>
class foreign_await {
  using awaiter = awaiter_of<A&&>;

 public:
  explicit foreign_await(A&& awaited) noexcept : awaited_(std::addressof(awaited)) {}
  foreign_await(foreign_await&& other) noexcept : awaited_(other.awaited_) {}
  foreign_await& operator=(const foreign_await&) = delete;
  ~foreign_await() {
    if (made_) state_.~state();
  }

  bool await_ready() {
    ::new (static_cast<void*>(&state_)) state(static_cast<A&&>(*awaited_));
    made_ = true;
    ready_ = static_cast<bool>(state_.there.await_ready());
    return ready_ && within_budget();
  }
  bool await_suspend(std::coroutine_handle<> frame) {
    if (ready_) {
      awaiting_task(frame)->schedule();
      return true;
    }
    const std::coroutine_handle<> bridge = state_.wait.begin(frame);
    if (!bridge) return true;
    try {
      return suspend(bridge);
    } catch (...) {
      state_.wait.take_back();
      throw;
    }
  }
  decltype(auto) await_resume() {
    if (!ready_) [[likely]] {
      state_.wait.throw_if_never_begun();
      if (state_.wait.cancelled_while_it_ran()) [[unlikely]] {
        state_.wait.keep_request();  // for the next suspension, if an error comes first
        static_cast<void>(state_.there.await_resume());
        throw_cancelled(state_.wait.task());
      }
    }
    return state_.there.await_resume();
  }

 private:
  struct state {
    explicit state(A&& awaited) : there(get_awaiter(static_cast<A&&>(awaited))) {}
    awaiter there;
    foreign_wait wait;
  };

  bool suspend(std::coroutine_handle<> bridge) {
    using answer = decltype(state_.there.await_suspend(bridge));
    if constexpr (std::is_void_v<answer>) {
      state_.there.await_suspend(bridge);
    } else if constexpr (std::same_as<answer, bool>) {
      if (!state_.there.await_suspend(bridge)) {
        state_.wait.take_back();
        return false;
      }
    } else {
      state_.there.await_suspend(bridge).resume();
    }
    return true;
  }

  std::remove_reference_t<A>* awaited_;
  union {
    state state_;
  };
  bool made_ = false;
  bool ready_ = false;
};

/// What a promise's await_transform hands on.
template <class A>
decltype(auto) as_native(A&& awaited) noexcept {
  if constexpr (foreign_awaitable<A>)
    return foreign_await<A>(static_cast<A&&>(awaited));
  else
    return static_cast<A&&>(awaited);
}

}  // namespace asyncio::detail
