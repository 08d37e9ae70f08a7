// SPDX-License-Identifier: BSL-1.0
// Signals: SIGINT under run(), and add_signal_handler().
#include "spec/spec.hpp"
#include "support/signals.hpp"

#include <unistd.h>
#include <atomic>
#include <csignal>
#include <memory>
#include <set>
#include <thread>

namespace asyncio::spec {
namespace {

bool has_default_action(int number) {
  struct sigaction now{};
  return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL;
}

/// Sends a signal to the process from another thread, a moment later.
class signal_later {
 public:
  explicit signal_later(int number, std::chrono::milliseconds delay = 10ms)
      : thread_([number, delay] {
          std::this_thread::sleep_for(delay);
          test::signal_from_helper(number);
        }) {}
  ~signal_later() { thread_.join(); }

 private:
  std::thread thread_;
};

// S43
TEST(Interrupt, the_first_one_cancels_main_and_run_throws_keyboard_interrupt) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    ::raise(SIGINT);
    const std::string end = co_await ending(sleep(1h));
    happened(end);
    throw cancelled_error();
  };
  happened(thrown_by([&] { run(main); }));
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error", "keyboard_interrupt"}));
  EXPECT_TRUE(has_default_action(SIGINT));
}

// S43, S39
TEST(Interrupt, from_another_thread_wakes_a_loop_that_sleeps) {
  const signal_later sent(SIGINT);
  EXPECT_EQ(thrown_by([&] { run(sleep(1h)); }), "keyboard_interrupt");
}

// S43
TEST(Interrupt, a_main_that_swallows_it_returns_normally) {
  const auto main = []() -> coroutine<int> {
    ::raise(SIGINT);
    (void)co_await ending(sleep(1h));
    co_return 5;
  };
  EXPECT_EQ(run(main), 5);
}

// S43
TEST(Interrupt, another_exception_of_main_comes_out_as_it_is) {
  const auto main = []() -> coroutine<> {
    ::raise(SIGINT);
    (void)co_await ending(sleep(1h));
    throw std::runtime_error("cleaning up failed");
  };
  EXPECT_EQ(thrown_by([&] { run(main); }), "runtime_error(cleaning up failed)");
}

// S43: also while main never waits for long.
TEST(Interrupt, reaches_a_main_that_only_yields) {
  const signal_later sent(SIGINT);
  const auto main = []() -> coroutine<> {
    while (true) co_await sleep(0s);
  };
  EXPECT_EQ(thrown_by([&] { run(main); }), "keyboard_interrupt");
}

// S44
TEST(Interrupt, the_second_one_leaves_the_loop_at_once) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    const signal_later sent(SIGINT, 1ms);
    const std::string first = co_await ending(sleep(1h));
    happened("first " + first);
    const signal_later sent_again(SIGINT, 1ms);
    const std::string second = co_await ending(sleep(1h));
    happened("while closing " + second);
  };
  happened(thrown_by([&] { run(main); }));
  EXPECT_EQ(happened.seen(), (lines{"first cancelled_error", "while closing cancelled_error", "keyboard_interrupt"}));
  EXPECT_TRUE(has_default_action(SIGINT));
}

// A program that never comes back to its loop can still be stopped: the second one has its default action.
TEST(InterruptDeathTest, the_second_one_ends_a_program_that_never_returns_to_its_loop) {
  const auto main = []() -> coroutine<> {
    ::raise(SIGINT);
    ::raise(SIGINT);
    co_return;
  };
  EXPECT_EXIT(run(main), ::testing::KilledBySignal(SIGINT), "");
}

// S45
TEST(Interrupt, when_main_was_cancelled_by_somebody_else_too_it_is_a_cancellation) {
  const auto main = []() -> coroutine<> {
    current_task().cancel("somebody else");
    ::raise(SIGINT);
    (void)co_await ending(sleep(0s));
    co_await sleep(1h);
  };
  EXPECT_EQ(thrown_by([&] { run(main); }).substr(0, 15), "cancelled_error");
}

// S46
TEST(Interrupt, a_handler_of_the_programs_own_is_left_alone) {
  static volatile std::sig_atomic_t seen = 0;
  seen = 0;
  struct sigaction mine{}, before{}, now{};
  mine.sa_handler = [](int) { seen = seen + 1; };
  ASSERT_EQ(::sigaction(SIGINT, &mine, &before), 0);
  const int n = run([]() -> coroutine<int> {
    ::raise(SIGINT);
    co_await sleep(1ms);
    co_return 3;
  });
  EXPECT_EQ(n, 3);
  EXPECT_EQ(seen, 1);
  ASSERT_EQ(::sigaction(SIGINT, &before, &now), 0);
  EXPECT_EQ(now.sa_handler, mine.sa_handler);
}

// S46
TEST(Interrupt, run_in_another_thread_leaves_signals_alone) {
  bool default_inside = false;
  std::thread other([&] {
    run([&]() -> coroutine<> {
      default_inside = has_default_action(SIGINT);
      co_return;
    });
  });
  other.join();
  EXPECT_TRUE(default_inside);
}

TEST(Interrupt, a_handler_that_the_program_gave_the_loop_is_left_alone) {
  runner r;
  int seen = 0;
  r.get_loop().add_signal_handler(SIGINT, [&] { ++seen; });
  const int n = r.run([&]() -> coroutine<int> {
    ::raise(SIGINT);
    while (seen == 0) co_await sleep(1ms);
    co_return 4;
  });
  EXPECT_EQ(n, 4);
  EXPECT_EQ(seen, 1);
}

// ... and stays when the run is over.
TEST(Interrupt, a_handler_that_is_added_inside_a_run_is_heard_instead_and_stays) {
  runner r;
  int seen = 0;
  const auto until_seen = [&]() -> coroutine<> {
    while (seen == 0) co_await sleep(1ms);
  };
  r.run([&]() -> coroutine<> {
    get_running_loop().add_signal_handler(SIGINT, [&] { ++seen; });
    ::raise(SIGINT);
    ::raise(SIGINT);  // by run()'s own answer it would end the process
    co_await until_seen();
  });
  EXPECT_EQ(std::exchange(seen, 0), 1);
  ::raise(SIGINT);
  r.run(until_seen());
  EXPECT_TRUE(r.get_loop().remove_signal_handler(SIGINT));
  EXPECT_TRUE(has_default_action(SIGINT));
}

TEST(Interrupt, removing_a_handler_brings_back_runs_own_answer) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    happened(loop.remove_signal_handler(SIGINT) ? "removed" : "there was none");
    loop.add_signal_handler(SIGINT, [] {});
    happened(loop.remove_signal_handler(SIGINT) ? "removed" : "there was none");
    ::raise(SIGINT);
    co_await sleep(1h);
  };
  happened(thrown_by([&] { run(main); }));
  EXPECT_EQ(happened.seen(), (lines{"there was none", "removed", "keyboard_interrupt"}));
}

// The handler had seen it, and not heard it: it stood in the queue behind the call that removes the handler. On a clock
// that runs on between two steps the loop looks for signals in every turn.
TEST(Interrupt, one_that_a_handler_had_not_heard_when_it_was_removed_is_runs_own) {
  testing::manual_clock clock;
  bool handled = false;
  const auto main = [&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.add_signal_handler(SIGINT, [&] { handled = true; });
    for (int i = 0; i < 50; ++i) {
      clock.advance(1ms);
      co_await sleep(0s);
    }
    ::raise(SIGINT);
    co_await sleep(0s);  // it is seen, behind this task
    loop.remove_signal_handler(SIGINT);
    co_await loop.create_future();
  };
  EXPECT_EQ(thrown_by([&] { run(main, {.clock = clock}); }), "keyboard_interrupt");
  EXPECT_FALSE(handled);
}

// It came when main was done: it is not lost, and neither is the clean-up.
TEST(Interrupt, one_that_comes_with_the_last_step_of_main_still_ends_the_run) {
  journal happened;
  const auto left = [&]() -> coroutine<> {
    std::string end = co_await ending(sleep(1h));
    happened(std::move(end));
  };
  const auto main = [&]() -> coroutine<int> {
    (void)create_task(left());
    co_await sleep(0s);
    ::raise(SIGINT);
    co_return 5;
  };
  happened(thrown_by([&] { run(main); }));
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error", "keyboard_interrupt"}));
  EXPECT_TRUE(has_default_action(SIGINT));
}

// While the tasks that are left are cancelled: they clean up to the end.
TEST(Interrupt, one_that_comes_while_the_loop_is_closed_disturbs_no_clean_up) {
  journal happened;
  const auto left = [&]() -> coroutine<> {
    std::string end = co_await ending(sleep(1h));
    ::raise(SIGINT);
    co_await sleep(1ms);
    happened("cleaned up after " + end);
  };
  const auto main = [&](bool fails) -> coroutine<int> {
    (void)create_task(left());
    co_await sleep(0s);
    if (fails) throw std::runtime_error("main");
    co_return 5;
  };
  const std::string cleaned = "cleaned up after cancelled_error";
  for (const bool fails : {false, true}) happened(thrown_by([&] { run(main(fails)); }));
  EXPECT_EQ(happened.seen(), (lines{cleaned, "keyboard_interrupt", cleaned, "keyboard_interrupt"}));
  EXPECT_TRUE(has_default_action(SIGINT));
}

TEST(InterruptDeathTest, the_second_one_ends_a_clean_up_that_takes_too_long) {
  const auto left = []() -> coroutine<> {
    (void)co_await ending(sleep(1h));
    for (int i = 0; i < 2; ++i) {
      ::raise(SIGINT);
      co_await sleep(1ms);
    }
    co_await sleep(1h);
  };
  const auto main = [&]() -> coroutine<> {
    (void)create_task(left());
    co_await sleep(0s);
  };
  EXPECT_EXIT(run(main), ::testing::KilledBySignal(SIGINT), "");
}

TEST(InterruptDeathTest, a_runner_that_is_destroyed_does_not_swallow_it) {
  const auto left = []() -> coroutine<> {
    (void)co_await ending(sleep(1h));
    ::raise(SIGINT);
  };
  const auto ends = [&] {
    runner r;
    r.run([&]() -> coroutine<> {
      (void)create_task(left());
      co_await sleep(0s);
    });
  };
  EXPECT_EXIT(ends(), ::testing::KilledBySignal(SIGINT), "");
}

// ---- SIGTERM, when run() is asked for it

TEST(Interrupt, sigterm_is_left_alone_unless_run_is_asked_for_it) {
  bool default_action = false;
  const auto main = [&]() -> coroutine<> {
    default_action = has_default_action(SIGTERM);
    co_return;
  };
  run(main);
  EXPECT_TRUE(std::exchange(default_action, true));
  run(main, {.sigterm = true});
  EXPECT_FALSE(default_action);
  EXPECT_TRUE(has_default_action(SIGTERM));
}

TEST(Interrupt, with_the_option_sigterm_cancels_main_as_ctrl_c_does) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    ::raise(SIGTERM);
    const std::string end = co_await ending(sleep(1h));
    happened(end);
    throw cancelled_error();
  };
  try {
    run(main, {.sigterm = true});
  } catch (const keyboard_interrupt& came) {
    happened("signal " + std::to_string(came.signal()));
  }
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error", "signal " + std::to_string(SIGTERM)}));
  EXPECT_EQ(keyboard_interrupt().signal(), SIGINT);
}

TEST(Interrupt, sigterm_and_ctrl_c_are_counted_together) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    ::raise(SIGTERM);
    std::string first = co_await ending(sleep(1h));
    happened(std::move(first));
    ::raise(SIGINT);
    std::string second = co_await ending(sleep(1h));  // ended when the loop is closed
    happened(std::move(second));
  };
  happened(thrown_by([&] { run(main, {.sigterm = true}); }));
  EXPECT_EQ(happened.seen(), (lines{"cancelled_error", "cancelled_error", "keyboard_interrupt"}));
}

// Never inline: where GCC sees that what it throws ends at a noexcept, it calls std::terminate() without it.
[[gnu::noinline]] void end_by(int number) {
  const auto main = [number]() -> coroutine<> {
    ::raise(number);
    co_await sleep(1h);
  };
  run(main, {.sigterm = true});
}

TEST(InterruptDeathTest, uncaught_it_ends_the_program_with_the_status_of_its_signal) {
  const auto by = [](int number) { return [number]() noexcept { end_by(number); }; };
  EXPECT_EXIT(by(SIGINT)(), ::testing::ExitedWithCode(130), "^$");
  EXPECT_EXIT(by(SIGTERM)(), ::testing::ExitedWithCode(143), "^$");
}

TEST(Interrupt, each_run_of_a_runner_counts_anew) {
  runner r;
  const auto main = []() -> coroutine<> {
    ::raise(SIGINT);
    co_await sleep(1h);
  };
  EXPECT_EQ(thrown_by([&] { r.run(main); }), "keyboard_interrupt");
  EXPECT_EQ(thrown_by([&] { r.run(main); }), "keyboard_interrupt");
  EXPECT_EQ(r.run(sleep(0s, 1)), 1);
}

// S37
TEST(SignalHandler, runs_as_a_callback_of_the_loop) {
  journal happened;
  run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    event seen;
    loop.add_signal_handler(SIGUSR1, [&] {
      happened(current_task() ? "in a task" : "in a callback");
      seen.set();
    });
    ::raise(SIGUSR1);
    happened("raised");
    co_await seen.wait();
    EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
  });
  EXPECT_EQ(happened.seen(), (lines{"raised", "in a callback"}));
}

// S39
TEST(SignalHandler, a_signal_wakes_a_loop_that_sleeps) {
  auto loop = new_event_loop();
  loop->add_signal_handler(SIGUSR1, [&] { loop->stop(); });
  loop->call_later(1h, [] {});
  const signal_later sent(SIGUSR1);
  loop->run_forever();
}

// S37
TEST(SignalHandler, a_second_one_replaces_the_first) {
  run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    auto owned = std::make_shared<int>(1);
    int first = 0;
    event seen;
    loop.add_signal_handler(SIGUSR1, [&first, owned] { ++first; });
    loop.add_signal_handler(SIGUSR1, [&] { seen.set(); });
    EXPECT_EQ(owned.use_count(), 1);
    ::raise(SIGUSR1);
    co_await seen.wait();
    EXPECT_EQ(first, 0);
    loop.remove_signal_handler(SIGUSR1);
  });
}

template <class F>
concept handles_a_signal = requires(event_loop& loop, F f) { loop.add_signal_handler(SIGUSR1, f); };

// It was seen, and stood in the queue behind what replaced its handler.
TEST(SignalHandler, one_that_replaces_another_hears_the_signal_that_the_other_had_not_heard_yet) {
  auto loop = new_event_loop();
  journal happened;
  loop->add_signal_handler(SIGUSR1, [&] { happened("first"); });
  ::raise(SIGUSR1);
  loop->call_soon([&] { loop->add_signal_handler(SIGUSR1, [&] { happened("second"); }); });
  loop->call_later(1ms, [&] { loop->stop(); });
  loop->run_forever();
  EXPECT_EQ(happened.seen(), lines{"second"});
}

// S37: it would never run.
TEST(SignalHandler, a_coroutine_function_is_none) {
  const auto plain = [] {};
  const auto never_runs = []() -> coroutine<> { co_return; };
  EXPECT_TRUE(handles_a_signal<decltype(plain)>);
  EXPECT_FALSE(handles_a_signal<decltype(never_runs)>);
}

// S37
TEST(SignalHandler, what_cannot_be_caught_is_refused) {
  auto loop = new_event_loop();
  for (const int number : {0, -1, 1000, SIGKILL, SIGSTOP})
    EXPECT_EQ(thrown_by([&] { loop->add_signal_handler(number, [] {}); }), "invalid_argument") << number;
  EXPECT_FALSE(loop->remove_signal_handler(SIGKILL));
}

// S37
TEST(SignalHandler, only_in_the_main_thread) {
  std::string thrown;
  std::thread other([&] {
    auto loop = new_event_loop();
    thrown = thrown_by([&] { loop->add_signal_handler(SIGUSR1, [] {}); });
  });
  other.join();
  EXPECT_EQ(thrown, "runtime_error(signal handlers are installed in the main thread)");
  EXPECT_TRUE(has_default_action(SIGUSR1));
}

// S38
TEST(SignalHandler, removing_restores_the_action_of_before_and_tells_whether_there_was_one) {
  auto loop = new_event_loop();
  EXPECT_FALSE(loop->remove_signal_handler(SIGUSR1));
  loop->add_signal_handler(SIGUSR1, [] {});
  loop->add_signal_handler(SIGUSR2, [] {});
  EXPECT_FALSE(has_default_action(SIGUSR1));
  EXPECT_TRUE(loop->remove_signal_handler(SIGUSR1));
  EXPECT_TRUE(has_default_action(SIGUSR1));
  EXPECT_FALSE(has_default_action(SIGUSR2));
  EXPECT_FALSE(loop->remove_signal_handler(SIGUSR1));
  loop->close();
  EXPECT_TRUE(has_default_action(SIGUSR2));
}

TEST(SignalHandler, one_removed_before_its_turn_is_not_called) {
  auto loop = new_event_loop();
  bool called = false;
  loop->add_signal_handler(SIGUSR1, [&] { called = true; });
  loop->call_soon([&] {
    ::raise(SIGUSR1);
    loop->remove_signal_handler(SIGUSR1);
  });
  loop->call_later(1ms, [&] { loop->stop(); });
  loop->run_forever();
  EXPECT_FALSE(called);
}

TEST(SignalHandler, may_remove_or_replace_itself) {
  auto loop = new_event_loop();
  journal happened;
  loop->add_signal_handler(SIGUSR1, [&] {
    happened("first");
    loop->add_signal_handler(SIGUSR1, [&] {
      happened("second");
      loop->remove_signal_handler(SIGUSR1);
      loop->stop();
    });
    ::raise(SIGUSR1);
  });
  ::raise(SIGUSR1);
  loop->run_forever();
  EXPECT_EQ(happened.seen(), (lines{"first", "second"}));
  EXPECT_TRUE(has_default_action(SIGUSR1));
}

// S20
TEST(SignalHandler, an_exception_is_reported_and_the_handler_stays) {
  auto loop = new_event_loop();
  journal told;
  loop->set_exception_handler(
      [&](event_loop&, const exception_context& c) { told(c.message + ": " + name_of(c.exception)); });
  int calls = 0;
  loop->add_signal_handler(SIGUSR1, [&] {
    if (++calls == 2) loop->stop();
    throw std::runtime_error("handler");
  });
  ::raise(SIGUSR1);
  loop->call_later(5ms, [] { ::raise(SIGUSR1); });
  loop->run_forever();
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(told.seen(),
            lines(2, "exception in the handler of signal " + std::to_string(SIGUSR1) + ": runtime_error(handler)"));
}

TEST(SignalHandler, several_signals_each_reach_their_own) {
  auto loop = new_event_loop();
  std::set<int> seen;
  const std::vector<int> numbers{SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGWINCH};
  for (const int n : numbers)
    loop->add_signal_handler(n, [&, n] {
      seen.insert(n);
      if (seen.size() == numbers.size()) loop->stop();
    });
  for (const int n : numbers) ::raise(n);
  loop->run_forever();
  EXPECT_EQ(seen.size(), numbers.size());
}

TEST(SignalHandler, several_are_called_in_the_order_in_which_their_signals_came) {
  auto loop = new_event_loop();
  std::vector<int> seen;
  const std::vector<int> order{SIGUSR2, SIGHUP, SIGTERM, SIGUSR1};
  for (const int n : order) loop->add_signal_handler(n, [&, n] { seen.push_back(n); });
  for (const int n : order) ::raise(n);
  loop->call_later(1ms, [&] { loop->stop(); });
  loop->run_forever();
  EXPECT_EQ(seen, order);
}

// One loop watches a signal at a time.
TEST(SignalHandler, two_loops_cannot_watch_the_same_signal) {
  auto a = new_event_loop();
  auto b = new_event_loop();
  a->add_signal_handler(SIGUSR1, [] {});
  EXPECT_TRUE(contains(thrown_by([&] { b->add_signal_handler(SIGUSR1, [] {}); }), "another loop"));
  a->close();
  b->add_signal_handler(SIGUSR1, [] {});
}

// A storm of signals from several threads loses no kind and upsets nothing.
TEST(SignalHandler, a_storm_from_several_threads_is_survived) {
  auto loop = new_event_loop();
  std::atomic<int> senders{4};
  int first = 0, second = 0;
  loop->add_signal_handler(SIGUSR1, [&] { ++first; });
  loop->add_signal_handler(SIGUSR2, [&] { ++second; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 500; ++k) ::kill(::getpid(), (k + i) % 2 == 0 ? SIGUSR1 : SIGUSR2);
      if (senders.fetch_sub(1) == 1) loop->call_soon_threadsafe([&] { loop->call_later(20ms, [&] { loop->stop(); }); });
    });
  loop->run_forever();
  for (std::thread& t : threads) t.join();
  EXPECT_GT(first, 0);
  EXPECT_GT(second, 0);
}

}  // namespace
}  // namespace asyncio::spec
