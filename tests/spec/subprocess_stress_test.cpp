// SPDX-License-Identifier: BSL-1.0
// Many children, killed and interrupted at moments that nobody chose.
#include "spec/subprocess_test.hpp"
#include "support/signals.hpp"

#include <atomic>
#include <random>

namespace asyncio::spec {
namespace {

class SubprocessStress : public Subprocess {};
ASYNCIO_BOTH_WAYS(SubprocessStress);

// R22, F24
TEST_P(SubprocessStress, a_thousand_children_leave_no_zombie_and_no_descriptor) {
  run_clean([]() -> coroutine<> {
    const int count = sanitized ? 300 : 1000;
    semaphore room(16);
    int ended = 0;
    auto one = [&]() -> coroutine<> {
      co_await async_with(room, [&]() -> coroutine<> {
        process p = co_await create_subprocess_exec(command("/bin/true"), piped_output);
        auto [out, err] = co_await p.communicate();
        EXPECT_EQ(p.returncode(), 0);
        ++ended;
      });
    };
    co_await async_with(task_group{}, [&](task_group& group) {
      for (int i = 0; i < count; ++i) group.create_task(one());
    });
    EXPECT_EQ(ended, count);
    EXPECT_TRUE(has_no_children());
  });
}

/// Does something from another thread after a while, of up to `most`.
template <class F>
std::thread after_a_while(std::minstd_rand& random, std::chrono::microseconds most, F call) {
  const auto delay = std::chrono::microseconds(random() % static_cast<unsigned>(most.count()));
  return std::thread([delay, call] {
    std::this_thread::sleep_for(delay);
    call();
  });
}

// Killed by somebody else before, while or after it answers: its end is told all the same, and nothing hangs.
TEST_P(SubprocessStress, children_that_are_killed_at_random_report_it) {
  run_clean([]() -> coroutine<> {
    int killed = 0;
    auto one = [&](unsigned seed) -> coroutine<> {
      std::minstd_rand random(seed);
      for (int i = 0; i < (sanitized ? 10 : 25); ++i) {
        process p = co_await create_subprocess_exec(child("copy"), piped);
        const pid_t pid = p.pid();
        std::thread killer = after_a_while(random, 3ms, [pid] { ::kill(pid, SIGKILL); });
        auto [out, err] = co_await p.communicate(std::string(300'000, 'x'));
        // The killer may come late: the pid is nobody else's meanwhile, since pids go round once in many thousands.
        killer.join();
        EXPECT_TRUE(p.returncode() == -SIGKILL || p.returncode() == 0) << *p.returncode();
        killed += p.returncode() == -SIGKILL ? 1 : 0;
      }
    };
    co_await async_with(task_group{}, [&](task_group& group) {
      for (unsigned i = 1; i <= 8; ++i) group.create_task(one(i));
    });
    EXPECT_GT(killed, 0);
  });
}

// S43, S46: whatever stands in an async_with is killed and reaped when the program is interrupted.
TEST_P(SubprocessStress, sigint_at_any_moment_ends_a_program_and_its_children) {
  const std::size_t before = test::open_descriptors();
  std::minstd_rand random(7);
  std::atomic<int> cleaned = 0;
  std::atomic<int> begun = 0;
  auto busy = [&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      while (true) {
        process p = co_await create_subprocess_exec(child("copy"), piped);
        co_await async_with(std::move(p), [](process& inside) -> coroutine<> {
          auto [out, err] = co_await inside.communicate("something");
          EXPECT_EQ(out, "something");
        });
      }
    };
    const auto cleanup = [&] { ++cleaned; };
    ++begun;
    co_await async_finally(work, cleanup);
  };
  const auto main = [&]() -> coroutine<> {
    co_await async_with(task_group{}, [&](task_group& group) {
      for (int i = 0; i < 4; ++i) group.create_task(busy());
    });
  };
  for (int i = 0; i < (sanitized ? 10 : 30); ++i) {
    std::thread interrupting;
    const auto whole = [&]() -> coroutine<> {
      interrupting = after_a_while(random, 20ms, [] { test::signal_from_helper(SIGINT); });
      co_await main();
    };
    EXPECT_EQ(thrown_by([&] { asyncio::run(whole); }), "keyboard_interrupt");
    interrupting.join();
    EXPECT_EQ(cleaned, begun);
    EXPECT_TRUE(has_no_children());
    EXPECT_EQ(test::open_descriptors(), before);
  }
}

}  // namespace
}  // namespace asyncio::spec
