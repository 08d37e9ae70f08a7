// SPDX-License-Identifier: BSL-1.0
// Each program is run again and again, cancelled after its first, second, third … turn; each time it must end, leave
// nothing behind, and keep its invariant.
#include "spec/spec.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace asyncio::spec {
namespace {

/// Sweeps and expects at least so many places where it was cancelled.
template <class F>
void sweep(F&& body, std::size_t at_least) {
  EXPECT_GE(testing::inject_cancel(body), at_least);
}

TEST(CancelSweep, sleep) {
  int started = 0, ended = 0;
  struct ending_of {
    int& ended;
    ~ending_of() { ++ended; }
  };
  sweep(
      [&]() -> coroutine<> {
        ++started;
        const ending_of guard{ended};
        co_await sleep(1s);
        co_await sleep(0s);
        const int n = co_await sleep(2s, 3);
        EXPECT_EQ(n, 3);
      },
      4);
  EXPECT_EQ(started, ended);
}

TEST(CancelSweep, future) {
  sweep(
      []() -> coroutine<> {
        future<int> f;
        const timer_handle timer = get_running_loop().call_later(1s, [f] {
          if (!f.done()) f.set_result(1);
        });
        const std::string end = co_await ending(f);
        EXPECT_TRUE(f.done());
        EXPECT_EQ(end == "1", !f.cancelled());
        if (f.cancelled()) throw cancelled_error();
        timer.cancel();
        co_await f;
      },
      2);
}

TEST(CancelSweep, task) {
  int steps = 0;
  sweep(
      [&]() -> coroutine<> {
        const auto work = [&]() -> coroutine<int> {
          co_await sleep(1s);
          ++steps;
          co_await sleep(0s);
          co_return 2;
        };
        task<int> t = create_task(work);
        const std::string end = co_await ending(t);
        EXPECT_TRUE(t.done());
        EXPECT_EQ(end == "2", !t.cancelled());
        if (t.cancelled()) throw cancelled_error();
      },
      3);
  EXPECT_GE(steps, 2);
}

TEST(CancelSweep, gather) {
  sweep(
      []() -> coroutine<> {
        task<> a = create_task(sleep(1s));
        task<> b = create_task(sleep(2s));
        const std::string end = co_await ending(gather(return_exceptions, a, b));
        EXPECT_TRUE(a.done() && b.done());
        EXPECT_EQ(end == "cancelled_error(injected)", a.cancelled() || b.cancelled());
        if (b.cancelled()) throw cancelled_error();
      },
      4);
}

TEST(CancelSweep, gather_that_fails) {
  sweep(
      []() -> coroutine<> {
        const auto fail = []() -> coroutine<int> {
          co_await sleep(1s);
          throw std::runtime_error("part");
        };
        task<> slow = create_task(sleep(3s));
        const std::string end = co_await ending(gather(fail(), slow));
        EXPECT_TRUE(end == "runtime_error(part)" || end.starts_with("cancelled_error")) << end;
        if (end.starts_with("cancelled")) throw cancelled_error();
        co_await slow;
      },
      4);
}

TEST(CancelSweep, wait) {
  sweep(
      []() -> coroutine<> {
        task<> a = create_task(sleep(1s));
        task<> b = create_task(sleep(3s));
        std::exception_ptr error;
        try {
          auto first = co_await wait({.return_when = return_when::first_completed}, a, b);
          EXPECT_EQ(first.done.size(), 1u);
          auto late = co_await wait({.timeout = 1s}, b);
          EXPECT_EQ(late.pending.size(), 1u);
          auto all = co_await wait(wait_options(), a, b);
          EXPECT_EQ(all.done.size(), 2u);
        } catch (...) {
          error = std::current_exception();
        }
        EXPECT_EQ(a.cancelling() + b.cancelling(), 0);  // wait() cancels nobody
        if (error != nullptr) std::rethrow_exception(error);
      },
      6);
}

TEST(CancelSweep, wait_for) {
  sweep(
      []() -> coroutine<> {
        task<int> quick = create_task(sleep(1s, 4));
        task<int> slow = create_task(sleep(1h, 5));
        std::exception_ptr error;
        try {
          const int n = co_await wait_for(quick, 2s);
          EXPECT_EQ(n, 4);
          (void)co_await wait_for(slow, 2s);
        } catch (...) {
          error = std::current_exception();
        }
        EXPECT_EQ(get_running_loop().metrics().timers, slow.done() ? 0u : 1u);
        const std::string end = name_of(error);
        EXPECT_TRUE(end == "timeout_error" || end.starts_with("cancelled_error")) << end;
        if (end == "timeout_error") co_return;
        std::rethrow_exception(error);
      },
      4);
}

TEST(CancelSweep, as_completed) {
  sweep(
      []() -> coroutine<> {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 3; ++i) tasks.push_back(create_task(sleep(std::chrono::seconds(i), i)));
        auto it = as_completed(tasks, 1h);
        int given = 0;
        std::exception_ptr error;
        try {
          while (auto t = co_await it.next()) given += t->done() ? 1 : 100;
        } catch (...) {
          error = std::current_exception();
        }
        if (error == nullptr) {
          EXPECT_EQ(given, 3);
          co_return;
        }
        const auto rest = [&]() -> coroutine<> {
          while (auto t = co_await it.next()) given += t->done() ? 1 : 100;
        };
        co_await rest();  // who was cancelled in between has lost none
        EXPECT_EQ(given, 3);
        std::rethrow_exception(error);
      },
      5);
}

TEST(CancelSweep, shield) {
  sweep(
      []() -> coroutine<> {
        int done = 0;
        const auto work = [&]() -> coroutine<> {
          co_await sleep(1s);
          co_await sleep(1s);
          ++done;
        };
        task<> inner = create_task(work);
        const std::string end = co_await ending(shield(inner));
        EXPECT_EQ(inner.cancelling(), 0);
        co_await inner;
        EXPECT_EQ(done, 1);
        if (end != "done") throw cancelled_error();
      },
      3);
}

TEST(CancelSweep, lock) {
  sweep(
      []() -> coroutine<> {
        lock l;
        int inside = 0;
        const auto work = [&]() -> coroutine<> {
          auto guard = co_await l.scoped();
          EXPECT_EQ(++inside, 1);
          co_await sleep(1s);
          --inside;
        };
        task<> a = create_task(work);
        task<> b = create_task(work);
        struct leaving {
          lock& l;
          ~leaving() { EXPECT_FALSE(l.locked()); }
        };
        std::exception_ptr error;
        try {
          co_await sleep(0s);
          auto guard = co_await l.scoped();
          co_await sleep(1s);
        } catch (...) {
          error = std::current_exception();
        }
        co_await gather(a, b);
        const leaving guard{l};
        if (error != nullptr) std::rethrow_exception(error);
      },
      4);
}

TEST(CancelSweep, semaphore) {
  sweep(
      []() -> coroutine<> {
        semaphore s(2);
        std::vector<task<>> all;
        const auto work = [&]() -> coroutine<> {
          auto guard = co_await s.scoped();
          co_await sleep(1s);
        };
        for (int i = 0; i < 5; ++i) all.push_back(create_task(work));
        const std::string end = co_await ending(gather(return_exceptions, std::vector<task<>>(all)));
        co_await settle();
        EXPECT_FALSE(s.locked());
        auto first = co_await s.scoped();
        auto second = co_await s.scoped();
        EXPECT_TRUE(s.locked());
        if (end.starts_with("cancelled")) throw cancelled_error();
      },
      5);
}

TEST(CancelSweep, event) {
  sweep(
      []() -> coroutine<> {
        event e;
        int woken = 0;
        const auto work = [&]() -> coroutine<> {
          co_await e.wait();
          ++woken;
        };
        task<> a = create_task(work);
        get_running_loop().call_later(1s, [&] { e.set(); });
        const std::string end = co_await ending(e.wait());
        if (end != "done") co_await sleep(2s);
        co_await a;
        EXPECT_EQ(woken, 1);
        if (end != "done") throw cancelled_error();
      },
      2);
}

TEST(CancelSweep, condition) {
  sweep(
      []() -> coroutine<> {
        condition c;
        bool ready = false;
        int woken = 0;
        const auto waits = [&]() -> coroutine<> {
          auto guard = co_await c.scoped();
          co_await c.wait_for([&] { return ready; });
          ++woken;
        };
        const auto notifies = [&]() -> coroutine<> {
          co_await sleep(1s);
          auto guard = co_await c.scoped();
          ready = true;
          c.notify_all();
        };
        task<> a = create_task(waits);
        task<> b = create_task(waits);
        task<> n = create_task(notifies);
        const std::string end = co_await ending(waits());
        co_await gather(a, b, n);
        co_await settle();
        EXPECT_EQ(woken, end == "done" ? 3 : 2);
        EXPECT_FALSE(c.locked());
        if (end != "done") throw cancelled_error();
      },
      3);
}

// One notification for two who wait: when the first is cancelled, however far it has come, the second gets it.
TEST(CancelSweep, condition_with_one_notification) {
  sweep(
      []() -> coroutine<> {
        condition c;
        bool second = false;
        const auto other = [&]() -> coroutine<> {
          co_await sleep(0s);
          auto guard = co_await c.scoped();
          co_await c.wait();
          second = true;
        };
        const auto notifies = [&]() -> coroutine<> {
          co_await sleep(1s);
          auto guard = co_await c.scoped();
          c.notify(1);
        };
        task<> b = create_task(other);
        task<> n = create_task(notifies);
        const auto mine = [&]() -> coroutine<> {
          auto guard = co_await c.scoped();
          co_await c.wait();
        };
        const std::string end = co_await ending(mine());
        co_await n;
        co_await settle();
        EXPECT_EQ(second, end != "done");
        EXPECT_FALSE(c.locked());
        b.cancel();
        co_await settle();
        if (end != "done") throw cancelled_error();
      },
      4);
}

TEST(CancelSweep, barrier) {
  sweep(
      []() -> coroutine<> {
        barrier b(3);
        bool passed = false;
        const auto arrives = [&](timedelta delay) -> coroutine<> {
          co_await sleep(delay);
          (void)co_await b.wait();
          passed = true;
        };
        task<> x = create_task(arrives, 1s);
        task<> y = create_task(arrives, 2s);
        const std::string end = co_await ending(b.wait());
        if (end.starts_with("cancelled") && !passed) (void)co_await b.wait();  // the two still need a third
        co_await gather(x, y);
        EXPECT_FALSE(b.broken());
        EXPECT_EQ(b.n_waiting(), 0u);
        if (end.starts_with("cancelled")) throw cancelled_error();
      },
      3);
}

/// Items in + items still there = items put, when the getter, or the putter, is the one who is cancelled.
TEST(CancelSweep, queue_get) {
  sweep(
      []() -> coroutine<> {
        queue<int> q(1);
        int put = 0, got = 0;
        const auto producer = [&]() -> coroutine<> {
          for (int i = 0; i < 4; ++i) {
            co_await q.put(i);
            ++put;
          }
        };
        task<> t = create_task(producer);
        std::exception_ptr error;
        try {
          for (int i = 0; i < 4; ++i) {
            (void)co_await q.get();
            ++got;
          }
        } catch (...) {
          error = std::current_exception();
        }
        EXPECT_EQ(put, got + static_cast<int>(q.qsize()));
        t.cancel();
        co_await settle();
        EXPECT_EQ(put, got + static_cast<int>(q.qsize()));
        if (error != nullptr) std::rethrow_exception(error);
      },
      4);
}

TEST(CancelSweep, queue_put) {
  sweep(
      []() -> coroutine<> {
        queue<std::unique_ptr<int>> q(1);
        int put = 0, got = 0;
        const auto consumer = [&]() -> coroutine<> {
          while (auto item = co_await q.next()) {
            ++got;
            co_await sleep(0s);
          }
        };
        task<> t = create_task(consumer);
        std::exception_ptr error;
        try {
          for (int i = 0; i < 4; ++i) {
            co_await q.put(std::make_unique<int>(i));
            ++put;
          }
        } catch (...) {
          error = std::current_exception();
        }
        q.shutdown();
        co_await t;
        EXPECT_EQ(put, got);
        if (error != nullptr) std::rethrow_exception(error);
      },
      4);
}

TEST(CancelSweep, queue_join) {
  sweep(
      []() -> coroutine<> {
        queue<int> q;
        for (int i = 0; i < 2; ++i) q.put_nowait(i);
        const auto worker = [&]() -> coroutine<> {
          while (auto item = co_await q.next()) {
            co_await sleep(1s);
            q.task_done();
          }
        };
        task<> t = create_task(worker);
        const std::string end = co_await ending(q.join());
        co_await q.join();
        q.shutdown();
        co_await t;
        if (end != "done") throw cancelled_error();
      },
      2);
}

TEST(CancelSweep, async_with_a_timeout) {
  sweep(
      []() -> coroutine<> {
        std::exception_ptr error;
        std::string inner;
        const auto body = [&]() -> coroutine<> {
          inner = co_await ending(async_with(timeout(1s), [] { return sleep(1h); }));
          if (inner.starts_with("cancelled")) throw cancelled_error();
          co_await sleep(1s);
        };
        try {
          co_await async_with(timeout(1h), body);
        } catch (...) {
          error = std::current_exception();
        }
        EXPECT_EQ(get_running_loop().metrics().timers, 0u);
        EXPECT_EQ(error == nullptr, inner == "timeout_error" && current_task().cancelling() == 0);
        if (error != nullptr) std::rethrow_exception(error);
      },
      3);
}

TEST(CancelSweep, async_finally) {
  sweep(
      []() -> coroutine<> {
        int cleaned = 0;
        const auto cleanup = [&]() -> coroutine<> {
          co_await sleep(1s);
          ++cleaned;
        };
        const auto body = [] { return sleep(1s); };
        const std::string end = co_await ending(async_finally(body, cleanup));
        // Once begun, the cleanup can itself be cancelled; before that it runs to its end.
        EXPECT_EQ(cleaned, 1 - (end != "done" && cleaned == 0 ? 1 : 0));
        if (end != "done") throw cancelled_error();
      },
      3);
}

TEST(CancelSweep, as_outcome) {
  sweep(
      []() -> coroutine<> {
        const auto fail = []() -> coroutine<> {
          co_await sleep(1s);
          throw std::runtime_error("kept");
        };
        const outcome<> end = co_await as_outcome(fail());
        EXPECT_EQ(name_of(end.exception()), "runtime_error(kept)");
        const outcome<int> value = co_await as_outcome(sleep(1s, 3));
        EXPECT_EQ(value.value(), 3);
      },
      3);
}

// All of them together.
TEST(CancelSweep, nested_combinators) {
  sweep(
      []() -> coroutine<> {
        lock l;
        semaphore s(1);
        queue<int> q(1);
        const auto inner = [&](int n) -> coroutine<int> {
          auto guard = co_await s.scoped();
          co_await q.put(n);
          co_await sleep(100ms);
          const int back = co_await q.get();
          co_return back;
        };
        const auto middle = [&]() -> coroutine<int> {
          const auto [a, b] = co_await wait_for(gather(inner(1), shield(inner(2))), 10s);
          co_return a + b;
        };
        const auto body = [&]() -> coroutine<int> {
          auto it = as_completed(std::vector<task<int>>(1, create_task(middle())), 1h);
          int sum = 0;
          while (auto t = co_await it.next()) sum += t->result();
          co_return sum;
        };
        const std::string end = co_await ending(async_with(l, body));
        EXPECT_FALSE(l.locked());
        co_await sleep(1s);
        EXPECT_FALSE(s.locked());
        EXPECT_TRUE(q.empty());
        if (end != "3") throw cancelled_error();
      },
      5);
}

}  // namespace
}  // namespace asyncio::spec
