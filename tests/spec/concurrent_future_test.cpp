// SPDX-License-Identifier: BSL-1.0
// concurrent_future: work outside the loop, waited for by threads and by coroutines; wrap_future, and coroutines handed to
// a loop by other threads.
#include "spec/spec.hpp"

#include <asyncio/concurrent_future.hpp>
#include <asyncio/threads.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace asyncio::spec {
namespace {

template <class T = void>
using producer = detail::concurrent_promise<T>;

/// Says in which threads its objects died, the last owner of each.
class died_in {
 public:
  explicit died_in(std::atomic<std::thread::id>& where) : where_(&where) {}
  died_in(died_in&& other) noexcept : where_(std::exchange(other.where_, nullptr)) {}
  died_in& operator=(died_in&&) = delete;
  ~died_in() {
    if (where_ != nullptr) *where_ = std::this_thread::get_id();
  }

 private:
  std::atomic<std::thread::id>* where_;
};

/// A loop that runs in a thread of its own.
class loop_thread {
 public:
  loop_thread() : thread_([this] { loop_->run_forever(); }) {}
  loop_thread(const loop_thread&) = delete;
  loop_thread& operator=(const loop_thread&) = delete;
  ~loop_thread() { end(); }

  event_loop& loop() { return *loop_; }
  std::thread::id id() const { return thread_.get_id(); }
  void end() {
    if (!thread_.joinable()) return;
    loop_->call_soon_threadsafe([this] { loop_->stop(); });
    thread_.join();
  }

 private:
  std::unique_ptr<event_loop> loop_ = new_event_loop();
  std::thread thread_;
};

// ---- the future by itself

TEST(ConcurrentFuture, goes_from_pending_over_running_to_its_value) {
  producer<int> work;
  const concurrent_future<int> f = work.get_future();
  EXPECT_FALSE(f.done() || f.running() || f.cancelled());
  EXPECT_TRUE(work.start());
  EXPECT_TRUE(f.running());
  EXPECT_FALSE(f.cancel());
  work.set_result(5);
  EXPECT_TRUE(f.done());
  EXPECT_FALSE(f.running() || f.cancelled());
  EXPECT_EQ(f.result(), 5);
  EXPECT_EQ(f.result(0s), 5);
  EXPECT_EQ(f.exception(), nullptr);
}

TEST(ConcurrentFuture, that_is_cancelled_before_the_work_began_never_starts) {
  producer<int> work;
  const concurrent_future<int> f = work.get_future();
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancelled() && f.done());
  EXPECT_FALSE(work.start());
  EXPECT_EQ(thrown_by([&] { f.result(); }), "cancelled_error");
  EXPECT_EQ(thrown_by([&] { (void)f.exception(); }), "cancelled_error");
}

TEST(ConcurrentFuture, throws_what_the_work_threw_as_often_as_it_is_asked) {
  producer<> work;
  const concurrent_future<> f = work.get_future();
  EXPECT_TRUE(work.start());
  work.set_exception(std::make_exception_ptr(std::runtime_error("broken")));
  EXPECT_EQ(thrown_by([&] { f.result(); }), "runtime_error(broken)");
  EXPECT_EQ(thrown_by([&] { f.result(); }), "runtime_error(broken)");
  EXPECT_EQ(name_of(f.exception()), "runtime_error(broken)");
}

TEST(ConcurrentFuture, whose_value_throws_while_it_is_made_has_that_exception) {
  struct refuses {
    explicit refuses(int) { throw std::runtime_error("no"); }
  };
  producer<refuses> work;
  const concurrent_future<refuses> f = work.get_future();
  EXPECT_TRUE(work.start());
  work.set_result(1);
  EXPECT_EQ(name_of(f.exception()), "runtime_error(no)");
}

TEST(ConcurrentFuture, the_longest_timeout_there_is_does_not_pass_at_once) {
  producer<int> work;
  const concurrent_future<int> f = work.get_future();
  std::atomic<bool> waits{false};
  std::thread other([&] {
    while (!waits) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    work.start();
    work.set_result(3);
  });
  waits = true;
  EXPECT_EQ(f.result(std::chrono::nanoseconds::max()), 3);
  other.join();
}

TEST(ConcurrentFuture, result_with_a_timeout_gives_up_and_leaves_the_work_alone) {
  producer<int> work;
  const concurrent_future<int> f = work.get_future();
  EXPECT_EQ(thrown_by([&] { f.result(0s); }), "timeout_error");
  EXPECT_EQ(thrown_by([&] { f.result(-1s); }), "timeout_error");
  EXPECT_EQ(thrown_by([&] { (void)f.exception(1ms); }), "timeout_error");
  EXPECT_TRUE(work.start());
  work.set_result(1);
  EXPECT_EQ(f.result(0s), 1);
}

TEST(ConcurrentFuture, result_blocks_until_another_thread_completes_it) {
  producer<std::string> work;
  const concurrent_future<std::string> f = work.get_future();
  std::vector<std::thread> waiting;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) waiting.emplace_back([&] { right += f.result(100h) == "there" ? 1 : 0; });
  std::thread worker([&] {
    if (work.start()) work.set_result("there");
  });
  for (std::thread& t : waiting) t.join();
  worker.join();
  EXPECT_EQ(right, 4);
}

TEST(ConcurrentFuture, a_value_that_cannot_be_copied_is_given_once) {
  producer<std::unique_ptr<int>> work;
  const concurrent_future<std::unique_ptr<int>> f = work.get_future();
  EXPECT_TRUE(work.start());
  work.set_result(std::make_unique<int>(3));
  EXPECT_EQ(*f.result(), 3);
  EXPECT_EQ(thrown_by([&] { (void)f.result(); }), "invalid_state_error");
}

TEST(ConcurrentFuture, a_producer_that_gives_up_fails_what_runs_and_cancels_what_waits) {
  auto waiting = std::make_optional<producer<>>();
  auto running = std::make_optional<producer<>>();
  const concurrent_future<> a = waiting->get_future(), b = running->get_future();
  EXPECT_TRUE(running->start());
  waiting.reset();
  running.reset();
  EXPECT_TRUE(a.cancelled());
  EXPECT_EQ(thrown_by([&] { b.result(); }), "runtime_error(the work ended without a result)");
}

TEST(ConcurrentFuture, callbacks_come_once_in_order_in_the_thread_that_completes_it) {
  producer<int> work;
  const concurrent_future<int> f = work.get_future();
  std::vector<std::string> told;
  std::thread::id told_in;
  f.add_done_callback([&](concurrent_future<int> g) {
    told.push_back("a" + std::to_string(g.result()));
    told_in = std::this_thread::get_id();
  });
  f.add_done_callback([&](const concurrent_future<int>& g) { told.push_back(g == f ? "b" : "another"); });
  std::thread worker([&] {
    if (work.start()) work.set_result(1);
  });
  const std::thread::id completed_in = worker.get_id();
  worker.join();
  EXPECT_EQ(told, (std::vector<std::string>{"a1", "b"}));
  EXPECT_EQ(told_in, completed_in);
  f.add_done_callback([&](auto) { told.emplace_back("c"); });
  EXPECT_EQ(told.back(), "c");
}

TEST(ConcurrentFuture, cancel_calls_the_callbacks_before_it_returns) {
  producer<> work;
  const concurrent_future<> f = work.get_future();
  int called = 0;
  f.add_done_callback([&](concurrent_future<> g) { called += g.cancelled() ? 1 : 100; });
  EXPECT_TRUE(f.cancel());
  EXPECT_TRUE(f.cancel());
  EXPECT_EQ(called, 1);
}

TEST(ConcurrentFuture, a_callback_that_throws_is_logged_and_the_others_are_called) {
  log_watch log;
  producer<> work;
  bool called = false;
  const concurrent_future<> f = work.get_future();
  f.add_done_callback([](auto) { throw std::runtime_error("in a callback"); });
  f.add_done_callback([&](auto) { called = true; });
  EXPECT_TRUE(work.start());
  work.set_result();
  EXPECT_TRUE(called);
  const lines said = log.taken();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(contains(said[0], "in a callback"));
}

// Thousands of races of cancel() against start(), and of both against callbacks and waiting threads.
TEST(ConcurrentFuture, exactly_one_of_cancel_and_start_wins) {
  constexpr int rounds = 500;
  std::atomic<int> told{0};
  int started = 0, cancelled = 0;
  for (int i = 0; i < rounds; ++i) {
    producer<int> work;
    const concurrent_future<int> f = work.get_future();
    std::atomic<int> ready{0};
    const auto meet = [&ready] {
      ++ready;
      while (ready < 3) std::this_thread::yield();
    };
    bool won = false;
    std::thread canceller([&] {
      meet();
      won = f.cancel();
    });
    std::thread listener([&] {
      meet();
      f.add_done_callback([&](auto) { ++told; });
      (void)thrown_by([&] { f.result(); });
    });
    meet();
    const bool begun = work.start();
    if (begun) work.set_result(i);
    canceller.join();
    listener.join();
    EXPECT_NE(begun, won);
    EXPECT_EQ(f.cancelled(), won);
    ++(begun ? started : cancelled);
  }
  EXPECT_EQ(told, rounds);
  EXPECT_EQ(started + cancelled, rounds);
}

// ---- wrap_future, and co_await

// S35
TEST(WrapFuture, gives_a_loop_what_another_thread_made) {
  std::thread worker;
  testing::run([&]() -> coroutine<> {
    producer<std::string> work;
    const concurrent_future<std::string> f = work.get_future();
    worker = std::thread([&work] {
      if (work.start()) work.set_result("from a thread");
    });
    EXPECT_EQ(co_await wrap_future(f), "from a thread");
    EXPECT_EQ(co_await f, "from a thread");
    EXPECT_EQ(f.result(), "from a thread");
    worker.join();
  });
}

// S35
TEST(WrapFuture, throws_what_the_work_threw) {
  testing::run([&]() -> coroutine<> {
    producer<> work;
    const future<> wrapped = wrap_future(work.get_future());
    EXPECT_TRUE(work.start());
    work.set_exception(std::make_exception_ptr(std::runtime_error("broken")));
    EXPECT_EQ(co_await ending(wrapped), "runtime_error(broken)");
  });
}

// S35
TEST(WrapFuture, cancelling_it_cancels_the_work_that_has_not_begun) {
  testing::run([&]() -> coroutine<> {
    producer<> work;
    const concurrent_future<> f = work.get_future();
    const future<> wrapped = wrap_future(f);
    EXPECT_TRUE(wrapped.cancel());
    EXPECT_FALSE(f.cancelled());  // nothing of it runs inside the call
    co_await sleep(0s);
    EXPECT_TRUE(f.cancelled());
    EXPECT_FALSE(work.start());
    EXPECT_TRUE(wrapped.cancelled());
  });
}

// S35
TEST(WrapFuture, cancelling_it_leaves_work_that_runs_to_its_end) {
  testing::run([&]() -> coroutine<> {
    producer<int> work;
    const concurrent_future<int> f = work.get_future();
    EXPECT_TRUE(work.start());
    const future<int> wrapped = wrap_future(f);
    EXPECT_TRUE(wrapped.cancel());
    co_await settle();
    EXPECT_TRUE(f.running());
    work.set_result(1);
    co_await settle();
    EXPECT_TRUE(wrapped.cancelled());
    EXPECT_EQ(f.result(), 1);
  });
}

TEST(WrapFuture, work_that_is_cancelled_cancels_it) {
  testing::run([&]() -> coroutine<> {
    producer<> work;
    const concurrent_future<> f = work.get_future();
    const future<> wrapped = wrap_future(f);
    std::thread([&] { f.cancel(); }).join();
    EXPECT_EQ(co_await ending(wrapped), "cancelled_error");
    EXPECT_TRUE(wrapped.cancelled());
  });
}

// S35
TEST(WrapFuture, a_result_that_comes_when_the_loop_is_closed_is_dropped_silently) {
  log_watch log;
  producer<std::shared_ptr<int>> work;
  std::optional<future<std::shared_ptr<int>>> wrapped;
  auto loop = new_event_loop();
  loop->run_until_complete([&]() -> coroutine<> {
    wrapped.emplace(wrap_future(work.get_future()));
    co_return;
  });
  loop->close();
  loop.reset();
  auto value = std::make_shared<int>(1);
  EXPECT_TRUE(work.start());
  std::thread([&] { work.set_result(value); }).join();
  EXPECT_FALSE(wrapped->done());
  EXPECT_EQ(value.use_count(), 1);
  wrapped.reset();
  EXPECT_EQ(log.taken(), lines{});
}

TEST(WrapFuture, a_value_that_nobody_else_can_ask_for_is_moved_to_the_loop_and_dies_there) {
  std::atomic<std::thread::id> where{};
  std::thread worker;
  testing::run([&]() -> coroutine<> {
    auto work = std::make_shared<producer<std::shared_ptr<died_in>>>();
    future<std::shared_ptr<died_in>> wrapped = wrap_future(work->get_future());
    worker = std::thread([work, &where] {
      if (work->start()) work->set_result(std::make_shared<died_in>(where));
    });
    work.reset();
    co_await std::move(wrapped);
    worker.join();
  });
  EXPECT_EQ(where, std::this_thread::get_id());
}

// Cancelled at every place where it waits, in each of the ways that a wait can be reached.
TEST(WrapFuture, can_be_cancelled_while_it_is_awaited) {
  testing::inject_cancel([]() -> coroutine<> {
    producer<int> work;
    const concurrent_future<int> f = work.get_future();
    const task<> completes = create_task(
        [](producer<int> p) -> coroutine<> {
          co_await sleep(1ms);
          if (p.start()) p.set_result(1);
        },
        std::move(work));
    std::exception_ptr error;
    try {
      EXPECT_EQ(co_await f, 1);
    } catch (...) {
      error = std::current_exception();
    }
    completes.cancel();
    if (error != nullptr) std::rethrow_exception(error);
  });
}

// ---- run_coroutine_threadsafe

coroutine<int> add(int a, int b) {
  co_await sleep(0s);
  co_return a + b;
}
coroutine<> fail() {
  co_await sleep(0s);
  throw std::runtime_error("failed");
}
coroutine<> wait_for_ever(std::atomic<bool>& begun, std::atomic<bool>& cancelled) {
  begun = true;
  try {
    co_await sleep(100h);
  } catch (const cancelled_error&) {
    cancelled = true;
    throw;
  }
}

// S34
TEST(RunCoroutineThreadsafe, gives_the_calling_thread_the_result) {
  loop_thread other;
  EXPECT_EQ(run_coroutine_threadsafe(add(1, 2), other.loop()).result(), 3);
  EXPECT_EQ(run_coroutine_threadsafe(sleep(0s, std::string("awaitable")), other.loop()).result(), "awaitable");
  const int base = 5;
  EXPECT_EQ(run_coroutine_threadsafe([&]() -> coroutine<int> { co_return base + co_await add(1, 1); }, other.loop())
                .result(100h),
            7);
}

// S34
TEST(RunCoroutineThreadsafe, throws_what_the_coroutine_threw) {
  loop_thread other;
  const concurrent_future<> f = run_coroutine_threadsafe(fail(), other.loop());
  EXPECT_EQ(thrown_by([&] { f.result(); }), "runtime_error(failed)");
}

// S34
TEST(RunCoroutineThreadsafe, an_expiry_of_result_does_not_cancel_the_task) {
  std::atomic<bool> begun{false}, cancelled{false};
  loop_thread other;
  const concurrent_future<> f = run_coroutine_threadsafe(wait_for_ever(begun, cancelled), other.loop());
  EXPECT_EQ(thrown_by([&] { f.result(1ms); }), "timeout_error");
  while (!begun) std::this_thread::yield();
  EXPECT_FALSE(f.done());
  EXPECT_FALSE(cancelled);
  EXPECT_TRUE(f.cancel());
}

// S34
TEST(RunCoroutineThreadsafe, cancelling_the_future_cancels_the_task) {
  std::atomic<bool> begun{false}, cancelled{false};
  loop_thread other;
  const concurrent_future<> f = run_coroutine_threadsafe(wait_for_ever(begun, cancelled), other.loop());
  while (!begun) std::this_thread::yield();
  EXPECT_TRUE(f.cancel());
  EXPECT_EQ(thrown_by([&] { f.result(); }), "cancelled_error");
  while (!cancelled) std::this_thread::yield();
}

// S34
TEST(RunCoroutineThreadsafe, a_task_that_is_cancelled_cancels_the_future) {
  loop_thread other;
  const concurrent_future<> f = run_coroutine_threadsafe(
      []() -> coroutine<> {
        current_task().cancel();
        co_await sleep(100h);
      },
      other.loop());
  EXPECT_EQ(thrown_by([&] { f.result(); }), "cancelled_error");
  EXPECT_TRUE(f.cancelled());
}

// S34
TEST(RunCoroutineThreadsafe, a_task_factory_that_throws_fails_the_future_and_is_reported_in_the_loop) {
  auto loop = new_event_loop();
  std::string reported;
  loop->set_exception_handler([&](event_loop&, const exception_context& c) { reported = name_of(c.exception); });
  loop->set_task_factory(
      [](event_loop&, const any_task&, task_options&) { throw std::runtime_error("no tasks today"); });
  const concurrent_future<int> f = run_coroutine_threadsafe(add(1, 2), *loop);
  loop->stop();
  loop->run_forever();
  EXPECT_EQ(thrown_by([&] { f.result(0s); }), "runtime_error(no tasks today)");
  EXPECT_EQ(reported, "runtime_error(no tasks today)");
}

TEST(RunCoroutineThreadsafe, runs_in_a_copy_of_the_callers_context) {
  static context_var<int> shade("shade", 0);
  loop_thread other;
  shade.set(7);
  const auto read = [](int to) -> coroutine<int> {
    const int before = shade.get();
    shade.set(to);
    co_return before;
  };
  EXPECT_EQ(run_coroutine_threadsafe(read(8), other.loop()).result(), 7);
  EXPECT_EQ(run_coroutine_threadsafe(read(9), other.loop()).result(), 7);
  EXPECT_EQ(shade.get(), 7);
}

TEST(RunCoroutineThreadsafe, the_coroutine_dies_in_the_loops_thread) {
  std::atomic<std::thread::id> done{}, cancelled{};
  loop_thread other;
  run_coroutine_threadsafe([](died_in) -> coroutine<> { co_return; }(died_in(done)), other.loop()).result();
  const concurrent_future<> f =
      run_coroutine_threadsafe([](died_in) -> coroutine<> { co_await sleep(100h); }(died_in(cancelled)), other.loop());
  f.cancel();
  while (cancelled == std::thread::id()) std::this_thread::yield();
  EXPECT_EQ(done, other.id());
  EXPECT_EQ(cancelled, other.id());
}

TEST(RunCoroutineThreadsafe, that_is_cancelled_before_its_turn_never_starts_and_nobody_complains) {
  log_watch log;
  auto loop = new_event_loop();
  bool begun = false;
  std::atomic<std::thread::id> where{};
  const concurrent_future<> f = run_coroutine_threadsafe(
      [](bool& flag, died_in) -> coroutine<> {
        flag = true;
        co_return;
      }(begun, died_in(where)),
      *loop);
  std::thread([&] { EXPECT_TRUE(f.cancel()); }).join();
  loop->stop();
  loop->run_forever();
  EXPECT_FALSE(begun);
  EXPECT_EQ(where, std::this_thread::get_id());
  EXPECT_EQ(log.taken(), lines{});
}

TEST(RunCoroutineThreadsafe, a_closed_loop_refuses_it_at_once_and_nobody_complains) {
  log_watch log;
  auto loop = new_event_loop();
  loop->close();
  EXPECT_EQ(thrown_by([&] { run_coroutine_threadsafe(add(1, 2), *loop); }),
            "runtime_error(run_coroutine_threadsafe(): the event loop is closed)");
  EXPECT_EQ(log.taken(), lines{});
}

TEST(RunCoroutineThreadsafe, a_loop_that_closes_before_its_turn_cancels_it_and_nobody_complains) {
  log_watch log;
  auto loop = new_event_loop();
  std::optional<concurrent_future<int>> f;
  std::thread([&] { f.emplace(run_coroutine_threadsafe(add(1, 2), *loop)); }).join();
  loop->close();
  EXPECT_EQ(thrown_by([&] { f->result(); }), "cancelled_error");
  EXPECT_EQ(log.taken(), lines{});
}

TEST(RunCoroutineThreadsafe, a_loop_that_closes_while_the_task_waits_cancels_both) {
  auto loop = new_event_loop();
  std::atomic<bool> begun{false}, cancelled{false};
  const concurrent_future<> f = run_coroutine_threadsafe(wait_for_ever(begun, cancelled), *loop);
  while (!begun) loop->run_once(0s);
  loop->close();
  EXPECT_TRUE(cancelled);
  EXPECT_EQ(thrown_by([&] { f.result(); }), "cancelled_error");
}

TEST(RunCoroutineThreadsafe, result_in_the_loops_own_thread_says_so_instead_of_waiting_for_ever) {
  testing::run([]() -> coroutine<> {
    const concurrent_future<int> f = run_coroutine_threadsafe(add(1, 2), get_running_loop());
    EXPECT_TRUE(contains(thrown_by([&] { f.result(); }), "would block the loop that has to complete it"));
    EXPECT_TRUE(contains(thrown_by([&] { f.result(1s); }), "would block the loop that has to complete it"));
    EXPECT_EQ(co_await f, 3);
    EXPECT_EQ(f.result(), 3);
  });
}

// Each end of the race has its chance: cancelled before the start, while it waits, when it is done, when the loop closes.
TEST(RunCoroutineThreadsafe, cancelling_races_with_everything_else) {
  for (int round = 0; round < 300; ++round) {
    auto other = std::make_unique<loop_thread>();
    std::vector<concurrent_future<int>> futures;
    for (int i = 0; i < 8; ++i) futures.push_back(run_coroutine_threadsafe(add(round, i), other->loop()));
    std::thread canceller([&] {
      for (auto& f : futures) f.cancel();
    });
    if (round % 2 == 0) other.reset();
    canceller.join();
    other.reset();
    for (int i = 0; i < 8; ++i) {
      const concurrent_future<int>& f = futures[static_cast<std::size_t>(i)];
      const std::string end = thrown_by([&] { EXPECT_EQ(f.result(), round + i); });
      EXPECT_TRUE(end == "nothing" || end == "cancelled_error") << end;
    }
  }
}

TEST(RunCoroutineThreadsafe, eight_threads_call_in_at_once) {
  loop_thread other;
  constexpr int each = 200;
  std::atomic<int> sum{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t)
    callers.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) sum += run_coroutine_threadsafe(add(t, i), other.loop()).result();
    });
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(sum, each * 28 + 8 * each * (each - 1) / 2);
}

}  // namespace
}  // namespace asyncio::spec
