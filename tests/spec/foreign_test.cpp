// SPDX-License-Identifier: BSL-1.0
// Other libraries' awaiters, awaited by our tasks; our coroutines, awaited by theirs.
#include "spec/spec.hpp"

#include <asyncio/interop.hpp>

#include <atomic>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

using std::coroutine_handle;

static_assert(detail::foreign_awaitable<std::suspend_always>);
static_assert(!detail::foreign_awaitable<coroutine<int>>);
static_assert(!detail::foreign_awaitable<task<int>>);
static_assert(!detail::foreign_awaitable<const future<int>&>);
static_assert(!detail::foreign_awaitable<any_task&>);
static_assert(!detail::foreign_awaitable<sleep_operation>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<lock&>().acquire())>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<lock&>().scoped())>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<event&>().wait())>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<queue<int>&>().get())>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<queue<int>&>().put(1))>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<queue<int>&>().join())>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<async_generator<int>&>().next())>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<event_loop&>().readable(0))>);
static_assert(!detail::foreign_awaitable<decltype(std::declval<timeout&>().aenter())>);

/// The end that the test holds of an operation of another library: the handle to resume, and what it shall yield.
struct promised {
  coroutine_handle<> waiting;
  std::optional<int> value;
  std::exception_ptr error;
  int begun = 0;
  int resumed = 0;
  int destroyed = 0;

  void finish(int n) {
    value = n;
    waiting.resume();
  }
};

/// Its awaiter, as another library would write it.
class operation {
 public:
  explicit operation(promised& p) noexcept : state_(&p) {}
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;
  ~operation() { ++state_->destroyed; }
  bool await_ready() const noexcept { return state_->value.has_value(); }
  void await_suspend(coroutine_handle<> h) noexcept {
    ++state_->begun;
    state_->waiting = h;
  }
  int await_resume() {
    ++state_->resumed;
    if (state_->error != nullptr) std::rethrow_exception(state_->error);
    return *state_->value;
  }

 private:
  promised* state_;
};

/// What needs operator co_await.
struct offer {
  promised* state;
  operation operator co_await() const noexcept { return operation(*state); }
};

coroutine<int> await_offer(promised& p) {
  offer there{&p};
  int n = co_await there;
  co_return n;
}

TEST(foreign_awaitable, a_task_waits_for_another_librarys_awaiter_and_gets_its_value) {
  promised p;
  const int n = testing::run([&p]() -> coroutine<int> {
    get_running_loop().call_later(1s, [&p] { p.finish(42); });
    int got = co_await await_offer(p);
    co_return got;
  });
  EXPECT_EQ(n, 42);
  EXPECT_EQ(p.begun, 1);
  EXPECT_EQ(p.resumed, 1);
  EXPECT_EQ(p.destroyed, 1);
}

TEST(foreign_awaitable, one_that_is_ready_does_not_suspend) {
  promised p;
  p.value = 7;
  testing::run([&p]() -> coroutine<> {
    bool other_ran = false;
    get_running_loop().call_soon([&other_ran] { other_ran = true; });
    int got = co_await await_offer(p);
    EXPECT_EQ(got, 7);
    EXPECT_FALSE(other_ran);
    EXPECT_EQ(p.begun, 0);
    co_await sleep(0s);
    EXPECT_TRUE(other_ran);
  });
}

TEST(foreign_awaitable, may_be_awaited_directly_by_every_combinator) {
  promised p, q, r;
  testing::run([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.call_later(1s, [&] { p.finish(1); });
    loop.call_later(2s, [&] { q.finish(2); });
    loop.call_later(3s, [&] { r.finish(3); });
    auto t = create_task(offer{&r});
    auto [a, b] = co_await gather(offer{&p}, offer{&q});
    EXPECT_EQ(a + b, 3);
    int c = co_await wait_for(std::move(t), 10s);
    EXPECT_EQ(c, 3);
  });
}

TEST(foreign_awaitable, nothing_resumes_inside_the_call_that_finishes_it) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    bool over = false;
    auto t = create_task([&]() -> coroutine<> {
      int n = co_await await_offer(p);
      over = n == 1;
    });
    co_await sleep(0s);
    p.finish(1);
    EXPECT_FALSE(over);
    co_await t;
    EXPECT_TRUE(over);
  });
}

TEST(foreign_awaitable, its_exception_comes_out_of_the_await) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    auto t = create_task(await_offer(p));
    co_await sleep(0s);
    p.error = std::make_exception_ptr(std::invalid_argument("bad"));
    p.waiting.resume();
    auto end = co_await as_outcome(std::move(t));
    EXPECT_EQ(name_of(end.exception()), "invalid_argument");
  });
}

struct resumes_at_once {
  bool await_ready() const noexcept { return false; }
  void await_suspend(coroutine_handle<> h) const { h.resume(); }
  int await_resume() const noexcept { return 5; }
};
struct does_not_suspend {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(coroutine_handle<>) const noexcept { return false; }
  int await_resume() const noexcept { return 6; }
};
struct suspends_by_bool {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(coroutine_handle<> h) const {
    get_running_loop().call_soon([h] { h.resume(); });
    return true;
  }
  int await_resume() const noexcept { return 7; }
};
struct transfers_back {
  bool await_ready() const noexcept { return false; }
  coroutine_handle<> await_suspend(coroutine_handle<> h) const noexcept { return h; }
  int await_resume() const noexcept { return 8; }
};
struct fails_to_begin {
  bool await_ready() const noexcept { return false; }
  void await_suspend(coroutine_handle<>) const { throw std::runtime_error("cannot begin"); }
  void await_resume() const noexcept {}
};

TEST(foreign_awaitable, may_suspend_in_any_of_the_languages_ways) {
  testing::run([]() -> coroutine<> {
    int a = co_await resumes_at_once();
    int b = co_await does_not_suspend();
    int c = co_await suspends_by_bool();
    int d = co_await transfers_back();
    EXPECT_EQ(a, 5);
    EXPECT_EQ(b, 6);
    EXPECT_EQ(c, 7);
    EXPECT_EQ(d, 8);
    std::string thrown;
    try {
      co_await fails_to_begin();
    } catch (const std::runtime_error& e) {
      thrown = e.what();
    }
    EXPECT_EQ(thrown, "cannot begin");
    co_await sleep(1s);
  });
}

TEST(foreign_awaitable, the_stack_stays_flat_when_a_million_of_them_resume_at_once) {
  testing::run([]() -> coroutine<> {
    long sum = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      int n = co_await resumes_at_once();
      sum += n;
    }
    EXPECT_EQ(sum, 5'000'000);
  });
}

TEST(foreign_awaitable, a_cancellation_waits_until_it_is_done_and_is_thrown_then) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    auto t = create_task(await_offer(p));
    co_await sleep(0s);
    t.cancel("enough");
    t.cancel("really");
    co_await settle();
    EXPECT_FALSE(t.done());
    p.finish(1);
    auto end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(enough)");
    EXPECT_TRUE(t.cancelled());
    EXPECT_EQ(p.resumed, 1) << "the result is taken from it, and dropped";
    EXPECT_EQ(p.destroyed, 1);
  });
}

TEST(foreign_awaitable, its_error_beats_the_cancellation) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    auto t = create_task(await_offer(p));
    co_await sleep(0s);
    t.cancel();
    p.error = std::make_exception_ptr(std::invalid_argument("bad"));
    p.waiting.resume();
    auto end = co_await ending(t);
    EXPECT_EQ(end, "invalid_argument");
  });
}

TEST(foreign_awaitable, a_cancellation_after_it_was_done_comes_at_the_next_suspension) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    int got = 0;
    auto t = create_task([&]() -> coroutine<> {
      got = co_await await_offer(p);
      co_await sleep(1s);
    });
    co_await sleep(0s);
    p.finish(9);
    t.cancel();
    co_await settle();
    EXPECT_EQ(got, 9);
    EXPECT_TRUE(t.cancelled());
  });
}

TEST(foreign_awaitable, is_not_begun_when_the_task_is_cancelled_already) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    auto t = create_task([&]() -> coroutine<> {
      current_task().cancel();
      co_await await_offer(p);
    });
    auto end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_EQ(p.begun, 0);
  });
}

TEST(foreign_awaitable, one_that_is_destroyed_unresumed_ends_in_an_error) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    auto t = create_task(await_offer(p));
    co_await sleep(0s);
    p.waiting.destroy();
    auto end = co_await ending(t);
    EXPECT_EQ(end, "runtime_error(what this task waited for was destroyed before it was done)");
    EXPECT_EQ(p.resumed, 0);
  });
}

TEST(foreign_awaitable, an_error_that_beats_the_cancellation_does_not_swallow_it) {
  promised p;
  testing::run([&p]() -> coroutine<> {
    journal log;
    auto t = create_task([&]() -> coroutine<> {
      auto first = co_await ending(await_offer(p));
      log(first);
      co_await sleep(1s);
      log("not here");
    });
    co_await sleep(0s);
    t.cancel();
    p.error = std::make_exception_ptr(std::invalid_argument("bad"));
    p.waiting.resume();
    auto end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_EQ(log.seen(), lines{"invalid_argument"});
  });
}

/// A wrapper of a user's own, which hands the handle on to an awaiter of this library.
template <class Awaiter>
struct logged {
  Awaiter op;
  int* resumed;
  bool await_ready() { return op.await_ready(); }
  auto await_suspend(coroutine_handle<> h) { return op.await_suspend(h); }
  decltype(auto) await_resume() {
    ++*resumed;
    return op.await_resume();
  }
};
template <class Awaiter>
logged(Awaiter, int*) -> logged<Awaiter>;

TEST(foreign_awaitable, a_wrapper_around_one_of_ours_keeps_every_promise_of_ours) {
  for (int turns = 0; turns < 4; ++turns) {
    testing::run([turns]() -> coroutine<> {
      int resumed = 0;
      future<int> f;
      auto t = create_task([&]() -> coroutine<int> {
        logged<future<int>::awaiter> wrapped{f.operator co_await(), &resumed};
        int n = co_await wrapped;
        co_return n;
      });
      co_await sleep(0s);
      f.set_result(42);
      for (int i = 0; i < turns; ++i) co_await sleep(0s);
      t.cancel();
      auto end = co_await ending(t);
      EXPECT_EQ(end, "42") << turns;
      EXPECT_EQ(resumed, 1);
    });
  }
}

TEST(foreign_awaitable, a_wrapper_around_a_queue_takes_its_item_in_its_turn_and_is_cancelled_at_once) {
  testing::run([]() -> coroutine<> {
    queue<int> q;
    int resumed = 0;
    std::vector<int> got;
    const auto take = [&]() -> coroutine<> {
      auto op = q.get();
      logged<decltype(op)> wrapped{std::move(op), &resumed};
      int n = co_await wrapped;
      got.push_back(n);
    };
    auto a = create_task(take);
    auto b = create_task(take);
    auto c = create_task(take);
    co_await sleep(0s);
    b.cancel();
    co_await settle(3);
    EXPECT_TRUE(b.cancelled());
    q.put_nowait(1);
    q.put_nowait(2);
    co_await a;
    co_await c;
    EXPECT_EQ(got, (std::vector<int>{1, 2}));
    EXPECT_TRUE(q.empty());
  });
}

/// A wrapper that fails when it has handed the handle on.
struct fails_late {
  future<int>::awaiter op;
  bool await_ready() { return op.await_ready(); }
  void await_suspend(coroutine_handle<> h) {
    op.await_suspend(h);
    throw std::runtime_error("too late");
  }
  int await_resume() { return op.await_resume(); }
};

TEST(foreign_awaitable, a_wrapper_that_fails_when_it_has_begun_leaves_no_wait_behind) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    auto t = create_task([&f]() -> coroutine<std::string> {
      std::string first;
      try {
        fails_late wrapped{f.operator co_await()};
        (void)co_await wrapped;
      } catch (const std::runtime_error& e) {
        first = e.what();
      }
      current_task().cancel("now");
      auto second = co_await ending(sleep(1h));
      co_return first + ", " + second;
    });
    auto end = co_await t;
    EXPECT_EQ(end, "too late, cancelled_error(now)");
    EXPECT_FALSE(f.cancelled());
    f.set_result(1);
    co_await settle(2);
  });
}

TEST(foreign_awaitable, a_wrapper_around_a_coroutine_of_ours_runs_it) {
  testing::run([]() -> coroutine<> {
    int resumed = 0;
    const auto one = []() -> coroutine<int> {
      co_await sleep(1s);
      co_return 1;
    };
    coroutine<int> body = one();
    logged<coroutine<int>::awaiter> wrapped{std::move(body).operator co_await(), &resumed};
    int n = co_await wrapped;
    EXPECT_EQ(n, 1);
    EXPECT_EQ(resumed, 1);
  });
}

/// Resumes from a thread of its own.
class in_a_thread {
 public:
  in_a_thread() = default;
  in_a_thread(const in_a_thread&) = delete;
  in_a_thread& operator=(const in_a_thread&) = delete;
  ~in_a_thread() {
    if (thread_.joinable()) thread_.join();
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(coroutine_handle<> h) {
    thread_ = std::thread([this, h] {
      ran_in_ = std::this_thread::get_id();
      h.resume();
    });
  }
  std::thread::id await_resume() const noexcept { return ran_in_; }

 private:
  std::thread thread_;
  std::thread::id ran_in_;
};

TEST(foreign_awaitable, a_task_comes_back_to_its_own_loop_from_another_thread) {
  asyncio::run([]() -> coroutine<> {
    const std::thread::id mine = std::this_thread::get_id();
    for (int i = 0; i < 200; ++i) {
      in_a_thread there;
      std::thread::id theirs = co_await there;
      EXPECT_NE(theirs, mine);
      EXPECT_EQ(std::this_thread::get_id(), mine);
      EXPECT_TRUE(current_task());
    }
  });
}

TEST(foreign_awaitable, threads_that_finish_while_the_task_is_cancelled_lose_nothing) {
  const auto before = testing::ledger::now();
  asyncio::run([]() -> coroutine<> {
    for (int i = 0; i < 200; ++i) {
      auto t = create_task([]() -> coroutine<> {
        in_a_thread there;
        co_await there;
      });
      co_await sleep(0s);
      t.cancel();
      auto end = co_await ending(t);
      EXPECT_TRUE(end == "done" || end == "cancelled_error") << end;
    }
  });
  testing::ledger::now().check_nothing_left_since(before);
}

TEST(foreign_awaitable, the_end_of_the_loop_waits_for_it) {
  std::atomic<bool> finished = false;
  struct slow {
    std::atomic<bool>* finished;
    std::thread* thread;
    bool await_ready() const noexcept { return false; }
    void await_suspend(coroutine_handle<> h) {
      *thread = std::thread([this, h] {
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        finished->store(true);
        h.resume();
      });
    }
    void await_resume() const noexcept {}
  };
  std::thread thread;
  asyncio::run([&]() -> coroutine<> {
    create_task([&]() -> coroutine<> { co_await slow{&finished, &thread}; });
    co_await sleep(0s);
  });
  EXPECT_TRUE(finished);
  thread.join();
}

// ---- our coroutines, awaited by another library's

/// Another library's coroutine: starts at once, is its own owner, tells `done`.
struct theirs {
  struct promise_type {
    theirs get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const { throw; }
  };
};

coroutine<std::string> ours(std::string text) {
  co_await sleep(1s);
  co_return text + " in " + current_task().get_name();
}

theirs call_ours(event_loop& loop, std::string text, std::function<void(std::string)> done) {
  std::string result;
  try {
    result = co_await as_awaitable_on(loop, ours(text));
  } catch (const std::exception& e) {
    result = e.what();
  } catch (const cancelled_error&) {
    result = "cancelled";
  }
  done(result);
}

TEST(foreign_coroutine, that_awaits_ours_without_as_awaitable_on_is_refused_and_harms_no_task) {
  testing::run([]() -> coroutine<> {
    journal log;
    queue<int> q;
    const auto wrong = [&](int which) -> theirs {
      try {
        if (which == 0) co_await sleep(10ms);
        if (which == 1) co_await sleep(0s);
        if (which == 2) co_await q.get();
        if (which == 3) co_await ours("text");
        if (which == 4) co_await future<>();
      } catch (const std::runtime_error& e) {
        log(contains(e.what(), "as_awaitable_on") ? "refused" : e.what());
      }
    };
    const stopwatch watch;
    for (int i = 0; i < 5; ++i) wrong(i);
    co_await sleep(1s);
    EXPECT_EQ(watch.ms(), 1000);
    EXPECT_EQ(log.seen(), lines(5, "refused"));
  });
}

TEST(as_awaitable_on, another_librarys_coroutine_awaits_one_of_ours) {
  testing::run([]() -> coroutine<> {
    future<std::string> answer;
    call_ours(get_running_loop(), "tea", [answer](std::string text) { answer.set_result(text); });
    std::string got = co_await answer;
    EXPECT_TRUE(contains(got, "tea in Task-")) << got;
  });
}

TEST(as_awaitable_on, it_may_be_called_in_any_thread_and_resumes_in_the_loops) {
  auto loop = new_event_loop();
  std::thread::id resumed_in;
  const std::thread::id here = std::this_thread::get_id();
  loop->run_until_complete([&]() -> coroutine<> {
    future<> over;
    auto quick = [&]() -> theirs {
      co_await as_awaitable_on(*loop, sleep(1ms));
      resumed_in = std::this_thread::get_id();
      over.set_result();
    };
    std::thread caller([&quick] { quick(); });
    co_await over;
    caller.join();
  });
  EXPECT_EQ(resumed_in, here);
}

TEST(as_awaitable_on, what_ours_throws_comes_out_of_theirs) {
  testing::run([]() -> coroutine<> {
    future<std::string> answer;
    auto caller = [&]() -> theirs {
      std::string text = "nothing";
      try {
        co_await as_awaitable_on(get_running_loop(), []() -> coroutine<> {
          co_await sleep(1s);
          throw std::invalid_argument("bad");
        }());
      } catch (const std::invalid_argument& e) {
        text = e.what();
      }
      answer.set_result(text);
    };
    caller();
    std::string got = co_await answer;
    EXPECT_EQ(got, "bad");
  });
}

TEST(as_awaitable_on, the_end_of_the_loop_cancels_ours_and_resumes_theirs) {
  std::string got;
  testing::run([&got]() -> coroutine<> {
    call_ours(get_running_loop(), "late", [&got](std::string text) { got = text; });
    co_await sleep(0.5s);
  });
  EXPECT_EQ(got, "cancelled");
  got.clear();
  testing::run([&got]() -> coroutine<> {
    call_ours(get_running_loop(), "too late", [&got](std::string text) { got = text; });
    co_return;
  });
  EXPECT_EQ(got, "cancelled");
}

TEST(as_awaitable_on, a_closed_loop_is_an_error) {
  auto loop = new_event_loop();
  loop->close();
  std::string got;
  call_ours(*loop, "never", [&got](std::string text) { got = text; });
  EXPECT_EQ(got, "as_awaitable_on(): the event loop is closed");
}

TEST(as_awaitable_on, a_loop_that_closes_before_it_began_resumes_theirs_with_an_error) {
  for (const bool from_a_thread : {false, true}) {
    auto loop = new_event_loop();
    std::string got;
    const auto call = [&] { call_ours(*loop, "never", [&got](std::string text) { got = text; }); };
    if (from_a_thread)
      std::thread(call).join();
    else
      call();
    EXPECT_EQ(got, "");
    loop->close();
    EXPECT_EQ(got, "as_awaitable_on(): the event loop is closed");
  }
}

/// One whose exceptions come out of resume(); its frame stays then, for whoever keeps the handle.
struct throwing {
  struct promise_type {
    throwing get_return_object() { return {coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const { throw; }
  };
  coroutine_handle<promise_type> frame;
};

TEST(as_awaitable_on, an_exception_that_leaves_their_coroutine_goes_to_the_exception_handler) {
  testing::run([]() -> coroutine<> {
    std::string seen;
    event_loop& loop = get_running_loop();
    loop.set_exception_handler([&seen](event_loop&, const exception_context& c) { seen = name_of(c.exception); });
    auto caller = [&]() -> throwing {
      co_await as_awaitable_on(loop, sleep(1s));
      throw std::runtime_error("theirs");
    };
    const throwing running = caller();
    co_await sleep(2s);
    EXPECT_EQ(seen, "runtime_error(theirs)");
    loop.set_exception_handler(nullptr);
    running.frame.destroy();
  });
}

}  // namespace
}  // namespace asyncio::spec
