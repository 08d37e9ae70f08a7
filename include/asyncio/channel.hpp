// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/channel_core.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/time.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace asyncio {

/// A bounded queue between loops, and between loops and threads. Its words are those of queue<T>; a channel is a handle,
/// though: a copy is the same channel, and the last handle that goes shuts it down. Tasks of any loop and blocking threads
/// wait in the same two lines, first come, first served, and items arrive in the order in which they were put. An item
/// goes from hand to hand: who is first in line has it before anybody else can take it.
/// A channel keeps no loop alive, and belongs to none. An item may be destroyed in any thread that holds a handle.
/// Thread: any.   Python: none; queue.Queue for threads, asyncio.Queue for tasks.
template <class T>
class channel {
  using node = detail::channel_node<T>;

 public:
  using value_type = T;
  /// With room for `maxsize` items. Errors: std::invalid_argument for 0.
  explicit channel(std::size_t maxsize) : handle_(maxsize, &node::drop) {
    static_assert(std::is_object_v<T> && std::is_nothrow_destructible_v<T>, "a channel carries objects");
  }

  class [[nodiscard("it must be awaited: co_await c.put(item)")]] put_operation : public detail::channel_wait {
   public:
    put_operation(detail::channel_ref core, detail::channel_item* item) noexcept
        : channel_wait(std::move(core), item) {}
    put_operation(put_operation&&) noexcept = default;
    void await_resume() { this->finish_put(); }
  };

  class [[nodiscard("it must be awaited: co_await c.get()")]] get_operation : public detail::channel_wait {
   public:
    explicit get_operation(detail::channel_ref core) noexcept : channel_wait(std::move(core), nullptr) {}
    get_operation(get_operation&&) noexcept = default;
    T await_resume() {
      auto* item = static_cast<node*>(this->got());
      if (item == nullptr) throw queue_shut_down();
      T value(std::move(item->value));
      this->drop_got();
      return value;
    }
  };

  class [[nodiscard("it must be awaited: co_await c.next()")]] next_operation : public detail::channel_wait {
   public:
    explicit next_operation(detail::channel_ref core) noexcept : channel_wait(std::move(core), nullptr) {}
    next_operation(next_operation&&) noexcept = default;
    std::optional<T> await_resume() {
      std::optional<T> value;
      if (auto* item = static_cast<node*>(this->got())) {
        value.emplace(std::move(item->value));
        this->drop_got();
      }
      return value;
    }
  };

  /// Puts an item made of `args`, waiting for a place when there is none. Cancel: safe, the item is destroyed; one that
  /// was put already stays put, and the cancellation comes at the next suspension. Errors: queue_shut_down, then the item
  /// is destroyed.
  template <class... A>
    requires std::constructible_from<T, A...>
  put_operation put(A&&... args) const {
    return put_operation(handle_.ref(), make(std::forward<A>(args)...));
  }
  /// For aggregates: the arguments of its braces.
  template <class... A>
    requires(!std::constructible_from<T, A...>) && requires(A&&... a) { T{std::forward<A>(a)...}; }
  put_operation put(A&&... args) const {
    return put_operation(handle_.ref(), make(T{std::forward<A>(args)...}));
  }
  /// Takes the next item, waiting for one. Cancel: safe, no item is lost: one that was on its way already is delivered,
  /// and the cancellation comes at the next suspension. Errors: queue_shut_down.
  get_operation get() const { return get_operation(handle_.ref()); }
  /// The next item; nothing once the channel is shut down and empty: while (auto item = co_await c.next()).
  next_operation next() const { return next_operation(handle_.ref()); }

  // For threads without a loop. Errors, of all three: timeout_error; std::runtime_error in a thread in which a loop runs,
  // which would stand still: co_await there.

  /// put() that blocks the thread, for at most `timeout`. Errors: queue_shut_down. The item is destroyed when it fails.
  void put_blocking(T item, std::optional<timedelta> timeout = {}) const {
    detail::channel_item* made = make(std::move(item));
    try {
      handle_.put_blocking(made, timeout);
    } catch (...) {
      node::drop(made);
      throw;
    }
  }
  /// get() that blocks the thread, for at most `timeout`. Errors: queue_shut_down.
  T get_blocking(std::optional<timedelta> timeout = {}) const {
    detail::channel_item* item = handle_.take_blocking(timeout, "channel.get_blocking()");
    if (item == nullptr) throw queue_shut_down();
    return unpack<T>(item);
  }
  /// next() that blocks the thread, for at most `timeout`.
  std::optional<T> next_blocking(std::optional<timedelta> timeout = {}) const {
    detail::channel_item* item = handle_.take_blocking(timeout, "channel.next_blocking()");
    if (item == nullptr) return std::nullopt;
    return unpack<std::optional<T>>(item);
  }
  /// A length of time needs a unit. The parameter's name stands in the compiler's error.
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  void put_blocking(T, a_number_without_a_unit_write_5s_or_100ms) const = delete;
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  T get_blocking(a_number_without_a_unit_write_5s_or_100ms) const = delete;
  template <class a_number_without_a_unit_write_5s_or_100ms>
    requires std::is_arithmetic_v<a_number_without_a_unit_write_5s_or_100ms>
  std::optional<T> next_blocking(a_number_without_a_unit_write_5s_or_100ms) const = delete;

  /// At once or not at all. Moves from its argument only when it answers true.
  bool try_put(T&& item) const {
    if (!handle_.reserve()) return false;
    detail::channel_item* made = nullptr;
    try {
      made = make(std::move(item));
    } catch (...) {
      handle_.unreserve();
      throw;
    }
    handle_.put_reserved(made);
    return true;
  }
  bool try_put(T& item) const
    requires std::copy_constructible<T>
  {
    return try_put(T(item));
  }
  /// An item, if one is there.
  std::optional<T> try_get() const {
    detail::channel_item* item = handle_.take();
    if (item == nullptr) return std::nullopt;
    return unpack<std::optional<T>>(item);
  }

  /// Nothing more can be put. What is there can still be got, unless `immediate`, which destroys it. Who waits to put, or
  /// to get from an empty channel, goes on: queue_shut_down, or nothing from next(). Idempotent.
  void shutdown(bool immediate = false) const noexcept { handle_.shutdown(immediate); }

  /// How it is at this moment; by the time the answer is read, others may have put and got.
  std::size_t qsize() const noexcept { return handle_.size(); }
  bool empty() const noexcept { return qsize() == 0; }
  bool full() const noexcept { return handle_.full(); }
  std::size_t maxsize() const noexcept { return handle_.maxsize(); }

  /// Is it the same channel?
  friend bool operator==(const channel& a, const channel& b) noexcept { return a.handle_ == b.handle_; }

 private:
  template <class... A>
  static detail::channel_item* make(A&&... args) {
    return detail::pool_new<node>(std::in_place, std::forward<A>(args)...);
  }
  template <class R>
  R unpack(detail::channel_item* item) const {
    try {
      R value(std::move(static_cast<node*>(item)->value));
      node::drop(item);
      return value;
    } catch (...) {
      handle_.give_back(item);
      throw;
    }
  }

  detail::channel_handle handle_;
};

}  // namespace asyncio
