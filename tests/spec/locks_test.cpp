// SPDX-License-Identifier: BSL-1.0
// lock, semaphore, bounded_semaphore.
#include "spec/spec.hpp"

#include <memory>
#include <vector>

namespace asyncio::spec {
namespace {

/// Takes and gives back, telling when.
template <class L>
coroutine<> use(L& l, journal& happened, std::string name, timedelta hold = 0s) {
  co_await l.acquire();
  happened(name);
  co_await sleep(hold);
  l.release();
}

// S136
TEST(Lock, is_given_first_come_first_served) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    lock l;
    co_await gather(use(l, happened, "a", 1s), use(l, happened, "b", 1s), use(l, happened, "c", 1s));
    EXPECT_FALSE(l.locked());
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "c"}));
}

// S136: who has just released it queues up behind.
TEST(Lock, the_releaser_cannot_barge_in_front_of_who_waits) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    lock l;
    co_await l.acquire();
    task<> waiter = create_task(use(l, happened, "waiter"));
    co_await sleep(0s);
    l.release();
    EXPECT_FALSE(l.locked());
    co_await l.acquire();
    happened("releaser");
    l.release();
    co_await waiter;
  });
  EXPECT_EQ(happened.seen(), (lines{"waiter", "releaser"}));
}

// S137
TEST(Lock, a_free_one_is_taken_without_suspending) {
  bool other_ran = false;
  testing::run([&]() -> coroutine<> {
    get_running_loop().call_soon([&] { other_ran = true; });
    lock l;
    co_await l.acquire();
    EXPECT_TRUE(l.locked());
    l.release();
    auto guard = co_await l.scoped();
    EXPECT_FALSE(other_ran);
  });
}

// S138
TEST(Lock, any_task_may_release_it_and_releasing_a_free_one_is_an_error) {
  testing::run([]() -> coroutine<> {
    lock l;
    EXPECT_EQ(thrown_by([&] { l.release(); }), "runtime_error(the lock is not acquired)");
    co_await l.acquire();
    const auto other = [&]() -> coroutine<> {
      l.release();
      co_return;
    };
    co_await create_task(other);
    EXPECT_FALSE(l.locked());
    EXPECT_EQ(thrown_by([&] { l.release(); }), "runtime_error(the lock is not acquired)");
  });
}

// S138
TEST(Lock, a_second_acquire_by_the_same_task_waits) {
  testing::run([]() -> coroutine<> {
    lock l;
    co_await l.acquire();
    const std::string end = co_await ending(wait_for(l.acquire(), 1s));
    EXPECT_EQ(end, "timeout_error");
    l.release();
  });
}

TEST(Lock, a_scope_releases_it_whatever_happens) {
  testing::run([]() -> coroutine<> {
    lock l;
    const auto fail = [&]() -> coroutine<> {
      auto guard = co_await l.scoped();
      EXPECT_TRUE(l.locked());
      throw std::runtime_error("inside");
    };
    const std::string end = co_await ending(fail());
    EXPECT_EQ(end, "runtime_error(inside)");
    EXPECT_FALSE(l.locked());
    {
      auto guard = co_await l.scoped();
      guard.release();
      EXPECT_FALSE(l.locked());
      guard.release();
      auto moved = std::move(guard);
    }
    EXPECT_FALSE(l.locked());
    co_await async_with(l, [&] { EXPECT_TRUE(l.locked()); });
    EXPECT_FALSE(l.locked());
  });
}

// S139
TEST(Lock, a_cancelled_waiter_that_had_been_called_passes_it_to_the_next) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    lock l;
    co_await l.acquire();
    task<> a = create_task(use(l, happened, "a"));
    task<> b = create_task(use(l, happened, "b"));
    task<> c = create_task(use(l, happened, "c"));
    co_await sleep(0s);
    l.release();
    a.cancel();
    b.cancel();
    co_await settle();
    EXPECT_TRUE(a.cancelled());
    EXPECT_TRUE(b.cancelled());
    EXPECT_TRUE(c.done());
    EXPECT_FALSE(l.locked());
  });
  EXPECT_EQ(happened.seen(), (lines{"c"}));
}

// S139
TEST(Lock, waiters_cancelled_before_the_release_are_skipped) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    lock l;
    co_await l.acquire();
    std::vector<task<>> waiters;
    for (int i = 0; i < 5; ++i) waiters.push_back(create_task(use(l, happened, std::to_string(i))));
    co_await sleep(0s);
    for (const int i : {0, 2, 4}) waiters[static_cast<std::size_t>(i)].cancel();
    l.release();
    co_await settle();
    EXPECT_FALSE(l.locked());
  });
  EXPECT_EQ(happened.seen(), (lines{"1", "3"}));
}

// S139: the only waiter is cancelled when it had been called: the lock is free again.
TEST(Lock, is_free_when_its_only_waiter_was_cancelled) {
  testing::run([]() -> coroutine<> {
    lock l;
    journal happened;
    co_await l.acquire();
    task<> a = create_task(use(l, happened, "a"));
    co_await sleep(0s);
    l.release();
    a.cancel();
    co_await settle();
    EXPECT_FALSE(l.locked());
    co_await l.acquire();
    l.release();
  });
}

// S69 ≠ does not apply: a task that is only called holds nothing yet.
TEST(Lock, a_cancelled_task_never_holds_it_unknowingly) {
  testing::run([]() -> coroutine<> {
    lock l;
    for (int i = 0; i < 3; ++i) {
      co_await l.acquire();
      const auto careless = [&]() -> coroutine<> {
        co_await l.acquire();
        l.release();
      };
      task<> t = create_task(careless);
      co_await sleep(0s);
      l.release();
      if (i == 1) co_await sleep(0s);
      t.cancel();
      co_await settle();
      EXPECT_FALSE(l.locked());
    }
  });
}

// S150 ≠: here it is bound to a loop for as long as somebody of it waits.
TEST(Lock, is_bound_to_the_loop_whose_tasks_wait_for_it) {
  auto a = new_event_loop();
  auto b = new_event_loop();
  lock l;
  journal happened;
  a->run_until_complete(l.acquire());
  task<> waiter = a->create_task(use(l, happened, "a"));
  a->run_until_complete(sleep(0s));
  const std::string refused = b->run_until_complete(ending(l.acquire()));
  EXPECT_TRUE(contains(refused, "bound to a different event loop")) << refused;
  l.release();
  a->run_until_complete(waiter);
  b->run_until_complete(use(l, happened, "b"));
  EXPECT_EQ(happened.seen(), (lines{"a", "b"}));
}

TEST(Lock, ten_thousand_waiters_are_served_in_order) {
  testing::run([]() -> coroutine<> {
    lock l;
    int expected = 0, wrong = 0;
    std::vector<task<>> all;
    const auto work = [&](int n) -> coroutine<> {
      auto guard = co_await l.scoped();
      if (n != expected++) ++wrong;
      co_await sleep(0s);
    };
    for (int i = 0; i < 10'000; ++i) all.push_back(create_task(work, i));
    co_await gather(all);
    EXPECT_EQ(expected, 10'000);
    EXPECT_EQ(wrong, 0);
  });
}

// S145
TEST(Semaphore, lets_so_many_in_at_once) {
  testing::run([]() -> coroutine<> {
    semaphore s(3);
    int inside = 0, most = 0;
    const auto work = [&]() -> coroutine<> {
      auto guard = co_await s.scoped();
      most = std::max(most, ++inside);
      co_await sleep(1s);
      --inside;
    };
    const stopwatch watch;
    std::vector<task<>> all;
    for (int i = 0; i < 10; ++i) all.push_back(create_task(work));
    co_await gather(all);
    EXPECT_EQ(most, 3);
    EXPECT_EQ(watch.ms(), 4000);
    EXPECT_FALSE(s.locked());
  });
}

// S145
TEST(Semaphore, a_newcomer_waits_while_earlier_ones_are_on_their_way) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    semaphore s(0);
    task<> a = create_task(use(s, happened, "a"));
    co_await sleep(0s);
    s.release();
    EXPECT_TRUE(s.locked());
    task<> b = create_task({.eager_start = true}, use<semaphore>, std::ref(s), std::ref(happened), "b", 0s);
    s.release();
    co_await s.acquire();
    happened("me");
    co_await gather(a, b);
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "me"}));
}

// S146: k releases let k in, also those who queued up behind somebody who was on his way.
TEST(Semaphore, permits_that_are_released_together_reach_who_comes_before_they_are_taken) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    semaphore s(0);
    const auto once = [&](std::string name) -> coroutine<> {
      co_await s.acquire();
      happened(name);
    };
    task<> a = create_task(once, "a");
    co_await sleep(0s);
    s.release();
    s.release();
    s.release();
    task<> b = create_task({.eager_start = true}, once, "b");
    task<> c = create_task({.eager_start = true}, once, "c");
    task<> d = create_task({.eager_start = true}, once, "d");
    co_await settle();
    EXPECT_TRUE(a.done() && b.done() && c.done());
    EXPECT_FALSE(d.done());
    s.release();
    co_await d;
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "c", "d"}));
}

// S146
TEST(Semaphore, a_cancelled_waiter_that_had_been_called_gives_its_permit_to_the_next) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    semaphore s(0);
    std::vector<task<>> all;
    const auto once = [&](int n) -> coroutine<> {
      co_await s.acquire();
      happened(std::to_string(n));
    };
    for (int i = 0; i < 5; ++i) all.push_back(create_task(once, i));
    co_await sleep(0s);
    s.release();
    s.release();
    all[0].cancel();
    all[1].cancel();
    co_await settle();
    EXPECT_EQ(happened.seen(), (lines{"2", "3"}));
    EXPECT_TRUE(s.locked());
    s.release();
    all[4].cancel();
    co_await settle();
    EXPECT_FALSE(s.locked());
    co_await s.acquire();
  });
  EXPECT_EQ(happened.seen(), (lines{"2", "3"}));
}

// S146
TEST(Semaphore, is_not_lost_to_waiters_that_are_cancelled_before_they_are_called) {
  testing::run([]() -> coroutine<> {
    semaphore s(1);
    co_await s.acquire();
    std::vector<task<>> all;
    for (int i = 0; i < 3; ++i) all.push_back(create_task(s.acquire()));
    co_await sleep(0s);
    for (const task<>& t : all) t.cancel();
    s.release();
    co_await settle();
    EXPECT_FALSE(s.locked());
    const std::string end = co_await ending(wait_for(s.acquire(), 1s));
    EXPECT_EQ(end, "done");
  });
}

// S147
TEST(BoundedSemaphore, cannot_be_released_beyond_its_beginning) {
  testing::run([]() -> coroutine<> {
    bounded_semaphore s(2);
    EXPECT_EQ(thrown_by([&] { s.release(); }), "invalid_argument");
    co_await s.acquire();
    s.release();
    EXPECT_EQ(thrown_by([&] { s.release(); }), "invalid_argument");
    {
      auto guard = co_await s.scoped();
      auto second = co_await s.scoped();
      EXPECT_TRUE(s.locked());
    }
    EXPECT_FALSE(s.locked());
  });
}

TEST(BoundedSemaphore, over_release_counts_permits_that_are_on_their_way) {
  testing::run([]() -> coroutine<> {
    bounded_semaphore s(1);
    co_await s.acquire();
    task<> waiter = create_task(s.acquire());
    co_await sleep(0s);
    s.release();
    EXPECT_EQ(thrown_by([&] { s.release(); }), "invalid_argument");
    co_await waiter;
    s.release();
    EXPECT_EQ(thrown_by([&] { s.release(); }), "invalid_argument");
  });
}

}  // namespace
}  // namespace asyncio::spec
