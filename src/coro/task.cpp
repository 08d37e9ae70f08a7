// SPDX-License-Identifier: BSL-1.0
#include <asyncio/task.hpp>

#include "coro/chain.hpp"
#include "coro/coro.hpp"
#include "coro/event_loop_impl.hpp"

#include <asyncio/context.hpp>
#include <asyncio/detail/channel_core.hpp>
#include <asyncio/detail/parking.hpp>
#include <asyncio/detail/stream_wait.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/gather.hpp>
#include <asyncio/sleep.hpp>

#include <cstdio>
#include <stdexcept>

namespace asyncio::detail {

namespace {

// What ends otherwise than by a value.
[[gnu::noinline]] void finish_badly(coro_core* task) noexcept {
  std::exception_ptr error = std::exchange(task->error, nullptr);
  const bool cancelled = task->must_cancel && !task->late_cancel;
  if (error == nullptr && !cancelled) error = coro::no_return(task);
  if (error == nullptr) {
    task->must_cancel = false;
    if (task->has_value) task->kind->destroy_value(task);
    task->has_value = false;
    task->finish_cancelled(task->cancel_message);
    return;
  }
  if (task->ended_interrupted) coro::escape(*task->loop(), error);
  if (task->ended_cancelled)
    task->finish_cancelled(coro::message_of(error));
  else
    task->finish_error(std::move(error));
}

// The frame dies, the outcome goes from the coroutine to the future, everybody who waits is told. The exception that
// ended a cancelled task is dropped: each awaiter throws a cancelled_error of its own with the same message.
inline void finish_task(coro_core* task, loop_core& loop) noexcept {
  std::coroutine_handle<>::from_address(task->frame()).destroy();
  loop.unlink_task(task);
  if (task->has_value && (!task->must_cancel || task->late_cancel)) [[likely]]
    task->finish_value();
  else
    finish_badly(task);
  task->release_by_owner();
}

// A task that is cancelled before its first step never runs: its frame, and the arguments in it, die at once.
bool cancelled_before_start(coro_core* task) noexcept { return !task->started && task->must_cancel; }

// A step that has used up its budget ends where a coroutine goes back to the one that awaits it. Never on the way down: from
// the call of a coroutine to its first line nobody else runs.
inline void resume_frames(coro_core* task, thread_state& now) noexcept {
  now.task = task;
  void* frame = task->top;
  while (true) {
    void* const ran = frame;
    now.next_frame = nullptr;
    std::coroutine_handle<>::from_address(ran).resume();
    frame = now.next_frame;
    if (frame == nullptr) break;
    task->top = frame;
    if (now.budget <= 0 && coro_core::of_frame(ran)->parent == frame) [[unlikely]] {
      task->schedule();
      break;
    }
  }
}

inline void run_task(coro_core* task, thread_state& now) noexcept {
  task->scheduled = task->cancel_taken = false;
  loop_core& loop = *now.loop;
  if (cancelled_before_start(task)) [[unlikely]]
    return finish_task(task, loop);
  task->started = true;
  resume_frames(task, now);
  now.task = nullptr;
  if (task->ended) finish_task(task, loop);
}

[[gnu::noinline]] void run_timed(coro_core* task, thread_state& now) noexcept {
  const core_ref<> keep = core_ref<>::share(task);
  loop_core* loop = task->loop();
  const auto limit = loop->face()->slow_callback_duration();
  const time_point before = loop->now();
  run_task(task, now);
  const auto took = loop->now() - before;
  if (took >= limit)
    coro::report_slow(coro::text_if_possible([task] { return "executing " + describe_task(task); }), took);
}

}  // namespace

void run_step(op* step) noexcept {
  coro_core* task = &static_cast<coro_core&>(*step);
  thread_state& now = here;
  now.budget = now.loop->step_budget();
  if (now.loop->debug()) [[unlikely]]
    return run_timed(task, now);
  run_task(task, now);
}

namespace {

[[noreturn]] void refuse_task(loop_core* loop) {
  if (loop == nullptr) loop = &running_loop();  // which throws
  if (loop->closing()) throw std::runtime_error("create_task(): the event loop is closed");
  loop->box().throw_wrong_thread("create_task()");
}

void prepare_task(loop_core* loop, coro_core* core, const task_options& options) {
  if (loop == nullptr || loop->closing() || !loop->box().owned_here()) refuse_task(loop);
  if (options.context != nullptr) extra_of(core).context = options.context->raw_cell();
  if (!options.name.empty()) {
    extra_of(core).name = std::string(options.name);
    core->extra->named = true;
  }
}

// A task whose factory fails ends as one that is cancelled before its first step.
void ask_factory(loop_core& loop, coro_core* core, task_options& options) {
  const task_factory factory = loop.face()->state().factory;  // it may replace itself
  try {
    factory(*loop.face(), coro::handle_of(core), options);
  } catch (...) {
    core->must_cancel = true;
    core->schedule();
    core->release_by_owner();
    throw;
  }
}

// The first step is a step like others, with a budget of its own.
void run_eagerly(coro_core* core) noexcept {
  core->started = true;
  coro_core* const creator = here.task;
  void* const resumed_later = std::exchange(here.next_frame, nullptr);
  const std::int32_t budget_left = std::exchange(here.budget, core->loop()->step_budget());
  resume_frames(core, here);
  here.budget = budget_left;
  here.next_frame = resumed_later;
  here.task = creator;
  if (core->ended) finish_task(core, *here.loop);
}

}  // namespace

coro_core* start_task(loop_core* loop, coro_core* core, task_options options) {
  if (loop == nullptr) loop = here.loop;
  try {
    prepare_task(loop, core, options);
  } catch (...) {
    discard(core);
    throw;
  }
  if (tasks_need_more.load(order::relaxed)) give_task_more(core, loop->box());
  make_task(*loop, core);
  if (loop->has_task_factory()) ask_factory(*loop, core, options);
  if (options.eager_start.value_or(false) && here.loop == loop && !core->must_cancel)
    run_eagerly(core);
  else
    core->schedule();
  return core;
}

coro_core* start_task_with_care(loop_core* loop, coro_core* core) { return start_task(loop, core, task_options()); }

void clean_up_task(coro_core* task) noexcept {
  if (!task->retrieved) report_unretrieved(task);
  if (task->waiters != nullptr) drop_callbacks(task);
  delete task->extra;
  task->~coro_core();
}

void clean_up_unspawned(coro_core* core) noexcept {
  delete core->extra;
  core->error = nullptr;
  core->cancel_message = shared_text();
}

bool cancel_task(future_core* core, const shared_text& message) {
  if (core->is_done()) return core->refuse_cancel();
  auto* task = static_cast<coro_core*>(core);
  if (gather_core* gather = coro::pass_request(task, message)) [[unlikely]]
    coro::ask_gather(gather, task, message);
  return true;
}

void deliver_cancel(coro_core* task) noexcept {
  task->must_cancel = task->late_cancel = false;
  task->cancel_taken = task->waiting->cancel(task->waiting);
  task->must_cancel = !task->cancel_taken;
}

void throw_cancelled(coro_core* task) {
  task->must_cancel = task->late_cancel = false;
  throw cancelled_error(task->cancel_message);
}

bool own_cancellation() noexcept { return here.task != nullptr && here.task->cancel_requests > 0; }

std::string task_name(const future_core* core) {
  if (!core->is_task()) return "Future";
  const auto* task = static_cast<const coro_core*>(core);
  if (task->extra != nullptr && task->extra->named) return task->extra->name;
  return "Task-" + std::to_string(task->number);
}

task_extra& extra_of(coro_core* task) {
  if (task->extra == nullptr) task->extra = new task_extra;
  task->rare = true;
  return *task->extra;
}

void set_task_name(future_core* core, std::string name) {
  if (!core->is_task()) return;
  task_extra& extra = extra_of(static_cast<coro_core*>(core));
  extra.name = std::move(name);
  extra.named = true;
}

int task_cancelling(const future_core* core) noexcept {
  return core->is_task() ? static_cast<int>(static_cast<const coro_core*>(core)->cancel_requests) : 0;
}

int task_uncancel(future_core* core) noexcept {
  if (!core->is_task()) return 0;
  auto* task = static_cast<coro_core*>(core);
  if (task->cancel_requests == 0) return 0;
  --task->cancel_requests;
  if (task->cancel_requests == 0) task->must_cancel = task->late_cancel = false;
  return static_cast<int>(task->cancel_requests);
}

std::string describe_task(const future_core* core) {
  static constexpr const char* states[] = {"pending", "finished", "cancelled"};
  const char* state = states[static_cast<int>(core->state)];
  if (!core->is_task()) return std::string("<Future ") + state + ">";
  const auto* task = static_cast<const coro_core*>(core);
  std::string text = "<Task '" + task_name(core) + "' " + state;
  if (const coro_core* shown = coro::outermost_shown(task)) {
    text += " coro=" + coro::public_name(shown->origin) + "()";
    if (!core->is_done() && shown->site.line() != 0 && !coro::is_internal(shown->origin))
      text += " at " + coro::place(shown->site);
  }
  if (core->state == future_state::finished && core->error != nullptr)
    text += " exception=" + coro::describe(core->error);
  return text + ">";
}

}  // namespace asyncio::detail

namespace asyncio {

any_task current_task() { return detail::here.task == nullptr ? any_task() : coro::handle_of(detail::here.task); }

std::vector<any_task> all_tasks(event_loop& loop) {
  std::vector<any_task> tasks;
  detail::loop_core& core = loop.core();
  if (!core.box().owned_here()) core.box().throw_wrong_thread("all_tasks()");
  tasks.reserve(core.task_count());
  for (detail::coro_core* at = core.first_task(); at != nullptr; at = core.task_after(at))
    tasks.push_back(coro::handle_of(at));
  return tasks;
}

context any_task::get_context() const {
  detail::future_core* c = core("any_task.get_context()");
  return c->is_task() ? context(coro::context_of(static_cast<detail::coro_core*>(c))) : context();
}

std::string to_string(const any_task& task) {
  if (task) task.raw_core()->check_thread("to_string(task)");
  return task ? detail::describe_task(task.raw_core().get()) : std::string("<no task>");
}

namespace coro {

namespace {

// Of several requests before the task has run: the message that has reached its wait stays, of others the last one
// counts. No message is lost to a request without one, such as a deadline's.
void note_message(detail::coro_core* task, const detail::shared_text& message) noexcept {
  const bool stays = task->cancel_taken ? !task->cancel_message.empty() : task->must_cancel && message.empty();
  if (!stays) task->set_message(message);
}

}  // namespace

// Without recursion, to the one that waits for something else: S66. A ring of tasks (each waiting for the next) would
// never end: the first task met twice ends its own wait instead.
detail::gather_core* pass_request(detail::coro_core*& task, const detail::shared_text& message) noexcept {
  const detail::coro_core* mark = nullptr;
  for (std::size_t steps = 1, next_mark = 1;; ++steps) {
    ++task->cancel_requests;
    note_message(task, message);
    if (task->waiting == nullptr) break;
    detail::future_core* awaited = awaited_future(task->waiting);
    if (awaited == nullptr || !awaited->is_task()) {
      if (awaited != nullptr && is_gather(awaited)) return static_cast<detail::gather_core*>(awaited);
      task->cancel_taken = task->waiting->cancel(task->waiting);
      if (task->cancel_taken) return nullptr;
      break;
    }
    if (awaited->is_done()) break;
    auto* inner = static_cast<detail::coro_core*>(awaited);
    if (inner == mark) {
      abandon_wait(task);
      return nullptr;
    }
    if (steps == next_mark) {
      mark = inner;
      next_mark *= 2;
    }
    task = inner;
  }
  remember_request(task);
  return nullptr;
}

// Its result is there already: that is delivered, and stands if the task returns without suspending again.
void remember_request(detail::coro_core* task) noexcept {
  task->late_cancel = task->started && (task->scheduled || task->waiting != nullptr);
  task->must_cancel = true;
}

bool is_step(const detail::op* node) noexcept {
  return node->done == &detail::run_step || detail::parking::continues(*node) ||
         detail::foreign_wait::continues(*node) || detail::channel_wait::continues(*node) ||
         detail::stream_wait::continues(*node);
}

void continue_now(detail::coro_core* task) noexcept {
  task->waiting = nullptr;
  detail::run_step(task);
}

any_task handle_of(detail::coro_core* core) { return any_task::from_core(detail::core_ref<>::share(core)); }

}  // namespace coro
}  // namespace asyncio
