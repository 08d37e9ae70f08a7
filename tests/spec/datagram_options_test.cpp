// SPDX-License-Identifier: BSL-1.0
// datagrams.hpp: how endpoints are opened, over UDP and over Unix sockets; multicast groups.
#include "spec/datagrams_test.hpp"
#include "support/scratch_folder.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <net/if.h>

namespace asyncio::spec {
namespace {

namespace fs = std::filesystem;
using test::scratch_folder;

// ---- opening

// S177
TEST(DatagramOptions, that_do_not_fit_together_are_refused) {
  testing::run([]() -> coroutine<> {
    const std::string none = co_await refusal({});
    EXPECT_EQ(none, "a datagram endpoint needs local_addr, remote_addr, family or sock");
    const bound_socket bound(SOCK_DGRAM);
    constexpr const char* alone = "sock excludes local_addr, remote_addr, family, reuse_port and allow_broadcast";
    const std::string beside_local = co_await refusal({.local_addr = {"127.0.0.1", 0}, .sock = bound.fd});
    const std::string beside_remote = co_await refusal({.remote_addr = {"127.0.0.1", 1}, .sock = bound.fd});
    const std::string beside_family = co_await refusal({.family = address_family::inet, .sock = bound.fd});
    const std::string beside_port = co_await refusal({.reuse_port = true, .sock = bound.fd});
    const std::string beside_broadcast = co_await refusal({.allow_broadcast = true, .sock = bound.fd});
    EXPECT_EQ(beside_local, alone);
    EXPECT_EQ(beside_remote, alone);
    EXPECT_EQ(beside_family, alone);
    EXPECT_EQ(beside_port, alone);
    EXPECT_EQ(beside_broadcast, alone);
    const std::string families = co_await refusal({.local_addr = {"127.0.0.1", 0}, .remote_addr = {"::1", 1}});
    EXPECT_EQ(families, "local_addr and remote_addr have no address of one family");
    const std::string port = co_await refusal({.local_addr = {"127.0.0.1", 70'000}});
    EXPECT_EQ(port, "port must be 0-65535, not 70000");
    const std::string limit = co_await refusal({.family = address_family::inet, .limit = 0});
    EXPECT_EQ(limit, "the limit of a datagram endpoint must be greater than 0");
    const std::string unix_port = co_await refusal({.local_addr = {"/x", 5}, .family = address_family::unix_});
    EXPECT_EQ(unix_port, "a port is not meaningful for a Unix socket");
  });
}

// S177
TEST(DatagramOptions, a_socket_of_ones_own_is_taken_over_unless_it_is_of_another_kind) {
  testing::run([]() -> coroutine<> {
    const owned_fd stream = new_socket(SOCK_STREAM);
    const std::string refused = co_await refusal({.sock = stream});
    EXPECT_EQ(refused, "a datagram socket was expected, got descriptor " + std::to_string(stream));
    EXPECT_GE(::fcntl(stream, F_GETFD), 0) << "still its owner's";
    bound_socket mine(SOCK_DGRAM);
    datagram_endpoint a = co_await open_datagram_endpoint({.sock = ::dup(mine.fd)});
    EXPECT_EQ(a.sockname(), mine.address);
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.send("x");
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "x");
    const std::string closed = co_await refusal({.sock = 999'999});
    EXPECT_TRUE(closed.starts_with("sock 999999")) << closed;
  });
}

// S14 of the reliability table: nobody shares a port by chance
TEST(DatagramOptions, a_port_is_not_shared_unless_all_of_them_want_that) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    const std::string taken = co_await refusal({.local_addr = {"127.0.0.1", a.port()}});
    EXPECT_EQ(taken, "cannot bind to " + a.sockname().to_string() + ": Address already in use");
    const std::string half = co_await refusal({.local_addr = {"127.0.0.1", a.port()}, .reuse_port = true});
    EXPECT_EQ(half, taken);
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(a.fileno(), SOL_SOCKET, SO_REUSEADDR, &value, &size), 0);
    EXPECT_EQ(value, 0);
    datagram_endpoint b = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}, .reuse_port = true});
    datagram_endpoint c = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", b.port()}, .reuse_port = true});
    EXPECT_EQ(b.port(), c.port());
  });
}

TEST(DatagramOptions, names_are_resolved_and_family_chooses) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a =
        co_await open_datagram_endpoint({.local_addr = {"localhost", 0}, .family = address_family::inet});
    EXPECT_EQ(a.sockname().host(), "127.0.0.1");
    datagram_endpoint b =
        co_await open_datagram_endpoint({.remote_addr = {"localhost", a.port()}, .family = address_family::inet});
    co_await b.send("by name");
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "by name");
    const std::string long_name = co_await refusal({.remote_addr = {std::string_view(std::string(300, 'a')), 1}});
    EXPECT_TRUE(contains(long_name, "is longer than 253 bytes")) << long_name;
  });
}

TEST(DatagramOptions, a_family_alone_gives_a_socket_that_may_send_to_anybody) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_datagram_endpoint({.family = address_family::inet});
    EXPECT_EQ(b.port(), 0);
    const int nowhere = co_await error_of(b.send("to whom?"));
    EXPECT_EQ(nowhere, EDESTADDRREQ);
    co_await b.sendto("x", a.sockname());
    EXPECT_NE(b.port(), 0);
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.address.port(), b.port());
  });
}

// S176
TEST(DatagramOptions, an_endpoint_with_a_remote_address_refuses_any_other) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint other = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.sendto("the same", a.sockname());
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "the same");
    const std::string end = co_await ending(b.sendto("x", other.sockname()));
    EXPECT_EQ(end, "invalid_argument");
    co_await other.sendto("not for b", b.sockname());
    co_await a.sendto("for b", b.sockname());
    const datagram only = co_await b.recvfrom();
    EXPECT_EQ(only.data, "for b");
  });
}

TEST(DatagramOptions, allow_broadcast_permits_it_and_does_not_connect) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b =
        co_await open_datagram_endpoint({.remote_addr = {"127.0.0.1", a.port()}, .allow_broadcast = true});
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(b.fileno(), SOL_SOCKET, SO_BROADCAST, &value, &size), 0);
    EXPECT_EQ(value, 1);
    co_await b.send("to its remote address");
    const datagram got = co_await a.recvfrom();
    datagram_endpoint other = co_await open_local();
    co_await other.sendto("from somebody else", socket_address("127.0.0.1", b.port()));
    const datagram answer = co_await b.recvfrom();
    EXPECT_EQ(answer.address, other.sockname());
    EXPECT_EQ(got.data, "to its remote address");
    const int without = co_await error_of(other.sendto("x", socket_address("255.255.255.255", 9)));
    EXPECT_EQ(without, EACCES);
  });
}

TEST(DatagramOptions, opening_may_be_cancelled_at_every_point_and_made_a_task) {
  auto body = []() -> coroutine<> {
    std::string host = "localhost";
    task<datagram_endpoint> opening =
        create_task(open_datagram_endpoint({.local_addr = {host, 0}, .family = address_family::inet}));
    host.clear();
    datagram_endpoint made = co_await std::move(opening);
    co_await made.aclose();
  };
  EXPECT_GE(testing::inject_cancel(body), 2u);
}

// ---- Unix

// S177
TEST(UnixDatagrams, a_stale_file_is_replaced_a_living_one_never_and_ones_own_is_removed) {
  const scratch_folder folder;
  const std::string path = folder.path() + "/socket";
  testing::run([&path]() -> coroutine<> {
    const datagram_options here{.local_addr = {path}, .family = address_family::unix_};
    {
      sockaddr_un native{};
      native.sun_family = AF_UNIX;
      path.copy(native.sun_path, sizeof native.sun_path - 1);
      const owned_fd killed(::socket(AF_UNIX, SOCK_DGRAM, 0));
      EXPECT_EQ(::bind(killed, reinterpret_cast<sockaddr*>(&native), sizeof native), 0);
    }
    EXPECT_TRUE(fs::exists(path));
    {
      datagram_endpoint a = co_await open_datagram_endpoint(here);
      const std::string taken = co_await refusal(here);
      EXPECT_EQ(taken, "cannot bind to " + path + ": Address already in use");
      EXPECT_EQ(a.sockname().path(), path);
      datagram_endpoint b = co_await open_datagram_endpoint({.remote_addr = {path}, .family = address_family::unix_});
      co_await b.send("x");
      const datagram got = co_await a.recvfrom();
      EXPECT_EQ(got.address.path(), "") << "it has no name";
      co_await a.aclose();
      EXPECT_FALSE(fs::exists(path));
    }
    std::ofstream(path) << "a file of somebody's";
    const std::string file = co_await refusal(here);
    EXPECT_EQ(file, "cannot bind to " + path + ": Address already in use");
    EXPECT_TRUE(fs::exists(path));
    const std::string nobody = co_await refusal({.remote_addr = {path + "2"}, .family = address_family::unix_});
    EXPECT_EQ(nobody, "cannot connect to " + path + "2: No such file or directory");
    const std::string long_path =
        co_await refusal({.local_addr = {std::string_view(std::string(200, 'p'))}, .family = address_family::unix_});
    EXPECT_TRUE(contains(long_path, "AF_UNIX path too long")) << long_path;
  });
}

TEST(UnixDatagrams, abstract_names_and_long_datagrams) {
  testing::run([]() -> coroutine<> {
    std::string name = "@datagrams-test-" + std::to_string(getpid());
    name.front() = '\0';
    datagram_endpoint a =
        co_await open_datagram_endpoint({.local_addr = {name}, .family = address_family::unix_, .limit = 200'000});
    datagram_endpoint b = co_await open_datagram_endpoint({.remote_addr = {name}, .family = address_family::unix_});
    const std::string large(150'000, 'l');
    task<datagram> receiving = create_task(a.recvfrom());
    co_await sleep(0s);
    co_await b.send(large);
    const datagram got = co_await receiving;
    EXPECT_TRUE(got.data == large);
    co_await b.send("x");
    const datagram small = co_await a.recvfrom();
    EXPECT_EQ(small.data, "x");
  });
}

// ---- multicast

TEST(Multicast, a_group_is_joined_and_left) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_datagram_endpoint({.local_addr = {"0.0.0.0", 0}, .reuse_port = true});
    a.join_multicast_group("239.255.77.1", "lo");
    datagram_endpoint b = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}});
    b.set_multicast_interface("127.0.0.1");
    b.set_multicast_hops(0);
    b.set_multicast_loopback(true);
    const socket_address group("239.255.77.1", a.port());
    co_await b.sendto("to all", group);
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "to all");
    EXPECT_EQ(got.address, b.sockname());
    a.leave_multicast_group("239.255.77.1", "lo");
    co_await b.sendto("to those who are left", group);
    co_await b.sendto("to it alone", socket_address("127.0.0.1", a.port()));
    const datagram alone = co_await a.recvfrom();
    EXPECT_EQ(alone.data, "to it alone");
    const std::string twice = thrown_by([&] { a.leave_multicast_group("239.255.77.1", "lo"); });
    EXPECT_TRUE(contains(twice, "cannot leave the multicast group 239.255.77.1: ")) << twice;
    EXPECT_EQ(thrown_by([&] { a.join_multicast_group("10.0.0.1"); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { a.join_multicast_group("a name"); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { a.join_multicast_group("239.1.1.1", "no such interface"); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { a.set_multicast_hops(256); }), "invalid_argument");
    a.close();
    EXPECT_EQ(thrown_by([&] { a.join_multicast_group("239.1.1.1"); }),
              "runtime_error(join_multicast_group(): the datagram endpoint is closed)");
  });
}

/// The IPv6 groups that somebody has joined on the loopback, as the kernel writes them down.
bool joined_on_loopback(const std::string& group) {
  std::ifstream groups("/proc/net/igmp6");
  for (std::string line; std::getline(groups, line);)
    if (contains(line, "lo ") && contains(line, group)) return true;
  return false;
}

// There is no route for multicasts on the loopback: so no datagram is sent.
TEST(Multicast, an_ipv6_group_is_joined_and_left_and_its_settings_are_the_sockets) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_datagram_endpoint({.local_addr = {"::", 0}, .family = address_family::inet6});
    EXPECT_FALSE(joined_on_loopback("ff0200000000000000000000004d0771"));
    a.join_multicast_group("ff02::4d:771", "lo");
    EXPECT_TRUE(joined_on_loopback("ff0200000000000000000000004d0771"));
    a.leave_multicast_group("ff02::4d:771%lo");
    EXPECT_FALSE(joined_on_loopback("ff0200000000000000000000004d0771"));
    a.set_multicast_interface("lo");
    a.set_multicast_hops(7);
    a.set_multicast_loopback(false);
    const auto option = [&a](int name) {
      int value = -1;
      socklen_t size = sizeof value;
      EXPECT_EQ(::getsockopt(a.fileno(), IPPROTO_IPV6, name, &value, &size), 0);
      return value;
    };
    EXPECT_EQ(option(IPV6_MULTICAST_IF), static_cast<int>(::if_nametoindex("lo")));
    EXPECT_EQ(option(IPV6_MULTICAST_HOPS), 7);
    EXPECT_EQ(option(IPV6_MULTICAST_LOOP), 0);
    EXPECT_EQ(thrown_by([&] { a.set_multicast_interface("no such interface"); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { a.join_multicast_group("ff02::1", "no such interface"); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { a.join_multicast_group("::1"); }), "invalid_argument");
  });
}

}  // namespace
}  // namespace asyncio::spec
