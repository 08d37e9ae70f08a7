// SPDX-License-Identifier: BSL-1.0
#include "io/socket.hpp"

#include "io/io_test.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <stdexcept>
#include <vector>

namespace {

using namespace io_test;

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST(BindListeners, GivesAllAddressesThePortThatTheKernelChose) {
  const std::vector<socket_address> both{socket_address("127.0.0.1", 0), socket_address("::1", 0)};
  for (int round = 0; round < 20; ++round) {
    const auto bound = io::bind_listeners(both, {});
    ASSERT_EQ(bound.size(), 2u);
    EXPECT_NE(io::local_address(bound[0].get()).port(), 0);
    EXPECT_EQ(io::local_address(bound[0].get()).port(), io::local_address(bound[1].get()).port());
  }
}

TEST(BindListeners, BindsIpv4AndIpv6OfOnePortBesideEachOther) {  // S184
  const auto bound = io::bind_listeners(std::vector{socket_address("::", 0), socket_address("0.0.0.0", 0)}, {});
  ASSERT_EQ(bound.size(), 2u);
  EXPECT_EQ(option(bound[0].get(), IPPROTO_IPV6, IPV6_V6ONLY), 1);
}

TEST(BindListeners, SetsTheOptionsThatAcceptedSocketsInherit) {
  const auto plain = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {});
  EXPECT_EQ(option(plain[0].get(), SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(option(plain[0].get(), SOL_SOCKET, SO_REUSEPORT), 0);
  EXPECT_EQ(option(plain[0].get(), SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option(plain[0].get(), IPPROTO_TCP, TCP_NODELAY), 1);
  const auto other = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {false, true, true});
  EXPECT_EQ(option(other[0].get(), SOL_SOCKET, SO_REUSEADDR), 0);
  EXPECT_EQ(option(other[0].get(), SOL_SOCKET, SO_REUSEPORT), 1);
  EXPECT_EQ(option(other[0].get(), SOL_SOCKET, SO_KEEPALIVE), 1);

  io::start_listening(other[0].get(), 1);
  const socket_address address = io::local_address(other[0].get());
  const auto client = io::open_stream_socket(asyncio::address_family::inet);
  ::connect(client.get(), io::address_access::data(address), io::address_access::size(address));
  const io::unique_fd accepted(::accept4(other[0].get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_GE(accepted.get(), 0);
  EXPECT_EQ(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY), 1);  // S173
  EXPECT_EQ(option(accepted.get(), SOL_SOCKET, SO_KEEPALIVE), 1);
}

TEST(BindListeners, NamesTheAddressThatIsInUseAndClosesTheOthers) {  // S184
  const auto taken = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {});
  io::start_listening(taken[0].get(), 1);
  const int port = io::local_address(taken[0].get()).port();
  const std::size_t before = test::open_descriptors();
  try {
    io::bind_listeners(std::vector{socket_address("127.0.0.2", port), socket_address("127.0.0.1", port)}, {});
    FAIL();
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), std::errc::address_in_use);
    EXPECT_EQ(std::string(e.what()), "cannot bind to 127.0.0.1:" + std::to_string(port) + ": Address already in use");
  }
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(BindListeners, LeavesOutAddressesThatThisMachineDoesNotHave) {
  const socket_address foreign("192.0.2.1", 0);
  const auto bound = io::bind_listeners(std::vector{foreign, socket_address("127.0.0.1", 0)}, {});
  ASSERT_EQ(bound.size(), 1u);
  EXPECT_EQ(io::local_address(bound[0].get()).host(), "127.0.0.1");
  try {
    io::bind_listeners(std::vector{foreign}, {});
    FAIL();
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), std::errc::address_not_available);
    EXPECT_NE(std::string(e.what()).find("192.0.2.1:0"), std::string::npos);
  }
}

TEST(AdoptStreamSocket, MakesItNonBlocking) {
  const io::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  io::adopt_stream_socket(fd.get());
  EXPECT_NE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(option(fd.get(), IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST(AdoptStreamSocket, RefusesWhatIsNoStreamSocket) {  // S182
  const io::unique_fd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_THROW(io::adopt_stream_socket(datagrams.get()), std::invalid_argument);
  const io::unique_fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_THROW(io::adopt_stream_socket(file.get()), std::invalid_argument);
  EXPECT_THROW(io::adopt_stream_socket(1'000'000), std::system_error);
}

}  // namespace
