// SPDX-License-Identifier: BSL-1.0
// Locks and queues: scenarios.py in C++, under the same names.
#include "oracle/oracle.hpp"

namespace oracle {
namespace {

constexpr const char* abc[] = {"a", "b", "c"};
constexpr const char* abcd[] = {"a", "b", "c", "d"};

coroutine<> lock_first_come_first_served(journal& log) {
  lock l;
  const auto work = [&](std::string name) -> coroutine<> {
    auto guard = co_await l.scoped();
    log(name + " in");
    co_await sleep(0s);
    log(name + " out");
  };
  task<> ticker = create_task(ticks(log, 8));
  std::vector<task<>> all;
  for (const char* name : abc) all.push_back(create_task(work, name));
  for (const task<>& t : all) co_await t;
  co_await ticker;
}

coroutine<> lock_no_barging(journal& log) {
  lock l;
  const auto work = [&]() -> coroutine<> {
    auto guard = co_await l.scoped();
    log("waiter");
  };
  co_await l.acquire();
  task<> t = create_task(work);
  co_await sleep(0s);
  l.release();
  log("released locked=" + yes(l.locked()));
  {
    auto guard = co_await l.scoped();
    log("releaser");
  }
  co_await t;
}

coroutine<> lock_cancelled_waiters(journal& log) {
  lock l;
  const auto work = [&](std::string name) -> coroutine<> {
    try {
      auto guard = co_await l.scoped();
      log(name + " in");
    } catch (const cancelled_error&) {
      log(name + " cancelled");
      throw;
    }
  };
  co_await l.acquire();
  std::vector<task<>> tasks;
  for (const char* name : abcd) tasks.push_back(create_task(work, name));
  co_await sleep(0s);
  tasks[0].cancel();
  tasks[2].cancel();
  co_await sleep(0s);
  l.release();
  co_await settle();
  log("locked=" + yes(l.locked()));
}

coroutine<> semaphore_permits(journal& log) {
  semaphore s(2);
  const auto work = [&](std::string name) -> coroutine<> {
    {
      auto guard = co_await s.scoped();
      log(name + " in");
      co_await sleep(1s);
    }
    log(name + " out");
  };
  std::vector<task<>> all;
  for (const char* name : {"a", "b", "c", "d", "e"}) all.push_back(create_task(work, name));
  for (const task<>& t : all) co_await t;
}

coroutine<> semaphore_released_together(journal& log) {
  semaphore s(0);
  const auto work = [&](std::string name) -> coroutine<> {
    co_await s.acquire();
    log(name);
  };
  std::vector<task<>> tasks;
  for (const char* name : abcd) tasks.push_back(create_task(work, name));
  co_await sleep(0s);
  for (int i = 0; i < 3; ++i) s.release();
  log("locked=" + yes(s.locked()));
  co_await settle();
  log("d done=" + yes(tasks[3].done()));
  s.release();
  co_await tasks[3];
}

coroutine<> event_set_and_clear(journal& log) {
  event e;
  const auto wait = [&](std::string name) -> coroutine<> {
    co_await e.wait();
    log(name);
  };
  std::vector<task<>> tasks;
  for (const char* name : abc) tasks.push_back(create_task(wait, name));
  task<> ticker = create_task(ticks(log, 4));
  co_await sleep(0s);
  e.set();
  e.clear();
  task<> late = create_task(wait, "late");
  for (const task<>& t : tasks) co_await t;
  co_await ticker;
  log("late done=" + yes(late.done()));
  e.set();
  co_await late;
}

coroutine<> condition_notify(journal& log) {
  condition c;
  const auto wait = [&](std::string name) -> coroutine<> {
    auto guard = co_await c.scoped();
    co_await c.wait();
    log(name);
  };
  std::vector<task<>> tasks;
  for (const char* name : abcd) tasks.push_back(create_task(wait, name));
  co_await settle();
  task<> ticker = create_task(ticks(log, 6));
  {
    auto guard = co_await c.scoped();
    c.notify(2);
    log("notified two");
    co_await sleep(0s);
  }
  co_await ticker;
  {
    auto guard = co_await c.scoped();
    c.notify_all();
  }
  for (const task<>& t : tasks) co_await t;
}

coroutine<> condition_cancelled(journal& log) {
  condition c;
  const auto wait = [&](std::string name) -> coroutine<> {
    auto guard = co_await c.scoped();
    std::exception_ptr error;
    try {
      co_await c.wait();
    } catch (...) {
      error = std::current_exception();
    }
    log(name + " holds the lock again " + yes(c.locked()));
    if (error != nullptr) std::rethrow_exception(error);
  };
  task<> a = create_task(wait, "a");
  task<> b = create_task(wait, "b");
  co_await settle();
  co_await c.acquire();
  a.cancel("away");
  co_await sleep(1s);
  log("a done=" + yes(a.done()));
  c.notify();
  c.release();
  co_await tell(log, a);
  co_await tell(log, b);
}

coroutine<> queue_hand_over(journal& log) {
  queue<int> q;
  const auto consume = [&](std::string name) -> coroutine<> {
    const int item = co_await q.get();
    log(name + " got " + text(item));
  };
  std::vector<task<>> tasks;
  for (const char* name : abc) tasks.push_back(create_task(consume, name));
  task<> ticker = create_task(ticks(log, 4));
  co_await sleep(0s);
  q.put_nowait(1);
  q.put_nowait(2);
  log("put two");
  co_await ticker;
  q.put_nowait(3);
  for (const task<>& t : tasks) co_await t;
}

coroutine<> queue_bounded(journal& log) {
  queue<int> q(2);
  const auto produce = [&]() -> coroutine<> {
    for (int i = 0; i < 5; ++i) {
      co_await q.put(i);
      log("put " + text(i));
    }
  };
  const auto consume = [&]() -> coroutine<> {
    for (int i = 0; i < 5; ++i) {
      const int item = co_await q.get();
      log("got " + text(item));
      co_await sleep(0s);
    }
  };
  co_await gather(produce(), consume());
}

coroutine<> queue_cancelled(journal& log) {
  queue<int> q(1);
  const auto consume = [&](std::string name) -> coroutine<> {
    const int item = co_await q.get();
    log(name + " got " + text(item));
  };
  task<> a = create_task(consume, "a");
  task<> b = create_task(consume, "b");
  co_await sleep(0s);
  a.cancel();
  co_await sleep(0s);
  q.put_nowait(1);
  co_await settle();
  log("a cancelled=" + yes(a.cancelled()) + " b done=" + yes(b.done()));
  q.put_nowait(2);
  task<> c = create_task(q.put(3));
  task<> d = create_task(q.put(4));
  co_await sleep(0s);
  c.cancel();
  co_await sleep(0s);
  const int two = co_await q.get();
  log(text(two));
  co_await d;
  const int four = co_await q.get();
  log(text(four));
}

coroutine<> queue_join(journal& log) {
  queue<int> q;
  for (int i = 0; i < 3; ++i) q.put_nowait(i);
  const auto work = [&]() -> coroutine<> {
    for (int i = 0; i < 3; ++i) {
      const int item = co_await q.get();
      co_await sleep(1s);
      log("did " + text(item));
      q.task_done();
    }
  };
  const auto join = [&]() -> coroutine<> {
    co_await q.join();
    log("joined");
  };
  co_await gather(work(), join());
}

coroutine<> barrier_rounds(journal& log) {
  barrier b(3);
  const auto work = [&](std::string name) -> coroutine<> {
    for (int i = 0; i < 2; ++i) {
      const std::size_t index = co_await b.wait();
      log(name + " passes " + text(i) + " as " + text(index));
    }
  };
  co_await gather(work("a"), work("b"), work("c"));
}

coroutine<> producer_pipeline(journal& log) {
  queue<int> first(1), second(1);
  const auto produce = [&]() -> coroutine<> {
    for (int i = 0; i < 4; ++i) {
      co_await first.put(i);
      log("made " + text(i));
    }
    co_await first.put(-1);
  };
  const auto twice = [&]() -> coroutine<> {
    for (int n = co_await first.get(); n >= 0;) {
      log("doubles " + text(n));
      co_await second.put(n * 2);
      n = co_await first.get();
    }
    co_await second.put(-1);
  };
  const auto show = [&]() -> coroutine<> {
    for (int n = co_await second.get(); n >= 0;) {
      log("shows " + text(n));
      n = co_await second.get();
    }
  };
  co_await gather(produce(), twice(), show());
}

}  // namespace

std::span<const scenario> lock_scenarios() {
  static constexpr scenario all[] = {
      {"lock_first_come_first_served", &lock_first_come_first_served},
      {"lock_no_barging", &lock_no_barging},
      {"lock_cancelled_waiters", &lock_cancelled_waiters},
      {"semaphore_permits", &semaphore_permits},
      {"semaphore_released_together", &semaphore_released_together},
      {"event_set_and_clear", &event_set_and_clear},
      {"condition_notify", &condition_notify},
      {"condition_cancelled", &condition_cancelled},
      {"queue_hand_over", &queue_hand_over},
      {"queue_bounded", &queue_bounded},
      {"queue_cancelled", &queue_cancelled},
      {"queue_join", &queue_join},
      {"barrier_rounds", &barrier_rounds},
      {"producer_pipeline", &producer_pipeline},
  };
  return all;
}

}  // namespace oracle
