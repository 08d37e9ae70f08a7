// SPDX-License-Identifier: BSL-1.0
// introspect — looking inside: what tasks are doing, and who waits for whom, as data and as text.
// May include: base, kernel, loop, coro.      Included by: testing.
// Thread: the loop's.
// Owns: what it has captured, which keeps the tasks that it names.
// Laws: reads and changes nothing. Who waits for whom is coro's to say (coro/chain.hpp), since the frames and the waiters
//       are its own; the graph and its text are made here.
#pragma once
#include <asyncio/introspect.hpp>

#include <string>

namespace asyncio::introspect {

/// Its call stack, and those that wait for it without theirs.
call_graph capture_alone(const any_task& future, call_graph_options options = {});

/// The same as text: the task with its call stack, and the names alone of those that wait for it: for lists of many tasks.
std::string describe(const any_task& task, call_graph_options options = {});

}  // namespace asyncio::introspect
