// SPDX-License-Identifier: BSL-1.0
// The loop on a kernel that only writes down how it is asked: what a turn runs, and how long it is willing to wait.
#include "loop/loop.hpp"

#include "base/clock.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace asyncio::loop {
namespace {

using namespace std::chrono_literals;
using nanoseconds = std::chrono::nanoseconds;
using lines = std::vector<std::string>;

/// Answers wait() from a script, and remembers how long it was allowed to take; a wait moves the clock.
class scripted_kernel final : public kernel::kernel {
 public:
  struct script {
    std::vector<std::optional<nanoseconds>> waits;  ///< those that might have slept
    std::size_t looks = 0;                          ///< those that might not
    std::function<void(op_queue&, bool may_sleep)> on_wait = [](op_queue&, bool) {};
    std::size_t cancelled = 0;
  };
  explicit scripted_kernel(script& s) : script_(s) {}
  bool start(asyncio::kernel::io_op& request) noexcept override {
    request.enter_flight();
    requests_.push_back(&request);
    ++in_flight_;
    return false;
  }
  void cancel(asyncio::kernel::io_op&) noexcept override {}
  int own(int) noexcept override { return 0; }
  void forget(int) noexcept override {}
  void cancel_all() noexcept override { cancelling_ = true; }
  void finish(asyncio::kernel::io_op& request, op_queue& finished) noexcept {
    std::erase(requests_, &request);
    finished.push(&request);
    --in_flight_;
  }
  bool wait(std::optional<nanoseconds> most, op_queue& finished) noexcept override {
    const bool may_sleep = most != nanoseconds(0);
    if (may_sleep)
      script_.waits.push_back(most);
    else
      ++script_.looks;
    script_.on_wait(finished, may_sleep);
    if (!cancelling_) return false;
    for (asyncio::kernel::io_op* request : requests_) {
      request->result = -ECANCELED;
      finished.push(request);
      --in_flight_;
      ++script_.cancelled;
    }
    requests_.clear();
    return false;
  }
  int poll_fd() noexcept override { return -1; }
  const char* name() const noexcept override { return "scripted"; }

 private:
  script& script_;
  std::vector<asyncio::kernel::io_op*> requests_;
  bool cancelling_ = false;
};

class still_clock final : public clock_source {
 public:
  time_point now() noexcept override { return time; }
  time_point time = time_point(1h);
};

/// An op, a timer or a request that runs a function when it is done.
template <class Op>
struct calling : Op {
  explicit calling(std::function<void()> f) : call(std::move(f)) {
    this->done = [](op* self) noexcept { static_cast<calling*>(static_cast<Op*>(self))->call(); };
  }
  std::function<void()> call;
};

class RunOnce : public ::testing::Test {
 protected:
  op* soon(std::string name) {
    return soon_call([this, name] { happened.push_back(name); });
  }
  op* soon_call(std::function<void()> f) {
    ops_.push_back(std::make_unique<calling<op>>(std::move(f)));
    loop_->post(ops_.back().get());
    return ops_.back().get();
  }
  timer_op* timer(time_point when, std::string name) {
    return timer_call(when, [this, name] { happened.push_back(name); });
  }
  timer_op* timer_call(time_point when, std::function<void()> f) {
    timers_.push_back(std::make_unique<calling<timer_op>>(std::move(f)));
    timers_.back()->deadline = when;
    loop_->add_timer(*timers_.back());
    return timers_.back().get();
  }
  void turn(std::optional<nanoseconds> most = nanoseconds(0)) {
    const loop::entry inside(*loop_);
    loop_->run_once(most);
  }
  run_end run() {
    const loop::entry inside(*loop_);
    return loop_->run_forever();
  }

  lines happened;
  scripted_kernel::script kernel_;
  still_clock clock_;
  std::vector<std::unique_ptr<calling<op>>> ops_;
  std::vector<std::unique_ptr<calling<timer_op>>> timers_;
  scripted_kernel* backend_ = new scripted_kernel(kernel_);  // the loop's
  std::unique_ptr<loop> loop_ =
      std::make_unique<loop>(std::unique_ptr<kernel::kernel>(backend_), clock_, kernel::make_wake_fd());
};

/// On the machine's clock, with which a loop may spin.
class Spin : public RunOnce {
 protected:
  Spin() {
    backend_ = new scripted_kernel(kernel_);
    loop_ = std::make_unique<loop>(std::unique_ptr<kernel::kernel>(backend_), base::steady_clock_source(),
                                   kernel::make_wake_fd());
  }
};

TEST_F(Spin, a_post_that_comes_while_the_loop_looks_for_it_wakes_nobody) {
  calling<op> posted([this] { happened.push_back("posted"); });
  kernel_.on_wait = [&](op_queue&, bool) {
    const bool now = kernel_.looks == 3;
    if (now && !loop_->box().post(&posted)) ADD_FAILURE() << "the loop is closed";
  };
  loop_->set_spin(1h);
  turn(std::nullopt);
  EXPECT_EQ(happened, lines{"posted"});
  EXPECT_EQ(kernel_.looks, 3u);
  EXPECT_TRUE(kernel_.waits.empty());
}

TEST_F(Spin, what_the_kernel_finishes_while_the_loop_looks_is_run_at_once) {
  calling<kernel::io_op> request([this] { happened.push_back("io"); });
  ASSERT_FALSE(loop_->start(request));
  kernel_.on_wait = [&](op_queue& finished, bool) {
    if (kernel_.looks == 3) backend_->finish(request, finished);
  };
  loop_->set_spin(1h);
  turn(std::nullopt);
  EXPECT_EQ(happened, lines{"io"});
  EXPECT_TRUE(kernel_.waits.empty());
}

TEST_F(Spin, ends_when_a_timer_is_due_and_never_makes_it_late_by_waiting_anew) {
  timer(loop_->now() + 100us, "timer");
  loop_->set_spin(1h);
  while (happened.empty()) turn(std::nullopt);
  EXPECT_GT(kernel_.looks, 0u);
  for (const std::optional<nanoseconds>& wait : kernel_.waits) EXPECT_EQ(wait, nanoseconds(0));
}

TEST_F(Spin, sleeps_when_nothing_came) {
  kernel_.on_wait = [this](op_queue&, bool may_sleep) {
    if (may_sleep) soon("woken");
  };
  loop_->set_spin(10us);
  turn(std::nullopt);
  ASSERT_EQ(kernel_.waits.size(), 1u);
  EXPECT_GT(kernel_.looks, 0u);
}

TEST_F(Spin, time_that_was_spent_looking_is_not_waited_again) {
  loop_->set_spin(10us);
  turn(1h);
  ASSERT_EQ(kernel_.waits.size(), 1u);
  EXPECT_LE(kernel_.waits[0], nanoseconds(1h) - 10us);
}

// S2
TEST_F(RunOnce, runs_what_was_ready_when_the_turn_began) {
  soon("a");
  soon_call([this] { soon("next"); });
  soon("b");
  turn();
  EXPECT_EQ(happened, (lines{"a", "b"}));
  turn();
  EXPECT_EQ(happened, (lines{"a", "b", "next"}));
}

// S3
TEST_F(RunOnce, first_what_was_ready_then_what_the_kernel_finished_then_timers) {
  calling<kernel::io_op> request([this] { happened.push_back("io"); });
  ASSERT_FALSE(loop_->start(request));
  kernel_.on_wait = [&](op_queue& finished, bool) {
    if (backend_->in_flight() > 0) backend_->finish(request, finished);
  };
  timer(clock_.time, "timer");
  soon("ready");
  turn();
  EXPECT_EQ(happened, (lines{"ready", "io", "timer"}));
}

// S4
TEST_F(RunOnce, does_not_wait_while_something_is_ready) {
  calling<kernel::io_op> request([] {});
  ASSERT_FALSE(loop_->start(request));
  soon("a");
  turn(std::nullopt);
  EXPECT_EQ(kernel_.looks, 1u);
  EXPECT_TRUE(kernel_.waits.empty());
  loop_->close();
}

// S4
TEST_F(RunOnce, waits_for_the_earliest_timer_that_is_left) {
  timer_op* first = timer(clock_.time + 2s, "first");
  timer(clock_.time + 5s, "second");
  loop_->remove_timer(*first);
  turn(std::nullopt);
  EXPECT_EQ(kernel_.waits.back(), 5s);
  turn(3s);
  EXPECT_EQ(kernel_.waits.back(), 3s);
}

// S4
TEST_F(RunOnce, waits_a_day_at_the_most) {
  timer(time_point::max(), "never");
  turn(std::nullopt);
  EXPECT_EQ(kernel_.waits.back(), 24h);
}

// S4
TEST_F(RunOnce, does_not_wait_when_it_was_told_to_stop) {
  timer(clock_.time + 1h, "far");
  loop_->stop();
  EXPECT_EQ(run(), run_end::stopped);
  EXPECT_EQ(kernel_.looks, 1u);
  EXPECT_TRUE(kernel_.waits.empty());
  EXPECT_EQ(happened, lines{});
}

TEST_F(RunOnce, a_timer_that_comes_due_during_the_wait_fires_in_the_same_turn) {
  timer(clock_.time + 2s, "timer");
  kernel_.on_wait = [&](op_queue&, bool sleeps) { clock_.time += sleeps ? 2s : 0s; };
  turn(std::nullopt);
  EXPECT_EQ(happened, (lines{"timer"}));
}

TEST_F(RunOnce, a_timer_whose_wait_was_cut_short_is_waited_for_again) {
  timer(clock_.time + 2s, "timer");
  kernel_.on_wait = [&](op_queue&, bool sleeps) { clock_.time += sleeps ? 500ms : 0ms; };
  for (int i = 0; i < 3; ++i) turn(std::nullopt);
  EXPECT_EQ(happened, lines{});
  turn(std::nullopt);
  EXPECT_EQ(happened, (lines{"timer"}));
  EXPECT_EQ(kernel_.waits, (std::vector<std::optional<nanoseconds>>{2s, 1500ms, 1s, 500ms}));
}

// S7: what timers add for now comes in the next turn, however often.
TEST_F(RunOnce, a_timer_that_adds_one_for_now_does_not_keep_the_turn_going) {
  int fired = 0;
  std::function<void()> again = [&] {
    ++fired;
    timer_call(clock_.time, again);
  };
  timer_call(clock_.time, again);
  turn();
  EXPECT_EQ(fired, 1);
  turn();
  EXPECT_EQ(fired, 2);
  loop_->remove_timer(*timers_.back());
}

// The kernel is looked at in a busy loop too, within so many turns.
TEST_F(RunOnce, a_busy_loop_looks_at_the_kernel_within_64_turns) {
  bool answered = false;
  calling<kernel::io_op> request([&] { answered = true; });
  ASSERT_FALSE(loop_->start(request));
  int turns = 0;
  std::function<void()> spin = [&] {
    if (answered || ++turns > 1000) return loop_->stop();
    soon_call(spin);
  };
  soon_call(spin);
  kernel_.on_wait = [&](op_queue& finished, bool) {
    if (turns >= 200 && backend_->in_flight() > 0) backend_->finish(request, finished);
  };
  EXPECT_EQ(run(), run_end::stopped);
  EXPECT_TRUE(answered);
  EXPECT_LE(turns, 200 + 66);
  EXPECT_LE(kernel_.looks, 30u);  // and not at every turn
}

TEST_F(RunOnce, an_interrupt_leaves_the_batch_and_keeps_the_rest_ready) {
  soon("a");
  soon_call([this] { loop_->interrupt(); });
  soon("b");
  timer(clock_.time, "timer");
  EXPECT_EQ(run(), run_end::interrupted);
  EXPECT_EQ(happened, (lines{"a"}));
  loop_->stop();
  EXPECT_EQ(run(), run_end::stopped);
  EXPECT_EQ(happened, (lines{"a", "b", "timer"}));
}

// What a completion points to is written over by the next wait.
TEST_F(RunOnce, the_kernel_is_not_asked_again_before_all_that_it_finished_has_run) {
  calling<kernel::io_op> first([this] { loop_->interrupt(); }), second([this] { happened.push_back("second"); });
  calling<kernel::io_op> never([] {});
  for (auto* request : {&first, &second, &never}) ASSERT_FALSE(loop_->start(*request));
  kernel_.on_wait = [&](op_queue& finished, bool) {
    happened.push_back("wait");
    if (happened.size() > 1) return;
    backend_->finish(first, finished);
    backend_->finish(second, finished);
  };
  EXPECT_EQ(run(), run_end::interrupted);
  EXPECT_EQ(happened, (lines{"wait"}));
  clock_.time += 1s;  // high time to ask
  turn();
  EXPECT_EQ(happened, (lines{"wait", "second"}));
  turn();
  EXPECT_EQ(happened, (lines{"wait", "second", "wait"}));
  loop_->close();
}

TEST_F(RunOnce, closing_too_runs_what_is_finished_before_it_asks_the_kernel_again) {
  calling<kernel::io_op> first([this] { loop_->interrupt(); }), second([this] { happened.push_back("second"); });
  calling<kernel::io_op> never([this] { happened.push_back("cancelled"); });
  for (auto* request : {&first, &second, &never}) ASSERT_FALSE(loop_->start(*request));
  kernel_.on_wait = [&](op_queue& finished, bool) {
    happened.push_back("wait");
    if (happened.size() > 1) return;
    backend_->finish(first, finished);
    backend_->finish(second, finished);
  };
  EXPECT_EQ(run(), run_end::interrupted);
  loop_->close();
  EXPECT_EQ(happened, (lines{"wait", "second", "wait", "cancelled"}));
}

TEST_F(RunOnce, an_interrupt_from_a_timer_keeps_the_other_timers_due) {
  timer_call(clock_.time, [this] { loop_->interrupt(); });
  timer(clock_.time, "second");
  EXPECT_EQ(run(), run_end::interrupted);
  EXPECT_EQ(happened, lines{});
  soon("a");
  soon("b");
  loop_->stop();
  EXPECT_EQ(run(), run_end::stopped);
  EXPECT_EQ(happened, (lines{"a", "b", "second"}));
}

TEST_F(RunOnce, what_is_kept_for_the_end_of_the_turn_runs_after_timers_and_before_the_next_turn) {
  calling<op> flush([this] { happened.push_back("flush"); });
  soon_call([&] {
    happened.push_back("asks");
    loop_->at_turn_end(&flush);
    soon("next turn");
  });
  timer(clock_.time, "timer");
  turn();
  turn();
  EXPECT_EQ(happened, (lines{"asks", "timer", "flush", "next turn"}));
}

TEST_F(RunOnce, what_is_taken_back_does_not_run_wherever_it_stands) {
  for (const int which : {0, 1, 2}) {
    happened.clear();
    std::vector<op*> three;
    soon_call([&] { loop_->unpost(three[static_cast<std::size_t>(which)]); });
    for (const char* name : {"0", "1", "2"}) three.push_back(soon(name));
    turn();
    soon("later");
    turn();
    lines expected{"0", "1", "2", "later"};
    expected.erase(expected.begin() + which);
    EXPECT_EQ(happened, expected);
  }
}

TEST_F(RunOnce, taking_back_the_only_one_left_of_a_batch_ends_the_batch) {
  op* last = nullptr;
  soon_call([&] {
    soon("next turn");
    loop_->unpost(last);
  });
  last = soon("never");
  turn();
  EXPECT_EQ(happened, lines{});
  turn();
  EXPECT_EQ(happened, (lines{"next turn"}));
}

// Closing: whoever owns a request in flight hears of its end.
TEST_F(RunOnce, closing_cancels_what_is_in_flight_and_finishes_it) {
  std::int64_t result = 0;
  calling<kernel::io_op> request([&] { result = request.result; });
  ASSERT_FALSE(loop_->start(request));
  loop_->close();
  EXPECT_EQ(result, -ECANCELED);
  EXPECT_FALSE(request.in_flight);
  EXPECT_EQ(kernel_.cancelled, 1u);
  EXPECT_EQ(loop_->in_flight(), 0u);
}

/// Turns each batch round, and counts them.
class turning_clock final : public clock_source, public arranger {
 public:
  time_point now() noexcept override { return time_point(1h); }
  void arrange(op_queue& batch) noexcept override {
    std::vector<op*> all;
    while (op* node = batch.pop()) all.push_back(node);
    batches += all.empty() ? 0 : 1;
    for (auto at = all.rbegin(); at != all.rend(); ++at) batch.push(*at);
  }
  int batches = 0;
};

TEST_F(RunOnce, a_clock_that_is_an_arranger_has_a_say_in_each_batch) {
  turning_clock clock;
  backend_ = new scripted_kernel(kernel_);
  loop_ = std::make_unique<loop>(std::unique_ptr<kernel::kernel>(backend_), clock, kernel::make_wake_fd());
  for (int i = 0; i < 3; ++i)  // in run_forever(): turns that would not look around without it
    soon_call([this, i] {
      happened.push_back(std::to_string(i));
      soon_call([this, i] {
        happened.push_back("then " + std::to_string(i));
        if (i == 2) soon_call([this] { loop_->stop(); });
      });
    });
  EXPECT_EQ(run(), run_end::stopped);
  EXPECT_EQ(happened, (lines{"2", "1", "0", "then 0", "then 1", "then 2"}));
  EXPECT_EQ(clock.batches, 3);
}

}  // namespace
}  // namespace asyncio::loop
