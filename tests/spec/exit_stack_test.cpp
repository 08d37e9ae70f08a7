// SPDX-License-Identifier: BSL-1.0
// async_exit_stack: managers that are known only at run time.
#include "spec/spec.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace asyncio::spec {
namespace {

/// Logs what is done with it; gives a number, may swallow.
class door {
 public:
  door(journal& happened, std::string name, bool swallows = false)
      : happened_(&happened), name_(std::move(name)), swallows_(swallows) {}
  coroutine<> aenter() {
    co_await sleep(0s);
    (*happened_)("enter " + name_);
  }
  coroutine<bool> aexit(std::exception_ptr error) {
    co_await sleep(0s);
    (*happened_)("leave " + name_ + (error != nullptr ? " with " + name_of(error) : ""));
    co_return swallows_;
  }
  const std::string& name() const { return name_; }

 private:
  journal* happened_;
  std::string name_;
  bool swallows_;
};

struct counter {
  explicit counter(int from) : n(from) {}
  coroutine<int> aenter() { co_return ++n; }
  coroutine<> aexit(std::exception_ptr) {
    --n;
    co_return;
  }
  int n;
};

/// Cannot be entered.
struct closed_door {
  coroutine<> aenter() {
    throw std::runtime_error("closed");
    co_return;
  }
  coroutine<> aexit(std::exception_ptr) {
    ADD_FAILURE() << "never entered";
    co_return;
  }
};

TEST(ExitStack, leaves_everything_in_reverse_order) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](async_exit_stack& stack) -> coroutine<> {
      door b(happened, "b");
      door& a = co_await stack.enter_async_context(door(happened, "a"));
      EXPECT_EQ(a.name(), "a");
      door& same = co_await stack.enter_async_context(b);
      EXPECT_EQ(&same, &b);
      stack.callback([&](std::string text) { happened(text); }, "callback");
      const auto later = [&](std::string text) -> coroutine<> {
        co_await sleep(1s);
        happened(text);
      };
      stack.push_async_callback(later, "awaited callback");
      stack.push([&](std::exception_ptr e) { happened(e == nullptr ? "told of nothing" : "told"); });
      happened("body");
      co_await stack.aclose();
      happened("closed");
    };
    co_await async_with(async_exit_stack(), body);
  });
  EXPECT_EQ(happened.seen(), (lines{"enter a", "enter b", "body", "told of nothing", "awaited callback", "callback",
                                    "leave b", "leave a", "closed"}));
}

TEST(ExitStack, gives_what_a_manager_gives) {
  testing::run([]() -> coroutine<> {
    counter c(4);
    async_exit_stack stack;
    int& n = co_await stack.enter_async_context(c);
    EXPECT_EQ(n, 5);
    EXPECT_EQ(c.n, 5);
    co_await stack.aclose();
    EXPECT_EQ(c.n, 4);
  });
}

TEST(ExitStack, works_with_locks_groups_and_timeouts) {
  testing::run([]() -> coroutine<> {
    lock l;
    const auto body = [&](async_exit_stack& stack) -> coroutine<int> {
      co_await stack.enter_async_context(l);
      task_group& group = co_await stack.enter_async_context(task_group());
      timeout& limit = co_await stack.enter_async_context(timeout(5s));
      EXPECT_TRUE(l.locked());
      limit.reschedule(std::nullopt);
      const task<int> child = group.create_task(sleep(10s, 3));
      const int n = co_await child;
      co_return n;
    };
    const int n = co_await async_with(async_exit_stack(), body);
    EXPECT_EQ(n, 3);
    EXPECT_FALSE(l.locked());
  });
}

TEST(ExitStack, tells_each_of_the_exception_until_somebody_handles_it) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](async_exit_stack& stack) -> coroutine<> {
      co_await stack.enter_async_context(door(happened, "a"));
      co_await stack.enter_async_context(door(happened, "b", true));
      co_await stack.enter_async_context(door(happened, "c"));
      throw std::runtime_error("body");
    };
    const std::string end = co_await ending(async_with(async_exit_stack(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"enter a", "enter b", "enter c", "leave c with runtime_error(body)",
                                    "leave b with runtime_error(body)", "leave a", "done"}));
}

TEST(ExitStack, an_exception_of_an_end_replaces_the_bodys_and_the_rest_is_left_all_the_same) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](async_exit_stack& stack) -> coroutine<> {
      co_await stack.enter_async_context(door(happened, "a"));
      stack.callback([] { throw std::out_of_range("in the callback"); });
      throw std::runtime_error("body");
    };
    const std::string end = co_await ending(async_with(async_exit_stack(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(),
            (lines{"enter a", "leave a with exception(in the callback)", "exception(in the callback)"}));
}

TEST(ExitStack, pushed_functions_may_handle_the_exception_too_and_be_coroutine_functions) {
  testing::run([]() -> coroutine<> {
    for (const bool awaits : {false, true}) {
      const auto body = [&](async_exit_stack& stack) -> coroutine<> {
        if (awaits)
          stack.push([](std::exception_ptr e) -> coroutine<bool> {
            co_await sleep(1s);
            co_return e != nullptr;
          });
        else
          stack.push([](std::exception_ptr e) { return e != nullptr; });
        throw std::runtime_error("handled");
        co_return;
      };
      const std::string end = co_await ending(async_with(async_exit_stack(), body));
      EXPECT_EQ(end, "done");
    }
  });
}

TEST(ExitStack, pop_all_hands_everything_to_another_stack) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    async_exit_stack kept;
    const auto body = [&](async_exit_stack& stack) -> coroutine<async_exit_stack> {
      co_await stack.enter_async_context(door(happened, "a"));
      async_exit_stack all = stack.pop_all();
      co_return std::move(all);
    };
    async_exit_stack all = co_await async_with(async_exit_stack(), body);
    happened("left the block");
    co_await all.aclose();
    co_await all.aclose();
  });
  EXPECT_EQ(happened.seen(), (lines{"enter a", "left the block", "leave a"}));
}

TEST(ExitStack, a_manager_that_cannot_be_entered_is_not_left) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto body = [&](async_exit_stack& stack) -> coroutine<> {
      co_await stack.enter_async_context(door(happened, "a"));
      closed_door closed;
      co_await stack.enter_async_context(closed);
    };
    const std::string end = co_await ending(async_with(async_exit_stack(), body));
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"enter a", "leave a with runtime_error(closed)", "runtime_error(closed)"}));
}

TEST(ExitStack, that_is_dropped_unclosed_says_so) {
  log_watch log;
  {
    async_exit_stack stack;
    stack.callback([] { ADD_FAILURE() << "never called"; });
  }
  EXPECT_EQ(log.taken(), (lines{"an async_exit_stack was destroyed before it was closed"}));
}

TEST(ExitStack, a_cancellation_reaches_what_is_being_left_and_the_rest_is_left) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    const auto work = [&]() -> coroutine<> {
      const auto body = [&](async_exit_stack& stack) -> coroutine<> {
        co_await stack.enter_async_context(door(happened, "a"));
        stack.push_async_callback([&]() -> coroutine<> { co_await sleep(1h); });
      };
      co_await async_with(async_exit_stack(), body);
    };
    task<> t = create_task(work);
    co_await sleep(1s);
    t.cancel();
    const std::string end = co_await ending(t);
    happened(end);
  });
  EXPECT_EQ(happened.seen(), (lines{"enter a", "leave a with cancelled_error", "cancelled_error"}));
}

}  // namespace
}  // namespace asyncio::spec
