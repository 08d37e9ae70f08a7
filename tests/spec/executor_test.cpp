// SPDX-License-Identifier: BSL-1.0
// Executors: pools of threads, run_in_executor, the loop's default executor.
#include "spec/spec.hpp"

#include <asyncio/executor.hpp>
#include <asyncio/threads.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::spec {
namespace {

/// A door that threads wait at.
class gate {
 public:
  void open() {
    const std::scoped_lock hold(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock hold(mutex_);
    ++visitors_;
    changed_.notify_all();
    changed_.wait(hold, [this] { return open_; });
  }
  int visitors() {
    const std::scoped_lock hold(mutex_);
    return visitors_;
  }
  void wait_for(int visitors) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return visitors_ >= visitors; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int visitors_ = 0;
};

/// Notes where each of its objects died.
class mortal {
 public:
  struct grave {
    std::mutex mutex;
    std::vector<std::thread::id> died_in;
    std::size_t count() {
      const std::scoped_lock hold(mutex);
      return died_in.size();
    }
    bool all_in(std::thread::id id) {
      const std::scoped_lock hold(mutex);
      return !died_in.empty() && std::ranges::all_of(died_in, [&](std::thread::id d) { return d == id; });
    }
  };
  explicit mortal(grave& g) : grave_(&g) {}
  mortal(const mortal& other) = default;
  mortal& operator=(const mortal&) = delete;
  ~mortal() {
    const std::scoped_lock hold(grave_->mutex);
    grave_->died_in.push_back(std::this_thread::get_id());
  }

 private:
  grave* grave_;
};

std::string name_of_this_thread() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

int square(int n) { return n * n; }
struct account {
  int balance = 10;
  int add(int n) { return balance += n; }
};

// ---- the pool by itself

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

// ---- run_in_executor

// S30
TEST(RunInExecutor, gives_the_outcome_of_a_call_in_a_thread) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    thread_pool_executor pool(2, "mine");
    account a;
    EXPECT_EQ(co_await loop.run_in_executor(pool, square, 4), 16);
    EXPECT_EQ(co_await loop.run_in_executor(pool, &account::add, &a, 1), 11);
    EXPECT_EQ(co_await loop.run_in_executor(pool, name_of_this_thread), "mine_0");
    EXPECT_EQ(co_await loop.run_in_executor(nullptr, name_of_this_thread), "asyncio_0");
    EXPECT_EQ(*co_await loop.run_in_executor(pool, [] { return std::make_unique<int>(2); }), 2);
    EXPECT_EQ(co_await ending(loop.run_in_executor(pool, [] { throw std::runtime_error("broken"); })),
              "runtime_error(broken)");
  });
}

// S30
TEST(RunInExecutor, cancelling_takes_back_a_call_that_waits_for_a_thread) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    thread_pool_executor pool(1);
    gate door;
    std::atomic<bool> called{false};
    const future<> running = loop.run_in_executor(pool, [&] { door.pass(); });
    const future<> waiting = loop.run_in_executor(pool, [&] { called = true; });
    door.wait_for(1);
    EXPECT_TRUE(waiting.cancel());
    EXPECT_EQ(co_await ending(waiting), "cancelled_error");
    door.open();
    co_await running;
    pool.shutdown();
    EXPECT_FALSE(called);
  });
}

// S30
TEST(RunInExecutor, cancelling_never_interrupts_a_call_that_runs_and_ends_the_wait_at_once) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    thread_pool_executor pool(1);
    gate door;
    std::atomic<bool> ended{false};
    const task<std::string> waits = create_task(ending(loop.run_in_executor(pool, [&] {
      door.pass();
      ended = true;
    })));
    co_await settle();
    door.wait_for(1);
    waits.cancel();
    EXPECT_EQ(co_await waits, "cancelled_error");
    EXPECT_FALSE(ended);
    door.open();
    pool.shutdown();
    EXPECT_TRUE(ended);
  });
}

TEST(RunInExecutor, cancelling_asks_a_function_that_takes_a_stop_token_to_stop) {
  testing::run([]() -> coroutine<> {
    thread_pool_executor pool(1);
    gate door;
    std::atomic<bool> stopped{false};
    const future<> f = get_running_loop().run_in_executor(pool, [&](const std::stop_token& stop) {
      door.pass();
      while (!stop.stop_requested()) std::this_thread::yield();
      stopped = true;
    });
    door.open();
    door.wait_for(1);
    f.cancel();
    EXPECT_FALSE(stopped);  // the request comes in a turn of its own, as it may call stop callbacks
    co_await settle();
    pool.shutdown();
    EXPECT_TRUE(stopped);
  });
}

TEST(RunInExecutor, an_exception_that_nobody_looks_at_is_reported) {
  std::string reported;
  testing::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.set_exception_handler([&](event_loop&, const exception_context& c) { reported = name_of(c.exception); });
    (void)loop.run_in_executor(nullptr, [] { throw std::runtime_error("unseen"); });
    co_await loop.shutdown_default_executor();
  });
  EXPECT_EQ(reported, "runtime_error(unseen)");
}

/// An executor of a user's own: a thread for every call.
class thread_each final : public executor {
 public:
  ~thread_each() override {
    for (std::thread& t : threads_) t.join();
  }
  bool refuses = false;
  bool forgets = false;

 protected:
  void post(work call) override {
    if (refuses) throw std::runtime_error("no room");
    if (forgets) return;
    threads_.emplace_back([mine = std::move(call)]() mutable { run(std::move(mine)); });
  }

 private:
  std::vector<std::thread> threads_;
};

TEST(RunInExecutor, takes_an_executor_of_ones_own) {
  mortal::grave g;
  testing::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    thread_each mine;
    EXPECT_EQ(co_await loop.run_in_executor(mine, square, 3), 9);
    const mortal kept(g);
    const auto call = [kept] {};
    mine.refuses = true;
    EXPECT_EQ(thrown_by([&] { (void)loop.run_in_executor(mine, call); }), "runtime_error(no room)");
    mine.refuses = false;
    mine.forgets = true;
    EXPECT_EQ(co_await ending(loop.run_in_executor(mine, call)), "cancelled_error");
    co_await settle();
  });
  EXPECT_TRUE(g.all_in(std::this_thread::get_id()));
}

// ---- where things die

/// A call whose closure, argument and result all note where they die.
auto carries(mortal::grave& g) {
  return [kept = mortal(g)](const mortal& given) { return given; };
}

TEST(OffloadedCall, its_function_arguments_and_result_die_in_the_loops_thread) {
  mortal::grave g;
  testing::run([&]() -> coroutine<> {
    auto call = carries(g);
    const mortal given(g);
    co_await get_running_loop().run_in_executor(nullptr, call, given);
    co_await to_thread(call, given);
  });
  EXPECT_TRUE(g.all_in(std::this_thread::get_id()));
}

TEST(OffloadedCall, also_when_it_was_cancelled_while_it_waited_or_ran) {
  mortal::grave g;
  std::size_t before = 0, after = 0;
  testing::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    thread_pool_executor pool(1);
    gate door;
    const mortal given(g);
    auto call = carries(g);
    auto blocks = [kept = mortal(g), &door](const mortal& m) {
      door.pass();
      return m;
    };
    const future<mortal> running = loop.run_in_executor(pool, blocks, given);
    const future<mortal> waiting = loop.run_in_executor(pool, call, given);
    door.wait_for(1);
    co_await settle();
    running.cancel();
    waiting.cancel();
    before = g.count();
    co_await settle();
    after = g.count();
    door.open();
    pool.shutdown();
    co_await settle();
  });
  EXPECT_EQ(after, before + 2);  // what waited is dead a turn later, though its turn in the pool has not come
  EXPECT_TRUE(g.all_in(std::this_thread::get_id()));
}

TEST(OffloadedCall, also_when_the_pool_is_shut_down_before_its_turn) {
  mortal::grave g;
  testing::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    thread_pool_executor pool(1);
    gate door;
    const mortal given(g);
    auto call = carries(g);
    const future<> running = loop.run_in_executor(pool, [&] { door.pass(); });
    const future<mortal> waiting = loop.run_in_executor(pool, call, given);
    door.wait_for(1);
    std::thread([&] { pool.shutdown({.wait = false, .cancel_futures = true}); }).join();
    EXPECT_EQ(co_await ending(waiting), "cancelled_error");
    door.open();
    co_await running;
  });
  EXPECT_TRUE(g.all_in(std::this_thread::get_id()));
}

TEST(OffloadedCall, also_when_the_loop_is_closed_before_its_turn) {
  mortal::grave g;
  gate door;
  thread_pool_executor pool(1);
  auto loop = new_event_loop();
  loop->run_until_complete([&]() -> coroutine<> {
    const mortal given(g);
    auto call = carries(g);
    (void)loop->run_in_executor(pool, [&] { door.pass(); });
    (void)loop->run_in_executor(pool, call, given);
    door.wait_for(1);
    co_return;
  });
  loop->close();
  const std::size_t dead = g.count();
  door.open();
  pool.shutdown();
  EXPECT_EQ(g.count(), dead);
  EXPECT_TRUE(g.all_in(std::this_thread::get_id()));
}

TEST(OffloadedCall, that_runs_when_its_loop_closes_ends_in_its_thread) {
  mortal::grave g;
  gate door;
  thread_pool_executor pool(1);
  auto loop = new_event_loop();
  std::optional<future<mortal>> outcome;
  loop->run_until_complete([&]() -> coroutine<> {
    auto call = [kept = mortal(g), &door] {
      door.pass();
      return kept;
    };
    outcome.emplace(loop->run_in_executor(pool, take(call)));
    door.wait_for(1);
    co_return;
  });
  loop->close();
  loop.reset();
  const std::size_t dead = g.count();
  door.open();
  pool.shutdown();
  EXPECT_GT(g.count(), dead);
  EXPECT_FALSE(outcome->done());
}

// ---- the default executor

// S31
TEST(DefaultExecutor, run_waits_for_what_it_runs) {
  std::atomic<bool> ended{false};
  asyncio::run([&]() -> coroutine<> {
    (void)get_running_loop().run_in_executor(nullptr, [&] {
      std::this_thread::sleep_for(20ms);
      ended = true;
    });
    co_return;
  });
  EXPECT_TRUE(ended);
}

// S31
TEST(DefaultExecutor, its_shutdown_waits_no_longer_than_it_was_told_and_names_what_still_runs) {
  log_watch log;
  gate door;
  std::atomic<bool> ended{false};
  asyncio::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const future<> stuck = loop.run_in_executor(nullptr, [&] {
      door.pass();
      ended = true;
    });
    door.wait_for(1);
    co_await loop.shutdown_default_executor(1ms);
    EXPECT_FALSE(stuck.done());
    const lines said = log.taken();
    EXPECT_EQ(said.size(), 1u);
    EXPECT_TRUE(contains(said.at(0), "thread 'asyncio_0' runs"));
    EXPECT_TRUE(contains(said.at(0), "lambda"));
    EXPECT_TRUE(contains(said.at(0), "executor_test.cpp"));
    door.open();
    co_await stuck;
  });
  EXPECT_TRUE(ended);
}

TEST(DefaultExecutor, names_the_line_that_awaits_a_thread_that_is_stuck) {
  log_watch log;
  gate door;
  asyncio::run([&]() -> coroutine<> {
    const task<> waits = create_task([&]() -> coroutine<> { co_await to_thread([&] { door.pass(); }); });
    while (door.visitors() == 0) co_await sleep(0s);
    co_await get_running_loop().shutdown_default_executor(1ms);
    const lines said = log.taken();
    EXPECT_EQ(said.size(), 1u);
    EXPECT_TRUE(contains(said.at(0), "executor_test.cpp:" + std::to_string(__LINE__ - 5))) << said.at(0);
    door.open();
    co_await waits;
  });
}

// S32
TEST(DefaultExecutor, is_refused_after_its_shutdown) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    EXPECT_EQ(co_await loop.run_in_executor(nullptr, square, 2), 4);
    co_await loop.shutdown_default_executor();
    co_await loop.shutdown_default_executor();
    EXPECT_EQ(thrown_by([&] { (void)loop.run_in_executor(nullptr, square, 2); }),
              "runtime_error(run_in_executor(): the default executor was shut down)");
    EXPECT_EQ(co_await ending(to_thread(square, 2)),
              "runtime_error(run_in_executor(): the default executor was shut down)");
    thread_pool_executor pool(1);
    EXPECT_EQ(co_await loop.run_in_executor(pool, square, 2), 4);
  });
}

// S32
TEST(DefaultExecutor, may_be_another_pool_of_threads) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    gate door;
    std::atomic<bool> ended{false};
    const future<> before = loop.run_in_executor(nullptr, [&] {
      door.pass();
      ended = true;
    });
    door.wait_for(1);
    loop.set_default_executor(std::make_unique<thread_pool_executor>(1, "other"));
    EXPECT_EQ(co_await to_thread(name_of_this_thread), "other_0");
    EXPECT_EQ(thrown_by([&] { loop.set_default_executor(nullptr); }), "invalid_argument");
    door.open();
    co_await before;
    EXPECT_TRUE(ended);
  });
}

TEST(DefaultExecutor, its_shutdown_can_be_cancelled_at_every_place) {
  testing::inject_cancel([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const future<int> f = loop.run_in_executor(nullptr, square, 3);
    co_await loop.shutdown_default_executor();
    EXPECT_EQ(co_await f, 9);
  });
}

// S19
TEST(DefaultExecutor, a_closed_loop_refuses_to_run_anything) {
  auto loop = new_event_loop();
  loop->close();
  EXPECT_TRUE(contains(thrown_by([&] { (void)loop->run_in_executor(nullptr, square, 2); }), "closed"));
  EXPECT_TRUE(
      contains(thrown_by([&] { loop->set_default_executor(std::make_unique<thread_pool_executor>(1)); }), "closed"));
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
