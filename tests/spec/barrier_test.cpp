// SPDX-License-Identifier: BSL-1.0
// barrier: tasks that come back, leave early, reset and abort while others are inside.
#include "spec/spec.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace asyncio::spec {
namespace {

constexpr std::size_t parties = 5;

/// Waits at the barrier; did it break?
coroutine<bool> breaks(barrier& b) {
  bool broken = false;
  try {
    (void)co_await b.wait();
  } catch (const broken_barrier_error&) {
    broken = true;
  }
  co_return broken;
}

/// Runs `work` in as many tasks as there are parties, and waits for them, an hour at most.
template <class Work>
coroutine<> in_all_parties(Work work) {
  std::vector<task<>> all;
  for (std::size_t i = 0; i < parties; ++i) all.push_back(create_task(work));
  const std::string end = co_await ending(wait_for(gather(all), 1h));
  EXPECT_EQ(end, "done") << "all have come through";
}

// S148
TEST(BarrierRounds, each_round_gives_every_index_once) {
  testing::run([]() -> coroutine<> {
    barrier b(parties);
    std::multiset<std::size_t> first, second;
    const auto work = [&]() -> coroutine<> {
      first.insert(co_await b.wait());
      second.insert(co_await b.wait());
    };
    co_await in_all_parties(work);
    EXPECT_EQ(first, (std::multiset<std::size_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(second, first);
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S148: who comes again while the others still leave waits for the next round.
TEST(BarrierRounds, who_comes_while_it_drains_waits_for_the_next_round) {
  testing::run([]() -> coroutine<> {
    constexpr std::size_t returning = 2;
    barrier b(parties), leavers(parties - returning);
    std::size_t back = 0, passed_twice = 0;
    const auto work = [&]() -> coroutine<> {
      (void)co_await b.wait();
      if (back < returning) {
        ++back;
      } else {
        EXPECT_EQ(passed_twice, 0u) << "those who came back are held";
        (void)co_await leavers.wait();
      }
      (void)co_await b.wait();
      ++passed_twice;
    };
    co_await in_all_parties(work);
    EXPECT_EQ(passed_twice, parties);
  });
}

// S149
TEST(BarrierReset, while_some_are_leaving_breaks_nobody_who_has_passed) {
  testing::run([]() -> coroutine<> {
    barrier b(parties);
    std::size_t left = 0, broken_rounds = 0;
    const auto work = [&]() -> coroutine<> {
      const bool first = co_await breaks(b);
      EXPECT_FALSE(first);
      if (++left == parties) {
        co_await b.reset();
        (void)co_await b.wait();
      } else {
        const bool second = co_await breaks(b);
        if (second) {
          ++broken_rounds;
          (void)co_await b.wait();
        }
      }
    };
    co_await in_all_parties(work);
    EXPECT_EQ(broken_rounds, 0u) << "they were held outside when it was reset";
    EXPECT_FALSE(b.broken());
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S149: half have passed when it is reset; those who are inside still are told, those held outside go on waiting.
TEST(BarrierReset, half_way_through_a_round_breaks_those_who_are_still_inside) {
  testing::run([]() -> coroutine<> {
    barrier b(parties);
    std::size_t passed = 0, broken = 0, held_broken = 0;
    constexpr std::size_t half = parties / 2;
    const auto work = [&]() -> coroutine<> {
      const bool inside = co_await breaks(b);
      if (inside) {
        ++broken;
        (void)co_await b.wait();
        co_return;
      }
      if (++passed > half) {
        co_await b.reset();
        (void)co_await b.wait();
        co_return;
      }
      const bool held = co_await breaks(b);
      if (held) ++held_broken;
    };
    co_await in_all_parties(work);
    EXPECT_EQ(broken, parties - half - 1);
    EXPECT_EQ(held_broken, 0u);
    EXPECT_FALSE(b.broken());
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S149
TEST(BarrierReset, who_was_told_may_come_again_at_once) {
  testing::run([]() -> coroutine<> {
    barrier b(parties);
    std::size_t told = 0, passed = 0;
    const auto comes_again = [&]() -> coroutine<> {
      const bool broken = co_await breaks(b);
      if (broken) ++told;
      (void)co_await b.wait();
      ++passed;
    };
    std::vector<task<>> all;
    for (std::size_t i = 0; i + 1 < parties; ++i) all.push_back(create_task(comes_again));
    co_await settle();
    all.push_back(create_task(b.reset()));
    co_await sleep(0s);
    (void)co_await b.wait();
    co_await gather(all);
    EXPECT_EQ(told, parties - 1);
    EXPECT_EQ(passed, parties - 1);
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S149
TEST(BarrierReset, of_one_that_nobody_waits_at_changes_nothing) {
  testing::run([]() -> coroutine<> {
    barrier b(2);
    co_await b.reset();
    EXPECT_FALSE(b.broken());
    co_await gather(b.wait(), b.wait());
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S149
TEST(BarrierAbort, half_way_through_a_round_breaks_those_inside_and_those_held_outside) {
  testing::run([]() -> coroutine<> {
    barrier b(parties);
    std::size_t passed = 0, inside = 0, held = 0;
    constexpr std::size_t half = parties / 2;
    const auto work = [&]() -> coroutine<> {
      const bool broken = co_await breaks(b);
      if (broken) {
        ++inside;
        co_return;
      }
      if (++passed > half) {
        co_await b.abort();
        co_return;
      }
      const bool again = co_await breaks(b);
      if (again) ++held;
    };
    co_await in_all_parties(work);
    EXPECT_TRUE(b.broken());
    EXPECT_EQ(inside, parties - half - 1);
    EXPECT_EQ(held, half);
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S149
TEST(BarrierAbort, by_one_that_fails_inside_reaches_everybody_and_a_reset_repairs_it) {
  testing::run([]() -> coroutine<> {
    barrier b(parties), together(parties);
    std::size_t broken = 0, repaired = 0;
    const auto work = [&]() -> coroutine<> {
      std::size_t index = parties;
      bool told = false;
      try {
        index = co_await b.wait();
      } catch (const broken_barrier_error&) {  // still inside
        told = true;
      }
      if (index == parties / 2)
        co_await b.abort();
      else if (!told)
        told = co_await breaks(b);
      if (told) ++broken;
      // Everybody has left it when it is reset, and nobody enters it before.
      const std::size_t other = co_await together.wait();
      if (other == parties / 2) co_await b.reset();
      (void)co_await together.wait();
      (void)co_await b.wait();
      ++repaired;
    };
    co_await in_all_parties(work);
    EXPECT_EQ(broken, parties - 1);
    EXPECT_EQ(repaired, parties);
    EXPECT_FALSE(b.broken());
    EXPECT_EQ(b.n_waiting(), 0u);
  });
}

// S149
TEST(BarrierAbort, of_one_that_nobody_waits_at_breaks_it) {
  testing::run([]() -> coroutine<> {
    barrier b(1);
    co_await b.abort();
    EXPECT_TRUE(b.broken());
    const bool broken = co_await breaks(b);
    EXPECT_TRUE(broken);
  });
}

TEST(Barrier, one_that_dies_ends_the_waits_for_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    auto b = std::make_unique<barrier>(3);
    const auto arrive = [&]() -> coroutine<> {
      const std::string end = co_await ending(b->wait());
      happened(end);
    };
    task<> first = create_task(arrive), second = create_task(arrive);
    co_await settle();
    b.reset();
    co_await gather(first, second);
  });
  const std::string gone = "runtime_error(the lock, event or queue was destroyed while this task waited for it)";
  EXPECT_EQ(happened.seen(), (lines{gone, gone}));
}

// S149: the count follows who waits, and the round is complete with somebody else.
TEST(BarrierCancel, one_who_leaves_makes_place_for_another) {
  testing::run([]() -> coroutine<> {
    barrier b(3);
    std::vector<task<std::size_t>> all;
    for (std::size_t i = 0; i < 2; ++i) {
      all.push_back(create_task(b.wait()));
      co_await settle();
      EXPECT_EQ(b.n_waiting(), i + 1);
    }
    all[0].cancel();
    co_await settle();
    EXPECT_TRUE(all[0].cancelled());
    EXPECT_EQ(b.n_waiting(), 1u);
    all[0] = create_task(b.wait());
    co_await settle();
    EXPECT_EQ(b.n_waiting(), 2u);
    all.push_back(create_task(b.wait()));
    co_await gather(all);
    EXPECT_EQ(b.n_waiting(), 0u);
    EXPECT_FALSE(b.broken());
  });
}

// S149: a request that comes when the round is complete does not take anybody else's place in it.
TEST(BarrierCancel, one_who_is_cancelled_while_it_drains_holds_nobody_up) {
  for (int turns = 0; turns < 8; ++turns) {
    testing::run([turns]() -> coroutine<> {
      barrier b(3);
      task<std::size_t> victim = create_task(b.wait());
      task<std::size_t> other = create_task(b.wait());
      co_await settle();
      task<std::size_t> last = create_task(b.wait());
      for (int i = 0; i < turns; ++i) co_await sleep(0s);
      victim.cancel();
      co_await settle();
      if (!last.done()) {  // the victim left before the round was complete
        EXPECT_TRUE(victim.cancelled());
        (void)co_await b.wait();
      }
      co_await settle();
      EXPECT_TRUE(victim.done() && other.done() && last.done()) << "cancelled after " << turns << " turns";
      EXPECT_EQ(b.n_waiting(), 0u);
      const auto [x, y, z] = co_await gather(b.wait(), b.wait(), b.wait());
      EXPECT_EQ(x + y + z, 3u) << "the next round is as any other";
    });
  }
}

}  // namespace
}  // namespace asyncio::spec
