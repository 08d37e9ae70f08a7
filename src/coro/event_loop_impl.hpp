// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "coro/coro.hpp"
#include "coro/watch.hpp"
#include "loop/loop.hpp"
#include "loop/signals.hpp"

#include <asyncio/async_generator.hpp>
#include <asyncio/executor.hpp>

#include <atomic>
#include <memory>

namespace asyncio {

/// What stands behind the public event_loop.
struct event_loop::impl {
  explicit impl(std::unique_ptr<loop::loop> l) : loop(std::move(l)), watches(*loop), signals(*loop) {}

  std::unique_ptr<loop::loop> loop;
  coro::watch_table watches;
  loop::signal_table signals;
  exception_handler handler;
  task_factory factory;
  detail::generator_link* generators = nullptr;  // that have begun and not ended; circular, the oldest first
  std::chrono::nanoseconds slow_limit = std::chrono::milliseconds(100);
  std::shared_ptr<thread_pool_executor> executor;  // the default one, once it was needed
  bool executor_ended = false;
  std::exception_ptr escaping;       // thrown by run_forever() instead of returning
  std::atomic<bool> closed = false;  // is_closed() may be asked in any thread
};

}  // namespace asyncio
