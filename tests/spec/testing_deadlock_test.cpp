// SPDX-License-Identifier: BSL-1.0
// asyncio::testing: a program that nothing can wake any more fails, and says what every task waits for.
#include "spec/spec.hpp"
#include "support/signals.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <csignal>
#include <memory>
#include <thread>

namespace asyncio::spec {
namespace {

constexpr timedelta no_grace = 0s;

/// The text of the deadlock_error that f() throws.
template <class F>
std::string deadlock_of(F f) {
  try {
    f();
  } catch (const testing::deadlock_error& e) {
    return e.what();
  } catch (...) {
    return "no deadlock but " + name_of(std::current_exception());
  }
  return "no deadlock";
}

coroutine<> take(lock& l) {
  auto hold = co_await l.scoped();
  co_await sleep(1s);
}

coroutine<> take_both(lock& first, lock& second) {
  auto hold = co_await first.scoped();
  co_await sleep(1s);
  co_await take(second);
}

TEST(Deadlock, two_tasks_that_hold_what_the_other_wants_are_reported_with_their_chains) {
  const std::string text = deadlock_of([] {
    testing::run(
        []() -> coroutine<> {
          lock a, b;
          current_task().set_name("main");
          task<> left = create_task(take_both(a, b), {.name = "left"});
          task<> right = create_task(take_both(b, a), {.name = "right"});
          co_await gather(left, right);
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_TRUE(text.starts_with("deadlock: nothing can wake a task")) << text;
  EXPECT_TRUE(contains(text, "* Task(name='main', id=1)\n  + Call stack:\n  |   File ")) << text;
  EXPECT_TRUE(contains(text, "* Task(name='left', id=2)")) << text;
  EXPECT_TRUE(contains(text, "* Task(name='right', id=3)")) << text;
  EXPECT_TRUE(contains(text, "take()\n")) << text;
  EXPECT_TRUE(contains(text, "take_both()\n")) << text;
  EXPECT_TRUE(contains(text, "  + Awaited by: Task(name='main', id=1)")) << text;
}

TEST(Deadlock, it_is_found_in_the_virtual_moment_after_the_last_timer) {
  time_point found{};
  testing::virtual_clock before;
  const std::string text = deadlock_of([&] {
    testing::run(
        [&]() -> coroutine<> {
          struct at_end {
            time_point& when;
            ~at_end() { when = get_running_loop().time(); }
          };
          const at_end guard{found};
          co_await sleep(1h);
          co_await future<>();
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_TRUE(contains(text, "deadlock")) << text;
  EXPECT_EQ(found - before.now(), 1h);
}

TEST(Deadlock, what_the_main_task_throws_while_it_is_ended_is_not_the_outcome) {
  const std::string text = deadlock_of([] {
    testing::run(
        []() -> coroutine<> {
          const std::string end = co_await ending(future<>());
          throw std::runtime_error(end);
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_TRUE(text.starts_with("deadlock:")) << text;
}

TEST(Deadlock, tasks_that_swallow_their_cancellation_are_cancelled_until_they_end) {
  int swallowed = 0;
  const std::string text = deadlock_of([&] {
    testing::run(
        [&]() -> coroutine<> {
          while (swallowed < 5) {
            const std::string end = co_await ending(future<>());
            EXPECT_EQ(end, "cancelled_error");
            ++swallowed;
          }
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_TRUE(text.starts_with("deadlock:")) << text;
  EXPECT_EQ(swallowed, 5);
}

TEST(Deadlock, a_task_that_is_left_over_and_will_not_end_is_one_too) {
  const std::string text = deadlock_of([&] {
    testing::run(
        [&]() -> coroutine<> {
          const auto stubborn = []() -> coroutine<> {
            (void)co_await ending(future<>());
            (void)co_await ending(future<>());
          };
          create_task(stubborn(), {.name = "stubborn"});
          co_await sleep(1s);
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_TRUE(text.starts_with("deadlock:")) << text;
  EXPECT_TRUE(contains(text, "* Task(name='stubborn', id=2)")) << text;
  EXPECT_FALSE(contains(text, "id=1")) << text;
}

TEST(Deadlock, inject_cancel_finds_one_that_only_a_cancellation_brings_about) {
  const auto careless = []() -> coroutine<> {
    semaphore permits(1);
    co_await permits.acquire();
    const std::string end = co_await ending(sleep(1s));
    if (end == "done") permits.release();
    co_await permits.acquire();  // nobody gives it back when the sleep was cancelled
  };
  const std::string text = deadlock_of([&] { testing::inject_cancel(careless); });
  EXPECT_TRUE(text.starts_with("deadlock:")) << text;
}

TEST(Deadlock, another_thread_may_still_post_within_the_grace) {
  std::thread other;
  const std::string text = deadlock_of([&] {
    testing::run(
        [&]() -> coroutine<> {
          future<> posted;
          event_loop& loop = get_running_loop();
          std::atomic<bool> looked = false;
          other = std::thread([&loop, &looked, posted] {
            while (!looked) std::this_thread::yield();
            loop.call_soon_threadsafe([posted] { posted.set_result(); });
          });
          loop.call_soon([&looked] { looked = true; });
          co_await posted;
          other.join();
        },
        {.deadlock_grace = 1h});
  });
  EXPECT_EQ(text, "no deadlock");
}

TEST(Deadlock, a_thread_that_does_not_post_within_the_grace_counts_no_more) {
  std::atomic<bool> over = false;
  std::thread other([&over] { over.wait(false); });
  const std::string text =
      deadlock_of([] { testing::run([]() -> coroutine<> { co_await future<>(); }, {.deadlock_grace = 1ms}); });
  over = true;
  over.notify_one();
  other.join();
  EXPECT_TRUE(text.starts_with("deadlock:")) << text;
}

TEST(Deadlock, a_descriptor_that_is_watched_is_none) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
  std::thread writer;
  const std::string text = deadlock_of([&] {
    testing::run(
        [&]() -> coroutine<> {
          std::atomic<bool> waits = false;
          writer = std::thread([&] {
            while (!waits) std::this_thread::yield();
            (void)!::write(ends[1], "x", 1);
          });
          get_running_loop().call_soon([&waits] { waits = true; });
          co_await get_running_loop().readable(ends[0]);
          writer.join();
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_EQ(text, "no deadlock");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Deadlock, a_signal_handler_is_none_and_ctrl_c_alone_is_no_handler) {
  const std::string text = deadlock_of([] {
    testing::run(
        []() -> coroutine<> {
          future<> came;
          get_running_loop().add_signal_handler(SIGUSR1, [came] { came.set_result(); });
          std::thread sender([] { test::signal_from_helper(SIGUSR1); });
          co_await came;
          sender.join();
          get_running_loop().remove_signal_handler(SIGUSR1);
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_EQ(text, "no deadlock");
}

TEST(Deadlock, a_job_of_another_thread_of_the_library_is_none) {
  // A name is looked up by a thread of the library; the descriptor that it makes is not the loop's.
  const std::string text = deadlock_of([] {
    testing::run(
        []() -> coroutine<> {
          const std::string end = co_await ending(open_connection("localhost", 1));
          EXPECT_FALSE(end.starts_with("deadlock")) << end;
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_EQ(text, "no deadlock");
}

TEST(Deadlock, the_list_of_tasks_ends_after_a_hundred) {
  const std::string text = deadlock_of([] {
    testing::run(
        []() -> coroutine<> {
          const auto never = std::make_shared<event>();
          const auto waits = [](std::shared_ptr<event> e) -> coroutine<> { co_await e->wait(); };
          for (int i = 0; i < 150; ++i) create_task(waits(never));
          co_await never->wait();
        },
        {.deadlock_grace = no_grace});
  });
  EXPECT_TRUE(text.ends_with("\n* and 51 tasks more")) << text.substr(text.size() - 200);
}

/// A clock that is not the machine's and does not move; a signal arrives while the loop reads it, before it sleeps.
class interrupting_clock final : public clock_source {
 public:
  time_point now() noexcept override {
    if (std::exchange(raise_now, false)) ::raise(SIGUSR1);
    return time_point() + 1h;
  }
  bool raise_now = false;
};

TEST(VirtualClock, a_signal_that_comes_just_before_the_loop_sleeps_is_seen) {
  interrupting_clock clock;
  run(
      [&]() -> coroutine<> {
        future<> came;
        get_running_loop().add_signal_handler(SIGUSR1, [came] { came.set_result(); });
        get_running_loop().call_soon([&clock] { clock.raise_now = true; });
        co_await came;
        get_running_loop().remove_signal_handler(SIGUSR1);
      },
      {.clock = &clock});
}

TEST(TestingDeadlock, a_thread_that_posts_and_ends_is_no_deadlock) {
  unsigned random = 1;
  for (int i = 0; i < 500; ++i) {
    random = random * 1664525 + 1013904223;
    const unsigned spins = random / 256 % 40000;
    testing::run(
        [spins]() -> coroutine<> {
          future<> f;
          event_loop& loop = get_running_loop();
          std::thread([&loop, f, spins]() mutable {
            for (unsigned n = 0; n < spins; ++n) asm volatile("" ::: "memory");
            loop.call_soon_threadsafe([g = std::move(f)] { g.set_result(); });
          }).detach();
          co_await f;
        },
        {.allow_leaks = true});
  }
}

}  // namespace
}  // namespace asyncio::spec
