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

// A queued op keeps the gather until it has run, in the loop's last batch.
void abandon_gather(close_hook* self) noexcept {
  auto* core = static_cast<gather_core*>(self);
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

void child_done(gather_child* node, future_core* child) noexcept {
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
    node.notify = [](waiter* self, future_core* child) noexcept {
      child_done(static_cast<gather_child*>(self), child);
    };
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
  auto* core = static_cast<gather_core*>(self);
  if (core->is_done()) return false;
  bool any = std::exchange(core->cancelling, true);
  if (any) {
    queue(core);  // a child that waits for this gather, by whatever way: it would never end
  } else {
    for (gather_child& node : core->children) {
      future_core* child = node.child.get();
      if (child->kind->cancel(child, message)) any = true;
    }
    core->cancelling = false;
  }
  if (any) {
    core->cancel_requested = true;
    core->cancel_message = message;
  }
  return any;
}

}  // namespace asyncio::detail
