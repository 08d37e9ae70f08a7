// SPDX-License-Identifier: BSL-1.0
#include "coro/watch.hpp"

#include "coro/coro.hpp"

#include <asyncio/detail/pool.hpp>
#include <asyncio/errors.hpp>

#include <cerrno>
#include <memory>
#include <system_error>

namespace asyncio::coro {

// A watch is freed when it is deaf, its op is not in flight, and its call is not running: whoever makes the last of the
// three true frees it.
struct watch_table::watch : kernel::io_op {
  loop::loop* owner = nullptr;
  detail::repeated_call* call_back = nullptr;
  bool deaf = false;
  bool calling = false;

  ~watch() { call_back->destroy(call_back); }
};

// True: nothing else refers to it, the caller frees it.
bool watch_table::silence(watch* w) noexcept {
  w->deaf = true;
  if (!w->in_flight) return !w->calling;
  w->owner->cancel(*w);
  return false;
}

void watch_table::fire(detail::op* self) noexcept {
  auto* w = static_cast<watch*>(self);
  if (w->result == -ECANCELED && !w->deaf) return;  // as below, and a stream has its number now
  while (!w->deaf) {
    w->calling = true;
    const auto message = [w] { return "exception in the callback of descriptor " + std::to_string(w->fd); };
    call_reporting(*w->owner, w->call_back->variables, [w] { w->call_back->call(w->call_back); }, message);
    w->calling = false;
    if (w->deaf || !w->owner->start(*w)) break;
    if (w->result < 0) return;  // the descriptor was closed: remove_reader() will free the watch
  }
  if (w->deaf && !w->in_flight) delete w;
}

// What is replaced is freed last: its closure's destructor may add and remove watches.
void watch_table::add(int fd, bool for_write, detail::repeated_call* call) {
  std::unique_ptr<watch> replaced;
  std::unique_ptr<watch> w;
  try {
    w = std::make_unique<watch>();
  } catch (...) {
    call->destroy(call);
    throw;
  }
  w->call_back = call;
  w->owner = &loop_;
  w->fd = fd;
  w->kind = for_write ? kernel::io_kind::writable : kernel::io_kind::readable;
  w->done = &watch_table::fire;
  auto [slot, fresh] = side(for_write).emplace(fd, nullptr);
  if (!fresh && silence(slot->second)) replaced.reset(slot->second);
  if (loop_.start(*w)) {
    if (w->result < 0) {
      side(for_write).erase(slot);
      throw std::system_error(static_cast<int>(-w->result), std::system_category(),
                              "cannot watch descriptor " + std::to_string(fd));
    }
    loop_.post(w.get());
    w->in_flight = false;
    w->calling = true;  // queued: end() must not free it before fire()
  }
  slot->second = w.release();
}

bool watch_table::remove(int fd, bool for_write) noexcept {
  map& m = side(for_write);
  const auto at = m.find(fd);
  if (at == m.end()) return false;
  watch* w = at->second;
  m.erase(at);
  if (silence(w)) delete w;
  return true;
}

void watch_table::remove_all() noexcept {
  for (const bool for_write : {false, true})
    while (!side(for_write).empty()) remove(side(for_write).begin()->first, for_write);
}

watch_table::~watch_table() { remove_all(); }

}  // namespace asyncio::coro

namespace asyncio::detail {

// The op and what it needs after the frame is gone: the kernel never sees the frame.
struct ready_wait_state : kernel::io_op, wait_base {
  loop::loop* owner = nullptr;
  coro_core* task = nullptr;  // null: nobody waits any more, done() frees the state
  bool cancelling = false;
};

namespace {

void free_state(ready_wait_state* state) noexcept {
  state->~ready_wait_state();
  pool_free(state, sizeof(ready_wait_state));
}

void ready_wait_done(op* self) noexcept {
  auto* state = static_cast<ready_wait_state*>(static_cast<kernel::io_op*>(self));
  if (state->task == nullptr) {
    free_state(state);
    return;
  }
  // It was ready before it was cancelled: that is delivered first, and whatever the task makes of it is not lost.
  if (state->cancelling && state->result != -ECANCELED) state->task->must_cancel = state->task->late_cancel = true;
  state->task->wake();
}

bool ready_wait_cancel(wait_base* self) noexcept {
  auto* state = static_cast<ready_wait_state*>(self);
  if (!state->cancelling) state->owner->cancel(*state);
  state->cancelling = true;
  return true;
}

}  // namespace

bool ready_operation::await_suspend(std::coroutine_handle<> frame) {
  coro_core* task = awaiting_task(frame);
  coro::check_awaited_in(*loop_, for_write_ ? "writable" : "readable");
  state_ = pool_new<ready_wait_state>();
  state_->owner = &loop::loop::of(*loop_);
  state_->task = task;
  state_->fd = fd_;
  state_->kind = for_write_ ? kernel::io_kind::writable : kernel::io_kind::readable;
  state_->done = &ready_wait_done;
  state_->wait_base::cancel = &ready_wait_cancel;
  if (state_->owner->start(*state_)) return false;
  begin_wait(task, state_);
  return true;
}

void ready_operation::await_resume() {
  const std::int64_t result = state_->result;
  if (state_->cancelling && result == -ECANCELED) throw_cancelled(state_->task);
  if (result == -ECANCELED)
    throw std::system_error(EBADF, std::system_category(),
                            "descriptor " + std::to_string(fd_) + " was closed while a task waited for it");
  if (result < 0)
    throw std::system_error(static_cast<int>(-result), std::system_category(),
                            "cannot watch descriptor " + std::to_string(fd_));
}

ready_operation::~ready_operation() {
  if (state_ == nullptr) return;
  if (state_->in_flight) {
    state_->task = nullptr;
    state_->owner->cancel(*state_);
  } else {
    free_state(state_);
  }
}

}  // namespace asyncio::detail
