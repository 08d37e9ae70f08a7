// SPDX-License-Identifier: BSL-1.0
// What task.cancel() does, in every state a task can be in.
#include "spec/spec.hpp"

#include <memory>

namespace asyncio::spec {
namespace {

coroutine<int> give(int n) {
  co_await sleep(0s);
  co_return n;
}
coroutine<int> give_at_once(int n) { co_return n; }

// S66
TEST(Cancellation, of_a_task_that_is_done_answers_false_and_changes_nothing) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(1));
    co_await t;
    EXPECT_FALSE(t.cancel());
    EXPECT_EQ(t.cancelling(), 0);
    EXPECT_FALSE(t.cancelled());
    EXPECT_EQ(t.result(), 1);
    task<> c = create_task(sleep(1s));
    co_await sleep(0s);
    EXPECT_TRUE(c.cancel());
    EXPECT_TRUE(c.cancel());
    EXPECT_EQ(c.cancelling(), 2);
    co_await settle();
    EXPECT_TRUE(c.cancelled());
    EXPECT_FALSE(c.cancel());
    EXPECT_EQ(c.cancelling(), 2);
  });
}

// S66
TEST(Cancellation, reaches_the_await_in_the_next_turn_never_at_once) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    task<> t = create_task([&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      happened(end);
    });
    co_await sleep(1s);
    EXPECT_TRUE(t.cancel("please"));
    happened("asked");
    EXPECT_FALSE(t.done());
    co_await sleep(0s);
    EXPECT_TRUE(t.done());
  });
  EXPECT_EQ(happened.seen(), (lines{"asked", "cancelled_error(please)"}));
}

// S66
TEST(Cancellation, cancels_the_future_that_the_task_waits_for) {
  testing::run([]() -> coroutine<> {
    future<> f;
    const auto wait = [](future<> g) -> coroutine<> { co_await g; };
    task<> t = create_task(wait, f);
    co_await sleep(0s);
    t.cancel("why");
    EXPECT_TRUE(f.cancelled());
    EXPECT_FALSE(t.done());
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(why)");
    EXPECT_TRUE(t.cancelled());
  });
}

// S66
TEST(Cancellation, goes_down_a_chain_of_tasks_that_wait_for_each_other) {
  testing::run([]() -> coroutine<> {
    const auto wait = [](task<> t) -> coroutine<> { co_await t; };
    task<> innermost = create_task(sleep(1h));
    task<> middle = create_task(wait, innermost);
    task<> outer = create_task(wait, middle);
    co_await sleep(1s);
    EXPECT_TRUE(outer.cancel("chain"));
    EXPECT_EQ(outer.cancelling(), 1);
    EXPECT_EQ(middle.cancelling(), 1);
    EXPECT_EQ(innermost.cancelling(), 1);
    const std::string end = co_await ending(outer);
    EXPECT_EQ(end, "cancelled_error(chain)");
    EXPECT_TRUE(innermost.cancelled());
    EXPECT_TRUE(middle.cancelled());
  });
}

// S66: whoever comes first, the task ends cancelled, by one request.
TEST(Cancellation, of_a_task_and_of_the_future_it_waits_for_at_once_is_one) {
  testing::run([]() -> coroutine<> {
    for (const bool task_first : {true, false}) {
      future<> f;
      const auto wait = [f]() -> coroutine<> { co_await f; };
      task<> t = create_task(wait);
      co_await sleep(0s);
      if (task_first) t.cancel("task");
      EXPECT_EQ(f.cancel("future"), !task_first);
      if (!task_first) t.cancel("task");
      const std::string end = co_await ending(t);
      EXPECT_EQ(end.substr(0, 15), "cancelled_error");
      EXPECT_TRUE(t.cancelled());
    }
  });
}

// S66: an inner task that swallows the request ends the outer one's wait with its value.
TEST(Cancellation, that_the_inner_task_swallows_does_not_reach_the_outer) {
  testing::run([]() -> coroutine<> {
    const auto stubborn = []() -> coroutine<int> {
      (void)co_await ending(sleep(1h));
      co_return 7;
    };
    task<int> inner = create_task(stubborn);
    const auto wait = [](task<int> t) -> coroutine<int> {
      const int n = co_await t;
      co_return n;
    };
    task<int> outer = create_task(wait, inner);
    co_await sleep(1s);
    outer.cancel();
    const int n = co_await outer;
    EXPECT_EQ(n, 7);
    EXPECT_FALSE(outer.cancelled());
    EXPECT_EQ(outer.cancelling(), 1);
  });
}

// S67
TEST(Cancellation, is_delivered_once_and_a_task_may_catch_it_and_go_on) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    task<int> t = create_task([&]() -> coroutine<int> {
      const std::string first = co_await ending(sleep(1h));
      happened(watch.at(first));
      const std::string second = co_await ending(sleep(1h));
      happened(watch.at(second));
      co_return 5;
    });
    co_await sleep(1s);
    t.cancel();
    const int n = co_await t;
    EXPECT_EQ(n, 5);
    EXPECT_FALSE(t.cancelled());
    EXPECT_EQ(t.cancelling(), 1);
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 cancelled_error", "3601000 done"}));
}

// S68
TEST(Cancellation, before_the_first_step_none_of_the_tasks_code_runs) {
  testing::run([]() -> coroutine<> {
    auto owned = std::make_shared<int>(1);
    bool ran = false;
    const auto work = [&ran](std::shared_ptr<int>) -> coroutine<> {
      ran = true;
      co_return;
    };
    task<> t = create_task(work, owned);
    EXPECT_TRUE(t.cancel("too early"));
    EXPECT_FALSE(t.done());
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(too early)");
    EXPECT_FALSE(ran);
    EXPECT_EQ(owned.use_count(), 1);
  });
}

// S68: a coroutine that was made by the caller dies with its parameters, without a word.
TEST(Cancellation, before_the_first_step_is_silent) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(1));
    t.cancel();
    co_await settle();
    EXPECT_TRUE(t.cancelled());
  });
  EXPECT_EQ(log.taken(), lines{});
}

// S69 ≠: what is on its way is delivered first, and the request at the next suspension.
TEST(Cancellation, of_a_task_that_is_about_to_get_a_result_delivers_the_result_first) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    future<int> f;
    task<> t = create_task([&, f]() -> coroutine<> {
      const std::string value = co_await ending(f);
      happened(watch.at(value));
      const std::string next = co_await ending(sleep(1h));
      happened(watch.at(next));
    });
    co_await sleep(1s);
    f.set_result(6);
    EXPECT_TRUE(t.cancel());
    co_await t;
    EXPECT_EQ(t.cancelling(), 1);
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 6", "1000 cancelled_error"}));
}

// S69 ≠: so what a task returns without suspending again is not lost.
TEST(Cancellation, of_a_task_that_returns_the_result_it_was_about_to_get_loses_nothing) {
  testing::run([]() -> coroutine<> {
    future<std::unique_ptr<int>> f;
    const auto take = [](future<std::unique_ptr<int>> g) -> coroutine<std::unique_ptr<int>> {
      std::unique_ptr<int> value = co_await std::move(g);
      co_return value;
    };
    task<std::unique_ptr<int>> t = create_task(take, f);
    co_await sleep(0s);
    f.set_result(std::make_unique<int>(4));
    EXPECT_TRUE(t.cancel());
    std::unique_ptr<int> n = co_await std::move(t);
    EXPECT_EQ(*n, 4);
  });
}

// S69 ≠: the same with every combinator between the result and the task.
TEST(Cancellation, that_comes_when_a_gather_has_all_its_results_loses_none) {
  testing::run([]() -> coroutine<> {
    future<int> a, b;
    const auto both = [](future<int> x, future<int> y) -> coroutine<int> {
      const auto [p, q] = co_await gather(x, y);
      co_return p * 10 + q;
    };
    task<int> t = create_task(both, a, b);
    co_await sleep(0s);
    a.set_result(1);
    b.set_result(2);
    EXPECT_TRUE(t.cancel());
    co_await settle();
    EXPECT_FALSE(t.cancelled());
    EXPECT_EQ(thrown_by([&] { EXPECT_EQ(t.result(), 12); }), "nothing");
  });
}

// S70
TEST(Cancellation, of_itself_and_returning_without_a_wait_ends_cancelled) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<std::string> {
      co_await sleep(0s);
      EXPECT_TRUE(current_task().cancel("by myself"));
      co_return "a value that nobody gets, long enough for the heap";
    };
    task<std::string> t = create_task(work);
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(by myself)");
    EXPECT_TRUE(t.cancelled());
  });
}

// S70
TEST(Cancellation, of_itself_and_throwing_ends_with_what_was_thrown) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<> {
      co_await sleep(0s);
      current_task().cancel();
      throw std::runtime_error("mine");
    };
    task<> t = create_task(work);
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "runtime_error(mine)");
  });
}

// S70
TEST(Cancellation, of_itself_is_delivered_at_the_next_wait_and_only_there) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    task<> t = create_task([&]() -> coroutine<> {
      future<int> done;
      done.set_result(1);
      current_task().cancel();
      const int n = co_await give_at_once(2);
      const int m = co_await done;
      happened(watch.at(std::to_string(n + m)));
      const std::string end = co_await ending(sleep(1h));
      happened(watch.at(end));
      co_await sleep(1s);
      happened(watch.at("went on"));
    });
    co_await t;
  });
  EXPECT_EQ(happened.seen(), (lines{"0 3", "0 cancelled_error", "1000 went on"}));
}

// S71
TEST(Cancellation, a_task_that_throws_cancelled_error_by_itself_is_cancelled) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<> {
      co_await sleep(0s);
      throw cancelled_error("of my own");
    };
    task<> t = create_task(work);
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(of my own)");
    EXPECT_TRUE(t.cancelled());
    EXPECT_EQ(t.cancelling(), 0);
  });
}

// S72
TEST(Cancellation, uncancel_counts_down_and_never_below_zero) {
  testing::run([]() -> coroutine<> {
    task<> t = create_task(sleep(1h));
    EXPECT_EQ(t.uncancel(), 0);
    EXPECT_EQ(t.cancelling(), 0);
    co_await sleep(0s);
    t.cancel();
    t.cancel();
    EXPECT_EQ(t.cancelling(), 2);
    EXPECT_EQ(t.uncancel(), 1);
    EXPECT_EQ(t.uncancel(), 0);
    EXPECT_EQ(t.uncancel(), 0);
    co_await settle();
    EXPECT_TRUE(t.cancelled());  // it had been delivered to the sleep already
  });
}

// S72
TEST(Cancellation, uncancel_to_zero_takes_back_a_request_that_was_not_delivered) {
  testing::run([]() -> coroutine<> {
    task<int> not_started = create_task(give(3));
    not_started.cancel();
    not_started.uncancel();
    const int n = co_await not_started;
    EXPECT_EQ(n, 3);
    const auto itself = []() -> coroutine<int> {
      const any_task me = current_task();
      me.cancel();
      me.cancel();
      EXPECT_EQ(me.uncancel(), 1);
      EXPECT_EQ(me.uncancel(), 0);
      co_await sleep(1s);
      co_return 4;
    };
    const int m = co_await create_task(itself);
    EXPECT_EQ(m, 4);
  });
}

/// A deadline made by hand: it answers for its own request only, that is when the count is what it was at its entry.
template <class A>
coroutine<> deadline_by_hand(timedelta limit, A awaited) {
  const any_task me = current_task();
  const int at_entry = me.cancelling();
  bool passed = false;
  const timer_handle timer = get_running_loop().call_later(limit, [&] { passed = me.cancel(); });
  std::exception_ptr error;
  try {
    co_await std::move(awaited);
  } catch (const cancelled_error&) {
    error = std::current_exception();
  }
  timer.cancel();
  if (passed && me.uncancel() <= at_entry && error != nullptr) throw timeout_error();
  if (error != nullptr) std::rethrow_exception(error);
}

// S73
TEST(Cancellation, a_block_that_converts_its_own_request_leaves_those_of_others) {
  testing::run([]() -> coroutine<> {
    struct request {
      timedelta limit, outside;
      const char* end;
      int left;
    };
    for (const request& r : {request{1s, 9s, "timeout_error", 0}, request{9s, 1s, "cancelled_error", 1},
                             request{1s, 1s, "cancelled_error", 1}}) {
      std::string end;
      int left = -1;
      const auto work = [&]() -> coroutine<> {
        end = co_await ending(deadline_by_hand(r.limit, sleep(5s)));
        left = current_task().cancelling();
      };
      task<> t = create_task(work);
      co_await sleep(0s);  // the deadline's timer comes first
      const timer_handle outside = get_running_loop().call_later(r.outside, [t] { t.cancel(); });
      co_await t;
      outside.cancel();
      EXPECT_EQ(end, r.end);
      EXPECT_EQ(left, r.left);
    }
  });
}

// S73
TEST(Cancellation, of_nested_blocks_with_requests_in_the_same_turn_the_outermost_converts) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto inside = [&]() -> coroutine<> {
      const std::string end = co_await ending(deadline_by_hand(1s, sleep(5s)));
      happened("inner " + end + " " + std::to_string(current_task().cancelling()));
      throw cancelled_error();
    };
    const std::string end = co_await ending(deadline_by_hand(1s, inside()));
    happened("outer " + end + " " + std::to_string(current_task().cancelling()));
    co_await sleep(1s);
    happened("went on");
  });
  EXPECT_EQ(happened.seen(), (lines{"inner cancelled_error 1", "outer timeout_error 0", "went on"}));
}

// S74 ≠: whose cancellation was it? cancelling() tells, and as_outcome() keeps the two apart.
TEST(Cancellation, of_what_is_awaited_is_told_from_ones_own) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    task<> child = create_task(sleep(1h));
    const auto wait = [&]() -> coroutine<> {
      const outcome<> end = co_await as_outcome(child);
      happened(name_of(end.exception()));
      happened("own requests: " + std::to_string(current_task().cancelling()));
      const outcome<> next = co_await as_outcome(sleep(1h));
      happened("never " + name_of(next.exception()));
    };
    task<> parent = create_task(wait);
    co_await sleep(1s);
    child.cancel("child");
    co_await sleep(1s);
    EXPECT_FALSE(parent.done());
    parent.cancel("parent");
    const std::string end = co_await ending(parent);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error(child)", "own requests: 0", "cancelled_error(parent)"}));
}

// S56: the message of the request that reached the wait.
TEST(Cancellation, its_message_travels_to_the_task_and_to_who_awaits_it) {
  testing::run([]() -> coroutine<> {
    task<> t = create_task(sleep(1h));
    co_await sleep(0s);
    t.cancel("shutting down");
    const std::string first = co_await ending(t);
    const std::string second = co_await ending(t);
    EXPECT_EQ(first, "cancelled_error(shutting down)");
    EXPECT_EQ(second, first);
    EXPECT_EQ(thrown_by([&] { t.result(); }), first);
    EXPECT_EQ(thrown_by([&] { (void)t.exception(); }), first);
  });
}

// S56: of several requests before the task has run.
TEST(Cancellation, that_has_reached_its_wait_keeps_its_message_and_gets_one_if_it_has_none) {
  testing::run([]() -> coroutine<> {
    const auto told = [](std::string first, std::string second) -> coroutine<std::string> {
      task<> t = create_task(sleep(1h));
      co_await sleep(1s);
      t.cancel(std::move(first));
      t.cancel(std::move(second));
      co_return co_await ending(t);
    };
    const std::string both = co_await told("first", "second");
    const std::string only_first = co_await told("first", "");
    const std::string only_second = co_await told("", "second");
    EXPECT_EQ(both, "cancelled_error(first)");
    EXPECT_EQ(only_first, "cancelled_error(first)");
    EXPECT_EQ(only_second, "cancelled_error(second)");
  });
}

TEST(Cancellation, that_waits_for_the_next_wait_has_the_last_message) {
  testing::run([]() -> coroutine<> {
    task<> t = create_task([]() -> coroutine<> {
      current_task().cancel("first");
      current_task().cancel("second");
      current_task().cancel();
      co_await sleep(1h);
    });
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(second)");
  });
}

TEST(Cancellation, of_a_deadline_does_not_repeat_the_message_of_one_that_was_swallowed) {
  testing::run([]() -> coroutine<> {
    std::string inside;
    task<> t = create_task([&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      const auto body = [&]() -> coroutine<> { inside = co_await ending(sleep(1h)); };
      (void)co_await move_on_after(1s, body);
    });
    co_await sleep(1s);
    t.cancel("swallowed");
    co_await t;
    EXPECT_EQ(inside, "cancelled_error");
  });
}

TEST(Cancellation, is_not_caught_by_a_handler_of_std_exception) {
  bool caught = false;
  testing::run([&]() -> coroutine<> {
    task<> t = create_task([&]() -> coroutine<> {
      try {
        co_await sleep(1h);
      } catch (const std::exception&) {
        caught = true;
      }
    });
    co_await sleep(1s);
    t.cancel();
    co_await settle();
    EXPECT_TRUE(t.cancelled());
  });
  EXPECT_FALSE(caught);
}

TEST(Cancellation, that_becomes_another_exception_on_its_way_is_that_exception) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<> {
      std::string end = co_await ending(sleep(1h));
      throw std::runtime_error("after " + end);
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "runtime_error(after cancelled_error)");
    EXPECT_FALSE(t.cancelled());
  });
}

TEST(Cancellation, runs_destructors_innermost_first) {
  journal happened;
  struct leaving {
    journal& happened;
    const char* name;
    ~leaving() { happened(name); }
  };
  struct work {
    static coroutine<> inner(journal& j) {
      const leaving guard{j, "inner"};
      co_await sleep(1h);
    }
    static coroutine<> outer(journal& j) {
      const leaving guard{j, "outer"};
      co_await inner(j);
    }
  };
  testing::run([&]() -> coroutine<> {
    task<> t = create_task(work::outer(happened));
    co_await sleep(1s);
    t.cancel();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"inner", "outer"}));
}

TEST(Cancellation, done_callbacks_see_a_cancelled_task) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    task<> t = create_task(sleep(1h));
    t.add_done_callback([&](const task<>& me) { happened(me.cancelled() ? "cancelled" : "not"); });
    co_await sleep(1s);
    t.cancel();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"cancelled"}));
}

TEST(Cancellation, of_a_task_by_its_own_done_callbacks_and_awaiters_is_harmless) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(1));
    t.add_done_callback([](const task<int>& me) { EXPECT_FALSE(me.cancel()); });
    const int n = co_await t;
    EXPECT_EQ(n, 1);
    EXPECT_FALSE(t.cancel());
  });
}

/// Tasks that each await the next one, the last one the first.
std::vector<task<>> make_ring(std::size_t size) {
  struct wait {
    static coroutine<> for_next(std::shared_ptr<std::vector<task<>>> all, std::size_t i) {
      co_await (*all)[(i + 1) % all->size()];
    }
  };
  auto all = std::make_shared<std::vector<task<>>>();
  for (std::size_t i = 0; i < size; ++i) all->push_back(create_task(wait::for_next, all, i));
  return *all;
}

TEST(Cancellation, a_ring_of_tasks_that_await_each_other_can_be_cancelled) {
  for (const std::size_t size : {2u, 3u, 7u, 100u}) {
    testing::run([size]() -> coroutine<> {
      std::vector<task<>> ring = make_ring(size);
      co_await sleep(1s);
      EXPECT_TRUE(ring.front().cancel("ring"));
      co_await sleep(1s);
      for (const task<>& t : ring) {
        EXPECT_TRUE(t.done());
        EXPECT_EQ(thrown_by([&] { t.result(); }), "cancelled_error(ring)");
      }
    });
  }
}

TEST(Cancellation, a_task_that_awaits_a_ring_can_be_cancelled_with_it) {
  testing::run([]() -> coroutine<> {
    std::vector<task<>> ring = make_ring(5);
    const auto wait = [](task<> t) -> coroutine<> { co_await t; };
    task<> tail = create_task(wait, ring[2]);
    task<> longer_tail = create_task(wait, tail);
    co_await sleep(1s);
    EXPECT_TRUE(longer_tail.cancel());
    co_await sleep(1s);
    EXPECT_TRUE(longer_tail.cancelled());
    for (const task<>& t : ring) EXPECT_TRUE(t.cancelled());
  });
}

TEST(Cancellation, a_ring_is_ended_when_the_loop_is_closed) {
  testing::run([]() -> coroutine<> {
    make_ring(4);
    co_await sleep(1s);
  });
}

TEST(Cancellation, a_ring_of_gathers_is_ended_when_the_loop_is_closed) {
  testing::run([]() -> coroutine<> {
    struct wait {
      static coroutine<> for_both(std::shared_ptr<std::vector<task<>>> all, std::size_t i) {
        co_await gather((*all)[1 - i], sleep(1h));
      }
    };
    auto all = std::make_shared<std::vector<task<>>>();
    for (std::size_t i = 0; i < 2; ++i) all->push_back(create_task(wait::for_both, all, i));
    co_await sleep(1s);
    all->clear();
  });
}

}  // namespace
}  // namespace asyncio::spec
