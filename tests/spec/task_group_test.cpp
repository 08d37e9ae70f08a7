// SPDX-License-Identifier: BSL-1.0
// task_group: a block that owns tasks.
#include "spec/spec.hpp"

#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace asyncio::spec {
namespace {

coroutine<> fail_after(timedelta delay, const char* what) {
  co_await sleep(delay);
  throw std::runtime_error(what);
}

/// What an exception_group holds, by name and in order: "group(a, group(b))"; of anything else, its name.
std::string shape_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const exception_group& group) {
    std::string text = "group(";
    for (const std::exception_ptr& e : group.exceptions()) {
      if (text.back() != '(') text += ", ";
      text += shape_of(e);
    }
    return text + ")";
  } catch (...) {
    return name_of(error);
  }
}

/// Awaits, and says how it ended: "done", or the shape of what was thrown.
template <class A>
coroutine<std::string> shape_of_end(A awaited) {
  std::exception_ptr error;
  try {
    co_await std::move(awaited);
  } catch (...) {
    error = std::current_exception();
  }
  co_return error == nullptr ? "done" : shape_of(error);
}

/// Says that it was cancelled, when it is.
coroutine<> sleeper(journal& happened, std::string name, timedelta delay) {
  const std::string end = co_await ending(sleep(delay));
  happened(name + " " + end);
  if (end != "done") throw cancelled_error();
}

// S88
TEST(TaskGroup, waits_for_all_its_tasks_also_for_those_that_they_add) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    std::optional<task<int>> first;
    const auto body = [&](task_group& group) {
      first = group.create_task(sleep(1s, 5));
      group.create_task([&]() -> coroutine<> {
        co_await sleep(2s);
        group.create_task(sleeper(happened, "grandchild", 2s));
      });
    };
    const stopwatch watch;
    co_await async_with(task_group(), body);
    happened(watch.at("end"));
    EXPECT_EQ(first->result(), 5);
  });
  EXPECT_EQ(happened.seen(), (lines{"grandchild done", "4000 end"}));
}

TEST(TaskGroup, gives_what_its_body_returns) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<int> {
      task<int> a = group.create_task(sleep(1s, 2));
      const int n = co_await a;
      co_return n + 1;
    };
    const int n = co_await async_with(task_group(), body);
    EXPECT_EQ(n, 3);
    const int m = co_await async_with(task_group(), [] { return 4; });
    EXPECT_EQ(m, 4);
  });
}

TEST(TaskGroup, creates_tasks_in_every_form_and_with_options) {
  testing::run([]() -> coroutine<> {
    std::vector<std::string> names;
    const auto add = [&](int n) -> coroutine<int> {
      names.push_back(current_task().get_name());
      co_return n;
    };
    const auto body = [&](task_group& group) -> coroutine<int> {
      const task<int> a = group.create_task(add(1), {.name = "a"});
      const task<int> b = group.create_task({.name = "b"}, add, 2);
      const task<int> c = group.create_task(add, 3);
      c.set_name("c");
      const task<int> d = group.create_task(add(4), {.name = "d", .eager_start = true});
      EXPECT_TRUE(d.done());
      co_await sleep(0s);
      co_return a.result() + b.result() + c.result() + d.result();
    };
    const int sum = co_await async_with(task_group(), body);
    EXPECT_EQ(sum, 10);
    EXPECT_EQ(names, (lines{"d", "a", "b", "c"}));
  });
}

// S89
TEST(TaskGroup, a_task_that_is_cancelled_alone_is_no_failure) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      const task<> one = group.create_task(sleeper(happened, "one", 5s));
      group.create_task(sleeper(happened, "other", 2s));
      co_await sleep(1s);
      one.cancel();
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"one cancelled_error", "other done", "done"}));
}

// S90, S91
TEST(TaskGroup, the_first_failure_cancels_the_others_and_the_body_and_comes_out_as_a_group) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      group.create_task(sleeper(happened, "other", 1h));
      group.create_task(fail_after(1s, "no"));
      co_await sleeper(happened, "body", 1h);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
    EXPECT_EQ(current_task().cancelling(), 0);
    const std::string next = co_await ending(sleep(1s));
    happened("afterwards " + next);
  });
  EXPECT_EQ(happened.seen(),
            (lines{"other cancelled_error", "body cancelled_error", "group(runtime_error(no))", "afterwards done"}));
}

TEST(TaskGroup, errors_stand_in_the_order_in_which_the_tasks_ended_the_bodys_last) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      const auto slow_to_end = []() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        co_await sleep(1s);
        throw std::runtime_error("late");
      };
      group.create_task(slow_to_end);
      group.create_task(fail_after(1s, "first"));
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("body");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(first), runtime_error(late), runtime_error(body))");
  });
}

// S92
TEST(TaskGroup, a_body_that_fails_cancels_the_tasks_and_joins_the_group) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      group.create_task(sleeper(happened, "child", 1h));
      co_await sleep(1s);
      throw std::logic_error("body");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"child cancelled_error", "group(exception(body))"}));
}

// S93
TEST(TaskGroup, a_cancellation_from_outside_cancels_the_tasks_and_leaves_as_itself) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool in_body : {true, false}) {
      const auto body = [&](task_group& group) -> coroutine<> {
        group.create_task(sleeper(happened, "child", 1h));
        if (in_body) co_await sleep(1h);
      };
      const auto work = [&]() -> coroutine<> { co_await async_with(task_group(), body); };
      task<> t = create_task(work);
      co_await sleep(1s);
      t.cancel("from outside");
      const std::string end = co_await ending(t);
      happened(end);
      EXPECT_EQ(t.cancelling(), 1);
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"child cancelled_error", "cancelled_error(from outside)", "child cancelled_error",
                                    "cancelled_error(from outside)"}));
}

// S93
TEST(TaskGroup, an_error_beats_a_cancellation_from_outside_which_comes_at_the_next_await) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      const auto body = [](task_group& group) -> coroutine<> {
        const auto crash_on_cancel = []() -> coroutine<> {
          (void)co_await ending(sleep(1h));
          throw std::runtime_error("in cleanup");
        };
        group.create_task(crash_on_cancel);
        co_await sleep(1h);
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
      EXPECT_EQ(current_task().cancelling(), 1);
      co_await sleep(1h);
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel("outside");
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(in cleanup))", "cancelled_error(outside)"}));
}

// S93: it was the body's error.
TEST(TaskGroup, an_error_of_the_body_in_its_cleanup_beats_a_cancellation_which_then_comes_at_the_next_await) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      const auto body = []() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        throw std::runtime_error("in cleanup");
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
      EXPECT_EQ(current_task().cancelling(), 1);
      co_await sleep(1h);
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(in cleanup))", "cancelled_error"}));
}

TEST(TaskGroup, a_cancellation_that_was_under_way_at_entry_is_not_lost_to_an_error) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      current_task().cancel();
      const auto body = [](task_group& group) {
        group.create_task(sleep(1h));
        throw std::runtime_error("body");
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
      co_await sleep(1h);
    };
    task<> t = create_task(work);
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(body))", "cancelled_error"}));
}

TEST(TaskGroup, a_cancellation_that_was_under_way_at_entry_and_is_swallowed_is_not_lost_to_an_error_either) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      current_task().cancel();
      const auto body = []() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        throw std::runtime_error("body");
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
      co_await sleep(1h);
    };
    task<> t = create_task(work);
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(body))", "cancelled_error"}));
}

TEST(TaskGroup, that_waits_at_its_end_goes_round_when_a_task_fails) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto other = [&]() -> coroutine<> {
      co_await sleep(0s);
      happened("other");
    };
    const auto work = [&]() -> coroutine<> {
      const auto body = [&](task_group& group) {
        group.create_task(fail_after(0s, "x"));
        group.create_task([&]() -> coroutine<> {
          co_await sleep(0s);
          create_task(other);
        });
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
    };
    co_await create_task(work);
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(x))", "other"}));
}

// S94
TEST(TaskGroup, no_repeated_cancellation_makes_it_leave_a_task_behind) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto stubborn = [&]() -> coroutine<> {
      for (int i = 0; i < 3; ++i) {
        const std::string end = co_await ending(sleep(10s));
        happened("child " + end);
      }
    };
    const auto work = [&]() -> coroutine<> {
      co_await async_with(task_group(), [&](task_group& group) { group.create_task(stubborn); });
    };
    task<> t = create_task(work);
    for (int i = 0; i < 4; ++i) {
      co_await sleep(1s);
      t.cancel(std::to_string(i));
    }
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"child cancelled_error", "child done", "child done", "cancelled_error(0)"}));
}

// S95
TEST(TaskGroup, a_body_that_answers_its_cancellation_by_an_error_fails) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      group.create_task(fail_after(1s, "child"));
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("instead");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(child), runtime_error(instead))");
  });
}

// S96
TEST(TaskGroup, errors_of_a_group_inside_are_a_group_inside) {
  testing::run([]() -> coroutine<> {
    const auto inner = [](task_group& group) { group.create_task(fail_after(1s, "inner")); };
    const auto outer = [&](task_group& group) -> coroutine<> {
      group.create_task(fail_after(1s, "outer"));
      co_await async_with(task_group(), inner);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), outer));
    EXPECT_EQ(end, "group(runtime_error(outer), group(runtime_error(inner)))");
  });
}

// S97
TEST(TaskGroup, the_failure_of_the_outer_one_cancels_the_inner_ones_tasks_and_leaves_no_empty_group) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto inner = [&](task_group& group) { group.create_task(sleeper(happened, "inner", 1h)); };
    const auto outer = [&](task_group& group) -> coroutine<> {
      group.create_task(fail_after(1s, "outer"));
      co_await async_with(task_group(), inner);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), outer));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"inner cancelled_error", "group(runtime_error(outer))"}));
}

// S98
TEST(TaskGroup, keyboard_interrupt_of_the_body_comes_out_bare_when_all_tasks_have_ended) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      group.create_task(sleeper(happened, "child", 1h));
      co_await sleep(1s);
      throw keyboard_interrupt();
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"child cancelled_error", "keyboard_interrupt"}));
}

// S99, S100
TEST(TaskGroup, refuses_tasks_before_it_is_entered_after_its_end_and_while_it_shuts_down) {
  journal happened;
  const log_watch log;
  testing::run([&]() -> coroutine<> {
    const auto refused = [&](task_group& group) {
      const auto argument = std::make_shared<int>(1);
      const auto work = [argument]() -> coroutine<> { co_return; };
      happened(thrown_by([&] { group.create_task(work); }));
      happened(thrown_by([&] { group.create_task(sleep(1s)); }));
      EXPECT_EQ(argument.use_count(), 2) << "the refused coroutine is destroyed";
    };
    task_group group;
    refused(group);
    const auto body = [&](task_group& g) -> coroutine<> {
      g.create_task(fail_after(1s, "no"));
      (void)co_await ending(sleep(1h));
      refused(g);
    };
    (void)co_await shape_of_end(async_with(group, body));
    refused(group);
    const std::string again = co_await shape_of_end(async_with(group, [] {}));
    happened(again);
  });
  EXPECT_EQ(
      happened.seen(),
      (lines{"runtime_error(the task_group has not been entered)", "runtime_error(the task_group has not been entered)",
             "runtime_error(the task_group is shutting down)", "runtime_error(the task_group is shutting down)",
             "runtime_error(the task_group is finished)", "runtime_error(the task_group is finished)",
             "runtime_error(the task_group has already been entered)"}));
}

// S100
TEST(TaskGroup, is_used_inside_a_task) {
  auto loop = new_event_loop();
  std::string error;
  loop->call_soon([&] {
    task_group group;
    error = thrown_by([&] { (void)group.aenter(); });
    loop->stop();
  });
  loop->run_forever();
  EXPECT_EQ(error, "runtime_error(a task_group should be used inside a task)");
}

// S101
TEST(TaskGroup, tasks_that_go_on_spawning_cannot_outrun_its_end) {
  testing::run([]() -> coroutine<> {
    struct hydra {
      static coroutine<> head(task_group& group) {
        while (true) {
          std::exception_ptr error;
          try {
            co_await sleep(1s);
          } catch (const cancelled_error&) {
            error = std::current_exception();
          }
          group.create_task(head, std::ref(group));
          if (error != nullptr) std::rethrow_exception(error);
        }
      }
    };
    const auto body = [](task_group& group) {
      group.create_task(hydra::head, std::ref(group));
      group.create_task(fail_after(2500ms, "heracles"));
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_TRUE(end.starts_with("group(runtime_error(heracles), runtime_error(the task_group is shutting down)"))
        << end;
  });
}

// S102
TEST(TaskGroup, of_long_life_does_not_keep_what_has_ended) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      const auto alive = std::make_shared<int>(0);
      for (int i = 0; i < 1000; ++i) {
        group.create_task([alive]() -> coroutine<std::shared_ptr<int>> { co_return alive; });
        co_await settle(3);
        EXPECT_EQ(alive.use_count(), 1);
      }
    };
    co_await async_with(task_group(), body);
  });
}

// S103
TEST(TaskGroup, within_a_timeout_ends_in_timeout_error_unless_something_fails) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool crashes : {false, true}) {
      const auto in_group = [&](task_group& group) {
        const auto child = [crashes]() -> coroutine<> {
          const std::string end = co_await ending(sleep(1h));
          if (crashes) throw std::runtime_error("cleanup");
          if (end != "done") throw cancelled_error();
        };
        group.create_task(child);
      };
      const auto in_time = [&]() -> coroutine<> { co_await async_with(task_group(), in_group); };
      const std::string end = co_await shape_of_end(async_with(timeout(1s), in_time));
      happened(end);
      EXPECT_EQ(current_task().cancelling(), 0);
    }
    const std::string next = co_await ending(sleep(1s));
    happened("afterwards " + next);
  });
  EXPECT_EQ(happened.seen(), (lines{"timeout_error", "group(runtime_error(cleanup))", "afterwards done"}));
}

// S104
TEST(TaskGroupCancel, ends_tasks_and_body_without_an_exception) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      group.create_task(sleeper(happened, "child", 1h));
      get_running_loop().call_later(1s, [&] {
        group.cancel();
        group.cancel();
      });
      co_await sleeper(happened, "body", 1h);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
    EXPECT_EQ(current_task().cancelling(), 0);
    const std::string next = co_await ending(sleep(1s));
    happened("afterwards " + next);
  });
  EXPECT_EQ(happened.seen(), (lines{"child cancelled_error", "body cancelled_error", "done", "afterwards done"}));
}

// S104
TEST(TaskGroupCancel, from_the_body_reaches_it_at_its_next_await_and_never_when_there_is_none) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      group.cancel();
      happened("still here");
      co_await sleep(0s);
      happened("never");
    };
    co_await async_with(task_group(), body);
    co_await async_with(task_group(), [](task_group& group) { group.cancel(); });
    const std::string next = co_await ending(sleep(1s));
    happened("afterwards " + next);
  });
  EXPECT_EQ(happened.seen(), (lines{"still here", "afterwards done"}));
}

// S104
TEST(TaskGroupCancel, before_the_block_is_entered_cancels_on_entry_and_after_its_end_nothing) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    task_group group;
    group.cancel();
    const auto body = [&](task_group& g) -> coroutine<> {
      happened(thrown_by([&] { g.create_task(sleep(1s)); }));
      co_await sleeper(happened, "body", 1h);
    };
    const std::string end = co_await shape_of_end(async_with(group, body));
    happened(end);
    group.cancel();
    const std::string next = co_await ending(sleep(1s));
    happened("afterwards " + next);
  });
  EXPECT_EQ(happened.seen(), (lines{"runtime_error(the task_group is shutting down)", "body cancelled_error", "done",
                                    "afterwards done"}));
}

// S104
TEST(TaskGroupCancel, errors_of_the_shutdown_still_come_out) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) {
      const auto child = []() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        throw std::runtime_error("cleanup");
      };
      group.create_task(child);
      get_running_loop().call_later(1s, [&] { group.cancel(); });
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(cleanup))");
  });
}

TEST(TaskGroupCancel, a_body_that_owed_a_value_says_that_there_is_none) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<int> {
      group.cancel();
      co_await sleep(1s);
      co_return 1;
    };
    std::exception_ptr error;
    try {
      (void)co_await async_with(task_group(), body);
    } catch (const invalid_state_error&) {
      error = std::current_exception();
    }
    EXPECT_NE(error, nullptr);
  });
}

TEST(TaskGroupCancel, does_not_swallow_a_cancellation_from_outside) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool ours_first : {true, false}) {
      std::optional<task_group> group(std::in_place);
      const auto body = [] { return sleep(1h); };
      const auto work = [&]() -> coroutine<> { co_await async_with(*group, body); };
      task<> t = create_task(work);
      co_await sleep(1s);
      if (ours_first) group->cancel();
      t.cancel("outside");
      if (!ours_first) group->cancel();
      const std::string end = co_await ending(t);
      happened(end);
      EXPECT_EQ(t.cancelling(), 1);
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error(outside)", "cancelled_error(outside)"}));
}

// S86
TEST(TaskGroup, an_eager_task_that_fails_at_once_cancels_the_body_at_its_next_await) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      const auto fail = []() -> coroutine<> {
        throw std::runtime_error("at once");
        co_return;
      };
      group.create_task(fail(), {.eager_start = true});
      happened("created");
      co_await sleeper(happened, "body", 1h);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"created", "body cancelled_error", "group(runtime_error(at once))"}));
}

// S108's baseline holds for groups too: what was requested before the block is neither lost nor invented anew.
TEST(TaskGroup, entered_while_the_task_is_being_cancelled_ends_as_ever) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      EXPECT_EQ(current_task().cancelling(), 1);
      const auto body = [](task_group& group) -> coroutine<> {
        group.create_task(fail_after(1s, "cleanup"));
        co_await sleep(1h);
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
      EXPECT_EQ(current_task().cancelling(), 1);
      const std::string next = co_await ending(sleep(1s));
      happened("afterwards " + next);
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    co_await t;
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(cleanup))", "afterwards done"}));
}

TEST(TaskGroup, from_another_thread_is_refused) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) {
      std::string made, cancelled;
      std::thread([&] {
        made = thrown_by([&] { group.create_task(sleep(1s)); });
        cancelled = thrown_by([&] { group.cancel(); });
      }).join();
      EXPECT_TRUE(contains(made, "task_group.create_task()")) << made;
      EXPECT_TRUE(contains(cancelled, "task_group.cancel()")) << cancelled;
    };
    co_await async_with(task_group(), body);
  });
}

TEST(TaskGroup, may_be_cancelled_at_each_of_its_suspensions) {
  const auto body = []() -> coroutine<> {
    const auto in_group = [](task_group& group) -> coroutine<> {
      group.create_task(sleep(2s));
      group.create_task(
          []() -> coroutine<> { co_await async_with(task_group(), [](task_group& g) { g.create_task(sleep(1s)); }); });
      co_await sleep(1s);
      group.create_task(sleep(0s));
    };
    co_await async_with(task_group(), in_group);
    EXPECT_EQ(get_running_loop().metrics().tasks, 1u) << "it ends with no task left";
  };
  testing::inject_cancel(body);
}

TEST(TaskGroup, the_message_of_a_swallowed_cancellation_survives_however_long_the_body_goes_on) {
  for (const int burn : {0, 126, 200}) {
    testing::run([burn]() -> coroutine<> {
      auto t = create_task([burn]() -> coroutine<> {
        const any_task me = current_task();
        const auto crash = [me]() -> coroutine<> {
          co_await sleep(1ms);
          me.cancel("outside");
          throw std::runtime_error("crash");
        };
        const auto nothing = []() -> coroutine<> { co_return; };
        const auto body = [&](task_group& g) -> coroutine<> {
          g.create_task(crash);
          (void)co_await ending(sleep(1h));
          for (int i = 0; i < burn; ++i) co_await nothing();
          throw cancelled_error("outside");
        };
        (void)co_await ending(async_with(task_group(), body));
        auto again = co_await ending(sleep(1s));
        EXPECT_EQ(again, "cancelled_error(outside)") << burn;
      });
      co_await wait({}, t);
    });
  }
}

}  // namespace
}  // namespace asyncio::spec
