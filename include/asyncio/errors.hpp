// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/shared_text.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace asyncio {

/// Thrown into a task that is cancelled. Deliberately not a std::exception: `catch (std::exception&)` lets it pass, as
/// Python's `except Exception` does. Whoever catches it throws it on, or has taken the cancellation upon itself.
/// Python: asyncio.CancelledError.
class cancelled_error final {
 public:
  explicit cancelled_error(std::string message = {}) : message_(std::move(message)) {}
  explicit cancelled_error(detail::shared_text message) noexcept : message_(std::move(message)) {}
  /// What was given to cancel(); empty by default.
  const std::string& message() const noexcept { return message_.str(); }
  const detail::shared_text& text() const noexcept { return message_; }

 private:
  detail::shared_text message_;
};

/// Ctrl-C: run() throws it when SIGINT ended the program's main task. Not a std::exception. Python: KeyboardInterrupt.
class keyboard_interrupt final {};

/// A deadline passed. Its code is std::errc::timed_out. Python: TimeoutError.
class timeout_error : public std::system_error {
 public:
  explicit timeout_error(const std::string& what = "timed out");
  const char* what() const noexcept override { return what_.str().c_str(); }

 private:
  detail::shared_text what_;
};

/// An operation that the state of a future, task or scope does not allow. Python: asyncio.InvalidStateError.
class invalid_state_error : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// The stream ended before the bytes asked for had come. Python: asyncio.IncompleteReadError.
class incomplete_read_error : public std::runtime_error {
 public:
  incomplete_read_error(std::string partial, std::optional<std::size_t> expected);
  /// What had come, taken out of the stream's buffer.
  const std::string& partial() const noexcept { return partial_.str(); }
  /// How many bytes were asked for; empty when a separator was.
  std::optional<std::size_t> expected() const noexcept { return expected_; }

 private:
  detail::shared_text partial_;
  std::optional<std::size_t> expected_;
};

/// A separator was not found within the stream's limit. Python: asyncio.LimitOverrunError.
class limit_overrun_error : public std::runtime_error {
 public:
  limit_overrun_error(const std::string& what, std::size_t consumed) : std::runtime_error(what), consumed_(consumed) {}
  /// How many bytes of the buffer were looked at; they are still there.
  std::size_t consumed() const noexcept { return consumed_; }

 private:
  std::size_t consumed_;
};

/// get_nowait() on an empty queue. Python: asyncio.QueueEmpty.
class queue_empty : public std::runtime_error {
 public:
  queue_empty();
};
/// put_nowait() on a full queue. Python: asyncio.QueueFull.
class queue_full : public std::runtime_error {
 public:
  queue_full();
};
/// A queue that was shut down takes nothing more, or has nothing left. Python: asyncio.QueueShutDown.
class queue_shut_down : public std::runtime_error {
 public:
  queue_shut_down();
};
/// A barrier was aborted or reset while somebody waited. Python: asyncio.BrokenBarrierError.
class broken_barrier_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// A host or service name could not be resolved; code() is in the category `gai_category()`. Python: socket.gaierror.
class gai_error : public std::system_error {
 public:
  using std::system_error::system_error;
};
/// Error codes of getaddrinfo(3).
const std::error_category& gai_category() noexcept;

}  // namespace asyncio
