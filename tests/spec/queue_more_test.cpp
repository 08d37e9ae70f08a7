// SPDX-License-Identifier: BSL-1.0
// queue, priority_queue and lifo_queue: what all three promise alike.
#include "spec/spec.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace asyncio::spec {
namespace {

template <class Queue>
class EveryQueue : public ::testing::Test {};
using kinds = ::testing::Types<queue<int>, priority_queue<int>, lifo_queue<int>>;
TYPED_TEST_SUITE(EveryQueue, kinds, );

// S155
TYPED_TEST(EveryQueue, join_waits_for_as_many_task_dones_as_there_were_puts) {
  testing::run([]() -> coroutine<> {
    TypeParam q;
    const stopwatch watch;
    EXPECT_EQ(thrown_by([&] { q.task_done(); }), "invalid_argument");
    co_await q.join();
    for (int i = 0; i < 100; ++i) q.put_nowait(i);
    int sum = 0;
    const auto worker = [&]() -> coroutine<> {
      while (auto item = co_await q.next()) {
        sum += *item;
        co_await sleep(10ms);
        q.task_done();
      }
    };
    task<> a = create_task(worker), b = create_task(worker);
    co_await q.join();
    EXPECT_EQ(sum, 99 * 100 / 2);
    EXPECT_EQ(watch.ms(), 500);
    EXPECT_EQ(thrown_by([&] { q.task_done(); }), "invalid_argument");
    q.shutdown();
    co_await gather(a, b);
    co_await q.join();
  });
}

// S156
TYPED_TEST(EveryQueue, a_shutdown_lets_the_rest_be_got_and_join_wait_for_it) {
  testing::run([]() -> coroutine<> {
    TypeParam q(3);
    for (int i = 1; i <= 3; ++i) q.put_nowait(i);
    task<> blocked = create_task(q.put(4));
    task<> joins = create_task(q.join());
    co_await settle();
    q.shutdown();
    co_await settle();
    EXPECT_EQ(name_of(blocked.exception()), "queue_shut_down");
    EXPECT_FALSE(joins.done());
    EXPECT_EQ(q.qsize(), 3u);
    int sum = 0;
    for (int i = 0; i < 3; ++i) {
      sum += co_await q.get();
      EXPECT_FALSE(joins.done());
      q.task_done();
    }
    EXPECT_EQ(sum, 6);
    co_await joins;
    const std::string get = co_await ending(q.get());
    const std::string put = co_await ending(q.put(5));
    EXPECT_EQ(get, "queue_shut_down");
    EXPECT_EQ(put, "queue_shut_down");
    EXPECT_EQ(thrown_by([&] { (void)q.get_nowait(); }), "queue_shut_down");
    EXPECT_EQ(thrown_by([&] { q.put_nowait(6); }), "queue_shut_down");
    EXPECT_EQ(thrown_by([&] { q.task_done(); }), "invalid_argument") << "what was refused does not count";
  });
}

// S157
TYPED_TEST(EveryQueue, an_immediate_shutdown_wakes_who_puts_who_gets_and_who_joins) {
  testing::run([]() -> coroutine<> {
    TypeParam full(1), empty;
    full.put_nowait(1);
    task<> puts = create_task(full.put(2)), puts_too = create_task(full.put(3)), joins = create_task(full.join());
    task<int> gets = create_task(empty.get()), gets_too = create_task(empty.get());
    co_await settle();
    full.shutdown(true);
    empty.shutdown(true);
    co_await settle();
    EXPECT_EQ(name_of(puts.exception()), "queue_shut_down");
    EXPECT_EQ(name_of(puts_too.exception()), "queue_shut_down");
    EXPECT_TRUE(joins.done());
    EXPECT_EQ(name_of(gets.exception()), "queue_shut_down");
    EXPECT_EQ(name_of(gets_too.exception()), "queue_shut_down");
    EXPECT_TRUE(full.empty());
    const std::string get = co_await ending(full.get());
    EXPECT_EQ(get, "queue_shut_down");
  });
}

// S157: what was taken before counts still.
TYPED_TEST(EveryQueue, an_immediate_shutdown_counts_only_what_it_throws_away) {
  testing::run([]() -> coroutine<> {
    TypeParam q;
    for (int i = 0; i < 5; ++i) q.put_nowait(i);
    (void)co_await q.get();
    (void)co_await q.get();
    task<> joins = create_task(q.join());
    co_await settle();
    q.shutdown(true);
    for (int i = 0; i < 2; ++i) {
      co_await settle();
      EXPECT_FALSE(joins.done());
      q.task_done();
    }
    co_await joins;
    EXPECT_EQ(thrown_by([&] { q.task_done(); }), "invalid_argument");
  });
}

// S156, S157
TYPED_TEST(EveryQueue, a_queue_that_is_shut_down_can_be_shut_down_at_once_later) {
  testing::run([]() -> coroutine<> {
    TypeParam q;
    for (int i = 0; i < 5; ++i) q.put_nowait(i);
    q.shutdown();
    q.shutdown();
    (void)co_await q.get();
    q.task_done();
    q.shutdown(true);
    q.shutdown(true);
    q.shutdown();
    const std::string get = co_await ending(q.get());
    EXPECT_EQ(get, "queue_shut_down");
    co_await q.join();
  });
}

// S156: the item came before the shutdown, and the getter was called for it.
TYPED_TEST(EveryQueue, a_getter_that_was_called_before_the_shutdown_gets_its_item_unless_it_is_immediate) {
  testing::run([]() -> coroutine<> {
    for (const bool immediate : {false, true}) {
      TypeParam q;
      task<int> gets = create_task(q.get());
      co_await sleep(0s);
      q.put_nowait(7);
      q.shutdown(immediate);
      const std::string end = co_await ending(gets);
      EXPECT_EQ(end, immediate ? "queue_shut_down" : "7");
    }
  });
}

// S156: the place came before the shutdown, but nothing may be put any more.
TYPED_TEST(EveryQueue, a_putter_that_was_called_before_the_shutdown_is_refused) {
  testing::run([]() -> coroutine<> {
    TypeParam q(1);
    q.put_nowait(1);
    task<> puts = create_task(q.put(2));
    co_await sleep(0s);
    EXPECT_EQ(q.get_nowait(), 1);
    q.shutdown();
    const std::string end = co_await ending(puts);
    EXPECT_EQ(end, "queue_shut_down");
    EXPECT_TRUE(q.empty());
  });
}

// S156, S153
TYPED_TEST(EveryQueue, a_getter_cancelled_in_the_turn_of_the_shutdown_takes_nothing_along) {
  testing::run([]() -> coroutine<> {
    TypeParam q;
    task<int> cancelled = create_task(q.get()), other = create_task(q.get());
    co_await sleep(0s);
    q.put_nowait(1);
    q.shutdown();
    cancelled.cancel();
    const std::string end = co_await ending(other);
    EXPECT_EQ(end, "1");
    EXPECT_TRUE(cancelled.cancelled());
  });
}

// S152
TYPED_TEST(EveryQueue, a_producer_and_a_consumer_through_one_place_both_end) {
  testing::run([]() -> coroutine<> {
    TypeParam q(1);
    std::vector<int> got;
    const auto body = [&](task_group& group) {
      group.create_task([&]() -> coroutine<> {
        for (int i = 0; i < 5; ++i) co_await q.put(i);
      });
      group.create_task([&]() -> coroutine<> {
        for (int i = 0; i < 5; ++i) got.push_back(co_await q.get());
      });
    };
    const std::string end = co_await ending(wait_for(async_with(task_group(), body), 1h));
    EXPECT_EQ(end, "done");
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4}));
  });
}

// S152: places that become free together reach as many who wait, though nobody gets anything meanwhile.
TYPED_TEST(EveryQueue, places_that_become_free_at_once_are_all_taken) {
  testing::run([]() -> coroutine<> {
    TypeParam q(2);
    std::vector<task<>> putters;
    for (int i = 0; i < 6; ++i) putters.push_back(create_task(q.put(i)));
    for (std::size_t round = 1; round <= 3; ++round) {
      co_await settle();
      std::size_t done = 0;
      for (const task<>& t : putters) done += t.done() ? 1 : 0;
      EXPECT_EQ(done, 2 * round);
      EXPECT_TRUE(q.full());
      for (int i = 0; i < 2; ++i) (void)q.get_nowait();
    }
    EXPECT_TRUE(q.empty());
  });
}

// S153
TYPED_TEST(EveryQueue, items_for_several_getters_of_which_one_is_cancelled_reach_the_others) {
  testing::run([]() -> coroutine<> {
    TypeParam q;
    task<int> a = create_task(q.get()), b = create_task(q.get()), c = create_task(q.get());
    co_await sleep(0s);
    q.put_nowait(1);
    q.put_nowait(2);
    a.cancel();
    const std::string end = co_await ending(a);
    EXPECT_EQ(end, "cancelled_error");
    const auto [x, y] = co_await gather(b, c);
    EXPECT_EQ(x + y, 3);
    EXPECT_TRUE(q.empty());
  });
}

// S153
TYPED_TEST(EveryQueue, a_put_that_was_cancelled_with_a_place_before_it_can_be_made_again) {
  testing::run([]() -> coroutine<> {
    TypeParam q(1);
    q.put_nowait(1);
    task<> puts = create_task(q.put(2));
    co_await sleep(0s);
    EXPECT_EQ(q.get_nowait(), 1);
    puts.cancel();
    const std::string end = co_await ending(puts);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(q.empty());
    co_await q.put(2);
    EXPECT_EQ(q.get_nowait(), 2);
    EXPECT_EQ(q.qsize(), 0u);
  });
}

// S151
TYPED_TEST(EveryQueue, is_empty_full_and_as_long_as_it_says) {
  TypeParam q(2);
  EXPECT_EQ(q.maxsize(), 2u);
  EXPECT_TRUE(q.empty());
  q.put_nowait(1);
  EXPECT_FALSE(q.empty() || q.full());
  q.put_nowait(2);
  EXPECT_TRUE(q.full());
  EXPECT_EQ(q.qsize(), 2u);
  EXPECT_EQ(thrown_by([&] { q.put_nowait(3); }), "queue_full");
  (void)q.get_nowait();
  (void)q.get_nowait();
  EXPECT_EQ(thrown_by([&] { (void)q.get_nowait(); }), "queue_empty");
}

// S158: whatever comes and goes in between.
TEST(PriorityQueue, gives_the_smallest_of_those_there_at_each_moment) {
  testing::run([]() -> coroutine<> {
    priority_queue<int> q;
    std::vector<int> there;
    std::uint32_t state = 1;
    for (int step = 0; step < 2000; ++step) {
      state = state * 1664525u + 1013904223u;
      if (there.empty() || (state >> 16) % 3 != 0) {
        const int item = static_cast<int>((state >> 8) % 50);
        co_await q.put(item);
        there.push_back(item);
        continue;
      }
      const int got = co_await q.get();
      const auto smallest = std::min_element(there.begin(), there.end());
      EXPECT_EQ(got, *smallest);
      there.erase(smallest);
    }
    EXPECT_EQ(q.qsize(), there.size());
  });
}

}  // namespace
}  // namespace asyncio::spec
