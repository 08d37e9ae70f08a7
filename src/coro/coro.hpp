// SPDX-License-Identifier: BSL-1.0
// coro — gives ops the face of co_await: tasks, futures, cancellation, the public event_loop.
// May include: base, kernel's types through loop, loop, threads, io.    Included by: streams, introspect, curl, testing.
// Thread: the loop's.
// Owns: coroutine frames of tasks, from creation to the end.
// Laws: no descriptors and no system calls; a frame is resumed by run_step() alone.
#pragma once
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/event_loop.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace asyncio::detail {
struct gather_core;

/// Thrown by a wait when what it waited in was destroyed: nothing of it may be touched any more.
struct abandoned_wait : std::runtime_error {
  using std::runtime_error::runtime_error;
};
}  // namespace asyncio::detail

namespace asyncio::coro {

/// "file.cpp:12"
std::string place(const std::source_location& where);
/// std::logic_error: a coroutine that owes a value came to its end without a co_return.
std::exception_ptr no_return(const detail::coro_core* core) noexcept;
/// The plain name of a coroutine function, without result type and parameters.
std::string function_name(const std::source_location& where);
/// A type's name as its users write it, of the compiler's own for it (typeid).
std::string type_name(const char* mangled);
/// "std::runtime_error: text"
std::string describe(const std::exception_ptr& error);

/// The message of a cancelled_error.
detail::shared_text message_of(const std::exception_ptr& cancelled) noexcept;

/// Continues a waiting task from within an op of its own, without another turn.
void continue_now(detail::coro_core* task) noexcept;

/// Does this queued op continue a task? Else it is a callback, or a completion.
bool is_step(const detail::op* node) noexcept;

/// Is it a cancelled_error?
bool is_cancellation(const std::exception_ptr& error) noexcept;
/// Is it keyboard_interrupt?
bool is_interrupt(const std::exception_ptr& error) noexcept;
/// Is it generator_exit?
bool is_generator_exit(const std::exception_ptr& error) noexcept;

/// The future or task that a wait waits for; null when it waits for something else.
detail::future_core* awaited_future(detail::wait_base* wait) noexcept;
/// Ends `task`'s wait for another task as cancelled.
void abandon_wait(detail::coro_core* task) noexcept;

/// Gives a request for cancellation to `task`, and down the chain of tasks that wait for each other; `task` is the last
/// of them then. The gather that this one waits for, and that is still to be asked; null when the request has arrived.
detail::gather_core* pass_request(detail::coro_core*& task, const detail::shared_text& message) noexcept;
/// The task's wait would not end early: its next one will.
void remember_request(detail::coro_core* task) noexcept;
/// Asks a gather, for the task that waits for it, or for nobody. False: it is done, or its children are.
bool ask_gather(detail::gather_core* gather, detail::coro_core* waiting, const detail::shared_text& message);
bool is_gather(const detail::future_core* core) noexcept;

/// On whose behalf a waiter of these kinds waits, a task or a gather or shield; null: it is of another kind, or nobody
/// waits now. chain.hpp asks them all.
detail::future_core* gather_behind(const detail::waiter* w) noexcept;
detail::future_core* wait_behind(const detail::waiter* w) noexcept;  ///< wait(), as_completed(), shield()
detail::future_core* group_behind(const detail::waiter* w) noexcept;

/// An exception that no task or callback may keep (keyboard_interrupt): leaves run_forever() at once.
void escape(detail::loop_core& loop, std::exception_ptr error) noexcept;

/// A keyboard_interrupt is about to leave run(): when nobody catches it, the program ends with status 128 + its signal.
void expect_interrupt() noexcept;
/// May run() listen to this signal? In the main thread, when nobody of the program does.
bool may_stand_by(event_loop& loop, int number);

/// `what` may be empty.
void report_slow(std::string_view what, std::chrono::nanoseconds took) noexcept;

/// The task of `core` as a handle that shares it.
any_task handle_of(detail::coro_core* core);

/// The task's context; made now when it has none.
detail::counted_thing context_of(detail::coro_core* task);

/// Tells the loop's exception handler, or the log when the loop is gone. An empty message: there was no memory for it.
void report(event_loop* loop, std::string message, std::exception_ptr error, any_task task = {},
            std::source_location where = {}) noexcept;
void report(event_loop* loop, const char* message, std::exception_ptr error, any_task task = {},
            std::source_location where = {}) noexcept;

/// The text that make() builds; empty when there is no memory for it. For messages of functions that are noexcept.
template <class Make>
std::string text_if_possible(Make make) noexcept {
  try {
    return make();
  } catch (...) {
    return {};
  }
}

/// A callback ended by the exception that is being handled: it is reported, with the text that make() builds.
template <class Make>
void report_failed_call(detail::loop_core& loop, Make make) noexcept {
  std::exception_ptr error = std::current_exception();
  if (is_interrupt(error))
    escape(loop, std::move(error));
  else
    report(loop.face(), text_if_possible(make), std::move(error));
}

/// Calls `call()` in a context of its own with these values. What it throws is reported in there (S60), with the text
/// that make() builds.
template <class Call, class Make>
void call_reporting(detail::loop_core& loop, const detail::counted_thing& values, Call call, Make make) noexcept {
  try {
    const detail::callback_context inside(values);
    try {
      call();
    } catch (...) {
      report_failed_call(loop, make);
    }
  } catch (...) {  // there is no memory for the context
    report_failed_call(loop, make);
  }
}

/// For as long as it lives, what runs here runs in the context of the task `failed`; of anything else it leaves it as
/// it is.
class handler_context {
 public:
  explicit handler_context(detail::future_core* failed) noexcept;

 private:
  std::optional<detail::context_entry> inside_;
};

/// What loop.call_exception_handler() does.
void tell_exception_handler(event_loop& loop, const exception_context& context) noexcept;

/// Errors: std::runtime_error when what `call` returned is awaited in another loop than its own.
void check_awaited_in(detail::loop_core& loop, const char* call);

/// Runs the loop until the future is done, or until somebody stops it.
void run_until_done_or_stopped(event_loop& loop, detail::future_core* core);

/// Closes the asynchronous generators that have begun and not ended; reports what they throw.
void close_generators(event_loop& loop);

/// Waits for the calls that its default executor runs, which it has no more afterwards; warns of those that it leaves.
coroutine<> end_default_executor(event_loop& loop, std::optional<timedelta> timeout);
/// What run() does with it at its end.
void close_executor(event_loop& loop);

/// Ends a loop's tasks: cancels all, runs the loop until they are done, reports what they throw.
void cancel_all_tasks(event_loop& loop);

}  // namespace asyncio::coro
