// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace asyncio::spec {
namespace {

// S151
TEST(Queue, zero_means_unbounded) {
  testing::run([]() -> coroutine<> {
    queue<int> q;
    EXPECT_EQ(q.maxsize(), 0u);
    EXPECT_TRUE(q.empty());
    EXPECT_FALSE(q.full());
    for (int i = 0; i < 1000; ++i) co_await q.put(i);
    EXPECT_EQ(q.qsize(), 1000u);
    EXPECT_FALSE(q.full());
    for (int i = 0; i < 1000; ++i) {
      const int n = co_await q.get();
      EXPECT_EQ(n, i);
    }
    EXPECT_TRUE(q.empty());
  });
}

// S151
TEST(Queue, put_waits_only_when_full_and_get_only_when_empty) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    queue<int> q(2);
    const auto producer = [&]() -> coroutine<> {
      for (int i = 0; i < 4; ++i) {
        co_await q.put(i);
        happened(watch.at("put " + std::to_string(i)));
      }
    };
    task<> t = create_task(producer);
    co_await sleep(1s);
    EXPECT_TRUE(q.full());
    for (int i = 0; i < 4; ++i) {
      const int n = co_await q.get();
      happened(watch.at("got " + std::to_string(n)));
      co_await sleep(1s);
    }
    co_await t;
  });
  EXPECT_EQ(happened.seen(), (lines{"0 put 0", "0 put 1", "1000 got 0", "1000 put 2", "2000 got 1", "2000 put 3",
                                    "3000 got 2", "4000 got 3"}));
}

// S151
TEST(Queue, nowait_forms_throw_and_try_forms_answer) {
  queue<int> q(1);
  EXPECT_EQ(thrown_by([&] { (void)q.get_nowait(); }), "queue_empty");
  EXPECT_EQ(q.try_get(), std::nullopt);
  q.put_nowait(1);
  EXPECT_EQ(thrown_by([&] { q.put_nowait(2); }), "queue_full");
  int three = 3;
  EXPECT_FALSE(q.try_put(three));
  EXPECT_EQ(q.get_nowait(), 1);
  EXPECT_TRUE(q.try_put(three));
  EXPECT_EQ(q.try_get(), 3);
}

TEST(Queue, try_put_moves_from_its_argument_only_when_it_answers_true) {
  queue<std::unique_ptr<int>> q(1);
  auto first = std::make_unique<int>(1), second = std::make_unique<int>(2);
  EXPECT_TRUE(q.try_put(std::move(first)));
  EXPECT_EQ(first, nullptr);
  EXPECT_FALSE(q.try_put(std::move(second)));
  EXPECT_EQ(*second, 2);
}

// S152
TEST(Queue, who_waits_to_get_is_served_first_come_first_served_one_item_each) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<int> q;
    const auto consumer = [&](std::string name) -> coroutine<> {
      const int n = co_await q.get();
      happened(name + std::to_string(n));
    };
    for (const char* name : {"a", "b", "c"}) create_task(consumer, name);
    co_await sleep(0s);
    q.put_nowait(1);
    q.put_nowait(2);
    co_await settle();
    happened("one more");
    q.put_nowait(3);
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"a1", "b2", "one more", "c3"}));
}

// S152
TEST(Queue, who_waits_to_put_is_served_first_come_first_served) {
  testing::run([]() -> coroutine<> {
    queue<int> q(1);
    q.put_nowait(0);
    const auto producer = [&](int n) -> coroutine<> { co_await q.put(n); };
    for (int i = 1; i < 5; ++i) create_task(producer, i);
    co_await sleep(0s);
    std::vector<int> got;
    for (int i = 0; i < 5; ++i) {
      const int n = co_await q.get();
      got.push_back(n);
    }
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4}));
  });
}

// An item may be taken by somebody who comes before the one who was called for it: that one goes on waiting, first.
TEST(Queue, an_item_that_is_snatched_leaves_who_was_called_first_in_line) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<int> q;
    const auto consumer = [&](std::string name) -> coroutine<> {
      const int n = co_await q.get();
      happened(name + std::to_string(n));
    };
    create_task(consumer, "a");
    create_task(consumer, "b");
    co_await sleep(0s);
    q.put_nowait(1);
    const int snatched = q.get_nowait();
    happened("me" + std::to_string(snatched));
    co_await settle();
    q.put_nowait(2);
    q.put_nowait(3);
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"me1", "a2", "b3"}));
}

// S153
TEST(Queue, a_cancelled_get_that_had_been_called_loses_no_item) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<int> q;
    const auto consumer = [&](std::string name) -> coroutine<> {
      const int n = co_await q.get();
      happened(name + std::to_string(n));
    };
    task<> a = create_task(consumer, "a");
    task<> b = create_task(consumer, "b");
    co_await sleep(0s);
    q.put_nowait(1);
    a.cancel();
    co_await settle();
    EXPECT_TRUE(a.cancelled());
    EXPECT_TRUE(b.done());
    task<> c = create_task(consumer, "c");
    co_await sleep(0s);
    q.put_nowait(2);
    c.cancel();
    co_await settle();
    EXPECT_EQ(q.qsize(), 1u);
    EXPECT_EQ(q.get_nowait(), 2);
  });
  EXPECT_EQ(happened.seen(), (lines{"b1"}));
}

// S153
TEST(Queue, a_cancelled_get_that_had_been_called_keeps_its_turn) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<int> q;
    const auto get = [&]() -> coroutine<> {
      const std::string end = co_await ending(q.get());
      happened("get " + end);
    };
    task<> getter = create_task(get);
    co_await sleep(0s);
    q.put_nowait(1);
    get_running_loop().call_soon([&] { happened("queued after it was called"); });
    getter.cancel();
    co_await getter;
  });
  EXPECT_EQ(happened.seen(), (lines{"get cancelled_error", "queued after it was called"}));
}

TEST(Queue, a_cancelled_get_that_had_been_called_calls_the_next_one_when_its_turn_comes) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<int> q;
    const auto get = [&](std::string name) -> coroutine<> {
      const std::string end = co_await ending(q.get());
      happened(name + " " + end);
    };
    task<> first = create_task(get, "first");
    task<> second = create_task(get, "second");
    co_await sleep(0s);
    q.put_nowait(1);
    first.cancel();
    get_running_loop().call_soon([&] { happened("queued after the cancellation"); });
    co_await second;
  });
  EXPECT_EQ(happened.seen(), (lines{"first cancelled_error", "queued after the cancellation", "second 1"}));
}

TEST(Queue, a_cancelled_put_puts_nothing_and_passes_its_place_on) {
  testing::run([]() -> coroutine<> {
    queue<int> q(1);
    q.put_nowait(0);
    const auto producer = [&](int n) -> coroutine<> { co_await q.put(n); };
    task<> a = create_task(producer, 1);
    task<> b = create_task(producer, 2);
    co_await sleep(0s);
    EXPECT_EQ(q.get_nowait(), 0);
    a.cancel();
    co_await settle();
    EXPECT_TRUE(a.cancelled());
    EXPECT_TRUE(b.done());
    EXPECT_EQ(q.get_nowait(), 2);
    EXPECT_TRUE(q.empty());
  });
}

// S153: the item of a cancelled put is destroyed.
TEST(Queue, the_item_of_a_cancelled_put_dies_with_it) {
  testing::run([]() -> coroutine<> {
    queue<std::shared_ptr<int>> q(1);
    auto item = std::make_shared<int>(1);
    q.put_nowait(nullptr);
    const auto producer = [&]() -> coroutine<> { co_await q.put(item); };
    task<> t = create_task(producer);
    co_await sleep(0s);
    EXPECT_EQ(item.use_count(), 2);
    t.cancel();
    co_await settle();
    EXPECT_EQ(item.use_count(), 1);
  });
}

// S154
TEST(Queue, cancelled_waiters_leave_nothing_behind) {
  testing::run([]() -> coroutine<> {
    queue<int> q(1);
    for (int round = 0; round < 100; ++round) {
      task<int> getter = create_task(q.get());
      co_await sleep(0s);
      getter.cancel();
      co_await sleep(0s);
    }
    q.put_nowait(1);
    for (int round = 0; round < 100; ++round) {
      task<> putter = create_task(q.put(2));
      co_await sleep(0s);
      putter.cancel();
      co_await sleep(0s);
    }
    const int n = co_await q.get();
    EXPECT_EQ(n, 1);
    EXPECT_TRUE(q.empty());
    const std::string end = co_await ending(wait_for(q.get(), 1s));
    EXPECT_EQ(end, "timeout_error");
  });
}

// S155
TEST(Queue, join_waits_until_every_item_has_been_dealt_with) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    queue<int> q;
    co_await q.join();
    for (int i = 0; i < 3; ++i) q.put_nowait(i);
    const auto worker = [&]() -> coroutine<> {
      while (auto n = co_await q.next()) {
        co_await sleep(1s);
        q.task_done();
      }
    };
    task<> t = create_task(worker);
    const auto second = [&]() -> coroutine<> {
      co_await q.join();
      happened(watch.at("second joiner"));
    };
    task<> joiner = create_task(second);
    co_await q.join();
    happened(watch.at("joined"));
    co_await joiner;
    EXPECT_EQ(thrown_by([&] { q.task_done(); }), "invalid_argument");
    q.shutdown();
    co_await t;
  });
  EXPECT_EQ(happened.seen(), (lines{"3000 joined", "3000 second joiner"}));
}

// S156
TEST(Queue, after_shutdown_puts_are_refused_and_gets_drain_the_rest) {
  testing::run([]() -> coroutine<> {
    queue<int> q(2);
    q.put_nowait(1);
    q.put_nowait(2);
    task<> blocked = create_task(q.put(3));
    co_await sleep(0s);
    q.shutdown();
    EXPECT_EQ(thrown_by([&] { q.put_nowait(4); }), "queue_shut_down");
    EXPECT_FALSE(q.try_put(5));
    const std::string woken = co_await ending(blocked);
    const std::string refused = co_await ending(q.put(6));
    EXPECT_EQ(woken, "queue_shut_down");
    EXPECT_EQ(refused, "queue_shut_down");
    const int a = co_await q.get();
    EXPECT_EQ(a + q.get_nowait(), 3);
    const std::string drained = co_await ending(q.get());
    EXPECT_EQ(drained, "queue_shut_down");
    EXPECT_EQ(thrown_by([&] { (void)q.get_nowait(); }), "queue_shut_down");
    EXPECT_EQ(q.try_get(), std::nullopt);
    q.shutdown();
  });
}

// S156
TEST(Queue, shutdown_wakes_everybody_who_waits_to_get) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<int> q;
    const auto by_get = [&]() -> coroutine<> {
      const std::string end = co_await ending(q.get());
      happened("get " + end);
    };
    const auto by_next = [&]() -> coroutine<> {
      const std::optional<int> item = co_await q.next();
      happened(item ? "an item" : "next ends");
    };
    create_task(by_get);
    create_task(by_next);
    create_task(by_get);
    co_await sleep(0s);
    q.shutdown();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"get queue_shut_down", "next ends", "get queue_shut_down"}));
}

// S157
TEST(Queue, an_immediate_shutdown_throws_the_items_away_and_join_waits_for_those_taken_already) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    queue<std::shared_ptr<int>> q;
    auto item = std::make_shared<int>(1);
    for (int i = 0; i < 3; ++i) q.put_nowait(item);
    (void)co_await q.get();
    const auto joins = [&]() -> coroutine<> {
      co_await q.join();
      happened("joined");
    };
    task<> joiner = create_task(joins);
    co_await sleep(0s);
    q.shutdown(true);
    EXPECT_EQ(item.use_count(), 1);
    EXPECT_TRUE(q.empty());
    const std::string end = co_await ending(q.get());
    happened(end);
    co_await settle();
    happened("not joined yet");
    q.task_done();
    co_await joiner;
  });
  EXPECT_EQ(happened.seen(), (lines{"queue_shut_down", "not joined yet", "joined"}));
}

// S157
TEST(Queue, an_immediate_shutdown_of_items_nobody_took_ends_join_at_once) {
  testing::run([]() -> coroutine<> {
    queue<int> q;
    q.put_nowait(1);
    task<> joiner = create_task(q.join());
    co_await sleep(0s);
    q.shutdown(true);
    co_await joiner;
  });
}

// S158
TEST(PriorityQueue, gives_the_smallest_first_and_equal_ones_in_order) {
  struct job {
    int urgency;
    std::string name;
    bool operator<(const job& other) const { return urgency < other.urgency; }
  };
  priority_queue<job> q;
  q.put_nowait({3, "last"});
  q.put_nowait({1, "a"});
  q.put_nowait({2, "middle"});
  q.put_nowait({1, "b"});
  q.put_nowait({1, "c"});
  lines order;
  while (auto j = q.try_get()) order.push_back(j->name);
  EXPECT_EQ(order, (lines{"a", "b", "c", "middle", "last"}));
  priority_queue<int, std::greater<int>> greatest_first(2);
  greatest_first.put_nowait(1);
  greatest_first.put_nowait(5);
  EXPECT_TRUE(greatest_first.full());
  EXPECT_EQ(greatest_first.get_nowait(), 5);
}

// S158
TEST(LifoQueue, gives_the_last_one_first) {
  testing::run([]() -> coroutine<> {
    lifo_queue<std::string> q(3);
    co_await q.put("a");
    co_await q.put("b");
    co_await q.put("c");
    EXPECT_TRUE(q.full());
    std::string order;
    while (!q.empty()) {
      const std::string item = co_await q.get();
      order += item;
    }
    EXPECT_EQ(order, "cba");
  });
}

struct parcel {
  std::string to;
  int weight;
};

TEST(Queue, put_builds_the_item_in_place_from_its_arguments) {
  testing::run([]() -> coroutine<> {
    queue<std::pair<std::string, int>> pairs;
    co_await pairs.put("name", 3);
    const auto [name, n] = co_await pairs.get();
    EXPECT_EQ(name, "name");
    EXPECT_EQ(n, 3);
    queue<parcel> parcels;
    co_await parcels.put("far away", 7);
    const parcel p = co_await parcels.get();
    EXPECT_EQ(p.to, "far away");
    EXPECT_EQ(p.weight, 7);
    queue<std::unique_ptr<int>> owned;
    co_await owned.put(std::make_unique<int>(1));
    std::unique_ptr<int> one = co_await owned.get();
    EXPECT_EQ(*one, 1);
  });
}

TEST(Queue, items_that_nobody_took_die_with_it) {
  auto item = std::make_shared<int>(1);
  {
    queue<std::shared_ptr<int>> q;
    for (int i = 0; i < 20; ++i) q.put_nowait(item);
    for (int i = 0; i < 5; ++i) (void)q.get_nowait();
    for (int i = 0; i < 10; ++i) q.put_nowait(item);
    EXPECT_EQ(item.use_count(), 26);
  }
  EXPECT_EQ(item.use_count(), 1);
}

// Many producers and consumers through a narrow queue, with tasks cancelled at random: every item arrives once.
TEST(Queue, items_in_are_items_out_whoever_is_cancelled) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    testing::run([seed]() -> coroutine<> {
      std::uint32_t state = seed * 2654435761u;
      const auto random = [&](std::uint32_t below) {
        state = state * 1664525u + 1013904223u;
        return (state >> 16) % below;
      };
      queue<int> q(2);
      int put = 0, got = 0;
      const auto producer = [&]() -> coroutine<> {
        while (true) {
          co_await q.put(1);
          ++put;
          if (random(3) == 0) co_await sleep(0s);
        }
      };
      const auto consumer = [&]() -> coroutine<> {
        while (true) {
          const int n = co_await q.get();
          got += n;
          if (random(3) == 0) co_await sleep(0s);
        }
      };
      std::vector<task<>> all;
      for (int i = 0; i < 4; ++i) {
        all.push_back(create_task(producer));
        all.push_back(create_task(consumer));
      }
      for (int round = 0; round < 200; ++round) {
        co_await sleep(0s);
        const std::uint32_t victim = random(8);
        all[victim].cancel();
        if (victim % 2 == 0)
          all[victim] = create_task(producer);
        else
          all[victim] = create_task(consumer);
        EXPECT_LE(q.qsize(), 2u);
      }
      for (const task<>& t : all) t.cancel();
      co_await settle();
      EXPECT_EQ(put, got + static_cast<int>(q.qsize())) << "seed " << seed;
      EXPECT_GT(got, 10) << "seed " << seed;
    });
  }
}

/// An item whose copies, which stand in for its moves, fail when they are told to.
struct fragile {
  static inline int good_copies = -1;  // how many succeed still; -1: all
  static inline int alive = 0;
  int value;
  fragile(int v = 0) : value(v) { ++alive; }
  fragile(const fragile& other) : value(other.value) {
    if (good_copies == 0) throw std::runtime_error("copy");
    if (good_copies > 0) --good_copies;
    ++alive;
  }
  fragile& operator=(const fragile& other) {
    fragile copy(other);
    value = copy.value;
    return *this;
  }
  ~fragile() { --alive; }
  friend bool operator<(const fragile& a, const fragile& b) { return a.value < b.value; }
};

/// Has action(queue) fail at each copy that it makes, and succeed at last; after each failure the queue is as before.
template <class Queue, class Action>
int survives_failing(std::vector<int> values, Action action) {
  for (int n = 0;; ++n) {
    {
      Queue q;
      for (const int v : values) q.put_nowait(v);
      fragile::good_copies = n;
      const std::string thrown = thrown_by([&] { action(q); });
      fragile::good_copies = -1;
      if (thrown == "nothing") return n;
      EXPECT_EQ(thrown, "runtime_error(copy)");
      EXPECT_EQ(q.qsize(), values.size()) << "at copy " << n;
      std::vector<int> left;
      while (auto item = q.try_get()) left.push_back(item->value);
      EXPECT_EQ(left, values) << "at copy " << n;
    }
    EXPECT_EQ(fragile::alive, 0) << "at copy " << n;
  }
}

TEST(Queue, an_item_that_cannot_be_copied_in_or_out_changes_nothing) {
  const std::vector<int> full_ring{1, 2, 3, 4, 5, 6, 7, 8};  // the next one makes it grow
  EXPECT_GT(survives_failing<queue<fragile>>(full_ring, [](auto& q) { q.put_nowait(9); }), 8);
  EXPECT_GT(survives_failing<queue<fragile>>(full_ring, [](auto& q) { (void)q.get_nowait(); }), 0);
  EXPECT_GT(survives_failing<lifo_queue<fragile>>({1}, [](auto& q) { (void)q.get_nowait(); }), 0);
}

TEST(PriorityQueue, an_item_that_cannot_be_copied_in_or_out_changes_nothing) {
  const std::vector<int> sorted{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_GT(survives_failing<priority_queue<fragile>>(sorted, [](auto& q) { q.put_nowait(0); }), 0);
  EXPECT_GT(survives_failing<priority_queue<fragile>>(sorted, [](auto& q) { (void)q.get_nowait(); }), 0);
}

TEST(PriorityQueue, a_comparison_that_throws_changes_nothing) {
  static int good_comparisons;
  struct less {
    bool operator()(int a, int b) const {
      if (good_comparisons == 0) throw std::runtime_error("comparison");
      if (good_comparisons > 0) --good_comparisons;
      return a < b;
    }
  };
  for (const bool puts : {true, false}) {
    for (int n = 0;; ++n) {
      good_comparisons = -1;
      priority_queue<int, less> q;
      for (const int v : {5, 3, 8, 1, 7, 2, 6, 4}) q.put_nowait(v);
      good_comparisons = n;
      const std::string thrown = thrown_by([&] { puts ? q.put_nowait(0) : (void)q.get_nowait(); });
      good_comparisons = -1;
      std::vector<int> left;
      while (auto item = q.try_get()) left.push_back(*item);
      if (thrown == "nothing") break;
      EXPECT_EQ(left, (std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8})) << "at comparison " << n;
    }
  }
}

TEST(Queue, a_place_that_a_putter_could_not_use_goes_to_the_next_one) {
  testing::run([]() -> coroutine<> {
    queue<fragile> q(1);
    q.put_nowait(0);
    const auto put = [&q](int v) -> coroutine<> { co_await q.put(v); };
    auto first = create_task(put, 1), second = create_task(put, 2);
    co_await settle();
    (void)q.get_nowait();
    fragile::good_copies = 0;
    co_await sleep(0s);
    fragile::good_copies = -1;
    co_await settle();
    EXPECT_EQ(name_of(first.exception()), "runtime_error(copy)");
    EXPECT_TRUE(second.done());
    EXPECT_EQ(q.get_nowait().value, 2);
  });
}

TEST(Queue, an_item_that_a_getter_could_not_take_goes_to_the_next_one) {
  testing::run([]() -> coroutine<> {
    queue<fragile> q;
    int got = 0;
    const auto get = [&]() -> coroutine<> {
      const fragile item = co_await q.get();
      got = item.value;
    };
    auto first = create_task(get), second = create_task(get);
    co_await settle();
    q.put_nowait(7);
    fragile::good_copies = 0;
    co_await sleep(0s);
    fragile::good_copies = -1;
    co_await settle();
    EXPECT_EQ(name_of(first.exception()), "runtime_error(copy)");
    EXPECT_TRUE(second.done());
    EXPECT_EQ(got, 7);
    second.cancel();
  });
}

}  // namespace
}  // namespace asyncio::spec
