// SPDX-License-Identifier: BSL-1.0
#include <asyncio/executor.hpp>

#include "coro/executor_access.hpp"

#include "base/log.hpp"
#include "coro/chain.hpp"
#include "coro/event_loop_impl.hpp"

#include <asyncio/detail/offload.hpp>
#include <asyncio/timeout.hpp>
#include <asyncio/wait.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>

namespace asyncio {

namespace {

std::size_t checked_workers(std::size_t asked) {
  if (asked > 0) return asked;
  const std::size_t processors = std::max(std::thread::hardware_concurrency(), 1u);
  return std::min<std::size_t>(processors + 4, 32);
}

}  // namespace

struct thread_pool_executor::impl {
  impl(std::string_view name, std::size_t workers) : threads(name, workers, threads::worker_pool::naming::numbered) {}
  threads::worker_pool threads;
};

executor::~executor() = default;

void executor::run(work call) noexcept {
  detail::job* mine = call.release();
  mine->execute(mine);
  mine->finish(mine);
}

thread_pool_executor::thread_pool_executor(std::size_t max_workers, std::string_view thread_name_prefix)
    : impl_(new impl(thread_name_prefix.empty() ? "pool" : thread_name_prefix, checked_workers(max_workers))) {}

thread_pool_executor::~thread_pool_executor() { delete impl_; }

void thread_pool_executor::post(work call) { impl_->threads.post(call); }

void thread_pool_executor::shutdown(shutdown_options options) {
  impl_->threads.close(options.cancel_futures);
  if (options.wait) impl_->threads.join();
}

std::size_t thread_pool_executor::max_workers() const noexcept { return impl_->threads.most_threads(); }

// What runs is waited for, whatever comes: the threads may use what the scope's end destroys.
coroutine<> thread_pool_executor::aexit(std::exception_ptr) {
  impl_->threads.close(false);
  const concurrent_future<> ended = detail::executor_access::ended(*this);
  std::exception_ptr cancelled;
  while (!ended.done()) {
    try {
      co_await ended;
    } catch (const cancelled_error&) {
      cancelled = std::current_exception();
    }
    if (cancelled != nullptr) impl_->threads.close(true);
  }
  impl_->threads.join();
  if (cancelled != nullptr) std::rethrow_exception(cancelled);
}

namespace detail {

threads::worker_pool& executor_access::threads_of(thread_pool_executor& pool) noexcept { return pool.impl_->threads; }

void executor_access::abandon(thread_pool_executor& pool) noexcept {
  pool.impl_->threads.close(false);
  pool.impl_->threads.abandon();
}

executor& executor_access::default_of(event_loop& loop) {
  event_loop::impl& state = loop.state();
  if (state.executor_ended) throw std::runtime_error("run_in_executor(): the default executor was shut down");
  if (state.executor == nullptr) state.executor = std::make_shared<thread_pool_executor>(0, "asyncio");
  return *state.executor;
}

// Started at once, so that a wait that is cancelled does not cancel it.
concurrent_future<> executor_access::ended(thread_pool_executor& pool) {
  auto promise = std::make_unique<concurrent_promise<>>();
  concurrent_future<> future = promise->get_future();
  promise->start();
  const auto tell = [](void* context) noexcept {
    const std::unique_ptr<concurrent_promise<>> mine(static_cast<concurrent_promise<>*>(context));
    mine->set_result();
  };
  threads_of(pool).when_ended(tell, promise.get());
  (void)promise.release();  // NOLINT(bugprone-unused-return-value): it belongs to tell(), which may have been called
  return future;
}

std::string running_calls(thread_pool_executor& pool) {
  std::string text;
  for (const auto& call : executor_access::threads_of(pool).running()) {
    text += "\n  thread '" + call.thread + "' runs " + coro::type_name(call.type_name);
    if (call.where.line() != 0 && !coro::is_internal(call.where))
      text += " for " + coro::function_name(call.where) + " (" + coro::place(call.where) + ")";
  }
  return text;
}

}  // namespace detail

void event_loop::set_default_executor(std::unique_ptr<thread_pool_executor> pool) {
  check_thread("loop.set_default_executor()");
  if (pool == nullptr) throw std::invalid_argument("set_default_executor(nullptr)");
  if (impl_->executor != nullptr) detail::executor_access::abandon(*impl_->executor);
  impl_->executor = std::move(pool);
}

coroutine<> event_loop::shutdown_default_executor(std::optional<timedelta> timeout) {
  check_thread("loop.shutdown_default_executor()");
  return coro::end_default_executor(*this, timeout);
}

namespace coro {

// A wait that is cancelled leaves the pool where it is, closed: run() waits anew at its end.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it
coroutine<> end_default_executor(event_loop& loop, std::optional<timedelta> timeout) {
  event_loop::impl& state = loop.state();
  state.executor_ended = true;
  const std::shared_ptr<thread_pool_executor> pool = state.executor;
  if (pool == nullptr) co_return;
  threads::worker_pool& threads = detail::executor_access::threads_of(*pool);
  threads.close(false);
  if (threads.busy()) {
    const future<> ended = wrap_future(detail::executor_access::ended(*pool));
    co_await wait({.timeout = timeout}, ended);
  }
  // A clock that jumps may be at the deadline while the last thread is about to come to its end.
  const bool in_time = threads.waiting_jobs() == 0 && threads.running().empty();
  if (!in_time)
    base::log(log_level::warning, "the default executor did not end in time; what it still does is left alone:" +
                                      detail::running_calls(*pool));
  if (in_time)
    threads.join();
  else
    detail::executor_access::abandon(*pool);
  if (state.executor == pool) state.executor = nullptr;
}

void close_executor(event_loop& loop) {
  constexpr timedelta longest_wait = std::chrono::seconds(300);  // as Python's
  if (loop.state().executor == nullptr) return;
  detail::ask_default_calls_to_stop(loop);
  loop.run_until_complete(loop.shutdown_default_executor(longest_wait));
}

}  // namespace coro

}  // namespace asyncio
