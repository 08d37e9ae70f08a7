// SPDX-License-Identifier: BSL-1.0
// The loop, futures and tasks, cancellation: scenarios.py in C++, under the same names.
#include "oracle/oracle.hpp"

#include <memory>

namespace oracle {
namespace {

event_loop& loop() { return get_running_loop(); }

coroutine<> call_soon_nested(journal& log) {
  loop().call_soon([&] {
    log("a");
    loop().call_soon([&] { log("a's child"); });
  });
  loop().call_soon([&] { log("b"); });
  log("scheduled");
  co_await sleep(0s);
  log("one turn");
  co_await sleep(0s);
  log("two turns");
}

coroutine<> soon_later_and_yield(journal& log) {
  loop().call_later(0s, [&] { log("later 0"); });
  loop().call_soon([&] { log("soon"); });
  loop().call_later(-1s, [&] { log("later -1"); });
  loop().call_soon([&] { loop().call_soon([&] { log("soon from soon"); }); });
  loop().call_later(0s, [&] { loop().call_soon([&] { log("soon from later"); }); });
  for (int i = 0; i < 4; ++i) {
    log("turn " + text(i));
    co_await sleep(0s);
  }
}

coroutine<> timers_in_order(journal& log) {
  for (const int delay : {3, 1, 2, 1, 3})
    loop().call_later(std::chrono::seconds(delay), [&log, delay] { log("timer " + text(delay)); });
  const timer_handle cancelled = loop().call_later(2s, [&] { log("never"); });
  loop().call_later(1s, [cancelled] { cancelled.cancel(); });
  co_await sleep(4s);
  log("end");
}

coroutine<> timers_sleepers_and_callbacks(journal& log) {
  const auto sleeper = [&](std::string name, timedelta delay) -> coroutine<> {
    co_await sleep(delay);
    log(name + " wakes");
  };
  loop().call_later(1s, [&] { log("timer before"); });
  task<> first = create_task(sleeper, "first", 1s);
  task<> second = create_task(sleeper, "second", 1s);
  co_await sleep(0s);
  loop().call_later(1s, [&] { log("timer after"); });
  loop().call_later(1s, [&] { loop().call_soon([&] { log("soon from timer"); }); });
  co_await first;
  co_await second;
}

coroutine<> yields_interleave(journal& log) {
  const auto work = [&](std::string name) -> coroutine<> {
    for (int i = 0; i < 3; ++i) {
      log(name + text(i));
      co_await sleep(0s);
    }
  };
  std::vector<task<>> tasks;
  for (const char* name : {"a", "b", "c"}) tasks.push_back(create_task(work, name));
  log("created");
  for (const task<>& t : tasks) co_await t;
  log("end");
}

coroutine<> handles_cancelled_in_the_same_turn(journal& log) {
  std::vector<callback_handle> handles;
  loop().call_soon([&] {
    log("first");
    handles[0].cancel();
  });
  handles.push_back(loop().call_soon([&] { log("second"); }));
  loop().call_soon([&] { log("third"); });
  co_await settle();
}

coroutine<> failing_callbacks(journal& log) {
  const auto fail = [] { throw std::runtime_error("callback"); };
  loop().call_soon(fail);
  loop().call_soon([&] { log("goes on"); });
  loop().call_later(1s, fail);
  co_await sleep(2s);
  log("end");
}

coroutine<> tasks_and_callbacks_start_in_order(journal& log) {
  const auto work = [&](std::string name) -> coroutine<> {
    log(name);
    co_return;
  };
  loop().call_soon([&] { log("soon 1"); });
  create_task(work("a"));
  loop().call_soon([&] { log("soon 2"); });
  create_task(work("b"));
  log("scheduled");
  co_await settle();
}

coroutine<> future_wakes_in_order(journal& log) {
  future<int> f;
  const auto wait = [&](std::string name) -> coroutine<> {
    const int value = co_await f;
    log(name + " got " + text(value));
  };
  f.add_done_callback([&](const future<int>& me) { log("callback 1 " + text(me.result())); });
  create_task(wait("a"));
  co_await sleep(0s);
  f.add_done_callback([&](const future<int>& me) { log("callback 2 " + text(me.result())); });
  create_task(wait("b"));
  co_await sleep(0s);
  loop().call_soon([&] { log("soon before"); });
  f.set_result(5);
  loop().call_soon([&] { log("soon after"); });
  f.add_done_callback([&](const future<int>&) { log("callback 3"); });
  log("set");
  co_await settle();
}

coroutine<> future_cancelled(journal& log) {
  future<> f;
  task<> a = create_task(tell(log, f, "a "));
  task<> b = create_task(tell(log, f, "b "));
  f.add_done_callback([&](const future<>& me) { log("callback cancelled=" + yes(me.cancelled())); });
  co_await sleep(0s);
  f.cancel("why");
  log("asked");
  co_await a;
  co_await b;
}

coroutine<> await_hops(journal& log) {
  task<> ticker = create_task(ticks(log, 8));
  const auto inner = [&]() -> coroutine<int> {
    log("inner begins");
    co_await sleep(0s);
    log("inner ends");
    co_return 1;
  };
  task<int> t = create_task(inner);
  t.add_done_callback([&](const task<int>&) { log("callback"); });
  const int n = co_await t;
  log("outer got " + text(n));
  future<int> done;
  done.set_result(2);
  const int m = co_await done;
  log("done future " + text(m));
  co_await ticker;
}

coroutine<> chain_of_tasks(journal& log) {
  const auto leaf = []() -> coroutine<int> {
    co_await sleep(1s);
    co_return 1;
  };
  const auto wrap = [&](task<int> t, std::string name) -> coroutine<int> {
    const int n = co_await t;
    log(name + " got " + text(n));
    co_return n + 1;
  };
  task<> ticker = create_task(ticks(log, 3));
  task<int> t = create_task(leaf);
  for (const char* name : {"a", "b", "c", "d"}) t = create_task(wrap, t, name);
  const int end = co_await t;
  log("end " + text(end));
  co_await ticker;
}

coroutine<> failures_travel(journal& log) {
  const auto wrap = [&](task<int> t) -> coroutine<int> {
    struct leaving {
      journal& log;
      ~leaving() { log("passes through"); }
    };
    const leaving guard{log};
    const int n = co_await t;
    co_return n;
  };
  task<int> t = create_task(fail_after(1s, "deep"));
  task<int> outer = create_task(wrap, create_task(wrap, t));
  co_await tell(log, outer);
  co_await tell(log, t);
}

coroutine<> callbacks_on_done_tasks(journal& log) {
  task<int> t = create_task(after(0s, 3));
  co_await t;
  t.add_done_callback([&](const task<int>& me) { log("late callback " + text(me.result())); });
  log("added");
  co_await sleep(0s);
  log("a turn later");
}

/// Says so when it goes, whatever the reason.
struct finally {
  journal& log;
  const char* what;
  ~finally() { log(what); }
};

coroutine<> cancel_a_sleeper(journal& log) {
  const auto work = [&]() -> coroutine<> {
    const finally guard{log, "finally"};
    co_await sleep(10s);
  };
  task<> ticker = create_task(ticks(log, 6));
  task<> t = create_task(work);
  co_await sleep(0s);
  co_await sleep(0s);
  log("cancel " + yes(t.cancel("stop")));
  co_await tell(log, t);
  log("cancelled=" + yes(t.cancelled()) + " again=" + yes(t.cancel()));
  co_await ticker;
}

coroutine<> cancel_a_chain(journal& log) {
  struct wrap {
    static coroutine<> one(journal& log, task<> t, std::string name) {
      try {
        co_await t;
      } catch (const cancelled_error&) {
        log(name + " cancelled");
        throw;
      }
    }
    static coroutine<> sleeper(journal& log, std::string name) {
      try {
        co_await sleep(10s);
      } catch (const cancelled_error&) {
        log(name + " cancelled");
        throw;
      }
    }
  };
  task<> innermost = create_task(wrap::sleeper(log, "innermost"));
  task<> middle = create_task(wrap::one(log, innermost, "middle"));
  task<> outer = create_task(wrap::one(log, middle, "outer"));
  task<> ticker = create_task(ticks(log, 6));
  co_await sleep(0s);
  co_await sleep(0s);
  outer.cancel();
  log("counts " + text(outer.cancelling()) + " " + text(middle.cancelling()) + " " + text(innermost.cancelling()));
  co_await tell(log, outer);
  co_await ticker;
}

coroutine<> cancel_before_start(journal& log) {
  const auto work = [&]() -> coroutine<> {
    log("never");
    co_return;
  };
  task<> t = create_task(work);
  task<> ticker = create_task(ticks(log, 3));
  t.cancel("early");
  t.add_done_callback([&](const task<>&) { log("callback"); });
  co_await tell(log, t);
  co_await ticker;
}

coroutine<> cancel_and_swallow(journal& log) {
  const auto work = [&]() -> coroutine<int> {
    co_await tell(log, sleep(10s));
    co_await tell(log, sleep(5s));
    co_return 7;
  };
  task<int> t = create_task(work);
  co_await sleep(1s);
  t.cancel();
  t.cancel();
  co_await tell(log, t);
  log("cancelled=" + yes(t.cancelled()) + " count=" + text(t.cancelling()));
}

coroutine<> cancel_itself(journal& log) {
  const auto then_return = []() -> coroutine<int> {
    current_task().cancel("me");
    co_return 1;
  };
  const auto then_raise = []() -> coroutine<int> {
    current_task().cancel();
    throw std::runtime_error("mine");
    co_return 1;
  };
  const auto then_wait = [&]() -> coroutine<int> {
    current_task().cancel();
    co_await tell(log, sleep(5s));
    co_await sleep(1s);
    log("went on");
    co_return 2;
  };
  co_await tell(log, create_task(then_return));
  co_await tell(log, create_task(then_raise));
  co_await tell(log, create_task(then_wait));
}

coroutine<> cancel_swallowed_by_the_inner(journal& log) {
  const auto stubborn = [&]() -> coroutine<int> {
    co_await tell(log, sleep(10s), "inner ");
    co_await sleep(1s);
    co_return 3;
  };
  task<int> inner = create_task(stubborn);
  const auto wait = [&]() -> coroutine<int> {
    const int n = co_await inner;
    co_return n;
  };
  task<int> outer = create_task(wait);
  co_await sleep(1s);
  outer.cancel();
  co_await tell(log, outer);
  log("count=" + text(outer.cancelling()));
}

coroutine<> cancel_during_cleanup(journal& log) {
  const auto work = [&]() -> coroutine<> {
    std::exception_ptr error;
    try {
      co_await sleep(10s);
    } catch (...) {
      error = std::current_exception();
    }
    log("cleanup begins");
    co_await tell(log, sleep(10s), "cleanup ");
    co_await sleep(1s);
    log("cleanup ends");
    if (error != nullptr) std::rethrow_exception(error);
  };
  task<> t = create_task(work);
  co_await sleep(1s);
  t.cancel("first");
  co_await sleep(1s);
  t.cancel("second");
  co_await tell(log, t);
}

coroutine<> raise_cancelled_error(journal& log) {
  const auto work = []() -> coroutine<> {
    throw cancelled_error("own");
    co_return;
  };
  task<> t = create_task(work);
  co_await tell(log, t);
  log("cancelled=" + yes(t.cancelled()) + " count=" + text(t.cancelling()));
}

}  // namespace

std::span<const scenario> loop_scenarios() {
  static constexpr scenario all[] = {
      {"call_soon_nested", &call_soon_nested},
      {"soon_later_and_yield", &soon_later_and_yield},
      {"timers_in_order", &timers_in_order},
      {"timers_sleepers_and_callbacks", &timers_sleepers_and_callbacks},
      {"yields_interleave", &yields_interleave},
      {"handles_cancelled_in_the_same_turn", &handles_cancelled_in_the_same_turn},
      {"failing_callbacks", &failing_callbacks},
      {"tasks_and_callbacks_start_in_order", &tasks_and_callbacks_start_in_order},
      {"future_wakes_in_order", &future_wakes_in_order},
      {"future_cancelled", &future_cancelled},
      {"await_hops", &await_hops},
      {"chain_of_tasks", &chain_of_tasks},
      {"failures_travel", &failures_travel},
      {"callbacks_on_done_tasks", &callbacks_on_done_tasks},
      {"cancel_a_sleeper", &cancel_a_sleeper},
      {"cancel_a_chain", &cancel_a_chain},
      {"cancel_before_start", &cancel_before_start},
      {"cancel_and_swallow", &cancel_and_swallow},
      {"cancel_itself", &cancel_itself},
      {"cancel_swallowed_by_the_inner", &cancel_swallowed_by_the_inner},
      {"cancel_during_cleanup", &cancel_during_cleanup},
      {"raise_cancelled_error", &raise_cancelled_error},
  };
  return all;
}

}  // namespace oracle
