// SPDX-License-Identifier: BSL-1.0
#include <asyncio/event_loop.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "coro/event_loop_impl.hpp"
#include "coro/executor_access.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <stdexcept>

namespace asyncio {

namespace {

thread_local event_loop* loop_of_thread = nullptr;

bool debug_from_environment() noexcept {
  const char* value = std::getenv("ASYNCIO_DEBUG");
  return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

backend_kind chosen_backend(backend_kind asked) {
  const char* value = std::getenv("ASYNCIO_BACKEND");
  if (value == nullptr || *value == '\0') return asked;
  const std::string_view name(value);
  if (name == "epoll") return backend_kind::epoll;
  if (name == "io_uring") return backend_kind::io_uring;
  if (name == "automatic") return backend_kind::automatic;
  throw std::invalid_argument("ASYNCIO_BACKEND=" + std::string(name) + ": epoll, io_uring or automatic");
}

// io_uring where the machine has it and lets us: containers often do not.
std::unique_ptr<kernel::kernel> make_kernel(backend_kind kind, int wake_fd) {
  if (kind == backend_kind::io_uring) {
    try {
      return kernel::make_uring_kernel(wake_fd);
    } catch (const std::system_error&) {}
  }
  return kernel::make_epoll_kernel(wake_fd);
}

std::unique_ptr<loop::loop> make_loop(clock_source* clock, backend_kind kind) {
  const int wake_fd = kernel::make_wake_fd();
  std::unique_ptr<kernel::kernel> backend;
  try {
    backend = make_kernel(kind, wake_fd);
  } catch (...) {
    kernel::close_fd(wake_fd);
    throw;
  }
  return std::make_unique<loop::loop>(std::move(backend), clock != nullptr ? *clock : base::steady_clock_source(),
                                      wake_fd);
}

}  // namespace

event_loop& get_running_loop() { return *detail::running_loop().face(); }

event_loop* get_event_loop() noexcept {
  return detail::here.loop != nullptr ? detail::here.loop->face() : loop_of_thread;
}

void set_event_loop(event_loop* loop) noexcept { loop_of_thread = loop; }

std::unique_ptr<event_loop> new_event_loop(loop_options options) {
  auto state = std::make_unique<event_loop::impl>(make_loop(options.clock, chosen_backend(options.backend)));
  constexpr auto no_limit = static_cast<unsigned>(std::numeric_limits<std::int32_t>::max());
  const unsigned budget = options.budget == 0 ? no_limit : std::min(options.budget, no_limit);
  state->loop->set_step_budget(static_cast<std::int32_t>(budget));
  state->loop->set_spin(std::chrono::microseconds(options.spin));
  state->loop->set_debug(options.debug.value_or(debug_from_environment()));
  auto face = std::make_unique<event_loop>(state.get());
  state.release()->loop->set_face(face.get());
  return face;
}

// NOLINTNEXTLINE(bugprone-exception-escape): a loop that is destroyed while it runs is the end of the program
event_loop::~event_loop() {
  if (impl_->loop->box().forked()) return;  // its tasks are the parent process's: nothing of it is touched
  if (!impl_->closed) close();
  if (loop_of_thread == this) loop_of_thread = nullptr;
  delete impl_;
}

detail::loop_core& event_loop::core() const noexcept { return *impl_->loop; }

void event_loop::check_thread(const char* call) const {
  if (impl_->closed) throw std::runtime_error(std::string(call) + ": the event loop is closed");
  check_owner(call);
}

// For what a closed loop still answers.
void event_loop::check_owner(const char* call) const { impl_->loop->box().check_thread(call); }

void event_loop::check_may_run() const {
  if (impl_->closed) throw std::runtime_error("the event loop is closed");
  if (detail::here.loop != nullptr)
    throw std::runtime_error("a loop is running in this thread already: co_await here instead of running another");
  if (impl_->loop->running_now()) throw std::runtime_error("this loop is already running in another thread");
  impl_->loop->box().take_ownership();
}

void event_loop::run_forever() {
  check_may_run();
  loop::run_end end;
  {
    const loop::loop::entry inside(*impl_->loop);
    end = impl_->loop->run_forever();
  }
  if (end == loop::run_end::interrupted && impl_->escaping != nullptr)
    std::rethrow_exception(std::exchange(impl_->escaping, nullptr));
}

bool event_loop::run_once(std::optional<timedelta> timeout) {
  check_may_run();
  const loop::loop::entry inside(*impl_->loop);
  const loop::run_end end =
      impl_->loop->run_once(timeout ? std::optional<std::chrono::nanoseconds>(timeout->count()) : std::nullopt);
  if (end == loop::run_end::interrupted && impl_->escaping != nullptr)
    std::rethrow_exception(std::exchange(impl_->escaping, nullptr));
  return impl_->loop->has_something_to_do();
}

void event_loop::stop() {
  check_thread("loop.stop()");
  impl_->loop->stop();
}

bool event_loop::is_running() const noexcept { return impl_->loop->running_now(); }
bool event_loop::is_closed() const noexcept { return impl_->closed; }

void event_loop::close() {
  if (impl_->loop->box().forked())
    throw std::runtime_error("the event loop belongs to the process that forked this one");
  if (impl_->loop->running_now()) throw std::runtime_error("cannot close a running event loop");
  if (impl_->closed) return;
  // A loop may be closed by a task or callback of another one: what is left of it runs to its end in between.
  struct set_aside {
    detail::thread_state outer = std::exchange(detail::here, {});
    ~set_aside() { detail::here = outer; }
  };
  const set_aside outer;
  impl_->loop->box().take_ownership();
  if (impl_->loop->task_count() > 0) coro::cancel_all_tasks(*this);
  // Closed before anything is released: what a closure's destructor starts would never run.
  impl_->closed = true;
  impl_->loop->begin_close();
  impl_->signals.remove_all();
  impl_->watches.remove_all();
  impl_->loop->close();
  if (impl_->executor != nullptr) detail::executor_access::abandon(*impl_->executor);
  impl_->executor.reset();
}

int event_loop::poll_fd() const {
  check_thread("loop.poll_fd()");
  return impl_->loop->poll_fd();
}
std::optional<time_point> event_loop::next_deadline() const {
  check_owner("loop.next_deadline()");
  if (impl_->loop->has_something_to_do()) return time();
  return impl_->loop->next_deadline();
}
time_point event_loop::time() const { return impl_->loop->clock().now(); }
time_point event_loop::deadline_in(timedelta delay) { return impl_->loop->read_clock() + delay; }

callback_handle event_loop::schedule(detail::callback_node* node) {
  node->home = &impl_->loop->box();
  node->variables = detail::values_for_later();
  node->home->add_user(detail::user_kind::callback);
  node->refs = 2;
  if (detail::here.loop != impl_->loop.get()) [[unlikely]]
    impl_->loop->take_mail();  // of call_soon_threadsafe(), called before this
  impl_->loop->post(node);
  return callback_handle(node);
}

timer_handle event_loop::schedule_at(time_point when, detail::callback_node* node) {
  node->home = &impl_->loop->box();
  node->variables = detail::values_for_later();
  node->home->add_user(detail::user_kind::callback);
  node->deadline = when;
  node->refs = 2;
  try {
    impl_->loop->add_timer(*node);
  } catch (...) {
    node->drop(node);
    node->release();
    node->release();
    throw;
  }
  return timer_handle(node);
}

// Straight into the ready queue only in a turn of the loop. A loop that does not run may be taken over by another thread at
// this moment, from the one that made it and calls this: its inbox is the safe way. The next call_soon() keeps the order.
callback_handle event_loop::schedule_threadsafe(detail::callback_node* node) {
  node->home = &impl_->loop->box();
  node->variables = detail::values_for_later();
  node->shared = true;
  node->refs = 2;
  const bool closing_here = impl_->closed && node->home->owned_here();
  if (!closing_here && detail::here.loop == impl_->loop.get()) {
    impl_->loop->post(node);
  } else if (closing_here || !node->home->post(node)) {
    node->drop(node);
    node->free(node);
    throw std::runtime_error("loop.call_soon_threadsafe(): the event loop is closed");
  }
  return callback_handle(node);
}

void event_loop::watch(int fd, bool for_write, detail::repeated_call* call) {
  try {
    check_thread(for_write ? "loop.add_writer()" : "loop.add_reader()");
  } catch (...) {
    call->destroy(call);
    throw;
  }
  impl_->watches.add(fd, for_write, call);
}

bool event_loop::unwatch(int fd, bool for_write) {
  if (impl_->closed) return false;
  check_thread(for_write ? "loop.remove_writer()" : "loop.remove_reader()");
  return impl_->watches.remove(fd, for_write);
}

detail::ready_operation event_loop::readable(int fd) {
  check_thread("loop.readable()");
  return detail::ready_operation(*impl_->loop, fd, false);
}

detail::ready_operation event_loop::writable(int fd) {
  check_thread("loop.writable()");
  return detail::ready_operation(*impl_->loop, fd, true);
}

void event_loop::watch_signal(int number, detail::repeated_call* call) {
  try {
    check_thread("loop.add_signal_handler()");
  } catch (...) {
    call->destroy(call);
    throw;
  }
  const auto act = [](int signal, unsigned, void* context) {
    auto* mine = static_cast<detail::repeated_call*>(context);
    const auto message = [signal] { return "exception in the handler of signal " + std::to_string(signal); };
    coro::call_reporting(detail::running_loop(), mine->variables, [mine] { mine->call(mine); }, message);
  };
  impl_->signals.add(loop::listener::handler, number, act, call, [](void* context) noexcept {
    auto* mine = static_cast<detail::repeated_call*>(context);
    mine->destroy(mine);
  });
}

bool event_loop::remove_signal_handler(int number) {
  if (impl_->closed) return false;
  check_thread("loop.remove_signal_handler()");
  return impl_->signals.remove(loop::listener::handler, number);
}

void event_loop::replace_exception_handler(asyncio::exception_handler handler) {
  check_owner("loop.set_exception_handler()");
  std::swap(impl_->handler, handler);  // the old one dies when this one is in its place
}

asyncio::exception_handler event_loop::get_exception_handler() const {
  check_owner("loop.get_exception_handler()");
  return impl_->handler;
}

void event_loop::replace_task_factory(asyncio::task_factory factory) {
  check_thread("loop.set_task_factory()");
  std::swap(impl_->factory, factory);
  impl_->loop->set_has_task_factory(static_cast<bool>(impl_->factory));
}

asyncio::task_factory event_loop::get_task_factory() const {
  check_owner("loop.get_task_factory()");
  return impl_->factory;
}

void event_loop::call_exception_handler(const exception_context& context) {
  check_owner("loop.call_exception_handler()");
  coro::tell_exception_handler(*this, context);
}

void coro::tell_exception_handler(event_loop& loop, const exception_context& context) noexcept {
  const exception_handler handler = loop.state().handler;  // it may replace itself
  if (!handler) return loop.default_exception_handler(context);
  const detail::callback_context callback;
  const handler_context inside(context.task ? context.task.raw_core().get() : nullptr);
  try {
    handler(loop, context);
  } catch (const keyboard_interrupt&) {
    coro::escape(loop.core(), std::current_exception());
  } catch (...) {
    loop.default_exception_handler(context);
    try {
      base::log(log_level::error, "exception in the exception handler: " + coro::describe(std::current_exception()));
    } catch (...) {
      base::log(log_level::error, "exception in the exception handler");
    }
  }
}

void event_loop::default_exception_handler(const exception_context& context) noexcept {
  try {
    std::string text = context.message.empty() ? "unhandled exception in the event loop" : context.message;
    if (context.task) text += "\n  task: " + to_string(context.task);
    if (context.where.line() != 0)
      text += "\n  in " + coro::function_name(context.where) + " (" + coro::place(context.where) + ")";
    if (context.exception != nullptr) text += "\n  exception: " + coro::describe(context.exception);
    base::log(log_level::error, text);
  } catch (...) {
    base::log(log_level::error, "unhandled exception in the event loop");
  }
}

void event_loop::set_debug(bool on) {
  check_owner("loop.set_debug()");
  impl_->loop->set_debug(on);
}
bool event_loop::get_debug() const {
  check_owner("loop.get_debug()");
  return impl_->loop->debug();
}
std::chrono::nanoseconds event_loop::slow_callback_duration() const {
  check_owner("loop.slow_callback_duration()");
  return impl_->slow_limit;
}
void event_loop::set_slow_callback_duration(timedelta limit) {
  check_owner("loop.set_slow_callback_duration()");
  impl_->slow_limit = limit.count();
}
backend_kind event_loop::backend() const noexcept {
  return std::string_view(impl_->loop->backend().name()) == "epoll" ? backend_kind::epoll : backend_kind::io_uring;
}

loop_metrics event_loop::metrics() const {
  check_thread("loop.metrics()");
  const loop::loop& l = *impl_->loop;
  return {l.task_count(), l.ready_count(), l.timer_count(), l.in_flight()};
}

namespace detail {

loop_core& running_loop() {
  if (here.loop == nullptr) throw std::runtime_error("no running event loop in this thread");
  return *here.loop;
}

inbox& home_of(event_loop& loop) {
  inbox& box = loop.core().box();
  box.check_thread("future()");
  return box;
}

void run_until_done(event_loop& loop, future_core* core) {
  coro::run_until_done_or_stopped(loop, core);
  if (!core->is_done()) throw std::runtime_error("the event loop was stopped before the future was done");
}

}  // namespace detail

namespace coro {

using detail::future_core;
using detail::loop_core;
using detail::waiter;

void check_awaited_in(loop_core& loop, const char* call) {
  if (detail::here.loop != &loop) throw std::runtime_error(std::string(call) + "(): awaited in a different event loop");
}

// Waits for `core` by a node among its waiters, which is taken out again whatever happens: an orphan that is done later
// cannot stop a later run (S16).
void run_until_done_or_stopped(event_loop& loop, future_core* core) {
  struct stopper : waiter {
    event_loop* loop = nullptr;
  };
  if (core->home != &loop.core().box()) throw std::invalid_argument("the future belongs to a different loop");
  stopper node;
  node.loop = &loop;
  node.notify = [](waiter* self, future_core*) noexcept {
    loop_core& stopped = static_cast<stopper*>(self)->loop->core();
    loop::loop::of(stopped).stop_next_turn();
  };
  struct unlink {
    future_core* core;
    stopper& node;
    ~unlink() {
      if (node.linked()) core->remove_waiter(&node);
    }
  };
  {
    const unlink guard{core, node};
    if (core->is_done())
      loop::loop::of(loop.core()).stop_next_turn();
    else
      core->add_waiter(&node);
    loop.run_forever();
  }
}

void report(event_loop* loop, std::string message, std::exception_ptr error, any_task task,
            std::source_location where) noexcept {
  if (loop == nullptr) {
    try {
      if (error != nullptr) message += "\n  exception: " + describe(error);
    } catch (...) {}
    base::log(log_level::error, message.empty() ? "unhandled exception" : std::string_view(message));
    return;
  }
  exception_context context;
  context.message = std::move(message);
  context.exception = std::move(error);
  context.task = std::move(task);
  context.where = where;
  tell_exception_handler(*loop, context);
}

void report(event_loop* loop, const char* message, std::exception_ptr error, any_task task,
            std::source_location where) noexcept {
  report(loop, text_if_possible([message] { return std::string(message); }), std::move(error), std::move(task), where);
}

void escape(detail::loop_core& core, std::exception_ptr error) noexcept {
  core.face()->state().escaping = std::move(error);
  loop::loop::of(core).interrupt();
}

}  // namespace coro
}  // namespace asyncio
