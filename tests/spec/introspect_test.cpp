// SPDX-License-Identifier: BSL-1.0
// Looking inside: S243 … S246, and what Python's test_asyncio/test_graph.py asks.
#include "spec/spec.hpp"

#include <sstream>

namespace asyncio::spec {
namespace {

/// The last part of a name: "ns::fetch" → "fetch".
std::string short_name(const std::string& name) {
  const std::size_t at = name.rfind("::");
  return at == std::string::npos ? name : name.substr(at + 2);
}

/// "main[leaf middle <lambda>]": a task's name and its stack, the innermost first; plain functions in parentheses.
std::string shape_of_one(const call_graph& graph) {
  std::string text;
  for (const frame_call_graph_entry& entry : graph.call_stack()) {
    const std::string name = short_name(entry.function_name());
    text += (text.empty() ? "" : " ") + (entry.is_coroutine() ? name : "(" + name + ")");
  }
  return graph.future().get_name() + "[" + text + "]";
}

/// "t[leaf] <- (main[wait_for amain])": with all who wait for it. Only where there is no ring.
std::string shape(const call_graph& graph) {
  std::string text = shape_of_one(graph);
  for (const call_graph& waiting : graph.awaited_by()) text += " <- (" + shape(waiting) + ")";
  return text;
}

coroutine<> leaf() { co_await sleep(1h); }
coroutine<> middle() { co_await leaf(); }

/// Runs `main`, named "main", after the others of its loop have suspended.
template <class F>
void run_as_main(F main) {
  testing::run([main]() -> coroutine<> {
    current_task().set_name("main");
    co_await main();
  });
}

TEST(CallGraph, a_suspended_task_shows_its_coroutines_from_the_innermost_to_its_own) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(middle(), {.name = "t"});
    EXPECT_EQ(shape(capture_call_graph(t)), "t[middle]");  // it has not begun
    co_await sleep(0s);
    const call_graph graph = capture_call_graph(t);
    EXPECT_EQ(shape(graph), "t[leaf middle]");
    EXPECT_EQ(graph.size(), 2u);
    EXPECT_EQ(t.get_stack().size(), 2u);
    EXPECT_EQ(any_task(t).get_stack().size(), 2u);
    EXPECT_TRUE(graph.future() == any_task(t));
  });
}

TEST(CallGraph, entries_name_file_and_line_of_the_await) {
  run_as_main([]() -> coroutine<> {
    static int line = 0;
    const auto work = []() -> coroutine<> {
      line = __LINE__ + 1;
      co_await sleep(1h);
    };
    task<> t = create_task(work());
    co_await sleep(0s);
    const call_graph graph = t.get_stack();
    EXPECT_EQ(graph.size(), 1u);
    const frame_call_graph_entry& entry = graph.call_stack().front();
    EXPECT_TRUE(std::string_view(entry.file_name()).ends_with("introspect_test.cpp"));
    EXPECT_EQ(entry.line(), static_cast<unsigned>(line));
    EXPECT_EQ(entry.text(), "File '" + std::string(entry.file_name()) + "', line " + std::to_string(line) +
                                ", in async " + entry.function_name() + "()");
  });
}

void ask_from_a_plain_function(call_graph& graph) { graph = capture_call_graph(); }

coroutine<int> ask(call_graph& graph) {
  co_await sleep(0s);
  graph = capture_call_graph();
  co_return __LINE__ - 1;
}

TEST(CallGraph, the_running_task_shows_where_it_is_and_not_where_it_last_waited) {
  run_as_main([]() -> coroutine<> {
    call_graph graph;
    const int line = co_await ask(graph);
    EXPECT_EQ(short_name(graph.call_stack().front().function_name()), "ask");
    EXPECT_EQ(graph.call_stack().front().line(), static_cast<unsigned>(line));
    EXPECT_GE(graph.size(), 2u);
    ask_from_a_plain_function(graph);
    EXPECT_EQ(short_name(graph.call_stack()[0].function_name()), "ask_from_a_plain_function");
    EXPECT_FALSE(graph.call_stack()[0].is_coroutine());
    EXPECT_TRUE(graph.call_stack()[1].is_coroutine());
  });
}

TEST(CallGraph, a_child_that_has_ended_is_gone_from_the_stack) {
  run_as_main([]() -> coroutine<> {
    call_graph inside, after;
    const auto body = [&]() -> coroutine<> {
      (void)co_await ask(inside);
      after = capture_call_graph();
    };
    co_await create_task(body(), {.name = "t"});
    EXPECT_EQ(inside.size(), 2u);
    EXPECT_EQ(after.size(), 1u);
  });
}

TEST(CallGraph, a_task_that_is_awaited_names_who_awaits_it_and_so_on) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(leaf(), {.name = "t"});
    const auto awaits = [](task<> other) -> coroutine<> { co_await other; };
    task<> a = create_task(awaits(t), {.name = "a"});
    task<> b = create_task(awaits(a), {.name = "b"});
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t)), "t[leaf] <- (a[<lambda>] <- (b[<lambda>]))");
    future<> f;
    const auto waits = [](future<> awaited) -> coroutine<> { co_await awaited; };
    task<> c = create_task(waits(f), {.name = "c"});
    task<> d = create_task(waits(f), {.name = "d"});
    co_await sleep(0s);
    EXPECT_EQ(shape(capture_call_graph(f)), "Future[] <- (c[<lambda>]) <- (d[<lambda>])");
    f.set_result();
    co_await gather(c, d);
    EXPECT_EQ(shape(capture_call_graph(f)), "Future[]");
  });
}

// S243: through everything that waits for others.
TEST(CallGraph, a_task_in_a_gather_is_awaited_by_who_awaits_the_gather) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(leaf(), {.name = "t"});
    const auto awaits = [](task<> other) -> coroutine<> { co_await gather(gather(other), sleep(0s)); };
    task<> a = create_task(awaits(t), {.name = "a"});
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t)), "t[leaf] <- (a[<lambda>])");
  });
}

TEST(CallGraph, a_gather_that_nobody_awaits_stands_for_itself) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(leaf(), {.name = "t"});
    auto g = gather(t);
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t)), "t[leaf] <- (Future[])");
    g.cancel();
    (void)co_await as_outcome(std::move(g));
  });
}

TEST(CallGraph, wait_and_wait_for_and_shield_and_as_completed_are_seen_under_their_names) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(leaf(), {.name = "t"});
    const auto in_wait = [](task<> other) -> coroutine<> { (void)co_await wait({}, other); };
    const auto in_wait_for = [](task<> other) -> coroutine<> { co_await wait_for(shield(other), 1h); };
    const auto in_order = [](task<> other) -> coroutine<> {
      std::vector<task<>> one;
      one.push_back(other);
      auto it = as_completed(one);
      while (auto done = co_await it.next()) {}
    };
    const auto in_outcome = [](task<> other) -> coroutine<> { (void)co_await as_outcome(other); };
    task<> a = create_task(in_wait(t), {.name = "a"});
    task<> b = create_task(in_wait_for(t), {.name = "b"});
    task<> c = create_task(in_order(t), {.name = "c"});
    task<> d = create_task(in_outcome(t), {.name = "d"});
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t)),
              "t[leaf] <- (a[wait <lambda>]) <- (c[as_completed <lambda>]) <- (d[as_outcome <lambda>])"
              " <- (b[wait_for <lambda>])");
    t.cancel();
    (void)co_await gather(return_exceptions, a, b, c, d);
  });
}

TEST(CallGraph, a_child_of_a_task_group_is_awaited_by_the_groups_task) {
  run_as_main([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      task<> t = group.create_task(leaf(), {.name = "t"});
      co_await sleep(0s);
      EXPECT_EQ(capture_call_graph(t).awaited_by().size(), 1u);
      EXPECT_EQ(capture_call_graph(t).awaited_by()[0].future().get_name(), "main");
      t.cancel();
    };
    co_await async_with(task_group(), body);
  });
}

async_generator<int> numbers() {
  co_yield 1;
  co_await leaf();
}

TEST(CallGraph, an_asynchronous_generator_stands_in_the_stack_of_who_asked_it) {
  run_as_main([]() -> coroutine<> {
    const auto reads = []() -> coroutine<> {
      auto all = numbers();
      while (auto n = co_await all.next()) {}
    };
    task<> t = create_task(reads(), {.name = "t"});
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t)), "t[leaf numbers <lambda>]");
  });
}

TEST(CallGraph, what_the_library_does_inside_has_no_file_and_no_internal_name) {
  run_as_main([]() -> coroutine<> {
    const auto body = []() -> coroutine<> {
      const auto inner = []() -> coroutine<> { (void)co_await as_outcome(middle()); };
      co_await async_with(timeout(2h), inner);
    };
    task<> t = create_task(body);
    task<> s = create_task(sleep(1h), {.name = "s"});
    co_await sleep(1s);
    for (const any_task& each : {any_task(t), any_task(s)})
      for (const frame_call_graph_entry& entry : each.get_stack().call_stack()) {
        EXPECT_FALSE(contains(entry.text(), "detail")) << entry.text();
        EXPECT_FALSE(contains(entry.text(), "include/asyncio")) << entry.text();
      }
    EXPECT_EQ(shape(capture_call_graph(s)), "s[sleep]");
    EXPECT_EQ(capture_call_graph(s).call_stack()[0].text(), "in async asyncio::sleep()");
    EXPECT_TRUE(contains(to_string(s), "coro=asyncio::sleep()>")) << to_string(s);
  });
}

TEST(CallGraph, a_task_made_of_a_call_has_the_name_of_the_function) {
  run_as_main([]() -> coroutine<> {
    const auto work = [](int) -> coroutine<> { co_await leaf(); };
    task<> t = create_task({.name = "t"}, work, 1);
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t)), "t[leaf <lambda>]");
    EXPECT_TRUE(contains(to_string(t), "<lambda>() at ")) << to_string(t);
    t.cancel();
    (void)co_await as_outcome(t);
    EXPECT_TRUE(contains(to_string(t), "<lambda>()>")) << to_string(t);
    EXPECT_EQ(shape(capture_call_graph(t)), "t[]");
  });
}

// S244.
TEST(CallGraph, a_limit_keeps_the_innermost_or_the_outermost_entries) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(middle(), {.name = "t"});
    co_await sleep(1s);
    EXPECT_EQ(shape(capture_call_graph(t, {.limit = 1})), "t[leaf]");
    EXPECT_EQ(shape(capture_call_graph(t, {.limit = -1})), "t[middle]");
    EXPECT_EQ(shape(capture_call_graph(t, {.limit = 0})), "t[]");
    EXPECT_EQ(shape(capture_call_graph(t, {.limit = 9})), "t[leaf middle]");
    EXPECT_EQ(capture_call_graph({.limit = 1}).size(), 1u);
  });
}

TEST(CallGraph, without_a_running_task_there_is_none_and_without_a_loop_an_error) {
  EXPECT_EQ(thrown_by([] { (void)capture_call_graph(); }),
            "runtime_error(capture_call_graph(): no running event loop in this thread, and no task was given)");
  EXPECT_EQ(thrown_by([] { (void)capture_call_graph(any_task()); }), "invalid_state_error");
  run_as_main([]() -> coroutine<> {
    future<> asked;
    get_running_loop().call_soon([asked] {
      EXPECT_FALSE(capture_call_graph());
      EXPECT_EQ(format_call_graph(), "");
      asked.set_result();
    });
    co_await asked;
  });
  const call_graph empty;
  EXPECT_FALSE(empty);
  EXPECT_EQ(empty.size(), 0u);
  EXPECT_TRUE(empty.awaited_by().empty());
  EXPECT_FALSE(empty.future());
}

TEST(CallGraph, the_text_has_the_form_of_pythons) {
  run_as_main([]() -> coroutine<> {
    task<> t = create_task(leaf(), {.name = "t"});
    const auto awaits = [](task<> other) -> coroutine<> { co_await wait_for(other, 2h); };
    task<> a = create_task(awaits(t), {.name = "a"});
    co_await sleep(1s);
    const call_graph graph = capture_call_graph(t);
    const std::string leaf_line = graph.call_stack()[0].text();
    const std::string lambda_line = graph.awaited_by()[0].call_stack()[1].text();
    const std::string expected =
        "* Task(name='t', id=2)\n"
        "  + Call stack:\n"
        "  |   " +
        leaf_line +
        "\n"
        "  + Awaited by:\n"
        "    * Task(name='a', id=3)\n"
        "      + Call stack:\n"
        "      |   in async asyncio::wait_for()\n"
        "      |   " +
        lambda_line;
    EXPECT_EQ(format_call_graph(t), expected);
    EXPECT_EQ(graph.to_string(), expected);
    std::ostringstream stream;
    print_call_graph(stream, t);
    EXPECT_EQ(stream.str(), expected + "\n");
    std::ostringstream stack;
    t.print_stack(stack);
    EXPECT_EQ(stack.str(), "Stack for " + to_string(t) + " (most recent call last):\n  " + leaf_line + "\n");
    t.cancel();
    (void)co_await as_outcome(a);
    std::ostringstream none;
    t.print_stack(none);
    EXPECT_EQ(none.str(), "No stack for " + to_string(t) + "\n");
  });
}

// S245.
TEST(CallGraph, tasks_that_await_each_other_in_a_ring_are_each_described_once) {
  run_as_main([]() -> coroutine<> {
    task<> second;
    const auto awaits = [](task<>& other) -> coroutine<> { co_await other; };
    task<> first = create_task(awaits(second), {.name = "first"});
    second = create_task(awaits(first), {.name = "second"});
    co_await sleep(1s);
    const std::string text = format_call_graph(first);
    EXPECT_TRUE(contains(text, "* Task(name='first', id=2)\n")) << text;
    EXPECT_TRUE(contains(text, "    * Task(name='second', id=3)\n")) << text;
    EXPECT_TRUE(text.ends_with("        * Task(name='first', id=2), see above")) << text;
    first.cancel();
    (void)co_await gather(return_exceptions, first, second);
  });
}

TEST(CallGraph, long_chains_of_tasks_and_of_coroutines_are_captured_and_their_text_is_cut) {
  run_as_main([]() -> coroutine<> {
    struct deep {
      static coroutine<> wait(int more) {
        if (more == 0)
          co_await sleep(1h);
        else
          co_await wait(more - 1);
      }
      static coroutine<> follow(task<> other) { co_await other; }
    };
    task<> t = create_task(deep::wait(99999));
    task<> last = t;
    for (int i = 0; i < 2000; ++i) last = create_task(deep::follow(last));
    co_await sleep(1s);
    EXPECT_EQ(capture_call_graph(t).size(), 100000u);
    std::size_t tasks = 1;
    for (call_graph at = capture_call_graph(t, {.limit = 1}); !at.awaited_by().empty(); ++tasks)
      at = at.awaited_by()[0];
    EXPECT_EQ(tasks, 2001u);
    const std::string text = format_call_graph(t, {.limit = 1});
    EXPECT_TRUE(text.ends_with("* and so on, deeper than 50 tasks")) << text.substr(text.size() - 100);
    last.cancel();
    (void)co_await as_outcome(last);
  });
}

TEST(CallGraph, a_graph_outlives_its_tasks_and_their_loop) {
  call_graph graph;
  testing::run(
      [&]() -> coroutine<> {
        task<> t = create_task(middle(), {.name = "t"});
        co_await sleep(1s);
        graph = capture_call_graph(t);
      },
      {.allow_leaks = true});
  EXPECT_EQ(graph.future().get_name(), "t");
  EXPECT_EQ(shape(graph), "t[leaf middle]");
}

}  // namespace
}  // namespace asyncio::spec
