// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/coro_core.hpp>

#include <coroutine>
#include <cstdint>
#include <utility>

namespace asyncio::detail {

class parking;

/// A task that waits in line for a lock, a permit, an event, an item; lives in the awaiter.
///
///     idle → waiting ⇄ called → over
///                        └─▶ leaving ─┘     cancelled before it ran
///
/// Being called takes a turn: the op goes through the ready queue, and when it runs, `collect` takes what is waited for
/// and the task goes on at once; or somebody else took it meanwhile, and the task stays where it was in line. So a task
/// holds nothing before it runs, and a cancellation that comes in between loses nothing: then the next one is called.
class parked : public wait_base, public op {
 public:
  enum class place : std::uint8_t { idle, waiting, called, leaving, over };

  parked() noexcept = default;
  parked(parked&&) noexcept {}  // moved only before it waits
  parked& operator=(const parked&) = delete;

  place where() const noexcept { return place_; }

 protected:
  ~parked();
  /// Throws what ended this wait early: a cancellation, or the end of what it waited in. Before anything else is
  /// touched, since that may be gone.
  void check_cancelled() {
    if (cancelled_) [[unlikely]]
      throw_ended_early();
  }
  /// Has what it waited in been destroyed?
  bool abandoned() const noexcept { return abandoned_; }
  /// Did it have to wait (and was not cancelled)?
  bool collected() const noexcept { return place_ == place::over && !cancelled_; }

 private:
  friend class parking;
  parked* prev_ = nullptr;
  parked* next_ = nullptr;
  parking* lot_ = nullptr;
  coro_core* task_ = nullptr;
  std::uint64_t ticket_ = 0;
  place place_ = place::idle;
  bool cancelled_ = false;
  bool abandoned_ = false;  // by a line that died

  [[noreturn]] void throw_ended_early();
};

/// A line of parked tasks, first come, first served. What they wait for belongs to their loop from then on. Who still
/// waits when the line dies goes on with a std::runtime_error.
class parking {
 public:
  /// Takes what `p` waits for, when it is p's turn. False: it is gone, p goes on waiting.
  using collector = bool (*)(parked& p) noexcept;

  /// `home`: of the thing whose line it is; it may have several.
  explicit parking(loop_bond& home) noexcept : home_(&home) {}
  parking(const parking&) = delete;
  parking& operator=(const parking&) = delete;
  ~parking() {
    if (!empty()) [[unlikely]]
      abandon();
  }

  /// Nobody is in line, called or not.
  bool empty() const noexcept { return waiting_.first == nullptr && called_.first == nullptr; }
  bool has_waiting() const noexcept { return waiting_.first != nullptr; }

  /// Suspends the running task in `p`. Errors: std::runtime_error outside a task, or of a different loop.
  /// `called_in_vain` is told when a called task was cancelled: somebody else may be called.
  void park(parked& p, std::coroutine_handle<> frame, collector collect, void (*called_in_vain)(parked& p) noexcept);
  /// Calls the first who waits. False: nobody does.
  bool call_first() noexcept;
  void call_all() noexcept {
    while (call_first()) {}
  }
  /// Is this the op of somebody who was called?
  static bool continues(const op& node) noexcept { return node.done == &parking::run_called; }

 private:
  friend class parked;
  struct line {
    parked* first = nullptr;  // circular
    void push(parked& p) noexcept;
    void push_by_ticket(parked& p) noexcept;
    void remove(parked& p) noexcept;
  };

  void end_waiting(parked& p) noexcept;
  void end_called(parked& p) noexcept;
  void abandon() noexcept;
  static bool cancel_parked(wait_base* self) noexcept;
  static void run_called(op* self) noexcept;

  line waiting_;
  line called_;  ///< and leaving
  collector collect_ = nullptr;
  void (*called_in_vain_)(parked&) noexcept = nullptr;
  loop_bond* home_;
  std::uint64_t tickets_ = 0;
};

/// For lines in which everybody who is called goes on.
inline bool collect_nothing(parked&) noexcept { return true; }
inline void call_nobody_else(parked&) noexcept {}

}  // namespace asyncio::detail
