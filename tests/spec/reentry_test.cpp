// SPDX-License-Identifier: BSL-1.0
// Closures whose destructors call the loop, while it lets go of them.
#include "spec/spec.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <functional>
#include <memory>

namespace asyncio::spec {
namespace {

/// Calls a function when its last copy goes.
class at_end {
 public:
  explicit at_end(std::function<void()> f) : f_(std::make_shared<caller>(std::move(f))) {}

 private:
  struct caller {
    explicit caller(std::function<void()> g) : f(std::move(g)) {}
    caller(const caller&) = delete;
    ~caller() { f(); }
    std::function<void()> f;
  };
  std::shared_ptr<caller> f_;
};

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
    ::close(a);
    ::close(b);
  }
};

class Reentry : public ::testing::Test {
 protected:
  void run_for(timedelta time) {
    loop_->call_later(time, [this] { loop_->stop(); });
    loop_->run_forever();
  }
  testing::virtual_clock clock_;
  std::unique_ptr<event_loop> loop_ = new_event_loop({.clock = clock_});
  journal happened;
};

TEST_F(Reentry, a_signal_handler_that_goes_may_remove_the_handler_of_its_signal) {
  const auto removes = [this] { happened(loop_->remove_signal_handler(SIGUSR1) ? "another" : "none"); };
  loop_->add_signal_handler(SIGUSR1, [end = at_end(removes)] {});
  EXPECT_TRUE(loop_->remove_signal_handler(SIGUSR1));
  EXPECT_EQ(happened.seen(), (lines{"none"}));
}

TEST_F(Reentry, a_signal_handler_that_is_replaced_may_remove_the_one_that_replaced_it) {
  const auto removes = [this] { happened(loop_->remove_signal_handler(SIGUSR1) ? "the new one" : "none"); };
  loop_->add_signal_handler(SIGUSR1, [end = at_end(removes)] {});
  loop_->add_signal_handler(SIGUSR1, [] {});
  EXPECT_EQ(happened.seen(), (lines{"the new one"}));
  EXPECT_FALSE(loop_->remove_signal_handler(SIGUSR1));
}

TEST_F(Reentry, a_signal_handler_that_is_replaced_may_set_another_which_is_the_newest) {
  const auto sets = [this] { loop_->add_signal_handler(SIGUSR1, [this] { happened("set by the old one"); }); };
  loop_->add_signal_handler(SIGUSR1, [end = at_end(sets)] {});
  loop_->add_signal_handler(SIGUSR1, [this] { happened("replaces the old one"); });
  ::raise(SIGUSR1);
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"set by the old one"}));
  EXPECT_TRUE(loop_->remove_signal_handler(SIGUSR1));
  EXPECT_FALSE(loop_->remove_signal_handler(SIGUSR1));
}

TEST_F(Reentry, a_signal_handler_may_remove_itself_while_the_loop_is_closed) {
  const auto removes = [this] { happened(loop_->remove_signal_handler(SIGUSR1) ? "another" : "none"); };
  loop_->add_signal_handler(SIGUSR1, [end = at_end(removes)] {});
  loop_->close();
  EXPECT_EQ(happened.seen(), (lines{"none"}));
}

TEST_F(Reentry, a_reader_that_is_replaced_may_set_another_which_is_the_newest) {
  socket_pair pair;
  const int fd = pair.a;
  loop_->add_reader(fd, [this, fd, end = at_end([this, fd] {
                                     loop_->add_reader(fd, [this, fd] {
                                       char byte;
                                       (void)::recv(fd, &byte, 1, 0);
                                       happened("set by the old one");
                                     });
                                   })] {
    happened("the old one");
    const int unwatchable = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(unwatchable, fd);  // somebody else's under its number: it is called no more, and stays
    ::close(unwatchable);
  });
  ASSERT_EQ(::send(pair.b, "x", 1, MSG_NOSIGNAL), 1);
  run_for(1s);
  socket_pair other;
  ASSERT_EQ(::dup2(other.a, fd), fd);
  loop_->add_reader(fd, [this] { happened("replaces the old one"); });
  run_for(1s);
  ASSERT_EQ(::send(other.b, "x", 1, MSG_NOSIGNAL), 1);
  run_for(1s);
  EXPECT_EQ(happened.seen(), (lines{"the old one", "set by the old one"}));
  EXPECT_TRUE(loop_->remove_reader(fd));
  EXPECT_FALSE(loop_->remove_reader(fd));
  loop_->close();
  EXPECT_EQ(happened.seen(), (lines{"the old one", "set by the old one"}));
}

TEST_F(Reentry, a_closed_loop_takes_no_task_from_the_closures_that_it_lets_go) {
  const testing::ledger before = testing::ledger::now();
  {
    socket_pair pair;
    auto loop = new_event_loop({.clock = clock_});
    const auto creates = [this, &loop] {
      happened(thrown_by([&] { loop->create_task(sleep(1h)); }));
      happened(thrown_by([&] { loop->call_soon([this] { happened("called"); }); }));
      happened(thrown_by([&] { loop->call_later(1h, [this] { happened("called"); }); }));
    };
    loop->add_signal_handler(SIGUSR1, [end = at_end(creates)] {});
    loop->close();
    EXPECT_EQ(happened.seen(), (lines{"runtime_error(create_task(): the event loop is closed)",
                                      "runtime_error(loop.call_soon(): the event loop is closed)",
                                      "runtime_error(loop.call_later(): the event loop is closed)"}));
  }
  testing::ledger::now().check_nothing_left_since(before);
}

}  // namespace
}  // namespace asyncio::spec
