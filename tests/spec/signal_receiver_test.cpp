// SPDX-License-Identifier: BSL-1.0
// signal_receiver: signals one after another, and who else hears them.
#include "spec/spec.hpp"
#include "support/signals.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

static_assert(!std::is_copy_constructible_v<signal_receiver> && !std::is_copy_assignable_v<signal_receiver>);

bool has_default_action(int number) {
  struct sigaction now{};
  return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL;
}

std::string name(std::optional<int> number) {
  if (!number) return "nothing";
  switch (*number) {
    case SIGHUP: return "HUP";
    case SIGINT: return "INT";
    case SIGTERM: return "TERM";
    case SIGUSR1: return "USR1";
    case SIGUSR2: return "USR2";
    default: return std::to_string(*number);
  }
}

/// The name of the signal that is awaited, or how waiting for it ended.
template <class A>
coroutine<std::string> named(A awaited) {
  std::exception_ptr error;
  try {
    const std::optional<int> number = co_await std::move(awaited);
    co_return name(number);
  } catch (...) {
    error = std::current_exception();
  }
  co_return name_of(error);
}
coroutine<std::string> next_of(signal_receiver& s) { return named(s.next()); }
/// One that has come already: "timeout_error" when there is none.
coroutine<std::string> kept_in(signal_receiver& s) { return named(wait_for(s.next(), 1s)); }

/// Raises each in this thread; the loop hears of them when it looks.
void raise_all(std::initializer_list<int> numbers) {
  for (const int number : numbers) ::raise(number);
}

TEST(SignalReceiver, gives_the_numbers_of_its_signals_one_after_another) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    signal_receiver s({SIGTERM, SIGHUP});
    event_loop& loop = get_running_loop();
    loop.call_later(1s, [] { ::raise(SIGHUP); });
    loop.call_later(2s, [] { ::raise(SIGTERM); });
    const stopwatch watch;
    while (auto number = co_await s.next()) {
      happened(watch.at(name(number)));
      if (*number == SIGTERM) break;
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"1000 HUP", "2000 TERM"}));
}

// With a virtual clock too: who waits for a signal waits for somebody outside, and is in no deadlock.
TEST(SignalReceiver, a_signal_wakes_a_loop_that_sleeps) {
  const auto main = []() -> coroutine<> {
    signal_receiver s({SIGUSR1});
    const task<std::string> waits = create_task(next_of(s));
    co_await sleep(0s);
    std::thread sender([] { test::signal_from_helper(SIGUSR1); });
    const std::string came = co_await waits;
    sender.join();
    EXPECT_EQ(came, "USR1");
  };
  run(main);
  testing::run(main, {.deadlock_grace = 0s});
}

// The order is that of their arrival, not that of their numbers.
TEST(SignalReceiver, keeps_those_that_nobody_awaits_in_order) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    signal_receiver s({SIGHUP, SIGTERM, SIGUSR1, SIGUSR2});
    raise_all({SIGTERM, SIGUSR2, SIGHUP});
    co_await sleep(1s);
    raise_all({SIGUSR1});
    co_await sleep(1s);
    for (int i = 0; i < 5; ++i) {
      std::string came = co_await kept_in(s);
      happened(std::move(came));
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"TERM", "USR2", "HUP", "USR1", "timeout_error"}));
}

TEST(SignalReceiver, of_a_hundred_thousand_that_nobody_awaits_it_keeps_one) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    signal_receiver s({SIGUSR1, SIGUSR2});
    for (int i = 0; i < 100'000; ++i) {
      ::raise(SIGUSR1);
      if (i % 10'000 == 0) co_await sleep(1ms);  // the loop sees them in several parts
    }
    ::raise(SIGUSR2);
    co_await sleep(1ms);
    for (int i = 0; i < 3; ++i) {
      std::string came = co_await kept_in(s);
      happened(std::move(came));
    }
    ::raise(SIGUSR1);  // after the one that was given a new one counts again
    std::string came = co_await kept_in(s);
    happened(std::move(came));
  });
  EXPECT_EQ(happened.seen(), (lines{"USR1", "USR2", "timeout_error", "USR1"}));
}

// Ends only if one is given after the last of them.
TEST(SignalReceiver, after_the_last_of_a_burst_from_another_thread_one_is_given) {
  constexpr int burst = 100'000;
  std::atomic<int> sent = 0;
  int given = 0;
  run([&]() -> coroutine<> {
    signal_receiver s({SIGUSR1});
    std::thread sender([&] {
      for (int i = 1; i < burst; ++i) {
        sent.fetch_add(1);
        ::kill(::getpid(), SIGUSR1);
      }
      sent.fetch_add(1);
      test::signal_from_helper(SIGUSR1);
    });
    int seen = 0;
    while (seen < burst) {
      const std::optional<int> number = co_await s.next();
      EXPECT_EQ(number, SIGUSR1);
      seen = sent.load();
      ++given;
    }
    sender.join();
  });
  EXPECT_GE(given, 1);
  EXPECT_LE(given, burst);
  EXPECT_TRUE(has_default_action(SIGUSR1));
}

TEST(SignalReceiver, several_tasks_wait_in_line) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    signal_receiver s({SIGUSR1, SIGUSR2});
    const auto waits = [&](std::string who) -> coroutine<> {
      const std::string came = co_await next_of(s);
      happened(who + " " + came);
    };
    const task<> a = create_task(waits("a"));
    const task<> b = create_task(waits("b"));
    const task<> c = create_task(waits("c"));
    co_await sleep(1s);
    raise_all({SIGUSR2, SIGUSR1});
    co_await sleep(1s);
    EXPECT_FALSE(c.done());
    raise_all({SIGUSR2});
    co_await c;
  });
  EXPECT_EQ(happened.seen(), (lines{"a USR2", "b USR1", "c USR2"}));
}

TEST(SignalReceiver, a_cancelled_wait_loses_no_signal) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    signal_receiver s({SIGUSR1});
    for (const int turns : {0, 1, 2, 3}) {
      const task<std::string> cancelled = create_task(next_of(s));
      co_await settle();
      ::raise(SIGUSR1);
      get_running_loop().call_later(0s, [] {});  // the loop looks around
      co_await settle(turns);
      cancelled.cancel();
      std::string first = co_await cancelled;
      if (first == "cancelled_error") first = co_await kept_in(s);
      happened(std::move(first));
      std::string more = co_await kept_in(s);
      happened(std::move(more));
    }
  });
  EXPECT_EQ(happened.seen(), (lines{"USR1", "timeout_error", "USR1", "timeout_error", "USR1", "timeout_error", "USR1",
                                    "timeout_error"}));
}

TEST(SignalReceiver, who_is_cancelled_leaves_the_signal_to_the_next_in_line) {
  testing::run([]() -> coroutine<> {
    signal_receiver s({SIGUSR1});
    const task<std::string> first = create_task(next_of(s));
    const task<std::string> second = create_task(next_of(s));
    // In the turn after the one in which the first is called.
    get_running_loop().add_signal_handler(SIGUSR2, [first] { first.cancel(); });
    co_await sleep(1s);
    raise_all({SIGUSR1, SIGUSR2});
    const std::string cancelled = co_await first;
    const std::string came = co_await ending(wait_for(second, 1s));
    EXPECT_EQ(cancelled, "cancelled_error");
    EXPECT_EQ(came, "USR1");
    get_running_loop().remove_signal_handler(SIGUSR2);
  });
}

// At every point at which one task or all may be cancelled.
TEST(SignalReceiver, loses_no_signal_wherever_who_waits_is_cancelled) {
  struct shared {
    signal_receiver s{SIGUSR1, SIGUSR2};
    lines got;
  };
  const auto takes = [](std::shared_ptr<shared> in) -> coroutine<> {
    const std::optional<int> number = co_await in->s.next();
    in->got.push_back(name(number));
  };
  const auto body = [&takes]() -> coroutine<> {
    const auto in = std::make_shared<shared>();
    get_running_loop().call_later(1s, [] { ::raise(SIGUSR2); });
    get_running_loop().call_later(2s, [] { ::raise(SIGUSR1); });
    const task<> other = create_task(takes(in));
    const std::string end = co_await ending(takes(in));
    co_await sleep(3s);
    while (in->got.size() < 2) {
      const std::optional<int> number = co_await wait_for(in->s.next(), 1s);
      in->got.push_back(name(number));
    }
    EXPECT_EQ(in->got, (lines{"USR2", "USR1"}));
    other.cancel();
    if (end != "done") throw cancelled_error();
  };
  for (const bool all : {false, true}) EXPECT_GE(testing::inject_cancel(body, {.all_tasks = all}), 4u);
  EXPECT_TRUE(has_default_action(SIGUSR1) && has_default_action(SIGUSR2));
}

TEST(SignalReceiver, closed_it_gives_nothing_and_drops_what_it_kept) {
  testing::run([]() -> coroutine<> {
    signal_receiver s({SIGUSR1});
    ::raise(SIGUSR1);
    co_await sleep(1s);
    s.close();
    EXPECT_TRUE(has_default_action(SIGUSR1));
    s.close();
    const std::string first = co_await next_of(s);
    EXPECT_EQ(first, "nothing");
    signal_receiver again({SIGUSR1});  // it is free now
    const std::string kept = co_await kept_in(again);
    EXPECT_EQ(kept, "timeout_error");
  });
}

TEST(SignalReceiver, who_waits_when_it_is_closed_or_destroyed_gets_nothing) {
  testing::run([]() -> coroutine<> {
    auto s = std::make_unique<signal_receiver>(std::initializer_list<int>{SIGUSR1});
    const task<std::string> closed = create_task(next_of(*s));
    const task<std::string> closed_too = create_task(next_of(*s));
    co_await settle();
    s->close();
    const std::string first = co_await closed;
    const std::string second = co_await closed_too;
    EXPECT_EQ(first + ", " + second, "nothing, nothing");

    s = std::make_unique<signal_receiver>(std::initializer_list<int>{SIGUSR1});
    const task<std::string> destroyed = create_task(next_of(*s));
    co_await settle();
    ::raise(SIGUSR1);
    s.reset();
    const std::string third = co_await destroyed;
    EXPECT_EQ(third, "nothing");
  });
}

TEST(SignalReceiver, its_end_brings_back_the_action_of_before) {
  static volatile std::sig_atomic_t seen = 0;
  seen = 0;
  struct sigaction mine{}, before{}, now{};
  mine.sa_handler = [](int) { seen = seen + 1; };
  ASSERT_EQ(::sigaction(SIGUSR1, &mine, &before), 0);
  testing::run([]() -> coroutine<> {
    {
      signal_receiver s({SIGUSR1, SIGUSR2});
      ::raise(SIGUSR1);
      const std::string came = co_await next_of(s);
      EXPECT_EQ(came, "USR1");
      EXPECT_EQ(seen, 0);
    }
    ::raise(SIGUSR1);
    EXPECT_EQ(seen, 1);
    EXPECT_TRUE(has_default_action(SIGUSR2));
  });
  ASSERT_EQ(::sigaction(SIGUSR1, &before, &now), 0);
  EXPECT_EQ(now.sa_handler, mine.sa_handler);
}

TEST(SignalReceiver, a_number_may_be_named_twice) {
  testing::run([]() -> coroutine<> {
    signal_receiver s{SIGUSR1, SIGUSR1};
    ::raise(SIGUSR1);
    const std::string first = co_await kept_in(s);
    const std::string second = co_await kept_in(s);
    EXPECT_EQ(first + ", " + second, "USR1, timeout_error");
  });
  EXPECT_TRUE(has_default_action(SIGUSR1));
}

// ---- who may not have one

TEST(SignalReceiver, what_cannot_be_caught_is_refused_and_then_none_is_listened_to) {
  testing::run([]() -> coroutine<> {
    for (const int number : {0, -1, 1000, SIGKILL, SIGSTOP}) {
      EXPECT_EQ(thrown_by([&] { signal_receiver s({SIGUSR1, number, SIGUSR2}); }), "invalid_argument") << number;
      EXPECT_TRUE(has_default_action(SIGUSR1));
    }
    EXPECT_EQ(thrown_by([&] { signal_receiver s(std::initializer_list<int>{}); }), "invalid_argument");
    signal_receiver s({SIGUSR1});
    co_await sleep(0s);
  });
}

TEST(SignalReceiver, needs_a_running_loop_in_the_main_thread) {
  EXPECT_EQ(thrown_by([] { signal_receiver s({SIGUSR1}); }), "runtime_error(no running event loop in this thread)");
  std::string thrown;
  std::thread other([&] {
    run([&]() -> coroutine<> {
      thrown = thrown_by([] { signal_receiver s({SIGUSR1}); });
      co_return;
    });
  });
  other.join();
  EXPECT_EQ(thrown, "runtime_error(signal handlers are installed in the main thread)");
  EXPECT_TRUE(has_default_action(SIGUSR1));
}

TEST(SignalReceiver, a_signal_has_one_owner) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const auto handle = [&] { loop.add_signal_handler(SIGUSR1, [] {}); };
    const auto receive = [] { signal_receiver s({SIGUSR2, SIGUSR1}); };
    handle();
    const std::string taken = " is handled by add_signal_handler() already)";
    EXPECT_EQ(thrown_by(receive), "runtime_error(signal " + std::to_string(SIGUSR1) + taken);
    EXPECT_TRUE(has_default_action(SIGUSR2));
    EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));

    const std::string received = " is received by a signal_receiver already)";
    signal_receiver first({SIGUSR1});
    EXPECT_EQ(thrown_by(receive), "runtime_error(signal " + std::to_string(SIGUSR1) + received);
    EXPECT_EQ(thrown_by(handle), "runtime_error(signal " + std::to_string(SIGUSR1) + received);
    EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
    ::raise(SIGUSR1);
    const std::string came = co_await next_of(first);
    EXPECT_EQ(came, "USR1");
  });
}

TEST(SignalReceiver, two_loops_cannot_receive_the_same_signal) {
  auto other = new_event_loop();
  other->add_signal_handler(SIGUSR1, [] {});
  run([]() -> coroutine<> {
    EXPECT_TRUE(contains(thrown_by([] { signal_receiver s({SIGUSR2, SIGUSR1}); }), "another loop"));
    EXPECT_TRUE(has_default_action(SIGUSR2));
    co_return;
  });
}

// ---- Ctrl-C

TEST(SignalReceiver, for_its_life_it_stands_before_runs_own_answer_to_ctrl_c) {
  journal happened;
  const auto main = [&]() -> coroutine<> {
    {
      signal_receiver s({SIGINT});
      raise_all({SIGINT, SIGINT});  // the second would end the process
      std::string came = co_await next_of(s);
      happened(std::move(came));
    }
    ::raise(SIGINT);
    std::string slept = co_await ending(sleep(1h));
    happened(std::move(slept));
    throw cancelled_error();
  };
  happened(thrown_by([&] { run(main); }));
  EXPECT_EQ(happened.seen(), (lines{"INT", "cancelled_error", "keyboard_interrupt"}));
  EXPECT_TRUE(has_default_action(SIGINT));
}

TEST(SignalReceiverDeathTest, after_it_a_program_that_never_returns_to_its_loop_can_be_stopped_again) {
  const auto main = []() -> coroutine<> {
    { signal_receiver s({SIGINT}); }
    raise_all({SIGINT, SIGINT});
    co_return;
  };
  EXPECT_EXIT(run(main), ::testing::KilledBySignal(SIGINT), "");
}

TEST(SignalReceiver, one_that_outlives_a_run_goes_on_receiving_in_the_next) {
  runner r;
  std::optional<signal_receiver> s;
  r.run([&]() -> coroutine<> {
    s.emplace(std::initializer_list<int>{SIGINT});
    co_return;
  });
  ::raise(SIGINT);
  EXPECT_EQ(r.run([&] { return next_of(*s); }), "INT");
  s.reset();
  EXPECT_TRUE(has_default_action(SIGINT));
}

// ---- its loop's end, other threads, other loops, other processes

TEST(SignalReceiver, the_end_of_its_loop_closes_it) {
  std::unique_ptr<signal_receiver> s;
  task<std::string> waited;
  run([&]() -> coroutine<> {
    s = std::make_unique<signal_receiver>(std::initializer_list<int>{SIGUSR1});
    waited = create_task(next_of(*s));
    co_await settle();
    ::raise(SIGUSR1);
    ::raise(SIGUSR1);
  });
  EXPECT_TRUE(waited.done());
  EXPECT_TRUE(has_default_action(SIGUSR1));
  EXPECT_EQ(run([&] { return next_of(*s); }), "nothing");
  s->close();
  std::thread([&] { s.reset(); }).join();
}

TEST(SignalReceiver, in_another_thread_it_is_refused_and_may_be_destroyed) {
  testing::run([]() -> coroutine<> {
    auto s = std::make_unique<signal_receiver>(std::initializer_list<int>{SIGUSR1});
    std::string closing, waiting;
    std::thread([&] {
      closing = thrown_by([&] { s->close(); });
      waiting = run([&] { return next_of(*s); });
    }).join();
    EXPECT_TRUE(closing.starts_with("runtime_error(signal_receiver.close(): called from thread ")) << closing;
    EXPECT_TRUE(waiting.starts_with("runtime_error(signal_receiver.next(): called from thread ")) << waiting;
    const task<std::string> waits = create_task(next_of(*s));
    co_await settle();
    std::thread([&] { s.reset(); }).join();
    const std::string end = co_await waits;
    EXPECT_EQ(end, "nothing");
    EXPECT_TRUE(has_default_action(SIGUSR1));
  });
}

TEST(SignalReceiver, a_task_of_a_different_loop_is_refused) {
  runner r;
  std::optional<signal_receiver> s;
  r.run([&]() -> coroutine<> {
    s.emplace(std::initializer_list<int>{SIGUSR1});
    co_return;
  });
  EXPECT_EQ(run([&] { return next_of(*s); }),
            "runtime_error(signal_receiver.next(): the receiver belongs to a different event loop)");
}

TEST(SignalReceiver, a_forked_child_has_none) {
  testing::run([]() -> coroutine<> {
    auto s = std::make_unique<signal_receiver>(std::initializer_list<int>{SIGUSR1});
    const pid_t pid = ::fork();
    if (pid == 0) {
      int left = has_default_action(SIGUSR1) ? 0 : 1;
      if (thrown_by([&] { s->close(); }) == "nothing") left = 2;
      struct sigaction childs{};
      childs.sa_handler = SIG_IGN;
      ::sigaction(SIGUSR1, &childs, nullptr);
      s.reset();
      if (has_default_action(SIGUSR1)) left = 3;  // it is the child's own by now
      ::_exit(left);
    }
    int status = -1;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0) << WEXITSTATUS(status);
    ::raise(SIGUSR1);
    const std::string came = co_await next_of(*s);
    EXPECT_EQ(came, "USR1");
  });
}

}  // namespace
}  // namespace asyncio::spec
