// SPDX-License-Identifier: BSL-1.0
#include "threads/blocking_pool.hpp"

#include "base/clock.hpp"
#include "kernel/kernel.hpp"
#include "loop/loop.hpp"

#include "support/backend.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>
#include <signal.h>

namespace {

using asyncio::threads::blocking_pool;
using asyncio::threads::job;

std::unique_ptr<asyncio::loop::loop> make_loop() {
  const int wake_fd = asyncio::kernel::make_wake_fd();
  return std::make_unique<asyncio::loop::loop>(test::make_kernel(wake_fd), asyncio::base::steady_clock_source(),
                                               wake_fd);
}

/// A door that jobs wait at, in a pool's thread.
class gate {
 public:
  void open() {
    std::scoped_lock hold(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock hold(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(hold, [this] { return open_; });
  }
  void wait_for(int visitors) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return waiting_ >= visitors; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int waiting_ = 0;
};

struct test_job : job {
  test_job() {
    run = [](job* self) noexcept {
      auto* me = static_cast<test_job*>(self);
      me->ran_in = std::this_thread::get_id();
      char name[16] = {};
      pthread_getname_np(pthread_self(), name, sizeof name);
      me->thread_name = name;
      if (me->before != nullptr) me->before->pass();
    };
    finished = [](job* self) noexcept {
      auto* me = static_cast<test_job*>(self);
      me->finished_in = std::this_thread::get_id();
      ++me->times_finished;
    };
    dropped = [](job* self) noexcept {
      auto* me = static_cast<test_job*>(self);
      ++me->times_dropped;
      if (me->after_drop != nullptr) me->after_drop->open();
    };
  }
  gate* before = nullptr;
  gate* after_drop = nullptr;
  std::thread::id ran_in, finished_in;
  std::string thread_name;
  std::atomic<int> times_finished{0}, times_dropped{0};
};

void run_until_finished(asyncio::loop::loop& loop, const test_job& work) {
  const asyncio::loop::loop::entry inside(loop);
  while (work.times_finished == 0) loop.run_once(std::nullopt);
}

TEST(BlockingPool, RunsAJobInAThreadOfItsOwnAndFinishesItInTheLoops) {
  auto loop = make_loop();
  blocking_pool pool("a-name-that-is-long", 2);
  EXPECT_EQ(pool.thread_count(), 0u) << "threads are started when they are needed";
  test_job work;
  pool.submit(work, loop->box());
  run_until_finished(*loop, work);
  EXPECT_NE(work.ran_in, std::this_thread::get_id());
  EXPECT_EQ(work.finished_in, std::this_thread::get_id());
  EXPECT_EQ(work.thread_name, "a-name-that-is-");
  EXPECT_EQ(work.times_finished, 1);
  EXPECT_EQ(pool.thread_count(), 1u);
}

TEST(BlockingPool, StartsNoMoreThreadsThanItMayAndServesJobsInOrder) {
  auto loop = make_loop();
  blocking_pool pool("pool", 2);
  gate door;
  std::vector<std::unique_ptr<test_job>> jobs;
  for (int i = 0; i < 5; ++i) {
    jobs.push_back(std::make_unique<test_job>());
    jobs.back()->before = &door;
    pool.submit(*jobs.back(), loop->box());
  }
  door.wait_for(2);
  EXPECT_EQ(pool.thread_count(), 2u);
  EXPECT_EQ(pool.waiting_jobs(), 3u);
  door.open();
  for (const auto& work : jobs) run_until_finished(*loop, *work);
  std::set<std::thread::id> threads;
  for (const auto& work : jobs) threads.insert(work->ran_in);
  EXPECT_LE(threads.size(), 2u);
}

TEST(BlockingPool, UsesAnIdleThreadAgain) {
  auto loop = make_loop();
  blocking_pool pool("pool", 8);
  for (int i = 0; i < 20; ++i) {
    test_job work;
    pool.submit(work, loop->box());
    run_until_finished(*loop, work);
  }
  EXPECT_EQ(pool.thread_count(), 1u);
}

TEST(BlockingPool, TakesBackAJobThatHasNotStarted) {
  auto loop = make_loop();
  const std::size_t inboxes = asyncio::detail::inbox::count_after(0).loops;
  blocking_pool pool("pool", 1);
  gate door;
  test_job running, waiting;
  running.before = &door;
  pool.submit(running, loop->box());
  door.wait_for(1);
  pool.submit(waiting, loop->box());
  EXPECT_TRUE(pool.cancel(waiting));
  EXPECT_FALSE(pool.cancel(waiting)) << "it is not there any more";
  EXPECT_FALSE(pool.cancel(running)) << "it runs";
  door.open();
  run_until_finished(*loop, running);
  EXPECT_EQ(waiting.ran_in, std::thread::id());
  loop.reset();
  EXPECT_EQ(asyncio::detail::inbox::count_after(0).loops, inboxes - 1) << "no job counts as its user any more";
}

TEST(BlockingPool, DropsAJobWhoseLoopWasClosedMeanwhile) {
  auto loop = make_loop();
  blocking_pool pool("pool", 1);
  gate door, dropped;
  test_job running, waiting;
  running.before = &door;
  waiting.after_drop = &dropped;
  pool.submit(running, loop->box());
  door.wait_for(1);
  pool.submit(waiting, loop->box());
  loop.reset();
  door.open();
  dropped.pass();
  pool.shutdown();
  EXPECT_EQ(running.times_dropped, 1) << "it had run, but nobody is there to finish it";
  EXPECT_EQ(waiting.times_dropped, 1);
  EXPECT_EQ(waiting.ran_in, std::thread::id()) << "it never ran";
  EXPECT_EQ(running.times_finished + waiting.times_finished, 0);
}

TEST(BlockingPool, LetsSubmittedJobsEndWhenItIsShutDown) {
  auto loop = make_loop();
  blocking_pool pool("pool", 1);
  test_job jobs[3];
  for (test_job& work : jobs) pool.submit(work, loop->box());
  pool.shutdown();
  for (const test_job& work : jobs) EXPECT_NE(work.ran_in, std::thread::id());
  test_job late;
  EXPECT_THROW(pool.submit(late, loop->box()), std::runtime_error);
  for (const test_job& work : jobs) run_until_finished(*loop, work);
}

TEST(BlockingPool, KeepsSignalsOutOfItsThreads) {
  auto loop = make_loop();
  blocking_pool pool("pool", 1);
  struct mask_job : test_job {
    sigset_t blocked;
  } work;
  work.run = [](job* self) noexcept { pthread_sigmask(SIG_SETMASK, nullptr, &static_cast<mask_job*>(self)->blocked); };
  pool.submit(work, loop->box());
  run_until_finished(*loop, work);
  EXPECT_TRUE(sigismember(&work.blocked, SIGINT));
  EXPECT_TRUE(sigismember(&work.blocked, SIGTERM));
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  EXPECT_FALSE(sigismember(&mine, SIGINT)) << "the mask of the thread that submits is as before";
}

TEST(BlockingPool, RefusesToHaveNoThread) { EXPECT_THROW(blocking_pool("pool", 0), std::invalid_argument); }

}  // namespace
