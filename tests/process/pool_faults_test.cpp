// SPDX-License-Identifier: BSL-1.0
// Process pools when the system refuses.
#include <asyncio/asyncio.hpp>

#include "support/descriptors.hpp"
#include "support/sys_faults.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>

namespace {

using namespace asyncio;
using test::sys_faults;
namespace sys = asyncio::kernel::sys;

int square(int n) { return n * n; }
int busy(int n) {
  for (volatile int i = 0; i < 3'000'000;) i = i + 1;
  return n;
}

std::string failure_of(const concurrent_future<int>& future) {
  try {
    future.result();
  } catch (const broken_process_pool& e) {
    return e.what();
  }
  return "none";
}

TEST(ProcessPoolFaults, tell_that_no_worker_can_be_started_and_try_again_for_the_next_task) {  // F26
  const std::size_t before = test::open_descriptors();
  {
    process_pool_executor pool(1);
    sys_faults faults;
    faults.fail<&sys::table::posix_spawn>(EAGAIN);
    EXPECT_EQ(failure_of(pool.submit(square, 3)), "no worker process can be started: Resource temporarily unavailable");
    EXPECT_EQ(pool.submit(square, 3).result(), 9);
    pool.shutdown();
  }
  {
    process_pool_executor pool(1);
    sys_faults faults;
    faults.fail<&sys::table::socketpair>(EMFILE);
    EXPECT_EQ(failure_of(pool.submit(square, 3)),
              "no worker process can be started: no pair of sockets: Too many open files");
    EXPECT_EQ(pool.submit(square, 3).result(), 9);
    pool.shutdown();
  }
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(ProcessPoolFaults, leave_a_task_to_the_workers_that_there_are) {
  process_pool_executor pool(4);
  EXPECT_EQ(pool.submit(square, 3).result(), 9);
  sys_faults faults;
  faults.fail<&sys::table::posix_spawn>(ENOMEM, 1, 1000);
  std::vector<concurrent_future<int>> futures;
  for (int i = 0; i < 20; ++i) futures.push_back(pool.submit(busy, i));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(futures[static_cast<std::size_t>(i)].result(), i);
  EXPECT_GE(faults.count<&sys::table::posix_spawn>(), 1);
  pool.shutdown();
}

TEST(ProcessPoolFaults, of_the_pidfd_are_no_hindrance) {
  process_pool_executor pool({.max_workers = 1, .max_tasks_per_child = 1});
  sys_faults faults;
  faults.fail<&sys::table::pidfd_open>(ENOSYS, 1, 1000);
  EXPECT_EQ(pool.submit(square, 3).result(), 9);
  EXPECT_EQ(pool.submit(square, 4).result(), 16);
  EXPECT_EQ(failure_of(pool.submit([]() -> int { std::abort(); })),
            "a worker process ended while it ran this task: signal 6 (SIGABRT)");
  pool.shutdown();
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST(ProcessPoolFaults, survive_interrupted_and_short_calls) {  // F1
  process_pool_executor pool(1);
  EXPECT_EQ(pool.submit(square, 1).result(), 1);
  sys_faults faults;
  faults.fail<&sys::table::recv>(EINTR, 1, 3);
  faults.fail<&sys::table::sendmsg>(EINTR, 1, 3);
  faults.fail<&sys::table::poll>(EINTR, 1, 3);
  EXPECT_EQ(pool.submit(square, 2).result(), 4);
  EXPECT_EQ(pool.submit(square, 3).result(), 9);
  pool.shutdown();
}

TEST(ProcessPoolFaults, know_of_a_worker_that_somebody_else_has_reaped) {
  process_pool_executor pool(1);
  const int worker = pool.submit([] { return static_cast<int>(::getpid()); }).result();
  const auto dies = pool.submit([]() -> int { ::_exit(7); });
  int status = 0;
  const bool ours = ::waitpid(worker, &status, 0) == worker;  // a race that the pool may win
  const std::string text = "a worker process ended while it ran this task: ";
  EXPECT_EQ(failure_of(dies),
            text + (ours ? "nobody knows how: another part of the program has waited for it" : "exit status 7"));
  EXPECT_EQ(pool.submit(square, 3).result(), 9);
}

}  // namespace

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
