// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the random scenarios act on: numbered tasks, queues, locks, events, and the log. world.py in C++.
#include "oracle/words.hpp"

#include <asyncio/testing/testing.hpp>

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oracle {

/// Where a statement stands: the number of its task, and the innermost group and timeout around it.
struct place {
  std::size_t me;
  task_group* group = nullptr;
  timeout* limit = nullptr;

  place inside(task_group& g) const { return {me, &g, limit}; }
  place inside(timeout& t) const { return {me, group, &t}; }
};

inline timedelta seconds(int count) { return std::chrono::seconds(count); }
/// A limit in whole seconds; none below zero.
inline std::optional<timedelta> limit(int count) {
  if (count < 0) return std::nullopt;
  return seconds(count);
}

inline constexpr return_when when[] = {return_when::all_completed, return_when::first_completed,
                                       return_when::first_exception};

inline std::string in_words(int value) { return text(value); }
inline std::string in_words(const outcome<int>& o) { return o.has_value() ? text(o.value()) : describe(o.exception()); }
/// The results of a gather.
template <class T>
std::string listed(const std::vector<T>& values) {
  std::string all;
  for (const T& v : values) all += (all.empty() ? "" : ", ") + in_words(v);
  return "[" + all + "]";
}

class world {
 public:
  world() : start_(get_running_loop().time()) {
    get_running_loop().set_exception_handler(
        [this](event_loop&, const exception_context& context) { report(context); });
    for (int i = 0; i < 2; ++i) futures.push_back(get_running_loop().create_future<int>());
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world() { get_running_loop().set_exception_handler(nullptr); }

  std::vector<task<int>> tasks;
  queue<int> queues[2] = {queue<int>(1), queue<int>(2)};
  lock locks[2];
  semaphore permits{2};
  event events[2];
  condition changed;
  std::vector<future<int>> futures;

  void log(int number, std::string_view what) {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(get_running_loop().time() - start_).count();
    lines_.push_back(text(now) + " " + text(number) + " " + std::string(what));
  }
  const std::vector<std::string>& lines() const { return lines_; }

  /// Body: a function (world&, place) -> coroutine<>, trivially copyable. Its beginning and its end stand in the log.
  template <class Body>
  task<int> create(int number, Body body) {
    tasks.push_back(asyncio::create_task(child(*this, number, place{tasks.size()}, body)));
    return tasks.back();
  }
  template <class Body>
  void create_in(task_group& group, int number, Body body) {
    try {
      tasks.push_back(group.create_task(child(*this, number, place{tasks.size()}, body)));
    } catch (const std::runtime_error&) {
      log(number, "is refused");
    }
  }

  /// A task that this one may wait for, if there is any: one with a higher number, so that they never wait in a ring.
  std::vector<task<int>> pick(place at, int k) const {
    const std::size_t later = tasks.size() - at.me - 1;
    if (later == 0) return {};
    return {tasks[at.me + 1 + static_cast<std::size_t>(k) % later]};
  }
  std::string names(const std::vector<task<int>>& some) const {
    std::string all;
    for (const task<int>& t : some) all += (all.empty() ? "" : ", ") + text(number_of(t));
    return "[" + all + "]";
  }

  void cancel(int number, int k, std::string message) {
    const std::size_t which = static_cast<std::size_t>(k) % tasks.size();
    const bool asked = tasks[which].cancel(std::move(message));
    log(number, "cancels task " + text(which) + ": " + yes(asked));
  }
  /// A cancellation from outside: so many turns of the loop after that time.
  void cancel_later(int after, int turns, int k) {
    get_running_loop().call_later(seconds(after), [this, turns, k] { cancel_after(turns, k); });
  }
  static std::string outcome_of(const task<int>& t) {
    try {
      return text(t.result());
    } catch (...) {
      return describe(std::current_exception());
    }
  }

  /// Until every task has ended; those that wait for what will never come are cancelled, again and again.
  coroutine<> drive() {
    co_await sleep(1000s);
    for (int round = 0; round < 20; ++round) {
      std::vector<task<int>> stuck;
      for (const task<int>& t : tasks)
        if (!t.done()) stuck.push_back(t);
      if (stuck.empty()) break;
      log(0, "stuck " + names(stuck));
      for (const task<int>& t : stuck) t.cancel("stuck");
      stuck.clear();
      co_await sleep(1000s);
    }
    for (const task<int>& t : tasks)
      log(0, "task " + text(number_of(t)) + " is " + (t.done() ? outcome_of(t) : "pending"));
  }

 private:
  template <class Body>
  static coroutine<int> child(world& w, int number, place at, Body body) {
    w.log(number, "task " + text(at.me) + " begins");
    try {
      co_await body(w, at);
    } catch (...) {
      w.log(number, "task " + text(at.me) + " throws " + describe(std::current_exception()));
      throw;
    }
    w.log(number, "task " + text(at.me) + " returns");
    co_return number;
  }
  void cancel_after(int turns, int k) {
    if (turns == 0)
      cancel(0, k, "outside");
    else
      get_running_loop().call_soon([this, turns, k] { cancel_after(turns - 1, k); });
  }
  std::size_t number_of(const task<int>& t) const {
    std::size_t k = 0;
    while (tasks[k] != t) ++k;
    return k;
  }
  void report(const exception_context& context) {
    // S133: what becomes of the exception of a shielded task that nobody waits for has changed in 3.14.
    if (context.message.find("shielded future") == std::string::npos) log(0, "reported " + describe(context.exception));
  }

  time_point start_;
  std::vector<std::string> lines_;
};

struct cancellation {
  int after, turns, task;
};

/// The log of a scenario.
template <class Body>
std::vector<std::string> run(int number, Body body, const std::vector<cancellation>& cancellations) {
  std::vector<std::string> lines;
  testing::run([&]() -> coroutine<> {
    world w;
    w.create(number, body);
    for (const cancellation& c : cancellations) w.cancel_later(c.after, c.turns, c.task);
    co_await w.drive();
    lines = w.lines();
  });
  return lines;
}

}  // namespace oracle
