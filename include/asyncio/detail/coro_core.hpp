// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/context_core.hpp>
#include <asyncio/detail/future_core.hpp>
#include <asyncio/detail/loop_core.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>

namespace asyncio {
class context;
}

namespace asyncio::detail {

/// What a suspended task waits on; lives in the awaiter, on the suspended frame. `cancel` asks the wait to end early.
/// True: the task is woken, now or later, and the await decides what it throws. False: it has its result already.
struct wait_base {
  bool (*cancel)(wait_base*) noexcept;  ///< set before the wait begins
};

/// What few tasks have.
struct task_extra {
  std::string name;
  bool named = false;
  counted_thing context;  ///< null: it has no values yet
};

/// The state of a coroutine, and of the task it may become. It stands right in front of the coroutine's frame, in the
/// same block of memory; the value stands in front of it:
///
///     [ value | coro_core | frame: promise, parameters, locals ]
///
/// The frame dies when the coroutine has ended, and with it parameters and locals; the block stays while a task handle
/// refers to it.
///
/// How a step runs. The driver (run_step) resumes one frame after another, never one from within another: awaiting a
/// child leaves the child's frame in `here.next_frame` and suspends; ending leaves the parent's there. So the machine
/// stack stays flat in every build, however long the chain. When the field stays empty the task has suspended, or its
/// root coroutine has ended.
///
/// Life of a task:   created → ready → running → (waiting → ready → running)* → done
///   ready:   its op stands in the loop's queue (`scheduled`), once at most.
///   waiting: `waiting` names the wait; `top` is the frame that will be resumed.
///   done:    the outcome is in future_core; the frame is gone; the loop has let go of its reference.
///
/// Cancellation. cancel() counts a request. A waiting task passes it to its wait, which ends early or was finished
/// already; in every other case `must_cancel` remembers it, and the next suspension ends at once. So a result that is
/// there is delivered first. A task that never suspends again ends cancelled, unless the request came when such a result
/// was on its way to it (`late_cancel`): what it returns then is not lost.
struct coro_core : future_core, op, task_links {
  explicit coro_core(const future_kind* k) noexcept : future_core(k, nullptr), op(unset()) {}

  void* parent = nullptr;        ///< the frame that awaits this one
  wait_base* waiting = nullptr;  ///< what the suspended task waits on
  task_extra* extra = nullptr;
  std::source_location site;    ///< the co_await it last passed
  std::source_location origin;  ///< the coroutine function

  // Sixteen bytes, so that a new core is a handful of wide stores.
  bool scheduled = false;
  bool cancel_taken = false;  ///< must_cancel was, by the wait: the task is about to throw it
  bool must_cancel = false;
  bool late_cancel = false;  ///< must_cancel came when a result was there already
  bool spawned = false;      ///< is a task
  bool started = false;
  bool ended = false;              ///< ran to its end
  bool ended_cancelled = false;    ///< by letting cancelled_error out
  bool ended_interrupted = false;  ///< by letting keyboard_interrupt out
  bool wrapper = false;            ///< only calls and awaits another coroutine, whose origin it has taken for its own
  bool listed = false;             ///< see list_task()
  bool rare = false;  ///< has an error, a message, an extra or a place in a list: there is something to clean up
  std::uint32_t cancel_requests = 0;

  void* top;  ///< the innermost frame: it runs, or the next step resumes it
  std::uint64_t number;

  void set_message(shared_text message) noexcept {
    cancel_message = std::move(message);
    rare = true;
  }
  void* frame() noexcept;
  loop_core* loop() const noexcept { return home->loop(); }
  static coro_core* of_frame(void* frame) noexcept;

  /// Puts the task into the ready queue. Of the running one, for an await that waits for nothing: it goes on in the next
  /// turn, behind what is ready now.
  void schedule() noexcept {
    scheduled = true;
    loop()->post(this);
  }
  /// The wait is over: the task continues in the next turn.
  void wake() noexcept {
    waiting = nullptr;
    schedule();
  }
};

inline void loop_core::link_task(coro_core* task) noexcept {
  ++task_count_;
  task_links* last = tasks_.prev_task;
  task->next_task = &tasks_;
  task->prev_task = last;
  last->next_task = tasks_.prev_task = task;
}

inline void loop_core::unlink_task(coro_core* task) noexcept {
  --task_count_;
  task->prev_task->next_task = task->next_task;
  task->next_task->prev_task = task->prev_task;
}

inline coro_core* loop_core::first_task() const noexcept {
  return tasks_.next_task == &tasks_ ? nullptr : static_cast<coro_core*>(tasks_.next_task);
}
inline coro_core* loop_core::task_after(coro_core* task) const noexcept {
  return task->next_task == &tasks_ ? nullptr : static_cast<coro_core*>(task->next_task);
}

inline constexpr std::size_t core_space = (sizeof(coro_core) + 15) / 16 * 16;

inline void* coro_core::frame() noexcept { return reinterpret_cast<std::byte*>(this) + core_space; }
// The optimiser sees a promise as an object of its own until the coroutine is split into functions, and takes what stands
// in front of it for nothing: hence hide_origin.
inline coro_core* coro_core::of_frame(void* frame) noexcept {
  return std::launder(reinterpret_cast<coro_core*>(static_cast<std::byte*>(hide_origin(frame)) - core_space));
}

/// The running task, for an await that is about to suspend `frame`: its innermost coroutine. An awaiter of another library
/// may have handed its handle on to one of ours; then it steps aside (foreign_wait::step_aside).
/// Errors: std::runtime_error outside a task, or when another library's coroutine awaits.
[[noreturn]] void throw_outside_task();
coro_core* task_behind(void* frame);
inline coro_core* awaiting_task(std::coroutine_handle<> frame) {
  coro_core* task = here.task;
  if (task == nullptr || task->top != frame.address()) [[unlikely]]
    return task_behind(frame.address());
  return task;
}

/// A request for cancellation that came earlier reaches the wait that has just begun.
void deliver_cancel(coro_core* task) noexcept;

/// The last thing an await_suspend does: `task`, of awaiting_task(), waits on `wait`.
inline void begin_wait(coro_core* task, wait_base* wait) noexcept {
  task->waiting = wait;
  if (task->must_cancel) [[unlikely]]
    deliver_cancel(task);
}

/// Throws the cancellation of the running task.
[[noreturn]] void throw_cancelled(coro_core* task);

// The compiled half of coroutine<T>.
void store_exception(coro_core* core) noexcept;  ///< inside a catch block
[[noreturn]] void rethrow_error(coro_core* core);
[[noreturn]] void throw_no_value(coro_core* core);  ///< what it threw, or that it has no co_return
void destroy_frame(void* frame) noexcept;           ///< out of line: no compiler may elide the frame
void drop_unawaited(coro_core* core) noexcept;      ///< reports, destroys
void discard(coro_core* core) noexcept;             ///< destroys without a word
[[noreturn]] void throw_awaited_twice();

void run_step(op* step) noexcept;
/// What every new task gets once somebody needs it: its creator's context, when there are contexts; a place in the list
/// of tasks that ledgers read (coro/task_list.hpp). Errors: std::bad_alloc; the coroutine is destroyed then.
extern atomic_cell<bool> tasks_need_more;
void give_task_more(coro_core* task, inbox& home);
void inherit_context(coro_core* task);  ///< of its creator
void unlist_task(coro_core* task) noexcept;
task_extra& extra_of(coro_core* task);
void clean_up_task(coro_core* task) noexcept;
void clean_up_unspawned(coro_core* core) noexcept;
/// What start_task() does when something is to be said against it, or a task factory is to be asked.
coro_core* start_task_with_care(loop_core* loop, coro_core* core);

/// From here on the coroutine is a pending task of `loop`.
inline void make_task(loop_core& loop, coro_core* core) noexcept {
  core->home = &loop.box();
  core->home->add_user_of_owner(user_kind::task);
  core->spawned = true;
  core->local_refs = 2;  // the loop's, until it is done, and the caller's
  core->number = loop.next_task_number();
  core->top = core->frame();
  core->done = &run_step;
  loop.link_task(core);
}

/// Makes a task of a coroutine that was not started: it belongs to the loop (null: the running one), and has one
/// reference for the caller. Errors: std::runtime_error when the loop is closed or another thread's; the coroutine is
/// destroyed then.
inline coro_core* start_task(loop_core* loop, coro_core* core) {
  const bool running_one = loop == nullptr;
  if (running_one) loop = here.loop;
  if (loop == nullptr || loop->start_needs_care() || (!running_one && !loop->box().owned_here())) [[unlikely]]
    return start_task_with_care(loop, core);
  if (tasks_need_more.load(order::relaxed)) [[unlikely]]
    give_task_more(core, loop->box());
  make_task(*loop, core);
  core->schedule();
  return core;
}
bool cancel_task(future_core* core, const shared_text& message);

/// The loop that runs in this thread. Errors: std::runtime_error.
loop_core& running_loop();

}  // namespace asyncio::detail
