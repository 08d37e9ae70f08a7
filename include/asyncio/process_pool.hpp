// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/detail/process_call.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/executor.hpp>
#include <asyncio/future.hpp>
#include <asyncio/timeout.hpp>

#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

namespace detail {
class process_pool;
}  // namespace detail

struct process_pool_options {
  std::size_t max_workers = 0;  ///< 0: as many as there are processors
  /// A worker process is replaced after so many calls; nullopt: never.   Errors: std::invalid_argument for 0.
  std::optional<std::size_t> max_tasks_per_child = {};
};
static_assert(detail::plain_options<process_pool_options>);

/// Runs functions of this program in other processes, each with memory of its own. main() begins with a line that makes
/// this program a worker when the pool has started it as one:
///
///     int main(int argc, char** argv) {
///       if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
///
/// Workers are started when tasks need them, up to max_workers, and die with this process. Arguments and results travel as
/// bytes: see asyncio::codec. An exception comes back as itself when it is one of the standard library's, with its text and
/// its code; as a remote_error with its type's name and its text otherwise.
///
/// When a worker dies, the task that it ran fails with broken_process_pool, which says how it ended; other tasks go on,
/// and a new worker is started in its place (in Python the whole pool is broken then). When no worker can work, because
/// main() lacks its line or the initializer fails, all tasks fail so, and submit() throws it.
///
/// Thread: any.   Python: concurrent.futures.ProcessPoolExecutor.
class process_pool_executor {
 public:
  explicit process_pool_executor(std::size_t max_workers = 0);
  explicit process_pool_executor(process_pool_options options);
  /// Each worker process calls `initializer(args…)` first.   Errors: codec_error for arguments that cannot travel.
  template <class R, class... P, class... A>
    requires std::invocable<R (*)(P...), A...>
  process_pool_executor(process_pool_options options, R (*initializer)(P...), A&&... args)
      : process_pool_executor(options, detail::make_process_call(initializer, std::forward<A>(args)...)) {}
  template <class F, class... A>
    requires detail::process_invocable<F, A...>
  process_pool_executor(process_pool_options options, F, A&&... args)
      : process_pool_executor(options, detail::make_process_call_of<F>(std::forward<A>(args)...)) {}
  process_pool_executor(const process_pool_executor&) = delete;
  process_pool_executor& operator=(const process_pool_executor&) = delete;
  /// shutdown(): waits for every task that was submitted; when an exception leaves the pool's scope, for those that have
  /// begun, and the others are cancelled. In a callback of one of the pool's futures it does not wait.
  ~process_pool_executor();

  /// Has f(args…) called in a worker process. Arguments become bytes now: they may go as soon as submit() returns.
  /// Cancelling the future keeps a task that has not begun from beginning.
  /// Errors: codec_error for arguments that cannot travel or are too large (1 GiB), broken_process_pool,
  /// std::runtime_error after shutdown(). The future's: what f threw; broken_process_pool when its worker died;
  /// codec_error when the result cannot travel.
  template <class R, class... P, class... A>
    requires std::invocable<R (*)(P...), A...>
  concurrent_future<detail::process_result_t<R>> submit(R (*f)(P...), A&&... args) {
    return post_call<detail::process_result_t<R>>(detail::make_process_call(f, std::forward<A>(args)...));
  }
  /// The same for a lambda without captures, or another callable that is nothing but its type.
  template <class F, class... A>
    requires detail::process_invocable<F, A...>
  concurrent_future<detail::process_invoke_t<F, A...>> submit(F, A&&... args) {
    return post_call<detail::process_invoke_t<F, A...>>(detail::make_process_call_of<F>(std::forward<A>(args)...));
  }
  template <class F, class... A>
    requires(!detail::process_submittable<std::decay_t<F>, A...>)
  detail::refused submit(F&&, A&&...) {
    using callable = std::decay_t<F>;
    constexpr bool captures = std::is_class_v<callable> && !detail::process_callable<callable>;
    static_assert(!captures, "asyncio: what this callable has captured stays in this process: pass it as arguments");
    static_assert(captures || detail::process_submittable<callable, A...>,
                  "asyncio: submit takes a function that can be called with these arguments, or a lambda without "
                  "captures; call a member function in a lambda");
    return {};
  }

  /// submit(f, x) for each x of a range, in its order.
  template <class F, class S>
  auto map(F f, S&& range) {
    using future = decltype(this->submit(f, *std::begin(range)));
    std::vector<future> futures;
    if constexpr (requires { range.size(); }) futures.reserve(static_cast<std::size_t>(range.size()));
    for (auto&& each : range) futures.push_back(submit(f, std::forward<decltype(each)>(each)));
    return futures;
  }

  /// Takes no task from now on. `wait`: until all workers have ended. `cancel_futures`: tasks that have not begun are
  /// cancelled; those that run are waited for, as their workers cannot know that nobody wants them.
  /// Errors: std::runtime_error when a callback of one of the pool's futures would wait for the pool.
  void shutdown(shutdown_options options = {});

  detail::ready_operation_void aenter() noexcept { return {}; }
  /// shutdown(), and waits without blocking the loop. When the body has failed, or this is cancelled, what has not begun is
  /// cancelled; what runs is waited for.
  coroutine<> aexit(std::exception_ptr error);

 private:
  process_pool_executor(process_pool_options options, detail::process_call initializer);
  void post(std::unique_ptr<detail::process_job> job);

  template <class T>
  concurrent_future<T> post_call(detail::process_call call) {
    auto job = std::make_unique<detail::process_job_of<T>>(std::move(call));
    concurrent_future<T> future = job->get_future();
    post(std::move(job));
    return future;
  }

  detail::process_pool* pool_;
  int exceptions_ = std::uncaught_exceptions();  // in flight when it was made
};

/// The first line of a main() whose program uses a process_pool_executor. In a worker: serves its pool, and returns the
/// exit status of main(). In every other process: nullopt.
///
/// Without the line the first task of the pool fails, with a broken_process_pool that says so. A process that goes past it
/// ends at its first asyncio::run() or submit(), and starts no processes of its own.
std::optional<int> process_worker(int argc, char** argv);

namespace detail {
template <class T>
future<T> future_in_loop(event_loop& loop, const concurrent_future<T>& work) {
  future<T> wrapped(loop);
  bridge_to_loop(work.raw_core(), wrapped.raw_core().get(), &give_to_future<T>);
  return wrapped;
}
}  // namespace detail

template <class R, class... P, class... A>
  requires std::invocable<R (*)(P...), A...>
future<std::remove_cvref_t<R>> event_loop::run_in_executor(process_pool_executor& pool, R (*f)(P...), A&&... args) {
  return detail::future_in_loop(*this, pool.submit(f, std::forward<A>(args)...));
}

template <class F, class... A>
  requires std::is_class_v<F>
auto event_loop::run_in_executor(process_pool_executor& pool, F f, A&&... args) {
  return detail::future_in_loop(*this, pool.submit(f, std::forward<A>(args)...));
}

}  // namespace asyncio
