// SPDX-License-Identifier: BSL-1.0
// A loop as the guest of another main loop: poll_fd(), next_deadline(), run_once().
#include "spec/spec.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <memory>
#include <thread>

namespace asyncio::spec {
namespace {

constexpr std::chrono::milliseconds very_long{20'000};  // passed: a wake-up was missing

/// The host's main loop: poll(2).
class host {
 public:
  explicit host(event_loop& guest) : guest_(guest), fd_(guest.poll_fd()) {}

  /// Is the descriptor readable by now?
  bool readable(std::chrono::milliseconds wait = 0ms) const {
    pollfd watched{fd_, POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(wait.count())) == 1;
  }
  /// How long the host may sleep.
  std::chrono::milliseconds may_sleep() const {
    const std::optional<time_point> deadline = guest_.next_deadline();
    if (!deadline) return very_long;
    return std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*deadline - guest_.time()), 0ms, very_long);
  }
  /// Sleeps as a host does, then gives the guest a turn. False: it slept for nothing.
  bool turn() const {
    const std::chrono::milliseconds most = may_sleep();
    const bool woken = readable(most);
    guest_.run_once(0s);
    return woken || most < very_long;
  }

 private:
  event_loop& guest_;
  const int fd_;
};

void in_another_thread(auto f) { std::thread(f).join(); }

TEST(GuestMode, runs_a_program_to_its_end) {
  auto loop = new_event_loop();
  const host h(*loop);
  const task<int> t = loop->create_task([]() -> coroutine<int> {
    co_await sleep(2ms);
    co_await sleep(2ms);
    co_return 3;
  });
  while (!t.done()) ASSERT_TRUE(h.turn());
  EXPECT_EQ(t.result(), 3);
}

TEST(GuestMode, a_call_from_another_thread_wakes_the_host_before_the_first_turn) {
  auto loop = new_event_loop();
  const host h(*loop);
  EXPECT_FALSE(h.readable());
  bool called = false;
  in_another_thread([&] { loop->call_soon_threadsafe([&called] { called = true; }); });
  EXPECT_TRUE(h.readable());
  loop->run_once(0s);
  EXPECT_TRUE(called);
}

TEST(GuestMode, a_call_from_another_thread_wakes_the_host_between_two_turns) {
  auto loop = new_event_loop();
  const host h(*loop);
  for (int i = 0; i < 3; ++i) {
    loop->run_once(0s);
    EXPECT_FALSE(h.readable()) << i;
    bool called = false;
    in_another_thread([&] { loop->call_soon_threadsafe([&called] { called = true; }); });
    EXPECT_TRUE(h.readable()) << i;
    loop->run_once(0s);
    EXPECT_TRUE(called) << i;
  }
}

TEST(GuestMode, a_call_that_comes_within_a_turn_is_told_of_at_its_end) {
  auto loop = new_event_loop();
  const host h(*loop);
  bool called = false;
  loop->call_soon([&] { in_another_thread([&] { loop->call_soon_threadsafe([&called] { called = true; }); }); });
  EXPECT_TRUE(loop->run_once(0s));
  EXPECT_FALSE(called);
  EXPECT_TRUE(h.readable());
  EXPECT_EQ(h.may_sleep(), 0ms);
  loop->run_once(0s);
  EXPECT_TRUE(called);
  EXPECT_FALSE(loop->run_once(0s));
}

TEST(GuestMode, calls_from_another_thread_are_never_slept_over) {
  auto loop = new_event_loop();
  const host h(*loop);
  int calls = 0;
  std::thread other([&] {
    for (int i = 0; i < 2000; ++i) loop->call_soon_threadsafe([&calls] { ++calls; });
  });
  while (calls < 2000) {
    if (h.turn()) continue;
    ADD_FAILURE() << "a wake-up was missing after " << calls;
    break;
  }
  other.join();
}

TEST(GuestMode, after_run_forever_the_host_is_woken_as_before) {
  auto loop = new_event_loop();
  const host h(*loop);
  loop->call_soon([&] { loop->stop(); });
  loop->run_forever();
  in_another_thread([&] { loop->call_soon_threadsafe([] {}); });
  EXPECT_TRUE(h.readable());
}

TEST(GuestMode, a_signal_wakes_the_host) {
  auto loop = new_event_loop();
  const host h(*loop);
  bool called = false;
  loop->add_signal_handler(SIGUSR1, [&called] { called = true; });
  loop->run_once(0s);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(h.readable());
    ::raise(SIGUSR1);
    EXPECT_TRUE(h.readable());
    while (h.readable() || h.may_sleep() == 0ms) loop->run_once(0s);
    EXPECT_TRUE(std::exchange(called, false));
  }
}

TEST(GuestMode, input_wakes_the_host) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  auto loop = new_event_loop();
  const host h(*loop);
  const task<std::string> t = loop->create_task([&, fd = ends[0]]() -> coroutine<std::string> {
    std::string text = co_await get_running_loop().sock_recv(fd, 10);
    co_return text;
  });
  loop->run_once(0s);
  EXPECT_FALSE(h.readable());
  ASSERT_EQ(::write(ends[1], "hi", 2), 2);
  EXPECT_TRUE(h.readable());
  while (!t.done()) ASSERT_TRUE(h.turn());
  EXPECT_EQ(t.result(), "hi");
  ::close(ends[0]);
  ::close(ends[1]);
}

// A host that means to sleep for an hour is woken by the call that brings the earlier timer.
TEST(GuestMode, a_timer_that_is_earlier_than_the_hosts_wait_is_heard_of) {
  auto loop = new_event_loop();
  const host h(*loop);
  loop->call_later(1h, [] {});
  bool rang = false;
  std::thread other([&] { loop->call_soon_threadsafe([&] { loop->call_later(2ms, [&rang] { rang = true; }); }); });
  while (!rang) ASSERT_TRUE(h.turn());
  other.join();
}

TEST(GuestMode, a_timer_that_the_host_sets_itself_counts_at_once) {
  auto loop = new_event_loop();
  const host h(*loop);
  EXPECT_EQ(h.may_sleep(), very_long);
  loop->call_later(5ms, [] {});
  EXPECT_LE(h.may_sleep(), 5ms);
  (void)loop->create_task(sleep(0s));
  EXPECT_EQ(h.may_sleep(), 0ms);
}

// ---- nested

TEST(GuestMode, a_turn_within_a_turn_is_refused_and_the_host_may_still_ask) {
  auto loop = new_event_loop();
  const host h(*loop);
  std::string nested;
  loop->call_soon([&] {
    nested = thrown_by([&] { loop->run_once(0s); });
    loop->call_later(1h, [] {});
    EXPECT_EQ(h.may_sleep(), very_long);  // a host may run its own loop in here, and asks before it sleeps
    EXPECT_EQ(loop->poll_fd(), loop->poll_fd());
  });
  loop->run_once(0s);
  EXPECT_EQ(nested,
            "runtime_error(a loop is running in this thread already: co_await here instead of running another)");
}

TEST(GuestMode, several_guests_share_a_host) {
  auto a = new_event_loop();
  auto b = new_event_loop();
  const host ha(*a), hb(*b);
  bool called = false;
  a->call_soon([&] { b->call_soon_threadsafe([&called] { called = true; }); });  // of the same thread
  a->run_once(0s);
  EXPECT_EQ(hb.may_sleep(), 0ms);
  b->run_once(0s);
  EXPECT_TRUE(called);
  EXPECT_FALSE(ha.readable());
}

TEST(GuestMode, an_interrupt_leaves_the_turn_and_the_next_one_goes_on) {
  auto loop = new_event_loop();
  const host h(*loop);
  bool called = false;
  loop->call_soon([] { throw keyboard_interrupt(); });
  loop->call_soon([&called] { called = true; });
  EXPECT_EQ(thrown_by([&] { loop->run_once(0s); }), "keyboard_interrupt");
  EXPECT_EQ(h.may_sleep(), 0ms);
  loop->run_once(0s);
  EXPECT_TRUE(called);
}

TEST(GuestMode, the_descriptor_is_asked_for_in_the_loops_thread) {
  auto loop = new_event_loop();
  std::string thrown;
  in_another_thread([&] { thrown = thrown_by([&] { (void)loop->poll_fd(); }); });
  EXPECT_TRUE(contains(thrown, "loop.poll_fd(): called from thread ")) << thrown;
}

}  // namespace
}  // namespace asyncio::spec
