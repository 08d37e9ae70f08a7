// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/parking.hpp>
#include <asyncio/detail/pointers.hpp>

#include <coroutine>
#include <initializer_list>
#include <optional>
#include <utility>

namespace asyncio {

namespace detail {

class receiver_core;

/// A counted reference to what a signal_receiver shares with its loop and with those who wait in it.
class receiver_ref {
 public:
  explicit receiver_ref(receiver_core* taken_over) noexcept : core_(taken_over) {}
  receiver_ref(const receiver_ref& other) noexcept;
  receiver_ref(receiver_ref&& other) noexcept : core_(taken(other.core_)) {}
  receiver_ref& operator=(const receiver_ref&) = delete;
  ~receiver_ref();
  receiver_core* get() const noexcept { return core_; }

 private:
  receiver_core* core_;
};

/// Waits for a signal; see signal_receiver::next(). Its reference goes after `parked`, which stands in a line of the core.
class [[nodiscard("it must be awaited: co_await s.next()")]] signal_wait : private receiver_ref, public parked {
 public:
  explicit signal_wait(const receiver_ref& core) noexcept : receiver_ref(core) {}
  signal_wait(signal_wait&& other) noexcept = default;
  bool await_ready() const;
  void await_suspend(std::coroutine_handle<> frame);
  std::optional<int> await_resume();

 private:
  static bool collect(parked& p) noexcept;
  static void call_another(parked& p) noexcept;
};

}  // namespace detail

/// Receives signals for as long as it lives. next() gives them one after another, in the order in which they came. Those
/// that nobody awaits are kept, of each number one: so never more than it has numbers; a burst of one number is given at
/// least once, and always once more after its last. It is not for counting: the system, too, makes one of several.
/// It goes before run()'s own answer to Ctrl-C, when SIGINT is among its signals.
/// Thread: its loop's, the main one, checked; it may be destroyed in any.   Python: none; anyio.open_signal_receiver().
class signal_receiver {
 public:
  /// Listens from now on, in the running loop.
  /// Errors: std::invalid_argument for what is not a signal or cannot be caught, or no signal at all; std::runtime_error
  /// outside a running loop or the main thread, or when a handler, another receiver or another loop has one of them;
  /// std::system_error. Then none of them is listened to.
  signal_receiver(std::initializer_list<int> signals);
  signal_receiver(const signal_receiver&) = delete;
  signal_receiver& operator=(const signal_receiver&) = delete;
  /// As close().
  ~signal_receiver();

  /// The number of the next signal, waiting for one; nothing once it is closed, or its loop is:
  /// while (auto number = co_await s.next()). Several tasks may wait: first come, first served.
  /// Cancel: safe, no signal is lost.   Errors: std::runtime_error in a different loop.
  detail::signal_wait next() noexcept { return detail::signal_wait(core_); }
  /// Gives its signals back: each has the action of before again. Those that nobody took are dropped, and who waits gets
  /// nothing. Idempotent.
  void close();

 private:
  detail::receiver_ref core_;
};

}  // namespace asyncio
