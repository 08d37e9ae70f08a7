// SPDX-License-Identifier: BSL-1.0
#include "loop/timer_heap.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace asyncio::loop {
namespace {

using detail::timer_op;

time_point at(std::int64_t ns) { return time_point(std::chrono::nanoseconds(ns)); }

/// The heap beside a std::multimap, which keeps equal keys in the order of their insertion.
class beside_a_model {
 public:
  explicit beside_a_model(std::uint64_t seed) : random_(seed) {}

  void step() {
    const std::uint64_t choice = random_() % 100;
    if (choice < 45)
      add();
    else if (choice < 75)
      remove();
    else if (choice < 90)
      collect();
    else
      pop_some();
    check();
  }
  void finish() {
    now_ = time_point::max();
    heap_.collect_due(now_);
    collect_model();
    while (!due_.empty() || heap_.has_due()) pop_one();
    check();
  }

 private:
  using position = std::multimap<time_point, timer_op*>::iterator;

  void add() {
    owned_.push_back(std::make_unique<timer_op>());
    timer_op* timer = owned_.back().get();
    // Few different deadlines, so that many are equal; some in the past, some at the ends of time.
    const std::uint64_t kind = random_() % 50;
    timer->deadline = kind == 0   ? time_point::max()
                      : kind == 1 ? time_point::min()
                                  : at(now_ns() + static_cast<std::int64_t>(random_() % 40) - 10);
    heap_.add(*timer);
    waiting_.emplace(timer->deadline, timer);
  }
  void remove() {
    // Now and then one that waits no more, or one that is due and has not been popped.
    if (owned_.empty()) return;
    timer_op* timer = owned_[random_() % owned_.size()].get();
    heap_.remove(*timer);
    for (position p = waiting_.begin(); p != waiting_.end(); ++p)
      if (p->second == timer) {
        waiting_.erase(p);
        break;
      }
    std::erase(due_, timer);
    EXPECT_FALSE(timer->armed());
  }
  void collect() {
    now_ += std::chrono::nanoseconds(random_() % 20);
    EXPECT_EQ(heap_.any_due(now_), !due_.empty() || (!waiting_.empty() && waiting_.begin()->first <= now_));
    heap_.collect_due(now_);
    collect_model();
  }
  void collect_model() {
    while (!waiting_.empty() && waiting_.begin()->first <= now_) {
      due_.push_back(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
    }
  }
  void pop_one() {
    timer_op* expected = due_.empty() ? nullptr : due_.front();
    if (!due_.empty()) due_.erase(due_.begin());
    timer_op* timer = heap_.pop_due();
    EXPECT_EQ(timer, expected);
    EXPECT_FALSE(timer != nullptr && timer->armed());
  }
  void pop_some() {
    for (std::uint64_t i = random_() % 4; i > 0; --i) pop_one();
  }
  void check() {
    ASSERT_EQ(heap_.size(), waiting_.size());
    ASSERT_EQ(heap_.empty(), waiting_.empty());
    ASSERT_EQ(heap_.has_due(), !due_.empty());
    ASSERT_TRUE(waiting_.empty() || heap_.earliest() == waiting_.begin()->first);
    if (owned_.size() > 400) forget_idle();
  }
  void forget_idle() {
    std::erase_if(owned_, [](const std::unique_ptr<timer_op>& t) { return !t->armed(); });
  }
  std::int64_t now_ns() const { return now_.time_since_epoch().count(); }

  std::mt19937_64 random_;
  timer_heap heap_;
  std::multimap<time_point, timer_op*> waiting_;
  std::vector<timer_op*> due_;
  std::vector<std::unique_ptr<timer_op>> owned_;
  time_point now_ = at(1'000'000);
};

std::uint64_t seed_of_this_run() {
  if (const char* given = std::getenv("ASYNCIO_TEST_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device()();
}

TEST(TimerHeap, does_what_a_multimap_does_in_any_order_of_operations) {
  const std::uint64_t seed = seed_of_this_run();
  for (std::uint64_t round = 0; round < 40; ++round) {
    SCOPED_TRACE("to repeat: ASYNCIO_TEST_SEED=" + std::to_string(seed + round));
    beside_a_model pair(seed + round);
    for (int i = 0; i < 3000 && !::testing::Test::HasFailure(); ++i) pair.step();
    pair.finish();
    if (HasFailure()) return;
  }
}

// S6
TEST(TimerHeap, equal_deadlines_come_in_the_order_in_which_they_were_added) {
  timer_heap heap;
  std::vector<timer_op> timers(1000);
  for (timer_op& t : timers) {
    t.deadline = at(5);
    heap.add(t);
  }
  heap.collect_due(at(5));
  for (timer_op& t : timers) EXPECT_EQ(heap.pop_due(), &t);
  EXPECT_EQ(heap.pop_due(), nullptr);
}

// S9
TEST(TimerHeap, a_removed_timer_leaves_nothing_behind) {
  timer_heap heap;
  std::vector<timer_op> timers(1000);
  for (std::size_t i = 0; i < timers.size(); ++i) {
    timers[i].deadline = at(static_cast<std::int64_t>(i * 7919 % 1000));
    heap.add(timers[i]);
  }
  for (timer_op& t : timers) {
    heap.remove(t);
    heap.remove(t);
  }
  EXPECT_TRUE(heap.empty());
  EXPECT_FALSE(heap.any_due(time_point::max()));
}

TEST(TimerHeap, a_timer_may_be_added_again_after_it_fired_or_was_removed) {
  timer_heap heap;
  timer_op timer;
  for (int round = 0; round < 3; ++round) {
    timer.deadline = at(round);
    heap.add(timer);
    heap.remove(timer);
    heap.add(timer);
    heap.collect_due(at(round));
    EXPECT_EQ(heap.pop_due(), &timer);
  }
}

TEST(TimerHeap, a_due_timer_can_still_be_removed) {
  timer_heap heap;
  timer_op a, b, c;
  for (timer_op* t : {&a, &b, &c}) {
    t->deadline = at(1);
    heap.add(*t);
  }
  heap.collect_due(at(1));
  EXPECT_TRUE(b.armed());
  heap.remove(b);
  EXPECT_FALSE(b.armed());
  EXPECT_EQ(heap.pop_due(), &a);
  heap.remove(c);
  EXPECT_EQ(heap.pop_due(), nullptr);
  EXPECT_FALSE(heap.has_due());
}

}  // namespace
}  // namespace asyncio::loop
