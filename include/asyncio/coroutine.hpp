// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/detail/foreign.hpp>
#include <asyncio/detail/pointers.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <source_location>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T = void>
class [[nodiscard("a coroutine runs when it is awaited or made a task")]] coroutine;

namespace detail {

template <class T>
void free_block(coro_core* core) noexcept {
  pool_free_of_class(reinterpret_cast<std::byte*>(core) - value_space<T>, core->block_class);
}

template <class T>
[[gnu::noinline]] void free_rare_task(coro_core* task) noexcept {
  if (task->listed) unlist_task(task);
  if (task->has_value) destroy_value<T>(task);
  inbox* home = task->home;
  const std::uint32_t block_class = task->block_class;
  clean_up_task(task);
  pool_free_of_class(reinterpret_cast<std::byte*>(task) - value_space<T>, block_class);
  home->drop_user(user_kind::task);
}

// Of one that ended by a value nothing else is left, unless it is rare. No call that comes back: then nothing is saved
// on the stack.
template <class T>
void free_task(future_core* core) noexcept {
  auto* task = static_cast<coro_core*>(core);
  if (!task->has_value || task->rare || !task->home->owned_here()) [[unlikely]]
    return free_rare_task<T>(task);
  task->home->drop_user_of_owner(user_kind::task);
  destroy_value<T>(task);
  free_block<T>(task);
}

template <class T>
inline constexpr future_kind task_kind{&destroy_value<T>, &cancel_task, &free_task<T>, true};

/// Suspends a coroutine that has ended, and leaves its parent to the driver.
struct final_awaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) const noexcept {
    coro_core* core = coro_core::of_frame(frame.address());
    core->ended = true;
    here.next_frame = core->parent;
  }
  void await_resume() const noexcept {}
};

/// What promises of all result types share. It has no data: the state stands in front of the frame.
template <class T>
class promise_base {
 public:
  static void* operator new(std::size_t frame_size) {
    const std::size_t size = value_space<T> + core_space + frame_size;
    auto* block = static_cast<std::byte*>(pool_allocate(size));
    auto* core = ::new (static_cast<void*>(block + value_space<T>)) coro_core(&task_kind<T>);
    core->block_class = pool_class(size);
    return hide_origin(core->frame());
  }

  /// The frame is gone. A task's block lives on until its last handle is gone.
  static void operator delete(void* frame) noexcept {
    coro_core* core = coro_core::of_frame(frame);
    if (!core->spawned) free_unspawned(core);
  }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() const noexcept { return {}; }

 private:
  // Not inlined into every coroutine's body, which would save more registers at each resumption for it.
  [[gnu::noinline]] static void free_unspawned(coro_core* core) noexcept {
    if (core->rare) [[unlikely]]
      clean_up_unspawned(core);
    if (core->has_value) destroy_value<T>(core);
    free_block<T>(core);
  }
};

}  // namespace detail

/// The result of an asynchronous function: `coroutine<int> f()` is Python's `async def f() -> int`. It does nothing until
/// it is awaited (`co_await f()`) or made a task (`create_task(f())`); it is awaited once. Move-only.
/// A coroutine that is dropped unawaited is reported with its name and place.   Thread: that of the loop it runs in.
template <class T>
class coroutine {
  static_assert(!std::is_reference_v<T>, "coroutine<T&>: return a pointer or a std::reference_wrapper");

 public:
  class promise_type;
  using value_type = T;

  coroutine(coroutine&& other) noexcept : core_(detail::taken(other.core_)) {}
  coroutine& operator=(coroutine&& other) noexcept {
    if (this != &other) {
      if (core_ != nullptr) detail::drop_unawaited(core_);
      core_ = detail::taken(other.core_);
    }
    return *this;
  }
  ~coroutine() {
    if (core_ != nullptr) detail::drop_unawaited(core_);
  }

  class awaiter {
   public:
    using native = void;
    explicit awaiter(detail::coro_core* core) noexcept : core_(core) {}
    awaiter(const awaiter&) = delete;
    awaiter& operator=(const awaiter&) = delete;
    ~awaiter() { detail::destroy_frame(core_->frame()); }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> parent) {
      detail::awaiting_task(parent);
      core_->parent = detail::here.task->top;
      core_->started = true;
      detail::here.next_frame = core_->frame();
      --detail::here.budget;
    }
    T await_resume() {
      if (!core_->has_value) [[unlikely]]
        detail::throw_no_value(core_);
      if constexpr (!std::is_void_v<T>) return std::move(*detail::value_of<T>(core_));
    }

   private:
    detail::coro_core* core_;
  };

  awaiter operator co_await() && {
    if (core_ == nullptr) detail::throw_awaited_twice();
    return awaiter(detail::taken(core_));
  }

  /// The library's own. release() gives up ownership.
  detail::coro_core* raw_core() const noexcept { return core_; }
  detail::coro_core* release() noexcept { return detail::taken(core_); }

 private:
  explicit coroutine(detail::coro_core* core) noexcept : core_(core) {}
  detail::coro_core* core_;
};

namespace detail {

template <class T, class Promise>
coro_core* core_of(Promise& promise) noexcept {
  return coro_core::of_frame(std::coroutine_handle<Promise>::from_promise(promise).address());
}

template <class T, class Derived>
class return_slot {
 public:
  template <std::convertible_to<T> U = T>
  void return_value(U&& value) {
    coro_core* core = core_of<T>(static_cast<Derived&>(*this));
    emplace_value<T>(core, std::forward<U>(value));
    core->has_value = true;
  }

 private:
  friend Derived;
  return_slot() = default;
};

template <class Derived>
class return_slot<void, Derived> {
 public:
  void return_void() noexcept { core_of<void>(static_cast<Derived&>(*this))->has_value = true; }

 private:
  friend Derived;
  return_slot() = default;
};

}  // namespace detail

template <class T>
class coroutine<T>::promise_type : public detail::promise_base<T>,
                                   public detail::return_slot<T, typename coroutine<T>::promise_type> {
 public:
  coroutine get_return_object(std::source_location where = std::source_location::current()) noexcept {
    detail::coro_core* core = detail::core_of<T>(*this);
    core->origin = where;
    return coroutine(core);
  }

  void unhandled_exception() noexcept {
    detail::coro_core* core = detail::core_of<T>(*this);
    if (core->has_value) {
      detail::destroy_value<T>(core);
      core->has_value = false;
    }
    detail::store_exception(core);
  }

  template <class A>
    requires awaitable<A>
  decltype(auto) await_transform(A&& a, std::source_location where = std::source_location::current()) noexcept {
    detail::core_of<T>(*this)->site = where;
    return detail::as_native<A>(static_cast<A&&>(a));
  }

  template <class A>
    requires(!awaitable<A>)
  std::suspend_never await_transform(A&&) {
    static_assert(awaitable<A>,
                  "this cannot be co_awaited here (a named coroutine is awaited by: co_await std::move(c))");
    return {};
  }
};

}  // namespace asyncio
