// SPDX-License-Identifier: BSL-1.0
// A task that never waits for anything lets others run all the same (S23, differs on purpose).
#include "spec/spec.hpp"

#include <memory>

namespace asyncio::spec {
namespace {

/// How many times in a row `once()` can be awaited before a callback that was ready from the beginning runs.
template <class Once>
coroutine<int> awaits_before_others(Once once, int most) {
  co_await sleep(0s);  // now the budget is whole
  bool others_ran = false;
  get_running_loop().call_soon([&others_ran] { others_ran = true; });
  int n = 0;
  while (!others_ran && n < most) {
    co_await once();
    ++n;
  }
  co_await sleep(0s);
  co_return n;
}

template <class Once>
int count_with(unsigned budget, Once once, int most = 100'000) {
  testing::virtual_clock clock;
  return asyncio::run([&] { return awaits_before_others(once, most); }, {.clock = clock, .budget = budget});
}

coroutine<> nothing() { co_return; }

TEST(budget, a_task_that_awaits_what_is_done_lets_others_run_after_128_awaits) {
  EXPECT_EQ(count_with(128, [] { return nothing(); }), 128);
  testing::run([]() -> coroutine<> {
    future<> done;
    done.set_result();
    int n = co_await awaits_before_others([&done]() -> const future<>& { return done; }, 100'000);
    EXPECT_EQ(n, 128);
  });
}

TEST(budget, holds_for_everything_that_need_not_wait) {
  event always;
  always.set();
  semaphore many(1'000'000);
  queue<int> channel;
  EXPECT_EQ(count_with(50, [&] { return always.wait(); }), 50);
  EXPECT_EQ(count_with(50, [&] { return many.acquire(); }), 50);
  EXPECT_EQ(count_with(50, [&] { return channel.put(1); }), 50);
  EXPECT_EQ(count_with(10, [&] { return channel.get(); }), 10);
  EXPECT_EQ(count_with(10, [&] { return channel.next(); }), 10);
  while (channel.qsize() > 0) channel.get_nowait();
  queue<int> settled;
  EXPECT_EQ(count_with(50, [&] { return settled.join(); }), 50);
  lock free_lock;
  const auto take_it = [&]() -> coroutine<> { auto guard = co_await free_lock.scoped(); };
  EXPECT_EQ(count_with(50, take_it), 25) << "the coroutine is an await, and the lock another";
  EXPECT_FALSE(free_lock.locked());
}

TEST(budget, a_generator_that_never_waits_spends_it_too) {
  testing::run([]() -> coroutine<> {
    auto endless = []() -> async_generator<int> {
      for (int i = 0;; ++i) co_yield i;
    }();
    bool others_ran = false;
    co_await sleep(0s);
    get_running_loop().call_soon([&others_ran] { others_ran = true; });
    int n = 0;
    while (!others_ran) {
      auto value = co_await endless.next();
      EXPECT_EQ(value, n);
      ++n;
    }
    EXPECT_EQ(n, 128);
  });
}

TEST(budget, nought_means_as_many_as_it_likes) {
  EXPECT_EQ(count_with(0, [] { return nothing(); }, 10'000), 10'000);
}

TEST(budget, one_means_a_turn_after_each) {
  EXPECT_EQ(count_with(1, [] { return nothing(); }), 1);
}

TEST(budget, is_whole_again_after_every_suspension) {
  testing::virtual_clock clock;
  asyncio::run(
      []() -> coroutine<> {
        journal log;
        co_await sleep(0s);
        auto other = create_task([&log]() -> coroutine<> {
          for (int i = 0; i < 3; ++i) {
            log("other");
            co_await sleep(0s);
          }
        });
        for (int i = 0; i < 3; ++i) {
          for (int k = 0; k < 9; ++k) co_await nothing();
          log("nine");
          co_await sleep(0s);
        }
        co_await other;
        EXPECT_EQ(log.seen(), (lines{"nine", "other", "nine", "other", "nine", "other"}));
      },
      {.clock = clock, .budget = 10});
}

TEST(budget, timers_fire_beside_a_task_that_never_waits) {
  asyncio::run([]() -> coroutine<> {
    bool rang = false;
    get_running_loop().call_later(1ms, [&rang] { rang = true; });
    while (!rang) co_await nothing();
  });
}

TEST(budget, a_cancellation_that_comes_in_between_does_not_take_the_result) {
  testing::virtual_clock clock;
  asyncio::run(
      []() -> coroutine<> {
        queue<int> channel;
        for (int i = 0; i < 100; ++i) channel.put_nowait(i);
        std::vector<int> got;
        auto t = create_task([&]() -> coroutine<> {
          while (true) {
            int n = co_await channel.get();
            got.push_back(n);
          }
        });
        co_await sleep(0s);
        t.cancel();
        auto end = co_await ending(t);
        EXPECT_EQ(end, "cancelled_error");
        EXPECT_FALSE(got.empty());
        EXPECT_EQ(got.size() + channel.qsize(), 100u);
        EXPECT_EQ(channel.get_nowait(), static_cast<int>(got.size()));
      },
      {.clock = clock, .budget = 7});
}

TEST(budget, who_waits_in_line_comes_before_who_asks_again) {
  testing::virtual_clock clock;
  asyncio::run(
      []() -> coroutine<> {
        lock l;
        journal log;
        auto greedy = [&](std::string name) -> coroutine<> {
          for (int i = 0; i < 4; ++i) {
            co_await l.acquire();
            log(name);
            l.release();
          }
        };
        auto a = create_task(greedy("a"));
        auto b = create_task(greedy("b"));
        co_await a;
        co_await b;
        EXPECT_EQ(log.seen(), (lines{"a", "b", "a", "b", "a", "b", "a", "b"}));
      },
      {.clock = clock, .budget = 1});
}

TEST(budget, from_the_call_of_a_coroutine_to_its_first_line_nobody_else_runs) {
  for (unsigned budget = 1; budget < 8; ++budget) {
    testing::virtual_clock clock;
    asyncio::run(
        []() -> coroutine<> {
          bool others_ran = false;
          const auto first_line = [&others_ran](bool& before) -> coroutine<> {
            before = others_ran;
            co_return;
          };
          for (int i = 0; i < 20; ++i) {
            others_ran = false;
            get_running_loop().call_soon([&others_ran] { others_ran = true; });
            bool ran_before_it = false;
            co_await first_line(ran_before_it);
            EXPECT_FALSE(ran_before_it);
          }
          co_await settle(2);  // the callbacks see a flag that lives
        },
        {.clock = clock, .budget = budget});
  }
}

TEST(budget, one_that_is_destroyed_while_somebody_waits_tells_so_at_every_point_of_it) {
  for (int spent = 118; spent < 132; ++spent) {
    testing::run([spent]() -> coroutine<> {
      lock l;
      auto c = std::make_unique<condition>(l);
      auto t = create_task([&]() -> coroutine<> {
        co_await l.acquire();
        co_await sleep(0s);
        for (int i = 0; i < spent; ++i) co_await nothing();
        try {
          co_await c->wait();
        } catch (const std::runtime_error&) {}
        l.release();
      });
      co_await settle(6);
      c.reset();
      co_await t;
    });
  }
}

TEST(budget, a_generator_that_has_ended_spends_it) {
  EXPECT_EQ(count_with(20, [g = std::make_shared<async_generator<int>>(
                                []() -> async_generator<int> { co_return; }())] { return g->next(); }),
            20);
}

TEST(budget, an_eager_task_has_one_of_its_own) {
  auto loop = new_event_loop({.budget = 10});
  bool done_in_callback = false;
  loop->call_soon([&] {
    auto t = create_task(nothing(), {.eager_start = true});
    done_in_callback = t.done();
    loop->stop();
  });
  loop->run_forever();
  EXPECT_TRUE(done_in_callback);
  loop->run_until_complete([]() -> coroutine<> {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(create_task(nothing(), {.eager_start = true}).done());
    co_return;
  });
}

TEST(budget, an_eager_task_that_never_waits_ends_its_first_step_by_it) {
  testing::virtual_clock clock;
  asyncio::run(
      []() -> coroutine<> {
        int n = 0;
        auto child = create_task(
            [](int& count) -> coroutine<> {
              for (; count < 100; ++count) co_await nothing();
            }(n),
            {.eager_start = true});
        EXPECT_LE(n, 10);
        co_await child;
        EXPECT_EQ(n, 100);
      },
      {.clock = clock, .budget = 10});
}

}  // namespace
}  // namespace asyncio::spec
