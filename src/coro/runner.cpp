// SPDX-License-Identifier: BSL-1.0
#include <asyncio/run.hpp>

#include "coro/event_loop_impl.hpp"
#include "kernel/process.hpp"
#include "kernel/signals.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <stdexcept>

namespace asyncio {

namespace detail {

interrupt_guard::interrupt_guard(event_loop& loop, future_core* main) : loop_(loop), main_(core_ref<>::share(main)) {
  auto& signals = loop.state().signals;
  if (!kernel::is_main_thread() || signals.has(SIGINT) || !kernel::has_default_action(SIGINT)) return;
  signals.add(loop::listener::standby, SIGINT, &interrupt_guard::on_interrupt, this, [](void*) noexcept {});
  installed_ = true;
}

interrupt_guard::~interrupt_guard() {
  if (installed_) loop_.state().signals.remove(loop::listener::standby, SIGINT);
}

void interrupt_guard::on_interrupt(int, unsigned count, void* self) {
  auto* guard = static_cast<interrupt_guard*>(self);
  guard->interrupts_ += count;
  if (guard->interrupts_ == 1 && !guard->main_->is_done()) {
    guard->main_->kind->cancel(guard->main_.get(), shared_text());
    return;
  }
  coro::expect_interrupt();
  coro::escape(guard->loop_.core(), std::make_exception_ptr(keyboard_interrupt()));
}

bool interrupt_guard::listens_for_others(event_loop& loop) { return loop.state().signals.has_more_than_standbys(); }

void interrupt_guard::translate_cancellation() {
  if (interrupts_ == 0 || task_uncancel(main_.get()) != 0) return;
  coro::expect_interrupt();
  throw keyboard_interrupt();
}

}  // namespace detail

namespace {
constexpr timedelta longest_wait_for_threads = std::chrono::seconds(300);  // as Python's
}  // namespace

runner::runner(run_options options) : options_(options) {}

runner::~runner() {
  try {
    close();
  } catch (...) {
    coro::report(nullptr, "exception while a runner was closed", std::current_exception());
  }
}

task_options runner::prepare() {
  if (detail::here.loop != nullptr)
    throw std::runtime_error("run() inside a running loop: co_await the coroutine, or make it a task");
  (void)get_loop();
  return {.context = &*context_};
}

event_loop& runner::get_loop() {
  if (closed_) throw std::runtime_error("the runner is closed");
  if (loop_ == nullptr) {
    context_ = copy_context();
    loop_ = new_event_loop(options_);
  }
  return *loop_;
}

void runner::close() {
  if (closed_) return;
  if (loop_ != nullptr) {
    loop_->set_task_factory(nullptr);  // what comes now is the library's own
    coro::cancel_all_tasks(*loop_);
    coro::close_generators(*loop_);
    if (loop_->state().executor != nullptr)
      loop_->run_until_complete(loop_->shutdown_default_executor(longest_wait_for_threads));
    loop_->run_once(timedelta());  // what was scheduled before is still called
    loop_->close();
  }
  loop_.reset();
  closed_ = true;
}

namespace coro {

namespace {

std::terminate_handler terminate_otherwise = nullptr;

// A keyboard_interrupt that nobody catches is no crash: the program ends as a shell expects of Ctrl-C.
[[noreturn]] void end_of_program() {
  try {
    if (std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const keyboard_interrupt&) {
    kernel::exit_now(128 + SIGINT);
  } catch (...) {}
  terminate_otherwise();
  std::abort();
}

// Neither stop() nor keyboard_interrupt ends the end.
void run_whatever_comes(event_loop& loop, const any_task& t) {
  try {
    run_until_done_or_stopped(loop, t.raw_core().get());
  } catch (const keyboard_interrupt&) {
    if (!t.done()) report(&loop, "keyboard_interrupt while the loop's tasks were cancelled", std::current_exception());
  }
}

}  // namespace

void expect_interrupt() noexcept {
  if (std::get_terminate() == &end_of_program) return;
  terminate_otherwise = std::set_terminate(&end_of_program);
}

// Once each, and those only that no request has reached yet by way of another one; those that nobody waits for come first. So
// a chain of tasks that wait for each other is gone through once.
void cancel_each(const std::vector<any_task>& tasks) {
  std::vector<int> before;
  before.reserve(tasks.size());
  for (const any_task& t : tasks) before.push_back(t.cancelling());
  for (const bool awaited : {false, true}) {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const bool has_waiters = tasks[i].raw_core()->waiters != nullptr;
      if (has_waiters == awaited && tasks[i].cancelling() == before[i]) tasks[i].cancel();
    }
  }
}

// Cancels every task once and waits for all of them, however long they take, and for what they start meanwhile. What
// they throw is reported; it replaces nobody's outcome.
void cancel_all_tasks(event_loop& loop) {
  std::vector<any_task> left;
  {
    const loop::loop::entry inside(loop::loop::of(loop.core()));
    left = all_tasks(loop);
  }
  while (!left.empty()) {
    cancel_each(left);
    for (const any_task& t : left) {
      while (!t.done()) run_whatever_comes(loop, t);
      if (t.cancelled()) continue;
      if (std::exception_ptr error = t.exception())
        report(&loop, "unhandled exception while the loop's tasks were cancelled", std::move(error), t);
    }
    left = all_tasks(loop);
  }
}

}  // namespace coro
}  // namespace asyncio
