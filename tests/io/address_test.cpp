// SPDX-License-Identifier: BSL-1.0
#include "io/address.hpp"

#include <asyncio/net.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace {

using asyncio::address_family;
using asyncio::socket_address;

TEST(SocketAddress, ReadsAndWritesAddressesInNumbers) {
  const socket_address v4("1.2.3.4", 80);
  EXPECT_EQ(v4.family(), address_family::inet);
  EXPECT_EQ(v4.host(), "1.2.3.4");
  EXPECT_EQ(v4.port(), 80);
  EXPECT_EQ(v4.to_string(), "1.2.3.4:80");
  const socket_address v6("::1", 65535);
  EXPECT_EQ(v6.family(), address_family::inet6);
  EXPECT_EQ(v6.host(), "::1");
  EXPECT_EQ(v6.port(), 65535);
  EXPECT_EQ(v6.to_string(), "[::1]:65535");
  EXPECT_EQ(socket_address("::ffff:1.2.3.4", 1).host(), "::ffff:1.2.3.4");
}

TEST(SocketAddress, KnowsScopes) {  // S180
  const socket_address by_name("fe80::1%lo", 1);
  EXPECT_EQ(by_name.host(), "fe80::1%lo");
  EXPECT_EQ(by_name.to_string(), "[fe80::1%lo]:1");
  EXPECT_EQ(socket_address("fe80::1%1", 1), by_name);
  EXPECT_NE(socket_address("fe80::1", 1), by_name);
  EXPECT_THROW(socket_address("fe80::1%no-such-interface", 1), std::invalid_argument);
}

TEST(SocketAddress, RefusesWhatIsNoAddressInNumbers) {
  for (const char* text :
       {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::g", "[::1]", "%lo", "1.2.3.4%lo"})
    EXPECT_THROW(socket_address(text, 1), std::invalid_argument) << text;
  EXPECT_THROW(socket_address(std::string_view("127.0.0.1\0.evil", 15), 1), std::invalid_argument);
  EXPECT_THROW(socket_address("127.0.0.1", 65536), std::invalid_argument);
  EXPECT_THROW(socket_address("127.0.0.1", -1), std::invalid_argument);
}

TEST(SocketAddress, ComparesAsAValue) {
  EXPECT_EQ(socket_address("127.0.0.1", 1), socket_address("127.0.0.1", 1));
  EXPECT_NE(socket_address("127.0.0.1", 1), socket_address("127.0.0.1", 2));
  EXPECT_NE(socket_address("127.0.0.1", 1), socket_address("::1", 1));
  EXPECT_EQ(socket_address(), socket_address());
}

TEST(SocketAddress, IsEmptyByDefault) {
  const socket_address none;
  EXPECT_EQ(none.family(), address_family::unspecified);
  EXPECT_EQ(none.host(), "");
  EXPECT_EQ(none.port(), 0);
  EXPECT_EQ(none.path(), "");
  EXPECT_EQ(none.to_string(), "");
}

TEST(SocketAddress, KnowsUnixPaths) {  // F18
  const auto path = socket_address::unix_path("/tmp/a.sock");
  EXPECT_EQ(path.family(), address_family::unix_);
  EXPECT_EQ(path.path(), "/tmp/a.sock");
  EXPECT_EQ(path.to_string(), "/tmp/a.sock");
  EXPECT_EQ(path.host(), "");
  EXPECT_EQ(path.port(), 0);
  const std::string longest(107, 'p');
  EXPECT_EQ(socket_address::unix_path(longest).path(), longest);
  EXPECT_THROW(socket_address::unix_path(std::string(108, 'p')), std::invalid_argument);
  EXPECT_THROW(socket_address::unix_path(""), std::invalid_argument);
  EXPECT_THROW(socket_address::unix_path(std::string_view("/tmp/a\0b", 8)), std::invalid_argument);
}

TEST(SocketAddress, KnowsAbstractUnixNames) {
  const std::string name("\0name\0x", 7);
  const auto abstract = socket_address::unix_path(name);
  EXPECT_EQ(abstract.path(), name);
  EXPECT_EQ(abstract.to_string(), "@name@x");
  EXPECT_EQ(socket_address::unix_path(std::string(108, '\0')).path().size(), 108u);
}

TEST(ParseNumeric, KeepsToTheFamily) {
  using asyncio::io::parse_numeric;
  EXPECT_TRUE(parse_numeric("127.0.0.1", 1, address_family::inet));
  EXPECT_FALSE(parse_numeric("127.0.0.1", 1, address_family::inet6));
  EXPECT_TRUE(parse_numeric("::1", 1, address_family::inet6));
  EXPECT_FALSE(parse_numeric("::1", 1, address_family::inet));
  EXPECT_TRUE(parse_numeric("::1", 1, address_family::unspecified));
}

}  // namespace
