// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <memory>

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

// S132
TEST(Shield, ends_as_what_it_shields) {
  testing::run([]() -> coroutine<> {
    const int a = co_await shield(after(1s, 1));
    const int b = co_await shield(create_task(after(1s, 2)));
    EXPECT_EQ(a + b, 3);
    const std::string failed = co_await ending(shield(fail_after(1s, "inside")));
    EXPECT_EQ(failed, "runtime_error(inside)");
    std::unique_ptr<int> moved = co_await shield(sleep(1s, std::make_unique<int>(4)));
    EXPECT_EQ(*moved, 4);
  });
}

// S132
TEST(Shield, cancelling_the_outer_leaves_the_inner_running) {
  testing::run([]() -> coroutine<> {
    task<int> inner = create_task(after(5s, 1));
    const auto wait = [&]() -> coroutine<> { (void)co_await shield(inner); };
    task<> outer = create_task(wait);
    co_await sleep(1s);
    outer.cancel("outer only");
    const std::string end = co_await ending(outer);
    EXPECT_EQ(end, "cancelled_error(outer only)");
    EXPECT_EQ(inner.cancelling(), 0);
    const int n = co_await inner;
    EXPECT_EQ(n, 1);
  });
}

// S132
TEST(Shield, an_inner_that_is_cancelled_by_itself_cancels_the_outer) {
  testing::run([]() -> coroutine<> {
    task<int> inner = create_task(after(5s, 1));
    future<int> outer = shield(inner);
    co_await sleep(1s);
    inner.cancel("inner");
    const std::string end = co_await ending(outer);
    EXPECT_EQ(end, "cancelled_error(inner)");
    EXPECT_TRUE(outer.cancelled());
  });
}

// S132
TEST(Shield, something_done_comes_back_as_it_is) {
  testing::run([]() -> coroutine<> {
    future<int> done;
    done.set_result(6);
    future<int> same = shield(done);
    EXPECT_TRUE(same == done);
    co_return;
  });
}

TEST(Shield, keeps_what_it_shields_alive_without_any_handle) {
  bool ended = false;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      co_await sleep(5s);
      ended = true;
    };
    const std::string end = co_await ending(wait_for(shield(work()), 1s));
    EXPECT_EQ(end, "timeout_error");
    co_await sleep(10s);
  });
  EXPECT_TRUE(ended);
}

// S133
TEST(Shield, an_exception_after_the_outer_was_cancelled_is_reported_once) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(c.message + ": " + name_of(c.exception)); });
    {
      future<int> outer = shield(fail_after(2s, "orphan"));
      co_await sleep(1s);
      outer.cancel();
    }
    co_await sleep(5s);
  });
  EXPECT_EQ(told.seen(), (lines{"exception in a shielded future: runtime_error(orphan)"}));
}

// S133: when it happens, not when the last handle goes; and not again then.
TEST(Shield, an_orphans_exception_is_reported_at_once_though_a_handle_of_it_is_kept) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(name_of(c.exception)); });
    {
      task<int> inner = create_task(fail_after(2s, "orphan"));
      future<int> outer = shield(inner);
      co_await sleep(1s);
      outer.cancel();
      co_await sleep(2s);
      EXPECT_TRUE(inner.done());
      EXPECT_EQ(told.seen(), (lines{"runtime_error(orphan)"}));
    }
    co_await settle();
  });
  EXPECT_EQ(told.seen(), (lines{"runtime_error(orphan)"}));
}

// S133: two shields around the same task report it once together.
TEST(Shield, two_cancelled_shields_around_one_failing_task_report_it_once) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(name_of(c.exception)); });
    {
      task<int> inner = create_task(fail_after(2s, "orphan"));
      future<int> a = shield(inner), b = shield(inner);
      co_await sleep(1s);
      a.cancel();
      b.cancel();
    }
    co_await sleep(5s);
  });
  EXPECT_EQ(told.seen(), (lines{"runtime_error(orphan)"}));
}

// S133
TEST(Shield, an_exception_that_reaches_the_outer_is_not_reported_when_it_is_seen_there) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    const std::string end = co_await ending(shield(fail_after(1s, "seen")));
    EXPECT_EQ(end, "runtime_error(seen)");
  });
  EXPECT_EQ(log.taken(), lines{});
}

TEST(Shield, an_exception_that_reaches_an_outer_nobody_looks_at_is_reported) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(name_of(c.exception)); });
    { future<int> dropped = shield(fail_after(1s, "unseen")); }
    co_await sleep(2s);
  });
  EXPECT_EQ(told.seen(), (lines{"runtime_error(unseen)"}));
}

// S134
TEST(Shield, cancelling_a_shield_of_a_gather_leaves_the_children) {
  testing::run([]() -> coroutine<> {
    task<int> a = create_task(after(5s, 1));
    task<int> b = create_task(after(5s, 2));
    auto both = gather(a, b);
    auto outer = shield(both);
    co_await sleep(1s);
    EXPECT_TRUE(outer.cancel());
    const std::string end = co_await ending(outer);
    EXPECT_EQ(end, "cancelled_error");
    const auto [x, y] = co_await both;
    EXPECT_EQ(x + y, 3);
  });
}

TEST(Shield, of_a_shield) {
  testing::run([]() -> coroutine<> {
    task<int> inner = create_task(after(5s, 1));
    future<int> twice = shield(shield(inner));
    co_await sleep(1s);
    twice.cancel();
    co_await settle();
    EXPECT_TRUE(twice.cancelled());
    EXPECT_FALSE(inner.done());
    const int n = co_await inner;
    EXPECT_EQ(n, 1);
  });
}

TEST(Shield, what_the_end_of_the_run_cancels_inside_reaches_outside) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto wait = [&]() -> coroutine<> {
      const std::string end = co_await ending(shield(sleep(1h)));
      happened(end);
    };
    create_task(wait);
    co_await sleep(1s);
  });
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error"}));
}

TEST(Shield, of_a_future_of_a_closed_loop_is_refused) {
  auto loop = new_event_loop();
  future<> f(*loop);
  loop.reset();
  EXPECT_TRUE(contains(thrown_by([&] { (void)shield(f); }), "closed"));
}

TEST(Shield, of_a_future_that_never_ends_leaves_nothing_behind_when_the_loop_is_closed) {
  const testing::ledger before = testing::ledger::now();
  {
    auto loop = new_event_loop();
    future<int> never(*loop);
    future<int> outer = shield(never);
    { future<int> dropped = shield(never); }
    { future<int> nested = shield(shield(outer)); }
    loop->close();
    EXPECT_FALSE(outer.done());
  }
  testing::ledger::now().check_nothing_left_since(before);
}

// The inner one ends in the loop's last turn, so that what it has to tell is never told.
TEST(Shield, that_would_end_in_the_next_turn_leaves_nothing_behind_when_the_loop_is_closed) {
  log_watch log;
  const testing::ledger before = testing::ledger::now();
  {
    auto loop = new_event_loop();
    future<int> value(*loop), failure(*loop), orphan(*loop);
    future<int> outer = shield(value), failed = shield(failure), gone = shield(orphan);
    gone.cancel();
    value.set_result(1);
    failure.set_exception(std::runtime_error("failure"));
    orphan.set_exception(std::runtime_error("orphan"));
    loop->close();
  }
  testing::ledger::now().check_nothing_left_since(before);
  EXPECT_EQ(log.taken().size(), 2u);  // each exception was told of once
}

}  // namespace
}  // namespace asyncio::spec
