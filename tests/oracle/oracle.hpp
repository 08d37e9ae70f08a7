// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the scenarios run on in C++: the counterpart of oracle.py.
#include "oracle/words.hpp"

#include <asyncio/testing/testing.hpp>

#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace oracle {

/// A log of what happened, each line with the milliseconds since the beginning.
class journal {
 public:
  journal() : start_(get_running_loop().time()) {}
  void operator()(std::string_view text) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(get_running_loop().time() - start_).count();
    lines_.push_back(std::to_string(ms) + " " + std::string(text));
  }
  std::vector<std::string>& lines() noexcept { return lines_; }

 private:
  time_point start_;
  std::vector<std::string> lines_;
};

struct scenario {
  const char* name;
  coroutine<> (*run)(journal& log);
};
std::span<const scenario> loop_scenarios();
std::span<const scenario> group_scenarios();
std::span<const scenario> lock_scenarios();

/// How an awaitable ended, in words that both languages know.
template <class A>
coroutine<std::string> ending(A awaited) {
  using value = std::remove_cvref_t<await_result_t<A>>;
  std::exception_ptr error;
  try {
    if constexpr (std::is_arithmetic_v<value>) {
      const value result = co_await std::move(awaited);
      co_return std::to_string(result);
    } else {
      co_await std::move(awaited);
      co_return "done";
    }
  } catch (...) {
    error = std::current_exception();
  }
  co_return describe(error);
}

/// log(await ending(awaited))
template <class A>
coroutine<> tell(journal& log, A awaited, std::string before = {}) {
  const std::string end = co_await ending(std::move(awaited));
  log(before + end);
}

/// Writes down every turn of the loop, so that hops between turns can be seen.
inline coroutine<> ticks(journal& log, int count) {
  for (int i = 0; i < count; ++i) {
    log("tick " + text(i));
    co_await sleep(0s);
  }
}

inline coroutine<> settle() {
  for (int i = 0; i < 20; ++i) co_await sleep(0s);
}

inline coroutine<int> after(timedelta delay, int value) {
  co_await sleep(delay);
  co_return value;
}

inline coroutine<int> fail_after(timedelta delay, const char* what) {
  co_await sleep(delay);
  throw std::runtime_error(what);
}

/// Several turns, then a value.
inline coroutine<int> turns(journal& log, int count, int value, std::string last_words) {
  for (int i = 0; i < count; ++i) co_await sleep(0s);
  log(last_words);
  co_return value;
}

}  // namespace oracle
