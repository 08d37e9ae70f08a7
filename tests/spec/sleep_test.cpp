// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <cmath>
#include <limits>
#include <memory>

namespace asyncio::spec {
namespace {

TEST(Sleep, suspends_for_the_time_given) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    co_await sleep(90s);
    EXPECT_EQ(watch.ms(), 90'000);
    co_await sleep(0.25s);
    EXPECT_EQ(watch.ms(), 90'250);
    co_await sleep(std::chrono::hours(1));
    EXPECT_EQ(watch.ms(), 3'690'250);
  });
}

// S24
TEST(Sleep, zero_or_less_yields_for_exactly_one_turn) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto ticks = [&](std::string name, timedelta delay) -> coroutine<> {
      for (int i = 0; i < 3; ++i) {
        happened(name + std::to_string(i));
        co_await sleep(delay);
      }
    };
    task<> a = create_task(ticks, "a", 0s);
    task<> b = create_task(ticks, "b", -5s);
    co_await a;
    co_await b;
  });
  EXPECT_EQ(happened.seen(), (lines{"a0", "b0", "a1", "b1", "a2", "b2"}));
}

// S24
TEST(Sleep, zero_lets_everything_run_that_is_ready) {
  testing::run([]() -> coroutine<> {
    int ran = 0;
    for (int i = 0; i < 10; ++i) get_running_loop().call_soon([&] { ++ran; });
    co_await sleep(0s);
    EXPECT_EQ(ran, 10);
  });
}

// S25
TEST(Sleep, yields_the_value_it_was_given) {
  testing::run([]() -> coroutine<> {
    const int n = co_await sleep(1s, 7);
    const std::string text = co_await sleep(0s, std::string("rested"));
    std::unique_ptr<int> p = co_await sleep(1s, std::make_unique<int>(8));
    EXPECT_EQ(n, 7);
    EXPECT_EQ(text, "rested");
    EXPECT_EQ(*p, 8);
  });
}

// S24
TEST(Sleep, not_a_number_is_refused) {
  EXPECT_EQ(thrown_by([] { (void)sleep(std::chrono::duration<double>(std::nan(""))); }), "invalid_argument");
}

// S24
TEST(Sleep, a_cancelled_one_leaves_no_timer) {
  testing::run([]() -> coroutine<> {
    task<> t = create_task(sleep(1h));
    co_await sleep(0s);
    EXPECT_EQ(get_running_loop().metrics().timers, 1u);
    t.cancel();
    EXPECT_EQ(get_running_loop().metrics().timers, 0u);
    co_await settle();
    EXPECT_TRUE(t.cancelled());
  });
}

TEST(Sleep, many_sleepers_wake_in_the_order_of_their_deadlines_then_of_their_calls) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto nap = [&](std::string name, timedelta delay) -> coroutine<> {
      co_await sleep(delay);
      happened(name);
    };
    co_await gather(nap("3a", 3s), nap("1a", 1s), nap("2", 2s), nap("1b", 1s), nap("3b", 3s));
  });
  EXPECT_EQ(happened.seen(), (lines{"1a", "1b", "2", "3a", "3b"}));
}

TEST(Sleep, until_a_moment) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const time_point then = get_running_loop().time() + 5s;
    co_await sleep_until(then);
    EXPECT_EQ(watch.ms(), 5000);
    co_await sleep_until(then);
    co_await sleep_until(time_point::min());
    EXPECT_EQ(watch.ms(), 5000);
  });
}

TEST(Sleep, a_forgotten_million_years_does_not_overflow) {
  testing::run([]() -> coroutine<> {
    task<> for_ever = create_task(sleep(std::chrono::hours(std::numeric_limits<long>::max())));
    task<> to_the_end = create_task(sleep_until(time_point::max()));
    co_await sleep(1s);
    EXPECT_FALSE(for_ever.done());
    EXPECT_FALSE(to_the_end.done());
  });
}

// On the machine's clock.
TEST(Sleep, takes_its_time_on_the_machines_clock) {
  const auto before = std::chrono::steady_clock::now();
  run([]() -> coroutine<> { co_await gather(sleep(20ms), sleep(20ms), sleep(20ms)); });
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_GE(took, 20ms);
  EXPECT_LT(took, 5s);
}

}  // namespace
}  // namespace asyncio::spec
