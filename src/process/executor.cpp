// SPDX-License-Identifier: BSL-1.0
// The public face of process pools.
#include "base/log.hpp"
#include "kernel/process.hpp"
#include "process/pool.hpp"
#include "threads/detached.hpp"

#include <asyncio/errors.hpp>

#include <exception>
#include <memory>
#include <string>

namespace asyncio {

process_pool_executor::process_pool_executor(std::size_t max_workers)
    : process_pool_executor(process_pool_options{max_workers}) {}

process_pool_executor::process_pool_executor(process_pool_options options)
    : pool_(new detail::process_pool(options, std::nullopt)) {}

process_pool_executor::process_pool_executor(process_pool_options options, detail::process_call initializer)
    : pool_(new detail::process_pool(options, std::move(initializer))) {}

namespace {

void end_pool(void* pool) noexcept {
  const std::unique_ptr<detail::process_pool> mine(static_cast<detail::process_pool*>(pool));
  mine->shutdown(true, false);
}

}  // namespace

// In a forked child the threads are the parent's, and so are the workers: nothing can be waited for, or freed. Where the last
// owner goes in a callback of one of the pool's futures, a thread of its own waits for the one that calls; without one the
// pool ends by itself, and its memory stays.
process_pool_executor::~process_pool_executor() {
  if (pool_->is_of_parent()) return;
  pool_->shutdown(false, std::uncaught_exceptions() > exceptions_);
  if (!pool_->runs_here()) {
    end_pool(pool_);
    return;
  }
  try {
    threads::run_detached("process-pool", &end_pool, pool_);
  } catch (const std::exception& error) {
    base::log(log_level::warning, std::string("nobody waits for the end of a process pool: ") + error.what());
  }
}

void process_pool_executor::post(std::unique_ptr<detail::process_job> job) { pool_->post(std::move(job)); }

void process_pool_executor::shutdown(shutdown_options options) {
  pool_->shutdown(options.wait, options.cancel_futures);
}

coroutine<> process_pool_executor::aexit(std::exception_ptr error) {
  pool_->shutdown(false, error != nullptr);
  std::exception_ptr cancelled;
  const concurrent_future<void> end = pool_->ended();
  while (!end.done()) {
    try {
      co_await end;
    } catch (const cancelled_error&) {
      cancelled = std::current_exception();
      pool_->shutdown(false, true);
    }
  }
  pool_->shutdown(true, false);
  if (cancelled != nullptr) std::rethrow_exception(cancelled);
}

}  // namespace asyncio
