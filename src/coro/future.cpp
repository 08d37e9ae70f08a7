// SPDX-License-Identifier: BSL-1.0
#include <asyncio/future.hpp>

#include "base/log.hpp"
#include "coro/coro.hpp"

#include <cxxabi.h>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <typeinfo>

namespace asyncio::detail {

namespace {

void run_done_callback(op* self) noexcept {
  auto* node = static_cast<done_callback*>(self);
  core_ref<> subject = std::move(node->subject);
  loop_core* loop = subject->home->loop();
  if (loop != nullptr && !loop->closing()) {
    const auto message = [&subject] { return "exception in a done callback of " + describe_task(subject.get()); };
    coro::call_reporting(*loop, node->variables, [node, &subject] { node->call(node, subject); }, message);
  }
  node->destroy(node);
}

void schedule_done_callback(waiter* self, future_core* core) noexcept {
  auto* node = static_cast<done_callback*>(self);
  loop_core* loop = core->home->loop();
  if (loop == nullptr) return node->destroy(node);
  node->subject = core_ref<>::share(core);
  loop->post(node);
}

}  // namespace

callback_token link_done_callback(future_core* core, done_callback* node) {
  static std::atomic<std::uint64_t> ids{0};
  node->id = ids.fetch_add(1, std::memory_order_relaxed) + 1;
  node->variables = values_for_later();
  node->notify = &schedule_done_callback;
  node->done = &run_done_callback;
  if (core->is_done() && core->home->loop() == nullptr) {
    node->destroy(node);
    throw std::runtime_error("the event loop is closed");
  }
  const callback_token token(node->id);
  if (core->is_done())
    schedule_done_callback(node, core);
  else
    core->add_waiter(node);
  return token;
}

bool unlink_done_callback(future_core* core, callback_token token) {
  waiter* first = core->waiters;
  if (first == nullptr) return false;
  waiter* at = first;
  do {
    if (at->notify == &schedule_done_callback && static_cast<done_callback*>(at)->id == token.id()) {
      core->remove_waiter(at);
      auto* node = static_cast<done_callback*>(at);
      node->destroy(node);
      return true;
    }
    at = at->next;
  } while (at != first);
  return false;
}

void drop_callbacks(future_core* core) noexcept {
  while (waiter* at = core->waiters) {
    core->remove_waiter(at);
    auto* node = static_cast<done_callback*>(at);
    node->destroy(node);
  }
}

void future_wait::wake_task(waiter* self, future_core*) noexcept { static_cast<future_wait*>(self)->task_->wake(); }

void future_wait::stop_waiting() noexcept { subject_->remove_waiter(this); }

void future_wait::check_from_elsewhere() const {
  subject_->check_thread("co_await");
  if (here.task == nullptr) throw_outside_task();
  if (!subject_->is_done()) throw_other_loop();
}

bool future_wait::cancel_future_wait(wait_base* self) noexcept {
  auto* wait = static_cast<future_wait*>(self);
  future_core* subject = wait->subject_.get();
  return subject->kind->cancel(subject, wait->task_->cancel_message);
}

// A cancellation that comes out of the wait answers the task's own request, whoever asked for it.
void future_wait::throw_failure() {
  const future_core& subject = *subject_;
  if (task_ != nullptr && task_->must_cancel &&
      (subject.state == future_state::cancelled || coro::is_cancellation(subject.error)))
    task_->must_cancel = task_->late_cancel = false;
  subject_->throw_no_result();
}

event_loop& face_of(future_core* core) {
  loop_core* loop = core->home->loop();
  if (loop == nullptr) throw std::runtime_error("the future's event loop is closed");
  return *loop->face();
}

void throw_empty_handle() { throw invalid_state_error("an empty task handle: there is no task behind it"); }
void throw_task_result() {
  throw std::runtime_error("a task's result comes from its coroutine: set_result() and set_exception() are a future's");
}
void throw_other_loop() {
  throw std::runtime_error("the task waits for a future that is attached to a different loop");
}
void throw_self_await() { throw std::runtime_error("a task cannot await itself"); }

void report_unretrieved(future_core* core) noexcept {
  try {
    const std::string what =
        core->is_task() ? "task exception was never retrieved: " : "future exception was never retrieved: ";
    const std::source_location where = core->is_task() ? static_cast<coro_core*>(core)->origin : std::source_location();
    loop_core* loop = core->home->loop();
    const coro::handler_context inside(loop != nullptr ? core : nullptr);
    coro::report(loop != nullptr ? loop->face() : nullptr, what + describe_task(core), core->error, {}, where);
  } catch (const std::bad_alloc&) {
    base::log(log_level::error, "an exception was never retrieved");
  }
}

}  // namespace asyncio::detail

namespace asyncio::coro {

detail::future_core* awaited_future(detail::wait_base* wait) noexcept {
  if (wait->cancel != &detail::future_wait::cancel_future_wait) return nullptr;
  return static_cast<detail::future_wait*>(wait)->subject();
}

void abandon_wait(detail::coro_core* task) noexcept { static_cast<detail::future_wait*>(task->waiting)->abandon(); }

detail::shared_text message_of(const std::exception_ptr& cancelled) noexcept {
  try {
    std::rethrow_exception(cancelled);
  } catch (const cancelled_error& e) {
    return e.text();
  } catch (...) {
    return {};
  }
}

std::string type_name(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> plain(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                     &std::free);
  return status == 0 ? plain.get() : mangled;
}

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return type_name(typeid(e).name()) + ": " + e.what();
  } catch (const cancelled_error& e) {
    return "asyncio::cancelled_error" + (e.message().empty() ? "" : ": " + e.message());
  } catch (const keyboard_interrupt&) {
    return "asyncio::keyboard_interrupt";
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    return type != nullptr ? type_name(type->name()) : "an unknown exception";
  }
}

void report_slow(std::string_view what, std::chrono::nanoseconds took) noexcept {
  try {
    const double seconds = std::chrono::duration<double>(took).count();
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", seconds);
    base::log(log_level::warning,
              std::string(what.empty() ? "executing something" : what) + " took " + text + " seconds");
  } catch (const std::bad_alloc&) {
    base::log(log_level::warning, "a callback was slow");
  }
}

}  // namespace asyncio::coro
