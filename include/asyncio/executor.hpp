// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/concurrent_future.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/job.hpp>
#include <asyncio/detail/offload.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/gather.hpp>
#include <asyncio/timeout.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace asyncio {

/// Something that runs work elsewhere. loop.run_in_executor() takes any: derive from it to bring threads of one's own.
/// Python: concurrent.futures.Executor.
class executor {
 public:
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;
  virtual ~executor();

 protected:
  /// One call, with all that it needs. Destroyed before it was run: whoever waits for it gets cancelled_error.
  using work = std::unique_ptr<detail::job>;

  executor() noexcept = default;
  /// Takes the work, to have it run by run(), once, in some thread, and returns soon. Errors: what it throws reaches the one who
  /// asked for the call.   Thread: any.
  virtual void post(work call) = 0;
  /// Does the work. Never throws: what the function threw is the outcome.   Thread: any.
  static void run(work call) noexcept;

 private:
  friend struct detail::executor_access;
};

/// `wait`: return when what runs has ended. `cancel_futures`: what waits for a thread is cancelled instead of run.
struct shutdown_options {
  bool wait = true;
  bool cancel_futures = false;
};
static_assert(detail::plain_options<shutdown_options>);

namespace detail {

/// A call on its way through an executor, behind a concurrent future. The function and its arguments die in the thread that
/// ran it, before the outcome is told; when it is never run, where the executor drops it.
template <class R, class F, class... A>
struct submitted_call final : job {
  template <class G, class... B>
  explicit submitted_call(concurrent_ref core, G&& g, B&&... b)
      : to(std::move(core)), bound(std::in_place, std::forward<G>(g), std::forward<B>(b)...) {
    this->execute = [](job* self) noexcept { static_cast<submitted_call*>(self)->call(); };
    this->finish = [](job* self) noexcept {
      auto* me = static_cast<submitted_call*>(self);
      concurrent_ref future = std::move(me->to);
      std::exception_ptr failed = std::move(me->error);
      me->free();
      if (!future) return;
      if (failed != nullptr)
        concurrent_core::finish_error(std::move(future), std::move(failed));
      else
        concurrent_core::finish_value(std::move(future));
    };
    this->drop = [](job* self) noexcept {
      auto* me = static_cast<submitted_call*>(self);
      const concurrent_ref future = std::move(me->to);
      me->free();
      future->cancel();
    };
    this->type_name = typeid(F).name();
  }

  void call() noexcept {
    if (to->start()) {
      try {
        if constexpr (std::is_void_v<R>)
          static_cast<void>(bound->call(to->stop()));
        else
          ::new (concurrent_place<R>(to.get())) R(bound->call(to->stop()));
      } catch (...) {
        error = std::current_exception();
      }
    } else {
      to = {};
    }
    bound.reset();
  }
  void free() noexcept {
    this->~submitted_call();
    pool_free(this, sizeof(submitted_call));
  }

  concurrent_ref to;
  std::exception_ptr error;
  std::optional<bound_function<F, A...>> bound;
};

}  // namespace detail

/// Threads that run functions: at most `max_workers`, each started when a call finds no idle one; calls begin in the order
/// in which they were submitted. Usable in async_with, whose end waits for the threads without blocking the loop.
/// Thread: any.   Python: concurrent.futures.ThreadPoolExecutor.
class thread_pool_executor : public executor {
 public:
  /// `max_workers` 0: one for each processor and four more, at most 32. `thread_name_prefix`: its threads are called
  /// prefix_0, prefix_1, …, 15 characters of it; "pool" by default.
  explicit thread_pool_executor(std::size_t max_workers = 0, std::string_view thread_name_prefix = {});
  /// shutdown(): waits until all that was submitted has ended.
  ~thread_pool_executor() override;

  /// Calls f(args...) in one of the threads; arguments are copied as for std::thread, and passed as rvalues. An f that
  /// cannot be called without gets a std::stop_token in front of them, by which cancel() of the future asks it to stop.
  /// f and the arguments die in that thread, when it has ended. Errors: std::runtime_error after shutdown().
  /// Python: Executor.submit().
  template <class F, class... A>
    requires detail::offloadable<F, A...>
  concurrent_future<detail::offload_result_t<F, A...>> submit(F&& f, A&&... args) {
    using result = detail::offload_result_t<F, A...>;
    using call = detail::submitted_call<result, std::decay_t<F>, std::decay_t<A>...>;
    constexpr bool stoppable = !std::invocable<std::decay_t<F>, std::decay_t<A>...>;
    auto core = detail::concurrent_ref::adopt(detail::make_concurrent<result>(stoppable));
    post(work(detail::pool_new<call>(core, std::forward<F>(f), std::forward<A>(args)...)));
    return concurrent_future<result>::from_core(std::move(core));
  }
  template <class... X>
    requires(!detail::offload_any<X...>)
  detail::refused submit(X&&...) {
    static_assert(detail::offload_any<X...>, ASYNCIO_OFFLOAD_SENTENCE);
    return {};
  }

  /// submit(f, element) for every element of a range, each with a copy of f. Their futures, in order.
  /// Python: Executor.map(), which yields the results.
  template <class F, detail::iterable R>
    requires detail::offloadable<F, detail::range_reference_t<R>>
  auto map(F&& f, R&& elements) {
    std::vector<concurrent_future<detail::offload_result_t<F, detail::range_reference_t<R>>>> futures;
    if constexpr (requires { elements.size(); }) futures.reserve(elements.size());
    for (auto&& element : elements) futures.push_back(submit(f, std::forward<decltype(element)>(element)));
    return futures;
  }

  /// Takes nothing from now on. Idempotent. Errors: std::runtime_error when one of its own threads would wait for itself.
  /// In a loop's thread waiting blocks the loop: async_with does not.   Python: Executor.shutdown().
  void shutdown(shutdown_options options = {});
  std::size_t max_workers() const noexcept;

  detail::ready_operation_void aenter() noexcept { return {}; }
  /// shutdown() that is awaited. Cancel: what has not begun is cancelled; what runs is still waited for.
  coroutine<> aexit(std::exception_ptr error);

 protected:
  void post(work call) override;

 private:
  friend struct detail::executor_access;
  struct impl;
  impl* const impl_;  // its own
};

}  // namespace asyncio
