// SPDX-License-Identifier: BSL-1.0
// asyncio::testing::inject_cancel: at which points it cancels, how, and what is checked.
#include "spec/spec.hpp"

#include <set>

namespace asyncio::spec {
namespace {

TEST(InjectCheck, is_made_after_each_run) {
  int runs = 0, checks = 0;
  const auto body = [&]() -> coroutine<> {
    ++runs;
    for (int i = 0; i < 3; ++i) co_await sleep(0s);
  };
  const std::size_t cancelled = testing::inject_cancel(body, [&] { ++checks; });
  EXPECT_EQ(cancelled, 3u);
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(checks, 4);
}

TEST(InjectCheck, what_it_throws_comes_out_after_a_line_that_says_where) {
  int balance = 0;
  const auto body = [&]() -> coroutine<> {
    balance = 100;
    co_await sleep(1s);
    balance -= 30;
    co_await sleep(1s);  // the other half is lost when it is cancelled here
    balance += 30;
  };
  const auto check = [&] {
    if (balance != 100) throw std::logic_error("balance " + std::to_string(balance));
  };
  log_watch log;
  EXPECT_EQ(thrown_by([&] { testing::inject_cancel(body, check); }), "exception(balance 70)");
  EXPECT_EQ(log.taken(), (lines{"inject_cancel: failed when the body was cancelled at point 3"}));
}

TEST(InjectCheck, may_be_a_function_and_the_body_too) {
  struct local {
    static coroutine<int> body() {
      co_await sleep(1s);
      co_return 1;
    }
    static void check() {}
  };
  EXPECT_EQ(testing::inject_cancel(local::body, local::check), testing::inject_cancel(local::body));
}

TEST(InjectPoints, are_those_of_other_tasks_too_while_the_body_waits) {
  const auto waits_alone = []() -> coroutine<> { co_await sleep(1h); };
  EXPECT_EQ(testing::inject_cancel(waits_alone), 2u);  // asleep; woken
  std::set<int> steps_then;
  const auto waits_while_another_works = [&]() -> coroutine<> {
    int steps = 0;
    const auto work = [&]() -> coroutine<> {
      for (; steps < 5; ++steps) co_await sleep(0s);
    };
    task<> other = create_task(work);
    const std::string end = co_await ending(sleep(1h));
    if (end != "done") steps_then.insert(steps);
    co_await other;
  };
  EXPECT_GE(testing::inject_cancel(waits_while_another_works), 7u);
  EXPECT_GE(steps_then.size(), 5u);
}

// What one step has looked at is no longer true in the next one, of the same turn.
TEST(InjectPoints, lie_between_two_steps_of_the_same_turn) {
  const auto body = []() -> coroutine<> {
    future<> answer;
    bool wanted = false;
    const auto look = [&]() -> coroutine<> {
      co_await sleep(1s);
      wanted = !answer.done();
    };
    const auto give = [&]() -> coroutine<> {
      co_await sleep(1s);
      if (wanted) answer.set_result();
    };
    task<> looks = create_task(look);
    task<> gives = create_task(give);
    const std::string end = co_await ending(answer);
    co_await looks;
    co_await gives;
  };
  log_watch log;
  EXPECT_EQ(thrown_by([&] { testing::inject_cancel(body); }), "invalid_state_error");
}

TEST(InjectCheck, a_body_that_waits_for_ever_once_it_is_cancelled_is_a_deadlock) {
  const auto body = []() -> coroutine<> {
    const std::string end = co_await ending(sleep(1s));
    if (end != "done") co_await future<>();
  };
  log_watch log;
  EXPECT_THROW(testing::inject_cancel(body), testing::deadlock_error);
  EXPECT_EQ(log.taken(), (lines{"inject_cancel: failed when the body was cancelled at point 1"}));
}

TEST(InjectVariants, twice_reaches_the_cleanup) {
  int half_cleaned = 0;
  const auto check = [&] {
    if (half_cleaned != 0) throw std::logic_error("half cleaned up");
  };
  const auto cleans_with_an_await = [&]() -> coroutine<> {
    std::exception_ptr error;
    try {
      co_await sleep(1s);
    } catch (...) {
      error = std::current_exception();
    }
    if (error == nullptr) co_return;
    ++half_cleaned;
    co_await sleep(1s);
    --half_cleaned;
    std::rethrow_exception(error);
  };
  testing::inject_cancel(cleans_with_an_await, check);
  log_watch log;
  EXPECT_EQ(thrown_by([&] { testing::inject_cancel(cleans_with_an_await, check, {.twice = true}); }),
            "exception(half cleaned up)");
}

TEST(InjectVariants, twice_passes_a_cleanup_that_is_shielded) {
  int half_cleaned = 0;
  const auto clean = [&]() -> coroutine<> {
    ++half_cleaned;
    co_await sleep(1s);
    --half_cleaned;
  };
  const auto body = [&]() -> coroutine<> {
    std::exception_ptr error;
    try {
      co_await sleep(1s);
    } catch (...) {
      error = std::current_exception();
    }
    task<> cleanup = create_task(clean);
    while (!cleanup.done()) {
      const std::string end = co_await ending(shield(cleanup));
    }
    if (error != nullptr) std::rethrow_exception(error);
  };
  const std::size_t times = testing::inject_cancel(body,
                                                   [&] {
                                                     if (half_cleaned != 0) throw std::logic_error("half cleaned up");
                                                   },
                                                   {.twice = true});
  EXPECT_GE(times, 4u);
}

TEST(InjectVariants, all_tasks_are_cancelled_as_at_the_end_of_run) {
  std::set<std::string> of_helper, with_all;
  std::set<std::string>* ends = &of_helper;
  const auto body = [&]() -> coroutine<> {
    const auto help = [&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1s));
      ends->insert(end);
    };
    task<> helper = create_task(help);
    co_await sleep(1s);
    co_await helper;
  };
  testing::inject_cancel(body);
  ends = &with_all;
  testing::inject_cancel(body, {.all_tasks = true});
  EXPECT_TRUE(with_all.contains("cancelled_error(injected)"));
  EXPECT_TRUE(with_all.contains("done"));
}

TEST(InjectVariants, a_result_that_is_on_its_way_is_among_the_points) {
  int earned = 0, lost = 0;
  const auto body = [&]() -> coroutine<> {
    future<int> result;
    get_running_loop().call_later(1s, [result] {
      if (!result.done()) result.set_result(1);
    });
    const std::string end = co_await ending(result);
    if (end == "1" && current_task().cancelling() > 0) ++earned;
    if (end != "1" && result.done() && !result.cancelled()) ++lost;
  };
  testing::inject_cancel(body);
  EXPECT_GT(earned, 0);
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace asyncio::spec
