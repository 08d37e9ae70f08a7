// SPDX-License-Identifier: BSL-1.0
// The same questions about cancellation for everything that can be awaited.
#include "spec/spec.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace asyncio::spec {
namespace {

/// Something of every kind, on which a task waits for ever.
struct places {
  future<> pending;
  task<> sleeper = create_task(sleep(100h));
  event never;
  queue<int> empty;
  queue<int> full{1};
  queue<int> unfinished;
  semaphore none{0};
  lock held;
  condition changed;
  barrier three{3};
  completions<task<>> remaining = as_completed(std::vector<task<>>(1, create_task(sleep(100h))));

  places() {
    full.put_nowait(1);
    unfinished.put_nowait(1);
  }
  coroutine<> prepare() { co_await held.acquire(); }
};

using waiting = std::function<coroutine<>(places&)>;
struct named_wait {
  const char* name;
  waiting begin;
};

const std::vector<named_wait>& every_wait() {
  static const std::vector<named_wait> all{
      {"sleep", [](places&) -> coroutine<> { co_await sleep(100h); }},
      {"sleep with a value", [](places&) -> coroutine<> { (void)co_await sleep(100h, 1); }},
      {"future", [](places& p) -> coroutine<> { co_await p.pending; }},
      {"task", [](places& p) -> coroutine<> { co_await p.sleeper; }},
      {"new task", [](places&) -> coroutine<> { co_await create_task(sleep(100h)); }},
      {"any_task", [](places& p) -> coroutine<> { co_await any_task(p.sleeper); }},
      {"gather", [](places&) -> coroutine<> { co_await gather(sleep(100h), sleep(101h)); }},
      {"gather with outcomes",
       [](places&) -> coroutine<> { co_await gather(return_exceptions, sleep(100h), sleep(101h)); }},
      {"wait", [](places& p) -> coroutine<> { co_await wait(wait_options(), p.sleeper, p.pending); }},
      {"wait with a timeout", [](places& p) -> coroutine<> { co_await wait({.timeout = 100h}, p.sleeper, p.pending); }},
      {"wait_for", [](places&) -> coroutine<> { co_await wait_for(sleep(100h), 50h); }},
      {"wait_for a task", [](places& p) -> coroutine<> { co_await wait_for(p.sleeper, 50h); }},
      {"wait_for without a limit", [](places&) -> coroutine<> { co_await wait_for(sleep(100h), std::nullopt); }},
      {"as_completed", [](places& p) -> coroutine<> { (void)co_await p.remaining.next(); }},
      {"shield", [](places& p) -> coroutine<> { co_await shield(p.sleeper); }},
      {"lock", [](places& p) -> coroutine<> { co_await p.held.acquire(); }},
      {"lock, scoped", [](places& p) -> coroutine<> { auto guard = co_await p.held.scoped(); }},
      {"semaphore", [](places& p) -> coroutine<> { co_await p.none.acquire(); }},
      {"event", [](places& p) -> coroutine<> { co_await p.never.wait(); }},
      {"condition",
       [](places& p) -> coroutine<> {
         auto guard = co_await p.changed.scoped();
         co_await p.changed.wait();
       }},
      {"condition, wait_for",
       [](places& p) -> coroutine<> {
         auto guard = co_await p.changed.scoped();
         co_await p.changed.wait_for([] { return false; });
       }},
      {"barrier", [](places& p) -> coroutine<> { (void)co_await p.three.wait(); }},
      {"queue get", [](places& p) -> coroutine<> { (void)co_await p.empty.get(); }},
      {"queue next", [](places& p) -> coroutine<> { (void)co_await p.empty.next(); }},
      {"queue put", [](places& p) -> coroutine<> { co_await p.full.put(2); }},
      {"queue join", [](places& p) -> coroutine<> { co_await p.unfinished.join(); }},
      {"async_with a timeout",
       [](places&) -> coroutine<> { co_await async_with(timeout(50h), [] { return sleep(100h); }); }},
      {"async_with a lock",
       [](places&) -> coroutine<> {
         lock free;
         co_await async_with(free, [] { return sleep(100h); });
       }},
      {"async_finally",
       [](places&) -> coroutine<> { co_await async_finally([] { return sleep(100h); }, [] { return sleep(0s); }); }},
      {"move_on_after", [](places&) -> coroutine<> { (void)co_await move_on_after(50h, [] { return sleep(100h); }); }},
      {"as_outcome", [](places&) -> coroutine<> { (void)co_await as_outcome(sleep(100h)); }},
  };
  return all;
}

class EveryWait : public ::testing::TestWithParam<named_wait> {};

std::string name_for_test(const ::testing::TestParamInfo<named_wait>& info) {
  std::string name;
  for (const char c : std::string(info.param.name)) name += (c >= 'a' && c <= 'z') ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Of, EveryWait, ::testing::ValuesIn(every_wait()), name_for_test);

/// A task that waits twice: on the place under test, then on an hour's sleep; what each wait ended with, and when.
struct two_waits {
  journal happened;
  coroutine<> run(places& p, const waiting& first) {
    const stopwatch watch;
    const std::string one = co_await ending(first(p));
    happened(watch.at(one));
    const std::string two = co_await ending(sleep(1h));
    happened(watch.at(two));
  }
};

// S66, S67
TEST_P(EveryWait, ends_with_the_cancellation_and_what_comes_next_is_not_cancelled) {
  two_waits waits;
  testing::run([&]() -> coroutine<> {
    places p;
    co_await p.prepare();
    task<> t = create_task(waits.run(p, GetParam().begin));
    co_await sleep(1s);
    EXPECT_TRUE(t.cancel());
    co_await t;
  });
  EXPECT_EQ(waits.happened.seen(), (lines{"1000 cancelled_error", "3601000 done"}));
}

// S67
TEST_P(EveryWait, two_requests_in_one_turn_are_delivered_as_one) {
  two_waits waits;
  testing::run([&]() -> coroutine<> {
    places p;
    co_await p.prepare();
    task<> t = create_task(waits.run(p, GetParam().begin));
    co_await sleep(1s);
    EXPECT_TRUE(t.cancel());
    EXPECT_TRUE(t.cancel());
    EXPECT_EQ(t.cancelling(), 2);
    co_await t;
  });
  EXPECT_EQ(waits.happened.seen(), (lines{"1000 cancelled_error", "3601000 done"}));
}

// S70
TEST_P(EveryWait, a_request_that_came_before_ends_it_at_once) {
  two_waits waits;
  testing::run([&]() -> coroutine<> {
    places p;
    co_await p.prepare();
    const auto work = [&]() -> coroutine<> {
      current_task().cancel();
      co_await waits.run(p, GetParam().begin);
    };
    co_await create_task(work);
  });
  EXPECT_EQ(waits.happened.seen(), (lines{"0 cancelled_error", "3600000 done"}));
}

// S72
TEST_P(EveryWait, a_request_that_was_taken_back_does_not_reach_it) {
  testing::run([&]() -> coroutine<> {
    places p;
    co_await p.prepare();
    const auto work = [&]() -> coroutine<> {
      current_task().cancel();
      current_task().uncancel();
      co_await GetParam().begin(p);
    };
    task<> t = create_task(work);
    co_await sleep(1h);
    EXPECT_FALSE(t.done());
    t.cancel();
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
  });
}

// S41: a loop that is closed around it leaves nothing behind; the ledger of testing::run looks.
TEST_P(EveryWait, is_ended_when_the_run_is_over) {
  std::string end;
  testing::run([&]() -> coroutine<> {
    auto p = std::make_shared<places>();
    co_await p->prepare();
    const auto work = [&end, p]() -> coroutine<> { end = co_await ending(GetParam().begin(*p)); };
    create_task(work);
    co_await sleep(1s);
  });
  EXPECT_EQ(end, "cancelled_error");
}

// As above, but the task answers the cancellation by waiting in the same place again.
TEST_P(EveryWait, may_be_begun_again_after_a_cancellation) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    places p;
    co_await p.prepare();
    const auto work = [&]() -> coroutine<> {
      for (int i = 0; i < 3; ++i) {
        const std::string end = co_await ending(GetParam().begin(p));
        happened(end);
      }
    };
    task<> t = create_task(work);
    for (int i = 0; i < 3; ++i) {
      co_await sleep(1s);
      t.cancel();
    }
    co_await t;
  });
  EXPECT_EQ(happened.seen(), lines(3, "cancelled_error"));
}

// A timeout's cancellation is one like any other.
TEST_P(EveryWait, can_be_timed_out) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const stopwatch watch;
    places p;
    co_await p.prepare();
    const std::string end = co_await ending(wait_for(GetParam().begin(p), 2s));
    happened(watch.at(end));
    co_await sleep(1s);
    happened(watch.at("not cancelled"));
    EXPECT_EQ(current_task().cancelling(), 0);
  });
  EXPECT_EQ(happened.seen(), (lines{"2000 timeout_error", "3000 not cancelled"}));
}

}  // namespace
}  // namespace asyncio::spec
