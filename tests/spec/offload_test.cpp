// SPDX-License-Identifier: BSL-1.0
// Calls that a loop gives to threads: run_in_executor, where things die, the default executor.
#include "spec/executor_test.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>

namespace asyncio::spec {
namespace {

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

// The future is its owner's.
TEST(RunInExecutor, a_future_that_was_given_another_outcome_meanwhile_keeps_it) {
  run([]() -> coroutine<> {
    thread_pool_executor pool(2);
    gate door;
    const auto call = [&] {
      door.pass();
      return std::string(100, 'x');
    };
    auto finished = get_running_loop().run_in_executor(pool, call);
    auto failed = get_running_loop().run_in_executor(pool, call);
    door.wait_for(2);
    finished.set_result(std::string(200, 'm'));
    failed.set_exception(std::make_exception_ptr(std::out_of_range("mine")));
    door.open();
    pool.shutdown();
    for (int turns = 0; turns < 3; ++turns) co_await sleep(0ms);
    EXPECT_EQ(finished.result(), std::string(200, 'm'));
    EXPECT_THROW(static_cast<void>(failed.result()), std::out_of_range);
  });
}

// A result goes home by a move, whose exception is the outcome.
TEST(RunInExecutor, a_result_that_cannot_be_moved_fails_the_future) {
  struct heavy {
    heavy() = default;
    heavy(heavy&&) { throw std::length_error("too heavy"); }
  };
  run([]() -> coroutine<> {
    const auto call = [] { return heavy(); };
    auto moved = get_running_loop().run_in_executor(nullptr, call);
    std::string thrown;
    try {
      (void)co_await std::move(moved);
    } catch (const std::length_error& error) {
      thrown = error.what();
    }
    EXPECT_EQ(thrown, "too heavy");
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
      std::this_thread::sleep_for(20ms);  // a run that did not wait would be over by then
      ended = true;
    });
    co_return;
  });
  EXPECT_TRUE(ended);
}

/// Until it is asked to stop; false when nobody asks for ten seconds.
bool work_until_asked(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock hold(mutex);
  never.wait_for(hold, stop, 10s, [] { return false; });
  return stop.stop_requested();
}

TEST(DefaultExecutor, run_asks_what_it_still_runs_to_stop_and_what_waits_for_its_turn) {
  int asked = 0;
  asyncio::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.set_default_executor(std::make_unique<thread_pool_executor>(1));
    const auto call = [&](const std::stop_token& stop) {
      if (work_until_asked(stop)) ++asked;
    };
    (void)loop.run_in_executor(nullptr, call);
    (void)loop.run_in_executor(nullptr, call);
    co_return;
  });
  EXPECT_EQ(asked, 2);
}

TEST(DefaultExecutor, run_asks_once_also_when_the_future_is_cancelled_before_and_meanwhile) {
  std::atomic<int> asked{0};
  gate door;
  const auto call = [&](const std::stop_token& stop) {
    door.pass();
    const std::stop_callback count(stop, [&] { ++asked; });
    if (!work_until_asked(stop)) ADD_FAILURE() << "nobody asked";
  };
  asyncio::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.set_default_executor(std::make_unique<thread_pool_executor>(2));
    const future<> before = loop.run_in_executor(nullptr, call);
    const future<> meanwhile = loop.run_in_executor(nullptr, call);
    door.wait_for(2);
    door.open();
    loop.call_soon([meanwhile] { meanwhile.cancel(); });
    before.cancel();
    co_return;
  });
  EXPECT_EQ(asked, 2);
}

TEST(DefaultExecutor, its_shutdown_by_hand_asks_nothing_to_stop) {
  log_watch log;
  gate door;
  asyncio::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const future<bool> runs = loop.run_in_executor(nullptr, [&](const std::stop_token& stop) {
      door.pass();
      return stop.stop_requested();
    });
    door.wait_for(1);
    co_await loop.shutdown_default_executor(1ms);
    door.open();
    EXPECT_FALSE(co_await runs);
  });
  EXPECT_EQ(log.taken().size(), 1u);
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
    EXPECT_TRUE(contains(said.at(0), "offload_test.cpp"));
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
    EXPECT_TRUE(contains(said.at(0), "offload_test.cpp:" + std::to_string(__LINE__ - 5))) << said.at(0);
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

}  // namespace
}  // namespace asyncio::spec
