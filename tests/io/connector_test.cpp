// SPDX-License-Identifier: BSL-1.0
#include "io/connector.hpp"

#include "io/connector_test.hpp"

namespace {

using namespace io_test;

std::vector<std::string> hosts(const std::vector<socket_address>& addresses) {
  std::vector<std::string> all;
  for (const auto& a : addresses) all.push_back(a.host());
  return all;
}

TEST(Interleave, LetsTheFamiliesTakeTurns) {  // RFC 8305
  const std::vector<socket_address> found{socket_address("::1", 1), socket_address("::2", 1), socket_address("::3", 1),
                                          socket_address("1.1.1.1", 1), socket_address("2.2.2.2", 1)};
  using names = std::vector<std::string>;
  EXPECT_EQ(hosts(io::interleave(found, 0)), (names{"::1", "::2", "::3", "1.1.1.1", "2.2.2.2"}));
  EXPECT_EQ(hosts(io::interleave(found, 1)), (names{"::1", "1.1.1.1", "::2", "2.2.2.2", "::3"}));
  EXPECT_EQ(hosts(io::interleave(found, 2)), (names{"::1", "::2", "1.1.1.1", "::3", "2.2.2.2"}));
  EXPECT_EQ(hosts(io::interleave(found, 9)), (names{"::1", "::2", "::3", "1.1.1.1", "2.2.2.2"}));
  EXPECT_TRUE(io::interleave({}, 1).empty());
}

class Connector : public connector_fixture {};

TEST_F(Connector, ConnectsToAnAddressInNumbers) {
  open_listener("127.0.0.1");
  ASSERT_TRUE(connect({"127.0.0.1", port()}));
  ASSERT_EQ(answer.error, nullptr);
  EXPECT_EQ(io::peer_address(answer.fd.get()), socket_address("127.0.0.1", port()));
  EXPECT_EQ(answer.peer, socket_address("127.0.0.1", port()));
}

TEST_F(Connector, NeverAnswersFromInsideStart) {
  start({"127.0.0.1", closed_port()});
  EXPECT_EQ(answer.times, 0);
  ASSERT_TRUE(until_answered());
  EXPECT_EQ(answer.times, 1);
}

TEST_F(Connector, ResolvesNamesOffTheLoop) {
  open_listener("127.0.0.1");
  ASSERT_TRUE(connect({"localhost", port(), asyncio::address_family::inet}));
  ASSERT_EQ(answer.error, nullptr) << text_of(answer.error);
}

TEST_F(Connector, NamesTheAddressThatRefused) {  // S180: one error is that error
  const int port = closed_port();
  ASSERT_TRUE(connect({"127.0.0.1", port}));
  EXPECT_EQ(code_of(answer.error), ECONNREFUSED);
  EXPECT_EQ(text_of(answer.error), "cannot connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

TEST_F(Connector, ConnectsFromALocalAddress) {  // S183
  open_listener("127.0.0.1");
  query.local = io::name_query{"127.0.0.2", 0};
  ASSERT_TRUE(connect({"127.0.0.1", port()}));
  ASSERT_EQ(answer.error, nullptr);
  EXPECT_EQ(io::local_address(answer.fd.get()).host(), "127.0.0.2");
}

TEST_F(Connector, NeedsALocalAddressOfTheRightFamily) {  // S183
  open_listener("127.0.0.1");
  query.local = io::name_query{"::1", 0};
  ASSERT_TRUE(connect({"127.0.0.1", port()}));
  EXPECT_EQ(code_of(answer.error), EADDRNOTAVAIL);
}

TEST_F(Connector, SaysWhichLocalAddressIsTaken) {  // S183
  open_listener("127.0.0.1");
  query.local = io::name_query{"127.0.0.1", port()};
  ASSERT_TRUE(connect({"127.0.0.1", port()}));
  EXPECT_EQ(code_of(answer.error), EADDRINUSE);
  EXPECT_EQ(text_of(answer.error), "cannot bind to 127.0.0.1:" + std::to_string(port()) + ": Address already in use");
}

TEST_F(Connector, DoesNotConnectAPortWithItself) {
  const int port = closed_port();
  reserved = {};
  query.local = io::name_query{"127.0.0.1", port};
  ASSERT_TRUE(connect({"127.0.0.1", port}));
  EXPECT_EQ(code_of(answer.error), ECONNREFUSED);
}

TEST_F(Connector, ClosesItsSocketWhenItIsCancelledAtAnyTurn) {  // S181
  open_listener("127.0.0.1");
  for (int turns = 0; turns < 6; ++turns) {
    const std::size_t before = test::open_descriptors();
    start({"localhost", port(), asyncio::address_family::inet});
    run_turns(*loop, turns);
    connector->cancel();
    connector->cancel();
    connector = {};
    ASSERT_TRUE(run_until(*loop, [&] { return loop->in_flight() == 0; }));
    answer = {};
    // A lookup that was abandoned may still have a file of the resolver's open.
    EXPECT_TRUE(run_until(*loop, [&] { return test::open_descriptors() <= before; })) << turns;
  }
  EXPECT_EQ(loop->timer_count(), 0u);
}

TEST_F(Connector, EndsWithItsLoop) {
  open_listener("127.0.0.1");
  for (const char* host : {"127.0.0.1", "localhost"}) {
    start({host, port(), asyncio::address_family::inet});
    run_turns(*loop, 1);
    loop.reset();
    connector->cancel();
    connector = {};
    loop = make_loop();
  }
}

}  // namespace
