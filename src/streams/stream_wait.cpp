// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/stream_wait.hpp>

#include "streams/stream_core.hpp"

#include "base/log.hpp"
#include "coro/coro.hpp"
#include "io/io.hpp"
#include "loop/loop.hpp"

#include <asyncio/errors.hpp>

#include <cerrno>

namespace asyncio {

namespace {

using streams::stream_core;

const char* name_of(detail::stream_wait::call c) noexcept {
  switch (c) {
    case detail::stream_wait::call::read:
    case detail::stream_wait::call::read_all: return "read()";
    case detail::stream_wait::call::read_exactly: return "readexactly()";
    case detail::stream_wait::call::read_into: return "read_into()";
    case detail::stream_wait::call::drain: return "drain()";
    case detail::stream_wait::call::write: return "write_all()";
  }
  return "";
}

template <class T, class A>
coroutine<T> run_operation(A operation) {
  co_return co_await std::move(operation);
}

}  // namespace

namespace detail {

// ---- what is done, and when it has to wait

inline stream_wait::step stream_wait::advance() { return is_read() ? advance_read() : advance_write(); }

inline bool stream_wait::satisfied() const noexcept {
  if (core_->eof()) return true;
  switch (call_) {
    case call::read_all: return false;
    case call::read_exactly: return core_->input().size() >= wanted_;
    default: return !core_->input().empty();
  }
}

// True: bytes came while a read_into() waited, and went where it wants them. No more will.
bool stream_wait::end_target() noexcept {
  auto& me = static_cast<read_into_operation&>(*this);
  core_->clear_target(me.got_);
  return me.got_ > 0;
}

// passed_: 1 once others had their turn, when many reads had been satisfied at once; 2 once bytes were looked for that
// need no copy.
stream_wait::step stream_wait::advance_read() {
  stream_core& core = *core_;
  if (passed_ == 0) {
    if (wanted_ == 0 && (call_ == call::read || call_ == call::read_into)) return step::done;
    passed_ = 1;
    if (call_ != call::read_all && core.used_up_its_turn()) return step::turn;
  }
  if (call_ == call::read_into) {
    auto& me = static_cast<read_into_operation&>(*this);
    if (end_target()) return step::done;
    if (passed_ == 1 && core.input().empty()) {
      const std::int64_t n = core.read_directly(me.to_, wanted_);
      if (n > 0) {
        me.got_ = static_cast<std::size_t>(n);
        return step::done;
      }
    }
    passed_ = 2;
  }
  while (!satisfied()) {
    if (call_ == call::read_all && core.used_up_its_turn()) return step::turn;
    const std::size_t more = call_ == call::read_exactly ? wanted_ - core.input().size() : wanted_;
    if (core.fetch(name_of(call_), more)) continue;
    core.has_waited();
    return step::wait;
  }
  return step::done;
}

// passed_: 1 once everything was handed on, and a connection that is closing has its turn to be lost; 2 once it has
// waited for the buffer to empty.
stream_wait::step stream_wait::advance_write() {
  stream_core& core = *core_;
  io::channel& channel = *core.channel();
  if (passed_ == 0) {
    passed_ = 1;
    if (call_ == call::write) channel.send(std::move(static_cast<write_operation&>(*this).text_));
    if (core.error() != nullptr) std::rethrow_exception(core.error());
    if (call_ == call::drain) channel.flush();
    if (channel.closing() && !core.lost()) return step::turn;
  }
  if (passed_ == 2) {
    if (core.lost_error() != nullptr) std::rethrow_exception(core.lost_error());
    return step::done;
  }
  if (core.lost()) core.throw_lost();
  if (!channel.congested()) return step::done;
  passed_ = 2;
  return step::wait;
}

// ---- the await

bool stream_wait::await_ready() {
  state_ = state::over;
  next_ = advance();
  return next_ == step::done && within_budget();
}

void stream_wait::await_suspend(std::coroutine_handle<> frame) {
  place_.task = awaiting_task(frame);
  place_.step = this;
  if (is_read()) core_->bind_here();
  done = &stream_wait::look;
  cancel = &stream_wait::cancel_wait;
  suspend();
}

streams::wait_line& stream_wait::line() const noexcept { return is_read() ? core_->data_line() : core_->drain_line(); }

void stream_wait::suspend() noexcept {
  coro_core* const task = place_.task;
  if (next_ != step::wait) {
    state_ = state::posted;
    task->waiting = nullptr;
    task->scheduled = true;
    return task->loop()->post(this);
  }
  state_ = state::waiting;
  task->scheduled = false;
  if (call_ == call::read_into) {
    auto& me = static_cast<read_into_operation&>(*this);
    core_->set_target(me.to_, wanted_, me.got_);
  }
  line().link(place_);
  begin_wait(task, this);
}

// Most reads are woken by what they wait for.
inline bool stream_wait::has_to_go_on() const noexcept {
  if (!is_read()) return next_ != step::done;
  return call_ == call::read_into || !satisfied();
}

// It stood in the ready queue: the task goes on, unless there is something to wait for, again. A read that had only to
// let others run may find that they have taken its bytes.
void stream_wait::look(op* self) noexcept {
  auto* me = static_cast<stream_wait*>(self);
  coro_core* const task = me->place_.task;
  me->state_ = state::over;
  if (me->next_ == step::turn && task->must_cancel) {
    me->cancelled_ = true;
  } else if (me->has_to_go_on()) {
    try {
      me->next_ = me->advance();
    } catch (...) {
      me->error_ = std::current_exception();
      me->next_ = step::done;
    }
    if (me->next_ != step::done) return me->suspend();
  }
  coro::continue_now(task);
}

bool stream_wait::cancel_wait(wait_base* self) noexcept {
  auto* me = static_cast<stream_wait*>(self);
  me->leave_early();
  me->cancelled_ = true;
  me->place_.task->wake();
  return true;
}

void stream_wait::finish() {
  if (cancelled_) throw_cancelled(place_.task);
  if (error_ != nullptr) std::rethrow_exception(std::move(error_));
}

// Out of the line, or out of the ready queue.
void stream_wait::leave_early() noexcept {
  if (call_ == call::read_into) end_target();
  if (state_ == state::waiting && place_.next != nullptr)
    line().unlink(place_);
  else if (loop_core* loop = place_.task->loop())
    loop::loop::of(*loop).unpost(this);
  state_ = state::over;
}

void stream_wait::let_go() noexcept {
  if (state_ == state::idle) [[unlikely]] {
    const char* const of = is_read() ? "stream_reader." : "stream_writer.";
    base::log(log_level::warning,
              coro::text_if_possible([&] { return std::string(of) + name_of(call_) + " was never awaited"; }));
  } else if (state_ == state::posted || state_ == state::waiting) [[unlikely]] {
    leave_early();  // a frame that dies while it waits: that of a task that the loop's end could not end
  }
  core_->release();
}

}  // namespace detail

// ---- the operations

std::string read_operation::await_resume() {
  finish();
  return asked() == call::read_all ? core_->input().take_all() : core_->input().take(wanted_);
}

std::string readexactly_operation::await_resume() {
  finish();
  streams::read_buffer& input = core_->input();
  if (input.size() < wanted_) throw incomplete_read_error(input.take_all(), wanted_);
  return input.take(wanted_);
}

std::size_t read_into_operation::await_resume() {
  finish();
  return got_ > 0 ? got_ : core_->input().copy_to(to_, wanted_);
}

readexactly_operation::operator coroutine<std::string>() && { return run_operation<std::string>(std::move(*this)); }
read_operation::operator coroutine<std::string>() && { return run_operation<std::string>(std::move(*this)); }
read_into_operation::operator coroutine<std::size_t>() && { return run_operation<std::size_t>(std::move(*this)); }
drain_operation::operator coroutine<>() && { return run_operation<void>(std::move(*this)); }
write_operation::operator coroutine<>() && { return run_operation<void>(std::move(*this)); }

}  // namespace asyncio
