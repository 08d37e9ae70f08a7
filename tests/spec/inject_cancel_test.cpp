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

// What tasks share is owned by all of them: the body may be cancelled, and gone, before they have ended.

TEST(CancelSweep, lock) {
  sweep(
      []() -> coroutine<> {
        struct shared {
          lock l;
          int inside = 0;
          ~shared() { EXPECT_FALSE(l.locked()); }
        };
        const auto s = std::make_shared<shared>();
        const auto work = [s]() -> coroutine<> {
          auto guard = co_await s->l.scoped();
          EXPECT_EQ(++s->inside, 1);
          const std::string slept = co_await ending(sleep(1s));
          --s->inside;
          if (slept != "done") throw cancelled_error();
        };
        task<> a = create_task(work);
        task<> b = create_task(work);
        co_await sleep(0s);
        {
          auto guard = co_await s->l.scoped();
          co_await sleep(1s);
        }
        co_await gather(a, b);
        EXPECT_FALSE(s->l.locked());
      },
      4);
}

TEST(CancelSweep, semaphore) {
  sweep(
      []() -> coroutine<> {
        struct shared {
          semaphore permits{2};
          ~shared() { EXPECT_FALSE(permits.locked()); }
        };
        const auto s = std::make_shared<shared>();
        const auto work = [s]() -> coroutine<> {
          auto guard = co_await s->permits.scoped();
          co_await sleep(1s);
        };
        std::vector<task<>> all;
        for (int i = 0; i < 5; ++i) all.push_back(create_task(work));
        co_await gather(return_exceptions, all);
        auto first = co_await s->permits.scoped();
        auto second = co_await s->permits.scoped();
        EXPECT_TRUE(s->permits.locked());
      },
      5);
}

TEST(CancelSweep, event) {
  sweep(
      []() -> coroutine<> {
        const auto e = std::make_shared<event>();
        const auto work = [e]() -> coroutine<> { co_await e->wait(); };
        task<> other = create_task(work);
        get_running_loop().call_later(1s, [e] { e->set(); });
        const std::string end = co_await ending(e->wait());
        EXPECT_EQ(other.cancelling(), 0);
        co_await other;
        if (end != "done") throw cancelled_error();
      },
      2);
}

TEST(CancelSweep, condition) {
  sweep(
      []() -> coroutine<> {
        struct shared {
          condition c;
          bool ready = false;
          int woken = 0;
          ~shared() { EXPECT_FALSE(c.locked()); }
        };
        const auto s = std::make_shared<shared>();
        const auto waits = [s]() -> coroutine<> {
          auto guard = co_await s->c.scoped();
          const auto ready = [s] { return s->ready; };
          co_await s->c.wait_for(ready);
          ++s->woken;
        };
        const auto notifies = [s]() -> coroutine<> {
          co_await sleep(1s);
          auto guard = co_await s->c.scoped();
          s->ready = true;
          s->c.notify_all();
        };
        task<> a = create_task(waits);
        task<> b = create_task(waits);
        task<> n = create_task(notifies);
        const std::string end = co_await ending(waits());
        co_await gather(a, b, n);
        EXPECT_EQ(s->woken, end == "done" ? 3 : 2);
        if (end != "done") throw cancelled_error();
      },
      3);
}

// One notification for two who wait: when the first is cancelled, however far it has come, the second gets it.
TEST(CancelSweep, condition_with_one_notification) {
  sweep(
      []() -> coroutine<> {
        struct shared {
          condition c;
          bool second = false;
          ~shared() { EXPECT_FALSE(c.locked()); }
        };
        const auto s = std::make_shared<shared>();
        const auto other = [s]() -> coroutine<> {
          co_await sleep(0s);
          auto guard = co_await s->c.scoped();
          co_await s->c.wait();
          s->second = true;
        };
        const auto notifies = [s]() -> coroutine<> {
          co_await sleep(1s);
          auto guard = co_await s->c.scoped();
          s->c.notify(1);
        };
        task<> b = create_task(other);
        task<> n = create_task(notifies);
        const auto mine = [s]() -> coroutine<> {
          auto guard = co_await s->c.scoped();
          co_await s->c.wait();
        };
        const std::string end = co_await ending(mine());
        co_await n;
        co_await settle();
        EXPECT_EQ(s->second, end != "done");
        b.cancel();
        if (end != "done") throw cancelled_error();
      },
      4);
}

TEST(CancelSweep, barrier) {
  sweep(
      []() -> coroutine<> {
        struct shared {
          barrier b{3};
          bool passed = false;
          ~shared() {
            EXPECT_FALSE(b.broken());
            EXPECT_EQ(b.n_waiting(), 0u);
          }
        };
        const auto s = std::make_shared<shared>();
        const auto arrives = [s](timedelta delay) -> coroutine<> {
          co_await sleep(delay);
          (void)co_await s->b.wait();
          s->passed = true;
        };
        task<> x = create_task(arrives, 1s);
        task<> y = create_task(arrives, 2s);
        const std::string end = co_await ending(s->b.wait());
        const bool cancelled = end.starts_with("cancelled");
        if (cancelled && !s->passed) (void)co_await s->b.wait();  // the two still need a third
        co_await gather(x, y);
        EXPECT_TRUE(s->passed);
        if (cancelled) throw cancelled_error();
      },
      3);
}

/// Items got + items still there = items put, whoever is cancelled.
struct counted_queue {
  queue<std::unique_ptr<int>> q{1};
  int put = 0, got = 0;
  void check() const { EXPECT_EQ(put, got + static_cast<int>(q.qsize())); }
  ~counted_queue() { check(); }
};

TEST(CancelSweep, queue_get) {
  sweep(
      []() -> coroutine<> {
        const auto s = std::make_shared<counted_queue>();
        const auto producer = [s]() -> coroutine<> {
          for (int i = 0; i < 4; ++i) {
            co_await s->q.put(std::make_unique<int>(i));
            ++s->put;
          }
        };
        task<> t = create_task(producer);
        for (int i = 0; i < 4; ++i) {
          std::unique_ptr<int> item = co_await s->q.get();
          EXPECT_EQ(*item, i);
          ++s->got;
          if (i % 2 == 0) co_await sleep(0s);
        }
        co_await t;
        s->check();
      },
      4);
}

TEST(CancelSweep, queue_put) {
  sweep(
      []() -> coroutine<> {
        const auto s = std::make_shared<counted_queue>();
        const auto consumer = [s]() -> coroutine<> {
          while (auto item = co_await s->q.next()) {
            ++s->got;
            co_await sleep(0s);
          }
        };
        task<> t = create_task(consumer);
        for (int i = 0; i < 4; ++i) {
          co_await s->q.put(std::make_unique<int>(i));
          ++s->put;
        }
        s->q.shutdown();
        co_await t;
        s->check();
      },
      4);
}

TEST(CancelSweep, queue_join) {
  sweep(
      []() -> coroutine<> {
        const auto q = std::make_shared<queue<int>>();
        for (int i = 0; i < 2; ++i) q->put_nowait(i);
        const auto worker = [q]() -> coroutine<> {
          while (auto item = co_await q->next()) {
            co_await sleep(1s);
            q->task_done();
          }
        };
        task<> t = create_task(worker);
        const std::string end = co_await ending(q->join());
        co_await q->join();
        q->shutdown();
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
        struct shared {
          lock l;
          semaphore permits{1};
          queue<int> q{1};
          ~shared() {
            EXPECT_FALSE(l.locked());
            EXPECT_FALSE(permits.locked());
            EXPECT_LE(q.qsize(), 1u);
          }
        };
        const auto s = std::make_shared<shared>();
        const auto inner = [s](int n) -> coroutine<int> {
          auto guard = co_await s->permits.scoped();
          co_await s->q.put(n);
          co_await sleep(100ms);
          const int back = co_await s->q.get();
          co_return back;
        };
        const auto middle = [inner]() -> coroutine<int> {
          task<int> first = create_task(inner, 1);
          task<int> second = create_task(inner, 2);
          const auto [a, b] = co_await wait_for(gather(first, shield(second)), 10s);
          co_return a + b;
        };
        const auto body = [middle]() -> coroutine<int> {
          auto it = as_completed(std::vector<task<int>>(1, create_task(middle)), 1h);
          int sum = 0;
          while (auto t = co_await it.next()) sum += t->result();
          co_return sum;
        };
        const int sum = co_await async_with(s->l, body);
        EXPECT_EQ(sum, 3);
      },
      5);
}

}  // namespace
}  // namespace asyncio::spec
