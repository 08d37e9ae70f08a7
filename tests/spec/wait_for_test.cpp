// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <memory>
#include <optional>

namespace asyncio::spec {
namespace {

coroutine<int> after(timedelta delay, int n) {
  co_await sleep(delay);
  co_return n;
}

TEST(WaitFor, gives_the_value_when_it_comes_in_time) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const int a = co_await wait_for(after(1s, 3), 2s);
    const int b = co_await wait_for(after(1s, 4), std::nullopt);
    const int c = co_await wait_for(create_task(after(1s, 5)), 2s);
    future<int> f;
    get_running_loop().call_later(1s, [f] { f.set_result(6); });
    const int d = co_await wait_for(f, 2s);
    EXPECT_EQ(a * 1000 + b * 100 + c * 10 + d, 3456);
    EXPECT_EQ(watch.ms(), 4000);
    EXPECT_EQ(get_running_loop().metrics().timers, 0u);
  });
}

TEST(WaitFor, an_exception_in_time_comes_out) {
  testing::run([]() -> coroutine<> {
    const auto fail = []() -> coroutine<> {
      co_await sleep(1s);
      throw std::runtime_error("its own");
    };
    const std::string end = co_await ending(wait_for(fail(), 2s));
    EXPECT_EQ(end, "runtime_error(its own)");
  });
}

TEST(WaitFor, takes_every_kind_of_awaitable) {
  testing::run([]() -> coroutine<> {
    event e;
    queue<std::unique_ptr<int>> q;
    const std::string late = co_await ending(wait_for(e.wait(), 1s));
    EXPECT_EQ(late, "timeout_error");
    q.put_nowait(std::make_unique<int>(4));
    std::unique_ptr<int> item = co_await wait_for(q.get(), 1s);
    EXPECT_EQ(*item, 4);
    const auto [a, b] = co_await wait_for(gather(after(1s, 1), after(2s, 2)), 3s);
    EXPECT_EQ(a + b, 3);
  });
}

// S114
TEST(WaitFor, is_over_only_when_the_cancelled_one_has_really_ended) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto slow_to_end = [&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      happened(watch.at(end));
      co_await sleep(5s);
      throw cancelled_error();
    };
    task<> t = create_task(slow_to_end);
    const std::string end = co_await ending(wait_for(t, 1s));
    happened(watch.at(end));
    EXPECT_TRUE(t.cancelled());
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 cancelled_error", "6000 timeout_error"}));
}

// S115
TEST(WaitFor, no_time_at_all_gives_what_is_done_and_does_not_start_a_coroutine) {
  journal happened;
  log_watch log;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    for (const timedelta none : {timedelta(0s), timedelta(-1s)}) {
      future<int> done, failed;
      done.set_result(7);
      failed.set_exception(std::runtime_error("x"));
      const int n = co_await wait_for(done, none);
      EXPECT_EQ(n, 7);
      const std::string thrown = co_await ending(wait_for(failed, none));
      EXPECT_EQ(thrown, "runtime_error(x)");
      const auto never_started = [&]() -> coroutine<> {
        happened("started");
        co_return;
      };
      const std::string end = co_await ending(wait_for(never_started(), none));
      EXPECT_EQ(end, "timeout_error");
    }
    EXPECT_EQ(watch.ms(), 0);
  });
  EXPECT_EQ(happened.seen(), lines{});
  EXPECT_EQ(log.taken(), lines{});
}

// S115
TEST(WaitFor, no_time_at_all_cancels_a_running_task_and_waits_for_its_end) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    task<> t = create_task([&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      co_await sleep(2s);
      throw cancelled_error();
    });
    co_await sleep(0s);
    const std::string end = co_await ending(wait_for(t, 0s));
    happened(watch.at(end));
    future<> pending;
    const std::string of_future = co_await ending(wait_for(pending, 0s));
    happened(watch.at(of_future));
    EXPECT_TRUE(pending.cancelled());
  });
  EXPECT_EQ(happened.seen(), (lines{"2000 timeout_error", "2000 timeout_error"}));
}

// S116
TEST(WaitFor, another_exception_during_the_cancellation_is_the_one_that_comes_out) {
  testing::run([]() -> coroutine<> {
    const auto fail = []() -> coroutine<int> {
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("while ending");
    };
    const std::string inline_end = co_await ending(wait_for(fail(), 1s));
    const std::string task_end = co_await ending(wait_for(create_task(fail), 1s));
    task<int> running = create_task(fail);
    co_await sleep(0s);
    const std::string at_once = co_await ending(wait_for(running, 0s));
    EXPECT_EQ(inline_end, "runtime_error(while ending)");
    EXPECT_EQ(task_end, inline_end);
    EXPECT_EQ(at_once, inline_end);
  });
}

// S116
TEST(WaitFor, a_value_that_comes_in_spite_of_the_cancellation_is_returned) {
  testing::run([]() -> coroutine<> {
    const auto stubborn = []() -> coroutine<int> {
      (void)co_await ending(sleep(1h));
      co_return 8;
    };
    const int a = co_await wait_for(stubborn(), 1s);
    const int b = co_await wait_for(create_task(stubborn), 1s);
    task<int> running = create_task(stubborn);
    co_await sleep(0s);
    const int c = co_await wait_for(running, 0s);
    EXPECT_EQ(a + b + c, 24);
    EXPECT_EQ(current_task().cancelling(), 0);
    co_await sleep(1s);  // nothing of it is left over
  });
}

// S117
TEST(WaitFor, cancelling_it_cancels_what_it_awaits) {
  testing::run([]() -> coroutine<> {
    task<int> inner = create_task(after(1h, 1));
    const auto wait = [&]() -> coroutine<> { (void)co_await wait_for(inner, 2h); };
    task<> outer = create_task(wait);
    co_await sleep(1s);
    outer.cancel("from outside");
    const std::string end = co_await ending(outer);
    EXPECT_EQ(end, "cancelled_error(from outside)");
    EXPECT_TRUE(inner.cancelled());
    EXPECT_EQ(get_running_loop().metrics().timers, 0u);
  });
}

// S117: in the turn in which the value comes, neither the value nor the request is lost.
TEST(WaitFor, a_request_in_the_turn_in_which_the_value_comes_is_delivered_after_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool value_first : {true, false}) {
      const stopwatch watch;
      future<int> f;
      const auto work = [&, f]() -> coroutine<> {
        const std::string value = co_await ending(wait_for(f, 2h));
        happened(watch.at(value));
        const std::string next = co_await ending(sleep(1h));
        happened(watch.at(next));
      };
      task<> t = create_task(work);
      co_await sleep(1s);
      if (value_first) f.set_result(9);
      t.cancel();
      EXPECT_EQ(f.cancelled(), !value_first);
      co_await t;
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 9", "1000 cancelled_error", "1000 cancelled_error", "3601000 done"}));
}

// S117: the deadline passes in the turn in which the value comes.
TEST(WaitFor, a_value_in_the_turn_of_the_deadline_is_returned_and_the_task_is_not_cancelled) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    future<int> f;
    get_running_loop().call_later(1s, [f] { f.set_result(3); });
    const int n = co_await wait_for(f, 1s);
    EXPECT_EQ(n, 3);
    EXPECT_EQ(watch.ms(), 1000);
    EXPECT_EQ(current_task().cancelling(), 0);
    co_await sleep(1s);
    EXPECT_EQ(watch.ms(), 2000);
  });
}

// S117: the request comes while it waits for one that has been timed out and holds its cancellation up.
TEST(WaitFor, cancelled_while_the_late_one_ends_it_passes_the_request_on) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool swallows_all : {true, false}) {
      const stopwatch watch;
      const auto hesitant = [&, watch, swallows_all]() -> coroutine<int> {
        const std::string first = co_await ending(sleep(3s));
        happened(watch.at("first " + first));
        const std::string second = co_await ending(sleep(3s));
        happened(watch.at("second " + second));
        if (!swallows_all) throw cancelled_error();
        co_await sleep(3s);
        co_return 42;
      };
      task<int> inner = create_task(hesitant);
      const auto wait = [&]() -> coroutine<int> {
        const int n = co_await wait_for(inner, 1s);
        co_return n;
      };
      task<int> outer = create_task(wait);
      co_await sleep(2s);
      outer.cancel();
      const std::string end = co_await ending(outer);
      happened(watch.at(end));
      EXPECT_EQ(outer.cancelling(), 1) << "the deadline's own request is taken back";
    }
  });
  EXPECT_EQ(happened.seen(),
            (lines{"1000 first cancelled_error", "2000 second cancelled_error", "5000 42", "1000 first cancelled_error",
                   "2000 second cancelled_error", "2000 cancelled_error"}));
}

// S117: what it waits for is done in the very turn in which it is cancelled.
TEST(WaitFor, a_request_is_not_lost_when_the_task_it_awaits_has_just_ended) {
  testing::run([]() -> coroutine<> {
    bool reached_the_end = false;
    const auto at_once = []() -> coroutine<std::string> { co_return "done"; };
    task<std::string> inner = create_task(at_once);
    const auto wait = [&]() -> coroutine<> {
      (void)co_await wait_for(inner, 100s);
      co_await sleep(1s);
      reached_the_end = true;
    };
    task<> outer = create_task(wait);
    co_await sleep(0s);
    outer.cancel();
    const std::string end = co_await ending(outer);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(inner.done());
    EXPECT_EQ(inner.result(), "done");
    EXPECT_FALSE(reached_the_end);
  });
}

// S117: before it has begun, and with no limit.
TEST(WaitFor, cancelled_in_its_first_turn_it_cancels_what_it_awaits) {
  testing::run([]() -> coroutine<> {
    for (const std::optional<timedelta> limit : {std::optional<timedelta>(), std::optional<timedelta>(60s)}) {
      task<int> inner = create_task(after(1h, 1));
      const auto wait = [&, limit]() -> coroutine<> { (void)co_await wait_for(inner, limit); };
      task<> outer = create_task(wait);
      get_running_loop().call_soon([outer] { outer.cancel(); });
      const std::string end = co_await ending(outer);
      EXPECT_EQ(end, "cancelled_error");
      co_await settle();
      EXPECT_TRUE(inner.cancelled());
    }
  });
}

// S118
TEST(WaitFor, of_a_shield_leaves_what_it_shields) {
  testing::run([]() -> coroutine<> {
    for (const timedelta limit : {timedelta(1s), timedelta(0s)}) {
      task<int> inner = create_task(after(5s, 4));
      const std::string end = co_await ending(wait_for(shield(inner), limit));
      EXPECT_EQ(end, "timeout_error");
      EXPECT_EQ(inner.cancelling(), 0);
      const int n = co_await inner;
      EXPECT_EQ(n, 4);
    }
  });
}

TEST(WaitFor, nested_the_shorter_one_ends_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const std::string inner = co_await ending(wait_for(wait_for(sleep(1h), 1s), 5s));
    happened(watch.at(inner));
    const std::string outer = co_await ending(wait_for(wait_for(sleep(1h), 5s), 1s));
    happened(watch.at(outer));
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 timeout_error", "2000 timeout_error"}));
}

// S10, S121 of the same: a task that is waited for under two limits.
TEST(WaitFor, a_limit_cancels_the_task_for_everybody_who_awaits_it) {
  testing::run([]() -> coroutine<> {
    task<int> shared = create_task(after(1h, 1));
    const auto patient = [&]() -> coroutine<std::string> {
      std::string end = co_await ending(wait_for(shared, 2h));
      co_return end;
    };
    task<std::string> other = create_task(patient);
    const std::string end = co_await ending(wait_for(shared, 1s));
    EXPECT_EQ(end, "timeout_error");
    const std::string others = co_await other;
    EXPECT_EQ(others, "cancelled_error");
  });
}

TEST(WaitFor, a_move_only_value_of_a_task) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> coroutine<std::unique_ptr<int>> {
      co_await sleep(1s);
      co_return std::make_unique<int>(5);
    };
    std::unique_ptr<int> a = co_await wait_for(make(), 2s);
    std::unique_ptr<int> b = co_await wait_for(create_task(make), 2s);
    EXPECT_EQ(*a + *b, 10);
  });
}

coroutine<int> users_own() { co_return 1; }

TEST(WaitFor, no_time_at_all_refuses_a_coroutine_that_was_moved_from) {
  auto moved = users_own();
  auto c = std::move(moved);
  EXPECT_EQ(thrown_by([&] { (void)asyncio::wait_for(std::move(moved), 0s); }),
            "runtime_error(cannot reuse an already awaited coroutine)");
  EXPECT_EQ(testing::run([&]() -> coroutine<int> { co_return co_await std::move(c); }), 1);
}

TEST(WaitFor, with_no_time_at_all_for_a_connection_reports_nothing) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    std::string end = co_await ending(asyncio::wait_for(open_connection("127.0.0.1", 1), 0s));
    EXPECT_EQ(end, "timeout_error");
    end = co_await ending(asyncio::wait_for(open_unix_connection("nowhere"), 0s));
    EXPECT_EQ(end, "timeout_error");
  });
  EXPECT_EQ(log.taken(), lines());
}

// S115
TEST(WaitFor, with_no_time_at_all_that_is_dropped_names_the_coroutine_that_never_ran) {
  log_watch log;
  (void)asyncio::wait_for(users_own(), 0s);
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "users_own' was never awaited (")) << seen[0];
  testing::run([]() -> coroutine<> {
    std::string end = co_await ending(asyncio::wait_for(users_own(), 0s));
    EXPECT_EQ(end, "timeout_error");
  });
  EXPECT_EQ(log.taken(), lines{});
}

}  // namespace
}  // namespace asyncio::spec
