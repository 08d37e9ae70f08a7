// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <memory>

namespace asyncio::spec {
namespace {

coroutine<int> at_once(int n) { co_return n; }
coroutine<int> later(int n) {
  co_await sleep(1s);
  co_return n;
}

TEST(TaskFactory, is_asked_about_every_new_task_before_its_first_step) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    journal log;
    loop.set_task_factory([&](event_loop& asked, const any_task& t, task_options& options) {
      EXPECT_EQ(&asked, &loop);
      EXPECT_FALSE(t.done());
      EXPECT_FALSE(options.eager_start.has_value());
      log(t.get_name());
    });
    auto a = create_task(at_once(1), {.name = "a"});
    auto b = loop.create_task(at_once(2), {.name = "b"});
    log("made");
    auto both = gather(later(3), later(4));
    co_await both;
    co_await async_with(task_group(), [](task_group& group) { group.create_task(at_once(5), {.name = "grouped"}); });
    loop.set_task_factory(nullptr);
    co_await create_task(at_once(6), {.name = "unseen"});
    const lines& seen = log.seen();
    EXPECT_EQ(seen.size(), 6u);
    if (seen.size() != 6u) co_return;
    EXPECT_EQ((lines{seen[0], seen[1], seen[2], seen[5]}), (lines{"a", "b", "made", "grouped"}));
    EXPECT_TRUE(contains(seen[3], "Task-")) << seen[3];
  });
}

TEST(TaskFactory, may_rename_a_task_and_watch_its_end) {
  testing::run([]() -> coroutine<> {
    journal log;
    get_running_loop().set_task_factory([&log](event_loop&, const any_task& t, task_options&) {
      t.set_name("watched " + t.get_name());
      t.add_done_callback([&log](any_task ended) { log(ended.get_name() + " ended"); });
    });
    co_await create_task(later(1), {.name = "one"});
    co_await settle();
    EXPECT_EQ(log.seen(), lines{"watched one ended"});
    get_running_loop().set_task_factory(nullptr);
  });
}

TEST(TaskFactory, what_it_throws_comes_out_of_create_task_and_the_task_never_runs) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    any_task refused;
    loop.set_task_factory([&refused](event_loop&, const any_task& t, task_options&) {
      refused = t;
      throw std::runtime_error("no more tasks");
    });
    bool ran = false;
    const auto argument = std::make_shared<int>(1);
    const auto body = [](bool& flag, std::shared_ptr<int>) -> coroutine<> {
      flag = true;
      co_return;
    };
    EXPECT_EQ(thrown_by([&] { create_task(body(ran, argument)); }), "runtime_error(no more tasks)");
    loop.set_task_factory(nullptr);
    co_await settle();
    EXPECT_FALSE(ran);
    EXPECT_TRUE(refused.cancelled());
    EXPECT_EQ(argument.use_count(), 1) << "its arguments are gone";
    refused = {};
  });
}

TEST(TaskFactory, can_be_got_and_set_again) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    EXPECT_FALSE(loop.get_task_factory());
    int asked = 0;
    loop.set_task_factory([&asked](event_loop&, const any_task&, task_options&) { ++asked; });
    const task_factory before = loop.get_task_factory();
    EXPECT_TRUE(before);
    loop.set_task_factory([before](event_loop& l, const any_task& t, task_options& options) {
      before(l, t, options);
      options.eager_start = true;
    });
    auto t = create_task(at_once(1));
    EXPECT_TRUE(t.done());
    EXPECT_EQ(asked, 1);
    loop.set_task_factory(before);
    auto u = create_task(at_once(1));
    EXPECT_FALSE(u.done());
    EXPECT_EQ(asked, 2);
    loop.set_task_factory(nullptr);
    co_await u;
  });
}

TEST(TaskFactory, may_replace_itself) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const auto kept = std::make_shared<int>(0);
    loop.set_task_factory([kept](event_loop& l, const any_task&, task_options&) {
      l.set_task_factory(nullptr);
      ++*kept;
    });
    co_await create_task(at_once(1));
    co_await create_task(at_once(1));
    EXPECT_EQ(*kept, 1);
    EXPECT_EQ(kept.use_count(), 1);
  });
}

// S81, S87
TEST(EagerTaskFactory, starts_every_task_up_to_its_first_suspension) {
  testing::run([]() -> coroutine<> {
    get_running_loop().set_task_factory(eager_task_factory);
    auto done = create_task(at_once(1));
    EXPECT_TRUE(done.done());
    auto pending = create_task(later(2));
    EXPECT_FALSE(pending.done());
    auto lazy = create_task(at_once(3), {.eager_start = false});
    EXPECT_FALSE(lazy.done());
    int a = co_await done;
    int b = co_await pending;
    int c = co_await lazy;
    EXPECT_EQ(a + b + c, 6);
    get_running_loop().set_task_factory(nullptr);
  });
}

// S85
TEST(EagerTaskFactory, a_gather_of_children_that_ended_at_once_is_done_on_return) {
  testing::run([]() -> coroutine<> {
    get_running_loop().set_task_factory(eager_task_factory);
    auto all = gather(at_once(1), at_once(2));
    EXPECT_TRUE(all.done());
    auto [a, b] = co_await all;
    EXPECT_EQ(a + b, 3);
    get_running_loop().set_task_factory(nullptr);
  });
}

// S86
TEST(EagerTaskFactory, a_child_that_fails_at_once_cancels_the_body_of_its_group_at_its_next_await) {
  testing::run([]() -> coroutine<> {
    get_running_loop().set_task_factory(eager_task_factory);
    journal log;
    const auto body = [&log](task_group& group) -> coroutine<> {
      group.create_task([]() -> coroutine<> {
        throw std::runtime_error("at once");
        co_return;
      });
      log("still here");
      co_await sleep(1s);
      log("not here");
    };
    auto end = co_await as_outcome(async_with(task_group(), body));
    EXPECT_FALSE(end);
    EXPECT_EQ(log.seen(), lines{"still here"});
    get_running_loop().set_task_factory(nullptr);
  });
}

TEST(EagerTaskFactory, needs_a_running_loop_and_otherwise_the_first_step_comes_when_it_runs) {
  auto loop = new_event_loop();
  loop->set_task_factory(eager_task_factory);
  auto t = loop->create_task(at_once(1));
  EXPECT_FALSE(t.done());
  EXPECT_EQ(loop->run_until_complete(t), 1);
}

TEST(ExceptionHandler, can_be_got_and_set_again) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    journal log;
    loop.set_exception_handler([&log](event_loop&, const exception_context& c) { log("first " + c.message); });
    const exception_handler before = loop.get_exception_handler();
    loop.set_exception_handler([&log, before](event_loop& l, const exception_context& c) {
      log("second");
      before(l, c);
    });
    exception_context context;
    context.message = "x";
    loop.call_exception_handler(context);
    loop.set_exception_handler(before);
    loop.call_exception_handler(context);
    EXPECT_EQ(log.seen(), (lines{"second", "first x", "first x"}));
    loop.set_exception_handler(nullptr);
    EXPECT_FALSE(loop.get_exception_handler());
    co_return;
  });
}

}  // namespace
}  // namespace asyncio::spec
