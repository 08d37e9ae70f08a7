// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/shared_text.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
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
class keyboard_interrupt final {
 public:
  keyboard_interrupt() noexcept = default;
  explicit keyboard_interrupt(int signal) noexcept : signal_(signal) {}
  /// SIGINT; or SIGTERM, where run() was asked to treat it alike. Uncaught, it ends the program with 128 + signal().
  int signal() const noexcept { return signal_; }

 private:
  int signal_ = 2;  // SIGINT
};

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

/// The kernel cannot send this file, and the caller does not want a copy. Python: asyncio.SendfileNotAvailableError.
class sendfile_not_available_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
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

/// A worker process ended while it did this work, or none can be started.
/// Python: concurrent.futures.process.BrokenProcessPool; there it is the end of the whole pool.
class broken_process_pool : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An exception of another process whose type is not known to come back as itself: what the standard library throws, and
/// timeout_error, codec_error, cancelled_error and keyboard_interrupt, are.
class remote_error : public std::runtime_error {
 public:
  remote_error(const std::string& type_name, const std::string& message)
      : std::runtime_error(message.empty() ? type_name : type_name + ": " + message),
        type_name_(type_name),
        message_(message) {}
  /// As the compiler spells it: "app::parse_error".
  const std::string& type_name() const noexcept { return type_name_.str(); }
  /// Its what(); empty for what is no std::exception and no text.
  const std::string& message() const noexcept { return message_.str(); }

 private:
  detail::shared_text type_name_;
  detail::shared_text message_;
};

namespace detail {
template <class E>
bool is_a(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const E&) {
    return true;
  } catch (...) {
    return false;
  }
}
/// What `visit` throws passes through.
template <class E, class F>
bool visit_if(const std::exception_ptr& error, F& visit) {
  try {
    std::rethrow_exception(error);
  } catch (const E& e) {
    visit(e);
    return true;
  } catch (...) {
    return false;
  }
}
}  // namespace detail

/// Several exceptions at once: what the tasks of a task_group threw. It may hold other groups. It is caught as
/// `exception_group&`; what is known is handled, the rest is passed on:
///
///     eg.handle<std::system_error>([](const std::system_error& e) { … }).rethrow_rest();
///
/// Python: ExceptionGroup, `except*`.
class exception_group : public std::exception {
 public:
  /// Errors: std::invalid_argument when there are no exceptions, or one is null.
  exception_group(std::string message, std::vector<std::exception_ptr> exceptions);

  /// "message (2 sub-exceptions)"
  const char* what() const noexcept override { return what_.str().c_str(); }
  const std::string& message() const noexcept { return message_.str(); }
  /// Its members, in order; the groups among them as they are.
  const std::vector<std::exception_ptr>& exceptions() const noexcept { return exceptions_; }

  /// {the leaves that are an E, the others}, each in the shape of this group; nullopt for none. A group is an
  /// exception_group: split<exception_group>() takes all of it.
  template <class E>
  std::pair<std::optional<exception_group>, std::optional<exception_group>> split() const {
    return split_leaves([](void*, const std::exception_ptr& leaf) { return detail::is_a<E>(leaf); }, nullptr,
                        std::is_same_v<E, exception_group>);
  }
  /// What `pred(exception_ptr)` is true of, in the shape of this group; nullopt when that is nothing. A group it is
  /// true of, this one too, is taken whole; others are looked into.
  template <std::predicate<std::exception_ptr> P>
  std::optional<exception_group> subgroup(P pred) const {
    return matching([](void* p, const std::exception_ptr& e) -> bool { return (*static_cast<P*>(p))(e); },
                    std::addressof(pred));
  }
  /// Calls fn(const E&) for each leaf that is an E, in order, and takes these out. When fn throws, the group is as it
  /// was.
  template <class E, std::invocable<const E&> F>
  exception_group& handle(F fn) {
    take_leaves([](void* f, const std::exception_ptr& leaf) { return detail::visit_if<E>(leaf, *static_cast<F*>(f)); },
                std::addressof(fn));
    return *this;
  }
  /// Throws what handle() has left; returns when nothing is left.
  void rethrow_rest() const;

 private:
  using visitor = bool (*)(void* state, const std::exception_ptr& exception);
  using halves = std::pair<std::optional<exception_group>, std::optional<exception_group>>;
  std::optional<exception_group> like_this(std::vector<std::exception_ptr> exceptions) const;
  halves split_leaves(visitor matches, void* state, bool whole) const;
  std::optional<exception_group> matching(visitor matches, void* state) const;
  std::optional<exception_group> matching_members(visitor matches, void* state) const;
  void take_leaves(visitor takes, void* state);

  detail::shared_text message_;
  detail::shared_text what_;
  std::vector<std::exception_ptr> exceptions_;
};

/// A host or service name could not be resolved; code() is in the category `gai_category()`. Python: socket.gaierror.
class gai_error : public std::system_error {
 public:
  using std::system_error::system_error;
};
/// Error codes of getaddrinfo(3).
const std::error_category& gai_category() noexcept;

}  // namespace asyncio
