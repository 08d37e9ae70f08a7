// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/event_loop.hpp>
#include <asyncio/run.hpp>
#include <asyncio/testing/check_stream.hpp>
#include <asyncio/testing/deadlock.hpp>
#include <asyncio/testing/inject_cancel.hpp>
#include <asyncio/testing/order.hpp>
#include <asyncio/testing/stream_pair.hpp>
#include <asyncio/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

/// Help for tests of programs that use the library: time that costs nothing, other orders, cancellation at every point,
/// connections in memory, laws for streams, deadlocks and leaks found.
namespace asyncio::testing {

/// A clock that stands still until the test moves it: run(main, {.clock = clock}).
/// Thread: now() and advance() in the loop's thread.
class manual_clock {
 public:
  manual_clock();
  manual_clock(const manual_clock&) = delete;
  manual_clock& operator=(const manual_clock&) = delete;
  ~manual_clock();
  time_point now() const noexcept;
  void advance(timedelta by) noexcept;
  operator clock_source*() const noexcept { return source_; }

 private:
  clock_source* source_;
};

/// A clock that jumps to the next deadline when every task is blocked: waiting takes no time.
class virtual_clock {
 public:
  virtual_clock();
  virtual_clock(const virtual_clock&) = delete;
  virtual_clock& operator=(const virtual_clock&) = delete;
  ~virtual_clock();
  time_point now() const noexcept;
  operator clock_source*() const noexcept { return source_; }

 private:
  clock_source* source_;
};

/// How a test body is run. `allow_leaks`: do not look for what is left over. `seed`: the order in which tasks that are
/// ready run. Their steps change places among themselves within each turn; callbacks stay where they are. The same seed
/// gives the same order everywhere. Without one: first come, first served, as always. `deadlock_grace`: how long, in real
/// time, a loop that nothing else can wake waits for the other threads of the process, if there are any.
struct run_options {
  bool allow_leaks = false;
  std::optional<std::uint64_t> seed = {};
  timedelta deadlock_grace = std::chrono::seconds(1);
};

/// What exists at a moment in the process. A loop exists until the last of its tasks, futures and callbacks is gone, and
/// every handle of them.
struct ledger {
  std::uint64_t last_loop = 0;   ///< the number of the loop that was made last
  std::vector<int> descriptors;  ///< those that are open, in order
  static ledger now();
  /// Errors: std::logic_error that says what is left over since `before`: the loops' tasks by name and place (and with
  /// their coroutines, if they are not done), futures and callbacks by number, descriptors by what they refer to.
  void check_nothing_left_since(const ledger& before) const;
};

namespace detail {
template <class X>
concept body = asyncio::detail::runnable<X>;

/// A virtual clock that ends the run of a loop by a deadlock_error when nothing can wake it any more, and brings the order
/// of tasks along, if there is a seed for it.
class run_clock {
 public:
  explicit run_clock(const run_options& options);
  run_clock(const run_clock&) = delete;
  run_clock& operator=(const run_clock&) = delete;
  ~run_clock();
  operator clock_source*() const noexcept { return source_; }

 private:
  clock_source* source_;
};
}  // namespace detail

/// Runs a body on a loop with a virtual clock; afterwards nothing it made may be left: tasks, frames, futures,
/// callbacks, descriptors. Its value, or what it threw.   Errors: std::logic_error for what is left over;
/// deadlock_error when nothing can wake the loop any more.
template <detail::body X>
auto run(X&& body, run_options options = {}) {
  const ledger before = ledger::now();
  const detail::run_clock clock(options);
  if constexpr (std::is_void_v<decltype(asyncio::run(std::forward<X>(body)))>) {
    asyncio::run(std::forward<X>(body), {.clock = clock});
    if (!options.allow_leaks) ledger::now().check_nothing_left_since(before);
  } else {
    auto value = asyncio::run(std::forward<X>(body), {.clock = clock});
    if (!options.allow_leaks) ledger::now().check_nothing_left_since(before);
    return value;
  }
}

}  // namespace asyncio::testing
