// SPDX-License-Identifier: BSL-1.0
// coro — gives ops the face of co_await: tasks, futures, cancellation, the public event_loop.
// May include: base, kernel's types through loop, loop, threads, io.    Included by: streams, process, tls, curl.
// Thread: the loop's.
// Owns: coroutine frames of tasks, from creation to the end.
// Laws: no descriptors and no system calls; a frame is resumed by run_step() alone.
#pragma once
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/event_loop.hpp>

#include <exception>
#include <source_location>
#include <string>

namespace asyncio::coro {

/// "file.cpp:12"
std::string place(const std::source_location& where);
/// The plain name of a coroutine function, without result type and parameters.
std::string function_name(const std::source_location& where);
/// "std::runtime_error: text"
std::string describe(const std::exception_ptr& error);

/// The message of a cancelled_error.
detail::shared_text message_of(const std::exception_ptr& cancelled) noexcept;

/// Continues a waiting task from within an op of its own, without another turn.
void continue_now(detail::coro_core* task) noexcept;

/// Is it a cancelled_error?
bool is_cancellation(const std::exception_ptr& error) noexcept;

/// The task that a wait waits for; null when it waits for something else.
detail::coro_core* awaited_task(detail::wait_base* wait) noexcept;
/// Ends `task`'s wait for another task as cancelled.
void abandon_wait(detail::coro_core* task) noexcept;

/// An exception that no task or callback may keep (keyboard_interrupt): leaves run_forever() at once.
void escape(detail::loop_core& loop, std::exception_ptr error) noexcept;

void report_slow(const std::string& what, std::chrono::nanoseconds took) noexcept;

/// The task of `core` as a handle that shares it.
any_task handle_of(detail::coro_core* core);

/// Tells the loop's exception handler, or the log when the loop is gone.
void report(event_loop* loop, std::string message, std::exception_ptr error, any_task task = {},
            std::source_location where = {}) noexcept;

/// Runs the loop until the future is done, or until somebody stops it.
void run_until_done_or_stopped(event_loop& loop, detail::future_core* core);

/// Ends a loop's tasks: cancels all, runs the loop until they are done, reports what they throw.
void cancel_all_tasks(event_loop& loop);

}  // namespace asyncio::coro
