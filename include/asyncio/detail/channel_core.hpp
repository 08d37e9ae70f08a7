// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/pool.hpp>
#include <asyncio/time.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace asyncio::detail {

class channel_core;

/// An item on its way: in the hands of who puts it, in the channel, in the hands of who got it. It is made and destroyed
/// outside the channel's lock, and handed on as a pointer: nothing that is the user's runs under the lock, and handing on
/// cannot fail.
struct channel_item {
  channel_item* next = nullptr;
};
using drop_channel_item = void (*)(channel_item*) noexcept;

template <class T>
struct channel_node final : channel_item {
  template <class... A>
  explicit channel_node(std::in_place_t, A&&... args) : value(std::forward<A>(args)...) {}
  static void drop(channel_item* item) noexcept {
    auto* node = static_cast<channel_node*>(item);
    node->~channel_node();
    pool_free(node, sizeof(channel_node));
  }
  T value;
};

/// A place in one of a channel's two lines: a task's (channel_wait), or that of a thread that blocks.
struct channel_waiter {
  enum class place : std::uint8_t { idle, waiting, served, over };

  channel_waiter* before = nullptr;
  channel_waiter* behind = nullptr;
  channel_item* item = nullptr;  ///< to be put, or got
  place where = place::idle;
  bool refused = false;  ///< served by the channel's shutdown
  bool is_thread = false;
};

/// A counted reference to a channel.   Thread: any.
class channel_ref {
 public:
  explicit channel_ref(channel_core* taken_over) noexcept : core_(taken_over) {}
  channel_ref(const channel_ref& other) noexcept;
  channel_ref(channel_ref&& other) noexcept : core_(taken(other.core_)) {}
  channel_ref& operator=(const channel_ref&) = delete;
  ~channel_ref();
  channel_core* get() const noexcept { return core_; }

 private:
  channel_core* core_;
};

/// What a channel<T> is, but for the type: a counted handle. The last one shuts the channel down.   Thread: any.
class channel_handle {
 public:
  /// Errors: std::invalid_argument for no place at all; std::bad_alloc.
  channel_handle(std::size_t maxsize, drop_channel_item drop);
  channel_handle(const channel_handle& other) noexcept;
  channel_handle& operator=(const channel_handle& other) noexcept {
    channel_handle copy(other);
    swap_pointers(core_, copy.core_);
    return *this;
  }
  ~channel_handle();
  friend bool operator==(const channel_handle& a, const channel_handle& b) noexcept { return a.core_ == b.core_; }
  /// One more reference, for an operation.
  channel_ref ref() const noexcept;

  /// Takes a place for an item that is about to be made. False: there is none, or the channel is shut down.
  bool reserve() const noexcept;
  void put_reserved(channel_item* item) const noexcept;
  void unreserve() const noexcept;
  /// The first item; null: there is none.
  channel_item* take() const noexcept;
  /// An item that could not be moved out is the first again.
  void give_back(channel_item* item) const noexcept;

  /// Blocks this thread. Errors: queue_shut_down, and timeout_error, and std::runtime_error where a loop runs: the item is
  /// the caller's still.
  void put_blocking(channel_item* item, std::optional<timedelta> timeout) const;
  /// Blocks this thread. Null: the channel is shut down and empty. Errors: timeout_error, std::runtime_error.
  channel_item* take_blocking(std::optional<timedelta> timeout, const char* call) const;

  void shutdown(bool immediate) const noexcept;
  std::size_t size() const noexcept;
  bool full() const noexcept;
  std::size_t maxsize() const noexcept;

 private:
  channel_core* core_;
};

/// A task at a channel; lives in the awaiter. With an item it puts, without one it gets.
///
///     idle → waiting → served → over
///               └───────────────┘      cancelled
///
/// The states, and what happens when two threads meet, stand above the code: src/coro/channel.cpp.
class channel_wait : private channel_ref, private channel_waiter, public wait_base, public op {
 public:
  /// Is this the op of such a wait?
  static bool continues(const op& node) noexcept { return node.done == &channel_wait::go_on; }
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> frame);

 protected:
  explicit channel_wait(channel_ref core, channel_item* to_put) noexcept : channel_ref(std::move(core)) {
    item = to_put;
    puts_ = to_put != nullptr;
  }
  /// Only before it waits.
  channel_wait(channel_wait&& other) noexcept : channel_ref(std::move(other)), puts_(other.puts_) {
    item = taken(other.item);
  }
  /// An item that was not put dies; one that was got and not taken is the channel's first again.
  ~channel_wait();

  /// Errors: cancelled_error, queue_shut_down.
  void finish_put();
  /// What was got; null: the channel is shut down and empty. Errors: cancelled_error.
  channel_item* got();
  /// It was taken over.
  void drop_got() noexcept;

 private:
  friend class channel_core;
  static bool cancel_waiting(wait_base* self) noexcept;
  static void go_on(op* self) noexcept;

  coro_core* task_ = nullptr;
  bool puts_ = false;
  bool cancelled_ = false;
};

}  // namespace asyncio::detail
