// SPDX-License-Identifier: BSL-1.0
// asyncio::testing: that the helpers find what they are there to find.
#include "spec/spec.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <memory>
#include <optional>

namespace asyncio::spec {
namespace {

TEST(VirtualClock, waiting_takes_no_time) {
  const auto before = std::chrono::steady_clock::now();
  testing::virtual_clock clock;
  const time_point start = clock.now();
  run([]() -> coroutine<> { co_await sleep(24h * 365); }, {.clock = clock});
  EXPECT_EQ(clock.now() - start, 24h * 365);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
}

TEST(VirtualClock, stands_still_while_something_is_ready) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    bool fired = false;
    get_running_loop().call_later(1s, [&] { fired = true; });
    for (int i = 0; i < 1000; ++i) co_await sleep(0s);
    EXPECT_FALSE(fired);
    EXPECT_EQ(watch.ms(), 0);
  });
}

TEST(ManualClock, moves_only_when_it_is_told_to) {
  testing::manual_clock clock;
  auto loop = new_event_loop({.clock = clock});
  task<> t = loop->create_task(sleep(10s));
  for (int i = 0; i < 5; ++i) (void)loop->run_once(0s);
  EXPECT_FALSE(t.done());
  clock.advance(9s);
  for (int i = 0; i < 5; ++i) (void)loop->run_once(0s);
  EXPECT_FALSE(t.done());
  clock.advance(1s);
  for (int i = 0; i < 5; ++i) (void)loop->run_once(0s);
  EXPECT_TRUE(t.done());
}

TEST(TestingRun, gives_the_value_and_throws_what_the_body_threw) {
  EXPECT_EQ(testing::run([]() -> coroutine<int> { co_return 3; }), 3);
  EXPECT_EQ(*testing::run([]() -> coroutine<std::unique_ptr<int>> { co_return std::make_unique<int>(4); }), 4);
  EXPECT_EQ(thrown_by([] {
              testing::run([]() -> coroutine<> {
                throw std::runtime_error("body");
                co_return;
              });
            }),
            "runtime_error(body)");
}

TEST(TestingRun, finds_a_future_that_is_left_over) {
  std::optional<future<>> kept;
  const auto leaks = [&]() -> coroutine<> {
    kept.emplace();
    co_return;
  };
  const std::string thrown = thrown_by([&] { testing::run(leaks); });
  EXPECT_EQ(thrown, "exception(left over: 1 future)");
  kept.reset();
  EXPECT_EQ(thrown_by([&] { testing::run(leaks, {.allow_leaks = true}); }), "nothing");
  kept.reset();
}

TEST(TestingRun, finds_a_descriptor_that_is_left_over) {
  int fd = -1;
  const auto leaks = [&]() -> coroutine<> {
    fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    co_return;
  };
  const std::string thrown = thrown_by([&] { testing::run(leaks); });
  EXPECT_EQ(thrown, "exception(left over: 1 descriptor\n  * descriptor " + std::to_string(fd) + ": /dev/null)");
  ::close(fd);
}

TEST(TestingRun, tasks_that_are_left_over_are_ended_and_not_counted) {
  bool cancelled = false;
  testing::run([&]() -> coroutine<> {
    create_task([&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      cancelled = end == "cancelled_error";
    });
    co_await sleep(1s);
  });
  EXPECT_TRUE(cancelled);
}

TEST(InjectCancel, cancels_a_body_once_after_each_turn_until_it_ends_by_itself) {
  int runs = 0, ended = 0;
  lines ends;
  const auto body = [&]() -> coroutine<> {
    ++runs;
    for (int i = 0; i < 3; ++i) {
      const outcome<> step = co_await as_outcome(sleep(0s));
    }
    ++ended;
  };
  const std::size_t cancelled = testing::inject_cancel(body);
  EXPECT_EQ(cancelled, 3u);  // after its first, second and third turn; in the fourth it ends
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(ended, 1);
}

TEST(InjectCancel, finds_what_a_cancelled_body_leaves_behind) {
  std::vector<future<>> kept;
  const auto careless = [&]() -> coroutine<> {
    kept.emplace_back();
    co_await sleep(1s);
    kept.clear();
  };
  const std::string thrown = thrown_by([&] { testing::inject_cancel(careless); });
  EXPECT_EQ(thrown, "exception(left over: 1 future)");
  kept.clear();
}

TEST(InjectCancel, throws_on_what_the_body_throws_else) {
  const auto body = []() -> coroutine<> {
    const std::string end = co_await ending(sleep(1s));
    if (end != "done") throw std::runtime_error("cleanup after " + end);
  };
  EXPECT_EQ(thrown_by([&] { testing::inject_cancel(body); }), "runtime_error(cleanup after cancelled_error(injected))");
}

}  // namespace
}  // namespace asyncio::spec
