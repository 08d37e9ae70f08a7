// SPDX-License-Identifier: BSL-1.0
// The loop's calls on sockets of its users: what they do, and what they refuse.
#include "spec/sock_test.hpp"

#include <algorithm>
#include <array>
#include <thread>

namespace asyncio::spec {
namespace {

TEST(sock, recv_gives_what_is_there_and_nothing_at_the_end) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    put(pair.b, "some bytes");
    const std::string first = co_await loop.sock_recv(pair.a, 4);
    EXPECT_EQ(first, "some");
    const std::string rest = co_await loop.sock_recv(pair.a, 4096);
    EXPECT_EQ(rest, " bytes");
    pair.close_b();
    const std::string end = co_await loop.sock_recv(pair.a, 4096);
    EXPECT_EQ(end, "");
  });
}

// S219
TEST(sock, recv_waits_for_the_first_byte_and_holds_no_memory_for_the_others) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    const stopwatch watch;
    loop.call_later(2s, [&] { put(pair.b, "late"); });
    const std::string bytes = co_await loop.sock_recv(pair.a, 100'000);
    EXPECT_EQ(watch.at(bytes), "2000 late");
    EXPECT_LT(bytes.capacity(), 100u);
  });
}

TEST(sock, recv_of_no_bytes_takes_none) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    put(pair.b, "kept");
    const std::string nothing = co_await loop.sock_recv(pair.a, 0);
    EXPECT_EQ(nothing, "");
    std::vector<char> empty;
    const std::size_t none = co_await loop.sock_recv_into(pair.a, empty);
    EXPECT_EQ(none, 0u);
    EXPECT_EQ(taken_from(pair.a), "kept");
  });
}

TEST(sock, recv_into_fills_memory_of_the_callers) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    char buffer[8] = "-------";
    loop.call_later(1s, [&] { put(pair.b, "abc"); });
    const std::size_t n = co_await loop.sock_recv_into(pair.a, buffer);
    EXPECT_EQ(n, 3u);
    EXPECT_STREQ(buffer, "abc----");
    std::array<std::byte, 2> small{};
    put(pair.b, "xyz");
    const std::size_t two = co_await loop.sock_recv_into(pair.a, small);
    EXPECT_EQ(two, 2u);
    pair.close_b();
    const std::size_t one = co_await loop.sock_recv_into(pair.a, small);
    EXPECT_EQ(one, 1u);
    const std::size_t end = co_await loop.sock_recv_into(pair.a, small);
    EXPECT_EQ(end, 0u);
  });
}

TEST(sock, two_who_receive_from_one_socket_are_served_in_order) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    task<std::string> first = create_task(loop.sock_recv(pair.a, 3));
    task<std::string> second = create_task(loop.sock_recv(pair.a, 3));
    co_await sleep(1s);
    put(pair.b, "one");
    const std::string one = co_await first;
    EXPECT_EQ(one, "one");
    co_await sleep(1s);
    EXPECT_FALSE(second.done());
    put(pair.b, "two");
    const std::string two = co_await second;
    EXPECT_EQ(two, "two");
  });
}

TEST(sock, one_may_receive_while_another_sends) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    const std::string before = fill(pair.a);
    task<> sending = create_task(loop.sock_sendall(pair.a, "tail"));
    task<std::string> receiving = create_task(loop.sock_recv(pair.a, 10));
    co_await sleep(1s);
    put(pair.b, "answer");
    const std::string answer = co_await receiving;
    EXPECT_EQ(answer, "answer");
    EXPECT_FALSE(sending.done());
    std::string got = taken_from(pair.b);
    co_await sending;
    got += taken_from(pair.b);
    EXPECT_TRUE(got == before + "tail") << got.size();
  });
}

coroutine<std::string> receive_slowly(int fd, std::size_t expected) {
  std::string all;
  std::vector<char> part(64 * 1024);
  while (all.size() < expected) {
    const std::size_t n = co_await get_running_loop().sock_recv_into(fd, part);
    if (n == 0) break;
    all.append(part.data(), n);
    co_await sleep(1ms);
  }
  co_return all;
}

// S221
TEST(sock, sendall_of_ten_mebibytes_waits_for_a_slow_reader) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    std::string all(10 * 1024 * 1024, '\0');
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 31 >> 8);
    const stopwatch watch;
    task<std::string> reading = create_task(receive_slowly(pair.b, all.size()));
    co_await loop.sock_sendall(pair.a, all);
    EXPECT_GT(watch.ms(), 50) << "it waited for the reader again and again";
    const std::string got = co_await reading;
    EXPECT_TRUE(got == all) << got.size();
  });
}

TEST(sock, sendall_copies_its_bytes_when_it_is_called_or_moves_a_string_in) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    std::string text = "as it was ";
    coroutine<> sending = loop.sock_sendall(pair.a, text);
    text = "changed";
    co_await std::move(sending);
    std::string given = "moved in, and too long to stand in the string itself";
    coroutine<> moving = loop.sock_sendall(pair.a, std::move(given));
    EXPECT_TRUE(given.empty());  // NOLINT(bugprone-use-after-move)
    co_await std::move(moving);
    co_await loop.sock_sendall(pair.a, "");
    EXPECT_EQ(taken_from(pair.b), "as it was moved in, and too long to stand in the string itself");
  });
}

TEST(sock, sendall_to_who_has_gone_away_is_an_error_and_no_signal) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    pair.close_b();
    const int error = co_await error_of(loop.sock_sendall(pair.a, "x"));
    EXPECT_EQ(error, EPIPE);
  });
}

TEST(sock, accept_gives_a_descriptor_of_the_callers_own_and_its_peers_address) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener;
    task<std::pair<int, socket_address>> accepting = create_task(loop.sock_accept(listener.fd));
    co_await sleep(0s);
    const owned_fd client = new_socket();
    co_await loop.sock_connect(client, listener.address);
    auto [number, peer] = co_await accepting;
    const owned_fd accepted(number);
    EXPECT_EQ(peer.host(), "127.0.0.1");
    EXPECT_NE(::fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
    co_await loop.sock_sendall(accepted, "welcome");
    const std::string greeting = co_await loop.sock_recv(client, 100);
    EXPECT_EQ(greeting, "welcome");
  });
}

// S222
TEST(sock, connect_names_the_address_that_refused) {
  testing::run([]() -> coroutine<> {
    const bound_socket nobody(SOCK_STREAM);
    const owned_fd client = new_socket();
    std::string what;
    try {
      co_await get_running_loop().sock_connect(client, nobody.address);
    } catch (const std::system_error& e) {
      EXPECT_EQ(e.code(), std::errc::connection_refused);
      what = e.what();
    }
    EXPECT_EQ(what, "cannot connect to " + nobody.address.to_string() + ": Connection refused");
  });
}

TEST(sock, connect_says_that_it_is_connected_already) {
  testing::run([]() -> coroutine<> {
    const listening_socket listener;
    const owned_fd client = connected_to(listener.address);
    const int error = co_await error_of(get_running_loop().sock_connect(client, listener.address));
    EXPECT_EQ(error, EISCONN);
  });
}

TEST(sock, connect_to_a_unix_server_whose_backlog_is_full_waits_for_room) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    std::string name = "@asyncio-sock-test-" + std::to_string(::getpid());
    name.front() = '\0';  // in the abstract namespace
    const socket_address address = socket_address::unix_path(name);
    const auto unix_socket = [] { return owned_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); };
    const owned_fd listener = unix_socket();
    sockaddr_un native{};
    native.sun_family = AF_UNIX;
    std::memcpy(native.sun_path, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&native), size), 0);
    EXPECT_EQ(::listen(listener, 0), 0);
    const owned_fd first = unix_socket(), second = unix_socket();
    co_await loop.sock_connect(first, address);
    const std::string late = co_await ending(wait_for(loop.sock_connect(second, address), 10s));
    EXPECT_EQ(late, "timeout_error");
    task<> connecting = create_task(loop.sock_connect(second, address));
    co_await sleep(1s);
    EXPECT_FALSE(connecting.done());
    auto [number, nameless] = co_await loop.sock_accept(listener);
    const owned_fd accepted(number);
    EXPECT_EQ(nameless.family(), address_family::unix_);
    co_await connecting;
    co_await loop.sock_sendall(second, "in");
  });
}

// S222
TEST(sock, a_blocking_socket_is_refused_where_it_would_block_and_in_debug_mode_everywhere) {
  const auto check = [](bool debug) -> coroutine<> {
    event_loop& loop = get_running_loop();
    loop.set_debug(debug);
    socket_pair pair;
    ::fcntl(pair.a, F_SETFL, 0);
    const listening_socket listener;
    ::fcntl(listener.fd, F_SETFL, 0);
    const std::string connect = co_await ending(loop.sock_connect(pair.a, listener.address));
    EXPECT_EQ(connect, "invalid_argument");
    const std::string accept = co_await ending(loop.sock_accept(listener.fd));
    EXPECT_EQ(accept, "invalid_argument");
    loop.call_later(1s, [&] { put(pair.b, "bytes"); });
    const std::string recv = co_await ending(loop.sock_recv(pair.a, 10));
    EXPECT_EQ(recv, debug ? "invalid_argument" : "bytes") << "it did not block";
    const std::string send = co_await ending(loop.sock_sendall(pair.a, "x"));
    EXPECT_EQ(send, debug ? "invalid_argument" : "done");
    const std::string into = co_await ending(loop.sock_sendto(pair.a, "x", socket_address()));
    EXPECT_EQ(into == "invalid_argument", debug);
  };
  for (const bool debug : {false, true}) testing::run([&] { return check(debug); });
}

TEST(sock, what_is_no_socket_or_no_descriptor_is_an_error) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    char buffer[4];
    for (const int bad : {-1, 1'000'000}) {
      const int recv = co_await error_of(loop.sock_recv(bad, 1));
      EXPECT_EQ(recv, EBADF);
      const int into = co_await error_of(loop.sock_recv_into(bad, buffer));
      EXPECT_EQ(into, EBADF);
      const int send = co_await error_of(loop.sock_sendall(bad, "x"));
      EXPECT_EQ(send, EBADF);
      const int accept = co_await error_of(loop.sock_accept(bad));
      EXPECT_EQ(accept, EBADF);
      const int connect = co_await error_of(loop.sock_connect(bad, socket_address("127.0.0.1", 1)));
      EXPECT_EQ(connect, EBADF);
    }
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    const owned_fd reading(ends[0]), writing(ends[1]);
    const int pipe = co_await error_of(loop.sock_recv(reading, 1));
    EXPECT_EQ(pipe, ENOTSOCK);
    const socket_pair pair;
    const int accept = co_await error_of(loop.sock_accept(pair.a));
    EXPECT_EQ(accept, EINVAL);
  });
}

TEST(sock, a_call_whose_socket_was_closed_never_takes_from_the_next_one_with_its_number) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair old_one;
    const socket_pair fresh;
    task<std::string> forgotten = create_task(loop.sock_recv(old_one.a, 10));
    co_await sleep(1s);
    EXPECT_EQ(::dup2(fresh.a, old_one.a), old_one.a) << "closed, and its number another's";
    task<std::string> present = create_task(loop.sock_recv(old_one.a, 10));
    co_await sleep(1s);
    put(fresh.b, "new");
    const std::string bytes = co_await present;
    EXPECT_EQ(bytes, "new");
    const std::string end = co_await ending(forgotten);
    EXPECT_TRUE(contains(end, "was closed while a task waited for it")) << end;
  });
}

TEST(sock, a_descriptor_that_a_stream_has_is_refused_and_loses_nothing) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    const int number = std::exchange(pair.a, -1);
    connection c = co_await open_connection("", 0, {.sock = number});
    put(pair.b, "the stream's\n");
    const int recv = co_await error_of(loop.sock_recv(number, 100));
    EXPECT_EQ(recv, EBUSY);
    const int send = co_await error_of(loop.sock_sendall(number, "x"));
    EXPECT_EQ(send, EBUSY);
    const int connect = co_await error_of(loop.sock_connect(number, socket_address("127.0.0.1", 1)));
    EXPECT_EQ(connect, EBUSY);
    const std::string line = co_await c.reader.readline();
    EXPECT_EQ(line, "the stream's\n");
    co_await c.writer.aclose();
    EXPECT_EQ(taken_from(pair.b), "");
  });
}

TEST(sock, who_never_has_to_wait_gives_way_all_the_same) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    int turns = 0;
    task<> other = create_task([&]() -> coroutine<> {
      while (true) {
        co_await sleep(0s);
        ++turns;
      }
    });
    for (int i = 0; i < 1000; ++i) {
      co_await loop.sock_sendall(pair.a, "x");
      const std::string x = co_await loop.sock_recv(pair.b, 1);
      EXPECT_EQ(x, "x");
    }
    EXPECT_GE(turns, 10) << "a turn for every 128 calls or so";
    other.cancel();
  });
}

TEST(sock, datagrams_come_whole_with_their_sender) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const bound_socket here(SOCK_DGRAM), there(SOCK_DGRAM);
    task<datagram> receiving = create_task(loop.sock_recvfrom(there.fd, 100));
    co_await sleep(0s);
    const std::size_t sent = co_await loop.sock_sendto(here.fd, "ping", there.address);
    EXPECT_EQ(sent, 4u);
    const datagram ping = co_await receiving;
    EXPECT_EQ(ping.data, "ping");
    EXPECT_EQ(ping.address, here.address);
    co_await loop.sock_sendto(there.fd, "a long answer", ping.address);
    co_await loop.sock_sendto(there.fd, "", ping.address);
    char buffer[6];
    auto [n, sender] = co_await loop.sock_recvfrom_into(here.fd, buffer);
    EXPECT_EQ(std::string(buffer, n), "a long") << "the rest of a datagram is gone";
    EXPECT_EQ(sender, there.address);
    const datagram empty = co_await loop.sock_recvfrom(here.fd, 100);
    EXPECT_EQ(empty.data, "");
    EXPECT_EQ(empty.address, there.address);
  });
}

TEST(sock, a_call_belongs_to_the_loop_and_thread_it_was_made_in) {
  const socket_pair pair;
  auto one = new_event_loop();
  auto other = new_event_loop();
  EXPECT_TRUE(
      contains(thrown_by([&] { other->run_until_complete(one->sock_recv(pair.a, 1)); }), "different event loop"));
  EXPECT_TRUE(contains(thrown_by([&] { other->run_until_complete(one->readable(pair.a)); }), "different event loop"));
  EXPECT_TRUE(
      contains(thrown_by([&] { other->run_until_complete(one->getaddrinfo("::1", 1)); }), "different event loop"));
  std::string elsewhere;
  std::thread([&] { elsewhere = thrown_by([&] { (void)one->sock_recv(pair.a, 1); }); }).join();
  EXPECT_TRUE(contains(elsewhere, "loop.sock_recv(): called from thread")) << elsewhere;
  one->close();
  EXPECT_EQ(thrown_by([&] { (void)one->sock_sendall(pair.a, "x"); }),
            "runtime_error(loop.sock_sendall(): the event loop is closed)");
}

}  // namespace
}  // namespace asyncio::spec
