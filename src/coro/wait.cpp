// SPDX-License-Identifier: BSL-1.0
#include <asyncio/wait.hpp>

#include "coro/coro.hpp"

#include <asyncio/async_generator.hpp>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace asyncio::detail {

std::vector<core_ref<>> checked_for_wait(std::vector<core_ref<>> cores) {
  if (cores.empty()) throw std::invalid_argument("wait: there is nothing to wait for");
  for (const core_ref<>& c : cores) {
    if (!c) throw_empty_handle();
    c->check_thread("wait()");
  }
  return cores;
}

coroutine<wait_result<any_task>> wait_for_any(const any_task* first, std::size_t count, wait_options options) {
  return wait_for_handles<any_task>(std::vector<any_task>(first, first + count), options);
}

many_wait::many_wait(std::vector<core_ref<>> cores, wait_options options) : options_(options) {
  children_.resize(cores.size());
  for (std::size_t i = 0; i < cores.size(); ++i) children_[i].child = std::move(cores[i]);
  find_repeated();
}

// Who stands there several times counts once, as in Python's set. A child that has a node of ours among its waiters was
// met before: ours is the last one, since nobody else adds any meanwhile.
void many_wait::find_repeated() noexcept {
  const auto mark = [](waiter*, future_core*) noexcept {};
  for (many_wait_child& c : children_) {
    waiter* const first = c.child->waiters;
    c.repeated = first != nullptr && first->prev->notify == +mark;
    c.notify = mark;
    if (!c.repeated) c.child->add_waiter(&c);
  }
  for (many_wait_child& c : children_)
    if (c.linked()) c.child->remove_waiter(&c);
}

many_wait::~many_wait() { unlink(); }

void many_wait::unlink() noexcept {
  for (many_wait_child& c : children_)
    if (c.linked()) c.child->remove_waiter(&c);
  if (armed()) task_->loop()->remove_timer(*this);
  late_wake* wake = std::exchange(wake_, nullptr);
  if (wake == nullptr) return;
  if (wake->owner == nullptr)
    delete wake;
  else
    wake->owner = nullptr;
}

void many_wait::tell_owner(waiter* self, future_core* child) noexcept {
  static_cast<many_wait_child*>(self)->owner->child_done(child);
}

void many_wait::await_suspend(std::coroutine_handle<> frame) {
  task_ = awaiting_task(frame);
  for (many_wait_child& c : children_)
    if (c.child->home != task_->home) throw_other_loop();
  loop_core& loop = *task_->loop();
  wait_base::cancel = &cancel_many_wait;
  wake_ = new late_wake;  // now, since child_done() must not fail
  if (options_.timeout) {
    deadline = loop.now() + *options_.timeout;
    timer_op::done = [](op* self) noexcept { static_cast<many_wait*>(self)->wake_now(); };
    loop.add_timer(*this);
  }
  unfinished_ = children_.size();
  begin_wait(task_, this);
  for (many_wait_child& c : children_) {
    if (cancelled_) return;
    c.owner = this;
    c.notify = &many_wait::tell_owner;
    if (c.child->is_done())
      child_done(c.child.get());
    else
      c.child->add_waiter(&c);
  }
}

void many_wait::child_done(future_core* child) noexcept {
  --unfinished_;
  bool enough = unfinished_ == 0 || options_.return_when == return_when::first_completed;
  if (options_.return_when == return_when::first_exception && child->error != nullptr) {
    child->retrieved = true;
    enough = true;
  }
  if (!enough || cancelled_ || wake_->owner != nullptr) return;
  wake_->owner = this;
  wake_->done = [](op* self) noexcept {
    auto* wake = static_cast<late_wake*>(self);
    if (wake->owner != nullptr) {
      wake->owner->wake_ = nullptr;
      wake->owner->wake_now();
    }
    delete wake;
  };
  task_->loop()->post(wake_);
}

void many_wait::wake_now() noexcept {
  unlink();
  task_->wake();
}

bool many_wait::cancel_many_wait(wait_base* self) noexcept {
  auto* me = static_cast<many_wait*>(self);
  me->cancelled_ = true;
  me->wake_now();
  return true;
}

void many_wait::await_resume() {
  if (cancelled_) throw_cancelled(task_);
}

// as_completed. Each child that is done queues its node's op; a turn later that op appends the child to `finished` and
// wakes the task in next(), as CPython's queue does. The state is counted twice: while it has users (the iterator, and
// each next()) it listens; all of them together have one reference, each queued op one.
struct completion_state : timer_op, close_hook {
  struct child_node : waiter, op {
    core_ref<> child;
    completion_state* owner = nullptr;
  };

  inbox* home = nullptr;
  std::vector<child_node> nodes;
  std::vector<child_node*> finished;
  std::size_t given = 0;
  next_completion* waiting = nullptr;
  std::size_t users = 1;
  std::size_t refs = 1;
  bool timed_out = false;

  explicit completion_state(inbox& box) noexcept : home(&box) { home->add_user(); }
  ~completion_state() { home->drop_user(); }

  void release() noexcept {
    if (--refs == 0) delete this;
  }
  void stop_listening() noexcept {
    for (child_node& n : nodes)
      if (n.linked()) n.child->remove_waiter(&n);
    if (loop_core* loop = home->loop()) {
      if (armed()) loop->remove_timer(*this);
      loop->remove_close_hook(*this);
    }
  }
  void queue(child_node& n) noexcept {
    ++refs;
    home->loop()->post(&n);
  }
  void wake_waiting() noexcept {
    if (waiting == nullptr) return;
    coro_core* task = waiting->task_;
    waiting = nullptr;
    task->wake();
  }
  void child_done(child_node& n) noexcept {
    if (!timed_out) {
      finished.push_back(&n);
      wake_waiting();
    }
    release();
  }
  static void tell_owner(waiter* self, future_core* /*child*/) noexcept {
    auto* node = static_cast<child_node*>(self);
    node->owner->queue(*node);
  }
  /// Who waits in next(), or null.
  coro_core* waiting_task() const noexcept { return waiting != nullptr ? waiting->task_ : nullptr; }
  static bool cancel_next(wait_base* self) noexcept {
    auto* w = static_cast<next_completion*>(self);
    w->cancelled_ = true;
    w->state_->wake_waiting();
    return true;
  }
  void expire() noexcept {
    timed_out = true;
    for (child_node& n : nodes)
      if (n.linked()) n.child->remove_waiter(&n);
    wake_waiting();
  }
};

namespace {

// Who stands there several times is given once, in its first place: S130.
std::vector<std::size_t> first_places(const std::vector<core_ref<>>& cores) {
  std::vector<std::size_t> places(cores.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  const auto key = [&cores](std::size_t i) { return std::pair(cores[i].get(), i); };
  std::sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  const auto same = [&](std::size_t a, std::size_t b) { return cores[a].get() == cores[b].get(); };
  places.erase(std::unique(places.begin(), places.end(), same), places.end());
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace

completion_ref start_completions(std::vector<core_ref<>> cores, std::optional<timedelta> timeout) {
  loop_core& loop = running_loop();
  auto state = std::make_unique<completion_state>(loop.box());
  for (const core_ref<>& c : cores) {
    if (!c) throw_empty_handle();
    if (c->home != state->home) throw_other_loop();
  }
  const std::vector<std::size_t> places = first_places(cores);
  state->nodes.resize(places.size());
  state->finished.reserve(places.size());
  if (timeout) {
    state->deadline = loop.now() + *timeout;
    state->timer_op::done = [](op* self) noexcept { static_cast<completion_state*>(self)->expire(); };
    loop.add_timer(*state);
  }
  state->on_close = [](close_hook* self) noexcept { static_cast<completion_state*>(self)->stop_listening(); };
  loop.add_close_hook(*state);
  for (std::size_t i = 0; i < state->nodes.size(); ++i) {
    completion_state::child_node& n = state->nodes[i];
    n.owner = state.get();
    n.child = std::move(cores[places[i]]);
    n.op::done = [](op* self) noexcept {
      auto* node = static_cast<completion_state::child_node*>(self);
      node->owner->child_done(*node);
    };
    n.notify = &completion_state::tell_owner;
    if (n.child->is_done())
      state->queue(n);
    else
      n.child->add_waiter(&n);
  }
  return completion_ref(state.release());
}

completion_ref::completion_ref(const completion_ref& other) noexcept : state_(other.state_) {
  if (state_ != nullptr) ++state_->users;
}

void completion_ref::drop() noexcept {
  if (--state_->users != 0) return;
  state_->stop_listening();
  state_->release();
}

void completion_ref::check(const char* call) const {
  if (state_ == nullptr) throw invalid_state_error("an empty as_completed() iterator: it was moved");
  state_->home->check_thread(call);
}

next_completion::~next_completion() {
  if (state_->waiting == this) state_->waiting = nullptr;
}

bool next_completion::await_ready() {
  state_.check("as_completed().next()");
  if (state_->given < state_->finished.size()) return true;
  if (state_->timed_out && state_->given < state_->nodes.size()) return true;
  return state_->given == state_->nodes.size();
}

void next_completion::await_suspend(std::coroutine_handle<> frame) {
  if (state_->waiting != nullptr) throw std::runtime_error("next() is already waited for by another task");
  task_ = awaiting_task(frame);
  cancel = &completion_state::cancel_next;
  state_->waiting = this;
  begin_wait(task_, this);
}

core_ref<> next_completion::await_resume() {
  if (cancelled_) throw_cancelled(task_);
  if (state_->given < state_->finished.size()) return state_->finished[state_->given++]->child;
  if (state_->given == state_->nodes.size()) return {};
  ++state_->given;  // timed out: so ends the step of one that is not done, S131
  throw timeout_error();
}

coroutine<> cancel_and_wait(core_ref<> core) {
  core->kind->cancel(core.get(), shared_text());
  std::vector<core_ref<>> one;
  one.push_back(core);
  many_wait waiting(std::move(one), wait_options());
  co_await in_place(waiting);
}

void check_after_timeout(future_core* core) {
  if (core->state == future_state::cancelled) throw timeout_error();
}

inbox& home_for_shield(const core_ref<>& core) {
  core->check_thread("shield()");
  if (core->home->loop() == nullptr) throw std::runtime_error("shield(): the future's event loop is closed");
  return *core->home;
}

namespace {

void finish_outer(shield_link* link) {
  future_core* inner = link->inner.get();
  future_core* outer = link->outer.get();
  if (inner->state == future_state::cancelled) {
    outer->finish_cancelled(inner->cancel_message);
  } else if (inner->error != nullptr) {
    inner->retrieved = true;
    outer->finish_error(inner->error);
  } else {
    link->copy_value(inner, outer);
  }
}

void report_orphan(shield_link* link) noexcept {
  future_core* inner = link->inner.get();
  if (inner->error == nullptr || inner->retrieved) return;
  inner->retrieved = true;
  loop_core* loop = inner->home->loop();
  coro::report(loop != nullptr ? loop->face() : nullptr, "exception in a shielded future", inner->error,
               any_task::from_core(link->inner));
}

void run_shield(op* self) noexcept {
  auto* link = static_cast<shield_link*>(self);
  if (link->outer->state == future_state::cancelled) {
    report_orphan(link);
  } else if (!link->outer->is_done()) {
    try {
      finish_outer(link);
    } catch (...) {
      link->outer->finish_error(std::current_exception());
    }
  }
  delete link;
}

void queue_shield(waiter* self, future_core* inner) noexcept {
  auto* link = static_cast<shield_link*>(self);
  loop_core* running = inner->home->loop();
  running->remove_close_hook(*link);
  running->post(link);
}

}  // namespace

void start_shield(shield_link* link) {
  loop_core& loop = *link->inner->home->loop();
  link->op::done = &run_shield;
  link->notify = &queue_shield;
  link->on_close = [](close_hook* self) noexcept {
    auto* me = static_cast<shield_link*>(self);
    me->inner->remove_waiter(me);
    delete me;
  };
  loop.add_close_hook(*link);
  link->inner->add_waiter(link);
}

}  // namespace asyncio::detail

namespace asyncio::coro {

detail::future_core* wait_behind(const detail::waiter* w) noexcept {
  if (w->notify == &detail::many_wait::tell_owner) return static_cast<const detail::many_wait_child*>(w)->owner->task();
  if (w->notify == &detail::completion_state::tell_owner)
    return static_cast<const detail::completion_state::child_node*>(w)->owner->waiting_task();
  if (w->notify == &detail::queue_shield) return static_cast<const detail::shield_link*>(w)->outer.get();
  return nullptr;
}

bool is_cancellation(const std::exception_ptr& error) noexcept {
  return error != nullptr && detail::is_a<cancelled_error>(error);
}
bool is_interrupt(const std::exception_ptr& error) noexcept {
  return error != nullptr && detail::is_a<keyboard_interrupt>(error);
}
bool is_generator_exit(const std::exception_ptr& error) noexcept {
  return error != nullptr && detail::is_a<generator_exit>(error);
}

}  // namespace asyncio::coro
