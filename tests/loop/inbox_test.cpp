// SPDX-License-Identifier: BSL-1.0
// The loop's door for other threads.
#include <asyncio/detail/future_core.hpp>
#include <asyncio/detail/inbox.hpp>
#include <asyncio/detail/loop_core.hpp>

#include "kernel/kernel.hpp"

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace asyncio::detail {
namespace {

struct bare_loop : loop_core {
  bare_loop() = default;
};

std::atomic<int> wakes{0}, closes{0}, counted_alive{0};

/// A future of the plainest kind: only its references matter.
constexpr future_kind counted_kind{[](future_core*) noexcept {}, [](future_core*, const shared_text&) { return false; },
                                   [](future_core* core) noexcept {
                                     inbox* home = core->home;
                                     delete core;
                                     counted_alive.fetch_sub(1);
                                     home->drop_user();
                                   }};
future_core* make_counted(inbox* home) {
  home->add_user();
  counted_alive.fetch_add(1);
  return new future_core(&counted_kind, home);
}

struct numbered : op {
  int n = 0;
};

class Inbox : public ::testing::Test {
 protected:
  Inbox() {
    wakes = closes = counted_alive = 0;
    box_ = new inbox(loop_, 7, [](int) noexcept { wakes.fetch_add(1); }, [](int) noexcept { closes.fetch_add(1); });
  }
  ~Inbox() override {
    if (box_ != nullptr) shut();
  }
  /// What the loop does at its end: closes the door, and is no user any more.
  std::vector<int> shut() {
    op_queue rest;
    box_->close(rest);
    std::vector<int> left = numbers(rest);
    std::exchange(box_, nullptr)->drop_user();
    return left;
  }
  static std::vector<int> numbers(op_queue& queue) {
    std::vector<int> all;
    while (op* node = queue.pop()) all.push_back(static_cast<numbered*>(node)->n);
    return all;
  }
  std::vector<int> drained() {
    op_queue queue;
    box_->drain(queue);
    return numbers(queue);
  }
  void run_mail() {
    op_queue mail;
    box_->drain(mail);
    while (op* node = mail.pop()) node->done(node);
  }
  bare_loop loop_;
  inbox* box_ = nullptr;
};

TEST_F(Inbox, gives_back_what_was_posted_oldest_first) {
  numbered nodes[5];
  for (int i = 0; i < 5; ++i) nodes[i].n = i;
  EXPECT_FALSE(box_->has_mail());
  for (numbered& n : nodes) EXPECT_TRUE(box_->post(&n));
  EXPECT_TRUE(box_->has_mail());
  EXPECT_EQ(drained(), (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_FALSE(box_->has_mail());
  EXPECT_EQ(drained(), std::vector<int>{});
}

// Law 8: nobody writes to the wake-up descriptor while the loop is awake.
TEST_F(Inbox, wakes_a_loop_that_sleeps_once_and_one_that_is_awake_not_at_all) {
  numbered nodes[4];
  box_->post(&nodes[0]);
  EXPECT_EQ(wakes.load(), 0);
  EXPECT_FALSE(box_->begin_sleep());  // there is mail
  (void)drained();
  EXPECT_TRUE(box_->begin_sleep());
  box_->post(&nodes[1]);
  box_->post(&nodes[2]);
  EXPECT_EQ(wakes.load(), 1);
  box_->end_sleep();
  box_->post(&nodes[3]);
  EXPECT_EQ(wakes.load(), 1);
  (void)drained();
}

TEST_F(Inbox, a_closed_door_takes_nothing_and_hands_out_what_came_last) {
  numbered before, after;
  before.n = 1;
  EXPECT_TRUE(box_->post(&before));
  op_queue rest;
  box_->close(rest);
  EXPECT_TRUE(box_->closed());
  EXPECT_EQ(box_->loop(), nullptr);
  EXPECT_EQ(numbers(rest), (std::vector<int>{1}));
  EXPECT_FALSE(box_->post(&after));
  EXPECT_EQ(closes.load(), 0);
  std::exchange(box_, nullptr)->drop_user();
  EXPECT_EQ(closes.load(), 1);
}

TEST_F(Inbox, belongs_to_the_thread_that_made_it_or_took_it_until_it_is_closed) {
  EXPECT_TRUE(box_->owned_here());
  std::thread([&] {
    EXPECT_FALSE(box_->owned_here());
    box_->take_ownership();
    EXPECT_TRUE(box_->owned_here());
  }).join();
  EXPECT_FALSE(box_->owned_here());
  box_->take_ownership();
  EXPECT_TRUE(box_->owned_here());
  shut();
}

TEST_F(Inbox, lives_until_its_last_user_is_gone) {
  future_core* core = make_counted(box_);
  shut();
  EXPECT_EQ(closes.load(), 0);
  core->release();
  EXPECT_EQ(counted_alive.load(), 0);
  EXPECT_EQ(closes.load(), 1);
}

// Biased counting (future_core.hpp): what other threads drop comes back to the owner, who alone frees.
TEST_F(Inbox, the_owner_frees_what_another_thread_dropped_last) {
  for (const bool owner_first : {true, false}) {
    future_core* core = make_counted(box_);
    core->add_ref();  // for the other thread
    if (owner_first) core->release();
    std::thread([&] { core->release(); }).join();
    EXPECT_EQ(counted_alive.load(), 1);
    if (!owner_first) core->release();
    run_mail();
    EXPECT_EQ(counted_alive.load(), 0);
  }
}

TEST_F(Inbox, references_that_were_added_and_dropped_elsewhere_cancel_out) {
  future_core* core = make_counted(box_);
  std::thread([&] {
    for (int i = 0; i < 100; ++i) core->add_ref();
    for (int i = 0; i < 100; ++i) core->release();
  }).join();
  EXPECT_FALSE(box_->has_mail());
  EXPECT_TRUE(core->only_reference());
  core->release();
  EXPECT_EQ(counted_alive.load(), 0);
}

TEST_F(Inbox, references_are_dropped_by_many_threads_at_once) {
  for (int round = 0; round < 100; ++round) {
    constexpr int threads_count = 4, each = 50;
    future_core* core = make_counted(box_);
    for (int i = 0; i < threads_count * each; ++i) core->add_ref();
    std::vector<std::thread> threads;
    for (int who = 0; who < threads_count; ++who)
      threads.emplace_back([core] {
        for (int i = 0; i < each; ++i) {
          core->add_ref();
          core->release();
          core->release();
        }
      });
    core->release();
    while (round % 2 == 0 && counted_alive.load() > 0) run_mail();
    for (std::thread& t : threads) t.join();
    run_mail();
    EXPECT_EQ(counted_alive.load(), 0);
  }
}

// The door closes while they do: whoever drops the last one frees it.
TEST_F(Inbox, references_are_dropped_by_many_threads_while_the_door_closes) {
  for (int round = 0; round < 200; ++round) {
    constexpr int threads_count = 3, each = 20;
    inbox* box = new inbox(loop_, 7, [](int) noexcept {}, [](int) noexcept {});
    std::vector<future_core*> cores;
    for (int i = 0; i < each; ++i) {
      cores.push_back(make_counted(box));
      for (int who = 0; who < threads_count; ++who) cores.back()->add_ref();
    }
    std::atomic<bool> go{false};
    std::vector<std::thread> threads;
    for (int who = 0; who < threads_count; ++who)
      threads.emplace_back([&] {
        while (!go.load()) std::this_thread::yield();
        for (future_core* core : cores) {
          core->add_ref();
          core->release();
          core->release();
        }
      });
    go = true;
    for (int i = 0; i < round % 5; ++i) std::this_thread::yield();
    op_queue rest;
    box->close(rest);
    while (op* node = rest.pop()) node->done(node);
    for (future_core* core : cores) core->release();
    box->drop_user();
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(counted_alive.load(), 0);
  }
}

// Many posters against one reader that sleeps whenever it can: nothing is lost, nothing is slept over, and each
// poster's things come in its order.
TEST_F(Inbox, many_posters_lose_nothing) {
  constexpr int posters = 4, each = 5000;
  std::vector<std::vector<numbered>> nodes(posters);
  for (int who = 0; who < posters; ++who) {
    nodes[static_cast<std::size_t>(who)].resize(each);
    for (int i = 0; i < each; ++i) nodes[static_cast<std::size_t>(who)][static_cast<std::size_t>(i)].n = who * each + i;
  }
  std::vector<std::thread> threads;
  for (std::vector<numbered>& mine : nodes)
    threads.emplace_back([&] {
      for (numbered& n : mine) EXPECT_TRUE(box_->post(&n));
    });
  std::vector<int> last(posters, -1);
  int seen = 0, woken = 0;
  while (seen < posters * each) {
    if (box_->begin_sleep()) {
      // Asleep: only a wake-up may end this.
      while (wakes.load() == woken) std::this_thread::yield();
      ++woken;
      box_->end_sleep();
    }
    for (const int n : drained()) {
      EXPECT_EQ(n % each, last[static_cast<std::size_t>(n / each)] + 1);
      last[static_cast<std::size_t>(n / each)] = n % each;
      ++seen;
    }
    woken = wakes.load();
  }
  for (std::thread& t : threads) t.join();
}

// Posters that meet a closing door: what they could not post is still theirs, all else is handed out.
TEST_F(Inbox, what_is_posted_while_the_door_closes_is_handed_out_or_refused) {
  for (int round = 0; round < 200; ++round) {
    inbox* box = new inbox(loop_, 7, [](int) noexcept {}, [](int) noexcept {});
    std::vector<numbered> nodes(64);
    std::atomic<int> refused{0};
    std::atomic<bool> go{false};
    box->add_user();
    std::thread poster([&] {
      while (!go.load()) std::this_thread::yield();
      for (numbered& n : nodes)
        if (!box->post(&n)) refused.fetch_add(1);
    });
    go = true;
    for (int i = 0; i < round % 7; ++i) std::this_thread::yield();
    op_queue taken;
    box->drain(taken);
    box->close(taken);
    poster.join();
    EXPECT_EQ(static_cast<std::size_t>(refused.load()) + numbers(taken).size(), nodes.size());
    box->drop_user();
    box->drop_user();
  }
}

// S29
TEST(WakeDescriptor, a_full_one_is_not_an_error_for_who_wakes) {
  const int fd = kernel::make_wake_fd();
  const std::uint64_t full = 0xfffffffffffffffe;
  ASSERT_EQ(::write(fd, &full, sizeof full), static_cast<ssize_t>(sizeof full));
  kernel::write_wake_fd(fd);
  kernel::write_wake_fd(fd);
  pollfd look{fd, POLLIN, 0};
  EXPECT_EQ(::poll(&look, 1, 0), 1);
  kernel::close_fd(fd);
}

}  // namespace
}  // namespace asyncio::detail
