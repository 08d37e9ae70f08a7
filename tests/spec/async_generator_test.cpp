// SPDX-License-Identifier: BSL-1.0
// async_generator: coroutines that yield values on their way.
#include "spec/spec.hpp"

#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

async_generator<int> count(int to, timedelta delay = 1s) {
  for (int i = 0; i < to; ++i) {
    co_yield i;
    co_await sleep(delay);
  }
}

/// Yields until it is closed; its clean-up waits.
async_generator<int> careful(journal* happened, std::string name) {
  const auto body = [](journal* log) -> coroutine<> {
    (*log)("body");
    co_return;
  };
  co_await body(happened);
  std::exception_ptr error;
  int n = 0;
  while (error == nullptr) {
    try {
      co_yield n++;
    } catch (...) {
      error = std::current_exception();
    }
  }
  co_await sleep(1s);
  (*happened)(name + " cleaned up");
  std::rethrow_exception(error);
}

TEST(AsyncGenerator, gives_its_values_one_by_one_and_then_none) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    auto numbers = count(3);
    while (auto n = co_await numbers.next()) happened(watch.at(std::to_string(*n)));
    const std::optional<int> more = co_await numbers.next();
    EXPECT_FALSE(more);
    happened(watch.at("end"));
  });
  EXPECT_EQ(happened.seen(), (lines{"0 0", "1000 1", "2000 2", "3000 end"}));
}

TEST(AsyncGenerator, does_nothing_before_its_first_next_and_nothing_when_it_is_dropped_then) {
  testing::run([]() -> coroutine<> {
    bool ran = false;
    const auto make = [](bool* flag) -> async_generator<int> {
      *flag = true;
      co_yield 1;
    };
    {
      auto dropped = make(&ran);
      co_await sleep(1s);
    }
    EXPECT_FALSE(ran);
    auto closed = make(&ran);
    co_await closed.aclose();
    const std::optional<int> value = co_await closed.next();
    EXPECT_FALSE(value);
    EXPECT_FALSE(ran);
  });
}

TEST(AsyncGenerator, yields_what_can_only_be_moved) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<std::unique_ptr<int>> {
      for (int i = 0; i < 2; ++i) {
        auto owned = std::make_unique<int>(i);
        co_yield std::move(owned);
      }
    };
    auto all = make();
    int sum = 0;
    while (auto p = co_await all.next()) sum += **p + 1;
    EXPECT_EQ(sum, 3);
  });
}

TEST(AsyncGenerator, what_it_throws_comes_out_of_next_and_it_has_ended_then) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<int> {
      co_yield 1;
      throw std::runtime_error("no more");
    };
    auto g = make();
    const std::optional<int> first = co_await g.next();
    EXPECT_EQ(first, 1);
    std::string error;
    try {
      (void)co_await g.next();
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    EXPECT_EQ(error, "no more");
    const std::optional<int> more = co_await g.next();
    EXPECT_FALSE(more);
  });
}

TEST(AsyncGenerator, dropped_where_it_stands_its_locals_die) {
  testing::run([]() -> coroutine<> {
    const auto held = std::make_shared<int>(1);
    const auto make = [](std::shared_ptr<int> keep) -> async_generator<int> {
      while (true) co_yield *keep;
    };
    {
      auto g = make(held);
      const std::optional<int> n = co_await g.next();
      EXPECT_EQ(n, 1);
      EXPECT_EQ(held.use_count(), 2);
    }
    EXPECT_EQ(held.use_count(), 1);
  });
}

TEST(AsyncGenerator, aclose_throws_generator_exit_at_the_yield_and_waits_for_the_clean_up) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    auto g = careful(&happened, "it");
    (void)co_await g.next();
    const stopwatch watch;
    co_await g.aclose();
    happened(watch.at("closed"));
    co_await g.aclose();
    const std::optional<int> more = co_await g.next();
    EXPECT_FALSE(more);
  });
  EXPECT_EQ(happened.seen(), (lines{"body", "it cleaned up", "1000 closed"}));
}

TEST(AsyncGenerator, that_yields_although_it_is_closed_is_told_off) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<int> {
      while (true) {
        try {
          co_yield 1;
        } catch (const generator_exit&) {}
      }
    };
    auto g = make();
    (void)co_await g.next();
    const std::string end = co_await ending(g.aclose());
    EXPECT_EQ(end, "runtime_error(the asynchronous generator ignored generator_exit)");
  });
}

TEST(AsyncGenerator, async_with_closes_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [](async_generator<int>& g) -> coroutine<int> {
      int sum = 0;
      while (auto n = co_await g.next()) {
        sum += *n;
        if (*n == 3) break;
      }
      co_return sum;
    };
    const int sum = co_await async_with(careful(&happened, "it"), body);
    EXPECT_EQ(sum, 6);
  });
  EXPECT_EQ(happened.seen(), (lines{"body", "it cleaned up"}));
}

TEST(AsyncGenerator, asend_gives_its_argument_to_the_yield) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<std::string, int> {
      std::optional<int> got = co_yield "ready";
      while (got) {
        std::string text = "got " + std::to_string(*got);
        got = co_yield std::move(text);
      }
      co_yield "nothing";
    };
    auto g = make();
    const std::optional<std::string> a = co_await g.next();
    const std::optional<std::string> b = co_await g.asend(5);
    const std::optional<std::string> c = co_await g.next();
    EXPECT_EQ(a, "ready");
    EXPECT_EQ(b, "got 5");
    EXPECT_EQ(c, "nothing");
  });
}

TEST(AsyncGenerator, athrow_throws_at_the_yield) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<int> {
      for (int i = 0;; ++i) {
        bool thrown = false;
        try {
          co_yield i;
        } catch (const std::runtime_error&) {
          thrown = true;
        }
        if (thrown) i = 99;
      }
    };
    auto g = make();
    (void)co_await g.next();
    const std::optional<int> after = co_await g.athrow(std::make_exception_ptr(std::runtime_error("jump")));
    EXPECT_EQ(after, 100);
    const std::string end = co_await ending(g.athrow(std::make_exception_ptr(std::invalid_argument("out"))));
    EXPECT_EQ(end, "invalid_argument");
    const std::optional<int> more = co_await g.next();
    EXPECT_FALSE(more);
  });
}

TEST(AsyncGenerator, runs_in_one_task_at_a_time) {
  testing::run([]() -> coroutine<> {
    const auto make = []() -> async_generator<int> {
      co_await sleep(1s);
      co_yield 1;
    };
    auto g = make();
    const auto take = [&]() -> coroutine<int> {
      const std::optional<int> n = co_await g.next();
      co_return n.value_or(0);
    };
    const task<int> first = create_task(take);
    co_await sleep(0s);
    const std::string second = co_await ending(take());
    const std::string closed = co_await ending(g.aclose());
    EXPECT_EQ(second, "runtime_error(the asynchronous generator is already running)");
    EXPECT_EQ(closed, second);
    const int n = co_await first;
    EXPECT_EQ(n, 1);
  });
}

TEST(AsyncGenerator, a_cancellation_is_thrown_where_it_waits_and_ends_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto make = [](journal* log) -> async_generator<int> {
      co_yield 1;
      const std::string end = co_await ending(sleep(1h));
      (*log)("inside " + end);
      throw cancelled_error();
    };
    const auto work = [&]() -> coroutine<> {
      auto g = make(&happened);
      while (auto n = co_await g.next()) happened(std::to_string(*n));
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"1", "inside cancelled_error", "cancelled_error"}));
}

TEST(AsyncGenerator, dropped_by_another_while_it_runs_it_goes_on_to_its_next_yield) {
  testing::run([]() -> coroutine<> {
    const auto held = std::make_shared<int>(1);
    const auto make = [](std::shared_ptr<int> keep) -> async_generator<int> {
      co_await sleep(2s);
      co_yield *keep;
    };
    auto g = std::make_unique<async_generator<int>>(make(held));
    const auto take = [](async_generator<int>* from) -> coroutine<int> {
      const std::optional<int> n = co_await from->next();
      co_return n.value_or(0);
    };
    const task<int> t = create_task(take(g.get()));
    co_await sleep(1s);
    g.reset();
    const int n = co_await t;
    EXPECT_EQ(n, 1);
    EXPECT_EQ(held.use_count(), 1);
  });
}

TEST(AsyncGenerator, delegates_to_another_a_hundred_thousand_times_without_growing_the_stack) {
  testing::run([]() -> coroutine<> {
    const auto inner = []() -> async_generator<int> {
      for (int i = 0; i < 100000; ++i) co_yield 1;
    };
    const auto outer = [&inner]() -> async_generator<int> {
      auto from = inner();
      while (auto n = co_await from.next()) co_yield *n;
    };
    auto g = outer();
    long sum = 0;
    while (auto n = co_await g.next()) sum += *n;
    EXPECT_EQ(sum, 100000);
  });
}

// S242
TEST(AsyncGenerator, run_closes_those_that_are_left_and_reports_what_they_throw) {
  journal happened;
  std::optional<async_generator<int>> left, failing, ended;
  const auto fail = []() -> async_generator<int> {
    std::exception_ptr error;
    try {
      co_yield 1;
    } catch (...) {
      error = std::current_exception();
    }
    co_await sleep(1ms);
    throw std::runtime_error("in the clean-up");
  };
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { happened(c.message + ": " + name_of(c.exception)); });
    left.emplace(careful(&happened, "left"));
    failing.emplace(fail());
    ended.emplace(count(1, 0s));
    (void)co_await left->next();
    (void)co_await failing->next();
    while (auto n = co_await ended->next()) {}
  });
  EXPECT_EQ(happened.seen(), (lines{"body", "left cleaned up",
                                    "an error occurred while closing an asynchronous generator: "
                                    "runtime_error(in the clean-up)"}));
  left.reset();
}

// S242: whatever one of them throws, the others are closed, and main's outcome stands.
TEST(AsyncGenerator, one_that_ends_badly_when_run_closes_it_keeps_no_other_open) {
  journal happened;
  std::optional<async_generator<int>> cancelled, thrown, last;
  const auto fail = [](bool cancels) -> async_generator<int> {
    try {
      co_yield 1;
    } catch (const generator_exit&) {
      if (cancels) throw cancelled_error();
      throw 7;
    }
  };
  const int n = testing::run([&]() -> coroutine<int> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { happened(name_of(c.exception)); });
    cancelled.emplace(fail(true));
    thrown.emplace(fail(false));
    last.emplace(careful(&happened, "last"));
    (void)co_await cancelled->next();
    (void)co_await thrown->next();
    (void)co_await last->next();
    co_return 3;
  });
  EXPECT_EQ(n, 3);
  EXPECT_EQ(happened.seen(), (lines{"body", "int(7)", "last cleaned up"}));
}

TEST(AsyncGenerator, may_outlive_a_loop_that_was_closed_without_closing_it) {
  const testing::ledger before = testing::ledger::now();
  {
    std::optional<async_generator<int>> g;
    {
      auto loop = new_event_loop();
      loop->run_until_complete([&]() -> coroutine<> {
        g.emplace(count(5));
        (void)co_await g->next();
      });
    }
  }
  testing::ledger::now().check_nothing_left_since(before);
}

TEST(AsyncGenerator, may_be_cancelled_at_each_of_its_suspensions) {
  testing::inject_cancel([]() -> coroutine<> {
    const auto held = std::make_shared<int>(1);
    const auto make = [](std::shared_ptr<int> keep) -> async_generator<int> {
      for (int i = 0; i < 3; ++i) {
        co_await sleep(1s);
        co_yield *keep;
      }
    };
    const auto use = [&]() -> coroutine<> {
      auto g = make(held);
      while (auto n = co_await g.next()) co_await sleep(1s);
    };
    const auto check = [&]() -> coroutine<> {
      EXPECT_EQ(held.use_count(), 1);
      co_return;
    };
    co_await async_finally(use, check);
  });
}

// ---- context_manager

async_generator<int> open_door(journal* happened, bool swallows) {
  (*happened)("open");
  std::exception_ptr error;
  try {
    co_yield 7;
  } catch (const std::runtime_error&) {
    error = std::current_exception();
  }
  co_await sleep(1s);
  (*happened)(error == nullptr ? "close" : "close after " + name_of(error));
  if (error != nullptr && !swallows) std::rethrow_exception(error);
}

TEST(ContextManager, enters_by_what_stands_before_the_yield_and_leaves_by_what_stands_after_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](int& n) -> coroutine<int> {
      happened("body");
      co_return n + 1;
    };
    const int n = co_await async_with(context_manager(open_door(&happened, false)), body);
    EXPECT_EQ(n, 8);
  });
  EXPECT_EQ(happened.seen(), (lines{"open", "body", "close"}));
}

TEST(ContextManager, throws_the_bodys_exception_at_the_yield_which_may_handle_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    for (const bool swallows : {false, true}) {
      const auto body = []() -> coroutine<> {
        throw std::runtime_error("body");
        co_return;
      };
      const std::string end = co_await ending(async_with(context_manager(open_door(&happened, swallows)), body));
      happened(end);
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"open", "close after runtime_error(body)", "runtime_error(body)", "open",
                                    "close after runtime_error(body)", "done"}));
}

TEST(ContextManager, a_generator_that_does_not_yield_exactly_once_is_an_error) {
  testing::run([]() -> coroutine<> {
    const auto never = []() -> async_generator<int> { co_return; };
    const auto twice = []() -> async_generator<int> {
      co_yield 1;
      co_yield 2;
    };
    const std::string none = co_await ending(async_with(context_manager(never()), [] {}));
    const std::string two = co_await ending(async_with(context_manager(twice()), [] {}));
    EXPECT_EQ(none, "runtime_error(the generator of a context_manager did not yield)");
    EXPECT_EQ(two, "runtime_error(the generator of a context_manager did not stop)");
  });
}

TEST(AsyncGenerator, what_is_sent_reaches_the_co_yield_of_that_call_or_none) {
  testing::run([]() -> coroutine<> {
    journal log;
    const auto echo = [&log]() -> async_generator<int, int> {
      for (int i = 0;; ++i) {
        const std::optional<int> sent = co_yield i;
        log(sent ? std::to_string(*sent) : "nothing");
        co_await sleep(1s);
      }
    };
    auto g = echo();
    auto too_early = co_await ending(g.asend(7));
    EXPECT_EQ(too_early, "runtime_error(asend() to an asynchronous generator that has not begun: call next() first)");
    (void)co_await g.next();
    auto running = create_task([&]() -> coroutine<> { (void)co_await g.next(); });
    co_await sleep(0s);
    auto refused = co_await ending(g.asend(5));
    EXPECT_EQ(refused, "runtime_error(the asynchronous generator is already running)");
    co_await running;
    { [[maybe_unused]] auto dropped = g.asend(6); }
    (void)co_await g.next();
    (void)co_await g.asend(8);
    EXPECT_EQ(log.seen(), (lines{"nothing", "nothing", "8"}));
    co_await g.aclose();
  });
}

}  // namespace
}  // namespace asyncio::spec
