// SPDX-License-Identifier: BSL-1.0
#include <asyncio/context.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/run.hpp>

#include "coro/event_loop_impl.hpp"
#include "kernel/process.hpp"
#include "kernel/signals.hpp"

#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

namespace asyncio {

namespace detail {

// One signal's way. Before its turn in the loop it is unheard, and the guard that goes asks for it (end_run); once heard,
// it has cancelled main, or left the loop. So none is lost between two runs, or between a run and the close of its loop.
interrupt_guard::interrupt_guard(event_loop& loop, future_core* main, bool sigterm, bool& interrupted)
    : loop_(loop), main_(core_ref<>::share(main)), interrupted_(interrupted) {
  interrupted_ = false;
  listen(SIGINT, on_sigint_);
  if (sigterm) listen(SIGTERM, on_sigterm_);
}

void interrupt_guard::listen(int number, bool& listens) {
  auto& signals = loop_.state().signals;
  if (!coro::may_stand_by(loop_, number)) return;
  signals.add(loop::listener::standby, number, &interrupt_guard::on_interrupt, this, [](void*) noexcept {});
  listens = true;
}

interrupt_guard::~interrupt_guard() {
  static_cast<void>(leave(SIGINT, on_sigint_));
  static_cast<void>(leave(SIGTERM, on_sigterm_));
}

// True: one has come that was not heard.
bool interrupt_guard::leave(int number, bool& listens) noexcept {
  unsigned unheard = 0;
  if (std::exchange(listens, false)) loop_.state().signals.remove(loop::listener::standby, number, &unheard);
  return unheard != 0;
}

void interrupt_guard::on_interrupt(int number, unsigned count, void* self) {
  auto* guard = static_cast<interrupt_guard*>(self);
  guard->interrupts_ += count;
  guard->last_ = number;
  if (guard->interrupts_ == 1 && !guard->main_->is_done()) {
    guard->main_->kind->cancel(guard->main_.get(), shared_text());
    return;
  }
  guard->note(number);
  coro::escape(guard->loop_.core(), std::make_exception_ptr(keyboard_interrupt(number)));
}

void interrupt_guard::note(int number) noexcept {
  interrupted_ = true;
  last_ = number;
  coro::expect_interrupt();
}

bool interrupt_guard::listens_for_others(event_loop& loop) { return loop.state().signals.has_more_than_standbys(); }

void interrupt_guard::end_run() {
  const bool sigterm_unheard = leave(SIGTERM, on_sigterm_);
  if (leave(SIGINT, on_sigint_) || sigterm_unheard) {
    note(sigterm_unheard ? SIGTERM : SIGINT);
    throw keyboard_interrupt(last_);
  }
  if (main_->state != future_state::cancelled || interrupts_ == 0 || task_uncancel(main_.get()) != 0) return;
  note(last_);
  throw keyboard_interrupt(last_);
}

}  // namespace detail

namespace coro {

bool may_stand_by(event_loop& loop, int number) {
  return kernel::is_main_thread() && !loop.state().signals.has(number) && kernel::has_default_action(number);
}

namespace {

// Ctrl-C while a loop is closed: everything is being cancelled already, so the first one is only remembered, unless the
// run has ended by one. The next one ends the process by the default action.
class closing_guard {
 public:
  closing_guard(event_loop& loop, bool sigterm, bool interrupted) : signals_(loop.state().signals) {
    if (interrupted) return;
    for (const int number : {SIGINT, SIGTERM}) {
      if ((number == SIGTERM && !sigterm) || !may_stand_by(loop, number)) continue;
      try {
        signals_.add(loop::listener::standby, number, &closing_guard::on_interrupt, this, [](void*) noexcept {});
      } catch (const std::exception&) {
        continue;  // no memory for it, or another loop has the signal: the loop is closed all the same
      }
      (number == SIGINT ? on_sigint_ : on_sigterm_) = true;
    }
  }
  closing_guard(const closing_guard&) = delete;
  closing_guard& operator=(const closing_guard&) = delete;
  ~closing_guard() { end(); }

  /// Listens no more. The signal that came, or 0.
  int end() noexcept {
    if (std::exchange(on_sigint_, false)) end(SIGINT);
    if (std::exchange(on_sigterm_, false)) end(SIGTERM);
    return came_;
  }

 private:
  void end(int number) noexcept {
    unsigned unheard = 0;
    signals_.remove(loop::listener::standby, number, &unheard);
    if (unheard > 0 && came_ == 0) came_ = number;
  }
  static void on_interrupt(int number, unsigned count, void* self) {
    auto* guard = static_cast<closing_guard*>(self);
    if (guard->came_ != 0 || count > 1) kernel::raise_with_default_action(number);
    guard->came_ = number;
  }

  loop::signal_table& signals_;
  int came_ = 0;
  bool on_sigint_ = false;
  bool on_sigterm_ = false;
};

}  // namespace
}  // namespace coro

struct runner::opened {
  asyncio::context context = copy_context();
  std::unique_ptr<event_loop> loop;
};

runner::runner(run_options options) : options_(options) {}

runner::~runner() {
  try {
    close_after_failure();
  } catch (const keyboard_interrupt& came) {  // it cannot be thrown from here, and it is not lost
    kernel::raise_with_default_action(came.signal());
  }
  delete opened_;
}

void runner::close_after_failure() {
  try {
    close();
  } catch (const keyboard_interrupt&) {
    throw;
  } catch (...) {
    coro::report(nullptr, "exception while a runner was closed", std::current_exception());
  }
}

task_options runner::prepare() {
  kernel::leave_if_not_serving();
  if (detail::here.loop != nullptr)
    throw std::runtime_error("run() inside a running loop: co_await the coroutine, or make it a task");
  (void)get_loop();
  return {.context = &opened_->context};
}

event_loop& runner::get_loop() {
  if (closed_) throw std::runtime_error("the runner is closed");
  if (opened_ == nullptr) {
    auto fresh = std::make_unique<opened>();
    fresh->loop = new_event_loop(options_);
    opened_ = fresh.release();
  }
  return *opened_->loop;
}

void runner::close() {
  if (closed_) return;
  int interrupt = 0;
  if (opened_ != nullptr) {
    event_loop& loop = *opened_->loop;
    coro::closing_guard guard(loop, options_.sigterm, interrupted_);
    loop.set_task_factory(nullptr);  // what comes now is the library's own
    coro::cancel_all_tasks(loop);
    coro::close_generators(loop);
    coro::close_executor(loop);
    loop.run_once(timedelta());  // what was scheduled before is still called
    interrupt = guard.end();
    loop.close();
  }
  delete detail::taken(opened_);
  closed_ = true;
  if (interrupt == 0) return;
  interrupted_ = true;
  coro::expect_interrupt();
  throw keyboard_interrupt(interrupt);
}

namespace coro {

namespace {

std::terminate_handler terminate_otherwise = nullptr;

// A keyboard_interrupt that nobody catches is no crash: the program ends as a shell expects of Ctrl-C.
[[noreturn]] void end_of_program() {
  try {
    if (std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const keyboard_interrupt& came) {
    kernel::exit_now(128 + came.signal());
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
