// SPDX-License-Identifier: BSL-1.0
// to_thread, its limiter, and calls from a thread back into the loop.
#include "spec/spec.hpp"

#include <asyncio/threads.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace asyncio::spec {
namespace {

double half(double x) { return x / 2; }
std::size_t length(const std::string& s) { return s.size(); }
int count_down(std::stop_token stop, int n) {
  while (!stop.stop_requested() && n > 0) --n;
  return n;
}

// S33
TEST(ToThread, passes_arguments_and_gives_the_result) {
  testing::run([]() -> coroutine<> {
    EXPECT_EQ(co_await to_thread(half, 5), 2.5);
    EXPECT_EQ(co_await to_thread(length, "four"), 4u);
    EXPECT_EQ(co_await to_thread(count_down, 1000), 0);
    EXPECT_NE(co_await to_thread([] { return std::this_thread::get_id(); }), std::this_thread::get_id());
    int seen = 0;
    co_await to_thread([](int& n) { n = 7; }, std::ref(seen));
    EXPECT_EQ(seen, 7);
    auto owned = [p = std::make_unique<int>(5)] { return *p; };
    EXPECT_EQ(co_await to_thread(take(owned)), 5);
  });
}

// S33
TEST(ToThread, throws_what_the_function_threw) {
  testing::run([]() -> coroutine<> {
    EXPECT_EQ(co_await ending(to_thread([] { throw std::runtime_error("broken"); })), "runtime_error(broken)");
  });
}

// S33
TEST(ToThread, runs_in_a_copy_of_the_context) {
  static context_var<std::string> who("who", "nobody");
  testing::run([]() -> coroutine<> {
    who.set("me");
    EXPECT_EQ(co_await to_thread([] { return who.get(); }), "me");
    co_await to_thread([] { who.set("the thread"); });
    EXPECT_EQ(who.get(), "me");
    EXPECT_EQ(co_await get_running_loop().run_in_executor(nullptr, [] { return who.get(); }), "nobody");
  });
}

TEST(ToThread, does_nothing_until_it_is_awaited) {
  log_watch log;
  std::atomic<bool> called{false};
  testing::run([&]() -> coroutine<> {
    {
      auto unawaited = to_thread([&called] { called = true; });
    }
    co_await settle();
  });
  EXPECT_FALSE(called);
  EXPECT_TRUE(contains(log.taken().at(0), "was never awaited"));
}

TEST(ToThread, several_at_once_run_at_once) {
  testing::run([]() -> coroutine<> {
    std::atomic<int> inside{0};
    const auto meet = [&inside] {
      ++inside;
      while (inside < 3) std::this_thread::yield();
    };
    co_await gather(to_thread(meet), to_thread(meet), to_thread(meet));
    EXPECT_EQ(inside, 3);
  });
}

TEST(ToThread, the_loop_goes_on_meanwhile) {
  testing::run([]() -> coroutine<> {
    std::atomic<bool> turned{false};
    const task<> other = create_task([&]() -> coroutine<> {
      turned = true;
      co_return;
    });
    co_await to_thread([&] {
      while (!turned) std::this_thread::yield();
    });
    co_await other;
  });
}

TEST(ToThread, cancelling_the_await_asks_the_thread_to_stop) {
  testing::run([]() -> coroutine<> {
    std::atomic<bool> begun{false}, stopped{false};
    const task<> waits = create_task(to_thread([&](const std::stop_token& stop) {
      begun = true;
      while (!stop.stop_requested()) std::this_thread::yield();
      stopped = true;
    }));
    while (!begun) co_await sleep(0s);
    waits.cancel();
    EXPECT_EQ(co_await ending(waits), "cancelled_error");
    co_await get_running_loop().shutdown_default_executor();
    EXPECT_TRUE(stopped);
  });
}

TEST(ToThread, a_deadline_ends_the_await_and_not_the_function) {
  std::atomic<bool> begun{false}, go{false}, ended{false};
  asyncio::run([&]() -> coroutine<> {
    const task<> call = create_task(to_thread([&] {
      begun = true;
      while (!go) std::this_thread::yield();
      ended = true;
    }));
    while (!begun) co_await sleep(0s);
    EXPECT_EQ(co_await ending(wait_for(call, 1ms)), "timeout_error");
    EXPECT_FALSE(ended);
    go = true;
  });
  EXPECT_TRUE(ended);
}

// A virtual clock would run past any deadline while a thread works.
TEST(ToThread, a_virtual_clock_stands_still_meanwhile) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const auto slow = [] { std::this_thread::sleep_for(20ms); };
    EXPECT_EQ(co_await ending(wait_for(to_thread(slow), 1ms)), "done");
    EXPECT_EQ(watch.ms(), 0);
  });
}

TEST(ToThread, can_be_cancelled_at_every_place) {
  testing::inject_cancel([]() -> coroutine<> { EXPECT_EQ(co_await to_thread(half, 4), 2); });
  testing::inject_cancel([]() -> coroutine<> {
    const auto held = std::make_shared<int>(2);
    auto call = [held] { return *held; };
    EXPECT_EQ(co_await get_running_loop().run_in_executor(nullptr, call), 2);
  });
  testing::inject_cancel([]() -> coroutine<> {
    capacity_limiter limiter(1);
    const task<double> first = create_task(to_thread(limiter, half, 4));
    EXPECT_EQ(co_await to_thread(limiter, half, 4), 2);
    EXPECT_EQ(co_await first, 2);
  });
}

TEST(ToThread, is_seen_under_its_name) {
  testing::run([]() -> coroutine<> {
    std::atomic<bool> go{false};
    const task<> waits = create_task(to_thread([&] {
      while (!go) std::this_thread::yield();
    }));
    co_await sleep(0s);
    EXPECT_TRUE(contains(to_string(waits), "asyncio::to_thread")) << to_string(waits);
    go = true;
    co_await waits;
  });
}

// ---- the limiter

TEST(CapacityLimiter, lets_so_many_calls_into_threads_at_once) {
  testing::run([]() -> coroutine<> {
    capacity_limiter limiter(2);
    std::atomic<int> inside{0}, most{0}, done{0};
    const auto work = [&] {
      const int now = ++inside;
      int seen = most;
      while (now > seen && !most.compare_exchange_weak(seen, now)) {}
      std::this_thread::sleep_for(1ms);
      --inside;
      ++done;
    };
    std::vector<coroutine<>> calls;
    for (int i = 0; i < 10; ++i) calls.push_back(to_thread(limiter, work));
    co_await gather(std::move(calls));
    EXPECT_EQ(done, 10);
    EXPECT_LE(most, 2);
    EXPECT_EQ(limiter.borrowed_tokens(), 0u);
  });
}

TEST(CapacityLimiter, keeps_the_token_of_a_call_that_still_runs_when_nobody_waits_for_it) {
  testing::run([]() -> coroutine<> {
    capacity_limiter limiter(1);
    std::atomic<bool> begun{false}, go{false};
    const task<> first = create_task(to_thread(limiter, [&] {
      begun = true;
      while (!go) std::this_thread::yield();
    }));
    while (!begun) co_await sleep(0s);
    first.cancel();
    EXPECT_EQ(co_await ending(first), "cancelled_error");
    EXPECT_EQ(limiter.borrowed_tokens(), 1u);
    const task<double> second = create_task(to_thread(limiter, half, 4));
    co_await settle();
    EXPECT_FALSE(second.done());
    go = true;
    EXPECT_EQ(co_await second, 2);
    EXPECT_EQ(limiter.available_tokens(), 1u);
  });
}

TEST(CapacityLimiter, is_a_scope_too_and_is_not_released_more_often_than_it_was_acquired) {
  testing::run([]() -> coroutine<> {
    capacity_limiter limiter(3);
    EXPECT_EQ(limiter.total_tokens(), 3u);
    co_await async_with(limiter, [&] { EXPECT_EQ(limiter.borrowed_tokens(), 1u); });
    EXPECT_EQ(limiter.borrowed_tokens(), 0u);
    EXPECT_TRUE(contains(thrown_by([&] { limiter.release(); }), "no token is borrowed"));
    EXPECT_EQ(thrown_by([] { capacity_limiter none(0); }), "invalid_argument");
  });
}

TEST(CapacityLimiter, may_go_before_the_calls_that_it_let_through) {
  std::atomic<bool> go{false}, ended{false};
  asyncio::run([&]() -> coroutine<> {
    auto limiter = std::make_optional<capacity_limiter>(1);
    const task<> call = create_task(to_thread(*limiter, [&] {
      while (!go) std::this_thread::yield();
      ended = true;
    }));
    co_await settle();
    limiter.reset();
    go = true;
    co_await call;
  });
  EXPECT_TRUE(ended);
}

// ---- from a thread back into the loop

coroutine<int> twice(int n) {
  co_await sleep(1s);
  co_return 2 * n;
}

TEST(CallIn, a_thread_of_to_thread_runs_coroutines_on_the_loop_that_waits_for_it) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const auto work = [&loop](int n) {
      int sum = 0;
      for (int i = 0; i < 3; ++i) sum += run_coroutine_threadsafe(twice(n), loop).result();
      return sum;
    };
    const stopwatch watch;
    EXPECT_EQ(co_await to_thread(work, 5), 30);
    EXPECT_EQ(watch.ms(), 3000);
  });
}

TEST(CallIn, what_the_coroutine_throws_comes_out_in_the_thread_and_then_of_the_await) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const auto work = [&loop] {
      run_coroutine_threadsafe(
          []() -> coroutine<> {
            co_await sleep(0s);
            throw std::runtime_error("in the loop");
          },
          loop)
          .result();
    };
    EXPECT_EQ(co_await ending(to_thread(work)), "runtime_error(in the loop)");
  });
}

}  // namespace
}  // namespace asyncio::spec
