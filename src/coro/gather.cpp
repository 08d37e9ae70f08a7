// SPDX-License-Identifier: BSL-1.0
#include <asyncio/gather.hpp>

#include "coro/coro.hpp"

#include <stdexcept>

namespace asyncio::detail {

namespace {

void finish_gather(gather_core* core) noexcept {
  if (core->is_done()) return;
  if (core->failed != nullptr) {
    future_core* child = core->failed->child.get();
    child->retrieved = true;
    const bool was_cancelled = child->state == future_state::cancelled;
    core->finish_error(was_cancelled ? std::make_exception_ptr(cancelled_error(child->cancel_message)) : child->error);
  } else if (core->cancel_requested) {
    core->finish_error(std::make_exception_ptr(cancelled_error(core->cancel_message)));
  } else {
    try {
      core->collect(core);
      core->finish_value();
    } catch (...) {
      core->finish_error(std::current_exception());
    }
  }
}

// The last thing that is done with a gather: its children and its reference to itself go.
void let_go(gather_core* core) noexcept {
  if (loop_core* loop = core->home->loop()) loop->remove_close_hook(*core);
  for (gather_child& node : core->children)
    if (node.linked()) node.child->remove_waiter(&node);
  core->children.clear();
  core->release();
}

void run_gather(op* self) noexcept {
  auto* core = static_cast<gather_core*>(self);
  core->queued = false;
  if (core->children.empty()) return core->release();
  finish_gather(core);
  if (core->unfinished == 0) let_go(core);
}

// Nobody will end it any more. A queued op keeps the gather until it has run, in the loop's last batch.
void abandon_gather(close_hook* self) noexcept {
  auto* core = static_cast<gather_core*>(self);
  if (!core->is_done()) core->finish_cancelled(shared_text());
  if (core->queued) core->add_ref();
  let_go(core);
}

bool failed(const future_core* child) noexcept {
  return child->state == future_state::cancelled || child->error != nullptr;
}

void queue(gather_core* core) noexcept {
  if (core->queued) return;
  core->queued = true;
  core->home->loop()->post(core);
}

void child_done(waiter* self, future_core* child) noexcept {
  auto* node = static_cast<gather_child*>(self);
  gather_core* core = node->owner;
  --core->unfinished;
  if (failed(child) && !core->keep_exceptions) {
    child->retrieved = true;
    if (core->failed == nullptr && !core->is_done()) {
      core->failed = node;
      queue(core);
    }
  }
  if (core->unfinished == 0) queue(core);
}

}  // namespace

inbox& gather_home(const core_ref<>* first) { return first != nullptr ? *(*first)->home : running_loop().box(); }

void start_gather(gather_core* core) {
  core->check_thread("gather()");
  if (core->home->loop() == nullptr) throw std::runtime_error("gather(): the futures' event loop is closed");
  for (gather_child& node : core->children)
    if (node.child->home != core->home) throw std::invalid_argument("gather: the futures belong to different loops");
  if (core->children.empty()) {
    core->collect(core);
    core->finish_value();
    return;
  }
  core->op::done = &run_gather;
  core->unfinished = core->children.size();
  core->add_ref();
  core->on_close = &abandon_gather;
  core->home->loop()->add_close_hook(*core);
  core->queued = true;  // children that are done already finish it here: S85
  for (gather_child& node : core->children) {
    node.owner = core;
    node.notify = &child_done;
    if (node.child->is_done())
      child_done(&node, node.child.get());
    else
      node.child->add_waiter(&node);
  }
  core->queued = false;
  if (core->failed != nullptr || core->unfinished == 0) finish_gather(core);
  if (core->unfinished == 0) let_go(core);
}

bool cancel_gather(future_core* self, const shared_text& message) {
  return coro::ask_gather(static_cast<gather_core*>(self), nullptr, message);
}

}  // namespace asyncio::detail

namespace asyncio::coro {

using detail::coro_core;
using detail::future_core;
using detail::gather_core;
using detail::shared_text;

namespace {

// What the one who asked gets: a task that waits always takes a request, now or at its next wait.
bool answer_to(coro_core* waiting, bool taken) noexcept {
  if (taken || waiting == nullptr) return taken;
  remember_request(waiting);
  return true;
}

// True: its children are to be asked. False: `answer` is its answer.
bool begin_asking(gather_core* gather, gather_core* above, coro_core* waiting, const shared_text& message,
                  bool& answer) {
  if (gather->is_done()) {
    answer = answer_to(waiting, false);
    return false;
  }
  if (gather->asking) {  // a child waits for this gather, by whatever way: it would never end
    detail::queue(gather);
    gather->cancel_requested = true;
    gather->cancel_message = message;
    answer = true;
    return false;
  }
  gather->asking = true;
  gather->request = {above, waiting, 0, false};
  return true;
}

bool end_asking(gather_core* gather, const shared_text& message) {
  gather->asking = false;
  if (gather->request.taken) {
    gather->cancel_requested = true;
    gather->cancel_message = message;
  }
  return answer_to(gather->request.waiting, gather->request.taken);
}

}  // namespace

future_core* gather_behind(const detail::waiter* w) noexcept {
  return w->notify == &detail::child_done ? static_cast<const detail::gather_child*>(w)->owner : nullptr;
}

bool is_gather(const future_core* core) noexcept { return core->kind->cancel == &detail::cancel_gather; }

// Depth first, without recursion: each gather on the way remembers how far it has come and who asked it. A gather is on
// the way once at most, so that this needs no memory of its own.
bool ask_gather(gather_core* gather, coro_core* waiting, const shared_text& message) {
  gather_core* innermost = nullptr;
  bool answer = false;
  for (;;) {
    if (gather != nullptr && begin_asking(gather, innermost, waiting, message, answer))
      innermost = gather;
    else if (innermost != nullptr)
      innermost->request.taken |= answer;
    while (innermost != nullptr && innermost->request.next == innermost->children.size()) {
      gather_core* const ended = innermost;
      innermost = ended->request.above;
      answer = end_asking(ended, message);
      if (innermost != nullptr) innermost->request.taken |= answer;
    }
    if (innermost == nullptr) return answer;
    future_core* child = innermost->children[innermost->request.next++].child.get();
    gather = nullptr;
    waiting = nullptr;
    if (is_gather(child)) {
      gather = static_cast<gather_core*>(child);
    } else if (!child->is_task()) {
      answer = child->kind->cancel(child, message);
    } else if (answer = !child->is_done(); answer) {
      waiting = static_cast<coro_core*>(child);
      gather = pass_request(waiting, message);
    }
  }
}

}  // namespace asyncio::coro
