// SPDX-License-Identifier: BSL-1.0
// The order in which a loop does things, and its timers.
#include "spec/spec.hpp"

#include <unistd.h>
#include <memory>

namespace asyncio::spec {
namespace {

/// A virtual clock that remembers how far it was asked to jump.
class listening_clock final : public clock_source {
 public:
  time_point now() noexcept override { return now_; }
  bool jump_to(time_point deadline) noexcept override {
    jumps.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - start).count());
    now_ = deadline;
    return true;
  }
  static constexpr time_point start = time_point() + std::chrono::hours(5);
  std::vector<std::int64_t> jumps;

 private:
  time_point now_ = start;
};

struct pipe_ends {
  int read = -1, write = -1;
  pipe_ends() {
    int both[2];
    if (::pipe(both) != 0) throw std::runtime_error("pipe");
    read = both[0];
    write = both[1];
  }
  pipe_ends(const pipe_ends&) = delete;
  ~pipe_ends() {
    ::close(read);
    ::close(write);
  }
};

class EventLoopOrder : public ::testing::Test {
 protected:
  ~EventLoopOrder() override { loop_->close(); }
  void run_for(timedelta time) {
    loop_->call_later(time, [this] { loop_->stop(); });
    loop_->run_forever();
  }
  testing::virtual_clock clock_;
  std::unique_ptr<event_loop> loop_ = new_event_loop({.clock = clock_});
  journal happened;
};

// S1
TEST_F(EventLoopOrder, call_soon_runs_first_come_first_served_and_each_once) {
  for (int i = 0; i < 5; ++i) loop_->call_soon([this, i] { happened(std::to_string(i)); });
  EXPECT_EQ(happened.seen(), lines{});
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"0", "1", "2", "3", "4"}));
}

// S1: arguments are copied when the call is scheduled, and passed as rvalues.
TEST_F(EventLoopOrder, arguments_are_kept_for_the_call) {
  std::string name = "first";
  loop_->call_soon([this](std::string&& a, std::unique_ptr<int> b) { happened(a + std::to_string(*b)); }, name,
                   std::make_unique<int>(7));
  name = "second";
  loop_->call_later(1s, [this](const std::string& a) { happened(a); }, name);
  name = "third";
  run_for(2s);
  EXPECT_EQ(happened.seen(), (lines{"first7", "second"}));
}

// S2
TEST_F(EventLoopOrder, what_a_callback_schedules_runs_in_the_next_iteration) {
  loop_->call_soon([this] {
    happened("a");
    loop_->call_soon([this] { happened("c"); });
  });
  loop_->call_soon([this] { happened("b"); });
  loop_->run_once(0s);
  EXPECT_EQ(happened.seen(), (lines{"a", "b"}));
  loop_->run_once(0s);
  EXPECT_EQ(happened.seen(), (lines{"a", "b", "c"}));
}

// S3
TEST_F(EventLoopOrder, an_iteration_runs_what_was_ready_then_io_then_timers_that_came_due) {
  pipe_ends pipe;
  ASSERT_EQ(::write(pipe.write, "x", 1), 1);
  loop_->call_at(loop_->time(), [this] { happened("timer"); });
  loop_->call_soon([this] { happened("soon"); });
  loop_->add_reader(pipe.read, [this, &pipe] {
    happened("reader");
    loop_->remove_reader(pipe.read);
  });
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"soon", "reader", "timer"}));
}

// S4
TEST(EventLoopSleep, the_loop_sleeps_until_the_earliest_live_timer) {
  listening_clock clock;
  auto loop = new_event_loop({.clock = &clock});
  loop->call_later(300ms, [] {});
  const timer_handle dead = loop->call_later(100ms, [] {});
  loop->call_later(200ms, [] {});
  dead.cancel();
  loop->call_later(400ms, [&] { loop->stop(); });
  loop->run_forever();
  EXPECT_EQ(clock.jumps, (std::vector<std::int64_t>{200, 300, 400}));
}

// S4
TEST(EventLoopSleep, the_loop_does_not_sleep_while_something_is_ready_or_stop_is_pending) {
  listening_clock clock;
  auto loop = new_event_loop({.clock = &clock});
  loop->call_later(1h, [] {});
  loop->call_soon([&] { loop->call_soon([&] { loop->stop(); }); });
  loop->run_forever();
  loop->stop();
  loop->run_forever();
  EXPECT_EQ(clock.jumps, std::vector<std::int64_t>{});
}

// S5, on the machine's clock
TEST(EventLoopSleep, a_timer_never_fires_before_its_deadline) {
  auto loop = new_event_loop();
  std::vector<std::chrono::nanoseconds> late;
  for (const auto delay : {1us, 70us, 999us, 1001us, 3000us}) {
    const time_point deadline = loop->time() + delay;
    loop->call_at(deadline, [&, deadline] {
      late.push_back(loop->time() - deadline);
      loop->stop();
    });
    loop->run_forever();
  }
  ASSERT_EQ(late.size(), 5u);
  for (const auto l : late) EXPECT_GE(l.count(), 0);
}

// S5, on the machine's clock: rounding makes the loop neither miss the deadline nor wake up again and again before it.
TEST(EventLoopSleep, a_timer_fires_in_the_iteration_that_waits_for_it) {
  auto loop = new_event_loop();
  for (const auto delay : {1us, 70us, 999us, 1001us, 3000us}) {
    bool fired = false;
    loop->call_later(delay, [&] { fired = true; });
    int turns = 0;
    while (!fired && turns < 1000) {
      loop->run_once();
      ++turns;
    }
    EXPECT_LE(turns, 2) << delay.count() << " microseconds";
  }
}

// S6 ≠: CPython leaves the order of equal deadlines open; here it is that of the calls.
TEST_F(EventLoopOrder, timers_with_equal_deadlines_fire_in_the_order_of_their_calls) {
  const time_point when = loop_->time() + 1s;
  lines expected;
  for (int i = 0; i < 20; ++i) {
    loop_->call_at(when, [this, i] { happened(std::to_string(i)); });
    expected.push_back(std::to_string(i));
  }
  run_for(2s);
  EXPECT_EQ(happened.seen(), expected);
}

// S7
TEST_F(EventLoopOrder, a_zero_or_negative_delay_fires_in_the_next_iteration_behind_what_is_ready) {
  loop_->call_later(0s, [this] { happened("zero"); });
  loop_->call_later(-5s, [this] { happened("negative"); });
  loop_->call_soon([this] { happened("soon"); });
  EXPECT_EQ(happened.seen(), lines{});
  loop_->run_once(0s);
  EXPECT_EQ(happened.seen(), (lines{"soon", "negative", "zero"}));
}

// S7, on the machine's clock: also while the loop never becomes idle.
TEST(EventLoopBusy, a_zero_delay_fires_in_the_next_iteration_of_a_busy_loop) {
  auto loop = new_event_loop();
  int turns = 0, fired_after = -1;
  loop->create_task([&]() -> coroutine<> {
    while (fired_after < 0 && turns < 1000) {
      co_await sleep(0s);
      ++turns;
      if (turns == 10) loop->call_later(0s, [&] { fired_after = turns - 10; });
    }
    loop->stop();
  });
  loop->run_forever();
  EXPECT_LE(fired_after, 1);
  EXPECT_GE(fired_after, 0);
}

// S7: a deadline in the past is as good as now, an earlier one still comes first.
TEST_F(EventLoopOrder, call_at_in_the_past_fires_in_the_next_iteration) {
  loop_->call_at(loop_->time() - 1s, [this] { happened("a second ago"); });
  loop_->call_at(loop_->time() - 1h, [this] { happened("an hour ago"); });
  loop_->call_at(time_point::min(), [this] { happened("at the beginning of time"); });
  loop_->run_once(0s);
  EXPECT_EQ(happened.seen(), (lines{"at the beginning of time", "an hour ago", "a second ago"}));
}

// S2: neither may a chain of timers that are always due.
TEST(EventLoopBusy, callbacks_that_schedule_callbacks_do_not_starve_io) {
  for (const bool by_timer : {false, true}) {
    auto loop = new_event_loop();
    pipe_ends pipe;
    bool seen = false;
    int turns = 0;
    loop->add_reader(pipe.read, [&] {
      seen = true;
      loop->remove_reader(pipe.read);
    });
    struct chain {
      event_loop& loop;
      bool& seen;
      int& turns;
      int to_pipe;
      bool by_timer;
      time_point past;
      void operator()() const {
        if (seen || ++turns == 1000) return loop.stop();
        if (turns == 100 && ::write(to_pipe, "x", 1) != 1) throw std::runtime_error("write");
        if (by_timer)
          loop.call_at(past, *this);
        else
          loop.call_soon(*this);
      }
    };
    loop->call_soon(chain{*loop, seen, turns, pipe.write, by_timer, loop->time() - 1s});
    loop->run_forever();
    EXPECT_TRUE(seen) << "by_timer " << by_timer;
    EXPECT_LT(turns, 1000);
  }
}

TEST(EventLoopSleep, a_deadline_at_the_end_of_time_waits_and_overflows_nothing) {
  auto loop = new_event_loop();
  bool fired = false;
  const timer_handle never = loop->call_at(time_point::max(), [&] { fired = true; });
  const timer_handle far = loop->call_later(std::chrono::hours::max(), [&] { fired = true; });
  EXPECT_EQ(never.when(), time_point::max());
  EXPECT_EQ(far.when(), time_point::max());
  loop->call_later(1ms, [&] { loop->stop(); });
  loop->run_forever();
  EXPECT_FALSE(fired);
  EXPECT_EQ(loop->metrics().timers, 2u);
}

// S8
TEST_F(EventLoopOrder, call_at_counts_on_the_clock_that_time_shows) {
  const time_point when = loop_->time() + 90s;
  const timer_handle timer = loop_->call_at(when, [this, when] { happened(loop_->time() == when ? "then" : "not"); });
  EXPECT_EQ(timer.when(), when);
  run_for(100s);
  EXPECT_EQ(happened.seen(), (lines{"then"}));
}

template <class When>
concept a_deadline = requires(event_loop& loop, When when) { loop.call_at(when, [] {}); };
template <class Delay>
concept a_delay = requires(event_loop& loop, Delay delay) { loop.call_later(delay, [] {}); };

// S8
TEST(EventLoopTime, a_call_needs_a_moment_of_the_loops_clock_or_a_duration) {
  EXPECT_TRUE(a_deadline<time_point>);
  EXPECT_FALSE(a_deadline<std::chrono::system_clock::time_point>);
  EXPECT_FALSE(a_deadline<std::nullopt_t>);
  EXPECT_FALSE(a_deadline<timedelta>);
  EXPECT_TRUE(a_delay<std::chrono::milliseconds>);
  EXPECT_FALSE(a_delay<std::nullopt_t>);
  EXPECT_FALSE(a_delay<time_point>);
}

// S9
TEST_F(EventLoopOrder, a_cancelled_timer_leaves_the_queue_at_once) {
  std::vector<timer_handle> timers;
  for (int i = 0; i < 1000; ++i) timers.push_back(loop_->call_later(1h, [this] { happened("fired"); }));
  EXPECT_EQ(loop_->metrics().timers, 1000u);
  for (std::size_t i = 0; i < timers.size(); ++i)
    if (i % 10 != 0) timers[i].cancel();
  EXPECT_EQ(loop_->metrics().timers, 100u);
  for (const timer_handle& t : timers) t.cancel();
  EXPECT_EQ(loop_->metrics().timers, 0u);
  EXPECT_EQ(loop_->next_deadline(), std::nullopt);
}

// S10
TEST_F(EventLoopOrder, cancelling_a_handle_releases_its_function_at_once_and_is_idempotent) {
  auto soon_owned = std::make_shared<int>(1);
  auto later_owned = std::make_shared<int>(2);
  const callback_handle soon = loop_->call_soon([soon_owned] {});
  const timer_handle later = loop_->call_later(1s, [](const std::shared_ptr<int>&) {}, later_owned);
  EXPECT_EQ(soon_owned.use_count(), 2);
  EXPECT_FALSE(soon.cancelled());
  for (int i = 0; i < 2; ++i) {
    soon.cancel();
    later.cancel();
    EXPECT_TRUE(soon.cancelled());
    EXPECT_TRUE(later.cancelled());
    EXPECT_EQ(soon_owned.use_count(), 1);
    EXPECT_EQ(later_owned.use_count(), 1);
  }
  run_for(2s);
}

// S10
TEST_F(EventLoopOrder, a_handle_cancelled_by_an_earlier_callback_of_the_same_iteration_is_skipped) {
  std::vector<callback_handle> handles;
  std::vector<timer_handle> timers;
  loop_->call_soon([&] {
    happened("first");
    handles.front().cancel();
    timers.front().cancel();
  });
  handles.push_back(loop_->call_soon([this] { happened("second"); }));
  timers.push_back(loop_->call_later(0s, [this] { happened("timer"); }));
  loop_->call_soon([this] { happened("third"); });
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"first", "third"}));
}

// S10: a timer that another timer due at the same moment cancels.
TEST_F(EventLoopOrder, a_timer_can_cancel_another_that_is_due_with_it) {
  std::vector<timer_handle> timers;
  const time_point when = loop_->time() + 1s;
  loop_->call_at(when, [&] {
    happened("a");
    timers[0].cancel();
  });
  timers.push_back(loop_->call_at(when, [this] { happened("b"); }));
  loop_->call_at(when, [this] { happened("c"); });
  run_for(2s);
  EXPECT_EQ(happened.seen(), (lines{"a", "c"}));
}

TEST_F(EventLoopOrder, cancelling_a_handle_from_within_its_own_call_is_harmless) {
  std::vector<callback_handle> self;
  auto owned = std::make_shared<int>(3);
  self.push_back(loop_->call_soon([&, owned] {
    self.front().cancel();
    happened(std::to_string(*owned));
  }));
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"3"}));
  EXPECT_EQ(owned.use_count(), 1);
}

// S11
TEST_F(EventLoopOrder, when_stays_readable_after_firing_and_after_cancelling) {
  const time_point in_a_second = loop_->time() + 1s;
  const timer_handle fires = loop_->call_later(1s, [] {});
  const timer_handle cancelled = loop_->call_later(2s, [] {});
  cancelled.cancel();
  run_for(3s);
  EXPECT_EQ(fires.when(), in_a_second);
  EXPECT_EQ(cancelled.when(), in_a_second + 1s);
}

TEST_F(EventLoopOrder, dropping_a_handle_does_not_stop_the_call) {
  {
    const callback_handle dropped = loop_->call_soon([this] { happened("soon"); });
  }
  {
    const timer_handle dropped = loop_->call_later(1s, [this] { happened("later"); });
  }
  run_for(2s);
  EXPECT_EQ(happened.seen(), (lines{"soon", "later"}));
}

TEST_F(EventLoopOrder, a_handle_may_outlive_its_loop) {
  auto owned = std::make_shared<int>(4);
  std::vector<callback_handle> kept;
  {
    auto loop = new_event_loop();
    kept.push_back(loop->call_soon([owned] {}));
    kept.push_back(loop->call_later(1h, [owned] {}));
    kept.push_back(loop->call_soon_threadsafe([owned] {}));
  }
  EXPECT_EQ(owned.use_count(), 1);
  for (const callback_handle& h : kept) h.cancel();
  kept.push_back(kept.front());
  kept.clear();
}

// S3, S2: for guests of another main loop.
TEST_F(EventLoopOrder, run_once_tells_whether_something_is_left_to_do_at_once) {
  EXPECT_FALSE(loop_->run_once(0s));
  loop_->call_soon([this] { loop_->call_soon([] {}); });
  EXPECT_TRUE(loop_->run_once(0s));
  EXPECT_FALSE(loop_->run_once(0s));
  loop_->call_later(1s, [this] { happened("timer"); });
  EXPECT_EQ(loop_->next_deadline(), loop_->time() + 1s);
  EXPECT_FALSE(loop_->run_once(0s));
  EXPECT_EQ(happened.seen(), lines{});
  EXPECT_FALSE(loop_->run_once());
  EXPECT_EQ(happened.seen(), (lines{"timer"}));
}

}  // namespace
}  // namespace asyncio::spec
