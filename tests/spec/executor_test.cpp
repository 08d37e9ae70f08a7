// SPDX-License-Identifier: BSL-1.0
// Pools of threads.
#include "spec/executor_test.hpp"

#include <atomic>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stop_token>

#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::spec {
namespace {

TEST(ThreadPool, submit_calls_functions_closures_and_members_elsewhere) {
  thread_pool_executor pool(2);
  account a;
  EXPECT_EQ(pool.submit(square, 5).result(), 25);
  EXPECT_EQ(pool.submit([](std::string s) { return s + "!"; }, "hey").result(), "hey!");
  EXPECT_EQ(pool.submit(&account::add, &a, 5).result(), 15);
  EXPECT_EQ(pool.submit([p = std::make_unique<int>(3)] { return *p; }).result(), 3);
  EXPECT_NE(pool.submit([] { return std::this_thread::get_id(); }).result(), std::this_thread::get_id());
  EXPECT_EQ(thrown_by([&] { pool.submit([] { throw std::runtime_error("broken"); }).result(); }),
            "runtime_error(broken)");
}

TEST(ThreadPool, starts_threads_when_they_are_needed_and_uses_idle_ones_again) {
  thread_pool_executor pool(3, "worker");
  EXPECT_EQ(pool.max_workers(), 3u);
  std::set<std::string> names;
  for (int i = 0; i < 10; ++i) names.insert(pool.submit(name_of_this_thread).result());
  EXPECT_EQ(names, (std::set<std::string>{"worker_0"}));
  gate door;
  std::vector<concurrent_future<std::string>> futures;
  for (int i = 0; i < 5; ++i)
    futures.push_back(pool.submit([&] {
      door.pass();
      return name_of_this_thread();
    }));
  door.wait_for(3);
  door.open();
  for (const auto& f : futures) names.insert(f.result());
  EXPECT_EQ(names, (std::set<std::string>{"worker_0", "worker_1", "worker_2"}));
}

TEST(ThreadPool, has_by_default_a_few_more_threads_than_processors) {
  const thread_pool_executor pool;
  EXPECT_EQ(pool.max_workers(), std::min(32u, std::max(1u, std::thread::hardware_concurrency()) + 4));
}

TEST(ThreadPool, begins_calls_in_the_order_of_their_submission) {
  thread_pool_executor pool(1);
  std::vector<int> begun;
  std::vector<concurrent_future<>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pool.submit([&begun, i] { begun.push_back(i); }));
  for (const auto& f : futures) f.result();
  EXPECT_TRUE(std::ranges::is_sorted(begun));
}

TEST(ThreadPool, map_gives_a_future_for_every_element_in_order) {
  thread_pool_executor pool(3);
  std::vector<int> numbers(10);
  std::iota(numbers.begin(), numbers.end(), 0);
  std::vector<int> squares;
  for (const auto& f : pool.map(square, numbers)) squares.push_back(f.result());
  EXPECT_EQ(squares, (std::vector<int>{0, 1, 4, 9, 16, 25, 36, 49, 64, 81}));
}

TEST(ThreadPool, a_call_that_is_cancelled_before_its_turn_is_never_made) {
  thread_pool_executor pool(1);
  gate door;
  bool called = false;
  const concurrent_future<> running = pool.submit([&] { door.pass(); });
  const concurrent_future<> waiting = pool.submit([&] { called = true; });
  door.wait_for(1);
  EXPECT_FALSE(running.cancel());
  EXPECT_TRUE(waiting.cancel());
  door.open();
  pool.shutdown();
  EXPECT_FALSE(called);
  EXPECT_EQ(thrown_by([&] { waiting.result(); }), "cancelled_error");
}

TEST(ThreadPool, cancel_asks_a_function_that_takes_a_stop_token_to_stop) {
  thread_pool_executor pool(1);
  gate door;
  const concurrent_future<int> f = pool.submit(
      [&](const std::stop_token& stop, int n) {
        door.pass();
        while (!stop.stop_requested()) std::this_thread::yield();
        return n;
      },
      4);
  door.open();
  door.wait_for(1);
  EXPECT_FALSE(f.cancel());
  EXPECT_EQ(f.result(), 4);
}

TEST(ThreadPool, shutdown_lets_everything_end_and_refuses_what_comes_later) {
  thread_pool_executor pool(1);
  std::atomic<int> done{0};
  for (int i = 0; i < 20; ++i) pool.submit([&] { ++done; });
  pool.shutdown();
  pool.shutdown();
  EXPECT_EQ(done, 20);
  EXPECT_EQ(thrown_by([&] { pool.submit(square, 1); }), "runtime_error(cannot submit a job after shutdown)");
}

TEST(ThreadPool, shutdown_can_cancel_what_waits_for_its_turn) {
  thread_pool_executor pool(1);
  gate door;
  const concurrent_future<int> running = pool.submit([&] {
    door.pass();
    return 1;
  });
  const concurrent_future<int> waiting = pool.submit(square, 2);
  door.wait_for(1);
  pool.shutdown({.wait = false, .cancel_futures = true});
  EXPECT_TRUE(waiting.cancelled());
  door.open();
  pool.shutdown();
  EXPECT_EQ(running.result(0s), 1);
}

TEST(ThreadPool, its_destructor_waits) {
  std::atomic<int> done{0};
  {
    thread_pool_executor pool(2);
    for (int i = 0; i < 20; ++i) pool.submit([&] { ++done; });
  }
  EXPECT_EQ(done, 20);
}

TEST(ThreadPool, one_of_its_threads_cannot_wait_for_its_end) {
  thread_pool_executor pool(1);
  EXPECT_TRUE(contains(thrown_by([&] { pool.submit([&] { pool.shutdown(); }).result(); }), "cannot wait"));
}

TEST(ThreadPool, says_so_in_a_forked_child_instead_of_waiting_for_threads_that_are_not_there) {
  thread_pool_executor pool(1);
  EXPECT_EQ(pool.submit(square, 3).result(), 9);
  const pid_t child = fork();
  if (child == 0) {
    const std::string said = thrown_by([&] { pool.submit(square, 3); });
    pool.shutdown();
    _exit(contains(said, "the process that forked this one") ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TEST(ThreadPool, the_function_and_its_arguments_are_dead_when_the_outcome_is_told) {
  thread_pool_executor pool(1);
  auto held = std::make_shared<int>(1);
  pool.submit([held](const std::shared_ptr<int>&) {}, held).result();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadPool, in_async_with_waits_for_its_threads_without_blocking_the_loop) {
  testing::run([]() -> coroutine<> {
    gate door;
    bool turned = false;
    std::optional<concurrent_future<int>> f;
    const task<> other = create_task([&]() -> coroutine<> {
      co_await sleep(0s);
      turned = true;
      door.open();
    });
    thread_pool_executor pool(1);
    co_await async_with(pool, [&](thread_pool_executor& p) {
      f.emplace(p.submit([&] {
        door.pass();
        return 5;
      }));
    });
    EXPECT_TRUE(turned);
    EXPECT_EQ(f->result(0s), 5);
    EXPECT_TRUE(contains(thrown_by([&] { pool.submit(square, 1); }), "after shutdown"));
    co_await other;
  });
}

TEST(ThreadPool, whose_async_with_is_cancelled_cancels_what_waits_and_ends_when_what_runs_has_ended) {
  testing::run([]() -> coroutine<> {
    gate door;
    thread_pool_executor pool(1);
    std::optional<concurrent_future<>> running, waiting;
    const task<> scope = create_task([&]() -> coroutine<> {
      co_await async_with(pool, [&] {
        running.emplace(pool.submit([&] { door.pass(); }));
        waiting.emplace(pool.submit([] {}));
      });
    });
    co_await settle();
    door.wait_for(1);
    scope.cancel();
    co_await settle();
    EXPECT_TRUE(waiting->cancelled());
    EXPECT_FALSE(scope.done());
    scope.cancel();
    co_await settle();
    EXPECT_FALSE(scope.done());
    door.open();
    EXPECT_EQ(co_await ending(scope), "cancelled_error");
    EXPECT_TRUE(running->done());
  });
}

TEST(ThreadPool, in_async_with_can_be_cancelled_at_every_place) {
  testing::inject_cancel([]() -> coroutine<> {
    thread_pool_executor pool(1);
    const int answer = co_await async_with(pool, [&] { return pool.submit(square, 3); });
    EXPECT_EQ(answer, 9);
  });
}

// ---- all at once

TEST(ThreadPoolStress, eight_threads_submit_cancel_and_wait) {
  thread_pool_executor pool(4);
  std::atomic<int> called{0}, cancelled{0};
  std::vector<std::thread> callers;
  constexpr int each = 300;
  for (int t = 0; t < 8; ++t)
    callers.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        const concurrent_future<int> f = pool.submit(
            [&called](int n) {
              ++called;
              return n;
            },
            i);
        if (i % 3 == t % 3 && f.cancel())
          ++cancelled;
        else
          EXPECT_EQ(f.result(), i);
      }
    });
  for (std::thread& t : callers) t.join();
  pool.shutdown();
  EXPECT_EQ(called + cancelled, 8 * each);
}

TEST(ThreadPoolStress, eight_loops_share_a_pool_and_cancel_at_random) {
  thread_pool_executor pool(4);
  mortal::grave elsewhere;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      mortal::grave g;
      asyncio::run([&]() -> coroutine<> {
        event_loop& loop = get_running_loop();
        unsigned dice = t + 1;
        std::vector<future<int>> calls;
        for (int i = 0; i < 200; ++i) {
          auto call = [kept = mortal(g)](int n) { return n; };
          calls.push_back(loop.run_in_executor(pool, call, i));
          dice = dice * 1103515245u + 12345u;
          if ((dice >> 16) % 3 == 0) calls.back().cancel();
          if ((dice >> 20) % 4 == 0) co_await sleep(0s);
        }
        for (std::size_t i = 0; i < calls.size(); ++i) {
          if (calls[i].cancelled()) continue;
          const int answer = co_await calls[i];
          if (answer != static_cast<int>(i)) ++wrong;
        }
      });
      pool.submit([] {}).result();
      if (!g.all_in(std::this_thread::get_id())) ++wrong;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace asyncio::spec
