// SPDX-License-Identifier: BSL-1.0
// asyncio::run and runner.
#include "spec/spec.hpp"

#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

coroutine<int> give(int n) {
  co_await sleep(0s);
  co_return n;
}

// S40
TEST(Run, returns_the_value_or_throws_what_main_threw) {
  EXPECT_EQ(run(give(4)), 4);
  EXPECT_EQ(run([] { return give(5); }), 5);
  EXPECT_EQ(run(sleep(1ms, std::string("rested"))), "rested");
  run([]() -> coroutine<> { co_return; });
  const auto fail = []() -> coroutine<int> {
    co_await sleep(0s);
    throw std::out_of_range("main");
  };
  EXPECT_EQ(thrown_by([&] { run(fail); }), "exception(main)");
  EXPECT_EQ(thrown_by([&] { run(fail()); }), "exception(main)");
  const auto cancelled = []() -> coroutine<> {
    co_await sleep(0s);
    current_task().cancel("itself");
  };
  EXPECT_EQ(thrown_by([&] { run(cancelled); }), "cancelled_error(itself)");
}

// S40
TEST(Run, inside_a_running_loop_is_an_error_that_leaves_the_loop_running) {
  log_watch log;
  std::string thrown, by_runner;
  const int n = run([&]() -> coroutine<int> {
    thrown = thrown_by([] { run(give(1)); });
    by_runner = thrown_by([] {
      runner r;
      r.run(give(1));
    });
    co_await sleep(0s);
    co_return 2;
  });
  EXPECT_EQ(n, 2);
  EXPECT_EQ(thrown, "runtime_error(run() inside a running loop: co_await the coroutine, or make it a task)");
  EXPECT_EQ(by_runner, thrown);
}

// S49: a value is neither copied nor looked at.
TEST(Run, the_value_may_be_move_only_and_unprintable) {
  struct opaque {
    explicit opaque(int n) : n(n) {}
    opaque(opaque&&) = default;
    opaque& operator=(opaque&&) = delete;
    int n;
  };
  const auto main = []() -> coroutine<opaque> {
    co_await sleep(0s);
    co_return opaque(7);
  };
  EXPECT_EQ(run(main).n, 7);
  EXPECT_EQ(*run([]() -> coroutine<std::unique_ptr<int>> { co_return std::make_unique<int>(8); }), 8);
}

TEST(Run, the_closure_lives_as_long_as_main) {
  auto owned = std::make_shared<int>(3);
  const int n = run([copy = owned]() -> coroutine<int> {
    co_await sleep(0s);
    co_return *copy;
  });
  EXPECT_EQ(n, 3);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Run, a_value_that_somebody_else_has_a_handle_of_is_copied) {
  any_task saved;
  const auto main = [&]() -> coroutine<std::string> {
    saved = current_task();
    co_await sleep(0s);
    co_return std::string(40, 'a');
  };
  EXPECT_EQ(run(main), std::string(40, 'a'));
  EXPECT_EQ(saved.as<std::string>()->result(), std::string(40, 'a'));
}

// S41
TEST(Run, cancels_what_is_left_once_and_waits_for_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    create_task([&, watch]() -> coroutine<> {
      const std::string first = co_await ending(sleep(1h));
      happened(watch.at(first));
      const std::string second = co_await ending(sleep(5s));
      happened(watch.at(second));
    });
    co_await sleep(1s);
    happened(watch.at("main ends"));
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 main ends", "1000 cancelled_error", "6000 done"}));
}

// S41: also when main failed.
TEST(Run, cancels_what_is_left_also_when_main_failed) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    create_task([&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      happened(end);
    });
    co_await sleep(1ms);
    throw std::runtime_error("main");
  };
  happened(thrown_by([&] { run(main); }));
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error", "runtime_error(main)"}));
}

async_generator<int> noted(journal& happened) {
  std::exception_ptr exit;
  try {
    co_yield 1;
  } catch (const generator_exit&) {
    exit = std::current_exception();
  }
  co_await sleep(1ms);
  happened("generator closed");
  if (exit != nullptr) std::rethrow_exception(exit);
}

// S41: whichever way main ends, first the tasks, then the generators, then the loop.
TEST(Run, ends_tasks_before_generators_and_generators_before_the_loop) {
  for (const bool fails : {false, true}) {
    journal happened;
    event_loop* loop = nullptr;
    std::optional<async_generator<int>> kept;
    const auto main = [&]() -> coroutine<> {
      loop = &get_running_loop();
      kept.emplace(noted(happened));
      (void)co_await kept->next();
      create_task([&]() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        co_await sleep(2ms);
        happened("task ended");
      });
      co_await sleep(1ms);
      if (fails) throw std::runtime_error("main");
    };
    {
      runner r;
      happened(thrown_by([&] { r.run(main); }));
      r.get_loop().call_later(1h, [owned = std::shared_ptr<void>(nullptr, [&](void*) { happened("loop closed"); })] {});
      r.close();
    }
    EXPECT_EQ(happened.seen(),
              (lines{fails ? "runtime_error(main)" : "nothing", "task ended", "generator closed", "loop closed"}));
  }
}

// S42
TEST(Run, errors_of_what_is_left_are_reported_and_do_not_replace_mains_outcome) {
  log_watch log;
  const int n = run([]() -> coroutine<int> {
    const auto bad = []() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("while ending");
    };
    create_task(bad(), {.name = "bad one"});
    co_await sleep(1ms);
    co_return 9;
  });
  EXPECT_EQ(n, 9);
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "unhandled exception while the loop's tasks were cancelled")) << seen[0];
  EXPECT_TRUE(contains(seen[0], "bad one")) << seen[0];
  EXPECT_TRUE(contains(seen[0], "while ending")) << seen[0];
}

TEST(Run, a_main_that_stops_its_loop_is_told_so) {
  log_watch log;
  const auto main = []() -> coroutine<> {
    get_running_loop().stop();
    co_await sleep(1h);
  };
  EXPECT_EQ(thrown_by([&] { run(main); }), "runtime_error(the event loop was stopped before the future was done)");
}

TEST(Run, in_several_threads_at_once) {
  std::vector<std::thread> threads;
  std::vector<int> results(8);
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([i, &results] {
      results[static_cast<std::size_t>(i)] = run([i]() -> coroutine<int> {
        const auto [a, b] = co_await gather(give(i), give(i));
        co_return a + b;
      });
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(results, (std::vector<int>{0, 2, 4, 6, 8, 10, 12, 14}));
}

// S47
TEST(Runner, runs_one_after_another_on_the_same_loop) {
  runner r;
  event_loop& loop = r.get_loop();
  EXPECT_EQ(r.run(give(1)), 1);
  EXPECT_EQ(&r.get_loop(), &loop);
  task<int> left = loop.create_task(give(2));
  EXPECT_EQ(r.run([&]() -> coroutine<int> {
    const int n = co_await left;
    co_return n;
  }),
            2);
  const auto fail = []() -> coroutine<> {
    throw std::runtime_error("x");
    co_return;
  };
  EXPECT_EQ(thrown_by([&] { r.run(fail); }), "runtime_error(x)");
  EXPECT_EQ(r.run(give(3)), 3);
}

// S47
TEST(Runner, keeps_what_one_run_has_set_for_the_next) {
  context_var<int> v("v", -1);
  v.set(0);
  const auto exchange = [&](int n) -> coroutine<int> {
    const int before = v.get();
    co_await sleep(0s);
    v.set(n);
    co_return before;
  };
  runner r, other;
  EXPECT_EQ(r.run(exchange(1)), 0);
  EXPECT_EQ(r.run(exchange(2)), 1);
  EXPECT_EQ(r.run([&] { return exchange(3); }), 2);
  EXPECT_EQ(other.run(exchange(4)), 0) << "each has its own";
  EXPECT_EQ(v.get(), 0) << "and none changes the thread's";
}

// S47: as it was when the runner was first used.
TEST(Runner, has_a_copy_of_the_context_in_which_it_was_first_used) {
  context_var<int> v("v", 0);
  const auto look = [&]() -> coroutine<int> { co_return v.get(); };
  runner r;
  v.set(1);
  EXPECT_EQ(r.run(look()), 1);
  v.set(2);
  EXPECT_EQ(r.run(look()), 1);
  EXPECT_EQ(r.run(r.get_loop().create_task(look())), 2) << "a task has its creator's";
}

// S17, S40
TEST(Runner, cannot_run_inside_its_own_run) {
  log_watch log;
  runner r;
  EXPECT_EQ(thrown_by([&] {
              r.run([&]() -> coroutine<> {
                r.run(give(1));
                co_return;
              });
            }),
            "runtime_error(run() inside a running loop: co_await the coroutine, or make it a task)");
  EXPECT_EQ(r.run(give(2)), 2);
}

// S47
TEST(Runner, after_close_every_use_is_an_error_and_closing_twice_is_not) {
  log_watch log;
  runner r;
  EXPECT_EQ(r.run(give(1)), 1);
  r.close();
  r.close();
  EXPECT_EQ(thrown_by([&] { r.run(give(1)); }), "runtime_error(the runner is closed)");
  EXPECT_EQ(thrown_by([&] { (void)r.get_loop(); }), "runtime_error(the runner is closed)");
}

TEST(Runner, one_that_was_never_used_closes) {
  const testing::ledger before = testing::ledger::now();
  {
    runner unused;
    runner closed;
    closed.close();
  }
  testing::ledger::now().check_nothing_left_since(before);
}

// S47: its end is that of the last run only.
TEST(Runner, tasks_go_on_in_the_next_run_and_are_cancelled_at_the_end) {
  journal happened;
  testing::virtual_clock clock;
  {
    runner r({.clock = clock});
    r.run([&]() -> coroutine<> {
      create_task([&]() -> coroutine<> {
        for (int i = 0; i < 3; ++i) {
          const std::string end = co_await ending(sleep(2s));
          happened(end);
          if (end != "done") co_return;
        }
      });
      co_await sleep(1s);
    });
    happened("between");
    r.run([]() -> coroutine<> { co_await sleep(2s); });
    happened("end");
  }
  EXPECT_EQ(happened.seen(), (lines{"between", "done", "end", "cancelled_error"}));
}

TEST(Runner, its_destructor_reports_what_is_left_and_does_not_throw) {
  log_watch log;
  {
    runner r;
    r.run([]() -> coroutine<> {
      create_task([]() -> coroutine<> {
        (void)co_await ending(sleep(1h));
        throw std::runtime_error("late");
      });
      co_await sleep(1ms);
    });
  }
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "late")) << seen[0];
}

// S48
TEST(Runner, options_reach_the_loop) {
  testing::virtual_clock clock;
  runner r({.debug = true, .clock = clock});
  EXPECT_TRUE(r.get_loop().get_debug());
  EXPECT_EQ(r.get_loop().time(), clock.now());
  const char* backend = std::getenv("ASYNCIO_BACKEND");  // the tests run on both
  const bool on_ring = backend != nullptr && std::string_view(backend) == "io_uring";
  EXPECT_EQ(r.get_loop().backend(), on_ring ? backend_kind::io_uring : backend_kind::epoll);
}

}  // namespace
}  // namespace asyncio::spec
