// SPDX-License-Identifier: BSL-1.0
// wait() and as_completed().
#include "spec/spec.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace asyncio::spec {
namespace {

coroutine<int> after(timedelta delay, int n) {
  co_await sleep(delay);
  co_return n;
}
coroutine<int> fail_after(timedelta delay, const char* what) {
  co_await sleep(delay);
  throw std::runtime_error(what);
}

template <class H>
std::vector<std::string> names(const std::vector<H>& handles) {
  std::vector<std::string> all;
  for (const H& h : handles) all.push_back(h.get_name());
  return all;
}
task<int> named(std::string_view name, coroutine<int> c) { return create_task(std::move(c), {.name = name}); }

// S127
TEST(Wait, for_all_gives_those_done_in_the_order_of_the_arguments) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    std::vector<task<int>> tasks;
    tasks.push_back(named("a", after(3s, 1)));
    tasks.push_back(named("b", after(1s, 2)));
    auto [done, pending] = co_await wait(tasks);
    EXPECT_EQ(names(done), (lines{"a", "b"}));
    EXPECT_TRUE(pending.empty());
    EXPECT_EQ(watch.ms(), 3000);
    EXPECT_EQ(done[1].result(), 2);
  });
}

// S127
TEST(Wait, a_timeout_cancels_nothing_and_throws_nothing) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    std::vector<task<int>> tasks;
    tasks.push_back(named("slow", after(5s, 1)));
    tasks.push_back(named("quick", after(1s, 2)));
    auto [done, pending] = co_await wait(tasks, {.timeout = 2s});
    EXPECT_EQ(watch.ms(), 2000);
    EXPECT_EQ(names(done), (lines{"quick"}));
    EXPECT_EQ(names(pending), (lines{"slow"}));
    EXPECT_EQ(pending[0].cancelling(), 0);
    const int n = co_await pending[0];
    EXPECT_EQ(n, 1);
    EXPECT_EQ(watch.ms(), 5000);
  });
}

// S127: what ends in the very turn of the deadline has ended in time.
TEST(Wait, one_that_ends_with_the_timeout_counts_as_done) {
  testing::run([]() -> coroutine<> {
    std::vector<task<int>> tasks;
    tasks.push_back(named("slow", after(150ms, 1)));
    tasks.push_back(named("just in time", after(100ms, 2)));
    co_await sleep(0s);  // their timers come first
    auto [done, pending] = co_await wait(tasks, {.timeout = 100ms});
    EXPECT_EQ(names(done), (lines{"just in time"}));
    EXPECT_EQ(names(pending), (lines{"slow"}));
    co_await pending[0];
  });
}

TEST(Wait, a_timeout_of_zero_looks_once) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    future<> done, pending;
    done.set_result();
    auto [d, p] = co_await wait({.timeout = 0s}, done, pending);
    EXPECT_EQ(d.size(), 1u);
    EXPECT_EQ(p.size(), 1u);
    EXPECT_EQ(watch.ms(), 0);
  });
}

// S127
TEST(Wait, cancelling_the_waiter_leaves_the_tasks_running) {
  testing::run([]() -> coroutine<> {
    task<int> work = create_task(after(5s, 1));
    task<> waiter = create_task([&]() -> coroutine<> { co_await wait(wait_options(), work); });
    co_await sleep(1s);
    waiter.cancel();
    const std::string end = co_await ending(waiter);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_EQ(work.cancelling(), 0);
    const int n = co_await work;
    EXPECT_EQ(n, 1);
  });
}

// S128
TEST(Wait, for_nothing_is_refused) {
  testing::run([]() -> coroutine<> {
    const std::string end = co_await ending(wait(std::vector<task<>>()));
    EXPECT_EQ(end, "invalid_argument");
  });
}

template <class A>
concept can_be_waited_for = requires(A a) { asyncio::wait(std::move(a)); };

// S128: an error of the compiler.
TEST(Wait, takes_several_in_a_range_and_not_one_alone) {
  EXPECT_TRUE(can_be_waited_for<std::vector<task<int>>>);
  EXPECT_TRUE(can_be_waited_for<std::vector<future<>>>);
  EXPECT_FALSE(can_be_waited_for<task<int>>);
  EXPECT_FALSE(can_be_waited_for<coroutine<int>>);
}

// S129
TEST(Wait, first_completed_returns_as_soon_as_one_is_done_and_gives_all_that_are) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    std::vector<task<int>> tasks;
    tasks.push_back(named("a", after(1s, 1)));
    tasks.push_back(named("b", after(9s, 2)));
    tasks.push_back(named("c", fail_after(1s, "x")));
    auto [done, pending] = co_await wait(tasks, {.return_when = return_when::first_completed});
    EXPECT_EQ(watch.ms(), 1000);
    EXPECT_EQ(names(done), (lines{"a", "c"}));
    EXPECT_EQ(names(pending), (lines{"b"}));
    (void)done[1].exception();
    pending[0].cancel();
  });
}

// S129
TEST(Wait, first_exception_returns_at_the_first_failure_which_a_cancellation_is_not) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    std::vector<task<int>> tasks;
    tasks.push_back(named("cancelled", after(9s, 1)));
    tasks.push_back(named("fails", fail_after(3s, "x")));
    tasks.push_back(named("slow", after(9s, 2)));
    tasks.push_back(named("quick", after(1s, 2)));
    co_await sleep(0s);
    tasks[0].cancel();
    auto [done, pending] = co_await wait(tasks, {.return_when = return_when::first_exception});
    EXPECT_EQ(watch.ms(), 3000);
    EXPECT_EQ(names(done), (lines{"cancelled", "fails", "quick"}));
    EXPECT_EQ(names(pending), (lines{"slow"}));
    pending[0].cancel();
  });
}

// S129
TEST(Wait, first_exception_without_a_failure_waits_for_all) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    task<int> a = create_task(after(1s, 1));
    task<> b = create_task(sleep(4s));
    auto [done, pending] = co_await wait({.return_when = return_when::first_exception}, a, b);
    EXPECT_EQ(watch.ms(), 4000);
    EXPECT_EQ(done.size(), 2u);
    EXPECT_TRUE(pending.empty());
  });
}

TEST(Wait, those_done_already_count_at_once) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    future<int> done, failed, pending;
    done.set_result(1);
    failed.set_exception(std::runtime_error("x"));
    auto all = co_await wait(wait_options(), done, failed);
    EXPECT_EQ(all.done.size(), 2u);
    auto first = co_await wait({.return_when = return_when::first_completed}, pending, done);
    EXPECT_EQ(first.done.size(), 1u);
    auto exception = co_await wait({.return_when = return_when::first_exception}, pending, failed);
    EXPECT_EQ(exception.done.size(), 1u);
    EXPECT_EQ(watch.ms(), 0);
    (void)failed.exception();
  });
}

TEST(Wait, takes_tasks_and_futures_of_different_types) {
  testing::run([]() -> coroutine<> {
    task<int> a = create_task(after(1s, 1));
    future<std::string> b;
    get_running_loop().call_later(2s, [b] { b.set_result("set"); });
    auto [done, pending] = co_await wait({}, a, b);
    EXPECT_EQ(done.size(), 2u);
    EXPECT_EQ(done[0], any_task(a));
    EXPECT_EQ(done[1], any_task(b));
  });
}

TEST(Wait, refuses_futures_of_another_loop) {
  auto other = new_event_loop();
  future<> foreign(*other);
  testing::run([&]() -> coroutine<> {
    const std::string end = co_await ending(wait(wait_options(), foreign));
    EXPECT_TRUE(contains(end, "different loop")) << end;
  });
}

TEST(Wait, leaves_no_timer_and_no_listener_behind) {
  testing::run([]() -> coroutine<> {
    future<> a, b;
    a.set_result();
    for (int i = 0; i < 10; ++i) co_await wait({.timeout = 1h, .return_when = return_when::first_completed}, a, b);
    EXPECT_EQ(get_running_loop().metrics().timers, 0u);
    b.set_result();
  });
}

// S130
TEST(AsCompleted, gives_the_callers_own_tasks_in_the_order_in_which_they_end) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    std::vector<task<int>> tasks;
    for (int i = 1; i <= 3; ++i) tasks.push_back(create_task(after(std::chrono::seconds(4 - i), i)));
    auto it = as_completed(tasks);
    while (auto t = co_await it.next()) {
      happened(watch.at(std::to_string(t->result())));
      EXPECT_TRUE(*t == tasks[static_cast<std::size_t>(t->result() - 1)]);
    }
    const auto after_the_last = co_await it.next();
    EXPECT_FALSE(after_the_last.has_value());
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 3", "2000 2", "3000 1"}));
}

TEST(AsCompleted, makes_tasks_of_coroutines) {
  testing::run([]() -> coroutine<> {
    std::vector<coroutine<int>> work;
    work.push_back(after(2s, 1));
    work.push_back(fail_after(1s, "x"));
    auto it = as_completed(std::move(work));
    auto first = co_await it.next();
    EXPECT_EQ(name_of(first->exception()), "runtime_error(x)");
    auto second = co_await it.next();
    EXPECT_EQ(second->result(), 1);
    auto none = co_await as_completed(std::vector<task<>>()).next();
    EXPECT_FALSE(none.has_value());
  });
}

// S130
TEST(AsCompleted, the_same_task_twice_is_given_once) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(after(1s, 1));
    task<int> u = create_task(after(2s, 2));
    auto it = as_completed(std::vector<task<int>>{t, u, t});
    int given = 0;
    while (auto x = co_await it.next()) ++given;
    EXPECT_EQ(given, 2);
  });
}

// S130
TEST(AsCompleted, those_done_already_come_first_in_the_order_of_the_arguments) {
  testing::run([]() -> coroutine<> {
    std::vector<task<int>> tasks;
    tasks.push_back(create_task(after(3s, 1)));
    tasks.push_back(create_task(after(2s, 2)));
    tasks.push_back(create_task(after(1s, 3)));
    co_await sleep(2500ms);
    auto it = as_completed(tasks);
    std::vector<int> order;
    while (auto t = co_await it.next()) order.push_back(t->result());
    EXPECT_EQ(order, (std::vector<int>{2, 3, 1}));
  });
}

// S130
TEST(AsCompleted, may_be_left_and_taken_up_again) {
  testing::run([]() -> coroutine<> {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(create_task(after(std::chrono::seconds(i), i)));
    auto it = as_completed(tasks);
    (void)co_await it.next();
    co_await sleep(1h);
    auto moved = std::move(it);
    const auto second = co_await moved.next();
    const auto third = co_await moved.next();
    EXPECT_EQ(second->result() * 10 + third->result(), 12);
  });
}

// S131
TEST(AsCompleted, after_its_time_every_step_that_is_left_throws_and_the_tasks_go_on) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    std::vector<task<int>> tasks;
    for (int i = 1; i <= 3; ++i) tasks.push_back(create_task(after(std::chrono::seconds(i), i)));
    auto it = as_completed(tasks, 1500ms);
    for (int i = 0; i < 4; ++i) {
      std::string end = "nothing";
      try {
        const auto t = co_await it.next();
        end = t ? std::to_string(t->result()) : "none";
      } catch (const timeout_error&) {
        end = "timeout_error";
      }
      happened(watch.at(end));
    }
    for (const task<int>& t : tasks) EXPECT_EQ(t.cancelling(), 0);
    const int last = co_await tasks[2];
    happened(watch.at(std::to_string(last)));
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 1", "1500 timeout_error", "1500 timeout_error", "1500 none", "3000 3"}));
}

TEST(AsCompleted, one_that_ends_in_time_leaves_no_timer) {
  testing::run([]() -> coroutine<> {
    {
      auto it = as_completed(std::vector<task<int>>(1, create_task(after(1s, 1))), 1h);
      while (auto t = co_await it.next()) {}
    }
    EXPECT_EQ(get_running_loop().metrics().timers, 0u);
  });
}

TEST(AsCompleted, cancelling_who_waits_loses_none) {
  testing::run([]() -> coroutine<> {
    std::vector<task<int>> tasks;
    tasks.push_back(create_task(after(1s, 1)));
    tasks.push_back(create_task(after(5s, 2)));
    auto it = as_completed(tasks);
    const auto step = [&]() -> coroutine<int> {
      const auto t = co_await it.next();
      co_return t->result();
    };
    task<int> cancelled_in_time = create_task(step);
    co_await sleep(500ms);
    cancelled_in_time.cancel();
    co_await settle();
    EXPECT_TRUE(cancelled_in_time.cancelled());
    task<int> gets_it = create_task(step);
    const int first = co_await gets_it;
    EXPECT_EQ(first, 1);
    const int second = co_await create_task(step);
    EXPECT_EQ(second, 2);
  });
}

TEST(AsCompleted, two_tasks_cannot_wait_for_the_next_one_at_once) {
  testing::run([]() -> coroutine<> {
    auto it = as_completed(std::vector<task<int>>(1, create_task(after(1s, 1))));
    const auto step = [&]() -> coroutine<> { (void)co_await it.next(); };
    task<> a = create_task(step);
    task<> b = create_task(step);
    const std::string end = co_await ending(b);
    EXPECT_TRUE(contains(end, "already waited for by another task")) << end;
    co_await a;
  });
}

TEST(AsCompleted, an_iterator_may_be_dropped_at_any_time_and_may_outlive_its_loop) {
  std::optional<completions<task<int>>> kept, kept_empty, kept_finished;
  testing::run(
      [&]() -> coroutine<> {
        std::vector<task<int>> tasks(1, create_task(after(1s, 1)));
        kept_finished.emplace(as_completed(tasks, 1h));
        { auto dropped = as_completed(tasks, 1h); }
        co_await sleep(2s);
        { auto dropped_with_a_result_on_its_way = as_completed(tasks); }
        tasks.assign(1, create_task(after(5s, 2)));
        kept.emplace(as_completed(tasks, 1h));
        kept_empty.emplace(as_completed(std::vector<task<int>>(), 1h));
      },
      {.allow_leaks = true});
  kept.reset();
  kept_empty.reset();
  kept_finished.reset();
}

TEST(Wait, the_same_one_several_times_counts_once) {
  testing::run([]() -> coroutine<> {
    auto ends = create_task(after(1s, 1));
    auto goes_on = create_task(after(1h, 2));
    wait_options limit{.timeout = 5s};
    std::vector<task<int>> all(5, ends);
    all[0] = all[2] = goes_on;
    auto first = co_await asyncio::wait(all, limit);
    EXPECT_EQ(first.done, std::vector<task<int>>(1, ends));
    EXPECT_EQ(first.pending, std::vector<task<int>>(1, goes_on));
    auto second = co_await asyncio::wait(std::vector<task<int>>(2, ends), limit);
    EXPECT_EQ(second.done, std::vector<task<int>>(1, ends));
    EXPECT_TRUE(second.pending.empty());
    goes_on.cancel();
  });
}

TEST(AsCompleted, an_iterator_that_was_moved_from_is_refused) {
  testing::run([]() -> coroutine<> {
    std::vector<task<int>> tasks(1, create_task(after(1s, 1)));
    auto old = as_completed(tasks);
    auto it = std::move(old);
    EXPECT_EQ(thrown_by([&] { (void)old.next(); }), "invalid_state_error");
    auto first = co_await it.next();
    EXPECT_TRUE(first == tasks[0]);
  });
}

TEST(AsCompleted, an_iterator_may_be_moved_or_dropped_while_somebody_waits_for_its_next_one) {
  testing::run([]() -> coroutine<> {
    const auto wait_for_next = [](completions<future<int>>* it) -> coroutine<int> {
      auto next = co_await it->next();
      co_return next->result();
    };
    future<int> f, g;
    std::optional<completions<future<int>>> dropped = as_completed(std::vector<future<int>>(1, f));
    std::optional<completions<future<int>>> moved = as_completed(std::vector<future<int>>(1, f));
    std::optional<completions<future<int>>> never = as_completed(std::vector<future<int>>(1, g));
    auto a = create_task(wait_for_next, &*dropped);
    auto b = create_task(wait_for_next, &*moved);
    auto c = create_task(wait_for_next, &*never);
    co_await settle();
    dropped.reset();
    never.reset();
    completions<future<int>> elsewhere = std::move(*moved);
    moved.reset();
    c.cancel();
    co_await settle();
    f.set_result(3);
    co_await settle();
    EXPECT_TRUE(c.cancelled());
    EXPECT_EQ(a.result(), 3);
    EXPECT_EQ(b.result(), 3);
    auto none_left = co_await elsewhere.next();
    EXPECT_FALSE(none_left.has_value());
  });
}

}  // namespace
}  // namespace asyncio::spec
