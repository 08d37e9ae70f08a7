// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <pthread.h>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <variant>
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

// S119
TEST(Gather, of_nothing_is_done_already) {
  testing::run([]() -> coroutine<> {
    EXPECT_TRUE(gather().done());
    auto none = gather(std::vector<task<int>>());
    EXPECT_TRUE(none.done());
    EXPECT_TRUE(none.result().empty());
    EXPECT_TRUE(gather(std::vector<task<>>()).done());
    EXPECT_TRUE(gather(return_exceptions).done());
    co_await gather();
  });
}

// S120
TEST(Gather, results_come_in_the_order_of_the_arguments) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const auto [a, b, c] = co_await gather(after(3s, 1), after(1s, 2), after(2s, 3));
    EXPECT_EQ(std::make_tuple(a, b, c), std::make_tuple(1, 2, 3));
    EXPECT_EQ(watch.ms(), 3000);
    std::vector<coroutine<int>> many;
    for (int i = 0; i < 5; ++i) many.push_back(after(std::chrono::seconds(5 - i), i));
    const std::vector<int> all = co_await gather(std::move(many));
    EXPECT_EQ(all, (std::vector<int>{0, 1, 2, 3, 4}));
    EXPECT_EQ(watch.ms(), 8000);
  });
}

// S120
TEST(Gather, the_same_awaitable_runs_once_and_appears_in_each_of_its_places) {
  testing::run([]() -> coroutine<> {
    int runs = 0;
    const auto work = [&]() -> coroutine<int> {
      ++runs;
      co_await sleep(1s);
      co_return 4;
    };
    task<int> t = create_task(work);
    const auto [a, b, c] = co_await gather(t, after(2s, 1), t);
    EXPECT_EQ(a + b * 10 + c * 100, 414);
    EXPECT_EQ(runs, 1);
  });
}

TEST(Gather, takes_every_kind_of_awaitable) {
  testing::run([]() -> coroutine<> {
    future<std::string> f;
    f.set_result("future");
    queue<int> q;
    q.put_nowait(5);
    event e;
    e.set();
    const auto [text, n, m, nothing, set] = co_await gather(f, q.get(), create_task(after(1s, 6)), sleep(1s), e.wait());
    EXPECT_EQ(text, "future");
    EXPECT_EQ(n + m, 11);
    EXPECT_EQ(nothing, std::monostate());
    EXPECT_EQ(set, std::monostate());
  });
}

TEST(Gather, takes_a_view_that_makes_coroutines) {
  testing::run([]() -> coroutine<> {
    const std::vector<int> numbers{1, 2, 3};
    const std::vector<int> twice =
        co_await gather(numbers | std::views::transform([](int n) { return after(1s, n * 2); }));
    EXPECT_EQ(twice, (std::vector<int>{2, 4, 6}));
    std::vector<task<>> sleeps;
    for (int i = 0; i < 3; ++i) sleeps.push_back(create_task(sleep(1s)));
    co_await gather(sleeps);
    for (const task<>& t : sleeps) EXPECT_TRUE(t.done());
  });
}

TEST(Gather, children_start_at_the_call_in_order) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&](int n) -> coroutine<> {
      happened(std::to_string(n));
      co_return;
    };
    auto both = gather(work(1), work(2));
    happened("called");
    co_await sleep(0s);
    happened("a turn later");
    co_await both;
  });
  EXPECT_EQ(happened.seen(), (lines{"called", "1", "2", "a turn later"}));
}

TEST(Gather, move_only_results) {
  testing::run([]() -> coroutine<> {
    const auto make = [](int n) -> coroutine<std::unique_ptr<int>> {
      co_await sleep(1s);
      co_return std::make_unique<int>(n);
    };
    auto [a, b] = co_await gather(make(1), make(2));
    EXPECT_EQ(*a + *b, 3);
    task<std::unique_ptr<int>> t = create_task(make, 3);
    auto [c] = co_await gather(std::move(t));
    EXPECT_EQ(*c, 3);
    std::vector<coroutine<std::unique_ptr<int>>> many;
    many.push_back(make(4));
    std::vector<std::unique_ptr<int>> all = co_await gather(std::move(many));
    EXPECT_EQ(*all.at(0), 4);
  });
}

// S121
TEST(Gather, the_first_exception_comes_out_at_once_and_the_others_go_on) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    task<int> slow = create_task(after(3s, 1));
    const std::string end = co_await ending(gather(slow, fail_after(1s, "first"), fail_after(2s, "second")));
    happened(watch.at(end));
    EXPECT_FALSE(slow.done());
    const int n = co_await slow;
    happened(watch.at(std::to_string(n)));
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 runtime_error(first)", "3000 1"}));
}

// S121: what fails later is marked as seen.
TEST(Gather, later_exceptions_are_dropped_in_silence) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    const std::string end = co_await ending(gather(fail_after(1s, "a"), fail_after(2s, "b"), fail_after(2s, "c")));
    EXPECT_EQ(end, "runtime_error(a)");
    co_await sleep(3s);
  });
  EXPECT_EQ(log.taken(), lines{});
}

TEST(Gather, an_exception_of_its_own_that_nobody_awaits_is_reported) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(name_of(c.exception)); });
    { auto dropped = gather(fail_after(1s, "nobody asked"), after(2s, 1)); }
    co_await sleep(3s);
  });
  EXPECT_EQ(told.seen(), (lines{"runtime_error(nobody asked)"}));
}

// S122
TEST(Gather, a_cancelled_child_counts_as_one_that_failed) {
  testing::run([]() -> coroutine<> {
    task<int> slow = create_task(after(10s, 1));
    task<int> cancelled = create_task(after(10s, 2));
    auto both = gather(slow, cancelled);
    co_await sleep(1s);
    cancelled.cancel("only this one");
    const std::string end = co_await ending(both);
    EXPECT_EQ(end, "cancelled_error(only this one)");
    EXPECT_FALSE(both.cancelled());
    EXPECT_FALSE(slow.done());
    EXPECT_EQ(current_task().cancelling(), 0);
    slow.cancel();
  });
}

// S123
TEST(Gather, return_exceptions_delivers_them_in_place) {
  testing::run([]() -> coroutine<> {
    task<int> cancelled = create_task(after(10s, 0));
    auto all = gather(return_exceptions, after(2s, 1), fail_after(1s, "x"), cancelled, sleep(1s));
    co_await sleep(1s);
    cancelled.cancel();
    auto [ok, failed, gone, nothing] = co_await all;
    EXPECT_TRUE(ok.has_value());
    EXPECT_EQ(ok.value(), 1);
    EXPECT_FALSE(failed.has_value());
    EXPECT_EQ(name_of(failed.exception()), "runtime_error(x)");
    EXPECT_EQ(thrown_by([&] { (void)failed.value(); }), "runtime_error(x)");
    EXPECT_EQ(name_of(gone.exception()), "cancelled_error");
    EXPECT_TRUE(nothing.has_value());
    std::vector<task<int>> range;
    range.push_back(create_task(fail_after(1s, "y")));
    range.push_back(create_task(after(1s, 3)));
    const std::vector<outcome<int>> outcomes = co_await gather(return_exceptions, range);
    EXPECT_EQ(name_of(outcomes.at(0).exception()), "runtime_error(y)");
    EXPECT_EQ(outcomes.at(1).value(), 3);
  });
}

/// A task that answers its cancellation by working on for `extra`, and then returns or passes it on.
coroutine<int> slow_to_cancel(timedelta extra, bool swallow) {
  const std::string end = co_await ending(sleep(100h));
  EXPECT_EQ(end, "cancelled_error");
  co_await sleep(extra);
  if (!swallow) throw cancelled_error();
  co_return 5;
}

// S124
TEST(Gather, cancelling_it_cancels_every_child_that_is_not_done) {
  testing::run([]() -> coroutine<> {
    task<int> done = create_task(after(1s, 1));
    task<int> a = create_task(after(10s, 2));
    future<int> b;
    auto all = gather(done, a, b);
    co_await sleep(2s);
    EXPECT_TRUE(all.cancel());
    EXPECT_FALSE(all.done());
    const std::string end = co_await ending(all);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(a.cancelled());
    EXPECT_TRUE(b.cancelled());
    EXPECT_EQ(done.result(), 1);
    EXPECT_FALSE(all.cancelled());  // it holds the error
  });
}

// S124
TEST(Gather, a_cancelled_one_with_return_exceptions_waits_for_all_children_and_ends_cancelled) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    task<> waits = create_task([&]() -> coroutine<> {
      const std::string end =
          co_await ending(gather(return_exceptions, slow_to_cancel(1s, false), slow_to_cancel(5s, true)));
      happened(watch.at(end));
    });
    co_await sleep(1s);
    waits.cancel();
    co_await waits;
  });
  EXPECT_EQ(happened.seen(), (lines{"6000 cancelled_error"}));
}

// S124
TEST(Gather, that_is_cancelled_tells_the_message_of_its_own_request) {
  testing::run([]() -> coroutine<> {
    task<int> first = create_task(after(1h, 1));
    task<int> last = create_task([]() -> coroutine<int> {
      (void)co_await ending(sleep(1h));
      co_return 2;
    });
    auto both = gather(return_exceptions, first, last);
    co_await sleep(1s);
    last.cancel("of a child");
    co_await sleep(1s);
    both.cancel("of the gather");
    const std::string end = co_await ending(both);
    EXPECT_EQ(end, "cancelled_error(of the gather)");
  });
}

TEST(Gather, a_cancelled_one_whose_children_all_swallow_it_waits_for_them_and_ends_cancelled) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    task<> waits = create_task([&]() -> coroutine<> {
      const std::string end = co_await ending(gather(slow_to_cancel(1s, true), slow_to_cancel(5s, true)));
      happened(watch.at(end));
    });
    co_await sleep(1s);
    waits.cancel();
    co_await waits;
  });
  EXPECT_EQ(happened.seen(), (lines{"6000 cancelled_error"}));
}

// S124, as measured on CPython: the first child that ends cancelled, or with an error of its own, is a failure like any
// other (S121): the gather ends with it, and does not wait for the rest.
TEST(Gather, a_cancelled_one_ends_with_the_first_child_that_answers) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto fails_when_cancelled = []() -> coroutine<int> {
      (void)co_await ending(sleep(100h));
      co_await sleep(1s);
      throw std::runtime_error("instead");
    };
    for (const bool with_an_error : {false, true}) {
      const stopwatch watch;
      task<int> quick = with_an_error ? create_task(fails_when_cancelled) : create_task(slow_to_cancel(1s, false));
      task<int> slow = create_task(slow_to_cancel(5s, true));
      task<> waits = create_task([&, watch]() -> coroutine<> {
        const std::string end = co_await ending(gather(slow, quick));
        happened(watch.at(end));
      });
      co_await sleep(1s);
      waits.cancel();
      co_await waits;
      EXPECT_FALSE(slow.done());
      const int n = co_await slow;
      happened(watch.at(std::to_string(n)));
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"2000 cancelled_error", "6000 5", "2000 runtime_error(instead)", "6000 5"}));
}

// S124: nothing is left to cancel.
TEST(Gather, one_whose_children_are_all_done_cannot_be_cancelled) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    const auto child = [f]() -> coroutine<int> {
      const int n = co_await f;
      co_return n;
    };
    auto all = gather(child());
    std::optional<bool> answer;
    bool done_then = true;
    co_await sleep(0s);
    f.add_done_callback([&](const future<int>&) {
      done_then = all.done();
      answer = all.cancel();
    });
    f.set_result(42);
    const auto [n] = co_await all;
    EXPECT_EQ(n, 42);
    EXPECT_FALSE(done_then);
    EXPECT_EQ(answer, false);
    EXPECT_FALSE(all.cancelled());
  });
}

// S125
TEST(Gather, cancelling_one_that_has_failed_cancels_nothing) {
  testing::run([]() -> coroutine<> {
    task<int> slow = create_task(after(10s, 1));
    auto both = gather(slow, fail_after(1s, "x"));
    (void)co_await ending(both);
    EXPECT_FALSE(both.cancel());
    co_await sleep(1s);
    EXPECT_FALSE(slow.done());
    slow.cancel();
  });
}

// S126
TEST(Gather, futures_of_different_loops_are_refused) {
  auto a = new_event_loop();
  auto b = new_event_loop();
  future<> of_a(*a), of_b(*b);
  EXPECT_EQ(thrown_by([&] { (void)gather(of_a, of_b); }), "invalid_argument");
  auto c = new_event_loop();
  c->call_soon([&] {
    EXPECT_EQ(thrown_by([&] { (void)gather(of_a, of_b); }), "invalid_argument");
    c->stop();
  });
  c->run_forever();
}

TEST(Gather, futures_of_a_closed_loop_are_refused) {
  auto loop = new_event_loop();
  future<> f(*loop);
  loop.reset();
  EXPECT_TRUE(contains(thrown_by([&] { (void)gather(f); }), "closed"));
}

TEST(Gather, needs_no_running_loop_when_its_futures_have_one) {
  auto loop = new_event_loop();
  future<int> a(*loop), b(*loop);
  auto both = gather(a, b);
  a.set_result(1);
  b.set_result(2);
  EXPECT_EQ(loop->run_until_complete(both), std::make_tuple(1, 2));
}

// S134
TEST(Gather, cancelling_a_gather_of_shields_leaves_what_they_shield) {
  testing::run([]() -> coroutine<> {
    task<int> inner = create_task(after(5s, 1));
    auto both = gather(shield(inner), after(5s, 2));
    co_await sleep(1s);
    both.cancel();
    const std::string end = co_await ending(both);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_FALSE(inner.done());
    const int n = co_await inner;
    EXPECT_EQ(n, 1);
  });
}

TEST(Gather, of_gathers) {
  testing::run([]() -> coroutine<> {
    const auto [a, b] = co_await gather(gather(after(1s, 1), after(2s, 2)), gather(after(3s, 3)));
    EXPECT_EQ(a, std::make_tuple(1, 2));
    EXPECT_EQ(b, std::make_tuple(3));
    task<int> deep = create_task(after(9s, 4));
    auto nested = gather(gather(gather(deep)));
    co_await sleep(1s);
    EXPECT_TRUE(nested.cancel());
    const std::string end = co_await ending(nested);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(deep.cancelled());
  });
}

TEST(Gather, may_be_awaited_by_many) {
  testing::run([]() -> coroutine<> {
    auto both = gather(after(1s, 1), after(2s, 2));
    const auto wait = [both]() -> coroutine<int> {
      const auto [a, b] = co_await both;
      co_return a + b;
    };
    const auto [x, y] = co_await gather(wait(), wait());
    EXPECT_EQ(x + y, 6);
  });
}

// A gather that can never end, of futures that somebody keeps, does not outlive its loop.
TEST(Gather, of_futures_that_never_end_leaves_nothing_behind_when_the_loop_is_closed) {
  const testing::ledger before = testing::ledger::now();
  {
    auto loop = new_event_loop();
    future<int> never(*loop), neither(*loop);
    {
      auto dropped = gather(never, neither);
      auto nested = gather(gather(never), gather(return_exceptions, never));
    }
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
  }
  testing::ledger::now().check_nothing_left_since(before);
}

// As above, when its last child ended in the loop's last turn.
TEST(Gather, that_would_end_in_the_next_turn_leaves_nothing_behind_when_the_loop_is_closed) {
  const testing::ledger before = testing::ledger::now();
  {
    auto loop = new_event_loop();
    future<int> a(*loop), b(*loop);
    auto both = gather(a, b);
    auto keeps = gather(return_exceptions, a, both);
    a.set_result(1);
    b.set_result(2);
    loop->close();
    EXPECT_TRUE(a.done());
  }
  testing::ledger::now().check_nothing_left_since(before);
}

TEST(Gather, a_hundred_thousand_in_each_other_can_be_cancelled) {
  testing::run([]() -> coroutine<> {
    future<> innermost;
    future<> outermost = innermost;
    for (int i = 0; i < 100'000; ++i) outermost = gather(std::vector<future<>>(1, outermost));
    EXPECT_TRUE(outermost.cancel("enough"));
    EXPECT_TRUE(innermost.cancelled());
    std::string end = co_await ending(outermost);
    EXPECT_EQ(end, "cancelled_error(enough)");
  });
}

/// Runs f in a thread whose stack holds but a few thousand calls in each other.
void on_a_small_stack(void (*f)()) {
  pthread_attr_t attributes;
  ASSERT_EQ(::pthread_attr_init(&attributes), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, 512 * 1024), 0);
  pthread_t thread;
  const auto call = [](void* g) -> void* {
    reinterpret_cast<void (*)()>(g)();
    return nullptr;
  };
  ASSERT_EQ(::pthread_create(&thread, &attributes, call, reinterpret_cast<void*>(f)), 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
}

TEST(Gather, cancelling_tasks_that_gather_each_other_needs_no_stack) {
  on_a_small_stack([] {
    testing::run([]() -> coroutine<> {
      constexpr int depth = 5'000;
      int cancelled = 0;
      const auto gathers = [&cancelled](task<> inner) -> coroutine<> {
        try {
          co_await gather(std::move(inner));
        } catch (const cancelled_error&) {
          ++cancelled;
          throw;
        }
      };
      auto innermost = create_task(sleep(1h));
      auto outermost = innermost;
      for (int i = 0; i < depth; ++i) outermost = create_task(gathers, std::move(outermost));
      co_await sleep(0s);
      EXPECT_TRUE(outermost.cancel("enough"));
      std::string end = co_await ending(outermost);
      EXPECT_EQ(end, "cancelled_error(enough)");
      EXPECT_TRUE(innermost.cancelled());
      EXPECT_EQ(cancelled, depth);
    });
  });
}

TEST(Gather, a_request_goes_through_gathers_of_gathers_in_the_order_of_the_arguments) {
  testing::run([]() -> coroutine<> {
    journal happened;
    const auto waits = [&happened](std::string name) -> coroutine<> {
      try {
        co_await sleep(1h);
      } catch (const cancelled_error& e) {
        happened(name + " " + e.message());
        throw;
      }
    };
    future<> plain;
    auto done = create_task(sleep(0s));
    auto left = gather(waits("a"), gather(waits("b"), plain), waits("c"));
    const auto waits_for_a_gather = [&]() -> coroutine<> { co_await gather(waits("d"), done, waits("e")); };
    auto all = gather(left, waits_for_a_gather(), waits("f"));
    co_await settle();
    EXPECT_TRUE(all.cancel("now"));
    EXPECT_TRUE(plain.cancelled());
    std::string end = co_await ending(all);
    EXPECT_EQ(end, "cancelled_error(now)");
    co_await settle();
    EXPECT_EQ(happened.seen(), (lines{"a now", "b now", "c now", "d now", "e now", "f now"}));
    EXPECT_FALSE(all.cancel());
    EXPECT_TRUE(left.done());
    (void)left.exception();
  });
}

TEST(Gather, that_is_pending_when_its_loop_is_closed_ends_as_cancelled) {
  auto loop = new_event_loop();
  future<int> a(*loop);
  auto inner = gather(a);
  auto outer = gather(inner, a);
  EXPECT_FALSE(outer.done());
  loop->close();
  EXPECT_TRUE(inner.cancelled());
  EXPECT_TRUE(outer.cancelled());
  EXPECT_FALSE(outer.cancel());
  EXPECT_EQ(thrown_by([&] { (void)outer.result(); }), "cancelled_error");
}

}  // namespace
}  // namespace asyncio::spec
