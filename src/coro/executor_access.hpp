// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "threads/worker_pool.hpp"

#include <asyncio/event_loop.hpp>
#include <asyncio/executor.hpp>

#include <memory>
#include <string>

namespace asyncio::detail {

/// The library's way to an executor's own.
struct executor_access {
  static void post(executor& pool, std::unique_ptr<job> work) { pool.post(std::move(work)); }
  static threads::worker_pool& threads_of(thread_pool_executor& pool) noexcept;
  /// Its threads are not waited for any more, not by its destructor either.
  static void abandon(thread_pool_executor& pool) noexcept;
  /// The loop's default executor, made now if there is none. Errors: std::runtime_error after its shutdown.
  static executor& default_of(event_loop& loop);
  /// Done when no thread of a pool that takes nothing more runs a call.
  static concurrent_future<> ended(thread_pool_executor& pool);
};

/// What still runs, for a warning: "thread 'asyncio_0' runs main()::{lambda()#1} for upload (main.cpp:12)", one a line.
std::string running_calls(thread_pool_executor& pool);

}  // namespace asyncio::detail
