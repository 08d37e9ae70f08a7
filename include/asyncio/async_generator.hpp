// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/timeout.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace asyncio {

/// Thrown at a generator's co_yield by aclose(): let it pass. Not a std::exception.   Python: GeneratorExit.
class generator_exit final {};

namespace detail {

/// A generator that has begun and not ended is known to its loop, which closes it at the end (shutdown_asyncgens).
struct generator_link {
  generator_link* prev = nullptr;
  generator_link* next = nullptr;
  coroutine<> (*close)(generator_link*) = nullptr;
  coro_core* core = nullptr;

  bool linked() const noexcept { return next != nullptr; }
};
void link_generator(generator_link& link) noexcept;  ///< with the running loop
void unlink_generator(generator_link& link) noexcept;

[[noreturn]] void throw_generator_running();
[[noreturn]] void throw_sent_too_early();
[[noreturn]] void throw_ignored_exit();
[[noreturn]] void throw_not_yielded();
[[noreturn]] void throw_yielded_twice();

/// What a generator holds beside its frame.
///
///   idle ──next()──▶ running ──co_yield──▶ idle …   running ──returns, throws──▶ ended
///
/// While it runs it is a link of the chain of the task that called next(): `parent` of its core is that frame. A
/// generator that is dropped while it runs (`orphan`) is destroyed by the call that runs it.
template <class T>
struct generator_state : generator_link {
  std::optional<T> yielded;
  std::exception_ptr thrown;  // by aclose() or athrow(), at the co_yield
  bool running = false;
  bool orphan = false;
};

/// The other end of co_yield.
template <class Promise>
class yield_awaiter {
 public:
  explicit yield_awaiter(Promise& promise) noexcept : promise_(&promise) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) const noexcept {
    here.next_frame = coro_core::of_frame(frame.address())->parent;
  }
  auto await_resume() const {
    if (promise_->thrown != nullptr) std::rethrow_exception(std::exchange(promise_->thrown, nullptr));
    return promise_->take_sent();
  }

 private:
  Promise* promise_;
};

/// What asend() brings to co_yield.
template <class S>
struct sent_slot {
  std::optional<S> sent;
  /// What asend() gave; nullopt after next().
  std::optional<S> take_sent() { return std::exchange(sent, std::nullopt); }
};
template <>
struct sent_slot<void> {
  void take_sent() const noexcept {}
};

}  // namespace detail

/// A coroutine that yields values on its way: Python's `async def` with `yield`.
///
///     async_generator<int> count(int to) { for (int i = 0; i < to; ++i) { co_yield i; co_await sleep(1s); } }
///     auto numbers = count(3);
///     while (auto n = co_await numbers.next()) use(*n);
///
/// It runs inside next(), in the task that calls it; nothing runs between the calls. Dropped before its end, its locals
/// die where it stands; what it must await at its end (async_finally) runs by aclose(), or by
/// `co_await async_with(std::move(numbers), body)`; a generator that still lives when the program ends is closed by
/// run(). `co_yield` gives what asend() sends: std::optional<S>, nothing when S is void.
/// Thread: that of the loop it runs in.   Python: asynchronous generators.
template <class T, class S = void>
class [[nodiscard("a generator runs when next() is awaited")]] async_generator {
  static_assert(!std::is_reference_v<T>, "async_generator<T&>: yield a pointer or a std::reference_wrapper");

 public:
  class promise_type;
  class next_call;
  using value_type = T;

  async_generator(async_generator&& other) noexcept : promise_(detail::taken(other.promise_)) {}
  async_generator& operator=(async_generator&& other) noexcept {
    async_generator old(std::move(*this));
    promise_ = detail::taken(other.promise_);
    return *this;
  }
  ~async_generator();

  /// co_await g.next(): the next value, as std::optional<T>; nullopt when the generator has ended.
  /// Errors: what the generator throws; std::runtime_error while it runs in another task.   Python: anext().
  next_call next() { return next_call(promise_); }
  /// The same, and the co_yield that it continues from gives `value`. Errors: std::runtime_error also for a generator that
  /// has not begun, and stands at no co_yield.   Python: agen.asend().
  template <std::convertible_to<S> U = S>
    requires(!std::is_void_v<S>)
  next_call asend(U&& value) {
    next_call call(promise_);
    call.what_.sent.emplace(std::forward<U>(value));
    return call;
  }
  /// The same, and the co_yield throws `error`; a generator that has not begun ends with it.   Python: agen.athrow().
  coroutine<std::optional<T>> athrow(std::exception_ptr error);
  /// Ends it: the co_yield throws generator_exit, and its clean-up is awaited. Idempotent.
  /// Errors: what the clean-up throws; std::runtime_error when it yields once more.   Python: agen.aclose().
  coroutine<> aclose();

  detail::ready_operation_void aenter() noexcept { return {}; }
  coroutine<> aexit(std::exception_ptr) { return aclose(); }

 private:
  explicit async_generator(promise_type* promise) noexcept : promise_(promise) {}
  promise_type* promise_;
};

template <class T, class S>
class async_generator<T, S>::promise_type : public detail::promise_base<void>,
                                            public detail::generator_state<T>,
                                            public detail::sent_slot<S> {
 public:
  ~promise_type() {
    if (this->linked()) detail::unlink_generator(*this);
  }

  async_generator get_return_object(std::source_location where = std::source_location::current()) noexcept {
    this->core = detail::core_of<void>(*this);
    this->core->origin = where;
    this->close = [](detail::generator_link* link) { return end(static_cast<promise_type*>(link)); };
    return async_generator(this);
  }
  template <std::convertible_to<T> U = T>
  detail::yield_awaiter<promise_type> yield_value(U&& value) {
    this->yielded.emplace(std::forward<U>(value));
    return detail::yield_awaiter<promise_type>(*this);
  }
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { detail::store_exception(this->core); }

  template <class A>
    requires awaitable<A>
  decltype(auto) await_transform(A&& a, std::source_location where = std::source_location::current()) noexcept {
    this->core->site = where;
    return detail::as_native<A>(static_cast<A&&>(a));
  }

  void* frame() const noexcept { return this->core->frame(); }
  bool begun() const noexcept { return this->core->started; }
  bool ended() const noexcept { return this->core->ended; }

  /// aclose(), for whoever holds it.
  static coroutine<> end(promise_type* promise) {
    if (promise->running) detail::throw_generator_running();
    if (!promise->begun()) promise->core->ended = true;
    if (promise->ended()) co_return;
    promise->thrown = std::make_exception_ptr(generator_exit());
    bool again = false;
    try {
      const std::optional<T> value = co_await next_call(promise);
      again = value.has_value();
    } catch (const generator_exit&) {}
    if (again) detail::throw_ignored_exit();
  }
};

/// One run of the generator, to its next co_yield.
template <class T, class S>
class [[nodiscard("it must be awaited: co_await g.next()")]] async_generator<T, S>::next_call {
 public:
  class awaiter {
   public:
    using native = void;
    awaiter(promise_type* promise, detail::sent_slot<S> what) noexcept : promise_(promise), what_(std::move(what)) {}
    awaiter(const awaiter&) = delete;
    awaiter& operator=(const awaiter&) = delete;
    ~awaiter() {
      if (ours_ && promise_->orphan) detail::destroy_frame(promise_->frame());
    }

    bool await_ready() const noexcept { return over() && detail::within_budget(); }
    void await_suspend(std::coroutine_handle<> parent) {
      detail::coro_core* const task = detail::awaiting_task(parent);
      --detail::here.budget;
      if (over()) return task->schedule();
      if (promise_->running) detail::throw_generator_running();
      detail::coro_core* core = promise_->core;
      if (!core->started) begin();
      if constexpr (!std::is_void_v<S>) promise_->sent = std::move(what_.sent);
      promise_->running = ours_ = true;
      core->parent = task->top;
      detail::here.next_frame = promise_->frame();
    }
    std::optional<T> await_resume() {
      if (!ours_) return std::nullopt;
      promise_->running = false;
      detail::coro_core* core = promise_->core;
      if (core->ended && promise_->linked()) detail::unlink_generator(*promise_);
      if (core->error != nullptr) detail::rethrow_error(core);
      return std::exchange(promise_->yielded, std::nullopt);
    }

   private:
    /// Nothing is left to run.
    bool over() const noexcept { return promise_ == nullptr || (promise_->ended() && !promise_->running); }
    void begin() {
      if constexpr (!std::is_void_v<S>)
        if (what_.sent) detail::throw_sent_too_early();
      detail::link_generator(*promise_);
      promise_->core->started = true;
    }

    promise_type* promise_;
    [[no_unique_address]] detail::sent_slot<S> what_;
    bool ours_ = false;
  };

  explicit next_call(promise_type* promise) noexcept : promise_(promise) {}
  awaiter operator co_await() const&
    requires(std::is_void_v<S> || std::copy_constructible<S>)
  {
    return awaiter(promise_, what_);
  }
  awaiter operator co_await() && noexcept { return awaiter(promise_, std::move(what_)); }

 private:
  friend async_generator;
  promise_type* promise_;
  [[no_unique_address]] detail::sent_slot<S> what_;
};

template <class T, class S>
async_generator<T, S>::~async_generator() {
  if (promise_ == nullptr) return;
  if (promise_->running)
    promise_->orphan = true;
  else
    detail::destroy_frame(promise_->frame());
}

template <class T, class S>
coroutine<std::optional<T>> async_generator<T, S>::athrow(std::exception_ptr error) {
  promise_type* promise = promise_;
  if (promise == nullptr || (promise->ended() && !promise->running)) co_return std::nullopt;
  if (promise->running) detail::throw_generator_running();
  if (!promise->begun()) {
    promise->core->ended = true;
    std::rethrow_exception(error);
  }
  promise->thrown = std::move(error);
  co_return co_await next_call(promise);
}

template <class T, class S>
coroutine<> async_generator<T, S>::aclose() {
  if (promise_ != nullptr) co_await promise_type::end(promise_);
}

namespace detail {

/// What context_manager() makes of a generator.
template <class T>
class generator_manager {
 public:
  explicit generator_manager(async_generator<T> body) noexcept : body_(std::move(body)) {}

  coroutine<T> aenter() {
    std::optional<T> value = co_await body_.next();
    if (!value) throw_not_yielded();
    co_return std::move(*value);
  }
  coroutine<bool> aexit(std::exception_ptr error) {
    if (error == nullptr) {
      const std::optional<T> more = co_await body_.next();
      if (more) throw_yielded_twice();
      co_return false;
    }
    std::exception_ptr thrown;
    bool again = false;
    try {
      const std::optional<T> more = co_await body_.athrow(error);
      again = more.has_value();
    } catch (...) {
      thrown = std::current_exception();
    }
    if (again) throw_yielded_twice();
    if (thrown != nullptr && thrown != error) std::rethrow_exception(thrown);
    co_return thrown == nullptr;
  }

 private:
  async_generator<T> body_;
};

}  // namespace detail

/// A context manager from a generator that yields once: what stands before the co_yield enters, what is yielded is given
/// to the body, what stands after it leaves. The body's exception is thrown at the co_yield; a generator that catches it
/// and ends has handled it.   Python: contextlib.asynccontextmanager.
template <class T>
detail::generator_manager<T> context_manager(async_generator<T> body) {
  return detail::generator_manager<T>(std::move(body));
}

}  // namespace asyncio
