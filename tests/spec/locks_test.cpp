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

// S139: the request and the release come in the same turn, in either order; exactly one waiter goes on.
TEST(Lock, a_waiter_cancelled_in_the_turn_of_the_release_takes_it_from_nobody) {
  for (const bool cancelled_first : {true, false}) {
    for (const bool release_by_a_task : {true, false}) {
      testing::run([=]() -> coroutine<> {
        lock l;
        int holders = 0, called = 0;
        const auto take = [&]() -> coroutine<> {
          ++called;
          co_await l.acquire();
          ++holders;
        };
        co_await l.acquire();
        task<> a = create_task(take), b = create_task(take), c = create_task(take);
        co_await sleep(0s);
        const auto both = [&l, a, cancelled_first] {
          if (cancelled_first) a.cancel();
          l.release();
          if (!cancelled_first) a.cancel();
        };
        const auto in_a_task = [both]() -> coroutine<> {
          both();
          co_return;
        };
        if (release_by_a_task)
          create_task(in_a_task);
        else
          get_running_loop().call_soon(both);
        co_await settle();
        EXPECT_EQ(called, 3);
        EXPECT_EQ(holders, 1);
        EXPECT_TRUE(a.cancelled());
        EXPECT_TRUE(b.done());
        EXPECT_FALSE(c.done());
        EXPECT_TRUE(l.locked());
        l.release();
        co_await c;
        EXPECT_EQ(holders, 2);
      });
    }
  }
}

// S139: the request reaches a waiter through the future of the holder's end, as with a task that fails.
TEST(Lock, a_waiter_cancelled_before_the_holder_goes_on_is_passed_over) {
  testing::run([]() -> coroutine<> {
    lock l;
    future<> holds;
    const auto hold = [&](future<> until) -> coroutine<> {
      auto guard = co_await l.scoped();
      co_await until;
    };
    future<> done;
    done.set_result();
    task<> a = create_task(hold, holds), b = create_task(hold, done), c = create_task(hold, done);
    co_await sleep(0s);
    holds.set_result();
    b.cancel();
    co_await settle();
    EXPECT_TRUE(a.done());
    EXPECT_TRUE(b.cancelled());
    EXPECT_TRUE(c.done());
    EXPECT_FALSE(c.cancelled());
    EXPECT_FALSE(l.locked());
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

// S145: one who gives a permit back and wants another one queues up behind those who wait.
TEST(Semaphore, who_comes_again_is_served_after_those_who_wait) {
  testing::run([]() -> coroutine<> {
    semaphore s(1);
    std::vector<int> order;
    const auto once = [&](int n) -> coroutine<> {
      co_await s.acquire();
      order.push_back(n);
    };
    const auto twice = [&]() -> coroutine<> {
      co_await s.acquire();
      order.push_back(2);
      s.release();
      co_await s.acquire();
      order.push_back(4);
    };
    task<> a = create_task(once, 1), b = create_task(twice), c = create_task(once, 3);
    co_await sleep(0s);
    s.release();
    s.release();
    co_await gather(a, b, c);
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  });
}

// S146: the first in line leaves in the very turn in which a permit comes.
TEST(Semaphore, a_permit_that_comes_with_the_cancellation_of_the_first_in_line_goes_to_the_next) {
  for (const bool cancelled_first : {true, false}) {
    for (const bool a_turn_between : {true, false}) {
      testing::run([=]() -> coroutine<> {
        semaphore s(0);
        task<> a = create_task(s.acquire()), b = create_task(s.acquire()), c = create_task(s.acquire());
        co_await sleep(0s);
        if (cancelled_first) a.cancel();
        if (cancelled_first && a_turn_between) co_await sleep(0s);
        s.release();
        if (!cancelled_first) a.cancel();
        co_await settle();
        EXPECT_TRUE(a.cancelled());
        EXPECT_TRUE(b.done());
        EXPECT_FALSE(c.done());
        EXPECT_TRUE(s.locked());
        s.release();
        co_await c;
      });
    }
  }
}

// S146: the holder cancels the next one when it has given its permit back.
TEST(Semaphore, is_free_when_its_last_holder_has_cancelled_who_was_next) {
  testing::run([]() -> coroutine<> {
    semaphore s(1);
    task<> next;
    const auto holds = [&]() -> coroutine<> {
      {
        auto guard = co_await s.scoped();
        co_await sleep(0s);
      }
      next.cancel();
    };
    const auto never_inside = [&]() -> coroutine<> {
      auto guard = co_await s.scoped();
      ADD_FAILURE();
    };
    task<> first = create_task(holds);
    next = create_task(never_inside);
    auto [a, b] = co_await gather(return_exceptions, first, next);
    EXPECT_TRUE(a.has_value());
    EXPECT_EQ(name_of(b.exception()), "cancelled_error");
    const std::string end = co_await ending(wait_for(s.acquire(), 1s));
    EXPECT_EQ(end, "done");
  });
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
TEST(Semaphore, a_value_below_zero_is_refused) {
  EXPECT_EQ(thrown_by([] { semaphore below(static_cast<std::size_t>(-1)); }), "invalid_argument");
  EXPECT_EQ(thrown_by([] { bounded_semaphore below(static_cast<std::size_t>(-7)); }), "invalid_argument");
  semaphore none(0);
  EXPECT_TRUE(none.locked());
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
