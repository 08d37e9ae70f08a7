// SPDX-License-Identifier: BSL-1.0
#pragma once
#if __cplusplus < 202002L
#error "asyncio-cpp needs C++20: compile with -std=c++20"
#endif
// The whole public face: one header per module of Python's asyncio, and the help for tests, which is linked as
// asyncio::testing.
#include <asyncio/async_generator.hpp>
#include <asyncio/async_with.hpp>
#include <asyncio/awaitable.hpp>
#include <asyncio/channel.hpp>
#include <asyncio/concurrent_future.hpp>
#include <asyncio/context.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/datagrams.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/executor.hpp>
#include <asyncio/future.hpp>
#include <asyncio/gather.hpp>
#include <asyncio/interop.hpp>
#include <asyncio/introspect.hpp>
#include <asyncio/locks.hpp>
#include <asyncio/log.hpp>
#include <asyncio/loop_group.hpp>
#include <asyncio/outcome.hpp>
#include <asyncio/process_pool.hpp>
#include <asyncio/protocols.hpp>
#include <asyncio/queue.hpp>
#include <asyncio/run.hpp>
#include <asyncio/signals.hpp>
#include <asyncio/sleep.hpp>
#include <asyncio/ssl.hpp>
#include <asyncio/streams.hpp>
#include <asyncio/subprocess.hpp>
#include <asyncio/subprocess_protocols.hpp>
#include <asyncio/task.hpp>
#include <asyncio/task_group.hpp>
#include <asyncio/testing/testing.hpp>
#include <asyncio/threads.hpp>
#include <asyncio/time.hpp>
#include <asyncio/timeout.hpp>
#include <asyncio/transports.hpp>
#include <asyncio/wait.hpp>
