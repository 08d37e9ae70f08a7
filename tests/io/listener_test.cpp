// SPDX-License-Identifier: BSL-1.0
#include "io/listener.hpp"

#include "io/io_test.hpp"

#include <vector>

namespace {

using namespace io_test;

struct recording_listener_user final : io::listener_user {
  void accepted(io::unique_fd fd, const socket_address& peer) noexcept override {
    accepted_fds.push_back(std::move(fd));
    peers.push_back(peer);
    if (then) then();
  }
  void accept_failed(int error, bool for_good) noexcept override {
    errors.push_back(error);
    final_error |= for_good;
  }
  std::vector<io::unique_fd> accepted_fds;
  std::vector<socket_address> peers;
  std::vector<int> errors;
  bool final_error = false;
  std::function<void()> then;
};

class Listener : public testing::Test {
 protected:
  Listener() {
    auto bound = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {});
    listener = io::listener::make(*loop, std::move(bound[0]), user);
  }
  ~Listener() override {
    listener->close();
    run_turns(*loop, 3);
    listener = {};
    EXPECT_EQ(loop->in_flight(), 0u);
  }
  io::unique_fd connect() {
    io::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const socket_address to = listener->address();
    EXPECT_EQ(::connect(fd.get(), io::address_access::data(to), io::address_access::size(to)), 0);
    return fd;
  }
  std::vector<io::unique_fd> connect(int n) {
    std::vector<io::unique_fd> all;
    for (int i = 0; i < n; ++i) all.push_back(connect());
    return all;
  }
  bool until_accepted(std::size_t n) {
    return run_until(*loop, [&] { return user.accepted_fds.size() >= n; });
  }

  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  recording_listener_user user;
  io::ref<io::listener> listener;
};

TEST_F(Listener, AcceptsNothingBeforeItIsStarted) {
  io::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const socket_address to = listener->address();
  EXPECT_NE(to.port(), 0);
  EXPECT_NE(::connect(fd.get(), io::address_access::data(to), io::address_access::size(to)), 0);
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_F(Listener, GivesConnectionsWithTheirPeersFromTheLoop) {
  listener->start(10);
  listener->start(10);
  const auto client = connect();
  EXPECT_TRUE(user.accepted_fds.empty());
  ASSERT_TRUE(until_accepted(1));
  EXPECT_EQ(user.peers[0], io::local_address(client.get()));
}

TEST_F(Listener, AcceptsAtMostItsBacklogAndOneMoreATurn) {  // S185
  listener->start(3);
  const auto clients = connect(4);
  run_turns(*loop, 1);
  EXPECT_EQ(user.accepted_fds.size(), 4u);
  const auto more = connect(2);
  ASSERT_TRUE(until_accepted(6));
}

TEST_F(Listener, LeavesConnectionsInTheBacklogWhileItIsPaused) {
  listener->start(10);
  user.then = [this] {
    if (user.accepted_fds.size() == 2) listener->pause();
  };
  const auto clients = connect(5);
  ASSERT_TRUE(until_accepted(2));
  run_turns(*loop, 5);
  EXPECT_EQ(user.accepted_fds.size(), 2u);
  listener->resume();
  ASSERT_TRUE(until_accepted(5));
}

TEST_F(Listener, GoesOnWhenAPauseIsTakenBackAtOnce) {
  listener->start(10);
  run_turns(*loop, 3);
  EXPECT_EQ(loop->in_flight(), 1u);
  listener->pause();
  listener->resume();
  const auto clients = connect(2);
  ASSERT_TRUE(until_accepted(2));
  listener->pause();
  run_turns(*loop, 3);
  EXPECT_EQ(loop->in_flight(), 0u);
  const auto late = connect(1);
  run_turns(*loop, 3);
  EXPECT_EQ(user.accepted_fds.size(), 2u);
}

TEST_F(Listener, RefusesConnectionsFromTheMomentItIsClosed) {
  listener->start(10);
  run_turns(*loop, 3);
  const socket_address to = listener->address();
  const std::size_t before = test::open_descriptors();
  listener->close();
  listener->close();
  EXPECT_EQ(test::open_descriptors(), before - 1);
  io::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(fd.get(), io::address_access::data(to), io::address_access::size(to)), 0);
  const auto again = io::bind_listeners(std::vector{to}, {});
  EXPECT_EQ(again.size(), 1u) << "and its address is free";
}

TEST_F(Listener, MayBeClosedFromWithinAccepted) {
  listener->start(10);
  user.then = [this] { listener->close(); };
  const auto clients = connect(3);
  ASSERT_TRUE(until_accepted(1));
  run_turns(*loop, 3);
  EXPECT_EQ(user.accepted_fds.size(), 1u);
}

TEST_F(Listener, EndsWithItsLoop) {
  listener->start(10);
  run_turns(*loop, 3);
  loop.reset();
  listener->pause();
  listener->resume();
  listener->close();
  loop = make_loop();
}

}  // namespace
