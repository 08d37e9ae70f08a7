// SPDX-License-Identifier: BSL-1.0
#include "spec/spec.hpp"

#include <memory>

namespace asyncio::spec {
namespace {

// S50
TEST(Future, pending_has_no_outcome) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    EXPECT_FALSE(f.done());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(thrown_by([&] { (void)f.result(); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { (void)f.exception(); }), "invalid_state_error");
    co_return;
  });
}

// S50
TEST(Future, a_value_is_set_once) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    f.set_result(3);
    EXPECT_TRUE(f.done());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(f.result(), 3);
    EXPECT_EQ(f.exception(), nullptr);
    EXPECT_EQ(thrown_by([&] { f.set_result(4); }), "invalid_state_error");
    EXPECT_EQ(thrown_by([&] { f.set_exception(std::runtime_error("x")); }), "invalid_state_error");
    EXPECT_FALSE(f.cancel());
    EXPECT_EQ(f.result(), 3);
    co_return;
  });
}

// S50
TEST(Future, an_exception_is_set_once) {
  testing::run([]() -> coroutine<> {
    future<int> f;
    f.set_exception(std::runtime_error("why"));
    EXPECT_TRUE(f.done());
    EXPECT_FALSE(f.cancelled());
    EXPECT_EQ(thrown_by([&] { (void)f.result(); }), "runtime_error(why)");
    EXPECT_EQ(name_of(f.exception()), "runtime_error(why)");
    EXPECT_EQ(thrown_by([&] { f.set_result(4); }), "invalid_state_error");
    EXPECT_FALSE(f.cancel());
    co_return;
  });
}

// S50
TEST(Future, a_cancelled_one_stays_cancelled) {
  testing::run([]() -> coroutine<> {
    future<> f;
    EXPECT_TRUE(f.cancel());
    EXPECT_TRUE(f.done());
    EXPECT_TRUE(f.cancelled());
    EXPECT_EQ(thrown_by([&] { f.result(); }), "cancelled_error");
    EXPECT_EQ(thrown_by([&] { (void)f.exception(); }), "cancelled_error");
    EXPECT_EQ(thrown_by([&] { f.set_result(); }), "invalid_state_error");  // S57: the producer looks first
    EXPECT_EQ(thrown_by([&] { f.set_exception(std::runtime_error("x")); }), "invalid_state_error");
    EXPECT_FALSE(f.cancel());
    co_return;
  });
}

// S53 has no counterpart but this: an exception_ptr must hold something.
TEST(Future, set_exception_takes_an_exception_or_a_pointer_to_one) {
  testing::run([]() -> coroutine<> {
    future<> a, b;
    EXPECT_EQ(thrown_by([&] { a.set_exception(std::exception_ptr()); }), "invalid_argument");
    EXPECT_FALSE(a.done());
    a.set_exception(std::make_exception_ptr(7));
    EXPECT_EQ(name_of(a.exception()), "int(7)");
    b.set_exception(timeout_error());
    EXPECT_EQ(name_of(b.exception()), "timeout_error");
    co_return;
  });
}

// S51
TEST(Future, done_callbacks_run_in_the_next_turn_in_the_order_in_which_they_came) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    future<int> f;
    for (int i = 0; i < 3; ++i)
      f.add_done_callback([&happened, i](const future<int>& me) {
        happened(std::to_string(i) + " got " + std::to_string(me.result()));
      });
    get_running_loop().call_soon([&] { happened("was ready before"); });
    f.set_result(8);
    happened("set");
    get_running_loop().call_soon([&] { happened("came after"); });
    co_await sleep(0s);
  });
  EXPECT_EQ(happened.seen(), (lines{"set", "was ready before", "0 got 8", "1 got 8", "2 got 8", "came after"}));
}

// S51
TEST(Future, done_callbacks_run_for_exceptions_and_cancellation_too_never_at_once) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    future<> failed, cancelled, done;
    failed.add_done_callback([&](const future<>& f) { happened(name_of(f.exception())); });
    cancelled.add_done_callback([&](const future<>& f) { happened(f.cancelled() ? "cancelled" : "not"); });
    failed.set_exception(std::runtime_error("e"));
    cancelled.cancel();
    done.set_result();
    done.add_done_callback([&](const future<>&) { happened("was done already"); });
    EXPECT_EQ(happened.seen(), lines{});
    co_await sleep(0s);
  });
  EXPECT_EQ(happened.seen(), (lines{"runtime_error(e)", "cancelled", "was done already"}));
}

// S52: here a callback is taken back by the token that adding it gave.
TEST(Future, a_callback_that_is_taken_back_is_not_called) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    future<> f;
    auto owned = std::make_shared<int>(1);
    f.add_done_callback([&](const future<>&) { happened("first"); });
    const callback_token second = f.add_done_callback([&, owned](const future<>&) { happened("second"); });
    f.add_done_callback([&](const future<>&) { happened("third"); });
    EXPECT_TRUE(f.remove_done_callback(second));
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_FALSE(f.remove_done_callback(second));
    EXPECT_FALSE(f.remove_done_callback(callback_token()));
    f.set_result();
    co_await sleep(0s);
    EXPECT_FALSE(f.remove_done_callback(second));
  });
  EXPECT_EQ(happened.seen(), (lines{"first", "third"}));
}

// S52
TEST(Future, callbacks_that_add_and_take_back_callbacks_corrupt_nothing) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    future<> f, other;
    callback_token last;
    f.add_done_callback([&](const future<>& me) {
      happened("a");
      EXPECT_FALSE(me.remove_done_callback(last));  // about to be called
      me.add_done_callback([&](const future<>&) { happened("added"); });
      other.set_result();
    });
    last = f.add_done_callback([&](const future<>&) { happened("b"); });
    other.add_done_callback([&](const future<>&) { happened("other"); });
    f.set_result();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "added", "other"}));
}

// S52: while awaiting tasks and callbacks stand in one line.
TEST(Future, awaiting_tasks_and_callbacks_are_woken_in_the_order_in_which_they_came) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    future<> f;
    const auto wait = [&](const char* name) -> coroutine<> {
      co_await f;
      happened(name);
    };
    create_task(wait, "task 1");
    co_await sleep(0s);
    f.add_done_callback([&](const future<>&) { happened("callback"); });
    create_task(wait, "task 2");
    co_await sleep(0s);
    f.set_result();
    co_await settle();
  });
  EXPECT_EQ(happened.seen(), (lines{"task 1", "callback", "task 2"}));
}

// S54
TEST(Future, an_exception_that_nobody_looked_at_is_reported_when_the_last_handle_goes) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& c) { told(c.message + " / " + name_of(c.exception)); });
    {
      future<> f;
      future<> second_handle = f;
      f.set_exception(std::runtime_error("unseen"));
      f = future<>();
      co_await settle();
      EXPECT_EQ(told.seen(), lines{});  // a handle is alive
    }
    co_await sleep(0s);
  });
  EXPECT_EQ(told.seen(), (lines{"future exception was never retrieved: <Future finished> / runtime_error(unseen)"}));
}

// S54
TEST(Future, an_exception_that_somebody_looked_at_is_not_reported) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler([&](event_loop&, const exception_context& c) { told(c.message); });
    {
      future<> by_result, by_exception, by_await, by_callback, by_type_erased;
      for (const future<>& f : {by_result, by_exception, by_await, by_callback, by_type_erased})
        f.set_exception(std::runtime_error("seen"));
      (void)thrown_by([&] { by_result.result(); });
      (void)by_exception.exception();
      (void)co_await ending(by_await);
      by_callback.add_done_callback([](const future<>& f) { (void)f.exception(); });
      co_await sleep(0s);
      (void)any_task(by_type_erased).exception();
    }
    co_await settle();
  });
  EXPECT_EQ(told.seen(), lines{});
}

// S54
TEST(Future, who_cancels_one_that_has_failed_has_seen_to_it) {
  journal told;
  testing::run([&]() -> coroutine<> {
    get_running_loop().set_exception_handler([&](event_loop&, const exception_context& c) { told(c.message); });
    {
      future<> f;
      f.set_exception(std::runtime_error("too late to cancel"));
      EXPECT_FALSE(f.cancel());
      const auto fail = []() -> coroutine<> {
        throw std::runtime_error("too late to cancel");
        co_return;
      };
      task<> t = create_task(fail);
      co_await settle();
      EXPECT_FALSE(t.cancel());
      EXPECT_FALSE(t.cancelled());
      EXPECT_EQ(t.cancelling(), 0);
    }
    co_await settle();
  });
  EXPECT_EQ(told.seen(), lines{});
}

// S55
TEST(Future, a_value_that_nobody_took_and_a_pending_future_that_is_dropped_are_silent) {
  log_watch log;
  testing::run([]() -> coroutine<> {
    {
      future<std::string> never_taken;
      never_taken.set_result("a long enough string to be on the heap");
      future<> pending;
      future<> cancelled;
      cancelled.cancel();
    }
    co_await settle();
  });
  EXPECT_EQ(log.taken(), lines{});
}

// S55: what waits for it by callback is freed with it.
TEST(Future, a_pending_future_that_is_dropped_frees_its_callbacks) {
  testing::run([]() -> coroutine<> {
    auto owned = std::make_shared<int>(1);
    {
      future<> f;
      f.add_done_callback([owned](const future<>&) {});
      EXPECT_EQ(owned.use_count(), 2);
    }
    EXPECT_EQ(owned.use_count(), 1);
    co_return;
  });
}

// S56
TEST(Future, the_message_of_a_cancellation_reaches_everybody_who_awaits) {
  journal happened;
  testing::run([&]() -> coroutine<> {
    future<> f;
    const auto wait = [&]() -> coroutine<> {
      const std::string end = co_await ending(f);
      happened(end);
    };
    create_task(wait);
    create_task(wait);
    co_await sleep(0s);
    f.cancel("no longer needed");
    co_await settle();
    happened(thrown_by([&] { f.result(); }));
  });
  EXPECT_EQ(happened.seen(), lines(3, "cancelled_error(no longer needed)"));
}

// S58
TEST(Future, awaiting_a_future_of_another_loop_is_an_error_in_the_awaiting_task) {
  auto other = new_event_loop();
  future<> foreign(*other);
  testing::run([&]() -> coroutine<> {
    const std::string pending = co_await ending(foreign);
    EXPECT_EQ(pending, "runtime_error(the task waits for a future that is attached to a different loop)");
  });
}

// S58: one that is done is a value like any other, as in CPython.
TEST(Future, a_done_future_of_another_loop_gives_its_value) {
  auto other = new_event_loop();
  future<int> foreign(*other);
  foreign.set_result(3);
  testing::run([&]() -> coroutine<> {
    const std::string done = co_await ending(foreign);
    EXPECT_EQ(done, "3");
  });
}

// S23
TEST(Future, awaiting_one_that_is_done_does_not_suspend) {
  bool other_ran = false;
  testing::run([&]() -> coroutine<> {
    future<int> f;
    f.set_result(2);
    get_running_loop().call_soon([&] { other_ran = true; });
    const int n = co_await f;
    EXPECT_EQ(n, 2);
    EXPECT_FALSE(other_ran);
  });
}

// S79
TEST(Future, may_be_awaited_any_number_of_times_by_any_number_of_tasks) {
  testing::run([]() -> coroutine<> {
    future<std::string> f;
    const auto wait = [f]() -> coroutine<std::string> {
      const std::string first = co_await f;
      const std::string second = co_await f;
      co_return first + second;
    };
    task<std::string> a = create_task(wait);
    task<std::string> b = create_task(wait);
    co_await sleep(0s);
    f.set_result("x");
    const std::string one = co_await a;
    const std::string two = co_await b;
    EXPECT_EQ(one + two, "xxxx");
    EXPECT_EQ(f.result(), "x");
  });
}

// S79: the same exception object.
TEST(Future, every_awaiter_gets_the_same_exception) {
  struct numbered : std::runtime_error {
    explicit numbered(int n) : std::runtime_error("numbered"), n(n) {}
    int n;
  };
  testing::run([]() -> coroutine<> {
    future<> f;
    f.set_exception(numbered(5));
    const numbered* seen[2] = {};
    for (const numbered*& s : seen) {
      try {
        co_await f;
      } catch (const numbered& e) {
        s = &e;
      }
    }
    EXPECT_NE(seen[0], nullptr);
    EXPECT_EQ(seen[0], seen[1]);
  });
}

TEST(Future, handles_are_references_and_compare_by_identity) {
  testing::run([]() -> coroutine<> {
    future<int> a, b;
    const future<int> same = a;
    EXPECT_TRUE(same == a);
    EXPECT_FALSE(a == b);
    same.set_result(1);
    EXPECT_TRUE(a.done());
    EXPECT_EQ(&a.result(), &same.result());
    EXPECT_EQ(any_task(a), any_task(same));
    EXPECT_EQ(&a.get_loop(), &get_running_loop());
    co_return;
  });
}

// Decision A7
TEST(Future, an_rvalue_await_moves_from_the_last_handle_and_copies_else) {
  testing::run([]() -> coroutine<> {
    const std::string text(100, 'x');
    future<std::string> f;
    future<std::string> other = f;
    f.set_result(text);
    const std::string copied = co_await std::move(f);
    EXPECT_EQ(copied, text);
    EXPECT_EQ(other.result(), text);
    const char* storage = other.result().data();
    const std::string moved = co_await std::move(other);
    EXPECT_EQ(moved, text);
    EXPECT_EQ(moved.data(), storage);
  });
}

TEST(Future, move_only_values_are_seen_by_reference_and_moved_out_by_an_rvalue_await) {
  testing::run([]() -> coroutine<> {
    future<std::unique_ptr<int>> f;
    f.set_result(std::make_unique<int>(6));
    EXPECT_EQ(*f.result(), 6);
    const std::unique_ptr<int>& seen = co_await f;
    EXPECT_EQ(*seen, 6);
    std::unique_ptr<int> mine = co_await std::move(f);
    EXPECT_EQ(*mine, 6);
  });
}

TEST(Future, needs_a_loop) {
  EXPECT_EQ(thrown_by([] { future<> f; }), "runtime_error(no running event loop in this thread)");
  auto loop = new_event_loop();
  future<int> of_loop(*loop);
  EXPECT_EQ(&of_loop.get_loop(), loop.get());
  future<int> made = loop->create_future<int>();
  made.set_result(4);
  EXPECT_EQ(loop->run_until_complete(made), 4);
}

TEST(Future, a_handle_may_outlive_its_loop) {
  auto loop = new_event_loop();
  future<std::string> done(*loop), pending(*loop), failed(*loop);
  done.set_result("kept");
  failed.set_exception(std::runtime_error("kept too"));
  loop.reset();
  EXPECT_EQ(done.result(), "kept");
  EXPECT_EQ(thrown_by([&] { (void)failed.result(); }), "runtime_error(kept too)");
  EXPECT_FALSE(pending.done());
  EXPECT_EQ(thrown_by([&] { (void)pending.get_loop(); }), "runtime_error(the future's event loop is closed)");
  const future<std::string> copy = pending;
  EXPECT_TRUE(copy == pending);
  EXPECT_TRUE(pending.cancel());
}

TEST(Future, an_unseen_exception_of_a_future_that_outlives_its_loop_is_logged) {
  log_watch log;
  {
    auto loop = new_event_loop();
    future<> failed(*loop);
    failed.set_exception(std::runtime_error("late"));
    loop.reset();
  }
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "future exception was never retrieved")) << seen[0];
  EXPECT_TRUE(contains(seen[0], "late")) << seen[0];
}

}  // namespace
}  // namespace asyncio::spec
