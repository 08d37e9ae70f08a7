// SPDX-License-Identifier: BSL-1.0
// Other threads: what they may do, and what they are refused.
#include "spec/spec.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace asyncio::spec {
namespace {

/// What calling f() in another thread throws there, by name.
template <class F>
std::string thrown_elsewhere(F&& f) {
  std::string thrown;
  std::thread([&] { thrown = thrown_by(f); }).join();
  return thrown;
}

// S26
TEST(CallSoonThreadsafe, from_another_thread_wakes_a_loop_that_sleeps) {
  auto loop = new_event_loop();
  std::thread::id ran_in;
  std::thread other([&] {
    std::this_thread::sleep_for(10ms);
    loop->call_soon_threadsafe([&] {
      ran_in = std::this_thread::get_id();
      loop->stop();
    });
  });
  loop->run_forever();
  other.join();
  EXPECT_EQ(ran_in, std::this_thread::get_id());
}

// S26
TEST(CallSoonThreadsafe, in_the_loops_own_thread_keeps_the_order_of_the_calls) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.call_soon([&] { happened("a"); });
    loop.call_soon_threadsafe([&] { happened("b"); });
    loop.call_soon([&] { happened("c"); });
    co_await sleep(0s);
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "c"}));
}

// S26
TEST(CallSoonThreadsafe, what_one_thread_posts_runs_in_its_order) {
  auto loop = new_event_loop();
  constexpr int each = 2000;
  std::vector<std::vector<int>> seen(4);
  std::atomic<int> left{4};
  std::vector<std::thread> threads;
  for (std::size_t who = 0; who < seen.size(); ++who)
    threads.emplace_back([&, who] {
      for (int i = 0; i < each; ++i) loop->call_soon_threadsafe([&seen, who, i] { seen[who].push_back(i); });
      if (left.fetch_sub(1) == 1) loop->call_soon_threadsafe([&] { loop->stop(); });
    });
  loop->run_forever();
  loop->stop();
  loop->run_forever();
  for (std::thread& t : threads) t.join();
  for (const std::vector<int>& of_one : seen) {
    ASSERT_EQ(of_one.size(), static_cast<std::size_t>(each));
    EXPECT_TRUE(std::is_sorted(of_one.begin(), of_one.end()));
  }
}

// S26: the thread that made the loop calls it while another one takes it over.
TEST(CallSoonThreadsafe, may_be_called_by_the_thread_that_made_the_loop_while_another_begins_to_run_it) {
  for (int i = 0; i < 200; ++i) {
    auto loop = new_event_loop();
    bool called = false;
    std::thread runner([&] { loop->run_forever(); });
    loop->call_soon_threadsafe([&] { called = true; });
    loop->call_soon_threadsafe([&] { loop->stop(); });
    runner.join();
    EXPECT_TRUE(called);
  }
}

// S26: each post finds the loop asleep or about to fall asleep; none is slept over.
TEST(CallSoonThreadsafe, no_post_is_slept_over) {
  auto loop = new_event_loop();
  std::atomic<int> answered{0};
  constexpr int rounds = 2000;
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      loop->call_soon_threadsafe([&] { answered.fetch_add(1); });
      while (answered.load() <= i) std::this_thread::yield();
    }
    loop->call_soon_threadsafe([&] { loop->stop(); });
  });
  loop->run_forever();
  other.join();
  EXPECT_EQ(answered.load(), rounds);
}

// S27
TEST(CallSoonThreadsafe, a_call_cancelled_from_another_thread_before_its_turn_is_not_made) {
  auto loop = new_event_loop();
  bool called = false;
  auto owned = std::make_shared<int>(1);
  std::thread other([&] {
    const callback_handle handle = loop->call_soon_threadsafe([&called, owned] { called = true; });
    handle.cancel();
    handle.cancel();
    EXPECT_TRUE(handle.cancelled());
  });
  other.join();
  EXPECT_EQ(owned.use_count(), 1);
  loop->stop();
  loop->run_forever();
  EXPECT_FALSE(called);
}

// S27
TEST(CallSoonThreadsafe, cancelling_from_another_thread_waits_for_a_call_that_is_being_made) {
  auto loop = new_event_loop();
  std::atomic<bool> started{false}, finished{false};
  bool finished_when_cancel_returned = false;
  std::thread other([&] {
    const callback_handle handle = loop->call_soon_threadsafe([&] {
      started = true;
      std::this_thread::sleep_for(20ms);
      finished = true;
    });
    while (!started) std::this_thread::yield();
    handle.cancel();
    finished_when_cancel_returned = finished;
    EXPECT_FALSE(handle.cancelled());
    loop->call_soon_threadsafe([&] { loop->stop(); });
  });
  loop->run_forever();
  other.join();
  EXPECT_TRUE(finished_when_cancel_returned);
}

// The inbox goes with the loop while a late canceller is still asking. Under ThreadSanitizer.
TEST(CallSoonThreadsafe, cancelling_a_call_that_runs_while_its_loop_ends_touches_nothing_of_the_loop) {
  for (int round = 0; round < 500; ++round) {
    auto loop = new_event_loop();
    std::atomic<bool> runs{false};
    const callback_handle handle = loop->call_soon_threadsafe([&] { runs = true; });
    std::thread other([handle, &runs] {
      while (!runs) {}
      handle.cancel();
    });
    loop->run_once(0ms);
    loop.reset();
    other.join();
  }
}

TEST(CallSoonThreadsafe, a_closure_that_cancels_its_own_call_as_it_dies_with_a_closed_loop_does_not_wait_for_itself) {
  struct canceller {
    explicit canceller(std::optional<callback_handle>& h) : handle(&h) {}
    canceller(canceller&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
    ~canceller() {
      if (handle != nullptr && *handle) (*handle)->cancel();
    }
    std::optional<callback_handle>* handle;
  };
  std::optional<callback_handle> handle;
  auto loop = new_event_loop();
  handle.emplace(loop->call_soon_threadsafe([last_word = canceller(handle)] {}));
  loop->close();
  EXPECT_FALSE(handle->cancelled());
}

// S27: whoever wins, the call was made or it was cancelled, never both, never neither.
TEST(CallSoonThreadsafe, a_race_of_the_call_and_its_cancellation_has_one_winner) {
  auto loop = new_event_loop();
  constexpr int rounds = 3000;
  int made = 0;
  std::atomic<int> cancelled{0};
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      const callback_handle handle = loop->call_soon_threadsafe([&] { ++made; });
      if (i % 3 == 0) std::this_thread::yield();
      handle.cancel();
      if (handle.cancelled()) cancelled.fetch_add(1);
    }
    loop->call_soon_threadsafe([&] { loop->stop(); });
  });
  loop->run_forever();
  other.join();
  EXPECT_EQ(made + cancelled.load(), rounds);
}

// S28 ≠: checked always, not only in debug mode.
TEST(WrongThread, calls_of_a_loop_are_refused) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    log_watch log;
    const auto refused = [](const std::string& thrown) { return contains(thrown, "but its loop belongs to thread "); };
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.call_soon([] {}); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.call_later(1s, [] {}); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.call_at(time_point(), [] {}); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.stop(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.create_task(sleep(1s)); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.add_reader(0, [] {}); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.add_writer(0, [] {}); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.remove_reader(0); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)loop.readable(0); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)loop.metrics(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)all_tasks(loop); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { future<int> f(loop); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)loop.create_future<int>(); })));
    EXPECT_TRUE(contains(thrown_elsewhere([&] { loop.run_forever(); }), "already running in another thread"));
    EXPECT_TRUE(contains(thrown_elsewhere([&] { loop.close(); }), "cannot close a running event loop"));
    EXPECT_EQ(log.taken(), lines{});
    co_return;
  });
}

// S28 ≠
TEST(WrongThread, calls_of_futures_and_tasks_are_refused) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    task<int> t = create_task(sleep(1s, 2));
    const auto refused = [](const std::string& thrown) { return contains(thrown, "but its loop belongs to thread "); };
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)f.done(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)f.cancelled(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)f.result(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)f.exception(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { f.set_result(1); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { f.set_exception(std::runtime_error("x")); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { f.cancel(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { f.add_done_callback([](const future<int>&) {}); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { f.remove_done_callback(callback_token()); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)f.get_loop(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { t.cancel(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)t.cancelling(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)t.get_name(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)any_task(t).done(); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)gather(f, t); })));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)shield(t); })));
    EXPECT_FALSE(f.done());
    const int n = co_await t;
    EXPECT_EQ(n, 2);
  });
}

// S28: of another thread's loop while a loop runs here.
TEST(WrongThread, a_future_of_another_threads_loop_cannot_be_awaited) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    std::string awaited, waited, completed;
    std::thread([&] {
      run([&]() -> coroutine<> {
        awaited = co_await ending(f);
        waited = co_await ending(wait(wait_options(), f));
        completed = thrown_by([&] { (void)as_completed(std::vector<future<int>>(1, f)); });
      });
    }).join();
    EXPECT_TRUE(contains(awaited, "but its loop belongs to thread ")) << awaited;
    EXPECT_TRUE(contains(waited, "but its loop belongs to thread ")) << waited;
    EXPECT_TRUE(contains(completed, "different loop")) << completed;
    co_return;
  });
}

// S28: a loop belongs to the thread that made it until another one runs it.
TEST(WrongThread, a_loop_may_be_made_in_one_thread_and_run_in_another) {
  auto loop = new_event_loop();
  task<int> t = loop->create_task(sleep(1ms, 3));
  int n = 0;
  std::thread([&] { n = loop->run_until_complete(t); }).join();
  EXPECT_EQ(n, 3);
  EXPECT_TRUE(contains(thrown_by([&] { (void)t.done(); }), "but its loop belongs to thread "));
  std::thread([&] { loop->close(); }).join();
  EXPECT_EQ(t.result(), 3);
}

// ---- handles may be copied and dropped anywhere

/// Counts how many of it are alive, and remembers in which threads they died.
struct tracked {
  static inline std::atomic<int> alive{0};
  static inline std::atomic<int> died_elsewhere{0};
  static inline std::thread::id home;
  tracked() { alive.fetch_add(1); }
  tracked(const tracked&) { alive.fetch_add(1); }
  tracked(tracked&&) noexcept { alive.fetch_add(1); }
  tracked& operator=(const tracked&) = default;
  ~tracked() {
    alive.fetch_sub(1);
    if (std::this_thread::get_id() != home) died_elsewhere.fetch_add(1);
  }
  static void begin() {
    alive = 0;
    died_elsewhere = 0;
    home = std::this_thread::get_id();
  }
};

TEST(HandlesInThreads, a_value_whose_last_handle_is_dropped_elsewhere_dies_in_the_loops_thread) {
  tracked::begin();
  run([]() -> coroutine<> {
    {
      future<tracked> f;
      f.set_result(tracked());
      std::thread([mine = std::move(f)]() mutable {
        future<tracked> copy = mine;
        future<tracked> another = copy;
        (void)another;
      }).join();
    }
    while (tracked::alive.load() > 0) co_await sleep(0s);
  });
  EXPECT_EQ(tracked::alive.load(), 0);
  EXPECT_EQ(tracked::died_elsewhere.load(), 0);
}

TEST(HandlesInThreads, a_pending_future_whose_last_handle_is_dropped_elsewhere_frees_its_callbacks_here) {
  tracked::begin();
  run([]() -> coroutine<> {
    {
      future<> f;
      f.add_done_callback([held = tracked()](const future<>&) {});
      std::thread([mine = std::move(f)] {}).join();
    }
    while (tracked::alive.load() > 0) co_await sleep(0s);
  });
  EXPECT_EQ(tracked::died_elsewhere.load(), 0);
}

TEST(HandlesInThreads, an_unseen_exception_whose_last_handle_is_dropped_elsewhere_is_reported_by_the_loop) {
  std::thread::id told_in;
  run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context&) { told_in = std::this_thread::get_id(); });
    {
      future<> f;
      f.set_exception(std::runtime_error("unseen"));
      std::thread([mine = std::move(f)] {}).join();
    }
    while (told_in == std::thread::id()) co_await sleep(0s);
  });
  EXPECT_EQ(told_in, std::this_thread::get_id());
}

// Futures are given to threads, copied, dropped and sent back to be answered, while the loop runs; then it is closed
// while the threads still hold some.
TEST(HandlesInThreads, are_copied_dropped_and_posted_back_while_the_loop_runs_and_after_it_was_closed) {
  tracked::begin();
  std::vector<std::thread> threads;
  std::atomic<int> refused{0}, answered{0};
  {
    auto loop = new_event_loop();
    std::vector<std::vector<future<tracked>>> given(4);
    std::vector<std::vector<task<tracked>>> tasks(4);
    const auto work = [](future<tracked> f) -> coroutine<tracked> {
      const tracked value = co_await f;
      co_return value;
    };
    for (std::size_t who = 0; who < 4; ++who)
      for (int i = 0; i < 300; ++i) {
        future<tracked> f(*loop);
        tasks[who].push_back(loop->create_task(work, f));
        given[who].push_back(std::move(f));
      }
    std::atomic<int> busy{4};
    for (std::size_t who = 0; who < 4; ++who)
      threads.emplace_back([&, mine = std::move(given[who]), waiting = std::move(tasks[who]), &loop = *loop]() mutable {
        std::vector<future<tracked>> kept;
        std::vector<task<tracked>> kept_tasks;
        for (std::size_t i = 0; i < mine.size(); ++i) {
          std::vector<future<tracked>> copies(3, mine[i]);
          if (i % 3 == 0) kept.push_back(copies[1]);
          if (i % 5 == 0) kept_tasks.push_back(waiting[i]);
          try {
            loop.call_soon_threadsafe([f = std::move(copies[0]), t = std::move(waiting[i]), &answered] {
              if (!f.done()) f.set_result(tracked());
              answered.fetch_add(1);
              (void)t;
            });
          } catch (const std::runtime_error&) {
            refused.fetch_add(1);
          }
          if (i == mine.size() / 2) busy.fetch_sub(1);
        }
        std::this_thread::sleep_for(5ms);  // beyond the loop's end
        std::vector<future<tracked>> again = kept;
        kept.clear();
        kept_tasks.clear();
      });
    loop->run_until_complete([&]() -> coroutine<> {
      while (busy.load() > 0) co_await sleep(0s);
    });
    loop->close();
    for (std::thread& t : threads) t.join();  // `loop` is named by them until then
  }
  EXPECT_EQ(tracked::alive.load(), 0);
  EXPECT_GT(answered.load(), 0);
}

// As above, with the loop object gone too: only handles are left.
TEST(HandlesInThreads, outlive_the_loop_object) {
  tracked::begin();
  std::atomic<bool> gone{false};
  std::vector<std::thread> threads;
  {
    auto loop = new_event_loop();
    for (int who = 0; who < 4; ++who) {
      std::vector<future<tracked>> pending, done;
      for (int i = 0; i < 200; ++i) {
        pending.emplace_back(*loop);
        pending.back().add_done_callback([held = tracked()](const future<tracked>&) {});
        done.emplace_back(*loop);
        done.back().set_result(tracked());
      }
      threads.emplace_back([&gone, a = std::move(pending), b = std::move(done)]() mutable {
        std::vector<future<tracked>> copies = a;
        copies.insert(copies.end(), b.begin(), b.end());
        a.clear();
        while (!gone.load()) std::this_thread::yield();
        b.clear();
        std::vector<future<tracked>> again = copies;
        copies.clear();
      });
    }
    loop->run_until_complete(sleep(1ms));
  }
  gone = true;
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(tracked::alive.load(), 0);
}

// The same handle in several threads at once: each drops its copy, the last one out frees it.
TEST(HandlesInThreads, one_future_in_many_threads) {
  for (int round = 0; round < 50; ++round) {
    tracked::begin();
    run([]() -> coroutine<> {
      std::vector<std::thread> threads;
      {
        future<tracked> f;
        f.set_result(tracked());
        for (int i = 0; i < 4; ++i)
          threads.emplace_back([mine = f] {
            for (int k = 0; k < 20; ++k) {
              future<tracked> a = mine, b = a;
              a = std::move(b);
            }
          });
        for (int k = 0; k < 20; ++k) {
          future<tracked> a = f;
          co_await sleep(0s);
        }
      }
      for (std::thread& t : threads) t.join();
      while (tracked::alive.load() > 0) co_await sleep(0s);
    });
    EXPECT_EQ(tracked::alive.load(), 0);
  }
}

// S19, S26: threads post while the loop is closed and destroyed under them.
TEST(HandlesInThreads, posts_to_a_loop_that_is_being_closed_run_or_are_refused_and_leave_nothing) {
  for (int round = 0; round < 50; ++round) {
    tracked::begin();
    std::atomic<int> made{0}, refused{0}, accepted{0};
    std::atomic<bool> go{false}, closed{false};
    auto loop = new_event_loop();
    std::vector<std::thread> threads;
    for (int who = 0; who < 3; ++who)
      threads.emplace_back([&] {
        while (!go.load()) std::this_thread::yield();
        std::vector<callback_handle> handles;
        while (!closed.load()) {
          try {
            handles.push_back(loop->call_soon_threadsafe([&made, held = tracked()] { made.fetch_add(1); }));
            accepted.fetch_add(1);
            if (handles.size() % 7 == 0) handles.back().cancel();
          } catch (const std::runtime_error&) {
            refused.fetch_add(1);
          }
        }
        for (const callback_handle& h : handles) h.cancel();
      });
    loop->run_until_complete([&]() -> coroutine<> {
      go = true;
      for (int i = 0; i < round; ++i) co_await sleep(0s);
    });
    loop->close();
    closed = true;
    for (std::thread& t : threads) t.join();
    loop.reset();
    EXPECT_EQ(tracked::alive.load(), 0);
    EXPECT_LE(made.load(), accepted.load());
  }
}

}  // namespace
}  // namespace asyncio::spec
