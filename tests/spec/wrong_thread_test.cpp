// SPDX-License-Identifier: BSL-1.0
// What belongs to a loop refuses every other thread, at once and in words: the calls that thread_safety_test.cpp
// leaves.
#include "spec/spec.hpp"

#include <atomic>
#include <csignal>
#include <memory>
#include <thread>

#include <pthread.h>
#include <unistd.h>

namespace asyncio::spec {
namespace {

/// What calling f() in another thread throws there, by name.
template <class F>
std::string thrown_elsewhere(F&& f) {
  std::string thrown;
  std::thread([&] { thrown = thrown_by(f); }).join();
  return thrown;
}

/// What awaiting f() in the loop of another thread throws there, by name.
template <class F>
std::string thrown_in_another_loop(F f) {
  return thrown_elsewhere([&] { run(f); });
}

/// Does it say who called what, whose the loop is, and what to call instead?
::testing::AssertionResult refused(const std::string& thrown, std::string_view call) {
  const std::string begin = "runtime_error(" + std::string(call) + ": called from thread ";
  const std::string end =
      ", but its loop belongs to thread " + std::to_string(::getpid()) + " ('main'): use loop.call_soon_threadsafe())";
  if (thrown.starts_with(begin) && thrown.ends_with(end)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << thrown;
}

/// Starts a task that runs f() and lets it come to its wait.
template <class F>
coroutine<task<>> waiting(F f) {
  task<> t = create_task(std::move(f));
  co_await settle();
  co_return t;
}

coroutine<> end(task<> t) {
  t.cancel();
  co_await settle();
}

// ---- events

// The thread that would have been waited for in vain hears of it, and does what it is told to do.
TEST(WrongThread, to_string_of_a_task_is_refused) {
  testing::run([]() -> coroutine<> {
    any_task me = current_task();
    std::string thrown;
    std::thread([&] { thrown = thrown_by([&] { (void)to_string(me); }); }).join();
    EXPECT_TRUE(contains(thrown, "to_string(task): called from thread")) << thrown;
    co_return;
  });
}

TEST(WrongThread, setting_an_event_that_a_task_waits_for_throws_in_the_thread_that_sets_it) {
  event ready;
  std::string thrown;
  run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    std::atomic<bool> waits{false};
    std::thread worker([&] {
      while (!waits.load()) std::this_thread::yield();
      thrown = thrown_by([&] { ready.set(); });
      loop.call_soon_threadsafe([&] { ready.set(); });
    });
    loop.call_soon([&] { waits = true; });
    co_await ready.wait();
    worker.join();
  });
  EXPECT_TRUE(refused(thrown, "event.set()"));
}

TEST(WrongThread, calls_of_an_event_are_refused) {
  run([]() -> coroutine<> {
    event e;
    task<> t = co_await waiting([&]() -> coroutine<> { co_await e.wait(); });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { e.set(); }), "event.set()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { e.clear(); }), "event.clear()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)e.is_set(); }), "event.is_set()"));
    auto elsewhere = [&]() -> coroutine<> { co_await e.wait(); };
    EXPECT_TRUE(refused(thrown_in_another_loop(elsewhere), "event.wait()"));
    EXPECT_FALSE(e.is_set());
    EXPECT_FALSE(t.done());
    co_await end(t);
  });
}

// ---- locks

TEST(WrongThread, calls_of_a_lock_are_refused) {
  run([]() -> coroutine<> {
    lock l;
    co_await l.acquire();
    task<> t = co_await waiting([&]() -> coroutine<> { co_await l.acquire(); });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { l.release(); }), "lock.release()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)l.locked(); }), "lock.locked()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)l.aexit(nullptr); }), "lock.release()"));
    auto acquired = [&]() -> coroutine<> { co_await l.acquire(); };
    EXPECT_TRUE(refused(thrown_in_another_loop(acquired), "lock.acquire()"));
    auto held = [&]() -> coroutine<> { auto guard = co_await l.scoped(); };
    EXPECT_TRUE(refused(thrown_in_another_loop(held), "lock.acquire()"));
    auto around = [&]() -> coroutine<> {
      auto body = [] {};
      co_await async_with(l, body);
    };
    EXPECT_TRUE(refused(thrown_in_another_loop(around), "lock.acquire()"));
    EXPECT_TRUE(l.locked());
    EXPECT_FALSE(t.done());
    co_await end(t);
  });
}

TEST(WrongThread, calls_of_a_semaphore_are_refused) {
  run([]() -> coroutine<> {
    semaphore s(1);
    bounded_semaphore b(1);
    co_await s.acquire();
    co_await b.acquire();
    task<> t = co_await waiting([&]() -> coroutine<> { co_await s.acquire(); });
    task<> u = co_await waiting([&]() -> coroutine<> { co_await b.acquire(); });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { s.release(); }), "semaphore.release()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.locked(); }), "semaphore.locked()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { b.release(); }), "bounded_semaphore.release()"));
    auto acquired = [&]() -> coroutine<> { co_await s.acquire(); };
    EXPECT_TRUE(refused(thrown_in_another_loop(acquired), "semaphore.acquire()"));
    EXPECT_FALSE(t.done());
    co_await end(t);
    co_await end(u);
  });
}

TEST(WrongThread, calls_of_a_condition_are_refused) {
  run([]() -> coroutine<> {
    condition c;
    task<> t = co_await waiting([&]() -> coroutine<> {
      auto guard = co_await c.scoped();
      co_await c.wait();
    });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { c.notify(); }), "condition.notify()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { c.notify_all(); }), "condition.notify()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)c.wait(); }), "condition.wait()"));
    auto waited = [&]() -> coroutine<> {
      auto held = [] { return true; };
      auto guard = co_await c.scoped();
      co_await c.wait();
      co_await c.wait_for(held);
    };
    EXPECT_TRUE(refused(thrown_in_another_loop(waited), "condition.wait()"));
    EXPECT_FALSE(t.done());
    co_await end(t);
  });
}

TEST(WrongThread, calls_of_a_conditions_lock_are_refused) {
  run([]() -> coroutine<> {
    condition c;
    co_await c.acquire();
    task<> t = co_await waiting([&]() -> coroutine<> { co_await c.acquire(); });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { c.release(); }), "lock.release()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)c.locked(); }), "lock.locked()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { c.notify(); }), "condition.notify()"));
    EXPECT_TRUE(c.locked());
    co_await end(t);
  });
}

TEST(WrongThread, calls_of_a_barrier_are_refused) {
  run([]() -> coroutine<> {
    barrier b(2);
    task<> t = co_await waiting([&]() -> coroutine<> { (void)co_await b.wait(); });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)b.wait(); }), "barrier.wait()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)b.reset(); }), "barrier.reset()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)b.abort(); }), "barrier.abort()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)b.n_waiting(); }), "barrier.n_waiting()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)b.broken(); }), "barrier.broken()"));
    EXPECT_EQ(b.n_waiting(), 1u);
    co_await end(t);
  });
}

// ---- queues

template <class Queue>
coroutine<> queue_refuses_others(Queue& q, task<> t) {
  EXPECT_TRUE(refused(thrown_elsewhere([&] { q.put_nowait(1); }), "queue.put_nowait()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)q.get_nowait(); }), "queue.get_nowait()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)q.try_put(1); }), "queue.try_put()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)q.try_get(); }), "queue.try_get()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { q.task_done(); }), "queue.task_done()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { q.shutdown(); }), "queue.shutdown()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)q.qsize(); }), "queue.qsize()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)q.empty(); }), "queue.empty()"));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)q.full(); }), "queue.full()"));
  auto put = [&]() -> coroutine<> { co_await q.put(1); };
  EXPECT_TRUE(refused(thrown_in_another_loop(put), "queue.put()"));
  auto got = [&]() -> coroutine<> { (void)co_await q.get(); };
  EXPECT_TRUE(refused(thrown_in_another_loop(got), "queue.get()"));
  auto next = [&]() -> coroutine<> { (void)co_await q.next(); };
  EXPECT_TRUE(refused(thrown_in_another_loop(next), "queue.get()"));
  auto joined = [&]() -> coroutine<> { co_await q.join(); };
  EXPECT_TRUE(refused(thrown_in_another_loop(joined), "queue.join()"));
  EXPECT_FALSE(t.done());
  co_await end(t);
}

TEST(WrongThread, calls_of_a_queue_that_a_task_gets_from_are_refused) {
  run([]() -> coroutine<> {
    queue<int> q;
    task<> t = co_await waiting([&]() -> coroutine<> { (void)co_await q.get(); });
    co_await queue_refuses_others(q, t);
    EXPECT_TRUE(q.empty());
  });
}

TEST(WrongThread, calls_of_a_queue_that_a_task_puts_into_are_refused) {
  run([]() -> coroutine<> {
    lifo_queue<int> q(1);
    q.put_nowait(1);
    task<> t = co_await waiting([&]() -> coroutine<> { co_await q.put(2); });
    co_await queue_refuses_others(q, t);
    EXPECT_EQ(q.qsize(), 1u);
  });
}

TEST(WrongThread, calls_of_a_queue_that_a_task_joins_are_refused) {
  run([]() -> coroutine<> {
    priority_queue<int> q;
    q.put_nowait(1);
    task<> t = co_await waiting([&]() -> coroutine<> { co_await q.join(); });
    co_await queue_refuses_others(q, t);
    EXPECT_EQ(q.get_nowait(), 1);
  });
}

// ---- to whom a primitive belongs

// S150: nobody's until a task waits.
TEST(WrongThread, what_no_task_has_waited_for_is_plain_data) {
  queue<int> q;
  event e;
  lock l;
  std::thread([&] {
    q.put_nowait(1);
    e.set();
    run([&]() -> coroutine<> { co_await l.acquire(); });
  }).join();
  int got = 0;
  run([&]() -> coroutine<> {
    l.release();
    co_await e.wait();
    got = co_await q.get();
    co_await l.acquire();
  });
  EXPECT_EQ(got, 1);
  EXPECT_EQ(thrown_elsewhere([&] { l.release(); }), "nothing");
}

// S150: and again when the loop is closed.
TEST(WrongThread, a_loop_that_is_closed_owns_nothing) {
  event e;
  queue<int> q;
  run([&]() -> coroutine<> {
    task<> t = co_await waiting([&]() -> coroutine<> { co_await e.wait(); });
    task<> u = co_await waiting([&]() -> coroutine<> { (void)co_await q.get(); });
    co_await end(t);
    co_await end(u);
    EXPECT_TRUE(refused(thrown_elsewhere([&] { e.set(); }), "event.set()"));
  });
  EXPECT_EQ(thrown_elsewhere([&] { e.set(); }), "nothing");
  int got = 0;
  std::thread([&] {
    run([&]() -> coroutine<> {
      get_running_loop().call_soon([&] { q.put_nowait(7); });
      got = co_await q.get();
    });
  }).join();
  EXPECT_EQ(got, 7);
  EXPECT_TRUE(e.is_set());
}

// It stays with its loop while that does not run, and goes with it to another thread.
TEST(WrongThread, a_primitive_follows_its_loop) {
  auto loop = new_event_loop();
  event e;
  task<> t = loop->create_task([&]() -> coroutine<> { co_await e.wait(); });
  loop->run_until_complete(sleep(0s));
  EXPECT_TRUE(refused(thrown_elsewhere([&] { e.set(); }), "event.set()"));
  EXPECT_FALSE(e.is_set());
  std::thread([&] { loop->run_until_complete(sleep(0s)); }).join();
  const std::string thrown = thrown_by([&] { e.set(); });
  const std::string from_main = "called from thread " + std::to_string(::getpid()) + " ('main'), ";
  EXPECT_TRUE(contains(thrown, from_main + "but its loop belongs to thread ")) << thrown;
  std::thread([&] {
    loop->run_until_complete([&]() -> coroutine<> {
      e.set();
      co_await t;
    });
  }).join();
  std::thread([&] { loop->close(); }).join();
}

TEST(WrongThread, a_thread_with_a_name_is_called_by_it) {
  run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    pid_t number = 0;
    const std::string thrown = thrown_elsewhere([&] {
      ::pthread_setname_np(::pthread_self(), "worker");
      number = ::gettid();
      loop.stop();
    });
    EXPECT_TRUE(refused(thrown, "loop.stop()"));
    EXPECT_TRUE(contains(thrown, "called from thread " + std::to_string(number) + " ('worker'), ")) << thrown;
    co_return;
  });
}

TEST(WrongThread, a_thread_without_a_name_is_called_by_its_number) {
  run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    pid_t number = 0;
    const std::string thrown = thrown_elsewhere([&] {
      number = ::gettid();
      loop.stop();
    });
    EXPECT_TRUE(contains(thrown, "called from thread " + std::to_string(number) + ", but its loop")) << thrown;
    co_return;
  });
}

// ---- streams

TEST(WrongThread, calls_of_a_reader_fed_by_hand_are_refused) {
  run([]() -> coroutine<> {
    stream_reader r;
    std::thread([&] { r.feed_data("x"); }).join();
    const std::string first = co_await r.readexactly(1);
    EXPECT_EQ(first, "x");
    task<> t = co_await waiting([&]() -> coroutine<> { (void)co_await r.read(); });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { r.feed_data("y"); }), "stream_reader.feed_data()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { r.feed_eof(); }), "stream_reader.feed_eof()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { r.set_exception(std::make_exception_ptr(std::runtime_error("x"))); }),
                        "stream_reader.set_exception()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)r.exception(); }), "stream_reader.exception()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)r.at_eof(); }), "stream_reader.at_eof()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)r.readline(); }), "stream_reader.readline()"));
    EXPECT_FALSE(t.done());
    co_await end(t);
  });
}

TEST(WrongThread, calls_of_a_server_are_refused) {
  run([]() -> coroutine<> {
    auto serve = [](stream_reader, stream_writer) -> coroutine<> { co_return; };
    server s = co_await start_server(serve, "127.0.0.1", 0);
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.is_serving(); }), "server.is_serving()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.port(); }), "server.port()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.sockets(); }), "server.sockets()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.get_loop(); }), "server.get_loop()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.start_serving(); }), "server.start_serving()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.serve_forever(); }), "server.serve_forever()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { s.close_clients(); }), "server.close_clients()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { s.abort_clients(); }), "server.abort_clients()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.wait_closed(); }), "server.wait_closed()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)s.shutdown(1s); }), "server.shutdown()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { s.close(); }), "server.close()"));
    EXPECT_TRUE(s.is_serving());
    s.close();
    co_await s.wait_closed();
  });
}

// ---- scheduled calls

TEST(WrongThread, calls_of_a_callback_handle_are_refused) {
  run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    bool called = false;
    const callback_handle soon = loop.call_soon([&] { called = true; });
    EXPECT_TRUE(refused(thrown_elsewhere([&] { soon.cancel(); }), "callback_handle.cancel()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)soon.cancelled(); }), "callback_handle.cancelled()"));
    co_await settle();
    EXPECT_TRUE(called);
    EXPECT_FALSE(soon.cancelled());
  });
}

TEST(WrongThread, calls_of_a_timer_handle_are_refused) {
  run([]() -> coroutine<> {
    const timer_handle later = get_running_loop().call_later(1h, [] {});
    EXPECT_TRUE(refused(thrown_elsewhere([&] { later.cancel(); }), "callback_handle.cancel()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)later.cancelled(); }), "callback_handle.cancelled()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)later.when(); }), "timer_handle.when()"));
    EXPECT_FALSE(later.cancelled());
    later.cancel();
    co_return;
  });
}

// ---- the loop

TEST(WrongThread, settings_of_a_loop_are_refused) {
  run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    auto owned = std::make_shared<int>(1);
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.set_debug(true); }), "loop.set_debug()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)loop.get_debug(); }), "loop.get_debug()"));
    EXPECT_TRUE(
        refused(thrown_elsewhere([&] { loop.set_slow_callback_duration(1s); }), "loop.set_slow_callback_duration()"));
    EXPECT_TRUE(
        refused(thrown_elsewhere([&] { (void)loop.slow_callback_duration(); }), "loop.slow_callback_duration()"));
    EXPECT_TRUE(refused(
        thrown_elsewhere([&] { loop.set_exception_handler([owned](event_loop&, const exception_context&) {}); }),
        "loop.set_exception_handler()"));
    EXPECT_TRUE(
        refused(thrown_elsewhere([&] { loop.set_exception_handler(nullptr); }), "loop.set_exception_handler()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)loop.get_exception_handler(); }), "loop.get_exception_handler()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { loop.call_exception_handler(exception_context()); }),
                        "loop.call_exception_handler()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)loop.next_deadline(); }), "loop.next_deadline()"));
    EXPECT_TRUE(
        refused(thrown_elsewhere([&] { loop.remove_signal_handler(SIGUSR1); }), "loop.remove_signal_handler()"));
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_FALSE(loop.get_exception_handler());
    co_return;
  });
}

TEST(WrongThread, whether_a_loop_runs_and_what_time_it_has_may_be_asked_anywhere) {
  auto loop = new_event_loop();
  loop->run_until_complete([&]() -> coroutine<> {
    bool running = false, closed = true;
    time_point seen;
    EXPECT_EQ(thrown_elsewhere([&] {
                running = loop->is_running();
                closed = loop->is_closed();
                seen = loop->time();
              }),
              "nothing");
    EXPECT_TRUE(running);
    EXPECT_FALSE(closed);
    EXPECT_LE(seen, loop->time());
    co_return;
  });
  loop->close();
  bool closed = false;
  std::thread([&] { closed = loop->is_closed(); }).join();
  EXPECT_TRUE(closed);
}

// ---- time-outs and iterators

TEST(WrongThread, calls_of_a_timeout_are_refused_from_its_entry_on) {
  run([]() -> coroutine<> {
    timeout t(1h);
    EXPECT_EQ(thrown_elsewhere([&] { (void)t.when(); }), "nothing");
    t.enter();
    EXPECT_TRUE(refused(thrown_elsewhere([&] { t.reschedule(std::nullopt); }), "timeout.reschedule()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)t.when(); }), "timeout.when()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)t.expired(); }), "timeout.expired()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { t.enter(); }), "timeout.enter()"));
    EXPECT_TRUE(refused(thrown_elsewhere([&] { t.exit(nullptr); }), "timeout.exit()"));
    EXPECT_FALSE(t.expired());
    t.exit(nullptr);
    co_return;
  });
}

TEST(WrongThread, the_next_of_as_completed_is_refused) {
  run([]() -> coroutine<> {
    std::vector<task<int>> all;
    all.push_back(create_task(sleep(0s, 1)));
    auto done = as_completed(all);
    EXPECT_TRUE(refused(thrown_elsewhere([&] { (void)done.next(); }), "as_completed().next()"));
    auto t = co_await done.next();
    EXPECT_EQ(t->result(), 1);
  });
}

}  // namespace
}  // namespace asyncio::spec
