// SPDX-License-Identifier: BSL-1.0
// The public face of process pools.
#include "kernel/process.hpp"
#include "process/pool.hpp"

#include <asyncio/errors.hpp>

#include <exception>
#include <memory>

namespace asyncio {

process_pool_executor::process_pool_executor(std::size_t max_workers)
    : process_pool_executor(process_pool_options{max_workers}) {}

process_pool_executor::process_pool_executor(process_pool_options options)
    : pool_(new detail::process_pool(options, std::nullopt)) {}

process_pool_executor::process_pool_executor(process_pool_options options, detail::process_call initializer)
    : pool_(new detail::process_pool(options, std::move(initializer))) {}

// In a forked child the threads are the parent's, and so are the workers: nothing can be waited for, or freed.
process_pool_executor::~process_pool_executor() {
  if (pool_->is_of_parent()) return;
  const std::unique_ptr<detail::process_pool> pool(pool_);
  pool->shutdown(true, std::uncaught_exceptions() > exceptions_);
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
