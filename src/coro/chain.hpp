// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/coro_core.hpp>

#include <source_location>
#include <string>
#include <vector>

/// Who waits for whom. Here, and not in introspect, since only this room knows what stands behind a frame or a waiter.
namespace asyncio::coro {

/// The innermost coroutine of a task: the one that runs, or that its next step resumes. Null when the task is done.
const detail::coro_core* innermost(const detail::coro_core* task) noexcept;
/// The coroutine of the same task that awaits this one; null when this one is the task's own.
const detail::coro_core* awaiter_of(const detail::coro_core* coroutine) noexcept;

/// The name under which users know a coroutine function: the plain name, or that of the public function whose work it
/// does. Empty: it is the library's own business, and not shown.
std::string public_name(const std::source_location& function);
/// Is it a coroutine of the library, whose files and lines say nothing to a user?
bool is_internal(const std::source_location& function);

/// Has it a public name, and is it not the mere call of another one?
bool is_shown(const detail::coro_core* coroutine);
/// The outermost coroutine of a task that is shown; of a done task, its own. Null when there is none with a name.
const detail::coro_core* outermost_shown(const detail::coro_core* task);

/// The tasks that wait for `core`, each once, in the order in which they began; then those that do through a gather or
/// a shield. wait(), as_completed() and task groups count. A gather or shield that nobody waits for stands for itself.
std::vector<detail::future_core*> waiting_for(const detail::future_core* core);

}  // namespace asyncio::coro
