// SPDX-License-Identifier: BSL-1.0
// Exceptions that nobody catches: where they go, and what they do not stop.
#include "spec/spec.hpp"

#include <unistd.h>
#include <array>
#include <memory>

namespace asyncio::spec {
namespace {

class EventLoopErrors : public ::testing::Test {
 protected:
  void run_for(timedelta time) {
    loop_->call_later(time, [this] { loop_->stop(); });
    loop_->run_forever();
  }
  void listen() {
    loop_->set_exception_handler([this](event_loop& l, const exception_context& context) {
      told((&l == loop_.get() ? "" : "wrong loop ") + context.message + ": " + name_of(context.exception));
    });
  }
  log_watch log;
  testing::virtual_clock clock_;
  std::unique_ptr<event_loop> loop_ = new_event_loop({.clock = clock_});
  journal told;
};

// S20
TEST_F(EventLoopErrors, an_exception_of_a_callback_is_reported_and_the_loop_goes_on) {
  listen();
  int went_on = 0;
  loop_->call_soon([] { throw std::runtime_error("soon"); });
  loop_->call_later(1s, [] { throw std::runtime_error("later"); });
  loop_->call_soon_threadsafe([] { throw std::runtime_error("threadsafe"); });
  loop_->call_soon([] { throw 7; });
  loop_->call_soon([&] { ++went_on; });
  loop_->call_later(1s, [&] { ++went_on; });
  run_for(2s);
  EXPECT_EQ(went_on, 2);
  EXPECT_EQ(told.seen(),
            (lines{"exception in a callback: runtime_error(soon)", "exception in a callback: runtime_error(threadsafe)",
                   "exception in a callback: int(7)", "exception in a callback: runtime_error(later)"}));
}

// S20
TEST_F(EventLoopErrors, an_exception_of_a_done_callback_is_reported_and_the_others_are_called) {
  listen();
  future<int> f(*loop_);
  f.add_done_callback([](const future<int>&) { throw std::runtime_error("first"); });
  f.add_done_callback([this](const future<int>& me) { told("second got " + std::to_string(me.result())); });
  f.set_result(5);
  run_for(1s);
  ASSERT_EQ(told.seen().size(), 2u);
  EXPECT_TRUE(contains(told.seen()[0], "exception in a done callback of <Future finished>"));
  EXPECT_EQ(told.seen()[1], "second got 5");
}

// S20
TEST_F(EventLoopErrors, an_exception_of_a_reader_is_reported_and_the_reader_stays) {
  listen();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  int calls = 0;
  loop_->add_reader(ends[0], [&] {
    if (++calls == 2) loop_->remove_reader(ends[0]);
    throw std::runtime_error("reader");
  });
  run_for(1s);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(told.seen().size(), 2u);
  ::close(ends[0]);
  ::close(ends[1]);
}

// S20
TEST_F(EventLoopErrors, without_a_handler_it_is_logged_with_its_type_and_text) {
  EXPECT_FALSE(loop_->get_exception_handler());
  loop_->call_soon([] { throw std::out_of_range("beyond"); });
  run_for(1s);
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0], "exception in a callback\n  exception: std::out_of_range: beyond");
}

TEST_F(EventLoopErrors, nullptr_brings_the_default_handler_back) {
  listen();
  EXPECT_TRUE(loop_->get_exception_handler());
  loop_->set_exception_handler(nullptr);
  EXPECT_FALSE(loop_->get_exception_handler());
  loop_->call_soon([] { throw 1; });
  run_for(1s);
  EXPECT_EQ(told.seen(), lines{});
  EXPECT_EQ(log.taken().size(), 1u);
}

// S20
TEST_F(EventLoopErrors, a_handler_that_throws_falls_back_to_the_default_and_the_loop_goes_on) {
  bool went_on = false;
  loop_->set_exception_handler(
      [](event_loop&, const exception_context&) { throw std::runtime_error("in the handler"); });
  loop_->call_soon([] { throw std::runtime_error("in the callback"); });
  loop_->call_soon([&] { went_on = true; });
  run_for(1s);
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_TRUE(contains(seen[0], "in the callback"));
  EXPECT_TRUE(contains(seen[1], "in the handler"));
  EXPECT_TRUE(went_on);
}

TEST_F(EventLoopErrors, a_handler_may_replace_itself) {
  auto owned = std::make_shared<std::string>("the old one");
  loop_->set_exception_handler([this, owned](event_loop& loop, const exception_context&) {
    loop.set_exception_handler([this](event_loop&, const exception_context&) { told("the new one"); });
    told(*owned);
  });
  loop_->call_soon([] { throw 1; });
  loop_->call_soon([] { throw 2; });
  run_for(1s);
  EXPECT_EQ(told.seen(), (lines{"the old one", "the new one"}));
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(EventLoopErrors, a_user_may_call_the_handler_and_the_default_one) {
  listen();
  exception_context context;
  context.message = "by hand";
  loop_->call_exception_handler(context);
  EXPECT_EQ(told.seen(), (lines{"by hand: nothing"}));
  loop_->default_exception_handler(context);
  EXPECT_EQ(log.taken(), (lines{"by hand"}));
}

// S20, S75
TEST_F(EventLoopErrors, keyboard_interrupt_from_a_callback_leaves_run_forever_at_once) {
  listen();
  journal happened;
  loop_->call_soon([&] { happened("a"); });
  loop_->call_soon([] { throw keyboard_interrupt(); });
  loop_->call_soon([&] { happened("b"); });
  loop_->call_later(1s, [&] { happened("timer"); });
  EXPECT_EQ(thrown_by([&] { loop_->run_forever(); }), "keyboard_interrupt");
  EXPECT_EQ(happened.seen(), (lines{"a"}));
  EXPECT_FALSE(loop_->is_running());
  run_for(2s);  // what was ready stays ready
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "timer"}));
  EXPECT_EQ(told.seen(), lines{});
}

// S20: from every kind of callback.
TEST_F(EventLoopErrors, keyboard_interrupt_leaves_from_timers_done_callbacks_and_the_exception_handler) {
  loop_->call_later(1s, [] { throw keyboard_interrupt(); });
  loop_->call_later(1s, [&] { told("due at the same moment"); });
  EXPECT_EQ(thrown_by([&] { loop_->run_forever(); }), "keyboard_interrupt");
  EXPECT_EQ(told.seen(), lines{});
  future<> f(*loop_);
  f.add_done_callback([](const future<>&) { throw keyboard_interrupt(); });
  f.set_result();
  EXPECT_EQ(thrown_by([&] { loop_->run_forever(); }), "keyboard_interrupt");
  loop_->set_exception_handler([](event_loop&, const exception_context&) { throw keyboard_interrupt(); });
  loop_->call_soon([] { throw 1; });
  EXPECT_EQ(thrown_by([&] { loop_->run_forever(); }), "keyboard_interrupt");
  loop_->set_exception_handler(nullptr);
  run_for(1s);
  EXPECT_EQ(log.taken(), lines{});
  EXPECT_EQ(told.seen(), (lines{"due at the same moment"}));
}

TEST_F(EventLoopErrors, keyboard_interrupt_leaves_run_once_too_and_the_loop_can_go_on) {
  bool timer = false;
  loop_->call_soon([] { throw keyboard_interrupt(); });
  loop_->call_later(0s, [&] { timer = true; });
  EXPECT_EQ(thrown_by([&] { (void)loop_->run_once(0s); }), "keyboard_interrupt");
  EXPECT_FALSE(timer);
  (void)loop_->run_once(0s);
  EXPECT_TRUE(timer);
}

// S60
TEST_F(EventLoopErrors, the_handler_runs_in_the_context_of_what_failed) {
  context_var<std::string> who("who", "nobody");
  loop_->set_exception_handler(
      [&](event_loop&, const exception_context& context) { told(name_of(context.exception) + " of " + who.get()); });
  const auto fails = [](const char* what) { return [what](auto&&...) { throw std::runtime_error(what); }; };
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  future<> done(*loop_);
  const auto as = [&](const char* name) { who.set(name); };
  as("soon's");
  loop_->call_soon(fails("soon"));
  as("later's");
  loop_->call_later(1s, fails("later"));
  as("done's");
  done.add_done_callback(fails("done"));
  as("reader's");
  loop_->add_reader(ends[0], [&, fail = fails("reader")] {
    loop_->remove_reader(ends[0]);
    fail();
  });
  as("the creator's");
  loop_->create_task([&]() -> coroutine<> {
    as("the task's");
    co_await sleep(1s);
    throw std::runtime_error("task");
  });
  as("the setter's");
  done.set_result();
  as("the runner's");
  run_for(2s);
  EXPECT_EQ(who.get(), "the runner's");
  EXPECT_EQ(told.seen(), (lines{"runtime_error(soon) of soon's", "runtime_error(done) of done's",
                                "runtime_error(reader) of reader's", "runtime_error(later) of later's",
                                "runtime_error(task) of the task's"}));
  ::close(ends[0]);
  ::close(ends[1]);
}

// S60
TEST_F(EventLoopErrors, what_the_handler_sets_stays_in_the_context_of_what_failed) {
  context_var<int> reports("reports", 0);
  loop_->set_exception_handler([&](event_loop&, const exception_context&) {
    reports.set(reports.get() + 1);
    told(std::to_string(reports.get()));
  });
  loop_->call_soon([] { throw 1; });
  loop_->call_soon([] { throw 2; });
  run_for(1s);
  EXPECT_EQ(told.seen(), (lines{"1", "1"}));
  EXPECT_EQ(reports.get(), 0);
}

// S75
TEST_F(EventLoopErrors, keyboard_interrupt_of_a_task_ends_it_and_leaves_the_loop) {
  task<> t = loop_->create_task([]() -> coroutine<> {
    (void)co_await ending(sleep(1h));
    throw keyboard_interrupt();
  });
  loop_->call_later(1s, [t] { t.cancel(); });
  EXPECT_EQ(thrown_by([&] { loop_->run_forever(); }), "keyboard_interrupt");
  EXPECT_TRUE(t.done());
  EXPECT_FALSE(t.cancelled());
  EXPECT_EQ(name_of(t.exception()), "keyboard_interrupt");
}

// S1.13: what debug mode says about slow callbacks and steps.
TEST(EventLoopDebug, slow_callbacks_and_steps_are_logged_in_debug_mode) {
  for (const bool debug : {true, false}) {
    log_watch log;
    testing::manual_clock clock;
    auto loop = new_event_loop({.debug = debug, .clock = clock});
    EXPECT_EQ(loop->slow_callback_duration(), 100ms);
    loop->call_soon([&] { clock.advance(99ms); });
    loop->call_soon([&] { clock.advance(150ms); });
    loop->run_until_complete([&]() -> coroutine<> {
      clock.advance(2s);
      co_return;
    });
    const lines seen = log.taken();
    if (!debug) {
      EXPECT_EQ(seen, lines{});
      continue;
    }
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_EQ(seen[0], "executing a callback took 0.150 seconds");
    EXPECT_TRUE(contains(seen[1], "executing <Task 'Task-1'"));
    EXPECT_TRUE(contains(seen[1], "took 2.000 seconds"));
  }
}

}  // namespace
}  // namespace asyncio::spec
