// SPDX-License-Identifier: BSL-1.0
// Between concurrent futures and a loop: wrap_future() and run_coroutine_threadsafe().
#include <asyncio/concurrent_future.hpp>
#include <asyncio/threads.hpp>

#include "coro/coro.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>

namespace asyncio::detail {

namespace {

template <class Node>
class node_ref {
 public:
  explicit node_ref(Node* node) noexcept : node_(node) {}
  node_ref(const node_ref&) = delete;
  node_ref& operator=(const node_ref&) = delete;
  ~node_ref() {
    if (node_->uses.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node_;
  }

 private:
  Node* node_;
};

/// From a concurrent future to a future of a loop. Two things can happen, each once, in any order:
///
///     arrival  the work has an outcome: some thread calls `call`, which posts the node to the loop. There the future gets
///              the outcome, unless it is done; a door that is shut drops it.
///     refusal  the future is done first, which is to say, cancelled: a turn later the work is cancelled, outside the call
///              that cancelled the future, for callbacks of the work run in there. If it was queued, the arrival follows.
///
/// The reference to the future keeps the inbox alive for the thread that posts. From the loop's end on the future knows
/// nothing of the node, so that any thread may end it.
struct bridge final : concurrent_callback, op, waiter, close_hook {
  struct refusal_op : op {
    bridge* owner = nullptr;
  };

  concurrent_ref from;
  core_ref<> to;
  give_value give = nullptr;
  refusal_op refusal;
  std::atomic<int> uses{1};  // the arrival's, and that of a refusal that stands in the ready queue

  static void arrive_anywhere(concurrent_callback* self, concurrent_ref core) noexcept {
    auto* me = static_cast<bridge*>(self);
    core = {};  // the node has a reference of its own, which ends in the loop
    if (!me->to->home->post(me)) const node_ref dropped(me);
  }
  static void arrive(op* self) noexcept {
    auto* me = static_cast<bridge*>(self);
    const node_ref done(me);
    loop_core* loop = me->to->home->loop();
    if (loop == nullptr) return;
    me->leave(me);
    loop->remove_close_hook(*me);
    loop->post_came();
    if (!loop->closing() && !me->to->is_done()) me->deliver();
    me->from = {};
  }
  static void refuse_soon(waiter* self, future_core* future) noexcept {
    auto* me = static_cast<bridge*>(self);
    loop_core* loop = future->home->loop();
    if (loop == nullptr) return;
    me->uses.fetch_add(1, std::memory_order_relaxed);
    me->refusal.owner = me;
    me->refusal.done = [](op* refusal) noexcept {
      bridge* owner = static_cast<refusal_op*>(refusal)->owner;
      const node_ref done(owner);
      if (owner->from) owner->from->cancel();
    };
    loop->post(&me->refusal);
  }
  static void leave(close_hook* self) noexcept {
    auto* me = static_cast<bridge*>(self);
    if (me->waiter::linked()) me->to->remove_waiter(me);
  }
  void deliver() noexcept {
    try {
      if (from->state() == concurrent_state::cancelled) return to->finish_cancelled({});
      if (const std::exception_ptr& failed = from->error(); failed != nullptr) return to->finish_error(failed);
      give(*from.get(), *to);
    } catch (...) {
      return to->finish_error(std::current_exception());
    }
    to->finish_value();
  }
};

}  // namespace

void bridge_to_loop(concurrent_ref from, future_core* to, give_value give) {
  auto* node = new bridge;
  node->call = &bridge::arrive_anywhere;
  node->done = &bridge::arrive;
  node->notify = &bridge::refuse_soon;
  node->to = core_ref<>::share(to);
  node->give = give;
  node->from = std::move(from);
  node->on_close = &bridge::leave;
  to->add_waiter(node);
  to->home->loop()->add_close_hook(*node);
  to->home->loop()->expect_post();
  node->from->add_callback(node);
}

namespace {

/// A coroutine on its way to a loop, and then its task's outcome on the way back.
///
///     queued ──the loop's turn──▶ started (`task` is set) ──▶ the task is done ──▶ the outcome is given
///        └── the loop is closing, or the future was cancelled already: refused; the coroutine dies unstarted
///
/// Cancelling the future, in any thread, against the start, in the loop's: the canceller makes the future `cancelled`, then
/// looks at `phase`; the loop writes `phase`, then looks at the future. One of them sees the other, so the task is
/// cancelled; both may, and `asked` lets one request through. Only a canceller that has seen `started` touches the inbox,
/// which `task` keeps alive for as long as the node lives; before that the loop may be gone by now.
struct handed_over final : concurrent_callback, op, waiter {
  enum phase_t : std::uint8_t { queued, started, refused };
  struct part_op : op {
    handed_over* owner = nullptr;
  };

  inbox* home = nullptr;
  coro_core* work = nullptr;  // not started
  core_ref<> task;
  concurrent_ref to;
  give_task_value give = nullptr;
  counted_thing variables;
  part_op cancel_op;
  part_op outcome_op;
  std::atomic<std::uint8_t> phase{queued};
  std::atomic<int> uses{2};  // the task's way, and the callback at the future
  bool asked = false;        // the task was cancelled for the future's sake

  static void start(op* self) noexcept {
    auto* me = static_cast<handed_over*>(self);
    loop_core* loop = me->home->loop();
    if (loop == nullptr || loop->closing() || me->to->done()) return me->refuse();
    coro::call_reporting(
        *loop, me->variables, [me, loop] { me->start_task_in(*loop); },
        [] { return std::string("exception while a coroutine of run_coroutine_threadsafe() was started"); });
    if (!me->task) me->refuse();
  }
  void refuse() noexcept {
    const node_ref done(this);
    phase.store(refused, std::memory_order_seq_cst);
    if (work != nullptr) discard(work);
    if (to) std::exchange(to, {})->cancel();
  }
  // A task factory that throws: the future fails, and the exception is reported.
  void start_task_in(loop_core& loop) {
    try {
      task = core_ref<>::adopt(start_task(&loop, std::exchange(work, nullptr), task_options()));
    } catch (...) {
      if (to->start()) concurrent_core::finish_error(std::move(to), std::current_exception());
      throw;
    }
    notify = &handed_over::outcome_soon;
    if (task->is_done())  // an eager one
      outcome_soon(this, task.get());
    else
      task->add_waiter(this);
    phase.store(started, std::memory_order_seq_cst);
    if (to->done()) cancel_task_once();
  }
  void cancel_task_once() noexcept {
    if (std::exchange(asked, true)) return;
    task->kind->cancel(task.get(), {});
  }

  static void future_done(concurrent_callback* self, concurrent_ref core) noexcept {
    auto* me = static_cast<handed_over*>(self);
    const bool cancelled = core->state() == concurrent_state::cancelled;
    core = {};
    if (cancelled && me->phase.load(std::memory_order_seq_cst) == started) {
      me->cancel_op.owner = me;
      me->cancel_op.done = [](op* part) noexcept {
        handed_over* owner = static_cast<part_op*>(part)->owner;
        const node_ref done(owner);
        if (owner->home->loop() != nullptr) owner->cancel_task_once();
      };
      if (me->home->post(&me->cancel_op)) return;
    }
    const node_ref done(me);
  }

  static void outcome_soon(waiter* self, future_core* task) noexcept {
    auto* me = static_cast<handed_over*>(self);
    me->outcome_op.owner = me;
    me->outcome_op.done = [](op* part) noexcept { static_cast<part_op*>(part)->owner->give_outcome(); };
    task->home->loop()->post(&me->outcome_op);
  }
  void give_outcome() noexcept {
    const node_ref done(this);
    task->retrieved = true;
    if (task->state == future_state::cancelled) {
      to->cancel();
    } else if (to->start()) {
      finish();
    }
    to = {};
  }
  void finish() noexcept {
    if (task->error != nullptr) {
      std::exception_ptr error = task->only_reference() ? std::move(task->error) : task->error;
      return concurrent_core::finish_error(std::move(to), std::move(error));
    }
    try {
      give(*task, *to.get());
    } catch (...) {
      return concurrent_core::finish_error(std::move(to), std::current_exception());
    }
    concurrent_core::finish_value(std::move(to));
  }
};

}  // namespace

void start_threadsafe(event_loop& loop, coro_core* coroutine, concurrent_ref to, give_task_value give) {
  inbox& home = loop.core().box();
  std::unique_ptr<handed_over> node;
  try {
    node = std::make_unique<handed_over>();
    node->variables = values_for_later();
  } catch (...) {
    discard(coroutine);
    throw;
  }
  node->home = &home;
  node->work = coroutine;
  node->to = std::move(to);
  node->to->set_home(home.number());
  node->give = give;
  node->op::done = &handed_over::start;
  node->call = &handed_over::future_done;
  const concurrent_ref future = node->to;
  if (!home.post(node.get())) {
    discard(coroutine);
    throw std::runtime_error("run_coroutine_threadsafe(): the event loop is closed");
  }
  future->add_callback(node.release());
}

}  // namespace asyncio::detail
