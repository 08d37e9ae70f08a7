// SPDX-License-Identifier: BSL-1.0
// task_group: what happens when several things happen at once.
#include "spec/spec.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace asyncio::spec {
namespace {

coroutine<> fail_after(timedelta delay, const char* what) {
  co_await sleep(delay);
  throw std::runtime_error(what);
}

/// What an exception_group holds: "group(a, group(b))"; of anything else, its name.
std::string shape_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const exception_group& group) {
    std::string text = "group(";
    for (const std::exception_ptr& e : group.exceptions()) text += (text.back() == '(' ? "" : ", ") + shape_of(e);
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

/// Answers its cancellation by an error.
coroutine<> crash_when_cancelled(const char* what) {
  (void)co_await ending(sleep(1h));
  throw std::runtime_error(what);
}

/// Answers its cancellation after a while.
coroutine<> slow_to_end(timedelta delay) {
  std::exception_ptr error;
  try {
    co_await sleep(1h);
  } catch (const cancelled_error&) {
    error = std::current_exception();
  }
  co_await sleep(delay);
  if (error != nullptr) std::rethrow_exception(error);
}

// S94: the child crashes while the body, cancelled from outside, cleans up.
TEST(TaskGroupRaces, a_child_that_crashes_while_the_cancelled_body_cleans_up_beats_the_cancellation) {
  testing::run([]() -> coroutine<> {
    for (const bool in_a_task_of_its_own : {false, true}) {
      const stopwatch watch;
      const auto grouped = []() -> coroutine<> {
        const auto body = [](task_group& group) -> coroutine<> {
          group.create_task(fail_after(300ms, "crash"));
          co_await slow_to_end(500ms);
        };
        co_await async_with(task_group(), body);
      };
      const auto through_a_task = [&]() -> coroutine<> { co_await create_task(grouped); };
      task<> t = in_a_task_of_its_own ? create_task(through_a_task) : create_task(grouped);
      co_await sleep(100ms);
      t.cancel();
      const std::string end = co_await shape_of_end(t);
      EXPECT_EQ(end, "group(runtime_error(crash))");
      EXPECT_EQ(watch.ms(), 300) << "the crash cancelled the body's clean-up";
      EXPECT_FALSE(t.cancelled());
    }
  });
}

// S94
TEST(TaskGroupRaces, a_body_that_is_slow_to_end_is_waited_for) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [](task_group& group) -> coroutine<> {
      group.create_task(slow_to_end(3s));
      group.create_task(fail_after(1s, "crash"));
      co_await slow_to_end(2s);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(crash))");
    EXPECT_EQ(watch.ms(), 4000);
    EXPECT_EQ(get_running_loop().metrics().tasks, 1u);
  });
}

// S93: the request comes between the child's crash and the end of the group.
TEST(TaskGroupRaces, a_cancellation_that_comes_with_a_crash_is_delivered_after_the_group) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool crash_first : {true, false}) {
      std::optional<task<>> parent;
      const auto crash = [&]() -> coroutine<> {
        co_await sleep(1s);
        if (!crash_first) parent->cancel("outside");
        throw std::runtime_error("crash");
      };
      const auto work = [&]() -> coroutine<> {
        const auto body = [&](task_group& group) -> coroutine<> {
          const task<> child = group.create_task(crash);
          if (crash_first) child.add_done_callback([&](const task<>&) { parent->cancel("outside"); });
          co_await sleep(1h);
        };
        const std::string end = co_await shape_of_end(async_with(task_group(), body));
        happened(end);
        EXPECT_EQ(current_task().cancelling(), 1);
        const std::string next = co_await ending(sleep(1h));
        happened("next " + next);
        const std::string last = co_await ending(sleep(1s));
        happened("last " + last);
      };
      parent = create_task(work);
      co_await *parent;
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(crash))", "next cancelled_error(outside)", "last done",
                                    "group(runtime_error(crash))", "next cancelled_error(outside)", "last done"}));
}

// S93, S96: with another group inside.
TEST(TaskGroupRaces, a_cancellation_from_outside_and_errors_of_the_inner_clean_up_end_both_groups) {
  testing::run([]() -> coroutine<> {
    for (const bool outer_has_a_child : {false, true}) {
      const auto inner = [](task_group& group) -> coroutine<> {
        for (int i = 0; i < 2; ++i) group.create_task(crash_when_cancelled("cleanup"));
        co_await sleep(1h);
      };
      const auto outer = [&](task_group& group) -> coroutine<> {
        if (outer_has_a_child) group.create_task(sleep(1h));
        co_await async_with(task_group(), inner);
      };
      task<> t = create_task(async_with(task_group(), outer));
      co_await sleep(1s);
      t.cancel();
      const std::string end = co_await shape_of_end(t);
      EXPECT_EQ(end, "group(group(runtime_error(cleanup), runtime_error(cleanup)))");
      EXPECT_EQ(t.cancelling(), 1);
    }
  });
}

// S96: children of both fail in the same turn.
TEST(TaskGroupRaces, nested_groups_that_fail_together_each_tell_their_own_error) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto both = [&](task_group& outer) -> coroutine<> {
      const auto inside = [&](task_group& inner) {
        inner.create_task(fail_after(0s, "inner"));
        outer.create_task(fail_after(0s, "outer"));
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), inside));
      happened(end);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), both));
    happened(end);
    EXPECT_EQ(current_task().cancelling(), 0);
    const std::string next = co_await ending(sleep(1s));
    happened("afterwards " + next);
  });
  EXPECT_EQ(happened.seen(), (lines{"group(runtime_error(inner))", "group(runtime_error(outer))", "afterwards done"}));
}

// S91: whatever the body does with the request that the group made.
TEST(TaskGroupRaces, no_request_of_the_group_is_left_behind_when_the_body_does_not_take_it) {
  testing::run([]() -> coroutine<> {
    const auto swallows = [](task_group& group) -> coroutine<> {
      group.create_task(fail_after(1s, "x"));
      (void)co_await ending(sleep(1h));
    };
    const auto never_awaits_again = [](task_group& group) -> coroutine<> {
      const task<> child = group.create_task(fail_after(0s, "x"));
      co_await wait(wait_options(), child);
    };
    const auto fails_too = [](task_group& group) -> coroutine<> {
      const task<> child = group.create_task(fail_after(0s, "x"));
      (void)co_await ending(child);
      throw std::runtime_error("body");
    };
    const auto ended_before = [](task_group& group) { group.create_task(fail_after(1s, "x")); };
    const auto at_once = [](task_group& group) {
      const auto fail = []() -> coroutine<> {
        throw std::runtime_error("x");
        co_return;
      };
      group.create_task(fail(), {.eager_start = true});
    };
    const auto checked = [](auto group, const char* expected) -> coroutine<> {
      const std::string end = co_await shape_of_end(std::move(group));
      EXPECT_EQ(end, expected);
      EXPECT_EQ(current_task().cancelling(), 0);
      const std::string next = co_await ending(sleep(1s));
      EXPECT_EQ(next, "done");
    };
    co_await checked(async_with(task_group(), swallows), "group(runtime_error(x))");
    co_await checked(async_with(task_group(), never_awaits_again), "group(runtime_error(x))");
    co_await checked(async_with(task_group(), fails_too), "group(runtime_error(x), runtime_error(body))");
    co_await checked(async_with(task_group(), ended_before), "group(runtime_error(x))");
    co_await checked(async_with(task_group(), at_once), "group(runtime_error(x))");
  });
}

// S91
TEST(TaskGroupRaces, the_requests_of_before_are_as_many_after_it) {
  testing::run([]() -> coroutine<> {
    for (const int before : {0, 1, 3}) {
      const auto work = [before]() -> coroutine<> {
        for (int i = 0; i < before; ++i) current_task().cancel();
        if (before > 0) (void)co_await ending(sleep(1h));
        EXPECT_EQ(current_task().cancelling(), before);
        const auto fails = [](task_group& group) -> coroutine<> {
          group.create_task(fail_after(1s, "x"));
          co_await sleep(1h);
        };
        const std::string end = co_await shape_of_end(async_with(task_group(), fails));
        EXPECT_EQ(end, "group(runtime_error(x))");
        EXPECT_EQ(current_task().cancelling(), before);
        const std::string next = co_await ending(sleep(1s));
        EXPECT_EQ(next, "done");
      };
      co_await create_task(work);
    }
  });
}

// S92: the body's error cancels all children, and theirs join it.
TEST(TaskGroupRaces, a_body_that_fails_while_children_run_gets_their_errors_beside_its_own) {
  testing::run([]() -> coroutine<> {
    std::vector<task<>> children;
    const auto body = [&](task_group& group) -> coroutine<> {
      children.push_back(group.create_task(sleep(1h)));
      children.push_back(group.create_task(crash_when_cancelled("cleanup")));
      children.push_back(group.create_task(sleep(1h)));
      co_await sleep(1s);
      throw std::runtime_error("body");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(cleanup), runtime_error(body))");
    EXPECT_TRUE(children[0].cancelled());
    EXPECT_TRUE(children[2].cancelled());
  });
}

// S92: the body fails without having waited, so that no child has begun.
TEST(TaskGroupRaces, children_of_a_body_that_fails_at_once_never_begin) {
  testing::run([]() -> coroutine<> {
    bool began = false;
    const auto child = [&]() -> coroutine<> {
      began = true;
      co_return;
    };
    const auto body = [&](task_group& group) {
      group.create_task(child);
      throw std::runtime_error("body");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(body))");
    EXPECT_FALSE(began);
  });
}

// S98
TEST(TaskGroupRaces, keyboard_interrupt_of_the_body_beats_the_error_of_a_child) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      group.create_task(fail_after(1s, "child"));
      (void)co_await ending(sleep(1h));
      throw keyboard_interrupt();
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "keyboard_interrupt");
  });
}

// S98: it leaves the loop at once, and the group as soon as the loop runs again.
TEST(TaskGroupRaces, keyboard_interrupt_of_a_child_comes_out_bare_when_the_others_have_ended) {
  journal happened;
  testing::virtual_clock clock;
  auto loop = new_event_loop({.clock = clock});
  const auto interrupt = []() -> coroutine<> {
    co_await sleep(1s);
    throw keyboard_interrupt();
  };
  const auto other = [&]() -> coroutine<> {
    const std::string end = co_await ending(sleep(1h));
    happened("other " + end);
    throw std::runtime_error("cleanup");
  };
  const auto work = [&]() -> coroutine<> {
    const auto body = [&](task_group& group) -> coroutine<> {
      group.create_task(interrupt);
      group.create_task(other);
      co_await sleep(1h);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
  };
  task<> t = loop->create_task(work);
  happened("loop: " + thrown_by([&] { loop->run_until_complete(t); }));
  EXPECT_FALSE(t.done());
  loop->run_until_complete(t);
  EXPECT_EQ(happened.seen(), (lines{"loop: keyboard_interrupt", "other cancelled_error", "keyboard_interrupt"}));
}

// S105
TEST(TaskGroupRaces, generator_exit_of_the_body_leaves_bare_unless_a_child_fails) {
  testing::run([]() -> coroutine<> {
    for (const bool child_fails : {false, true}) {
      const auto body = [child_fails](task_group& group) -> coroutine<> {
        if (child_fails)
          group.create_task(crash_when_cancelled("cleanup"));
        else
          group.create_task(sleep(1h));
        co_await sleep(1s);
        throw generator_exit();
      };
      std::string end;
      try {
        co_await async_with(task_group(), body);
      } catch (const generator_exit&) {
        end = "generator_exit";
      } catch (const exception_group& group) {
        end = "a group of " + std::to_string(group.exceptions().size());
      }
      EXPECT_EQ(end, child_fails ? "a group of 2" : "generator_exit");
    }
  });
}

// S86: a child that starts at once creates one that fails at once, before the group knows the first.
TEST(TaskGroupRaces, a_task_during_whose_creation_the_group_fails_is_cancelled) {
  for (const bool eagerly : {false, true}) {
    journal happened;
    testing::run([&]() -> coroutine<> {
      const task_options how{.eager_start = eagerly};
      const auto body = [&](task_group& group) {
        const auto fail = []() -> coroutine<> {
          throw std::runtime_error("third");
          co_return;
        };
        const auto second = [&group, how, &happened, fail]() -> coroutine<> {
          group.create_task(how, fail);
          const std::string first = co_await ending(sleep(0s));
          const std::string next = co_await ending(sleep(0s));
          happened(first == "cancelled_error" || next == "cancelled_error" ? "cancelled" : "missed");
        };
        group.create_task(how, second);
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), body));
      happened(end);
    });
    EXPECT_EQ(happened.seen(), (lines{"cancelled", "group(runtime_error(third))"})) << eagerly;
  }
}

// S88, S81
TEST(TaskGroupRaces, groups_of_eager_tasks_in_each_other_end) {
  testing::run([]() -> coroutine<> {
    struct tree {
      static coroutine<> grow(int& leaves, int depth) {
        if (depth == 0) {
          ++leaves;
          co_return;
        }
        const auto body = [&leaves, depth](task_group& group) {
          for (int i = 0; i < 2; ++i) group.create_task({.eager_start = true}, grow, std::ref(leaves), depth - 1);
        };
        co_await async_with(task_group(), body);
      }
    };
    int leaves = 0;
    co_await tree::grow(leaves, 6);
    EXPECT_EQ(leaves, 64);
  });
}

// S89: a child that is cancelled and answers by an error has failed.
TEST(TaskGroupRaces, a_child_that_answers_its_own_cancellation_by_an_error_ends_the_group) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      const task<> child = group.create_task(crash_when_cancelled("instead"));
      co_await sleep(1s);
      child.cancel();
      co_await sleep(1h);
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(instead))");
  });
}

// S99
TEST(TaskGroupRaces, a_child_cannot_add_tasks_to_a_group_that_fails) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](task_group& group) {
      const auto adds = [&]() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        happened(thrown_by([&] { group.create_task(sleep(1s)); }));
      };
      group.create_task(adds);
      group.create_task(fail_after(1s, "x"));
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"runtime_error(the task_group is shutting down)", "group(runtime_error(x))"}));
}

// S77
TEST(TaskGroupRaces, tasks_may_share_a_context_that_they_are_given) {
  context_var<int> v("v", 0);
  testing::run([&]() -> coroutine<> {
    const auto set = [&](int n) -> coroutine<int> {
      co_await sleep(0s);
      const int before = v.get();
      v.set(n);
      co_return before;
    };
    const auto body = [&](task_group& group) -> coroutine<> {
      context shared;
      const int first = co_await group.create_task(set(1), {.context = &shared});
      const int second = co_await group.create_task(set(2), {.context = &shared});
      EXPECT_EQ(first, 0);
      EXPECT_EQ(second, 1);
      EXPECT_EQ(shared.run([&] { return v.get(); }), 2);
      EXPECT_EQ(v.get(), 0);
    };
    co_await async_with(task_group(), body);
  });
}

// S104: what is cancelled is the block, and all blocks inside it.
TEST(TaskGroupCancel, of_the_outer_group_goes_through_the_inner_one_and_stops_at_its_own_end) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto outer = [&](task_group& group) -> coroutine<> {
      get_running_loop().call_later(1s, [&] { group.cancel(); });
      const auto inner = [](task_group& g) -> coroutine<> {
        g.create_task(sleep(1h));
        co_await sleep(1h);
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), inner));
      happened("inner " + end);
      co_await sleep(1s);
      happened("the request was delivered once");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), outer));
    happened("outer " + end);
    EXPECT_EQ(current_task().cancelling(), 0);
  });
  EXPECT_EQ(happened.seen(), (lines{"inner cancelled_error", "the request was delivered once", "outer done"}));
}

// S104
TEST(TaskGroupCancel, of_the_inner_group_leaves_the_outer_one_alone) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto outer = [&](task_group& group) -> coroutine<> {
      const task<> child = group.create_task(sleep(5s));
      const auto inner = [](task_group& g) -> coroutine<> {
        get_running_loop().call_later(1s, [&] { g.cancel(); });
        co_await sleep(1h);
      };
      const std::string end = co_await shape_of_end(async_with(task_group(), inner));
      happened("inner " + end);
      co_await child;
      happened("child done");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), outer));
    happened("outer " + end);
  });
  EXPECT_EQ(happened.seen(), (lines{"inner done", "child done", "outer done"}));
}

// S104: by a child of its own, while the block waits for the children.
TEST(TaskGroupCancel, by_a_child_while_the_body_has_ended_ends_the_others) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    const auto body = [&](task_group& group) {
      const auto ends_all = [&]() -> coroutine<> {
        co_await sleep(1s);
        group.cancel();
        co_await sleep(0s);
        happened("never");
      };
      group.create_task(ends_all);
      group.create_task(slow_to_end(2s));
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    happened(watch.at(end));
  });
  EXPECT_EQ(happened.seen(), (lines{"3000 done"}));
}

// S104
TEST(TaskGroupCancel, a_body_that_fails_after_it_comes_out_as_a_group) {
  testing::run([]() -> coroutine<> {
    const auto body = [](task_group& group) -> coroutine<> {
      group.cancel();
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("body");
    };
    const std::string end = co_await shape_of_end(async_with(task_group(), body));
    EXPECT_EQ(end, "group(runtime_error(body))");
    EXPECT_EQ(current_task().cancelling(), 0);
  });
}

// S103, S107: the deadline of a timeout outside passes while the group shuts down.
TEST(TaskGroupRaces, a_deadline_outside_that_passes_while_the_group_ends_is_told_when_nothing_failed) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool fails : {false, true}) {
      const stopwatch watch;
      const auto grouped = [fails]() -> coroutine<> {
        const auto body = [fails](task_group& group) -> coroutine<> {
          group.create_task(slow_to_end(3s));
          get_running_loop().call_later(1s, [&group] { group.cancel(); });
          if (fails) group.create_task(crash_when_cancelled("x"));
          co_await sleep(1h);
        };
        co_await async_with(task_group(), body);
      };
      const std::string end = co_await shape_of_end(async_with(timeout(2s), grouped));
      happened(watch.at(end));
      EXPECT_EQ(current_task().cancelling(), 0);
      const std::string next = co_await ending(sleep(1s));
      EXPECT_EQ(next, "done");
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"4000 timeout_error", "4000 group(runtime_error(x))"}));
}

}  // namespace
}  // namespace asyncio::spec
