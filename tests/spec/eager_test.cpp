// SPDX-License-Identifier: BSL-1.0
// Tasks that start at once: create_task({.eager_start = true}, …).
#include "spec/spec.hpp"

#include <memory>

namespace asyncio::spec {
namespace {

constexpr task_options eagerly{.eager_start = true};

coroutine<int> at_once(int n) { co_return n; }
coroutine<int> later(int n) {
  co_await sleep(1s);
  co_return n;
}

// S81
TEST(EagerTask, one_that_never_waits_is_done_when_it_is_returned) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    get_running_loop().call_soon([&] { happened("a turn later"); });
    task<int> t = create_task(at_once(3), eagerly);
    EXPECT_TRUE(t.done());
    EXPECT_EQ(t.result(), 3);
    EXPECT_EQ(get_running_loop().metrics().ready, 1u);  // only the callback
    const int n = co_await t;
    happened("got " + std::to_string(n));
    co_await sleep(0s);
  });
  EXPECT_EQ(happened.seen(), (lines{"got 3", "a turn later"}));
}

// S81, S83
TEST(EagerTask, one_that_waits_has_run_that_far_and_goes_on_as_any_other) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<int> {
      happened("begins");
      co_await sleep(1s);
      happened("goes on");
      co_return 4;
    };
    task<int> t = create_task(eagerly, work);
    happened("created");
    EXPECT_FALSE(t.done());
    const int n = co_await t;
    happened(std::to_string(n));
  });
  EXPECT_EQ(happened.seen(), (lines{"begins", "created", "goes on", "4"}));
}

// S81
TEST(EagerTask, an_exception_stays_in_the_task) {
  testing::run([]() -> coroutine<> {
    const auto fail = []() -> coroutine<> {
      throw std::runtime_error("at once");
      co_return;
    };
    task<> t = create_task(eagerly, fail);
    EXPECT_TRUE(t.done());
    EXPECT_EQ(name_of(t.exception()), "runtime_error(at once)");
    co_return;
  });
}

// S82
TEST(EagerTask, current_task_is_the_new_one_during_its_first_step_and_restored_after) {
  testing::run([]() -> coroutine<> {
    const any_task outer = current_task();
    const auto inner = []() -> coroutine<std::string> {
      const any_task me = current_task();
      const auto innermost = []() -> coroutine<std::string> { co_return current_task().get_name(); };
      task<std::string> t = create_task({.name = "innermost", .eager_start = true}, innermost);
      EXPECT_EQ(current_task(), me);
      co_return t.result() + " in " + me.get_name();
    };
    task<std::string> t = create_task({.name = "inner", .eager_start = true}, inner);
    EXPECT_EQ(current_task(), outer);
    EXPECT_EQ(t.result(), "innermost in inner");
    co_await sleep(0s);
    EXPECT_EQ(current_task(), outer);
  });
}

// S82: created in the middle of an await of the outer task's own.
TEST(EagerTask, may_be_created_deep_inside_another_task) {
  struct outer {
    static coroutine<int> level(int n) {
      if (n == 0) {
        task<int> t = create_task(later(5), eagerly);
        task<int> u = create_task(at_once(1), eagerly);
        const int five = co_await t;
        const int one = co_await u;
        co_return five + one;
      }
      const int below = co_await level(n - 1);
      co_return below;
    }
  };
  EXPECT_EQ(testing::run(outer::level(10)), 6);
}

// S83
TEST(EagerTask, cancel_after_its_first_step_behaves_as_usual) {
  testing::run([]() -> coroutine<> {
    task<int> waiting = create_task(later(1), eagerly);
    task<int> ended = create_task(at_once(1), eagerly);
    EXPECT_TRUE(waiting.cancel("stop"));
    EXPECT_FALSE(ended.cancel());
    const std::string end = co_await ending(waiting);
    EXPECT_EQ(end, "cancelled_error(stop)");
  });
}

// S83
TEST(EagerTask, one_that_cancels_itself_in_its_first_step_is_cancelled_at_its_first_await) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      current_task().cancel();
      happened("runs on");
      co_await sleep(1h);
      happened("never");
    };
    const stopwatch watch;
    task<> t = create_task(eagerly, work);
    const std::string end = co_await ending(t);
    happened(watch.at(end));
  });
  EXPECT_EQ(happened.seen(), (lines{"runs on", "0 cancelled_error"}));
}

// S70, S81
TEST(EagerTask, one_that_cancels_itself_and_returns_at_once_is_cancelled) {
  testing::run([]() -> coroutine<> {
    const auto work = []() -> coroutine<int> {
      current_task().cancel("by itself");
      co_return 1;
    };
    task<int> t = create_task(eagerly, work);
    EXPECT_TRUE(t.done());
    EXPECT_TRUE(t.cancelled());
    EXPECT_EQ(thrown_by([&] { (void)t.result(); }), "cancelled_error(by itself)");
    co_return;
  });
}

// S81, S54
TEST(EagerTask, an_exception_of_its_first_step_that_nobody_looks_at_is_reported) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(name_of(c.exception)); });
    const auto fail = []() -> coroutine<> {
      throw std::runtime_error("at once");
      co_return;
    };
    create_task(eagerly, fail);
    co_await settle();
  });
  EXPECT_EQ(told.seen(), (lines{"runtime_error(at once)"}));
}

// S85
TEST(EagerTask, gathers_of_eager_tasks_in_each_other_end) {
  struct tree {
    static coroutine<int> sum(int depth) {
      if (depth == 0) {
        co_await sleep(0s);
        co_return 1;
      }
      const auto [a, b] = co_await gather(create_task(sum(depth - 1), eagerly), create_task(sum(depth - 1), eagerly));
      co_return a + b;
    }
  };
  EXPECT_EQ(testing::run(tree::sum(8)), 256);
}

// S84
TEST(EagerTask, only_one_that_still_runs_is_among_all_tasks) {
  testing::run([]() -> coroutine<> {
    task<int> ended = create_task(at_once(1), eagerly);
    EXPECT_EQ(all_tasks().size(), 1u);
    task<int> waiting = create_task(later(1), eagerly);
    EXPECT_EQ(all_tasks().size(), 2u);
    waiting.cancel();
    co_await settle();
    EXPECT_EQ(all_tasks().size(), 1u);
  });
}

// S85
TEST(EagerTask, gather_of_tasks_that_are_done_is_itself_done) {
  testing::run([]() -> coroutine<> {
    task<int> a = create_task(at_once(1), eagerly);
    task<int> b = create_task(at_once(2), eagerly);
    auto both = gather(a, b);
    EXPECT_TRUE(both.done());
    EXPECT_EQ(both.result(), std::make_tuple(1, 2));
    const auto fail = []() -> coroutine<int> {
      throw std::runtime_error("at once");
      co_return 0;
    };
    task<int> waiting = create_task(later(3));
    auto failed = gather(waiting, create_task(eagerly, fail));
    EXPECT_TRUE(failed.done());
    EXPECT_EQ(name_of(failed.exception()), "runtime_error(at once)");
    co_await waiting;
  });
}

// S87
TEST(EagerTask, false_starts_it_in_the_next_turn) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(at_once(1), {.eager_start = false});
    EXPECT_FALSE(t.done());
    co_await sleep(0s);
    EXPECT_TRUE(t.done());
  });
}

// S87
TEST(EagerTask, a_loop_that_does_not_run_starts_it_in_its_first_turn) {
  auto loop = new_event_loop();
  task<int> t = loop->create_task(at_once(6), eagerly);
  EXPECT_FALSE(t.done());
  EXPECT_EQ(loop->run_until_complete(t), 6);
}

TEST(EagerTask, works_from_a_plain_callback) {
  testing::run([]() -> coroutine<> {
    future<int> answer;
    get_running_loop().call_soon([answer] {
      task<int> t = create_task(at_once(7), eagerly);
      EXPECT_FALSE(static_cast<bool>(current_task()));
      answer.set_result(t.result());
    });
    const int n = co_await answer;
    EXPECT_EQ(n, 7);
  });
}

TEST(EagerTask, frees_its_frame_and_arguments_at_its_end) {
  testing::run([]() -> coroutine<> {
    auto owned = std::make_shared<int>(1);
    const auto work = [](std::shared_ptr<int> mine) -> coroutine<int> { co_return *mine; };
    task<int> t = create_task(eagerly, work, owned);
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_EQ(t.result(), 1);
    co_return;
  });
}

}  // namespace
}  // namespace asyncio::spec
