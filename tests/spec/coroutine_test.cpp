// SPDX-License-Identifier: BSL-1.0
// coroutine<T>: awaiting, values, exceptions, lifetimes, depth.
#include "spec/spec.hpp"

#include <memory>
#include <optional>
#include <string>
#include <tuple>

namespace asyncio::spec {
namespace {

coroutine<int> give(int n) { co_return n; }
coroutine<std::unique_ptr<int>> give_unique(int n) { co_return std::make_unique<int>(n); }
constexpr int line_of_nothing = __LINE__ + 1;
coroutine<> nothing() { co_return; }
coroutine<int> thrower(const char* what) {
  throw std::runtime_error(what);
  co_return 0;
}

TEST(Coroutine, does_nothing_until_it_is_awaited) {
  testing::run([]() -> coroutine<> {
    journal happened;
    const auto work = [&]() -> coroutine<int> {
      happened("body");
      co_return 1;
    };
    coroutine<int> c = work();
    happened("made");
    co_await settle();
    happened("awaits");
    const int n = co_await std::move(c);
    happened("got " + std::to_string(n));
    EXPECT_EQ(happened.seen(), (lines{"made", "awaits", "body", "got 1"}));
  });
}

// Awaiting a coroutine that never waits does not yield to anybody.
TEST(Coroutine, awaiting_one_that_never_waits_takes_no_turn) {
  bool other_ran = false;
  testing::run([&]() -> coroutine<> {
    get_running_loop().call_soon([&] { other_ran = true; });
    for (int i = 0; i < 100; ++i) {
      const int n = co_await give(i);
      EXPECT_EQ(n, i);
    }
    EXPECT_FALSE(other_ran);
    co_await sleep(0s);
    EXPECT_TRUE(other_ran);
  });
}

TEST(Coroutine, an_exception_comes_out_of_the_await) {
  testing::run([]() -> coroutine<> {
    std::string caught;
    try {
      (void)co_await thrower("inside");
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    EXPECT_EQ(caught, "inside");
  });
}

TEST(Coroutine, an_exception_passes_through_many_frames_and_destroys_each_on_its_way) {
  struct level {
    static coroutine<int> down(int n, journal& happened) {
      struct leaving {
        journal& happened;
        int n;
        ~leaving() { happened("leave " + std::to_string(n)); }
      };
      leaving guard{happened, n};
      if (n == 0) throw std::runtime_error("bottom");
      const int deeper = co_await down(n - 1, happened);
      co_return deeper;
    }
  };
  journal happened;
  testing::run([&]() -> coroutine<> {
    const std::string end = co_await ending(level::down(3, happened));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"leave 0", "leave 1", "leave 2", "leave 3", "runtime_error(bottom)"}));
}

TEST(Coroutine, results_may_be_move_only_or_without_a_default_constructor) {
  struct plain {
    explicit plain(int n) : n(n) {}
    plain(plain&&) = default;
    plain& operator=(plain&&) = delete;
    int n;
  };
  struct make {
    static coroutine<plain> one(int n) { co_return plain(n); }
    static coroutine<const std::string> text() { co_return "text"; }
    static coroutine<std::optional<int>> maybe() { co_return 5; }
    static coroutine<std::tuple<int, std::string>> two() { co_return std::make_tuple(1, std::string("b")); }
  };
  testing::run([]() -> coroutine<> {
    std::unique_ptr<int> p = co_await give_unique(4);
    EXPECT_EQ(*p, 4);
    plain q = co_await make::one(6);
    EXPECT_EQ(q.n, 6);
    const std::string text = co_await make::text();
    EXPECT_EQ(text, "text");
    const std::optional<int> maybe = co_await make::maybe();
    EXPECT_EQ(maybe, 5);
    auto [n, s] = co_await make::two();
    EXPECT_EQ(n, 1);
    EXPECT_EQ(s, "b");
  });
}

struct counted {
  explicit counted(int& alive) : alive_(&alive) { ++*alive_; }
  counted(const counted& o) : alive_(o.alive_) { ++*alive_; }
  counted(counted&& o) noexcept : alive_(o.alive_) { ++*alive_; }
  counted& operator=(const counted&) = delete;
  ~counted() { --*alive_; }
  int* alive_;
};

// S80: parameters and locals die with the coroutine's end, not with its handle.
TEST(Coroutine, parameters_and_locals_die_when_it_ends) {
  struct work {
    static coroutine<int> with(counted) {
      co_await sleep(1s);
      co_return 1;
    }
  };
  testing::run([]() -> coroutine<> {
    int alive = 0;
    {
      const int n = co_await work::with(counted(alive));
      EXPECT_EQ(n, 1);
      EXPECT_EQ(alive, 0);
    }
    task<int> t = create_task(work::with(counted(alive)));
    EXPECT_EQ(alive, 1);
    co_await t;
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(t.result(), 1);
  });
}

TEST(Coroutine, is_awaited_once) {
  testing::run([]() -> coroutine<> {
    coroutine<int> c = give(1);
    (void)co_await std::move(c);
    std::string thrown;
    try {
      (void)co_await std::move(c);  // NOLINT(bugprone-use-after-move): that is the test
    } catch (const std::runtime_error& e) {
      thrown = e.what();
    }
    EXPECT_EQ(thrown, "cannot reuse an already awaited coroutine");
  });
}

TEST(Coroutine, is_moved_before_it_is_awaited) {
  testing::run([]() -> coroutine<> {
    log_watch log;
    coroutine<int> a = give(1);
    coroutine<int> b = std::move(a);
    coroutine<int> c = give(2);
    c = std::move(b);
    const int n = co_await std::move(c);
    EXPECT_EQ(n, 1);
    const lines seen = log.taken();  // give(2) was overwritten
    EXPECT_EQ(seen.size(), 1u);
  });
}

TEST(Coroutine, one_that_is_dropped_unawaited_is_reported_with_its_name_and_place) {
  log_watch log;
  { coroutine<> dropped = nothing(); }
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "nothing' was never awaited (")) << seen[0];
  EXPECT_TRUE(contains(seen[0], "coroutine_test.cpp:" + std::to_string(line_of_nothing) + ")")) << seen[0];
}

TEST(Coroutine, a_lambda_that_is_dropped_unawaited_is_reported_too) {
  log_watch log;
  const auto work = [](int) -> coroutine<> { co_return; };
  { coroutine<> dropped = work(1); }
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "was never awaited (")) << seen[0];
  EXPECT_TRUE(contains(seen[0], "coroutine_test.cpp:")) << seen[0];
}

TEST(Coroutine, one_that_is_dropped_unawaited_frees_its_parameters) {
  log_watch log;
  int alive = 0;
  struct work {
    static coroutine<> with(counted) { co_return; }
  };
  { coroutine<> dropped = work::with(counted(alive)); }
  EXPECT_EQ(alive, 0);
}

TEST(Coroutine, one_that_was_awaited_or_refused_is_not_reported) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    co_await nothing();
    co_await create_task(nothing());
  });
  EXPECT_EQ(log.taken(), lines{});
}

TEST(Coroutine, cannot_be_awaited_outside_a_task) {
  // A driver of its own, not of this library.
  struct foreign {
    struct promise_type {
      foreign get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() {}
    };
  };
  std::string thrown;
  const auto await_here = [](std::string& what) -> foreign {
    try {
      (void)co_await give(1);
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
  };
  await_here(thrown);
  EXPECT_TRUE(contains(thrown, "no task is running here")) << thrown;
}

/// Resumes whoever awaits it later, from a callback: an awaiter that knows nothing of this library's tasks cannot be
/// used, but one that is ready, or does not suspend, can.
struct immediate {
  bool suspends;
  bool await_ready() const noexcept { return !suspends; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() const noexcept { return 9; }
};

TEST(Coroutine, awaiters_of_others_that_do_not_suspend_can_be_awaited) {
  testing::run([]() -> coroutine<> {
    const int ready = co_await immediate{false};
    const int declines = co_await immediate{true};
    EXPECT_EQ(ready, 9);
    EXPECT_EQ(declines, 9);
  });
}

struct reader_of_members {
  int n = 5;
  coroutine<int> twice() {
    co_await sleep(0s);
    co_return n * 2;
  }
  coroutine<int> plus(const int& other) const {
    co_await sleep(0s);
    co_return n + other;
  }
};

TEST(Coroutine, member_functions_and_references_work_while_what_they_name_lives) {
  testing::run([]() -> coroutine<> {
    reader_of_members r;
    const int twice = co_await r.twice();
    EXPECT_EQ(twice, 10);
    const int sum = co_await r.plus(3);  // the temporary lives to the end of the full expression
    EXPECT_EQ(sum, 8);
  });
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
coroutine<std::string> forgets_to_return(bool returns) {
  co_await sleep(0s);
  if (returns) co_return "text";
}
#pragma GCC diagnostic pop

TEST(Coroutine, one_that_ends_without_the_value_it_owes_is_an_error_with_its_name) {
  testing::run([]() -> coroutine<> {
    auto given = co_await ending(forgets_to_return(true));
    EXPECT_EQ(given, "text");
    auto awaited = co_await ending(forgets_to_return(false));
    EXPECT_TRUE(contains(awaited, "forgets_to_return' ended without a co_return")) << awaited;
    auto as_task = co_await ending(create_task(forgets_to_return(false)));
    EXPECT_EQ(as_task, awaited);
  });
}

}  // namespace
}  // namespace asyncio::spec
