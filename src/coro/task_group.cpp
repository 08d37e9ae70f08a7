// SPDX-License-Identifier: BSL-1.0
#include <asyncio/task_group.hpp>

#include "coro/coro.hpp"
#include "coro/own_request.hpp"

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

// A group's life:
//
//   made ──aenter──▶ open ──aexit──▶ leaving ──no child left──▶ over
//                      └─── a child or the body fails, the task is cancelled, cancel() ───▶ aborting (open or leaving)
//
// Aborting cancels every child once, and refuses new ones. When it begins while the body still runs, the body has to end
// too: the group requests the cancellation of its own task (own_request), and takes that back at the end of the block.
//
// What leaves the block, in this order:
//   1. keyboard_interrupt of the body or a child, bare.
//   2. generator_exit of the body, bare, when no child has failed: what closes the generator around it is no failure.
//   3. exception_group of everything that children and body threw, other than cancellations. A cancellation from
//      outside is delivered again, at the task's next suspension.
//   4. cancelled_error, when somebody else than this group cancelled: the body ended by it, or the wait for the children.
//   5. Nothing: also when the group cancelled itself.
//
// A child tells the group in a turn of its own, after everybody who was waiting for the child has been woken, as Python's
// done-callbacks do. Its note (group_child) frees itself then; a group that dies before its children (a loop that is
// closed) leaves them alone.

namespace asyncio::detail {

struct group_child final : waiter, op {
  group_state* group = nullptr;
  core_ref<> task;
  group_child* prev_child = nullptr;
  group_child* next_child = nullptr;

  static void* operator new(std::size_t size) { return pool_allocate(size); }
  static void operator delete(void* child, std::size_t size) noexcept { pool_free(child, size); }

  coro_core* core() const noexcept { return static_cast<coro_core*>(task.get()); }
};

namespace {

/// The end of the block waits for the children. Being cancelled ends it early, and is told, not thrown.
class children_wait final : public wait_base {
 public:
  explicit children_wait(children_wait*& place) noexcept : place_(&place) {
    cancel = [](wait_base* self) noexcept {
      auto* wait = static_cast<children_wait*>(self);
      wait->cancelled_ = true;
      wait->wake();
      return true;
    };
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    task_ = awaiting_task(frame);
    *place_ = this;
    begin_wait(task_, this);
  }
  /// Was it cancelled?
  bool await_resume() const noexcept { return cancelled_; }
  void wake() noexcept {
    *place_ = nullptr;
    task_->wake();
  }

 private:
  children_wait** place_;
  coro_core* task_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace

class group_state {
 public:
  explicit group_state(coro_core* task) noexcept : request_(task), task_(core_ref<>::share(task)) {}
  group_state(const group_state&) = delete;
  group_state& operator=(const group_state&) = delete;
  ~group_state() {
    while (children_ != nullptr) remove(children_);
    while (failed_ != nullptr) delete std::exchange(failed_, failed_->next_child);
  }

  inbox& home() const noexcept { return *task_->home; }
  void check_thread(const char* call) const { task_->check_thread(call); }
  void check_may_spawn() const {
    if (home().closed()) throw std::runtime_error("the task_group's event loop is closed");
    if (leaving_ && children_ == nullptr) throw std::runtime_error("the task_group is finished");
    if (aborting_) throw std::runtime_error("the task_group is shutting down");
  }
  /// Whose block it is.
  coro_core* task() const noexcept { return static_cast<coro_core*>(task_.get()); }
  void add(coro_core* core, group_child* child) noexcept;
  void cancel() noexcept;
  coroutine<bool> leave(std::exception_ptr error);
  static void child_ended(waiter* self, future_core*) noexcept;

 private:
  static void take_note(op* self) noexcept;
  void note_end(std::unique_ptr<group_child> child) noexcept;
  void remove(group_child* child) noexcept;
  void abort() noexcept;
  void end_body() noexcept;
  std::vector<std::exception_ptr> failures(const std::exception_ptr& of_body) const;

  coro::own_request request_;
  core_ref<> task_;
  group_child* children_ = nullptr;  // circular, in order of creation
  children_wait* wait_ = nullptr;
  group_child* failed_ = nullptr;  // in order of their ends, linked by next_child
  group_child** last_failed_ = &failed_;
  std::exception_ptr interrupt_;
  bool leaving_ = false;
  bool aborting_ = false;
  bool cancelled_ = false;  // a cancellation, whoever's, has ended the body or the wait
};

void group_state::add(coro_core* core, group_child* child) noexcept {
  child->group = this;
  child->task = core_ref<>::share(core);
  child->notify = &group_state::child_ended;
  child->done = &group_state::take_note;
  if (children_ == nullptr) {
    children_ = child->prev_child = child->next_child = child;
  } else {
    child->next_child = children_;
    child->prev_child = children_->prev_child;
    child->prev_child->next_child = children_->prev_child = child;
  }
  if (core->is_done()) return child_ended(child, core);
  core->add_waiter(child);
  if (aborting_) cancel_task(core, shared_text());  // an eager child has ended the group in its first step
}

void group_state::remove(group_child* child) noexcept {
  if (child->next_child == child) {
    children_ = nullptr;
  } else {
    child->prev_child->next_child = child->next_child;
    child->next_child->prev_child = child->prev_child;
    if (children_ == child) children_ = child->next_child;
  }
  child->group = nullptr;
  child->next_child = nullptr;
}

void group_state::child_ended(waiter* self, future_core* core) noexcept {
  auto* child = static_cast<group_child*>(self);
  if (loop_core* loop = core->home->loop())
    loop->post(child);
  else
    take_note(child);
}

void group_state::take_note(op* self) noexcept {
  std::unique_ptr<group_child> child(static_cast<group_child*>(self));
  group_state* group = child->group;
  if (group == nullptr) return;
  group->remove(child.get());
  group->note_end(std::move(child));
}

// A child that failed stays as the note of what it threw, so that noting it cannot fail itself.
void group_state::note_end(std::unique_ptr<group_child> child) noexcept {
  coro_core* core = child->core();
  if (core->state == future_state::finished && core->error != nullptr) {
    core->retrieved = true;
    if (core->ended_interrupted && interrupt_ == nullptr) interrupt_ = core->error;
    *last_failed_ = child.release();
    last_failed_ = &(*last_failed_)->next_child;
    if (!aborting_) {
      abort();
      end_body();
    }
  }
  if (children_ == nullptr && wait_ != nullptr) wait_->wake();
}

void group_state::abort() noexcept {
  aborting_ = true;
  group_child* child = children_;
  if (child == nullptr) return;
  do {
    cancel_task(child->core(), shared_text());
    child = child->next_child;
  } while (child != children_);
}

// A task that waits at the end of the block goes round once, as it does in CPython, which cancels it here too.
void group_state::end_body() noexcept {
  if (!leaving_) return request_.make();
  if (wait_ != nullptr) wait_->wake();
}

void group_state::cancel() noexcept {
  if (aborting_ || (leaving_ && children_ == nullptr)) return;
  abort();
  end_body();
}

coroutine<bool> group_state::leave(std::exception_ptr error) {
  leaving_ = true;
  const bool failed = error != nullptr && !coro::is_cancellation(error);
  if (error != nullptr) {
    cancelled_ = !failed;
    if (interrupt_ == nullptr && coro::is_interrupt(error)) interrupt_ = error;
    if (!aborting_) abort();
  }
  shared_text message;
  while (children_ != nullptr) {
    children_wait wait(wait_);
    const bool cancelled = co_await in_place(wait);
    if (!cancelled) continue;
    if (!cancelled_) message = request_.task()->cancel_message;
    cancelled_ = true;
    if (!aborting_) abort();
  }
  const bool ours = request_.made();
  request_.take_back();
  if (interrupt_ != nullptr) std::rethrow_exception(interrupt_);
  const bool others = cancelled_ && (!ours || request_.others_request());
  std::vector<std::exception_ptr> errors = failures(failed ? error : nullptr);
  if (!errors.empty()) {
    request_.deliver_others_again();
    if (failed_ == nullptr && coro::is_generator_exit(error)) co_return false;
    throw exception_group("unhandled errors in a task_group", std::move(errors));
  }
  if (!others) co_return true;
  if (ours) request_.delivered();
  if (error != nullptr) co_return false;
  throw cancelled_error(message);
}

std::vector<std::exception_ptr> group_state::failures(const std::exception_ptr& of_body) const {
  std::vector<std::exception_ptr> errors;
  for (const group_child* child = failed_; child != nullptr; child = child->next_child)
    errors.push_back(child->task->error);
  if (of_body != nullptr) errors.push_back(of_body);
  return errors;
}

}  // namespace asyncio::detail

namespace asyncio {

detail::future_core* coro::group_behind(const detail::waiter* w) noexcept {
  if (w->notify != &detail::group_state::child_ended) return nullptr;
  const detail::group_state* group = static_cast<const detail::group_child*>(w)->group;
  return group != nullptr ? group->task() : nullptr;
}

task_group::task_group(task_group&& other) noexcept
    : state_(std::exchange(other.state_, nullptr)), cancel_on_entry_(other.cancel_on_entry_) {}

task_group::~task_group() { delete state_; }

detail::ready_operation_void task_group::aenter() {
  if (state_ != nullptr) throw std::runtime_error("the task_group has already been entered");
  if (detail::here.task == nullptr) throw std::runtime_error("a task_group should be used inside a task");
  state_ = new detail::group_state(detail::here.task);
  if (cancel_on_entry_) state_->cancel();
  return {};
}

coroutine<bool> task_group::aexit(std::exception_ptr error) {
  if (state_ == nullptr) throw std::runtime_error("the task_group has not been entered");
  return state_->leave(std::move(error));
}

void task_group::cancel() {
  if (state_ == nullptr) {
    cancel_on_entry_ = true;
    return;
  }
  state_->check_thread("task_group.cancel()");
  state_->cancel();
}

detail::coro_core* task_group::spawn(detail::coro_core* core, const task_options& options) {
  std::unique_ptr<detail::coro_core, void (*)(detail::coro_core*)> refused(core, &detail::discard);
  if (state_ == nullptr) throw std::runtime_error("the task_group has not been entered");
  state_->check_thread("task_group.create_task()");
  state_->check_may_spawn();
  auto child = std::make_unique<detail::group_child>();
  detail::start_task(state_->home().loop(), refused.release(), options);
  state_->add(core, child.release());
  return core;
}

}  // namespace asyncio
