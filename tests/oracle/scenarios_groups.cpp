// SPDX-License-Identifier: BSL-1.0
// gather, wait, as_completed, shield, wait_for, timeout: scenarios.py in C++, under the same names.
#include "oracle/oracle.hpp"

#include <memory>
#include <optional>

namespace oracle {
namespace {

event_loop& loop() { return get_running_loop(); }

/// Sleeps, and says so when it is cancelled.
coroutine<> part(journal& log, std::string name) {
  try {
    co_await sleep(10s);
  } catch (const cancelled_error&) {
    log(name + " cancelled");
    throw;
  }
}

coroutine<> gather_hops(journal& log) {
  task<> ticker = create_task(ticks(log, 8));
  auto g = gather(turns(log, 2, 1, "child 1 ends"), turns(log, 1, 2, "child 2 ends"));
  g.add_done_callback([&](const auto&) { log("callback"); });
  const auto [a, b] = co_await g;
  log("got [" + text(a) + ", " + text(b) + "]");
  co_await ticker;
}

coroutine<> gather_first_exception(journal& log) {
  task<int> slow = create_task(after(3s, 1));
  co_await tell(log, gather(slow, fail_after(1s, "first"), fail_after(2s, "second")));
  log("slow done=" + yes(slow.done()));
  const int n = co_await slow;
  log("slow " + text(n));
}

coroutine<> gather_exception_hops(journal& log) {
  task<> ticker = create_task(ticks(log, 8));
  const auto fail = [&](int count) -> coroutine<int> {
    (void)co_await turns(log, count, 0, "child fails");
    throw std::runtime_error("x");
  };
  co_await tell(log, gather(fail(1), fail(3)));
  co_await ticker;
}

coroutine<> gather_return_exceptions(journal& log) {
  task<int> cancelled = create_task(after(9s, 0));
  auto g = gather(return_exceptions, after(2s, 1), fail_after(1s, "x"), cancelled);
  loop().call_later(1s, [cancelled] { cancelled.cancel(); });
  const auto& [a, b, c] = co_await g;
  log(text(a.value()) + " " + yes(describe(b.exception()) == "error(x)") + " " +
      yes(describe(c.exception()) == "cancelled"));
}

coroutine<> gather_child_cancelled(journal& log) {
  task<int> slow = create_task(after(5s, 1));
  task<int> victim = create_task(after(5s, 2));
  auto g = gather(slow, victim);
  co_await sleep(1s);
  victim.cancel("victim");
  co_await tell(log, g);
  log("cancelled=" + yes(g.cancelled()) + " slow=" + yes(slow.done()));
  co_await slow;
}

coroutine<> gather_cancelled(journal& log) {
  const auto wait = [&]() -> coroutine<> { co_await gather(part(log, "a"), part(log, "b"), part(log, "c")); };
  task<> ticker = create_task(ticks(log, 8));
  task<> t = create_task(wait);
  co_await sleep(0s);
  co_await sleep(0s);
  t.cancel();
  co_await tell(log, t);
  co_await ticker;
}

coroutine<> gather_cancelled_children_swallow(journal& log) {
  const auto stubborn = [&](int delay) -> coroutine<int> {
    co_await tell(log, sleep(10s));
    co_await sleep(std::chrono::seconds(delay));
    co_return delay;
  };
  const auto wait = [&]() -> coroutine<> { co_await gather(stubborn(1), stubborn(2)); };
  task<> t = create_task(wait);
  co_await sleep(1s);
  t.cancel();
  co_await tell(log, t);
}

coroutine<> gather_return_exceptions_cancelled(journal& log) {
  const auto slow_to_end = [&](int delay) -> coroutine<> {
    std::exception_ptr error;
    try {
      co_await sleep(10s);
    } catch (...) {
      error = std::current_exception();
    }
    co_await sleep(std::chrono::seconds(delay));
    log("ended after " + text(delay));
    std::rethrow_exception(error);
  };
  const auto wait = [&]() -> coroutine<> { co_await gather(return_exceptions, slow_to_end(1), slow_to_end(3)); };
  task<> t = create_task(wait);
  co_await sleep(1s);
  t.cancel();
  co_await tell(log, t);
}

coroutine<> gather_cancelled_ends_with_the_first_answer(journal& log) {
  const auto slow_to_end = [&](int delay) -> coroutine<> {
    std::exception_ptr error;
    try {
      co_await sleep(10s);
    } catch (...) {
      error = std::current_exception();
    }
    co_await sleep(std::chrono::seconds(delay));
    log("ended after " + text(delay));
    std::rethrow_exception(error);
  };
  const auto wait = [&]() -> coroutine<> { co_await gather(slow_to_end(3), slow_to_end(1), slow_to_end(2)); };
  task<> t = create_task(wait);
  co_await sleep(1s);
  t.cancel();
  co_await tell(log, t);
  co_await sleep(5s);
}

coroutine<> gather_the_same_twice(journal& log) {
  task<int> t = create_task(after(1s, 4));
  const auto [a, b, c] = co_await gather(t, after(2s, 5), t);
  log("[" + text(a) + ", " + text(b) + ", " + text(c) + "]");
}

coroutine<> wait_hops(journal& log) {
  task<> ticker = create_task(ticks(log, 10));
  std::vector<task<int>> all;
  all.push_back(create_task(turns(log, 1, 0, "a ends")));
  all.push_back(create_task(turns(log, 3, 0, "b ends")));
  all.push_back(create_task(turns(log, 5, 0, "c ends")));
  auto first = co_await wait(all, {.return_when = return_when::first_completed});
  log("first: " + text(first.done.size()) + " done " + text(first.pending.size()) + " pending");
  auto rest = co_await wait(all);
  log("all: " + text(rest.done.size()) + " done " + text(rest.pending.size()) + " pending");
  auto again = co_await wait(all);
  log("again: " + text(again.done.size()) + " done");
  co_await ticker;
}

coroutine<> wait_first_exception(journal& log) {
  std::vector<task<int>> tasks;
  tasks.push_back(create_task(after(1s, 1)));
  tasks.push_back(create_task(fail_after(2s, "x")));
  tasks.push_back(create_task(after(3s, 2)));
  task<int> victim = create_task(after(9s, 9));
  tasks.push_back(victim);
  loop().call_later(1s, [victim] { victim.cancel(); });
  auto [done, pending] = co_await wait(tasks, {.return_when = return_when::first_exception});
  log(text(done.size()) + " done " + text(pending.size()) + " pending");
  co_await tasks[2];
  (void)tasks[1].exception();
}

coroutine<> wait_with_a_timeout(journal& log) {
  task<int> slow = create_task(after(5s, 1));
  task<int> quick = create_task(after(1s, 2));
  auto first = co_await wait({.timeout = 2s}, slow, quick);
  log(text(first.done.size()) + " done " + text(first.pending.size()) + " pending count=" + text(slow.cancelling()));
  auto second = co_await wait({.timeout = 0s}, slow, quick);
  log(text(second.done.size()) + " done " + text(second.pending.size()) + " pending");
  const int n = co_await slow;
  log(text(n));
}

coroutine<> wait_cancelled(journal& log) {
  task<int> work = create_task(after(3s, 1));
  const auto waiting = [&]() -> coroutine<> { co_await wait(wait_options(), work); };
  task<> ticker = create_task(ticks(log, 5));
  task<> t = create_task(waiting);
  co_await sleep(0s);
  co_await sleep(0s);
  t.cancel();
  co_await tell(log, t);
  co_await ticker;
  const int n = co_await work;
  log("work " + text(n) + " count=" + text(work.cancelling()));
}

coroutine<> as_completed_in_order(journal& log) {
  task<> ticker = create_task(ticks(log, 6));
  std::vector<task<int>> all;
  for (const int n : {3, 1, 2}) all.push_back(create_task(turns(log, n, n, text(n) + " ends")));
  auto it = as_completed(all);
  while (auto t = co_await it.next()) log("got " + text(t->result()));
  co_await ticker;
}

/// What the next step of an as_completed() gives, in words.
coroutine<std::string> step(completions<task<int>>& it) {
  std::exception_ptr error;
  std::string end = "none";
  try {
    const std::optional<task<int>> t = co_await it.next();
    if (t) end = text(t->result());
  } catch (...) {
    error = std::current_exception();
  }
  if (error != nullptr) co_return describe(error);
  co_return end;
}

coroutine<> as_completed_with_failures(journal& log) {
  std::vector<coroutine<int>> work;
  work.push_back(after(3s, 1));
  work.push_back(fail_after(1s, "x"));
  work.push_back(after(2s, 2));
  auto it = as_completed(std::move(work));
  for (int i = 0; i < 3; ++i) {
    const std::string end = co_await step(it);
    log(end);
  }
}

coroutine<> as_completed_with_a_timeout(journal& log) {
  std::vector<task<int>> work;
  for (const int n : {1, 2, 3}) work.push_back(create_task(after(std::chrono::seconds(n), n)));
  auto it = as_completed(work, 1.5s);
  for (int i = 0; i < 3; ++i) {
    const std::string end = co_await step(it);
    log(end);
  }
  const int n = co_await work[2];
  log(text(n));
}

coroutine<> shield_hops(journal& log) {
  task<> ticker = create_task(ticks(log, 8));
  const int n = co_await shield(turns(log, 2, 1, "inner ends"));
  log("got " + text(n));
  co_await ticker;
}

coroutine<> shield_outer_cancelled(journal& log) {
  task<int> inner = create_task(after(3s, 1));
  const auto wait = [&]() -> coroutine<> { (void)co_await shield(inner); };
  task<> t = create_task(wait);
  co_await sleep(1s);
  t.cancel("outer");
  co_await tell(log, t);
  const int n = co_await inner;
  log("inner " + text(n) + " count=" + text(inner.cancelling()));
}

coroutine<> shield_inner_cancelled(journal& log) {
  task<int> inner = create_task(after(3s, 1));
  future<int> outer = shield(inner);
  task<> ticker = create_task(ticks(log, 6));
  co_await sleep(0s);
  inner.cancel();
  co_await tell(log, outer);
  log("cancelled=" + yes(outer.cancelled()));
  co_await ticker;
}

coroutine<> shield_inner_fails(journal& log) { co_await tell(log, shield(fail_after(1s, "inner"))); }

coroutine<> wait_for_in_time_and_late(journal& log) {
  co_await tell(log, wait_for(after(1s, 5), 2s));
  co_await tell(log, wait_for(after(3s, 5), 2s));
  task<int> t = create_task(after(3s, 6));
  co_await tell(log, wait_for(t, 1s));
  log("cancelled=" + yes(t.cancelled()));
  task<int> inner = create_task(after(2s, 7));
  co_await tell(log, wait_for(shield(inner), 1s));
  const int n = co_await inner;
  log(text(n));
}

coroutine<> wait_for_hops(journal& log) {
  task<> ticker = create_task(ticks(log, 10));
  const int a = co_await wait_for(turns(log, 3, 1, "inner ends"), 5s);
  log("inline " + text(a));
  const int b = co_await wait_for(create_task(turns(log, 3, 1, "inner ends")), 5s);
  log("task " + text(b));
  co_await ticker;
}

coroutine<> wait_for_slow_to_end(journal& log) {
  const auto work = [&]() -> coroutine<> {
    std::exception_ptr error;
    try {
      co_await sleep(10s);
    } catch (...) {
      error = std::current_exception();
    }
    log("cleanup");
    co_await sleep(3s);
    std::rethrow_exception(error);
  };
  co_await tell(log, wait_for(create_task(work), 1s));
}

coroutine<> wait_for_cancelled(journal& log) {
  task<int> inner = create_task(after(10s, 1));
  const auto wait = [&]() -> coroutine<> { (void)co_await wait_for(inner, 20s); };
  task<> t = create_task(wait);
  co_await sleep(1s);
  t.cancel("outside");
  co_await tell(log, t);
  log("inner cancelled=" + yes(inner.cancelled()));
}

coroutine<> timeouts_nested(journal& log) {
  const auto inside = [&](timedelta outer, timedelta inner) -> coroutine<> {
    timeout a(outer), b(inner);
    const auto innermost = [] { return sleep(10s); };
    const auto body = [&]() -> coroutine<> {
      std::exception_ptr error;
      try {
        co_await async_with(b, innermost);
      } catch (...) {
        error = std::current_exception();
      }
      log("inner " + yes(describe(error) == "timeout") + " expired=" + yes(b.expired()));
      std::rethrow_exception(error);
    };
    const std::string end = co_await ending(async_with(a, body));
    log("outer " + end + " expired=" + yes(a.expired()));
  };
  co_await inside(1s, 2s);
  co_await inside(2s, 1s);
  co_await inside(1s, 1s);
  log("count=" + text(current_task().cancelling()));
}

coroutine<> timeout_of_zero(journal& log) {
  task<> ticker = create_task(ticks(log, 3));
  const auto body = [&]() -> coroutine<> {
    log("begins");
    co_await sleep(0s);
    log("never");
  };
  co_await tell(log, async_with(timeout(0s), body));
  co_await ticker;
}

coroutine<> combinators_nested(journal& log) {
  const auto named = [&](std::string name, int delay) -> coroutine<int> {
    try {
      co_await sleep(std::chrono::seconds(delay));
    } catch (const cancelled_error&) {
      log(name + " cancelled");
      throw;
    }
    log(name + " ends");
    co_return delay;
  };
  task<int> kept = create_task(named, "kept", 5);
  auto whole = gather(wait_for(named("a", 1), 2s), wait_for(named("b", 3), 2s), shield(kept));
  co_await tell(log, whole);
  const int n = co_await kept;
  log("kept " + text(n));
}

coroutine<> cancel_nested_combinators(journal& log) {
  task<int> shielded = create_task(after(3s, 1));
  const auto work = [&]() -> coroutine<> {
    co_await wait_for(gather(part(log, "a"), gather(part(log, "b"), part(log, "c")), shield(shielded)), 20s);
  };
  task<> ticker = create_task(ticks(log, 8));
  task<> t = create_task(work);
  for (int i = 0; i < 3; ++i) co_await sleep(0s);
  t.cancel();
  co_await tell(log, t);
  co_await ticker;
  const int n = co_await shielded;
  log(text(n));
}

}  // namespace

std::span<const scenario> group_scenarios() {
  static constexpr scenario all[] = {
      {"gather_hops", &gather_hops},
      {"gather_first_exception", &gather_first_exception},
      {"gather_exception_hops", &gather_exception_hops},
      {"gather_return_exceptions", &gather_return_exceptions},
      {"gather_child_cancelled", &gather_child_cancelled},
      {"gather_cancelled", &gather_cancelled},
      {"gather_cancelled_children_swallow", &gather_cancelled_children_swallow},
      {"gather_return_exceptions_cancelled", &gather_return_exceptions_cancelled},
      {"gather_cancelled_ends_with_the_first_answer", &gather_cancelled_ends_with_the_first_answer},
      {"gather_the_same_twice", &gather_the_same_twice},
      {"wait_hops", &wait_hops},
      {"wait_first_exception", &wait_first_exception},
      {"wait_with_a_timeout", &wait_with_a_timeout},
      {"wait_cancelled", &wait_cancelled},
      {"as_completed_in_order", &as_completed_in_order},
      {"as_completed_with_failures", &as_completed_with_failures},
      {"as_completed_with_a_timeout", &as_completed_with_a_timeout},
      {"shield_hops", &shield_hops},
      {"shield_outer_cancelled", &shield_outer_cancelled},
      {"shield_inner_cancelled", &shield_inner_cancelled},
      {"shield_inner_fails", &shield_inner_fails},
      {"wait_for_in_time_and_late", &wait_for_in_time_and_late},
      {"wait_for_hops", &wait_for_hops},
      {"wait_for_slow_to_end", &wait_for_slow_to_end},
      {"wait_for_cancelled", &wait_for_cancelled},
      {"timeouts_nested", &timeouts_nested},
      {"timeout_of_zero", &timeout_of_zero},
      {"combinators_nested", &combinators_nested},
      {"cancel_nested_combinators", &cancel_nested_combinators},
  };
  return all;
}

}  // namespace oracle
