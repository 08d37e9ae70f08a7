// SPDX-License-Identifier: BSL-1.0
// channel<T> between loops and threads: each interleaving of src/coro/channel.cpp, and all of them at once.
#include <asyncio/channel.hpp>

#include "spec/spec.hpp"

#include <asyncio/loop_group.hpp>

#include <atomic>
#include <random>
#include <thread>

namespace asyncio::spec {
namespace {

using total = std::atomic<std::int64_t>;

TEST(ChannelThreads, an_item_goes_from_loop_to_loop_and_back) {
  loop_group group(2);
  const channel<int> there(1), back(1);
  const auto plays = [](channel<int> in, channel<int> out, int rounds) -> coroutine<int> {
    int last = 0;
    for (int i = 0; i < rounds; ++i) {
      last = co_await in.get();
      co_await out.put(last + 1);
    }
    co_return last;
  };
  const concurrent_future<int> a = group.submit_to(0, plays, there, back, 500);
  const concurrent_future<int> b = group.submit_to(1, plays, back, there, 499);
  there.put_blocking(0);
  EXPECT_EQ(a.result(), 998);
  EXPECT_EQ(b.result(), 997);
  EXPECT_EQ(back.get_blocking(), 999);
}

TEST(ChannelThreads, threads_and_tasks_wait_in_the_same_lines) {
  const channel<int> requests(2), answers(2);
  std::int64_t sum = 0;
  std::thread worker([=] {
    while (const std::optional<int> n = requests.next_blocking()) answers.put_blocking(*n * 2);
    answers.shutdown();
  });
  run([&]() -> coroutine<> {
    const auto feeds = [](channel<int> to) -> coroutine<> {
      for (int i = 0; i < 200; ++i) co_await to.put(i);
      to.shutdown();
    };
    const task<> feeding = create_task(feeds(requests));
    while (const std::optional<int> answer = co_await answers.next()) sum += *answer;
    co_await feeding;
  });
  worker.join();
  EXPECT_EQ(sum, 199 * 200);
}

TEST(ChannelThreads, what_one_producer_puts_arrives_in_its_order) {
  constexpr int producers = 3, each = 1000;
  const channel<std::pair<int, int>> c(4);
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p)
    threads.emplace_back([=] {
      for (int i = 0; i < each; ++i) c.put_blocking({p, i});
    });
  std::vector<int> next(producers, 0);
  run([&]() -> coroutine<> {
    for (int i = 0; i < producers * each; ++i) {
      const std::pair<int, int> got = co_await c.get();
      EXPECT_EQ(got.second, next[static_cast<std::size_t>(got.first)]++);
    }
  });
  for (std::thread& t : threads) t.join();
}

/// Gets until it is cancelled; what it got counts also when the cancellation was there already.
coroutine<> get_for_ever(channel<int> c, total& sum) {
  while (true) {
    const int item = co_await c.get();
    sum.fetch_add(item);
  }
}

// 1: served against cancelled.
TEST(ChannelThreads, an_item_that_meets_a_cancellation_is_delivered_or_stays) {
  constexpr int items = 3000;
  const channel<int> c(1);
  total got{0};
  std::thread producer([=] {
    for (int i = 1; i <= items; ++i) c.put_blocking(i);
    c.shutdown();
  });
  run([&]() -> coroutine<> {
    bool over = false;
    while (!over) {
      const task<> first = create_task(get_for_ever(c, got));
      const task<> second = create_task(get_for_ever(c, got));
      co_await sleep(0s);
      first.cancel();
      co_await sleep(0s);
      second.cancel();
      const std::string a = co_await ending(first);
      const std::string b = co_await ending(second);
      over = a == "queue_shut_down" || b == "queue_shut_down";
    }
  });
  producer.join();
  EXPECT_EQ(got.load(), std::int64_t{items} * (items + 1) / 2);
}

// 2: served against the end of the waiter's loop.
TEST(ChannelThreads, a_loop_that_closes_while_its_tasks_wait_loses_nothing) {
  const channel<int> c(1);
  total got{0}, put{0};
  std::atomic<bool> stop{false};
  std::thread producer([&] {
    for (int i = 1; !stop; ++i) {
      try {
        c.put_blocking(i, 5ms);
        put.fetch_add(i);
      } catch (const timeout_error&) {}  // no loop runs
    }
  });
  for (int round = 0; round < 300; ++round)
    run([&]() -> coroutine<> {
      for (int i = 0; i < 3; ++i) (void)create_task(get_for_ever(c, got));
      for (int i = 0; i < round % 4; ++i) co_await sleep(0s);
    });
  stop = true;
  producer.join();
  while (const std::optional<int> left = c.try_get()) got.fetch_add(*left);
  EXPECT_EQ(got.load(), put.load());
}

// 2, from the other side: who puts.
TEST(ChannelThreads, a_loop_that_closes_while_its_tasks_put_doubles_nothing) {
  const channel<int> c(1);
  total got{0}, put{0};
  std::thread consumer([&] {
    while (const std::optional<int> item = c.next_blocking()) got.fetch_add(*item);
  });
  const auto puts = [&](int item) -> coroutine<> {
    while (true) {
      co_await c.put(item);
      put.fetch_add(item);
    }
  };
  for (int round = 0; round < 300; ++round)
    run([&]() -> coroutine<> {
      for (int i = 1; i < 4; ++i) (void)create_task(puts(i));
      for (int i = 0; i < round % 4; ++i) co_await sleep(0s);
    });
  c.shutdown();
  consumer.join();
  EXPECT_EQ(got.load(), put.load());
}

// 4: the end is told only when no item is being made any more.
TEST(ChannelThreads, a_shutdown_that_meets_try_put_loses_nothing) {
  for (int round = 0; round < 200; ++round) {
    const channel<std::string> c(2);
    std::atomic<int> put{0}, got{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
      threads.emplace_back([&] {
        while (!c.full() && c.try_put(std::string("an item that is too long for the string itself"))) put.fetch_add(1);
      });
    threads.emplace_back([&] {
      while (c.next_blocking()) got.fetch_add(1);
    });
    threads.emplace_back([&] { c.shutdown(); });
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(got.load(), put.load());
  }
}

// 5: the last handle goes in one thread while a task of another waits.
TEST(ChannelThreads, the_last_handle_may_go_anywhere) {
  for (int round = 0; round < 100; ++round) {
    std::string end;
    std::optional<channel<int>> c(std::in_place, 1);
    std::atomic<bool> waits{false};
    std::thread other([&] {
      while (!waits) std::this_thread::yield();
      c.reset();
    });
    run([&]() -> coroutine<> {
      auto get = c->get();
      waits = true;
      end = co_await ending(std::move(get));
    });
    other.join();
    EXPECT_EQ(end, "queue_shut_down");
  }
}

// 6: a thread's timeout against being served.
TEST(ChannelThreads, a_timeout_that_meets_an_item_loses_and_doubles_nothing) {
  constexpr int items = 2000;
  const channel<int> c(1);
  total got{0}, put{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      while (true) {
        try {
          const std::optional<int> item = c.next_blocking(20us);
          if (!item) return;
          got.fetch_add(*item);
        } catch (const timeout_error&) {}
      }
    });
  for (int i = 1; i <= items; ++i) {
    try {
      c.put_blocking(i, 20us);
      put.fetch_add(i);
    } catch (const timeout_error&) {}
  }
  c.shutdown();
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(got.load(), put.load());
  EXPECT_GT(put.load(), 0);
}

// ---- everything at once, in eight threads

struct stress {
  channel<int> c{5};
  total put{0}, got{0};
  std::atomic<int> producers{0};
};

coroutine<> produce(stress& s, int items, unsigned seed) {
  std::minstd_rand random(seed);
  for (int i = 0; i < items; ++i) {
    const int item = static_cast<int>(random() % 1000);
    co_await s.c.put(item);
    s.put.fetch_add(item);
    if (random() % 8 == 0) co_await sleep(0s);
  }
}

/// Runs `make()` again and again until it comes to its end, and cancels it at random moments in between.
template <class Make>
coroutine<> harass(Make make, unsigned seed) {
  std::minstd_rand random(seed);
  std::string end;
  while (end != "done" && end != "queue_shut_down") {
    const task<> victim = create_task(make());
    for (unsigned turns = random() % 40; turns > 0 && !victim.done(); --turns) co_await sleep(0s);
    if (random() % 2 == 0) victim.cancel();
    end = co_await ending(victim);
  }
}

coroutine<> produce_under_fire(stress& s, unsigned seed) {
  const auto some = [&s, seed]() -> coroutine<> { return produce(s, 40, seed); };
  for (unsigned i = 0; i < 5; ++i) co_await harass(some, seed + i);
  if (s.producers.fetch_sub(1) == 1) s.c.shutdown();
}

coroutine<> consume_under_fire(stress& s, unsigned seed) {
  const auto gets = [&s]() -> coroutine<> { return get_for_ever(s.c, s.got); };
  co_await harass(gets, seed);
}

TEST(ChannelThreads, sums_match_after_a_storm_of_cancellations_in_eight_threads) {
  stress s;
  loop_group group(8);
  constexpr unsigned producers = 16, consumers = 16;
  s.producers = producers;
  std::vector<concurrent_future<>> all;
  for (unsigned i = 0; i < producers; ++i) all.push_back(group.submit(produce_under_fire, std::ref(s), 100 + i));
  for (unsigned i = 0; i < consumers; ++i) all.push_back(group.submit(consume_under_fire, std::ref(s), 900 + i));
  for (const auto& f : all) f.result();
  group.shutdown();
  EXPECT_EQ(s.c.qsize(), 0u);
  EXPECT_EQ(s.got.load(), s.put.load());
  EXPECT_GT(s.put.load(), 0);
}

}  // namespace
}  // namespace asyncio::spec
