// SPDX-License-Identifier: BSL-1.0
// Running, stopping and closing a loop.
#include "spec/spec.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>

namespace asyncio::spec {
namespace {

coroutine<int> answer(int n) {
  co_await sleep(0s);
  co_return n;
}
coroutine<> fail(const char* what) {
  co_await sleep(0s);
  throw std::runtime_error(what);
}

// S12
TEST(EventLoopStop, stop_finishes_the_present_batch_and_keeps_the_rest_for_the_next_run) {
  auto loop = new_event_loop();
  journal happened;
  loop->call_soon([&] {
    happened("stops");
    loop->stop();
    loop->call_soon([&] { happened("later"); });
  });
  loop->call_soon([&] { happened("same batch"); });
  loop->run_forever();
  happened("stopped");
  loop->call_soon([&] { loop->stop(); });
  loop->run_forever();
  EXPECT_EQ(happened.seen(), (lines{"stops", "same batch", "stopped", "later"}));
}

// S13
TEST(EventLoopStop, stop_before_run_forever_makes_one_iteration_without_waiting) {
  testing::virtual_clock clock;
  auto loop = new_event_loop({.clock = clock});
  journal happened;
  loop->call_soon([&] {
    happened("ready");
    loop->call_soon([&] { happened("next iteration"); });
  });
  loop->call_later(1h, [&] { happened("timer"); });
  loop->stop();
  loop->run_forever();
  EXPECT_EQ(happened.seen(), (lines{"ready"}));
  loop->stop();
  loop->run_forever();
  EXPECT_EQ(happened.seen(), (lines{"ready", "next iteration"}));
}

TEST(EventLoopStop, stopping_several_times_stops_once) {
  auto loop = new_event_loop();
  int turns = 0;
  loop->stop();
  loop->stop();
  loop->run_forever();
  loop->call_soon([&] {
    ++turns;
    loop->call_soon([&] {
      ++turns;
      loop->stop();
    });
  });
  loop->run_forever();
  EXPECT_EQ(turns, 2);
}

TEST(EventLoopStop, is_running_is_true_inside_a_run_only) {
  auto loop = new_event_loop();
  EXPECT_FALSE(loop->is_running());
  loop->call_soon([&] {
    EXPECT_TRUE(loop->is_running());
    loop->stop();
  });
  loop->run_forever();
  EXPECT_FALSE(loop->is_running());
}

// S14
TEST(RunUntilComplete, returns_the_value_or_throws_what_the_awaitable_threw) {
  auto loop = new_event_loop();
  EXPECT_EQ(loop->run_until_complete(answer(3)), 3);
  EXPECT_EQ(loop->run_until_complete([] { return answer(4); }), 4);
  EXPECT_EQ(loop->run_until_complete(sleep(0s, 5)), 5);
  task<int> t = loop->create_task(answer(6));
  EXPECT_EQ(loop->run_until_complete(t), 6);
  EXPECT_EQ(loop->run_until_complete(t), 6);
  EXPECT_EQ(thrown_by([&] { loop->run_until_complete(fail("broken")); }), "runtime_error(broken)");
}

// S14
TEST(RunUntilComplete, a_future_that_is_done_already_needs_no_more_than_a_turn) {
  auto loop = new_event_loop();
  future<std::string> f(*loop);
  f.set_result("there");
  EXPECT_EQ(loop->run_until_complete(f), "there");
  future<> failed(*loop);
  failed.set_exception(std::runtime_error("so"));
  EXPECT_EQ(thrown_by([&] { loop->run_until_complete(failed); }), "runtime_error(so)");
}

template <class A>
concept can_be_completed = requires(event_loop& loop, A a) { loop.run_until_complete(std::move(a)); };

// S14: an error of the compiler.
TEST(RunUntilComplete, takes_what_can_be_awaited_and_nothing_else) {
  EXPECT_TRUE(can_be_completed<coroutine<int>>);
  EXPECT_TRUE(can_be_completed<future<>>);
  EXPECT_FALSE(can_be_completed<int>);
  EXPECT_FALSE(can_be_completed<std::string>);
}

// S14
TEST(RunUntilComplete, refuses_a_future_of_another_loop) {
  auto loop = new_event_loop();
  auto other = new_event_loop();
  future<> f(*other);
  EXPECT_EQ(thrown_by([&] { loop->run_until_complete(f); }), "invalid_argument");
  EXPECT_FALSE(loop->is_running());
}

// S15
TEST(RunUntilComplete, a_loop_that_is_stopped_first_is_an_error) {
  auto loop = new_event_loop();
  future<> never(*loop);
  loop->call_soon([&] { loop->stop(); });
  EXPECT_EQ(thrown_by([&] { loop->run_until_complete(never); }),
            "runtime_error(the event loop was stopped before the future was done)");
  never.set_result();
  loop->run_until_complete(never);
}

TEST(RunUntilComplete, waits_for_the_future_it_was_given_whatever_becomes_of_the_callers_handle) {
  auto loop = new_event_loop();
  future<int> named(*loop);
  loop->call_soon([&] {
    const future<int> first = named;
    named = future<int>(*loop);
    loop->call_soon([first] { first.set_result(1); });
  });
  EXPECT_EQ(loop->run_until_complete(named), 1);
  EXPECT_FALSE(named.done());
}

// A closure is where its captures are: it outlives whatever it started.
TEST(RunUntilComplete, a_function_lives_until_what_it_returned_has_ended) {
  auto loop = new_event_loop();
  journal happened;
  const auto start = [&loop, &happened](std::shared_ptr<void> part) {
    const auto work = [&happened, part = std::move(part)]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      happened(end);
    };
    loop->call_soon([&loop] { loop->stop(); });
    return thrown_by([&] { loop->run_until_complete(work); });
  };
  const std::string error = start(std::shared_ptr<void>(nullptr, [&](void*) { happened("the function is gone"); }));
  EXPECT_EQ(error, "runtime_error(the event loop was stopped before the future was done)");
  loop->close();
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error", "the function is gone"}));
}

// S16
TEST(RunUntilComplete, an_orphan_that_is_done_later_does_not_stop_a_later_run) {
  auto loop = new_event_loop();
  future<> orphan(*loop);
  loop->call_soon([&] { loop->stop(); });
  EXPECT_NE(thrown_by([&] { loop->run_until_complete(orphan); }), "nothing");
  loop->call_soon([&] { orphan.set_result(); });
  EXPECT_EQ(loop->run_until_complete([]() -> coroutine<int> {
    co_await settle();
    co_return 1;
  }),
            1);
}

// S17
TEST(RunUntilComplete, no_loop_runs_inside_a_running_one) {
  log_watch log;  // of the coroutines that are refused
  auto loop = new_event_loop();
  auto other = new_event_loop();
  lines thrown;
  loop->run_until_complete([&]() -> coroutine<> {
    thrown.push_back(thrown_by([&] { loop->run_forever(); }));
    thrown.push_back(thrown_by([&] { loop->run_until_complete(answer(1)); }));
    thrown.push_back(thrown_by([&] { other->run_forever(); }));
    thrown.push_back(thrown_by([&] { other->run_until_complete(answer(1)); }));
    thrown.push_back(thrown_by([&] { (void)other->run_once(0s); }));
    co_return;
  });
  const std::string nested =
      "runtime_error(a loop is running in this thread already: co_await here instead of running another)";
  EXPECT_EQ(thrown, lines(5, nested));
}

// S17: the refused coroutine never ran, and is not left unawaited in silence.
TEST(RunUntilComplete, a_refused_coroutine_never_runs) {
  log_watch log;
  bool ran = false;
  auto loop = new_event_loop();
  const auto main = [&]() -> coroutine<> {
    ran = true;
    co_return;
  };
  loop->run_until_complete([&]() -> coroutine<> {
    EXPECT_NE(thrown_by([&] { loop->run_until_complete(main()); }), "nothing");
    co_return;
  });
  EXPECT_FALSE(ran);
  EXPECT_EQ(log.taken().size(), 1u);
}

// S18
TEST(EventLoopClose, closing_a_running_loop_is_an_error_and_closing_twice_is_not) {
  auto loop = new_event_loop();
  std::string thrown;
  loop->call_soon([&] {
    thrown = thrown_by([&] { loop->close(); });
    loop->stop();
  });
  loop->run_forever();
  EXPECT_EQ(thrown, "runtime_error(cannot close a running event loop)");
  EXPECT_FALSE(loop->is_closed());
  loop->close();
  EXPECT_TRUE(loop->is_closed());
  loop->close();
}

// S18
TEST(EventLoopClose, closing_drops_pending_callbacks_and_frees_what_they_hold) {
  auto owned = std::make_shared<int>(1);
  auto loop = new_event_loop();
  bool called = false;
  loop->call_soon([&called, owned] { called = true; });
  loop->call_later(1h, [&called, owned] { called = true; });
  loop->call_soon_threadsafe([&called, owned] { called = true; });
  future<> f(*loop);
  f.add_done_callback([&called, owned](const future<>&) { called = true; });
  future<> done(*loop);
  done.set_result();
  done.add_done_callback([&called, owned](const future<>&) { called = true; });
  EXPECT_EQ(owned.use_count(), 6);
  loop->close();
  EXPECT_FALSE(called);
  EXPECT_EQ(owned.use_count(), 2);  // f is alive, and keeps what it was told to call
}

// S19
TEST(EventLoopClose, every_scheduling_call_on_a_closed_loop_is_an_error) {
  log_watch log;  // of the coroutines that are refused
  auto loop = new_event_loop();
  loop->close();
  const auto refused = [](const std::string& thrown) { return contains(thrown, "the event loop is closed"); };
  EXPECT_TRUE(refused(thrown_by([&] { loop->call_soon([] {}); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->call_later(1s, [] {}); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->call_at(time_point(), [] {}); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->call_soon_threadsafe([] {}); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->create_task(answer(1)); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->run_forever(); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->run_until_complete(answer(1)); })));
  EXPECT_TRUE(refused(thrown_by([&] { (void)loop->run_once(0s); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->stop(); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->add_reader(0, [] {}); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->add_writer(0, [] {}); })));
  EXPECT_TRUE(refused(thrown_by([&] { loop->add_signal_handler(SIGUSR1, [] {}); })));
  EXPECT_FALSE(loop->remove_reader(0));
  EXPECT_FALSE(loop->remove_writer(0));
  EXPECT_FALSE(loop->remove_signal_handler(SIGUSR1));
}

// S19, S63: what a refused call was given is freed; a refused coroutine makes no noise.
TEST(EventLoopClose, what_a_refused_call_was_given_is_freed) {
  log_watch log;
  auto loop = new_event_loop();
  loop->close();
  auto owned = std::make_shared<int>(1);
  (void)thrown_by([&] { loop->call_soon([owned] {}); });
  (void)thrown_by([&] { loop->call_soon_threadsafe([owned] {}); });
  (void)thrown_by([&] { loop->add_reader(0, [owned] {}); });
  (void)thrown_by([&] { loop->create_task([owned]() -> coroutine<> { co_return; }); });
  const auto named = [](std::shared_ptr<int>) -> coroutine<> { co_return; };
  (void)thrown_by([&] { loop->create_task(named(owned)); });
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_EQ(log.taken(), lines{});
}

// S38, S18: descriptors and signals that were watched are let go.
TEST(EventLoopClose, closing_forgets_watched_descriptors_and_signals) {
  const testing::ledger before = testing::ledger::now();
  auto owned = std::make_shared<int>(1);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  {
    auto loop = new_event_loop();
    loop->add_reader(ends[0], [owned] {});
    loop->add_writer(ends[1], [owned] {});
    loop->add_signal_handler(SIGUSR1, [owned] {});
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
    EXPECT_EQ(owned.use_count(), 1);
  }
  struct sigaction now{};
  ASSERT_EQ(::sigaction(SIGUSR1, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
  ::close(ends[0]);
  ::close(ends[1]);
  testing::ledger::now().check_nothing_left_since(before);
}

// S41: close() cancels what is left of tasks once, and runs them to their end.
TEST(EventLoopClose, closing_cancels_pending_tasks_and_lets_them_finish) {
  testing::virtual_clock clock;
  journal happened;
  {
    auto loop = new_event_loop({.clock = clock});
    loop->create_task([&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      happened("first " + end);
      co_await sleep(10s);
      happened("first cleaned up");
    });
    loop->create_task([&]() -> coroutine<> {
      const std::string end = co_await ending(sleep(1h));
      happened("second " + end);
    });
    loop->run_until_complete(sleep(1s));
    loop->create_task([&]() -> coroutine<> {
      happened("never begins");
      co_return;
    });
  }
  EXPECT_EQ(happened.seen(), (lines{"first cancelled_error", "second cancelled_error", "first cleaned up"}));
}

TEST(EventLoopClose, tasks_that_are_started_while_closing_are_ended_too) {
  testing::virtual_clock clock;
  journal happened;
  {
    auto loop = new_event_loop({.clock = clock});
    loop->create_task([&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      create_task([&]() -> coroutine<> {
        const std::string end = co_await ending(sleep(1h));
        happened("child " + end);
      });
      co_await settle();
    });
    loop->run_until_complete(sleep(1s));
  }
  EXPECT_EQ(happened.seen(), (lines{"child cancelled_error"}));
}

TEST(EventLoopClose, a_task_that_swallows_its_cancellation_is_waited_for) {
  testing::virtual_clock clock;
  journal happened;
  {
    auto loop = new_event_loop({.clock = clock});
    loop->create_task([&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      co_await sleep(24h);
      happened("a day later");
    });
    loop->run_until_complete(sleep(1s));
  }
  EXPECT_EQ(happened.seen(), (lines{"a day later"}));
}

// S42
TEST(EventLoopClose, errors_of_tasks_that_are_cancelled_at_the_end_are_reported) {
  log_watch log;
  journal told;
  {
    auto loop = new_event_loop();
    loop->set_exception_handler([&](event_loop&, const exception_context& context) {
      told(context.message + ": " + name_of(context.exception));
    });
    loop->create_task([]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      throw std::runtime_error("while cleaning up");
    });
    loop->run_until_complete(answer(1));
  }
  EXPECT_EQ(told.seen(), (lines{"unhandled exception while the loop's tasks were cancelled: "
                                "runtime_error(while cleaning up)"}));
  EXPECT_EQ(log.taken(), lines{});
}

TEST(EventLoopClose, a_task_that_stops_the_loop_while_it_is_closed_does_not_keep_it_open) {
  auto loop = new_event_loop();
  loop->create_task([]() -> coroutine<> {
    (void)co_await ending(sleep(1h));
    get_running_loop().stop();
    co_await settle();
  });
  loop->run_until_complete(answer(1));
  loop->close();
  EXPECT_TRUE(loop->is_closed());
}

TEST(EventLoopClose, a_task_that_throws_keyboard_interrupt_while_the_loop_is_closed_is_reported) {
  log_watch log;
  auto loop = new_event_loop();
  loop->create_task([]() -> coroutine<> {
    (void)co_await ending(sleep(1h));
    throw keyboard_interrupt();
  });
  loop->run_until_complete(answer(1));
  loop->close();
  EXPECT_TRUE(loop->is_closed());
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "keyboard_interrupt"));
}

TEST(EventLoopClose, a_loop_with_pending_tasks_may_be_closed_while_another_runs) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    {
      auto inner = new_event_loop();
      inner->create_task([&]() -> coroutine<> {
        happened("never begins");
        co_return;
      });
    }
    EXPECT_TRUE(static_cast<bool>(current_task()));
    co_await sleep(1s);
    happened("outer goes on");
  });
  EXPECT_EQ(happened.seen(), (lines{"outer goes on"}));
}

// S21
TEST(RunningLoop, get_running_loop_is_the_one_that_runs_in_this_thread) {
  EXPECT_EQ(thrown_by([] { (void)get_running_loop(); }), "runtime_error(no running event loop in this thread)");
  auto loop = new_event_loop();
  loop->run_until_complete([&]() -> coroutine<> {
    EXPECT_EQ(&get_running_loop(), loop.get());
    std::thread other([] {
      EXPECT_NE(thrown_by([] { (void)get_running_loop(); }), "nothing");
      auto mine = new_event_loop();
      mine->run_until_complete([&]() -> coroutine<> {
        EXPECT_EQ(&get_running_loop(), mine.get());
        co_return;
      });
    });
    other.join();
    EXPECT_EQ(&get_running_loop(), loop.get());
    co_return;
  });
  EXPECT_NE(thrown_by([] { (void)get_running_loop(); }), "nothing");
}

// S21
TEST(RunningLoop, get_event_loop_is_the_running_one_else_the_one_that_was_named) {
  EXPECT_EQ(get_event_loop(), nullptr);
  auto named = new_event_loop();
  auto loop = new_event_loop();
  set_event_loop(named.get());
  EXPECT_EQ(get_event_loop(), named.get());
  loop->call_soon([&] {
    EXPECT_EQ(get_event_loop(), loop.get());
    loop->stop();
  });
  loop->run_forever();
  EXPECT_EQ(get_event_loop(), named.get());
  std::thread([] { EXPECT_EQ(get_event_loop(), nullptr); }).join();
  named.reset();
  EXPECT_EQ(get_event_loop(), nullptr);
}

/// Forks inside a coroutine; what the child says by its exit status, 0 for all well.
template <class Child>
int status_of_child(Child child) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child());
  int status = -1;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// S22
TEST(Fork, a_child_has_no_running_loop_and_no_task_and_may_run_one_of_its_own) {
  testing::run([]() -> coroutine<> {
    EXPECT_EQ(status_of_child([] {
                if (thrown_by([] { (void)get_running_loop(); }) == "nothing") return 1;
                if (current_task()) return 2;
                return run(sleep(1ms, 5)) == 5 ? 0 : 3;
              }),
              0);
    co_await sleep(1s);
  });
}

// S22: what the child does with its parent's loop is refused, and the parent does not feel it.
TEST(Fork, a_child_may_not_use_its_parents_loop_and_the_parents_goes_on) {
  run([]() -> coroutine<> {
    auto& loop = get_running_loop();
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    const int from = ends[0];
    bool called = false;
    future<> seen;
    loop.add_reader(from, [&] {
      called = true;
      loop.remove_reader(from);
      seen.set_result();
    });
    const timer_handle timer = loop.call_later(1h, [] {});
    const task<> other = create_task(sleep(0s));
    co_await sleep(0s);
    const int status = status_of_child([&] {
      int n = 0;
      for (const std::string& error :
           {thrown_by([&] { loop.call_soon([] {}); }), thrown_by([&] { loop.call_later(1s, [] {}); }),
            thrown_by([&] { loop.stop(); }), thrown_by([&] { loop.remove_reader(from); }),
            thrown_by([&] { loop.run_forever(); }), thrown_by([&] { loop.run_once(0s); }),
            thrown_by([&] { loop.close(); }), thrown_by([&] { loop.create_task(sleep(1s)); }),
            thrown_by([&] { seen.set_result(); }), thrown_by([&] { (void)all_tasks(loop); })}) {
        ++n;
        if (error == "nothing") return n;
      }
      return 0;
    });
    EXPECT_EQ(status, 0) << "the number of the call that was not refused";
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
    co_await seen;
    EXPECT_TRUE(called);
    ::close(ends[0]);
    ::close(ends[1]);
  });
}

// S48
TEST(LoopOptions, debug_comes_from_the_environment_unless_it_is_given) {
  ::setenv("ASYNCIO_DEBUG", "1", 1);
  EXPECT_TRUE(new_event_loop()->get_debug());
  EXPECT_FALSE(new_event_loop({.debug = false})->get_debug());
  ::setenv("ASYNCIO_DEBUG", "0", 1);
  EXPECT_FALSE(new_event_loop()->get_debug());
  ::unsetenv("ASYNCIO_DEBUG");
  EXPECT_FALSE(new_event_loop()->get_debug());
  EXPECT_TRUE(new_event_loop({.debug = true})->get_debug());
}

TEST(LoopOptions, a_loop_can_be_made_run_and_closed_thousands_of_times) {
  const testing::ledger before = testing::ledger::now();
  for (int i = 0; i < 2000; ++i) {
    auto loop = new_event_loop();
    EXPECT_EQ(loop->run_until_complete(answer(i)), i);
  }
  testing::ledger::now().check_nothing_left_since(before);
}

// Asking each of them down the chain would take hours.
TEST(EventLoopClose, a_chain_of_a_hundred_thousand_waiting_tasks_is_ended_by_one_request) {
  const auto link = [](task<> next, event& never) -> coroutine<> {
    if (next)
      co_await next;
    else
      co_await never.wait();
  };
  event never;
  any_task first, last;
  asyncio::run([&]() -> coroutine<> {
    task<> t;
    for (int i = 0; i < 100'000; ++i) {
      t = create_task(link(t, never));
      if (i == 0) first = t;
    }
    last = t;
    co_await settle(2);
  });
  EXPECT_TRUE(first.cancelled());
  EXPECT_TRUE(last.cancelled());
}

}  // namespace
}  // namespace asyncio::spec
