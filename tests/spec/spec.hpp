// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the tests of the public headers share: a journal of what happened, and names for how things ended.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/testing.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio::spec {

using lines = std::vector<std::string>;

/// What happened, in order; compared once, at the end.
class journal {
 public:
  void operator()(std::string line) { seen_.push_back(std::move(line)); }
  const lines& seen() const noexcept { return seen_; }

 private:
  lines seen_;
};

/// "timeout_error", "cancelled_error(text)", "std::runtime_error(text)": the message of those that carry one of ours.
inline std::string name_of(const std::exception_ptr& error) {
  if (error == nullptr) return "nothing";
  try {
    std::rethrow_exception(error);
  } catch (const cancelled_error& e) {
    return e.message().empty() ? "cancelled_error" : "cancelled_error(" + e.message() + ")";
  } catch (const keyboard_interrupt&) {
    return "keyboard_interrupt";
  } catch (const timeout_error&) {
    return "timeout_error";
  } catch (const invalid_state_error&) {
    return "invalid_state_error";
  } catch (const queue_shut_down&) {
    return "queue_shut_down";
  } catch (const queue_empty&) {
    return "queue_empty";
  } catch (const queue_full&) {
    return "queue_full";
  } catch (const broken_barrier_error&) {
    return "broken_barrier_error";
  } catch (const std::invalid_argument&) {
    return "invalid_argument";
  } catch (const std::runtime_error& e) {
    return std::string("runtime_error(") + e.what() + ")";
  } catch (const std::exception& e) {
    return std::string("exception(") + e.what() + ")";
  } catch (int n) {
    return "int(" + std::to_string(n) + ")";
  } catch (...) {
    return "something else";
  }
}

/// What calling f() throws, by name; "nothing" when it returns.
template <class F>
std::string thrown_by(F&& f) {
  try {
    f();
  } catch (...) {
    return name_of(std::current_exception());
  }
  return "nothing";
}

/// Does `text` contain `part`?
inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    return value;
  else if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_arithmetic_v<T>)
    return std::to_string(value);
  else
    return "a value";
}

/// Awaits, and says how it ended: its value, "done" for none, or the name of what was thrown. The cancellation of the
/// running task ends here too.
template <class A>
coroutine<std::string> ending(A awaited) {
  using value = std::remove_cvref_t<await_result_t<A>>;
  std::exception_ptr error;
  try {
    if constexpr (std::is_void_v<value>) {
      co_await std::move(awaited);
      co_return "done";
    } else {
      value result = co_await std::move(awaited);
      co_return text_of(result);
    }
  } catch (...) {
    error = std::current_exception();
  }
  co_return name_of(error);
}

/// Milliseconds on the running loop's clock since this was made.
class stopwatch {
 public:
  stopwatch() : start_(get_running_loop().time()) {}
  std::int64_t ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(get_running_loop().time() - start_).count();
  }
  std::string at(std::string_view what) const { return std::to_string(ms()) + " " + std::string(what); }

 private:
  time_point start_;
};

/// What the library logs while this lives.
class log_watch {
 public:
  log_watch() {
    set_log_sink(
        [](log_level, std::string_view text, void* self) noexcept {
          auto* me = static_cast<log_watch*>(self);
          std::scoped_lock hold(me->mutex_);
          me->lines_.emplace_back(text);
        },
        this);
  }
  log_watch(const log_watch&) = delete;
  log_watch& operator=(const log_watch&) = delete;
  ~log_watch() { set_log_sink(nullptr); }

  lines taken() {
    std::scoped_lock hold(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  lines lines_;
};

/// Lets everything that is ready run, several times over.
inline coroutine<> settle(int turns = 20) {
  for (int i = 0; i < turns; ++i) co_await sleep(0s);
}

}  // namespace asyncio::spec
