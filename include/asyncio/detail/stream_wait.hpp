// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/bytes.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/coro_core.hpp>
#include <asyncio/detail/pointers.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace asyncio {

namespace streams {
class stream_core;
class wait_line;
}  // namespace streams

namespace detail {

/// A place in a line of tasks that wait for the same (streams/wait_line.hpp).
struct line_place {
  line_place* prev;
  line_place* next = nullptr;  ///< null: in no line
  coro_core* task;
  op* step;  ///< what is posted when the line is woken: the task's own op, or one that looks whether it may go on
};

/// What the calls of readers and writers return that are awaited again and again: no coroutine, unless one is asked for.
/// It holds the connection, and does nothing before it is awaited.
///
///   idle ──▶ over                       it need not wait: nobody is suspended
///     ├────▶ posted ──look──▶ over      it has to let others run first
///     └────▶ waiting ──woken, look──▶ over
///               ▲────────────────┘      it was not enough, or somebody else has taken it meanwhile
///
/// One that is dropped idle is reported, as a coroutine is; one that was moved is kept by somebody who answers for it.
/// Woken, it is ready as any task is: a cancellation that comes then finds its result there, if it is there, and leaves
/// the line with it otherwise. Bytes are taken when the task goes on, so a cancelled read has taken none.
class stream_wait : public wait_base, public op {
 public:
  enum class call : std::uint8_t { read, read_all, read_exactly, read_into, drain, write };

  stream_wait(stream_wait&& other) noexcept  // moved only before it waits
      : op(unset()), core_(taken(other.core_)), wanted_(other.wanted_), call_(other.call_), state_(state::kept) {}
  stream_wait& operator=(const stream_wait&) = delete;

  bool await_ready();
  void await_suspend(std::coroutine_handle<> frame);

  /// Is this the op of one that was woken?
  static bool continues(const op& node) noexcept { return node.done == &stream_wait::look; }

 protected:
  /// Takes over a reference.
  stream_wait(streams::stream_core* core, call c, std::size_t wanted = 0) noexcept
      : op(unset()), core_(core), wanted_(wanted), call_(c) {}
  ~stream_wait() {
    if (core_ != nullptr) let_go();
  }
  /// Throws what ended it.
  void finish();
  call asked() const noexcept { return call_; }

  streams::stream_core* core_;  // null: moved from
  std::size_t wanted_;          // by a read

 private:
  enum class state : std::uint8_t { idle, kept, posted, waiting, over };
  enum class step : std::uint8_t { done, turn, wait };

  step advance();
  step advance_read();
  step advance_write();
  bool satisfied() const noexcept;
  bool end_target() noexcept;
  bool has_to_go_on() const noexcept;
  bool is_read() const noexcept { return call_ < call::drain; }
  streams::wait_line& line() const noexcept;
  void suspend() noexcept;
  void let_go() noexcept;
  void leave_early() noexcept;
  static void look(op* self) noexcept;
  static bool cancel_wait(wait_base* self) noexcept;

  line_place place_;
  std::exception_ptr error_;
  const call call_;
  state state_ = state::idle;
  step next_ = step::done;
  std::uint8_t passed_ = 0;  // how far it has come: see advance()
  bool cancelled_ = false;
};

}  // namespace detail

/// What read() returns: co_await it, make it a task, or keep it as a coroutine<std::string>.
class [[nodiscard("it must be awaited: co_await reader.read(n)")]] read_operation : public detail::stream_wait {
 public:
  read_operation(streams::stream_core* core, call c, std::size_t wanted) noexcept : stream_wait(core, c, wanted) {}
  read_operation(read_operation&&) noexcept = default;
  std::string await_resume();
  operator coroutine<std::string>() &&;
};

/// What readexactly() returns.
class [[nodiscard("it must be awaited: co_await reader.readexactly(n)")]] readexactly_operation
    : public detail::stream_wait {
 public:
  readexactly_operation(streams::stream_core* core, std::size_t wanted) noexcept
      : stream_wait(core, call::read_exactly, wanted) {}
  readexactly_operation(readexactly_operation&&) noexcept = default;
  std::string await_resume();
  operator coroutine<std::string>() &&;
};

/// What read_into() returns.
class [[nodiscard("it must be awaited: co_await reader.read_into(buffer)")]] read_into_operation
    : public detail::stream_wait {
 public:
  read_into_operation(streams::stream_core* core, buffer_view buffer) noexcept
      : stream_wait(core, call::read_into, buffer.size()), to_(buffer.data()) {}
  read_into_operation(read_into_operation&&) noexcept = default;
  std::size_t await_resume();
  operator coroutine<std::size_t>() &&;

 private:
  friend class detail::stream_wait;
  std::byte* to_;
  std::size_t got_ = 0;  // without a copy
};

/// What drain() returns.
class [[nodiscard("it must be awaited: co_await writer.drain()")]] drain_operation : public detail::stream_wait {
 public:
  explicit drain_operation(streams::stream_core* core) noexcept : stream_wait(core, call::drain) {}
  drain_operation(drain_operation&&) noexcept = default;
  void await_resume() { finish(); }
  operator coroutine<>() &&;
};

/// What write_all() returns.
class [[nodiscard("it must be awaited: co_await writer.write_all(data)")]] write_operation
    : public detail::stream_wait {
 public:
  write_operation(streams::stream_core* core, std::string&& text) noexcept
      : stream_wait(core, call::write), text_(std::move(text)) {}
  write_operation(write_operation&&) noexcept = default;
  void await_resume() { finish(); }
  operator coroutine<>() &&;

 private:
  friend class detail::stream_wait;
  std::string text_;
};

}  // namespace asyncio
