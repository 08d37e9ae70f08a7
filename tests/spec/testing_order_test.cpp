// SPDX-License-Identifier: BSL-1.0
// asyncio::testing: other orders of tasks, and the bugs that they show.
#include "spec/spec.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace asyncio::spec {
namespace {

/// A body whose tasks say their names, in the order in which their steps ran.
auto saying(std::string& said, int tasks) {
  return [&said, tasks]() -> coroutine<> {
    said.clear();
    task_group group;
    const auto body = [&said, tasks](task_group& g) -> coroutine<> {
      for (int i = 0; i < tasks; ++i)
        g.create_task(
            [](std::string& to, char name) -> coroutine<> {
              to += name;
              co_return;
            },
            std::ref(said), static_cast<char>('a' + i));
      co_return;
    };
    co_await async_with(group, body);
  };
}

std::string said_with(std::optional<std::uint64_t> seed, int tasks) {
  std::string said;
  testing::run(saying(said, tasks), {.seed = seed});
  return said;
}

TEST(TestingSeed, without_one_the_order_is_first_come_first_served) { EXPECT_EQ(said_with({}, 8), "abcdefgh"); }

TEST(TestingSeed, gives_the_same_order_on_every_machine_and_compiler) {
  EXPECT_EQ(said_with(0, 8), "bcgfeadh");
  EXPECT_EQ(said_with(1, 8), "adhbcgfe");
  EXPECT_EQ(said_with(42, 8), "edcahgbf");
  EXPECT_EQ(said_with(UINT64_MAX, 8), "afdecbgh");
}

TEST(TestingSeed, gives_every_order_its_chance) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < 2400; ++seed) ++seen[said_with(seed, 4)];
  EXPECT_EQ(seen.size(), 24u);
  for (const auto& [order, times] : seen) {
    EXPECT_GT(times, 50) << order;  // of 100 that would be just
    EXPECT_LT(times, 200) << order;
  }
}

TEST(TestingSeed, callbacks_keep_their_places) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::string said;
    testing::run(
        [&]() -> coroutine<> {
          event_loop& loop = get_running_loop();
          const auto say = [&](char c) -> coroutine<> {
            said += c;
            co_return;
          };
          loop.call_soon([&] { said += '1'; });
          task<> a = create_task(say, 'a');
          loop.call_soon([&] { said += '2'; });
          task<> b = create_task(say, 'b');
          task<> c = create_task(say, 'c');
          loop.call_soon([&] { said += '3'; });
          co_await sleep(1s);
        },
        {.seed = seed});
    ASSERT_EQ(said.size(), 6u);
    EXPECT_TRUE(said[0] == '1' && said[2] == '2' && said[5] == '3') << said;
    seen.insert(said);
  }
  EXPECT_EQ(seen.size(), 6u);
}

TEST(TestingSeed, changes_the_order_within_a_turn_and_not_between_turns) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    lines said;
    testing::run(
        [&]() -> coroutine<> {
          const auto sleeper = [&](int seconds) -> coroutine<> {
            co_await sleep(std::chrono::seconds(seconds));
            said.push_back(std::to_string(seconds));
          };
          std::vector<task<>> tasks;
          for (int i = 1; i <= 3; ++i) tasks.push_back(create_task(sleeper, i));
          co_await gather(tasks);
        },
        {.seed = seed});
    EXPECT_EQ(said, (lines{"1", "2", "3"}));
  }
}

TEST(TestingSeed, a_line_at_a_lock_stays_a_line) {
  std::set<lines> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    lines asked, got;
    testing::run(
        [&]() -> coroutine<> {
          asyncio::lock guard;
          const auto user = [&](std::string name) -> coroutine<> {
            asked.push_back(name);
            auto hold = co_await guard.scoped();
            got.push_back(name);
            co_await sleep(1ms);
          };
          std::vector<task<>> tasks;
          for (const char* name : {"a", "b", "c", "d"}) tasks.push_back(create_task(user, name));
          co_await gather(tasks);
        },
        {.seed = seed});
    EXPECT_EQ(asked, got);
    seen.insert(got);
  }
  EXPECT_GT(seen.size(), 20u);
}

TEST(TestingSeed, those_whom_an_event_calls_go_on_in_any_order) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    std::string said;
    testing::run(
        [&]() -> coroutine<> {
          event starting_gun;
          const auto runner = [&](char name) -> coroutine<> {
            co_await sleep(std::chrono::milliseconds(name));  // they arrive one after the other
            co_await starting_gun.wait();
            said += name;
          };
          std::vector<task<>> tasks;
          for (const char name : {'a', 'b', 'c'}) tasks.push_back(create_task(runner, name));
          co_await sleep(1s);
          starting_gun.set();
          co_await gather(tasks);
        },
        {.seed = seed});
    seen.insert(said);
  }
  EXPECT_EQ(seen.size(), 6u);
}

// The op of a wait that was called and then cancelled lies in the frame that its task's step destroys, and is still
// queued: that step may not come before it.
TEST(TestingSeed, a_wait_that_was_called_and_cancelled_survives_every_order) {
  testing::for_each_order(300, []() -> coroutine<> {
    semaphore permits(0);
    int taken = 0;
    const auto taker = [&]() -> coroutine<> {
      co_await permits.acquire();
      ++taken;
    };
    std::vector<task<>> tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(create_task(taker));
    co_await sleep(1s);
    const auto releaser = [&](int i) -> coroutine<> {
      permits.release();
      tasks[static_cast<std::size_t>(i)].cancel();
      co_return;
    };
    std::vector<task<>> others;
    for (int i = 0; i < 3; ++i) others.push_back(create_task(releaser, i));
    co_await gather(others);
    co_await sleep(1s);
    EXPECT_EQ(taken, 3);
    for (int i = 3; i < 6; ++i) EXPECT_TRUE(tasks[static_cast<std::size_t>(i)].done());
  });
}

TEST(TestingSeed, no_order_breaks_what_tasks_are_joined_by) {
  const std::size_t orders = testing::for_each_order(300, []() -> coroutine<> {
    queue<int> items(2);
    asyncio::lock guard;
    int sum = 0;
    const auto produce = [&](int from) -> coroutine<> {
      for (int i = from; i < from + 4; ++i) co_await items.put(i);
    };
    const auto consume = [&]() -> coroutine<> {
      while (true) {
        const int n = co_await items.get();
        auto hold = co_await guard.scoped();
        const int before = sum;
        co_await sleep(0s);
        sum = before + n;
        items.task_done();
      }
    };
    task<> first = create_task(consume);
    task<> second = create_task(consume);
    co_await gather(produce(0), produce(4), produce(8));
    co_await items.join();
    first.cancel();
    second.cancel();
    co_await gather(return_exceptions, first, second);
    EXPECT_EQ(sum, 66);
    EXPECT_TRUE(first.cancelled() && second.cancelled());
  });
  EXPECT_GT(orders, 200u);
}

/// Two tasks, of which one uses what the other has yet to make: in the order in which they were made it works.
coroutine<> made_before_it_is_used() {
  auto config = std::make_unique<std::optional<int>>();
  const auto load = [&]() -> coroutine<> {
    config->emplace(8080);
    co_return;
  };
  const auto use = [&]() -> coroutine<> {
    if (!config->has_value()) throw std::runtime_error("no configuration yet");
    co_return;
  };
  co_await gather(load(), use());
}

TEST(ForEachOrder, finds_a_bug_that_only_some_orders_show_and_names_the_seed) {
  testing::run(made_before_it_is_used);
  log_watch log;
  EXPECT_EQ(thrown_by([] { testing::for_each_order(1000, made_before_it_is_used); }),
            "runtime_error(no configuration yet)");
  const lines said = log.taken();
  ASSERT_EQ(said.size(), 1u);
  const std::string call = "testing::run(body, {.seed = ";
  const std::size_t at = said[0].find(call);
  ASSERT_NE(at, std::string::npos) << said[0];
  const std::uint64_t seed = std::stoull(said[0].substr(at + call.size()));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(thrown_by([&] { testing::run(made_before_it_is_used, {.seed = seed}); }),
              "runtime_error(no configuration yet)");
}

TEST(ForEachOrder, finds_a_wake_up_that_only_some_orders_lose) {
  const auto body = []() -> coroutine<> {
    asyncio::condition changed;
    const auto wait = [&]() -> coroutine<> {
      auto hold = co_await changed.scoped();
      co_await changed.wait();  // without a look at what it waits for
    };
    const auto notify = [&]() -> coroutine<> {
      auto hold = co_await changed.scoped();
      changed.notify_all();
    };
    co_await gather(wait(), notify());
  };
  testing::run(body);
  log_watch log;
  EXPECT_THROW(testing::for_each_order(1000, body), testing::deadlock_error);
  const lines said = log.taken();
  EXPECT_TRUE(!said.empty() && contains(said.back(), "{.seed = "));
}

TEST(ForEachOrder, begins_with_first_come_first_served) {
  std::string said;
  lines orders;
  const auto body = [&]() -> coroutine<> {
    co_await saying(said, 5)();
    orders.push_back(said);
  };
  testing::for_each_order(50, body);
  EXPECT_EQ(orders.size(), 50u);
  EXPECT_EQ(orders[0], "abcde");
  EXPECT_EQ(orders[1], said_with(1, 5));
  EXPECT_EQ(orders[49], said_with(49, 5));
}

TEST(ForEachOrder, a_failure_of_the_first_run_needs_no_seed) {
  log_watch log;
  const auto body = []() -> coroutine<> {
    throw std::runtime_error("always");
    co_return;
  };
  EXPECT_EQ(thrown_by([&] { testing::for_each_order(10, body); }), "runtime_error(always)");
  EXPECT_EQ(log.taken(), (lines{"for_each_order: run 1 of 10 failed; it is repeated by testing::run(body)"}));
}

TEST(ForEachOrder, says_how_many_orders_differed) {
  std::string said;
  EXPECT_EQ(testing::for_each_order(100, saying(said, 2)), 2u);
  EXPECT_EQ(testing::for_each_order(500, saying(said, 3)), 6u);
  EXPECT_EQ(testing::for_each_order(100, saying(said, 1)), 1u);
  EXPECT_EQ(testing::for_each_order(1, saying(said, 5)), 1u);
  EXPECT_EQ(testing::for_each_order(0, saying(said, 5)), 0u);
}

TEST(ForEachOrder, each_run_has_a_clock_of_its_own_and_may_leave_nothing) {
  std::optional<future<>> kept;
  std::vector<time_point> beginnings;
  const auto body = [&]() -> coroutine<> {
    beginnings.push_back(get_running_loop().time());
    co_await sleep(24h);
    if (beginnings.size() == 3) kept.emplace();
  };
  log_watch log;
  const std::string thrown = thrown_by([&] { testing::for_each_order(10, body); });
  EXPECT_TRUE(contains(thrown, "left over")) << thrown;
  const lines said = log.taken();
  EXPECT_TRUE(!said.empty() && contains(said.back(), "{.seed = 2}"));
  EXPECT_EQ(beginnings.size(), 3u);
  EXPECT_TRUE(std::all_of(beginnings.begin(), beginnings.end(), [&](time_point t) { return t == beginnings[0]; }));
  kept.reset();
}

TEST(ForEachOrder, drops_the_values_of_its_body) {
  int runs = 0;
  testing::for_each_order(3, [&]() -> coroutine<std::unique_ptr<int>> { co_return std::make_unique<int>(++runs); });
  testing::for_each_order(3, [&] {
    ++runs;
    return sleep(1s, 7);
  });
  EXPECT_EQ(runs, 6);
}

}  // namespace
}  // namespace asyncio::spec
