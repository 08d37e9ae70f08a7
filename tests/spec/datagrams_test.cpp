// SPDX-License-Identifier: BSL-1.0
// datagrams.hpp: what an endpoint promises, over UDP on the loopback and over Unix sockets.
#include "spec/sock_test.hpp"
#include "support/scratch_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <net/if.h>

namespace asyncio::spec {
namespace {

namespace fs = std::filesystem;
using test::scratch_folder;

coroutine<datagram_endpoint> open_local() { return open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}}); }
coroutine<datagram_endpoint> open_to(int port) { return open_datagram_endpoint({.remote_addr = {"127.0.0.1", port}}); }

/// A port of the loopback that nobody receives at.
int free_port() { return bound_socket(SOCK_DGRAM).address.port(); }

/// What opening an endpoint with these options throws.
coroutine<std::string> refusal(datagram_options options) {
  try {
    datagram_endpoint endpoint = co_await open_datagram_endpoint(options);
  } catch (const std::exception& e) {
    co_return e.what();
  }
  co_return std::string();
}

// S176
TEST(Datagrams, arrive_whole_with_the_address_of_their_sender) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.send("one");
    co_await b.send("second");
    const datagram first = co_await a.recvfrom();
    const datagram second = co_await a.recvfrom();
    EXPECT_EQ(first.data + "|" + second.data, "one|second");
    EXPECT_EQ(first.address, b.sockname());
    co_await a.sendto("answer", first.address);
    auto [data, address] = co_await b.recvfrom();
    EXPECT_EQ(data, "answer");
    EXPECT_EQ(address, a.sockname());
    EXPECT_EQ(b.peername(), a.sockname());
    EXPECT_EQ(a.peername(), socket_address());
  });
}

// S176, F17
TEST(Datagrams, empty_ones_are_sent_and_received) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.send("");
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "");
    co_await a.sendto("", got.address);
    auto answer = co_await b.next();
    EXPECT_TRUE(answer && answer->data.empty());
  });
}

// F17
TEST(Datagrams, the_longest_arrives_and_a_longer_one_is_an_error_that_says_so) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    const std::string longest(65'507, 'x');
    co_await b.send(longest);
    const datagram got = co_await a.recvfrom();
    EXPECT_TRUE(got.data == longest);
    std::string what;
    try {
      co_await b.send(longest + "y");
    } catch (const std::system_error& e) {
      EXPECT_EQ(e.code().value(), EMSGSIZE);
      what = e.what();
    }
    EXPECT_TRUE(what.starts_with("cannot send a datagram of 65508 bytes to 127.0.0.1:")) << what;
    co_await b.send("still here");
    const datagram next = co_await a.recvfrom();
    EXPECT_EQ(next.data, "still here");
  });
}

// F17
TEST(Datagrams, one_that_is_longer_than_the_limit_is_told_and_those_after_it_arrive) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}, .limit = 100});
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.send(std::string(100, 'a'));
    co_await b.send(std::string(101, 'b'));
    co_await b.send("c");
    const datagram whole = co_await a.recvfrom();
    EXPECT_EQ(whole.data.size(), 100u);
    const int error = co_await error_of(a.recvfrom());
    EXPECT_EQ(error, EMSGSIZE);
    const datagram after = co_await a.recvfrom();
    EXPECT_EQ(after.data, "c");
    task<int> waiting = create_task(error_of(a.recvfrom()));
    co_await sleep(0s);
    co_await b.send(std::string(5000, 'd'));
    const int told = co_await waiting;
    EXPECT_EQ(told, EMSGSIZE);
  });
}

// S176, F17
TEST(Datagrams, a_refusal_is_thrown_by_recvfrom_and_the_endpoint_lives) {
  testing::run([]() -> coroutine<> {
    const int port = free_port();
    datagram_endpoint client = co_await open_to(port);
    co_await client.send("is anybody there?");
    const int at_once = co_await error_of(client.recvfrom());
    EXPECT_EQ(at_once, ECONNREFUSED);
    task<int> waiting = create_task(error_of(client.recvfrom()));
    co_await sleep(0s);
    co_await client.send("hello?");
    const int told = co_await waiting;
    EXPECT_EQ(told, ECONNREFUSED);
    datagram_endpoint server = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", port}});
    co_await client.send("now?");
    const datagram got = co_await server.recvfrom();
    EXPECT_EQ(got.data, "now?");
  });
}

// S176, F17
TEST(Datagrams, a_refusal_is_thrown_by_a_send_that_comes_after_it) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint client = co_await open_to(free_port());
    co_await client.send("is anybody there?");
    std::string what;
    try {
      co_await client.send("and now?");
    } catch (const std::system_error& e) {
      EXPECT_EQ(e.code().value(), ECONNREFUSED);
      what = e.what();
    }
    EXPECT_TRUE(what.starts_with("cannot send a datagram of 8 bytes to 127.0.0.1:")) << what;
    EXPECT_FALSE(client.is_closing());
  });
}

TEST(Datagrams, receivers_are_served_first_come_first_served) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    std::vector<task<datagram>> receivers;
    for (int i = 0; i < 3; ++i) {
      receivers.push_back(create_task(a.recvfrom()));
      co_await sleep(0s);
    }
    for (const char* text : {"1", "2", "3", "4"}) co_await b.send(text);
    const datagram late = co_await a.recvfrom();
    EXPECT_EQ(late.data, "4");
    std::string all;
    for (const task<datagram>& t : receivers) all += t.result().data;
    EXPECT_EQ(all, "123");
  });
}

TEST(Datagrams, a_cancelled_recvfrom_loses_no_datagram) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    task<datagram> gone = create_task(a.recvfrom());
    co_await sleep(0s);
    co_await b.send("first");
    co_await b.send("second");
    gone.cancel();
    const std::string end = co_await ending(gone);
    EXPECT_EQ(end, "cancelled_error");
    co_await settle();  // the receive goes on without it
    const datagram first = co_await a.recvfrom();
    const datagram second = co_await a.recvfrom();
    EXPECT_EQ(first.data + second.data, "firstsecond");
  });
}

/// Two endpoints; lives as long as anybody uses them.
struct pair_of_endpoints {
  pair_of_endpoints(datagram_endpoint x, datagram_endpoint y) : a(std::move(x)), b(std::move(y)) {}
  datagram_endpoint a, b;
};
using shared_pair = std::shared_ptr<pair_of_endpoints>;

coroutine<> receive_until(shared_pair ends, std::string& received, std::size_t size) {
  while (received.size() < size) {
    const datagram d = co_await ends->a.recvfrom();
    received += d.data;
  }
}

coroutine<> send_two(shared_pair ends) {
  co_await ends->b.send("1");
  co_await sleep(0s);
  co_await ends->b.send("2");
}

coroutine<> receive_the_rest(shared_pair ends, task<> sending, std::string& received, bool& complete) {
  co_await sending;
  co_await receive_until(ends, received, 2);
  complete = true;
}

// Whatever was sent is either received by the cancelled task, or still there for the next one.
TEST(Datagrams, none_is_lost_wherever_a_receiver_is_cancelled) {
  std::string received;
  bool complete = false;
  std::size_t completed = 0;
  auto body = [&]() -> coroutine<> {
    received.clear();
    complete = false;
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    shared_pair ends = std::make_shared<pair_of_endpoints>(std::move(a), std::move(b));
    task<> sending = create_task(send_two(ends));
    std::exception_ptr cancelled;
    try {
      co_await receive_until(ends, received, 2);
    } catch (const cancelled_error&) {
      cancelled = std::current_exception();
    }
    co_await shield(receive_the_rest(ends, sending, received, complete));
    if (cancelled != nullptr) std::rethrow_exception(cancelled);
  };
  auto check = [&] {
    if (complete && received != "12") throw std::logic_error("received '" + received + "'");
    completed += complete ? 1u : 0u;
  };
  EXPECT_GT(testing::inject_cancel(body, check), 2u);
  EXPECT_GT(completed, 2u);
}

TEST(Datagrams, close_ends_those_who_wait_for_one) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    task<datagram> receiving = create_task(a.recvfrom());
    task<std::optional<datagram>> asking = create_task(a.next());
    task<> waiting = create_task(a.wait_closed());
    co_await sleep(0s);
    a.close();
    a.close();
    EXPECT_TRUE(a.is_closing());
    const std::string end = co_await ending(receiving);
    EXPECT_EQ(end, "runtime_error(recvfrom(): the datagram endpoint is closed)");
    const auto nothing = co_await asking;
    EXPECT_FALSE(nothing);
    co_await waiting;
    const std::string after = co_await ending(a.sendto("x", socket_address("127.0.0.1", 9)));
    EXPECT_EQ(after, "runtime_error(sendto(): the datagram endpoint is closed)");
    const std::string again = co_await ending(a.recvfrom());
    EXPECT_EQ(again, "runtime_error(recvfrom(): the datagram endpoint is closed)");
    EXPECT_EQ(a.fileno(), -1);
    EXPECT_EQ(a.sockname(), socket_address());
    EXPECT_EQ(a.port(), 0);
    co_await a.aclose();
  });
}

TEST(Datagrams, iterating_and_closing_may_be_cancelled_at_every_point) {
  auto body = []() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.send("x");
    auto got = co_await a.next();
    EXPECT_TRUE(got && got->data == "x");
    a.close();
    co_await a.wait_closed();
    co_await async_with(std::move(b), [](datagram_endpoint& open) { open.abort(); });
    co_await a.aclose();
  };
  EXPECT_GT(testing::inject_cancel(body), 3u);
  EXPECT_GT(testing::inject_cancel(body, {.all_tasks = true}), 3u);
}

TEST(Datagrams, async_with_closes_it) {
  testing::run([]() -> coroutine<> {
    int port = 0;
    datagram_endpoint endpoint = co_await open_local();
    co_await async_with(std::move(endpoint), [&port](datagram_endpoint& open) { port = open.port(); });
    datagram_endpoint again = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", port}});
    EXPECT_EQ(again.port(), port);
  });
}

// ---- sending when there is no room: a pair of Unix sockets that takes few

/// Two endpoints that are connected to each other.
coroutine<pair_of_endpoints> make_pair() {
  socket_pair sockets(SOCK_DGRAM);
  datagram_endpoint a = co_await open_datagram_endpoint({.sock = std::exchange(sockets.a, -1)});
  datagram_endpoint b = co_await open_datagram_endpoint({.sock = std::exchange(sockets.b, -1)});
  co_return pair_of_endpoints(std::move(a), std::move(b));
}

/// Sends "0", "1", … from a task each, until some of them wait; the tasks.
coroutine<std::vector<task<>>> stuff(datagram_endpoint& from, std::size_t more) {
  std::vector<task<>> sends;
  std::size_t waiting = 0;
  while (waiting < more) {
    sends.push_back(create_task(from.send(std::to_string(sends.size()))));
    co_await sleep(0s);
    if (!sends.back().done()) ++waiting;
  }
  co_return std::move(sends);
}

TEST(DatagramsWithoutRoom, a_send_waits_and_the_order_is_kept) {
  testing::run([]() -> coroutine<> {
    pair_of_endpoints ends = co_await make_pair();
    const std::vector<task<>> sends = co_await stuff(ends.a, 3);
    for (std::size_t i = 0; i < sends.size(); ++i) {
      const datagram d = co_await ends.b.recvfrom();
      EXPECT_EQ(d.data, std::to_string(i));
    }
    for (const task<>& t : sends) co_await t;
  });
}

TEST(DatagramsWithoutRoom, a_cancelled_send_was_not_sent) {
  testing::run([]() -> coroutine<> {
    pair_of_endpoints ends = co_await make_pair();
    std::vector<task<>> sends = co_await stuff(ends.a, 4);
    const std::size_t n = sends.size();
    sends[n - 4].cancel();  // the oldest, which the kernel has
    sends[n - 2].cancel();  // one behind it
    const std::string oldest = co_await ending(sends[n - 4]);
    const std::string other = co_await ending(sends[n - 2]);
    EXPECT_EQ(oldest + " " + other, "cancelled_error cancelled_error");
    std::string last;
    for (std::size_t i = 0; i < n - 2; ++i) {
      const datagram d = co_await ends.b.recvfrom();
      last = d.data;
      EXPECT_NE(d.data, std::to_string(n - 4));
      EXPECT_NE(d.data, std::to_string(n - 2));
    }
    EXPECT_EQ(last, std::to_string(n - 1));
    co_await sends[n - 1];
  });
}

coroutine<> collect(shared_pair ends, lines& received) {
  co_await settle(2);
  while (auto d = co_await ends->b.next()) received.push_back(d->data);
}

coroutine<> finish_collecting(shared_pair ends, task<> collecting, lines& received, bool& complete) {
  co_await ends->a.send("end");
  while (received.empty() || received.back() != "end") co_await sleep(0s);
  ends->b.close();
  co_await collecting;
  complete = true;
}

TEST(DatagramsWithoutRoom, a_send_may_be_cancelled_at_every_point_and_is_sent_or_not) {
  bool sent = false;
  bool complete = false;
  std::size_t completed = 0;
  lines received;
  auto body = [&]() -> coroutine<> {
    sent = complete = false;
    received.clear();
    pair_of_endpoints made = co_await make_pair();
    shared_pair ends = std::make_shared<pair_of_endpoints>(std::move(made));
    std::vector<task<>> sends = co_await stuff(ends->a, 2);
    task<> collecting = create_task(collect(ends, received));
    std::exception_ptr cancelled;
    try {
      co_await ends->a.send("mine");
      sent = true;
    } catch (const cancelled_error&) {
      cancelled = std::current_exception();
    }
    co_await shield(finish_collecting(ends, collecting, received, complete));
    if (cancelled != nullptr) std::rethrow_exception(cancelled);
  };
  auto check = [&] {
    if (!complete) return;
    ++completed;
    const bool arrived = std::ranges::find(received, "mine") != received.end();
    if (arrived != sent) throw std::logic_error(sent ? "sent, and lost" : "cancelled, and sent");
  };
  EXPECT_GT(testing::inject_cancel(body, check), 5u);
  EXPECT_GT(completed, 2u);
}

TEST(DatagramsWithoutRoom, close_sends_what_waits_and_abort_does_not) {
  testing::run([]() -> coroutine<> {
    for (const bool abort : {false, true}) {
      pair_of_endpoints ends = co_await make_pair();
      const std::vector<task<>> sends = co_await stuff(ends.a, 3);
      const std::size_t n = sends.size();
      abort ? ends.a.abort() : ends.a.close();
      for (std::size_t i = 0; i < (abort ? n - 3 : n); ++i) {
        const datagram d = co_await ends.b.recvfrom();
        EXPECT_EQ(d.data, std::to_string(i));
      }
      co_await ends.a.wait_closed();
      const std::string last = co_await ending(sends.back());
      EXPECT_EQ(last, abort ? "runtime_error(sendto(): the datagram endpoint is closed)" : "done");
      for (const task<>& t : sends) (void)co_await ending(t);
    }
  });
}

TEST(DatagramsWithoutRoom, a_unix_socket_that_is_not_connected_tries_until_the_receiver_has_room) {
  const scratch_folder folder;
  const std::string path = folder.path() + "/receiver";
  testing::run([&path]() -> coroutine<> {
    datagram_endpoint receiver =
        co_await open_datagram_endpoint({.local_addr = {path}, .family = address_family::unix_});
    datagram_endpoint sender = co_await open_datagram_endpoint({.family = address_family::unix_});
    const socket_address to = socket_address::unix_path(path);
    constexpr int count = 3000;
    auto send_all = [&]() -> coroutine<> {
      for (int i = 0; i < count; ++i) co_await sender.sendto(std::to_string(i), to);
    };
    task<> sending = create_task(send_all);
    co_await sleep(1s);
    EXPECT_FALSE(sending.done());
    for (int i = 0; i < count; ++i) {
      const datagram d = co_await receiver.recvfrom();
      EXPECT_EQ(d.data, std::to_string(i));
    }
    co_await sending;
  });
}

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

// ---- handles

TEST(Datagrams, a_handle_is_checked_moved_and_closed_with_its_owner) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    const int port = a.port();
    std::string elsewhere;
    std::thread([&] { elsewhere = thrown_by([&] { a.close(); }); }).join();
    EXPECT_TRUE(contains(elsewhere, "datagram_endpoint.close()")) << elsewhere;
    datagram_endpoint b = std::move(a);
    EXPECT_EQ(thrown_by([&] { (void)a.port(); }),  // NOLINT(bugprone-use-after-move): that is the question
              "runtime_error(datagram_endpoint.fileno(): the datagram_endpoint was moved away)");
    EXPECT_EQ(b.port(), port);
    b = co_await open_local();
    co_await settle();
    datagram_endpoint again = co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", port}});
    EXPECT_EQ(again.port(), port) << "the first one was closed when it was assigned to";
  });
}

TEST(Datagrams, a_loop_that_is_closed_ends_whoever_waits) {
  testing::run([]() -> coroutine<> {
    auto background = []() -> coroutine<> {
      datagram_endpoint a = co_await open_local();
      (void)co_await a.recvfrom();
    };
    create_task(background);
    create_task(background);
    co_await settle();
  });
  // Waiting for a datagram when the run ended: cancelled, and everything closed, as run() has checked.
}

}  // namespace
}  // namespace asyncio::spec
