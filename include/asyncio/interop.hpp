// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/task.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace detail {

/// A coroutine of another library that waits for one of ours. The op goes to the loop twice: to start the task, and to
/// resume the caller when the task's frame is gone.
class guest_call : public op {
 public:
  explicit guest_call(event_loop& loop) noexcept;
  guest_call(guest_call&& other) noexcept : home_(other.home_) {}  // moved only before it waits
  guest_call& operator=(const guest_call&) = delete;

  /// The end of the task, whatever it is: a value of the task's frame.
  class end {
   public:
    explicit end(guest_call* call) noexcept : call_(call) {}
    end(end&& other) noexcept : call_(taken(other.call_)) {}
    end& operator=(const end&) = delete;
    ~end() {
      if (call_ != nullptr) call_->resume_caller();
    }

   private:
    guest_call* call_;
  };

 protected:
  /// Runs `step` in the loop. Errors: std::runtime_error when it is closed.  Thread: any.
  void send(void (*step)(op*) noexcept);
  /// Null once it is closed.
  loop_core* loop() const noexcept { return home_->loop(); }
  [[noreturn]] static void throw_closed();
  void* caller_ = nullptr;
  std::exception_ptr error_;

 private:
  void resume_caller() noexcept;
  inbox* home_;
};

template <class T>
class [[nodiscard("it must be awaited")]] awaitable_on : public guest_call {
 public:
  awaitable_on(event_loop& loop, coroutine<T> c) noexcept : guest_call(loop), coroutine_(std::move(c)) {}
  awaitable_on(awaitable_on&& other) noexcept : guest_call(std::move(other)), coroutine_(std::move(other.coroutine_)) {}
  ~awaitable_on() {
    if (coro_core* core = coroutine_.release()) drop(core);
  }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> caller) {
    caller_ = caller.address();
    begun_ = true;
    send([](op* self) noexcept { static_cast<awaitable_on*>(self)->start_task(); });
  }
  T await_resume() {
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
    if constexpr (!std::is_void_v<T>) return std::move(*value_);
  }

 private:
  void drop(coro_core* core) noexcept { begun_ ? discard(core) : drop_unawaited(core); }
  void start_task() noexcept {
    end at_end(this);
    error_ = std::make_exception_ptr(cancelled_error());  // unless it runs
    try {
      if (loop() == nullptr) throw_closed();
      start(loop(), run(*this, std::move(at_end)));
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  static coroutine<> run(awaitable_on& call, end) {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(call.coroutine_);
      } else {
        T value = co_await std::move(call.coroutine_);
        call.value_.emplace(std::move(value));
      }
      call.error_ = nullptr;
    } catch (...) {
      call.error_ = std::current_exception();
    }
  }

  coroutine<T> coroutine_;
  std::optional<none_t<T>> value_;
  bool begun_ = false;
};

}  // namespace detail

/// Lets a coroutine of another library await one of ours, from any thread:
///
///     cppcoro::task<int> theirs() { co_return co_await asyncio::as_awaitable_on(loop, ours()); }
///
/// The coroutine runs as a task of `loop`; when it has ended the caller is resumed in the loop's thread, and gets its
/// value or what it threw (cancelled_error when the task was cancelled, as it is when the loop ends).
/// Thread: any.   Errors: std::runtime_error when the loop is closed.
template <class A>
  requires detail::spawnable<A>
detail::awaitable_on<detail::value_t<A>> as_awaitable_on(event_loop& loop, A&& awaited) {
  return detail::awaitable_on<detail::value_t<A>>(loop, detail::as_coroutine(std::forward<A>(awaited)));
}

}  // namespace asyncio
