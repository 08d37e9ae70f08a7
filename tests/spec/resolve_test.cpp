// SPDX-License-Identifier: BSL-1.0
// getaddrinfo and getnameinfo, as far as no name server is needed.
#include "spec/spec.hpp"

#include <netdb.h>
#include <sys/socket.h>

namespace asyncio::spec {
namespace {

using addresses = std::vector<socket_address>;

TEST(resolve, an_address_in_numbers_needs_no_resolver) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const addresses four = co_await loop.getaddrinfo("127.0.0.1", 80);
    EXPECT_EQ(four, addresses{socket_address("127.0.0.1", 80)});
    const addresses six = co_await loop.getaddrinfo("::1", 0, {.type = SOCK_DGRAM});
    EXPECT_EQ(six, addresses{socket_address("::1", 0)});
    EXPECT_EQ(loop.metrics().inflight, 0u);
  });
}

TEST(resolve, this_machine_has_a_name) {
  asyncio::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const addresses found = co_await loop.getaddrinfo("localhost", 80, {.family = address_family::inet});
    EXPECT_EQ(found, addresses{socket_address("127.0.0.1", 80)}) << "each address once, whatever its types";
    const addresses all = co_await loop.getaddrinfo("", 80, {.family = address_family::inet, .flags = AI_PASSIVE});
    EXPECT_EQ(all, addresses{socket_address("0.0.0.0", 80)});
  });
}

TEST(resolve, the_options_reach_the_resolver) {
  asyncio::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    std::error_code code;
    try {
      (void)co_await loop.getaddrinfo("localhost", 80, {.flags = AI_NUMERICHOST});
    } catch (const gai_error& e) {
      code = e.code();
    }
    EXPECT_EQ(code.value(), EAI_NONAME);
    const addresses mapped =
        co_await loop.getaddrinfo("127.0.0.1", 80, {.family = address_family::inet6, .flags = AI_V4MAPPED});
    EXPECT_EQ(mapped, addresses{socket_address("::ffff:127.0.0.1", 80)});
    code = {};
    try {
      (void)co_await loop.getaddrinfo("127.0.0.1", 80, {.type = SOCK_STREAM, .proto = 17});  // UDP
    } catch (const gai_error& e) {
      code = e.code();
    }
    EXPECT_NE(code.value(), 0) << "no stream speaks UDP";
  });
}

TEST(resolve, what_cannot_be_a_name_or_a_port_is_refused) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string port = co_await ending(loop.getaddrinfo("localhost", 65536));
    EXPECT_EQ(port, "invalid_argument");
    const std::string host = co_await ending(loop.getaddrinfo(std::string(300, 'a'), 80));
    EXPECT_EQ(host, "invalid_argument");
    const std::string path = co_await ending(loop.getnameinfo(socket_address::unix_path("/tmp/x")));
    EXPECT_EQ(path, "invalid_argument");
    const std::string empty = co_await ending(loop.getnameinfo(socket_address()));
    EXPECT_EQ(empty, "invalid_argument");
  });
}

TEST(resolve, the_host_is_copied_by_the_call) {
  testing::run([]() -> coroutine<> {
    std::string host = "127.0.0.1";
    coroutine<addresses> asking = get_running_loop().getaddrinfo(host, 1);
    host = "nonsense";
    const addresses found = co_await std::move(asking);
    EXPECT_EQ(found, addresses{socket_address("127.0.0.1", 1)});
  });
}

TEST(resolve, getnameinfo_gives_numbers_without_a_resolver_and_names_with_one) {
  asyncio::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    constexpr int numeric = NI_NUMERICHOST | NI_NUMERICSERV;
    auto [host, service] = co_await loop.getnameinfo(socket_address("::1", 8080), numeric);
    EXPECT_EQ(host, "::1");
    EXPECT_EQ(service, "8080");
    auto [four, name] = co_await loop.getnameinfo(socket_address("127.0.0.1", 65000), NI_NUMERICHOST);
    EXPECT_EQ(four, "127.0.0.1");
    EXPECT_EQ(name, "65000") << "a port without a name keeps its number";
  });
}

}  // namespace
}  // namespace asyncio::spec
