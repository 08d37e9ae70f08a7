// SPDX-License-Identifier: BSL-1.0
// datagrams.hpp: what an endpoint promises, over UDP on the loopback and over Unix sockets.
#include "spec/datagrams_test.hpp"
#include "support/scratch_folder.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::spec {
namespace {

using test::scratch_folder;

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
