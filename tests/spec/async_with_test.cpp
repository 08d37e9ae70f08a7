// SPDX-License-Identifier: BSL-1.0
// async_with, async_finally, as_outcome: what C++ has instead of `async with`, `finally` and awaiting handlers.
#include "spec/spec.hpp"

#include <memory>
#include <optional>

namespace asyncio::spec {
namespace {

/// A manager that tells what is done to it.
struct told_manager {
  journal& happened;
  bool handles = false;
  std::string given = "a value of the manager's";
  std::string fails_in = {};

  explicit told_manager(journal& j) : happened(j) {}
  coroutine<std::string> aenter() {
    happened("enter");
    co_await sleep(1s);
    if (fails_in == "enter") throw std::runtime_error("enter fails");
    co_return given;
  }
  coroutine<bool> aexit(std::exception_ptr error) {
    happened("exit " + name_of(error));
    co_await sleep(1s);
    if (fails_in == "exit") throw std::runtime_error("exit fails");
    co_return handles;
  }
};

TEST(AsyncWith, enters_runs_the_body_and_leaves) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    told_manager manager(happened);
    const auto body = [&](const std::string& x) -> coroutine<int> {
      happened("body " + x);
      co_await sleep(1s);
      co_return 7;
    };
    const int n = co_await async_with(manager, body);
    happened(std::to_string(n));
  });
  EXPECT_EQ(happened.seen(), (lines{"enter", "body a value of the manager's", "exit nothing", "7"}));
}

// Decision A3
TEST(AsyncWith, the_body_may_be_a_plain_function_and_may_leave_its_parameter_out) {
  testing::run([]() -> coroutine<> {
    journal happened;
    told_manager manager(happened);
    const int a = co_await async_with(manager, [](const std::string& x) { return static_cast<int>(x.size()); });
    const int b = co_await async_with(manager, [] { return 2; });
    co_await async_with(manager, [](std::string&) {});
    co_await async_with(manager, [] {});
    EXPECT_EQ(a * 10 + b, 242);
    lock l;
    const bool held = co_await async_with(l, [](lock& me) { return me.locked(); });
    EXPECT_TRUE(held);
    EXPECT_FALSE(l.locked());
  });
}

TEST(AsyncWith, an_exception_of_the_body_is_told_to_the_manager_and_comes_out) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    told_manager manager(happened);
    const auto fail = []() -> coroutine<> {
      co_await sleep(1s);
      throw std::runtime_error("body");
    };
    const std::string a = co_await ending(async_with(manager, fail));
    happened(a);
    const auto fail_at_once = [] { throw 5; };
    const std::string b = co_await ending(async_with(manager, fail_at_once));
    happened(b);
  });
  EXPECT_EQ(happened.seen(),
            (lines{"enter", "exit runtime_error(body)", "runtime_error(body)", "enter", "exit int(5)", "int(5)"}));
}

// Decision A3
TEST(AsyncWith, a_manager_that_handles_the_exception_ends_a_void_body_and_leaves_no_value) {
  testing::run([]() -> coroutine<> {
    journal happened;
    told_manager manager(happened);
    manager.handles = true;
    const auto fails = [] { throw std::runtime_error("body"); };
    const auto owes = []() -> coroutine<int> {
      throw std::runtime_error("body");
      co_return 1;
    };
    const std::string a = co_await ending(async_with(manager, fails));
    const std::string b = co_await ending(async_with(manager, owes));
    EXPECT_EQ(a, "done");
    EXPECT_EQ(b, "invalid_state_error");
  });
}

TEST(AsyncWith, a_failing_enter_skips_the_body_and_the_exit) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    told_manager manager(happened);
    manager.fails_in = "enter";
    const std::string end = co_await ending(async_with(manager, [&] { happened("body"); }));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"enter", "runtime_error(enter fails)"}));
}

TEST(AsyncWith, an_exception_of_the_exit_replaces_the_bodys) {
  testing::run([]() -> coroutine<> {
    journal happened;
    told_manager manager(happened);
    manager.fails_in = "exit";
    const std::string a = co_await ending(async_with(manager, [] {}));
    const auto fails = [] { throw std::runtime_error("body"); };
    const std::string b = co_await ending(async_with(manager, fails));
    EXPECT_EQ(a, "runtime_error(exit fails)");
    EXPECT_EQ(b, a);
  });
}

TEST(AsyncWith, a_cancelled_body_still_leaves_and_leaving_may_wait) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    told_manager manager(happened);
    const auto work = [&]() -> coroutine<> { co_await async_with(manager, [] { return sleep(1h); }); };
    task<> t = create_task(work);
    co_await sleep(5s);
    t.cancel("mid-body");
    const std::string end = co_await ending(t);
    happened(watch.at(end));
  });
  EXPECT_EQ(happened.seen(), (lines{"enter", "exit cancelled_error(mid-body)", "6000 cancelled_error(mid-body)"}));
}

TEST(AsyncWith, a_request_while_entering_never_enters) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    told_manager manager(happened);
    const auto work = [&]() -> coroutine<> { co_await async_with(manager, [&] { happened("body"); }); };
    task<> t = create_task(work);
    co_await sleep(500ms);
    t.cancel();
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"enter", "cancelled_error"}));
}

TEST(AsyncWith, a_manager_may_be_moved_in_and_a_move_only_value_out) {
  struct owner {
    std::unique_ptr<int> mine = std::make_unique<int>(3);
    detail::ready_operation_void aenter() { return {}; }
    detail::ready_operation_void aexit(std::exception_ptr) { return {}; }
    owner() = default;
    owner(owner&&) = default;
  };
  testing::run([]() -> coroutine<> {
    owner o;
    std::unique_ptr<int> out = co_await async_with(std::move(o), [](owner& x) { return std::move(x.mine); });
    EXPECT_EQ(*out, 3);
  });
}

TEST(AsyncWith, closures_are_kept_named_ones_by_copy_and_taken_ones_by_move) {
  testing::run([]() -> coroutine<> {
    lock l;
    auto shared = std::make_shared<int>(4);
    const auto named = [shared]() -> coroutine<int> {
      co_await sleep(1s);
      co_return *shared;
    };
    const int a = co_await async_with(l, named);
    auto unique = [p = std::make_unique<int>(5)]() -> coroutine<int> {
      co_await sleep(1s);
      co_return *p;
    };
    const int b = co_await async_with(l, take(unique));
    EXPECT_EQ(a * 10 + b, 45);
    EXPECT_EQ(shared.use_count(), 2);
  });
}

TEST(AsyncFinally, the_cleanup_runs_whatever_happened_and_is_awaited) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto cleanup = [&]() -> coroutine<> {
      co_await sleep(1s);
      happened("cleaned up");
    };
    const int n = co_await async_finally([] { return sleep(1s, 3); }, cleanup);
    happened(std::to_string(n));
    const auto fail = []() -> coroutine<> {
      co_await sleep(1s);
      throw std::runtime_error("body");
    };
    const std::string failed = co_await ending(async_finally(fail, cleanup));
    happened(failed);
    const auto work = [&]() -> coroutine<> { co_await async_finally([] { return sleep(1h); }, cleanup); };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string cancelled = co_await ending(t);
    happened(cancelled);
  });
  EXPECT_EQ(happened.seen(),
            (lines{"cleaned up", "3", "cleaned up", "runtime_error(body)", "cleaned up", "cancelled_error"}));
}

TEST(AsyncFinally, an_exception_of_the_cleanup_replaces_the_bodys) {
  testing::run([]() -> coroutine<> {
    const auto fail = [] { throw std::runtime_error("body"); };
    const auto cleanup_fails = [] { throw std::runtime_error("cleanup"); };
    const std::string end = co_await ending(async_finally(fail, cleanup_fails));
    EXPECT_EQ(end, "runtime_error(cleanup)");
  });
}

TEST(AsyncFinally, body_and_cleanup_may_be_plain_functions) {
  testing::run([]() -> coroutine<> {
    int cleaned = 0;
    const std::string text = co_await async_finally([] { return std::string("plain"); }, [&] { ++cleaned; });
    co_await async_finally([] {}, [&] { return ++cleaned; });
    EXPECT_EQ(text, "plain");
    EXPECT_EQ(cleaned, 2);
  });
}

// Decision A12
TEST(AsOutcome, returns_a_value_or_an_exception_instead_of_throwing) {
  testing::run([]() -> coroutine<> {
    const outcome<int> value = co_await as_outcome(sleep(1s, 4));
    EXPECT_TRUE(value.has_value());
    EXPECT_TRUE(static_cast<bool>(value));
    EXPECT_EQ(value.value(), 4);
    EXPECT_EQ(value.exception(), nullptr);
    const auto fail = []() -> coroutine<int> {
      co_await sleep(1s);
      throw std::out_of_range("far");
    };
    const outcome<int> failed = co_await as_outcome(fail());
    EXPECT_FALSE(static_cast<bool>(failed));
    EXPECT_EQ(name_of(failed.exception()), "exception(far)");
    const outcome<> nothing = co_await as_outcome(sleep(1s));
    EXPECT_TRUE(static_cast<bool>(nothing));
  });
}

TEST(AsOutcome, of_handles_and_move_only_values) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(sleep(1s, 5));
    const auto asked_and_left = [] {
      task<int> mine = create_task(sleep(1s, 3));
      return create_task(as_outcome(mine));
    };
    const task<outcome<int>> asked = asked_and_left();
    const outcome<int> kept = co_await asked;
    EXPECT_EQ(kept.value(), 3) << "the handle is kept, not referred to";
    const outcome<int> a = co_await as_outcome(t);
    const outcome<int> b = co_await as_outcome(t);
    EXPECT_EQ(a.value() + b.value(), 10);
    outcome<std::unique_ptr<int>> c = co_await as_outcome(sleep(1s, std::make_unique<int>(6)));
    std::unique_ptr<int> p = std::move(c).value();
    EXPECT_EQ(*p, 6);
  });
}

TEST(AsOutcome, passes_on_ones_own_cancellation) {
  testing::run([]() -> coroutine<> {
    bool went_on = false;
    const auto work = [&]() -> coroutine<> {
      const outcome<> end = co_await as_outcome(sleep(1h));
      went_on = true;
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_FALSE(went_on);
  });
}

TEST(AsOutcome, keeps_the_cancellation_of_what_it_awaited) {
  testing::run([]() -> coroutine<> {
    task<> child = create_task(sleep(1h));
    get_running_loop().call_later(1s, [child] { child.cancel("child"); });
    const outcome<> end = co_await as_outcome(child);
    EXPECT_EQ(name_of(end.exception()), "cancelled_error(child)");
  });
}

TEST(AsOutcome, passes_on_what_is_no_std_exception) {
  testing::run([]() -> coroutine<> {
    const auto fail = []() -> coroutine<> {
      throw 7;
      co_return;
    };
    const std::string end = co_await ending(as_outcome(fail()));
    EXPECT_EQ(end, "int(7)");
  });
}

}  // namespace
}  // namespace asyncio::spec
