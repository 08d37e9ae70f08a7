// SPDX-License-Identifier: BSL-1.0
// Signals while other loops and threads run: bursts, forks, Ctrl-C. One loop alone: runner_signals_test.cpp.
#include <asyncio/signals.hpp>

#include "spec/spec.hpp"
#include "support/signals.hpp"

#include <asyncio/channel.hpp>
#include <asyncio/loop_group.hpp>

#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <csignal>
#include <set>
#include <thread>

namespace asyncio::spec {
namespace {

/// Keeps a loop busy until `stop`.
coroutine<> spin(std::atomic<bool>& stop) {
  while (!stop) co_await sleep(0s);
}

#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitizer = true;
#elif defined(__has_feature)
constexpr bool thread_sanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool thread_sanitizer = false;
#endif

/// The signals that this thread blocks: a burst leaves them as they were. But for ThreadSanitizer, whose runtime may leave
/// all of them blocked: it puts handlers off, keeps the mask in one place for each thread while it runs them, and overwrites it
/// when a handler's own system call makes it run others. A program without this library shows the same. There the mask is
/// put back.
class mask_of_this_thread {
 public:
  mask_of_this_thread() { ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_); }
  void expect_unchanged() const {
    if (thread_sanitizer) {
      ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
      return;
    }
    const mask_of_this_thread now;
    for (int number = 1; number < NSIG; ++number)
      EXPECT_EQ(::sigismember(&now.mask_, number), ::sigismember(&mask_, number)) << "signal " << number;
  }

 private:
  sigset_t mask_;
};

/// Threads that send signals to the process, many times over.
class senders {
 public:
  senders(int threads, int each, std::vector<int> numbers) : left_(threads) {
    for (int t = 0; t < threads; ++t)
      threads_.emplace_back([this, t, each, numbers] {
        for (int i = 0; i < each; ++i) ::kill(::getpid(), numbers[static_cast<std::size_t>(i + t) % numbers.size()]);
        left_.fetch_sub(1);
      });
  }
  ~senders() {
    for (std::thread& t : threads_) t.join();
  }
  bool done() const { return left_.load() == 0; }

 private:
  std::atomic<int> left_;
  std::vector<std::thread> threads_;
};

// S39: none of the kinds is lost, and after the last one each is heard once more.
TEST(Signals, a_hundred_thousand_from_four_threads_reach_a_busy_loop_beside_others) {
  std::atomic<bool> stop{false};
  const mask_of_this_thread mask;
  loop_group others(2);
  for (std::size_t i = 0; i < 2; ++i) (void)others.submit_to(i, spin, std::ref(stop));
  int handled = 0;
  std::set<int> received;
  run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.add_signal_handler(SIGUSR1, [&handled] { ++handled; });
    signal_receiver receiver({SIGUSR2, SIGHUP});
    const auto receive = [&]() -> coroutine<> {
      while (const std::optional<int> number = co_await receiver.next()) received.insert(*number);
    };
    const task<> receiving = create_task(receive);
    {
      const senders burst(4, 25'000, {SIGUSR1, SIGUSR2, SIGHUP});
      while (!burst.done()) co_await sleep(0s);
    }
    EXPECT_GT(handled, 0);
    EXPECT_EQ(received, (std::set<int>{SIGUSR2, SIGHUP}));
    co_await sleep(10ms);
    handled = 0;
    received.clear();
    for (const int number : {SIGUSR1, SIGUSR2, SIGHUP}) ::raise(number);
    while (handled == 0 || received.size() < 2) {
      mask.expect_unchanged();
      co_await sleep(1ms);
    }
    EXPECT_EQ(handled, 1);
    receiver.close();
    co_await receiving;
    loop.remove_signal_handler(SIGUSR1);
  });
  stop = true;
}

TEST(Signals, a_burst_over_the_forks_of_children_upsets_neither_side) {
  int handled = 0;
  const mask_of_this_thread mask;
  run([&]() -> coroutine<> {
    get_running_loop().add_signal_handler(SIGUSR1, [&handled] { ++handled; });
    const senders burst(2, 5'000, {SIGUSR1});
    int forks = 0;
    while (!burst.done() || forks < 20) {
      const pid_t child = ::fork();
      if (child == 0) {
        struct sigaction now{};
        ::sigaction(SIGUSR1, nullptr, &now);
        // Not _exit(): ThreadSanitizer would miss there the threads that the child does not have.
        const char* const answer = now.sa_handler == SIG_DFL ? "/bin/true" : "/bin/false";
        ::execl(answer, answer, static_cast<char*>(nullptr));
        ::_exit(2);
      }
      int status = -1;
      while (::waitpid(child, &status, 0) < 0) {}
      EXPECT_EQ(status, 0);
      ++forks;
      co_await sleep(0s);
    }
    while (handled == 0) {
      mask.expect_unchanged();
      co_await sleep(1ms);
    }
    get_running_loop().remove_signal_handler(SIGUSR1);
  });
  EXPECT_GT(handled, 0);
}

TEST(Signals, what_comes_while_handlers_come_and_go_is_heard_by_one_or_has_its_default_action) {
  std::atomic<bool> stop{false};
  const mask_of_this_thread mask;
  std::thread sender([&stop] {
    while (!stop) ::kill(::getpid(), SIGWINCH);  // its default action is to be ignored
  });
  for (int round = 0; round < 200; ++round) {
    auto loop = new_event_loop();
    int heard = 0;
    loop->add_signal_handler(SIGWINCH, [&heard] { ++heard; });
    loop->add_signal_handler(SIGWINCH, [&heard, &loop] {
      ++heard;
      loop->stop();
    });
    mask.expect_unchanged();
    loop->run_forever();
    EXPECT_EQ(heard, 1);
  }
  stop = true;
  sender.join();
}

// ---- Ctrl-C

/// Sends SIGINT to the process, a moment after it is asked to.
class interrupt_later {
 public:
  interrupt_later()
      : thread_([this] {
          while (!go_) std::this_thread::yield();
          test::signal_from_helper(SIGINT);
        }) {}
  ~interrupt_later() { thread_.join(); }
  void go() { go_ = true; }

 private:
  std::atomic<bool> go_{false};
  std::thread thread_;
};

// S43
TEST(Signals, ctrl_c_ends_a_program_whose_other_loops_and_threads_are_busy) {
  std::atomic<int> cleaned{0};
  std::atomic<bool> stop{false};
  const channel<int> never(1);
  interrupt_later interrupt;
  const auto waits = [&cleaned](channel<int> from) -> coroutine<> {
    const std::string end = co_await ending(from.next());
    cleaned.fetch_add(end == "cancelled_error");
  };
  const auto body = [&](loop_group& group) -> coroutine<> {
    for (int i = 0; i < 4; ++i) (void)group.submit(waits, never);
    (void)group.submit(spin, std::ref(stop));
    co_await group.submit_to(0, [] {});
    co_await group.submit_to(1, [] {});
    interrupt.go();
    co_await waits(never);
    throw cancelled_error();
  };
  const auto main = [&]() -> coroutine<> { co_await async_with(loop_group(2), body); };
  std::thread blocked([&] { EXPECT_EQ(never.next_blocking(), std::nullopt); });
  EXPECT_EQ(thrown_by([&] { run(main); }), "keyboard_interrupt");
  EXPECT_EQ(cleaned.load(), 5);
  never.shutdown();
  blocked.join();
}

// S46: signals are the main thread's. A loop beside it that is closed gives none of them up.
TEST(Signals, loops_that_come_and_go_in_other_threads_leave_them_alone) {
  int heard = 0;
  run([&]() -> coroutine<> {
    get_running_loop().add_signal_handler(SIGUSR1, [&heard] { ++heard; });
    for (int i = 0; i < 5; ++i) {
      const auto nothing = [](loop_group&) {};
      co_await async_with(loop_group(2), nothing);
      std::thread([] { run(sleep(0s)); }).join();
      ::raise(SIGUSR1);
      while (heard <= i) co_await sleep(0s);
    }
    get_running_loop().remove_signal_handler(SIGUSR1);
  });
  EXPECT_EQ(heard, 5);
}

}  // namespace
}  // namespace asyncio::spec
