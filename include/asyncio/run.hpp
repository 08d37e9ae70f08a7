// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/event_loop.hpp>

#include <type_traits>
#include <utility>

namespace asyncio {

namespace detail {

/// The first SIGINT cancels `main`, the second leaves the loop at once: for the guard's life, if this is the main thread
/// and SIGINT has its default action. It steps back while the program's own handler or receiver listens to SIGINT.
/// With `sigterm`, SIGTERM likewise; the two are counted together.
class interrupt_guard {
 public:
  /// `interrupted` becomes true when the run ends in a keyboard_interrupt.
  interrupt_guard(event_loop& loop, future_core* main, bool sigterm, bool& interrupted);
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;
  ~interrupt_guard();
  /// Main is done. Errors: keyboard_interrupt, when it ended cancelled and that was Ctrl-C's doing alone, or when Ctrl-C
  /// came too late to be heard in the loop.
  void end_run();
  /// Does the loop listen to signals for anybody else?
  static bool listens_for_others(event_loop& loop);

 private:
  static void on_interrupt(int number, unsigned count, void* self);
  void listen(int number, bool& listens);
  bool leave(int number, bool& listens) noexcept;
  void note(int number) noexcept;
  event_loop& loop_;
  core_ref<> main_;
  bool& interrupted_;
  unsigned interrupts_ = 0;
  int last_ = 0;
  bool on_sigint_ = false;
  bool on_sigterm_ = false;
};

}  // namespace detail

/// Owns a loop and runs coroutines on it, one after another, all in one context: a copy of that in which it was first
/// used. Closing it cancels what is left of tasks, waits for them,
/// and closes the loop; so does the destructor.   Thread: one.   Python: asyncio.Runner.
class runner {
 public:
  explicit runner(run_options options = {});
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;
  ~runner();

  /// Runs a coroutine (or another awaitable) to its end; its value, or what it threw. SIGINT cancels it.
  /// Errors: std::runtime_error inside a running loop, or after close(); keyboard_interrupt when SIGINT ended it.
  template <class A>
    requires detail::spawnable<A> || detail::is_handle<std::remove_cvref_t<A>>
  detail::value_t<A> run(A&& awaited) {
    const task_options options = prepare();
    return run_task(get_loop().create_task(detail::as_coroutine(std::forward<A>(awaited)), options));
  }
  /// Calls the function and runs what it returns; the function itself lives until that has ended.
  template <class F>
    requires detail::spawnable_call<F>
  detail::async_result_t<std::decay_t<F>> run(F&& async_main) {
    const task_options options = prepare();
    return run_task(get_loop().create_task(options, std::forward<F>(async_main)));
  }

  /// The loop; made at the first use. Errors: std::runtime_error after close().
  event_loop& get_loop();
  /// Ends what still runs and closes the loop. Ctrl-C does not disturb that; a second one ends the process.
  /// Idempotent.   Errors: keyboard_interrupt, when SIGINT came meanwhile.
  void close();
  /// The library's own: close() after a run that failed, whose exception only a keyboard_interrupt replaces.
  void close_after_failure();

 private:
  template <class T>
  T run_task(task<T> main) {
    event_loop& loop = get_loop();
    detail::interrupt_guard guard(loop, main.raw_core().get(), options_.sigterm, interrupted_);
    detail::run_until_done(loop, main.raw_core().get());
    guard.end_run();
    main.result();
    if constexpr (!std::is_void_v<T>) {
      T& value = *detail::value_of<T>(main.raw_core().get());
      if constexpr (detail::can_copy<T>) {
        if (!main.raw_core()->only_reference()) return static_cast<const T&>(value);
      }
      return std::move(value);
    }
  }
  task_options prepare();

  run_options options_;
  struct opened;
  opened* opened_ = nullptr;  // its own: the loop, and the context of every run
  bool closed_ = false;
  bool interrupted_ = false;  // the last run ended in a keyboard_interrupt
};

namespace detail {
template <class X>
auto run_or_close(runner& r, X&& main) {
  try {
    return r.run(std::forward<X>(main));
  } catch (...) {
    r.close_after_failure();
    throw;
  }
}

template <class X>
inline constexpr bool runnable = spawnable<X> || spawnable_call<X>;
#define ASYNCIO_RUN_SENTENCE \
  "run takes a coroutine or another awaitable (a named coroutine by std::move), or a function that returns one"
}  // namespace detail

/// Runs a program: makes a loop, runs `main` on it to its end, cancels what is left, closes the loop; the value of main,
/// or what it threw.   Errors: as runner::run().   Python: asyncio.run().
template <class X>
  requires detail::runnable<X>
auto run(X&& main, run_options options = {}) {
  runner r(options);
  if constexpr (std::is_void_v<decltype(r.run(std::forward<X>(main)))>) {
    detail::run_or_close(r, std::forward<X>(main));
    r.close();
  } else {
    auto value = detail::run_or_close(r, std::forward<X>(main));
    r.close();
    return value;
  }
}
template <class X>
  requires(!detail::runnable<X>)
int run(X&&, run_options = {}) {
  static_assert(detail::runnable<X>, ASYNCIO_RUN_SENTENCE);
  return 0;
}

}  // namespace asyncio
