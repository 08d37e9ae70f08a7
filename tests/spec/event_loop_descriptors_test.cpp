// SPDX-License-Identifier: BSL-1.0
// add_reader, add_writer, readable, writable.
#include "spec/spec.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstdio>
#include <memory>
#include <thread>

namespace asyncio::spec {
namespace {

/// Two connected ends, closed at the end of the test.
struct socket_pair {
  int a = -1, b = -1;
  socket_pair() {
    int both[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) != 0)
      throw std::runtime_error("socketpair");
    a = both[0];
    b = both[1];
  }
  socket_pair(const socket_pair&) = delete;
  ~socket_pair() {
    close_a();
    if (b >= 0) ::close(b);
  }
  void close_a() {
    if (a >= 0) ::close(std::exchange(a, -1));
  }
};

void send_byte(int fd) { ASSERT_EQ(::send(fd, "x", 1, MSG_NOSIGNAL), 1); }
int take_bytes(int fd) {
  char buffer[100];
  return static_cast<int>(::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT));
}

class Descriptors : public ::testing::Test {
 protected:
  void run_for(timedelta time) {
    loop_->call_later(time, [this] { loop_->stop(); });
    loop_->run_forever();
  }
  testing::virtual_clock clock_;
  std::unique_ptr<event_loop> loop_ = new_event_loop({.clock = clock_});
  socket_pair pair;
  journal happened;
};

TEST_F(Descriptors, a_reader_is_called_as_long_as_there_is_something_to_read) {
  int calls = 0;
  loop_->add_reader(pair.a, [&] {
    if (++calls >= 3) (void)take_bytes(pair.a);
  });
  run_for(1s);
  EXPECT_EQ(calls, 0);
  send_byte(pair.b);
  send_byte(pair.b);
  run_for(1s);
  EXPECT_EQ(calls, 3);
  run_for(1s);
  EXPECT_EQ(calls, 3);
  send_byte(pair.b);
  run_for(1s);
  EXPECT_EQ(calls, 4);
  EXPECT_TRUE(loop_->remove_reader(pair.a));
  EXPECT_FALSE(loop_->remove_reader(pair.a));
}

TEST_F(Descriptors, an_end_of_file_counts_as_something_to_read) {
  loop_->add_reader(pair.b, [&] {
    happened("end " + std::to_string(take_bytes(pair.b)));
    loop_->remove_reader(pair.b);
  });
  pair.close_a();
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"end 0"}));
}

TEST_F(Descriptors, a_second_reader_replaces_the_first_and_frees_it) {
  auto owned = std::make_shared<int>(1);
  loop_->add_reader(pair.a, [this, owned] { happened("first"); });
  loop_->add_reader(pair.a, [this] {
    happened("second");
    (void)take_bytes(pair.a);
  });
  send_byte(pair.b);
  run_for(1s);
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_EQ(happened.seen(), (lines{"second"}));
  loop_->remove_reader(pair.a);
}

// S3
TEST_F(Descriptors, reader_and_writer_of_one_descriptor_are_called_reader_first) {
  send_byte(pair.b);
  loop_->add_writer(pair.a, [this] {
    happened("writer");
    loop_->remove_writer(pair.a);
  });
  loop_->add_reader(pair.a, [this] {
    happened("reader");
    loop_->remove_reader(pair.a);
  });
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"reader", "writer"}));
}

TEST_F(Descriptors, a_reader_may_remove_or_replace_itself) {
  auto owned = std::make_shared<std::string>("first");
  send_byte(pair.b);
  loop_->add_reader(pair.a, [this, owned] {
    loop_->add_reader(pair.a, [this] {
      happened("second");
      loop_->remove_reader(pair.a);
      happened("removed");
    });
    happened(*owned);
  });
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"first", "second", "removed"}));
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(Descriptors, one_that_is_removed_in_the_turn_in_which_it_is_ready_is_not_called) {
  send_byte(pair.b);
  loop_->add_reader(pair.a, [this] { happened("never"); });
  loop_->call_soon([this] { loop_->remove_reader(pair.a); });
  loop_->remove_reader(pair.a);
  run_for(1s);
  EXPECT_EQ(happened.seen(), lines{});
}

// The owner may close it and get the same number again for something else.
TEST_F(Descriptors, a_number_that_is_used_again_belongs_to_its_new_owner) {
  const int number = pair.a;
  loop_->add_reader(number, [this] { happened("old"); });
  run_for(1s);
  EXPECT_TRUE(loop_->remove_reader(number));
  pair.close_a();
  socket_pair other;
  ASSERT_EQ(::dup2(other.a, number), number);
  loop_->add_reader(number, [&] {
    happened("new");
    (void)take_bytes(number);
  });
  send_byte(other.b);
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"new"}));
  loop_->remove_reader(number);
  ::close(number);
}

TEST_F(Descriptors, what_cannot_be_watched_is_refused_and_the_callback_freed) {
  auto owned = std::make_shared<int>(1);
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_THROW(loop_->add_reader(::fileno(file), [owned] {}), std::system_error);
  EXPECT_THROW(loop_->add_reader(-1, [owned] {}), std::system_error);
  EXPECT_FALSE(loop_->remove_reader(::fileno(file)));
  EXPECT_EQ(owned.use_count(), 1);
  std::fclose(file);
}

TEST_F(Descriptors, readable_and_writable_can_be_awaited) {
  loop_->run_until_complete([&]() -> coroutine<> {
    const stopwatch watch;
    co_await loop_->writable(pair.a);
    loop_->call_later(2s, [&] { send_byte(pair.b); });
    co_await loop_->readable(pair.a);
    happened(watch.at("readable " + std::to_string(take_bytes(pair.a))));
  });
  EXPECT_EQ(happened.seen(), (lines{"2000 readable 1"}));
}

// S66, S41
TEST_F(Descriptors, a_cancelled_wait_ends_and_leaves_the_descriptor_usable) {
  loop_->run_until_complete([&]() -> coroutine<> {
    const std::string late = co_await ending(wait_for(loop_->readable(pair.a), 1s));
    EXPECT_EQ(late, "timeout_error");
    task<> t = create_task(loop_->readable(pair.a));
    co_await sleep(0s);
    t.cancel("away");
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(away)");
    send_byte(pair.b);
    co_await loop_->readable(pair.a);
    EXPECT_EQ(take_bytes(pair.a), 1);
  });
  EXPECT_EQ(loop_->metrics().inflight, 0u);
}

TEST_F(Descriptors, a_wait_that_is_left_over_is_ended_with_the_loop) {
  std::string end;
  loop_->create_task([&]() -> coroutine<> { end = co_await ending(loop_->readable(pair.a)); });
  run_for(1s);
  loop_->close();
  EXPECT_EQ(end, "cancelled_error");
}

TEST_F(Descriptors, poll_fd_is_readable_when_there_is_something_to_do) {
  loop_->add_reader(pair.a, [this] {
    happened("reader");
    loop_->remove_reader(pair.a);
  });
  (void)loop_->run_once(0s);
  auto watcher = new_event_loop();
  send_byte(pair.b);
  watcher->run_until_complete(watcher->readable(loop_->poll_fd()));
  (void)loop_->run_once(0s);
  EXPECT_EQ(happened.seen(), (lines{"reader"}));
}

// For guests: the descriptor and the deadline together miss nothing.
TEST_F(Descriptors, poll_fd_wakes_for_other_threads_and_the_deadline_is_now_when_something_is_ready) {
  EXPECT_EQ(loop_->next_deadline(), std::nullopt);
  loop_->call_soon([this] { happened("soon"); });
  EXPECT_EQ(loop_->next_deadline(), loop_->time());
  const int fd = loop_->poll_fd();
  (void)loop_->run_once(0s);
  EXPECT_EQ(loop_->next_deadline(), std::nullopt);
  std::thread([this] { loop_->call_soon_threadsafe([this] { happened("from a thread"); }); }).join();
  auto watcher = new_event_loop();
  watcher->run_until_complete(wait_for(watcher->readable(fd), 10s));
  (void)loop_->run_once(0s);
  EXPECT_EQ(happened.seen(), (lines{"soon", "from a thread"}));
}

TEST(DescriptorSweep, waiting_for_a_descriptor_may_be_cancelled_anywhere) {
  EXPECT_GE(testing::inject_cancel([]() -> coroutine<> {
              socket_pair pair;
              event_loop& loop = get_running_loop();
              const timer_handle timer = loop.call_later(1s, [&] { send_byte(pair.b); });
              std::exception_ptr error;
              try {
                co_await loop.writable(pair.a);
                co_await loop.readable(pair.a);
                EXPECT_EQ(take_bytes(pair.a), 1);
              } catch (...) {
                error = std::current_exception();
              }
              timer.cancel();
              if (error != nullptr) std::rethrow_exception(error);
            }),
            1u);
}

}  // namespace
}  // namespace asyncio::spec
