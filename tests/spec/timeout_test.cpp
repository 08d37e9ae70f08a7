// SPDX-License-Identifier: BSL-1.0
// timeout, timeout_at, move_on_after, move_on_at.
#include "spec/spec.hpp"

#include <memory>
#include <optional>

namespace asyncio::spec {
namespace {

// S106
TEST(Timeout, a_body_that_is_too_late_is_cancelled_once_and_the_block_ends_with_timeout_error) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    timeout limit(2s);
    const auto body = [&](timeout& t) -> coroutine<> {
      EXPECT_EQ(&t, &limit);
      EXPECT_FALSE(t.expired());
      const std::string inside = co_await ending(sleep(1h));
      happened(watch.at("inside: " + inside));
      EXPECT_TRUE(t.expired());
      throw cancelled_error();
    };
    const std::string end = co_await ending(async_with(limit, body));
    happened(watch.at("outside: " + end));
    EXPECT_TRUE(limit.expired());
  });
  EXPECT_EQ(happened.seen(), (lines{"2000 inside: cancelled_error", "2000 outside: timeout_error"}));
}

TEST(Timeout, a_body_in_time_gives_its_value_and_leaves_no_timer) {
  testing::run([]() -> coroutine<> {
    timeout limit(2s);
    const int n = co_await async_with(limit, [] { return sleep(1s, 5); });
    EXPECT_EQ(n, 5);
    EXPECT_FALSE(limit.expired());
    EXPECT_EQ(get_running_loop().metrics().timers, 0u);
    const std::string text = co_await async_with(timeout(1s), [] { return std::string("at once"); });
    EXPECT_EQ(text, "at once");
  });
}

// S107
TEST(Timeout, a_cancellation_from_outside_is_not_converted) {
  testing::run([]() -> coroutine<> {
    const auto body = [] { return sleep(1h); };
    const auto work = [&]() -> coroutine<> { co_await async_with(timeout(2h), body); };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel("outside");
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(outside)");
  });
}

// S107
TEST(Timeout, when_the_deadline_and_somebody_outside_both_cancel_it_is_a_cancellation) {
  testing::run([]() -> coroutine<> {
    for (const bool deadline_first : {true, false}) {
      std::optional<task<>> t;
      int left = -1;
      const auto body = [&]() -> coroutine<> {
        try {
          co_await sleep(1h);
        } catch (const cancelled_error&) {
          if (deadline_first) t->cancel();
          throw;
        }
      };
      const auto work = [&]() -> coroutine<> {
        const std::string end = co_await ending(async_with(timeout(1s), body));
        EXPECT_EQ(end, "cancelled_error");
        left = current_task().cancelling();
        throw cancelled_error();
      };
      t = create_task(work);
      if (!deadline_first) {
        co_await sleep(999ms);
        get_running_loop().call_later(1ms, [&] { t->cancel(); });
      }
      const std::string end = co_await ending(*t);
      EXPECT_EQ(end, "cancelled_error");
      EXPECT_EQ(left, 1);
    }
  });
}

// S108
TEST(Timeout, works_in_a_task_that_was_cancelled_before) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<std::string> {
      (void)co_await ending(sleep(1h));
      EXPECT_EQ(current_task().cancelling(), 1);
      std::string end = co_await ending(async_with(timeout(1s), [] { return sleep(1h); }));
      EXPECT_EQ(current_task().cancelling(), 1);
      co_return end;
    };
    task<std::string> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await t;
    EXPECT_EQ(end, "timeout_error");
  });
}

// S109
TEST(Timeout, nested_only_the_one_whose_deadline_passed_converts) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto nested = [&](timedelta outer_limit, timedelta inner_limit) -> coroutine<> {
      timeout outer(outer_limit), inner(inner_limit);
      const auto wait = [] { return sleep(1h); };
      const auto body = [&]() -> coroutine<> {
        std::exception_ptr error;
        try {
          co_await async_with(inner, wait);
        } catch (...) {
          error = std::current_exception();
        }
        happened(watch.at("inner " + name_of(error)));
        std::rethrow_exception(error);
      };
      const std::string end = co_await ending(async_with(outer, body));
      happened(watch.at("outer " + end + (outer.expired() ? " expired" : "") + (inner.expired() ? " inner too" : "")));
    };
    co_await nested(5s, 1s);
    co_await nested(1s, 5s);
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 inner timeout_error", "1000 outer timeout_error inner too",
                                    "2000 inner cancelled_error", "2000 outer timeout_error expired"}));
}

// S109: both deadlines pass before the task runs again.
TEST(Timeout, nested_with_both_deadlines_passed_the_outer_wins) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    timeout outer(1s), inner(1s);
    const auto wait = [] { return sleep(1h); };
    const auto body = [&]() -> coroutine<> {
      const std::string end = co_await ending(async_with(inner, wait));
      happened("inner " + end);
      throw cancelled_error();
    };
    const std::string end = co_await ending(async_with(outer, body));
    happened("outer " + end);
    EXPECT_TRUE(inner.expired());
    EXPECT_TRUE(outer.expired());
    EXPECT_EQ(current_task().cancelling(), 0);
  });
  EXPECT_EQ(happened.seen(), (lines{"inner cancelled_error", "outer timeout_error"}));
}

/// Runs main on a loop whose clock moves only when main moves it: what happens while a task keeps the loop busy.
template <class Main>
void run_by_hand(Main main) {
  testing::manual_clock clock;
  auto loop = new_event_loop({.clock = clock});
  loop->run_until_complete(main(clock));
}

// S109: deadlines of different times that pass while the loop is busy reach the task together.
TEST(Timeout, nested_with_an_earlier_inner_deadline_that_both_passed_while_the_loop_was_busy_the_outer_wins) {
  journal happened;
  run_by_hand([&](testing::manual_clock& clock) -> coroutine<> {
    timeout outer(100ms), inner(10ms);
    const auto busy = [&]() -> coroutine<> {
      clock.advance(200ms);
      co_await sleep(1h);
    };
    const auto body = [&]() -> coroutine<> {
      std::exception_ptr error;
      try {
        co_await async_with(inner, busy);
      } catch (...) {
        error = std::current_exception();
      }
      happened("inner " + name_of(error) + " " + std::to_string(current_task().cancelling()));
      std::rethrow_exception(error);
    };
    const std::string end = co_await ending(async_with(outer, body));
    happened("outer " + end + " " + std::to_string(current_task().cancelling()));
    EXPECT_TRUE(inner.expired());
    EXPECT_TRUE(outer.expired());
  });
  EXPECT_EQ(happened.seen(), (lines{"inner cancelled_error 1", "outer timeout_error 0"}));
}

// S109: only the inner deadline has passed; the outer one ends what comes after it.
TEST(Timeout, nested_the_outer_still_ends_what_follows_the_inner_one) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [&]() -> coroutine<> {
      const std::string end = co_await ending(async_with(timeout(1s), [] { return sleep(1h); }));
      happened(watch.at("inner " + end));
      co_await sleep(1h);
    };
    const std::string end = co_await ending(async_with(timeout(3s), body));
    happened(watch.at("outer " + end));
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 inner timeout_error", "3000 outer timeout_error"}));
}

// S108, S109: in the clean-up of a body that has been timed out.
TEST(Timeout, one_in_the_clean_up_of_another_that_has_passed_counts_on_its_own) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [&]() -> coroutine<> {
      const std::string first = co_await ending(sleep(1h));
      happened(watch.at("body " + first));
      const std::string late = co_await ending(async_with(timeout(1s), [] { return sleep(1h); }));
      happened(watch.at("clean-up " + late));
      const std::string in_time = co_await ending(async_with(timeout(1s), [] { return sleep(500ms); }));
      happened(watch.at("more " + in_time));
      throw cancelled_error();
    };
    const std::string end = co_await ending(async_with(timeout(1s), body));
    happened(watch.at("outside " + end));
    EXPECT_EQ(current_task().cancelling(), 0);
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 body cancelled_error", "2000 clean-up timeout_error", "2500 more done",
                                    "2500 outside timeout_error"}));
}

// S107, S108: a request inside the block, in a task that had been cancelled before.
TEST(Timeout, a_new_request_in_a_task_that_was_cancelled_before_is_not_converted) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<> {
      current_task().cancel();
      (void)co_await ending(sleep(1h));
      timeout limit(1s);
      const auto body = []() -> coroutine<> {
        current_task().cancel("again");
        co_await sleep(2s);
      };
      const std::string end = co_await ending(async_with(limit, body));
      EXPECT_EQ(end, "cancelled_error(again)");
      EXPECT_FALSE(limit.expired());
      EXPECT_EQ(current_task().cancelling(), 2);
    };
    co_await create_task(work);
  });
}

// S72, S107: requests that were all taken back are not delivered, whoever made the last of them.
TEST(Timeout, that_takes_the_last_request_back_leaves_none_under_way) {
  testing::run([]() -> coroutine<> {
    const auto body = []() -> coroutine<> {
      const std::string end = co_await ending(sleep(0s));
      EXPECT_EQ(end, "cancelled_error(outside)");
      EXPECT_EQ(current_task().cancelling(), 2) << "outside's, and the deadline's";
      EXPECT_EQ(current_task().uncancel(), 1);
      EXPECT_EQ(current_task().uncancel(), 0);
      current_task().cancel();
    };
    const auto work = [body]() -> coroutine<int> {
      timeout limit(0s);
      co_await async_with(limit, body);
      EXPECT_TRUE(limit.expired());
      EXPECT_EQ(current_task().cancelling(), 0);
      co_await sleep(0s);
      co_return 1;
    };
    task<int> all = create_task(work);
    co_await sleep(0s);
    all.cancel("outside");
    const int value = co_await all;
    EXPECT_EQ(value, 1);
  });
}

// S107: a body that catches the request of its deadline is done in time as far as anybody can tell.
TEST(Timeout, a_body_that_goes_on_after_its_deadline_is_cancelled_once_only) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [&]() -> coroutine<> {
      const std::string first = co_await ending(sleep(1h));
      happened(watch.at(first));
      const std::string second = co_await ending(sleep(5s));
      happened(watch.at(second));
    };
    const std::string end = co_await ending(async_with(timeout(1s), body));
    happened(watch.at(end));
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 cancelled_error", "6000 done", "6000 done"}));
}

// S110
TEST(Timeout, no_time_at_all_cancels_the_first_wait_even_a_yield) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [&]() -> coroutine<> {
      happened("begins");
      co_await sleep(0s);
      happened("never");
    };
    const std::string zero = co_await ending(async_with(timeout(0s), body));
    happened(watch.at(zero));
    const std::string past = co_await ending(async_with(timeout_at(get_running_loop().time() - 1s), body));
    happened(watch.at(past));
    EXPECT_EQ(current_task().cancelling(), 0);
  });
  EXPECT_EQ(happened.seen(), (lines{"begins", "0 timeout_error", "begins", "0 timeout_error"}));
}

// S110
TEST(Timeout, no_time_at_all_is_enough_for_a_body_that_does_not_wait) {
  testing::run([]() -> coroutine<> {
    const int n = co_await async_with(timeout(0s), [] { return 4; });
    EXPECT_EQ(n, 4);
    co_await sleep(1s);
    EXPECT_EQ(current_task().cancelling(), 0);
  });
}

// S111
TEST(Timeout, nullopt_never_passes_until_it_is_given_a_deadline) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const int n = co_await async_with(timeout(std::nullopt), [] { return sleep(100h, 1); });
    EXPECT_EQ(n, 1);
    timeout limit(std::nullopt);
    EXPECT_EQ(limit.when(), std::nullopt);
    const auto body = [&]() -> coroutine<> {
      limit.reschedule(get_running_loop().time() + 2s);
      co_await sleep(1h);
    };
    const std::string end = co_await ending(async_with(limit, body));
    EXPECT_EQ(end, "timeout_error");
    EXPECT_EQ(watch.ms(), 360'002'000);
  });
}

// S111
TEST(Timeout, reschedule_moves_and_clears_the_deadline) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const time_point start = get_running_loop().time();
    timeout limit(10s);
    EXPECT_EQ(limit.when(), start + 10s);
    const auto body = [&]() -> coroutine<> {
      limit.reschedule(start + 1h);
      EXPECT_EQ(limit.when(), start + 1h);
      co_await sleep(20s);
      limit.reschedule(std::nullopt);
      EXPECT_EQ(limit.when(), std::nullopt);
      co_await sleep(2h);
      limit.reschedule(get_running_loop().time() + 5s);
      limit.reschedule(start);
      happened(watch.at("moved into the past"));
      limit.reschedule(get_running_loop().time() + 3s);
      co_await sleep(1h);
    };
    const std::string end = co_await ending(async_with(limit, body));
    happened(watch.at(end));
  });
  EXPECT_EQ(happened.seen(), (lines{"7220000 moved into the past", "7223000 timeout_error"}));
}

// S111: by another task, while the body waits.
TEST(Timeout, can_be_moved_from_outside_while_its_body_waits) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const time_point start = get_running_loop().time();
    timeout limit(10s);
    const auto work = [&]() -> coroutine<> { co_await async_with(limit, [] { return sleep(1h); }); };
    task<> t = create_task(work);
    co_await sleep(1s);
    limit.reschedule(start + 30s);
    EXPECT_EQ(limit.when(), start + 30s);
    co_await sleep(20s);
    EXPECT_FALSE(t.done());
    limit.reschedule(std::nullopt);
    co_await sleep(20s);
    EXPECT_FALSE(t.done());
    limit.reschedule(start);
    EXPECT_FALSE(limit.expired()) << "never inside the call";
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "timeout_error");
    EXPECT_EQ(watch.ms(), 41'000);
  });
}

// S111
TEST(Timeout, what_its_states_do_not_allow_is_refused) {
  testing::run([]() -> coroutine<> {
    timeout limit(1s);
    EXPECT_EQ(thrown_by([&] { limit.reschedule(std::nullopt); }), "runtime_error(timeout has not been entered)");
    (void)co_await ending(async_with(limit, [] { return sleep(1h); }));
    EXPECT_TRUE(contains(thrown_by([&] { limit.reschedule(std::nullopt); }), "expired timeout"));
    const std::string again = co_await ending(async_with(limit, [] { return 1; }));
    EXPECT_EQ(again, "runtime_error(timeout has already been entered)");
    timeout left(1s);
    co_await async_with(left, [] {});
    EXPECT_TRUE(contains(thrown_by([&] { left.reschedule(std::nullopt); }), "finished timeout"));
    std::string while_expiring;
    timeout expiring(1s);
    const auto body = [&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      while_expiring = thrown_by([&] { expiring.reschedule(std::nullopt); });
    };
    co_await async_with(expiring, body);
    EXPECT_TRUE(contains(while_expiring, "expiring timeout")) << while_expiring;
  });
}

// S111
TEST(Timeout, cannot_be_entered_outside_a_task) {
  timeout limit(1s);
  EXPECT_EQ(thrown_by([&] { limit.enter(); }), "runtime_error(timeout should be used inside a task)");
}

TEST(Timeout, one_made_outside_a_loop_counts_from_its_entry) {
  timeout limit(3s);
  testing::run([&]() -> coroutine<> {
    co_await sleep(10s);
    const stopwatch watch;
    const std::string end = co_await ending(async_with(limit, [] { return sleep(1h); }));
    EXPECT_EQ(end, "timeout_error");
    EXPECT_EQ(watch.ms(), 3000);
  });
}

// S112
TEST(Timeout, another_exception_of_the_body_passes_through) {
  testing::run([]() -> coroutine<> {
    const auto in_time = []() -> coroutine<> {
      throw std::runtime_error("in time");
      co_return;
    };
    const auto when_timed_out = []() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("too late");
    };
    timeout first(1s), second(1s);
    const std::string a = co_await ending(async_with(first, in_time));
    const std::string b = co_await ending(async_with(second, when_timed_out));
    EXPECT_EQ(a, "runtime_error(in time)");
    EXPECT_FALSE(first.expired());
    EXPECT_EQ(b, "runtime_error(too late)");
    EXPECT_TRUE(second.expired());
    EXPECT_EQ(current_task().cancelling(), 0);
  });
}

// S113
TEST(Timeout, the_task_is_not_cancelled_afterwards) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const auto swallows = []() -> coroutine<int> {
      (void)co_await ending(sleep(1h));
      co_return 3;
    };
    (void)co_await ending(async_with(timeout(1s), [] { return sleep(1h); }));
    const int n = co_await async_with(timeout(1s), swallows);
    EXPECT_EQ(n, 3);
    EXPECT_EQ(current_task().cancelling(), 0);
    co_await sleep(1s);
    EXPECT_EQ(watch.ms(), 3000);
  });
}

TEST(Timeout, deadlines_at_the_end_of_time_do_not_overflow) {
  testing::run([]() -> coroutine<> {
    const int a = co_await async_with(timeout(std::chrono::hours::max()), [] { return sleep(1s, 1); });
    const int b = co_await async_with(timeout_at(time_point::max()), [] { return sleep(1s, 2); });
    const std::string c = co_await ending(async_with(timeout_at(time_point::min()), [] { return sleep(1s); }));
    EXPECT_EQ(a + b, 3);
    EXPECT_EQ(c, "timeout_error");
  });
}

TEST(MoveOn, gives_the_value_in_time_and_none_when_it_is_late) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const std::optional<int> in_time = co_await move_on_after(2s, [] { return sleep(1s, 4); });
    const std::optional<int> late = co_await move_on_after(2s, [] { return sleep(3s, 4); });
    const bool finished = co_await move_on_after(2s, [] { return sleep(1s); });
    const bool unfinished = co_await move_on_at(get_running_loop().time() + 1s, [] { return sleep(3s); });
    const bool unlimited = co_await move_on_after(std::nullopt, [] { return sleep(3s); });
    EXPECT_EQ(in_time, 4);
    EXPECT_EQ(late, std::nullopt);
    EXPECT_TRUE(finished);
    EXPECT_FALSE(unfinished);
    EXPECT_TRUE(unlimited);
    EXPECT_EQ(watch.ms(), 8000);
  });
}

TEST(MoveOn, other_exceptions_and_cancellations_pass) {
  testing::run([]() -> coroutine<> {
    const auto fail = []() -> coroutine<> {
      co_await sleep(1s);
      throw std::runtime_error("own");
    };
    const auto own_timeout = []() -> coroutine<> {
      co_await sleep(1s);
      throw timeout_error("of the body");
    };
    const std::string a = co_await ending(move_on_after(2s, fail));
    const std::string b = co_await ending(move_on_after(2s, own_timeout));
    EXPECT_EQ(a, "runtime_error(own)");
    EXPECT_EQ(b, "timeout_error");
    const auto wait = []() -> coroutine<> { (void)co_await move_on_after(1h, [] { return sleep(2h); }); };
    task<> t = create_task(wait);
    co_await sleep(1s);
    t.cancel();
    const std::string c = co_await ending(t);
    EXPECT_EQ(c, "cancelled_error");
  });
}

TEST(MoveOn, the_body_may_move_the_deadline) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [](timeout& limit) -> coroutine<> {
      limit.reschedule(get_running_loop().time() + 10s);
      co_await sleep(1h);
    };
    const bool finished = co_await move_on_after(1s, body);
    EXPECT_FALSE(finished);
    EXPECT_EQ(watch.ms(), 10'000);
  });
}

TEST(MoveOn, no_limit_at_all_waits_for_ever_and_none_at_all_not_even_for_a_yield) {
  testing::run([]() -> coroutine<> {
    const bool yields = co_await move_on_after(0s, [] { return sleep(0s); });
    const bool does_not = co_await move_on_after(0s, [] {});
    EXPECT_FALSE(yields);
    EXPECT_TRUE(does_not);
  });
}

TEST(Timeout, that_was_not_entered_cannot_be_left_and_one_is_left_once) {
  testing::run([]() -> coroutine<> {
    timeout t(1s);
    EXPECT_EQ(thrown_by([&] { t.exit(nullptr); }), "runtime_error(timeout has not been entered)");
    t.enter();
    timeout moved = std::move(t);
    EXPECT_EQ(thrown_by([&] { t.exit(nullptr); }), "runtime_error(timeout has not been entered)");
    moved.exit(nullptr);
    EXPECT_EQ(thrown_by([&] { moved.exit(nullptr); }), "runtime_error(timeout has already been left)");
    co_return;
  });
}

}  // namespace
}  // namespace asyncio::spec
