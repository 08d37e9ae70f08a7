// SPDX-License-Identifier: BSL-1.0
// context_var, context: values that belong to a task and to what it starts.
#include "spec/spec.hpp"

#include <unistd.h>
#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

context_var<std::string> request{"request", "none"};
context_var<int> depth("depth");

TEST(ContextVar, has_its_default_until_it_is_set) {
  EXPECT_EQ(request.get(), "none");
  EXPECT_EQ(request.get("given"), "given");
  EXPECT_EQ(request.name(), "request");
  EXPECT_EQ(depth.get(5), 5);
  std::string error;
  try {
    (void)depth.get();
  } catch (const std::out_of_range& e) {
    error = e.what();
  }
  EXPECT_EQ(error, "the context_var 'depth' is not set and has no default");
}

TEST(ContextVar, reset_puts_back_what_set_replaced_once_and_for_its_own_variable) {
  context_var<int> other("other", 1);
  context_var<int> v("v", 1);
  auto first = v.set(2);
  auto second = v.set(3);
  EXPECT_EQ(v.get(), 3);
  v.reset(second);
  EXPECT_EQ(v.get(), 2);
  EXPECT_EQ(thrown_by([&] { v.reset(second); }), "runtime_error(context_var.reset(): the token has been used already)");
  EXPECT_EQ(thrown_by([&] { v.reset({}); }), "invalid_argument");
  v.reset(first);
  EXPECT_EQ(v.get(), 1);
  EXPECT_EQ(v.get(7), 7) << "not set any more";
}

// S77, S248
TEST(ContextVar, each_task_has_a_copy_of_its_creators) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto handle = [&](std::string id, timedelta pause) -> coroutine<> {
      happened(id + " inherits " + request.get());
      request.set(id);
      co_await sleep(pause);
      happened(id + " sees " + request.get());
      const task<> child = create_task([&]() -> coroutine<> {
        happened("child of " + request.get());
        request.set("child");
        co_return;
      });
      request.set(id + " changed");
      co_await child;
      happened(id + " sees " + request.get());
    };
    request.set("main");
    co_await gather(handle("a", 2s), handle("b", 1s));
    happened("main sees " + request.get());
  });
  EXPECT_EQ(happened.seen(), (lines{"a inherits main", "b inherits main", "b sees b", "child of b", "b sees b changed",
                                    "a sees a", "child of a", "a sees a changed", "main sees main"}));
  EXPECT_EQ(request.get(), "none") << "the thread's own context is another";
}

// S82
TEST(ContextVar, an_eager_task_has_its_own_copy_too) {
  testing::run([]() -> coroutine<> {
    depth.set(1);
    const auto deeper = []() -> coroutine<int> {
      const int inherited = depth.get();
      depth.set(10);
      co_return inherited;
    };
    const task<int> t = create_task(deeper(), {.eager_start = true});
    EXPECT_TRUE(t.done());
    EXPECT_EQ(t.result(), 1);
    EXPECT_EQ(depth.get(), 1);
    co_return;
  });
}

// S1: callbacks run in a copy of the context in which they were scheduled.
TEST(ContextVar, callbacks_see_what_was_set_when_they_were_scheduled_and_change_nothing_outside) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    auto& loop = get_running_loop();
    const auto say = [&](std::string what) {
      return [&happened, what](auto&&...) {
        happened(what + " sees " + request.get());
        request.set("changed by " + what);
      };
    };
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const int from = ends[0];
    request.set("scheduled");
    loop.call_soon(say("soon"));
    loop.call_later(1s, say("later"));
    loop.call_soon_threadsafe(say("threadsafe"));
    future<> done;
    done.add_done_callback(say("done"));
    loop.add_reader(from, [&loop, from, read = say("reader")] {
      loop.remove_reader(from);
      read();
    });
    request.set("afterwards");
    done.set_result();
    co_await sleep(2s);
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    while (happened.seen().size() < 5) co_await sleep(0s);
    happened("the task sees " + request.get());
    ::close(ends[0]);
    ::close(ends[1]);
  });
  EXPECT_EQ(happened.seen(), (lines{"soon sees scheduled", "threadsafe sees scheduled", "done sees scheduled",
                                    "later sees scheduled", "reader sees scheduled", "the task sees afterwards"}));
}

TEST(Context, run_keeps_what_is_set_inside) {
  context_var<int> v("v", 0);
  v.set(1);
  context copy = copy_context();
  const int n = copy.run(
      [&](int more) {
        v.set(v.get() + more);
        return v.get();
      },
      4);
  EXPECT_EQ(n, 5);
  EXPECT_EQ(v.get(), 1);
  EXPECT_EQ(copy.run([&] { return v.get(); }), 5);
  context same = copy;
  EXPECT_EQ(same.run([&] { return v.get(); }), 5);
  context empty;
  EXPECT_EQ(empty.run([&] { return v.get(9); }), 9);
}

TEST(Context, is_entered_by_one_at_a_time_and_left_by_an_exception_too) {
  context c;
  EXPECT_EQ(thrown_by([&] { c.run([&] { c.run([] {}); }); }), "runtime_error(the context is already entered)");
  EXPECT_EQ(thrown_by([&] { c.run([] { throw 7; }); }), "int(7)");
  c.run([] {});
}

TEST(Context, run_inside_a_task_reaches_over_its_own) {
  testing::run([]() -> coroutine<> {
    depth.set(1);
    context other;
    other.run([] {
      EXPECT_EQ(depth.get(0), 0);
      depth.set(2);
      const auto look = []() -> coroutine<int> { co_return depth.get(); };
      const task<int> inside = create_task(look(), {.eager_start = true});
      EXPECT_EQ(inside.result(), 2) << "its creator's context is that which was entered";
    });
    EXPECT_EQ(depth.get(), 1);
    co_return;
  });
}

// S77
TEST(Context, a_task_may_be_given_one) {
  testing::run([]() -> coroutine<> {
    context shared;
    shared.run([] { depth.set(5); });
    const auto work = []() -> coroutine<int> {
      co_await sleep(1s);
      const int seen = depth.get();
      depth.set(6);
      co_return seen;
    };
    const task<int> t = create_task(work(), {.context = &shared});
    const int seen = co_await t;
    EXPECT_EQ(seen, 5);
    EXPECT_EQ(shared.run([] { return depth.get(); }), 6);
    EXPECT_EQ(t.get_context().run([] { return depth.get(); }), 6);
    const int mine = current_task().get_context().run([] { return depth.get(0); });
    EXPECT_EQ(mine, 0);
  });
}

TEST(Context, a_token_is_good_in_its_own_context_only) {
  testing::run([]() -> coroutine<> {
    const auto token = depth.set(1);
    const auto other = [&]() -> coroutine<> {
      EXPECT_EQ(thrown_by([&] { depth.reset(token); }), "invalid_argument");
      co_return;
    };
    co_await create_task(other);
    depth.reset(token);
    EXPECT_EQ(depth.get(0), 0);
  });
}

TEST(Context, values_die_with_the_last_context_that_has_them) {
  context_var<std::shared_ptr<int>> v("v");
  const auto value = std::make_shared<int>(1);
  testing::run([&]() -> coroutine<> {
    v.set(value);
    const task<> child = create_task(sleep(1s));
    v.set(nullptr);
    EXPECT_GT(value.use_count(), 1);
    co_await child;
  });
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Context, each_thread_has_its_own) {
  context_var<int> v("v", 0);
  v.set(1);
  std::thread([&] { EXPECT_EQ(v.get(), 0); }).join();
  context mine = copy_context();
  std::thread([&] { EXPECT_EQ(mine.run([&] { return v.get(); }), 1); }).join();
}

TEST(ContextVar, another_at_the_same_place_does_not_see_its_predecessors_value) {
  std::optional<context_var<int>> place(std::in_place, "first", 0);
  place->set(1);
  place.emplace("second", 0);
  EXPECT_EQ(place->get(), 0);
}

// In a process that has set no variable yet: ctest runs each test in one of its own.
TEST(ContextVar, the_first_set_of_all_in_a_callback_ends_with_it) {
  auto loop = new_event_loop();
  context_var<int> v("v", 0);
  lines seen;
  const auto look = [&] { seen.push_back(std::to_string(v.get())); };
  loop->call_soon([&] {
    v.set(1);
    look();
    loop->call_soon(look);  // inherits it
  });
  loop->call_soon(look);
  future<> done(*loop);
  done.add_done_callback([&](const future<>&) {
    v.set(2);
    look();
  });
  done.set_result();
  loop->call_soon([&] { loop->call_soon([&] { loop->stop(); }); });
  loop->run_forever();
  EXPECT_EQ(seen, (lines{"1", "0", "2", "1"}));
  EXPECT_EQ(v.get(), 0);
}

TEST(ContextVar, async_generators_run_in_their_callers_context) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<int> {
      while (true) co_yield depth.get(0);
    };
    auto g = make();
    depth.set(1);
    const std::optional<int> one = co_await g.next();
    depth.set(2);
    const std::optional<int> two = co_await g.next();
    EXPECT_EQ(one, 1);
    EXPECT_EQ(two, 2);
  });
}

}  // namespace
}  // namespace asyncio::spec
