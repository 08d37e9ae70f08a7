// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

constexpr int line_of_the_wait = __LINE__ + 2;
coroutine<int> give(int n) {
  co_await sleep(0s);
  co_return n;
}

// S61
TEST(Task, create_task_runs_nothing_at_once_and_tasks_start_in_order) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&](std::string name) -> coroutine<> {
      happened(name);
      co_return;
    };
    get_running_loop().call_soon([&] { happened("was ready"); });
    create_task(work, "a");
    create_task(work("b"));
    create_task(work, "c");
    get_running_loop().call_soon([&] { happened("came after"); });
    happened("created");
    co_await sleep(0s);
  });
  EXPECT_EQ(happened.seen(), (lines{"created", "was ready", "a", "b", "c", "came after"}));
}

// S62, S63
TEST(Task, create_task_needs_a_running_loop_and_frees_what_it_was_given) {
  log_watch log;
  auto owned = std::make_shared<int>(1);
  const auto work = [owned]() -> coroutine<> { co_return; };
  EXPECT_EQ(owned.use_count(), 2);
  EXPECT_EQ(thrown_by([&] { create_task(work); }), "runtime_error(no running event loop in this thread)");
  EXPECT_EQ(thrown_by([&] { create_task(give(1)); }), "runtime_error(no running event loop in this thread)");
  EXPECT_EQ(owned.use_count(), 2);
  EXPECT_EQ(log.taken(), lines{});
}

TEST(Task, a_loop_that_does_not_run_yet_takes_tasks) {
  auto loop = new_event_loop();
  task<int> t = loop->create_task(give(4));
  task<int> u = loop->create_task(give, 5);
  task<int> v = loop->create_task({.name = "third"}, give, 6);
  EXPECT_FALSE(t.done());
  EXPECT_EQ(v.get_name(), "third");
  EXPECT_EQ(loop->run_until_complete(v), 6);
  EXPECT_EQ(t.result() + u.result(), 9);
}

TEST(Task, every_awaitable_can_be_made_a_task) {
  testing::run([]() -> coroutine<> {
    queue<int> q;
    q.put_nowait(7);
    future<int> f;
    f.set_result(8);
    task<int> from_queue = create_task(q.get());
    task<> from_sleep = create_task(sleep(1s));
    task<std::string> from_valued_sleep = create_task(sleep(1s, std::string("rested")));
    task<int> from_future = create_task(std::move(f));
    task<int> from_task = create_task(std::move(from_queue));
    const int n = co_await from_task;
    const int m = co_await from_future;
    co_await from_sleep;
    const std::string text = co_await from_valued_sleep;
    EXPECT_EQ(n, 7);
    EXPECT_EQ(m, 8);
    EXPECT_EQ(text, "rested");
  });
}

// S64
TEST(Task, names_are_unique_by_default_and_can_be_given) {
  testing::run([]() -> coroutine<> {
    EXPECT_EQ(current_task().get_name(), "Task-1");
    task<int> a = create_task(give(1));
    task<int> b = create_task(give(2), {.name = "named"});
    task<int> c = create_task({.name = "also named"}, give, 3);
    EXPECT_EQ(a.get_name(), "Task-2");
    EXPECT_EQ(b.get_name(), "named");
    EXPECT_EQ(c.get_name(), "also named");
    a.set_name("renamed");
    EXPECT_EQ(a.get_name(), "renamed");
    any_task(a).set_name("again");
    EXPECT_EQ(a.get_name(), "again");
    task<int> d = create_task(give(4));
    EXPECT_EQ(d.get_name(), "Task-5");
    co_await settle();
    EXPECT_EQ(a.get_name(), "again");  // also after the end
  });
}

TEST(Task, to_string_shows_name_state_function_and_place) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(1), {.name = "shown"});
    co_await sleep(0s);
    const std::string pending = to_string(t);
    EXPECT_TRUE(contains(pending, "<Task 'shown' pending coro=")) << pending;
    EXPECT_TRUE(contains(pending, "give()")) << pending;
    EXPECT_TRUE(contains(pending, "task_test.cpp:" + std::to_string(line_of_the_wait) + ">")) << pending;
    co_await t;
    EXPECT_TRUE(contains(to_string(t), "finished")) << to_string(t);
    EXPECT_EQ(to_string(any_task()), "<no task>");
  });
}

TEST(Task, the_closure_and_the_arguments_live_until_the_task_ends) {
  testing::run([]() -> coroutine<> {
    auto captured = std::make_shared<int>(1);
    auto given = std::make_shared<int>(2);
    task<int> t;
    {
      const auto work = [captured](const std::shared_ptr<int>& p, const std::string& text) -> coroutine<int> {
        co_await sleep(1s);
        co_return *captured + *p + static_cast<int>(text.size());
      };
      t = create_task(work, given, "four");
    }
    EXPECT_EQ(captured.use_count(), 2);
    EXPECT_EQ(given.use_count(), 2);
    const int n = co_await t;
    EXPECT_EQ(n, 7);
    EXPECT_EQ(captured.use_count(), 1);
    EXPECT_EQ(given.use_count(), 1);
  });
}

TEST(Task, arguments_are_copied_as_for_a_thread_and_references_need_ref) {
  testing::run([]() -> coroutine<> {
    const auto append = [](std::string& text, std::unique_ptr<int> n) -> coroutine<> {
      co_await sleep(0s);
      text += std::to_string(*n);
    };
    std::string mine = "mine";
    co_await create_task(append, std::ref(mine), std::make_unique<int>(5));
    EXPECT_EQ(mine, "mine5");
    const auto read = [](const std::string& text) -> coroutine<std::string> {
      co_await sleep(1s);
      co_return text;
    };
    std::string original = "as it was";
    task<std::string> t = create_task(read, original);
    original = "changed";
    const std::string seen = co_await t;
    EXPECT_EQ(seen, "as it was");
  });
}

struct counter {
  int n = 0;
  coroutine<int> add(int by) {
    co_await sleep(0s);
    n += by;
    co_return n;
  }
  coroutine<int> add_size(const std::string& text) {
    co_await sleep(0s);
    n += static_cast<int>(text.size());
    co_return n;
  }
};

TEST(Task, member_functions_are_called_as_invoke_calls_them) {
  testing::run([]() -> coroutine<> {
    counter c;
    task<int> t = create_task(&counter::add, &c, 4);
    const int n = co_await t;
    EXPECT_EQ(n, 4);
    task<int> u = create_task(&counter::add, std::ref(c), 3);
    const int m = co_await u;
    EXPECT_EQ(m, 7);
    task<int> v = create_task(&counter::add, counter{10}, 5);
    const int k = co_await v;
    EXPECT_EQ(k, 15);
    task<int> w = create_task(&counter::add_size, &c, "three");
    const int size = co_await w;
    EXPECT_EQ(size, 12);
  });
}

// S79
TEST(Task, may_be_awaited_again_and_by_many) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(6));
    task<int> same = t;
    const int first = co_await t;
    const int second = co_await t;
    const int third = co_await same;
    EXPECT_EQ(first + second + third, 18);
    EXPECT_TRUE(t == same);
    const auto fail = []() -> coroutine<> {
      co_await sleep(0s);
      throw std::runtime_error("each time");
    };
    task<> failing = create_task(fail);
    const std::string one = co_await ending(failing);
    const std::string two = co_await ending(failing);
    EXPECT_EQ(one, "runtime_error(each time)");
    EXPECT_EQ(two, one);
  });
}

TEST(Task, an_exception_is_stored_and_thrown_to_whoever_asks) {
  testing::run([]() -> coroutine<> {
    const auto fail = []() -> coroutine<int> {
      co_await sleep(0s);
      throw std::out_of_range("far");
    };
    task<int> t = create_task(fail);
    co_await settle();
    EXPECT_TRUE(t.done());
    EXPECT_FALSE(t.cancelled());
    EXPECT_EQ(name_of(t.exception()), "exception(far)");
    EXPECT_EQ(thrown_by([&] { (void)t.result(); }), "exception(far)");
    EXPECT_TRUE(contains(to_string(t), "exception=std::out_of_range: far"));
  });
}

TEST(Task, a_result_cannot_be_set_from_outside) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(1));
    const future<int> sliced = t;
    EXPECT_TRUE(contains(thrown_by([&] { sliced.set_result(2); }), "a task's result comes from its coroutine"));
    EXPECT_TRUE(contains(thrown_by([&] { sliced.set_exception(std::runtime_error("x")); }), "a task's result"));
    const int n = co_await sliced;
    EXPECT_EQ(n, 1);
  });
}

TEST(Task, an_empty_handle_can_be_assigned_and_refuses_everything_else) {
  testing::run([]() -> coroutine<> {
    task<int> t;
    EXPECT_FALSE(static_cast<bool>(t));
    EXPECT_EQ(thrown_by([&] { (void)t.done(); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { (void)t.result(); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { t.cancel(); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { (void)any_task().done(); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { (void)gather(t); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { (void)shield(t); }), "invalid_state_error");
    const std::string awaited = co_await ending(t);
    EXPECT_EQ(awaited, "invalid_state_error");
    const std::string waited = co_await ending(wait(std::vector<task<int>>(1)));
    EXPECT_EQ(waited, "invalid_state_error");
    const std::string timed = co_await ending(wait_for(t, 1s));
    EXPECT_EQ(timed, "invalid_state_error");
    const std::string at_once = co_await ending(wait_for(t, 0s));
    EXPECT_EQ(at_once, "invalid_state_error");
    t = create_task(give(2));
    EXPECT_TRUE(static_cast<bool>(t));
    const int n = co_await t;
    EXPECT_EQ(n, 2);
  });
}

TEST(Task, any_task_gives_the_typed_handle_back_only_for_its_own_type) {
  testing::run([]() -> coroutine<> {
    task<int> t = create_task(give(1));
    const any_task any = t;
    std::optional<task<int>> right = any.as<int>();
    EXPECT_TRUE(right.has_value());
    EXPECT_TRUE(right && *right == t);
    EXPECT_FALSE(any.as<std::string>().has_value());
    EXPECT_FALSE(any_task(future<int>()).as<int>().has_value());
    co_await any;
    EXPECT_TRUE(any.done());
  });
}

TEST(Task, done_callbacks_get_the_task) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    task<int> t = create_task(give(5));
    t.add_done_callback([&](const task<int>& me) { happened(me.get_name() + "=" + std::to_string(me.result())); });
    t.add_done_callback([&](const future<int>& me) { happened("as a future " + std::to_string(me.result())); });
    any_task(t).add_done_callback([&](const any_task& me) { happened(me.done() ? "done" : "not"); });
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"Task-2=5", "as a future 5", "done"}));
}

// S78
TEST(Task, current_task_is_right_across_interleaved_tasks_and_empty_in_callbacks) {
  testing::run([]() -> coroutine<> {
    const auto work = [](int n) -> coroutine<> {
      const any_task me = current_task();
      EXPECT_EQ(me.get_name(), "w" + std::to_string(n));
      for (int i = 0; i < 3; ++i) {
        co_await sleep(0s);
        EXPECT_EQ(current_task(), me);
      }
      const int inner = co_await give(1);
      EXPECT_EQ(inner, 1);
      EXPECT_EQ(current_task(), me);
    };
    task<> a = create_task(work(1), {.name = "w1"});
    task<> b = create_task(work(2), {.name = "w2"});
    bool empty_in_callback = false;
    get_running_loop().call_soon([&] { empty_in_callback = !current_task(); });
    co_await a;
    co_await b;
    EXPECT_TRUE(empty_in_callback);
  });
  EXPECT_FALSE(static_cast<bool>(current_task()));
}

// S78: each thread's loop has its own.
TEST(Task, current_task_is_empty_in_another_thread_and_its_own_in_a_loop_there) {
  testing::run([]() -> coroutine<> {
    const any_task me = current_task();
    std::thread([&] {
      EXPECT_FALSE(static_cast<bool>(current_task()));
      run([&]() -> coroutine<> {
        EXPECT_TRUE(static_cast<bool>(current_task()));
        EXPECT_FALSE(current_task() == me);
        EXPECT_EQ(all_tasks().size(), 1u);
        co_return;
      });
    }).join();
    EXPECT_EQ(current_task(), me);
    co_return;
  });
}

TEST(Task, all_tasks_are_those_not_done_in_the_order_of_their_creation) {
  testing::run([]() -> coroutine<> {
    task<int> a = create_task(give(1));
    task<> b = create_task(sleep(1s));
    std::vector<any_task> all = all_tasks();
    EXPECT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0], current_task());
    EXPECT_EQ(all[1], any_task(a));
    EXPECT_EQ(all[2], any_task(b));
    EXPECT_EQ(get_running_loop().metrics().tasks, 3u);
    co_await a;
    all = all_tasks(get_running_loop());
    EXPECT_EQ(all.size(), 2u);
    EXPECT_EQ(all[1], any_task(b));
  });
}

// S247
TEST(Task, all_tasks_may_be_gone_through_while_they_end_and_others_begin) {
  testing::run([]() -> coroutine<> {
    for (int i = 0; i < 5; ++i) create_task(sleep(1h));
    int seen = 0;
    for (const any_task& t : all_tasks()) {
      if (t == current_task()) continue;
      create_task(sleep(1h));
      t.cancel();
      co_await settle(3);
      EXPECT_TRUE(t.cancelled());
      ++seen;
    }
    EXPECT_EQ(seen, 5);
    EXPECT_EQ(all_tasks().size(), 6u);
  });
}

// S65
TEST(Task, awaiting_itself_is_an_error) {
  testing::run([]() -> coroutine<> {
    const std::string end = co_await ending(current_task());
    EXPECT_EQ(end, "runtime_error(a task cannot await itself)");
  });
}

// S76 ≠: the loop owns its tasks, so dropping handles neither stops nor leaks one.
TEST(Task, dropping_every_handle_does_not_stop_it) {
  bool ended = false;
  testing::run([&]() -> coroutine<> {
    create_task([&]() -> coroutine<> {
      co_await sleep(1s);
      ended = true;
    });
    co_await sleep(2s);
  });
  EXPECT_TRUE(ended);
}

// S80
TEST(Task, its_frame_dies_at_its_end_while_handles_keep_the_result) {
  testing::run([]() -> coroutine<> {
    auto owned = std::make_shared<int>(1);
    const auto fail = [](std::shared_ptr<int> mine) -> coroutine<> {
      co_await sleep(0s);
      throw std::runtime_error("frame " + std::to_string(*mine));
    };
    task<> t = create_task(fail, owned);
    co_await settle();
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_EQ(name_of(t.exception()), "runtime_error(frame 1)");
  });
}

// S54, S59: where its coroutine stands, in debug mode or not.
TEST(Task, an_exception_that_nobody_looked_at_is_reported_with_the_tasks_name_and_place) {
  journal told;
  int line = 0, begins = 0, ends = 0;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler([&](event_loop&, const exception_context& c) {
      told(c.message);
      told(name_of(c.exception));
      told(std::string(c.where.file_name()).ends_with("task_test.cpp") ? "in this file" : c.where.file_name());
      line = static_cast<int>(c.where.line());
    });
    begins = __LINE__ + 1;
    const auto fail = []() -> coroutine<> {
      co_await sleep(0s);
      throw std::runtime_error("unseen");
    };
    ends = __LINE__ - 1;
    create_task(fail(), {.name = "forgotten"});
    co_await settle();
  });
  ASSERT_EQ(told.seen().size(), 3u);
  EXPECT_TRUE(contains(told.seen()[0], "task exception was never retrieved: <Task 'forgotten' finished coro="));
  EXPECT_EQ(told.seen()[1], "runtime_error(unseen)");
  EXPECT_EQ(told.seen()[2], "in this file");
  EXPECT_GE(line, begins);
  EXPECT_LE(line, ends);
}

// S55
TEST(Task, a_result_that_nobody_took_is_silent) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    create_task(give(1));
    co_await settle();
  });
  EXPECT_EQ(log.taken(), lines{});
}

TEST(Task, results_may_be_move_only) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> coroutine<std::unique_ptr<int>> {
      co_await sleep(0s);
      co_return std::make_unique<int>(3);
    };
    task<std::unique_ptr<int>> t = create_task(make);
    const std::unique_ptr<int>& seen = co_await t;
    EXPECT_EQ(*seen, 3);
    std::unique_ptr<int> taken = co_await std::move(t);
    EXPECT_EQ(*taken, 3);
    std::unique_ptr<int> at_once = co_await create_task(make);
    EXPECT_EQ(*at_once, 3);
  });
}

TEST(Task, a_value_that_can_be_awaited_itself_is_given_as_it_is) {
  testing::run([]() -> coroutine<> {
    future<int> inner;
    const auto give_it = [inner]() -> coroutine<future<int>> {
      co_await sleep(0s);
      co_return inner;
    };
    const auto start_it = []() -> coroutine<task<int>> {
      co_await sleep(0s);
      co_return create_task(give(3));
    };
    const future<int> same = co_await create_task(give_it);
    EXPECT_TRUE(same == inner);
    EXPECT_FALSE(same.done());
    const task<int> started = co_await create_task(start_it);
    const int n = co_await started;
    EXPECT_EQ(n, 3);
  });
}

// The order in which a task ends: its frame dies, then who waits is told, in turns of their own.
TEST(Task, nobody_runs_inside_the_end_of_a_task) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    struct leaving {
      journal& happened;
      ~leaving() { happened("frame dies"); }
    };
    const auto work = [&]() -> coroutine<> {
      const leaving guard{happened};
      co_await sleep(0s);
      get_running_loop().call_soon([&] { happened("scheduled before the end"); });
      happened("ends");
    };
    task<> t = create_task(work);
    t.add_done_callback([&](const task<>&) { happened("callback"); });
    co_await t;
    happened("awaiter");
  });
  EXPECT_EQ(happened.seen(), (lines{"ends", "frame dies", "scheduled before the end", "callback", "awaiter"}));
}

}  // namespace
}  // namespace asyncio::spec
