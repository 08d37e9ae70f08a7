// SPDX-License-Identifier: BSL-1.0
// event, condition, barrier.
#include "spec/spec.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace asyncio::spec {
namespace {

// S140
TEST(Event, set_wakes_everybody_who_waits_in_order_even_if_clear_follows) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    event e;
    const auto wait = [&](std::string name) -> coroutine<> {
      co_await e.wait();
      happened(name);
    };
    for (const char* name : {"a", "b", "c"}) create_task(wait, name);
    co_await sleep(0s);
    e.set();
    e.clear();
    EXPECT_FALSE(e.is_set());
    create_task(wait, "too late");
    co_await settle();
    happened("set again");
    e.set();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "c", "set again", "too late"}));
}

template <class Wait>
coroutine<> log_end(journal* happened, Wait wait) {
  const std::string end = co_await ending(std::move(wait));
  (*happened)(end);
}

TEST(Event, lock_and_queue_that_die_end_the_waits_for_them) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    auto e = std::make_unique<event>();
    auto l = std::make_unique<lock>();
    auto q = std::make_unique<queue<int>>();
    co_await l->acquire();
    const task<> a = create_task(log_end(&happened, e->wait()));
    const task<> b = create_task(log_end(&happened, l->acquire()));
    const task<> c = create_task(log_end(&happened, q->get()));
    co_await sleep(1s);
    l->release();  // b is called, and has not gone on yet
    e.reset();
    l.reset();
    q.reset();
    co_await gather(a, b, c);
  });
  const std::string gone = "runtime_error(the lock, event or queue was destroyed while this task waited for it)";
  EXPECT_EQ(happened.seen(), (lines{gone, gone, gone}));
}

// S140
TEST(Event, waiting_for_one_that_is_set_does_not_suspend) {
  bool other_ran = false;
  testing::run([&]() -> coroutine<> {
    get_running_loop().call_soon([&] { other_ran = true; });
    event e;
    e.set();
    e.set();
    EXPECT_TRUE(e.is_set());
    co_await e.wait();
    co_await e.wait();
    EXPECT_FALSE(other_ran);
  });
}

TEST(Event, a_cancelled_waiter_is_not_woken_and_holds_nobody_up) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    event e;
    const auto wait = [&](std::string name) -> coroutine<> {
      const std::string end = co_await ending(e.wait());
      happened(name + " " + end);
    };
    task<> a = create_task(wait, "a");
    create_task(wait, "b");
    co_await sleep(0s);
    a.cancel();
    e.set();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"a cancelled_error", "b done"}));
}

// S144
TEST(Condition, notify_wakes_so_many_in_order) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    condition c;
    const auto wait = [&](std::string name) -> coroutine<> {
      auto guard = co_await c.scoped();
      co_await c.wait();
      EXPECT_TRUE(c.locked());
      happened(name);
    };
    for (const char* name : {"a", "b", "c", "d", "e"}) create_task(wait, name);
    co_await settle();
    const auto notify = [&](std::size_t n) -> coroutine<> {
      auto guard = co_await c.scoped();
      c.notify(n);
      EXPECT_TRUE(c.locked());
    };
    co_await notify(1);
    co_await settle();
    happened("two more");
    co_await notify(2);
    co_await settle();
    happened("none");
    co_await notify(0);
    co_await settle();
    happened("all");
    co_await c.acquire();
    c.notify_all();
    c.release();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "two more", "b", "c", "none", "all", "d", "e"}));
}

TEST(Condition, notify_without_anybody_waiting_is_forgotten) {
  testing::run([]() -> coroutine<> {
    condition c;
    co_await c.acquire();
    c.notify(5);
    const std::string end = co_await ending(wait_for(c.wait(), 1s));
    EXPECT_EQ(end, "timeout_error");
    EXPECT_TRUE(c.locked());
    c.release();
  });
}

// S143
TEST(Condition, needs_the_lock) {
  testing::run([]() -> coroutine<> {
    condition c;
    EXPECT_TRUE(contains(thrown_by([&] { c.notify(); }), "the lock is not acquired"));
    EXPECT_TRUE(contains(thrown_by([&] { c.notify_all(); }), "the lock is not acquired"));
    const std::string waiting = co_await ending(c.wait());
    EXPECT_TRUE(contains(waiting, "the lock is not acquired")) << waiting;
    const std::string predicate = co_await ending(c.wait_for([] { return false; }));
    EXPECT_TRUE(contains(predicate, "the lock is not acquired")) << predicate;
    EXPECT_FALSE(c.locked());
  });
}

// S141
TEST(Condition, waiting_releases_the_lock_and_takes_it_again_before_it_returns) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    condition c;
    const auto wait = [&]() -> coroutine<> {
      auto guard = co_await c.scoped();
      happened("waits");
      co_await c.wait();
      happened("notified");
    };
    task<> t = create_task(wait);
    co_await settle();
    EXPECT_FALSE(c.locked());
    co_await c.acquire();
    c.notify();
    co_await settle();
    happened("still locked");
    c.release();
    co_await t;
    EXPECT_FALSE(c.locked());
  });
  EXPECT_EQ(happened.seen(), (lines{"waits", "still locked", "notified"}));
}

// S141
TEST(Condition, a_cancelled_wait_takes_the_lock_again_however_long_it_takes) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    condition c;
    const auto wait = [&]() -> coroutine<> {
      auto guard = co_await c.scoped();
      const std::string end = co_await ending(c.wait());
      EXPECT_TRUE(c.locked());
      happened(watch.at(end));
    };
    task<> t = create_task(wait);
    co_await settle();
    co_await c.acquire();
    t.cancel("first");
    co_await sleep(1s);
    t.cancel("second");
    co_await sleep(1s);
    t.cancel("third");
    co_await sleep(1s);
    EXPECT_FALSE(t.done());
    c.release();
    co_await t;
    EXPECT_FALSE(c.locked());
    EXPECT_EQ(t.cancelling(), 3);
  });
  EXPECT_EQ(happened.seen(), (lines{"3000 cancelled_error(third)"}));
}

// S142
TEST(Condition, a_notification_that_reached_a_cancelled_waiter_goes_on_to_another) {
  for (const int turns : {0, 1, 2, 3}) {
    journal happened;
    testing::run([&]() -> coroutine<> {
      condition c;
      const auto wait = [&](std::string name) -> coroutine<> {
        auto guard = co_await c.scoped();
        const std::string end = co_await ending(c.wait());
        happened(name + " " + end);
        if (end != "done") throw cancelled_error();
      };
      task<> a = create_task(wait, "a");
      task<> b = create_task(wait, "b");
      co_await settle();
      co_await c.acquire();
      c.notify(1);
      for (int i = 0; i < turns; ++i) co_await sleep(0s);  // a is on its way to the lock, further and further
      a.cancel();
      c.release();
      co_await settle();
      EXPECT_TRUE(a.done());
      EXPECT_TRUE(b.done()) << "cancelled after " << turns << " turns";
      EXPECT_FALSE(c.locked());
      b.cancel();
      co_await settle();
    });
    EXPECT_EQ(happened.seen(), (lines{"a cancelled_error", "b done"})) << "cancelled after " << turns << " turns";
  }
}

// S141, S142: notified, then cancelled while somebody else holds the lock.
TEST(Condition, a_wait_that_is_cancelled_on_its_way_to_the_lock_holds_it_when_it_ends) {
  testing::run([]() -> coroutine<> {
    condition c;
    co_await c.acquire();
    task<> waits = create_task(c.wait());
    co_await sleep(0s);
    EXPECT_FALSE(c.locked());
    co_await c.acquire();
    c.notify();
    get_running_loop().call_soon([waits] { waits.cancel(); });
    get_running_loop().call_soon([&] { c.release(); });
    const std::string end = co_await ending(waits);
    EXPECT_TRUE(end == "done" || end == "cancelled_error") << end;
    EXPECT_TRUE(c.locked());
    c.release();
  });
}

// S142: a notified waiter gives up while it queues for the lock: the other one is woken instead, whoever gets there.
TEST(Condition, a_notification_outlives_the_waiter_that_gives_up_in_the_queue_for_the_lock) {
  for (int turns = 0; turns < 6; ++turns) {
    testing::run([turns]() -> coroutine<> {
      condition c;
      bool item = false;
      int got = 0;
      const auto consume = [&]() -> coroutine<> {
        auto guard = co_await c.scoped();
        while (!item) co_await c.wait();
        item = false;
        ++got;
      };
      task<> a = create_task(consume), b = create_task(consume);
      co_await settle();
      {
        auto guard = co_await c.scoped();
        item = true;
        c.notify();
        for (int i = 0; i < turns; ++i) co_await sleep(0s);
        a.cancel();
      }
      co_await settle();
      EXPECT_EQ(got, 1) << "cancelled after " << turns << " turns";
      EXPECT_TRUE(a.done());
      EXPECT_NE(a.cancelled(), !b.done()) << "one of them has it";
      b.cancel();
    });
  }
}

TEST(Condition, one_that_dies_ends_the_waits_for_it_and_a_lock_of_the_callers_is_held_again) {
  const std::string gone = "runtime_error(the lock, event or queue was destroyed while this task waited for it)";
  journal happened;
  testing::run([&]() -> coroutine<> {
    lock l;
    auto own = std::make_unique<condition>();
    auto shared = std::make_unique<condition>(l);
    const auto waits_for_own = [&]() -> coroutine<> {
      co_await own->acquire();
      const std::string end = co_await ending(own->wait());
      happened(end);
    };
    const auto waits_for_shared = [&]() -> coroutine<> {
      auto guard = co_await l.scoped();
      const std::string end = co_await ending(shared->wait());
      happened(end + (l.locked() ? ", locked" : ", free"));
    };
    task<> a = create_task(waits_for_own), b = create_task(waits_for_own);
    task<> c = create_task(waits_for_shared), d = create_task(waits_for_shared);
    co_await settle();
    co_await own->acquire();
    own->notify();  // one of them is on its way to the lock
    co_await settle();
    own.reset();
    shared.reset();
    co_await gather(a, b, c, d);
    EXPECT_FALSE(l.locked());
  });
  std::vector<std::string> seen = happened.seen();
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, (lines{gone, gone, gone + ", locked", gone + ", locked"}));
}

// S142
TEST(Condition, wait_for_looks_again_after_each_notification) {
  testing::run([]() -> coroutine<> {
    condition c;
    int n = 0, looks = 0;
    const auto wait = [&]() -> coroutine<> {
      auto guard = co_await c.scoped();
      co_await c.wait_for([&] {
        ++looks;
        return n >= 3;
      });
      EXPECT_EQ(n, 3);
    };
    task<> t = create_task(wait);
    while (!t.done()) {
      co_await sleep(1s);
      co_await c.acquire();
      ++n;
      c.notify_all();
      c.release();
      co_await settle();
    }
    EXPECT_EQ(looks, 4);
    auto guard = co_await c.scoped();
    co_await c.wait_for([] { return true; });
  });
}

// S144
TEST(Condition, a_cancelled_wait_that_was_not_notified_wakes_nobody) {
  testing::run([]() -> coroutine<> {
    condition changed;
    const auto wait = [&]() -> coroutine<> {
      auto guard = co_await changed.scoped();
      co_await changed.wait();
    };
    task<> cancelled = create_task(wait);
    task<> other = create_task(wait);
    co_await settle();
    cancelled.cancel();
    co_await settle();
    EXPECT_TRUE(cancelled.cancelled());
    EXPECT_FALSE(other.done());
    other.cancel();
    co_await settle();
  });
}

TEST(Condition, a_timeout_around_a_wait_inside_the_lock_is_safe) {
  testing::run([]() -> coroutine<> {
    condition c;
    const auto inside = [&]() -> coroutine<std::string> {
      auto guard = co_await c.scoped();
      std::string end = co_await ending(wait_for(c.wait(), 1s));
      EXPECT_TRUE(c.locked());
      co_return end;
    };
    const std::string end = co_await inside();
    EXPECT_EQ(end, "timeout_error");
    EXPECT_FALSE(c.locked());
  });
}

TEST(Condition, two_may_share_a_lock) {
  testing::run([]() -> coroutine<> {
    lock l;
    condition not_empty(l), not_full(l);
    std::vector<int> box;
    const auto producer = [&]() -> coroutine<> {
      for (int i = 0; i < 10; ++i) {
        auto guard = co_await l.scoped();
        co_await not_full.wait_for([&] { return box.size() < 2; });
        box.push_back(i);
        not_empty.notify();
      }
    };
    std::vector<int> got;
    const auto consumer = [&]() -> coroutine<> {
      while (got.size() < 10) {
        auto guard = co_await l.scoped();
        co_await not_empty.wait_for([&] { return !box.empty(); });
        got.push_back(box.front());
        box.erase(box.begin());
        not_full.notify();
      }
    };
    co_await gather(producer(), consumer());
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_FALSE(l.locked());
  });
}

// S148
TEST(Barrier, the_last_to_arrive_lets_all_go_and_indices_are_unique) {
  testing::run([]() -> coroutine<> {
    barrier b(3);
    EXPECT_EQ(b.parties(), 3u);
    std::multiset<std::size_t> indices;
    const auto arrive = [&]() -> coroutine<> {
      const std::size_t index = co_await b.wait();
      indices.insert(index);
    };
    task<> first = create_task(arrive);
    task<> second = create_task(arrive);
    co_await sleep(1s);
    EXPECT_EQ(b.n_waiting(), 2u);
    EXPECT_TRUE(indices.empty());
    co_await arrive();
    co_await gather(first, second);
    EXPECT_EQ(indices, (std::multiset<std::size_t>{0, 1, 2}));
    EXPECT_EQ(b.n_waiting(), 0u);
    EXPECT_FALSE(b.broken());
  });
}

// S148
TEST(Barrier, is_cyclic_and_who_comes_while_it_drains_belongs_to_the_next_round) {
  testing::run([]() -> coroutine<> {
    barrier b(2);
    std::vector<int> rounds(4, 0);
    const auto loop = [&](std::size_t who) -> coroutine<> {
      for (int round = 0; round < 5; ++round) {
        (void)co_await b.wait();
        ++rounds[who];
        for (const int other : rounds) EXPECT_LE(other, 5);
      }
    };
    co_await gather(loop(0), loop(1), loop(2), loop(3));
    EXPECT_EQ(rounds, (std::vector<int>{5, 5, 5, 5}));
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

TEST(Barrier, of_one_never_waits) {
  testing::run([]() -> coroutine<> {
    barrier b(1);
    const stopwatch watch;
    for (int i = 0; i < 3; ++i) {
      const std::size_t index = co_await b.wait();
      EXPECT_EQ(index, 0u);
    }
    EXPECT_EQ(watch.ms(), 0);
  });
  EXPECT_EQ(thrown_by([] { barrier none(0); }), "invalid_argument");
}

// S149
TEST(Barrier, cancelling_one_who_waits_removes_it_and_breaks_nothing) {
  testing::run([]() -> coroutine<> {
    barrier b(3);
    task<std::size_t> a = create_task(b.wait());
    task<std::size_t> cancelled = create_task(b.wait());
    co_await sleep(1s);
    cancelled.cancel();
    co_await settle();
    EXPECT_TRUE(cancelled.cancelled());
    EXPECT_EQ(b.n_waiting(), 1u);
    EXPECT_FALSE(b.broken());
    const auto [x, y, z] = co_await gather(a, b.wait(), b.wait());
    EXPECT_EQ(x + y + z, 3u);
  });
}

// S149
TEST(Barrier, reset_breaks_who_waits_and_it_is_as_new) {
  testing::run([]() -> coroutine<> {
    barrier b(3);
    const auto arrive = [&]() -> coroutine<std::string> {
      std::string end = co_await ending(b.wait());
      co_return end;
    };
    task<std::string> x = create_task(arrive), y = create_task(arrive);
    co_await sleep(1s);
    co_await b.reset();
    const std::string first = co_await x;
    const std::string second = co_await y;
    EXPECT_EQ(first, "broken_barrier_error");
    EXPECT_EQ(second, "broken_barrier_error");
    EXPECT_FALSE(b.broken());
    EXPECT_EQ(b.n_waiting(), 0u);
    co_await gather(b.wait(), b.wait(), b.wait());
    co_await b.reset();
    co_await gather(b.wait(), b.wait(), b.wait());
  });
}

// S149
TEST(Barrier, abort_breaks_it_until_it_is_reset) {
  testing::run([]() -> coroutine<> {
    barrier b(2);
    task<std::size_t> waiting = create_task(b.wait());
    co_await sleep(1s);
    co_await b.abort();
    const std::string first = co_await ending(waiting);
    EXPECT_EQ(first, "broken_barrier_error");
    EXPECT_TRUE(b.broken());
    const std::string later = co_await ending(b.wait());
    EXPECT_EQ(later, "broken_barrier_error");
    co_await b.reset();
    EXPECT_FALSE(b.broken());
    co_await gather(b.wait(), b.wait());
  });
}

TEST(Barrier, is_a_context_manager) {
  testing::run([]() -> coroutine<> {
    barrier b(2);
    const auto arrive = [&]() -> coroutine<std::size_t> {
      const std::size_t index = co_await async_with(b, [](std::size_t i) { return i; });
      co_return index;
    };
    const auto [x, y] = co_await gather(arrive(), arrive());
    EXPECT_EQ(x + y, 1u);
  });
}

TEST(Lock, a_guard_that_goes_after_a_release_by_hand_is_reported) {
  testing::run([]() -> coroutine<> {
    lines reported;
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& context) { reported.push_back(name_of(context.exception)); });
    lock l;
    {
      auto guard = co_await l.scoped();
      l.release();
    }
    EXPECT_EQ(reported, (lines{"runtime_error(the lock is not acquired)"}));
    EXPECT_FALSE(l.locked());
  });
}

}  // namespace
}  // namespace asyncio::spec
