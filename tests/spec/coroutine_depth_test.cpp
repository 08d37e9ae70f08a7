// SPDX-License-Identifier: BSL-1.0
// Await often, await deep: the stack stays flat, in every build.
#include "spec/spec.hpp"

#include <cstdint>

namespace asyncio::spec {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#else
constexpr bool sanitized = false;
#endif

constexpr std::int64_t many = sanitized ? 1'000'000 : 10'000'000;
constexpr std::int64_t deep = sanitized ? 100'000 : 1'000'000;

coroutine<std::int64_t> give(std::int64_t n) { co_return n; }

coroutine<std::int64_t> sum_down(std::int64_t n) {
  if (n == 0) co_return 0;
  const std::int64_t rest = co_await sum_down(n - 1);
  co_return n + rest;
}

coroutine<> wait_at_the_bottom(std::int64_t n, future<> f) {
  if (n == 0) {
    co_await f;
    co_return;
  }
  co_await wait_at_the_bottom(n - 1, f);
}

TEST(CoroutineDepth, ten_million_awaits_in_a_plain_loop) {
  const std::int64_t sum = testing::run([]() -> coroutine<std::int64_t> {
    std::int64_t total = 0;
    for (std::int64_t i = 0; i < many; ++i) {
      const std::int64_t n = co_await give(i);
      total += n;
    }
    co_return total;
  });
  EXPECT_EQ(sum, many * (many - 1) / 2);
}

TEST(CoroutineDepth, recursion_a_million_deep) {
  const std::int64_t sum = testing::run([]() -> coroutine<std::int64_t> {
    const std::int64_t n = co_await sum_down(deep);
    co_return n;
  });
  EXPECT_EQ(sum, deep * (deep + 1) / 2);
}

TEST(CoroutineDepth, suspending_and_resuming_at_the_bottom_of_a_million_frames) {
  testing::run([]() -> coroutine<> {
    future<> f;
    get_running_loop().call_later(1s, [f] { f.set_result(); });
    co_await wait_at_the_bottom(deep, f);
  });
}

TEST(CoroutineDepth, an_exception_climbs_out_of_a_million_frames) {
  testing::run([]() -> coroutine<> {
    future<> f;
    get_running_loop().call_later(1s, [f] { f.set_exception(std::runtime_error("from below")); });
    const std::string end = co_await ending(wait_at_the_bottom(deep / 10, f));
    EXPECT_EQ(end, "runtime_error(from below)");
  });
}

TEST(CoroutineDepth, a_cancellation_climbs_out_of_a_million_frames) {
  testing::run([]() -> coroutine<> {
    future<> f;
    task<> t = create_task(wait_at_the_bottom(deep / 10, f));
    co_await sleep(1s);
    t.cancel("enough");
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(enough)");
    EXPECT_TRUE(f.cancelled());
  });
}

TEST(CoroutineDepth, a_loop_that_is_closed_ends_a_million_frames) {
  testing::run([]() -> coroutine<> {
    future<> f;
    create_task(wait_at_the_bottom(deep / 10, f));
    co_await sleep(1s);
  });
}

// S66: the request goes down the chain without recursion, and so does what it causes on its way back.
TEST(CoroutineDepth, a_chain_of_a_hundred_thousand_tasks_is_cancelled_from_its_outer_end) {
  struct chain {
    static coroutine<> link(task<> inner) { co_await inner; }
  };
  testing::run([]() -> coroutine<> {
    future<> f;
    task<> t = create_task(wait_at_the_bottom(0, f));
    task<> innermost = t;
    for (std::int64_t i = 0; i < deep / 10; ++i) t = create_task(chain::link(t));
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(innermost.cancelled());
    EXPECT_TRUE(f.cancelled());
  });
}

// A done future never suspends, so a task can await it without end: S23.
TEST(CoroutineDepth, a_million_awaits_of_a_future_that_is_done) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    f.set_result(1);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < deep; ++i) {
      const int n = co_await f;
      sum += n;
    }
    EXPECT_EQ(sum, deep);
  });
}

}  // namespace
}  // namespace asyncio::spec
