// SPDX-License-Identifier: BSL-1.0
// protocols.hpp: how protocols come to their transports. Servers, clients, datagrams, pipes.
#include "spec/protocols_test.hpp"
#include "support/scratch_folder.hpp"

#if defined(ASYNCIO_TEST_SEAMS)
#include "support/sys_faults.hpp"
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <netinet/tcp.h>

namespace asyncio::spec {
namespace {

using test::scratch_folder;

struct echo : protocol {
  void connection_made(transport& t) override { through = &t; }
  void data_received(std::span<const std::byte> data) override { through->write(data); }
  transport* through = nullptr;
};

std::shared_ptr<echo> make_echo() { return std::make_shared<echo>(); }
std::shared_ptr<recorder> make_recorder() { return std::make_shared<recorder>(); }

// S159, S173
TEST(CreateConnection, gives_a_transport_and_the_protocol_of_the_factory) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    server s = co_await loop.create_server(make_echo, "127.0.0.1", 0);
    auto [t, p] = co_await loop.create_connection(make_recorder, "127.0.0.1", s.port());
    EXPECT_EQ(p->seen, lines{"made"});
    EXPECT_EQ(p->through, t.get());
    EXPECT_EQ(t->peername(), socket_address("127.0.0.1", s.port()));
    EXPECT_EQ(t->sockname().host(), "127.0.0.1");
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(t->fileno(), IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    EXPECT_EQ(value, 1);
    t->write("hello");
    co_await until([&p = p] { return p->received == "hello"; });
    t->close();
    co_await until([&p = p] { return p->lost; });
    EXPECT_EQ(t->peername(), socket_address("127.0.0.1", s.port())) << "also after the end";
    EXPECT_EQ(t->sockname(), socket_address());
    s.close();
    co_await s.wait_closed();
  });
}

TEST(CreateConnection, tells_what_open_connection_tells_and_makes_no_protocol) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    int made = 0;
    auto factory = [&made] {
      ++made;
      return std::make_shared<recorder>();
    };
    const int port = bound_socket(SOCK_STREAM).address.port();
    const int refused = co_await error_of(loop.create_connection(factory, "127.0.0.1", port));
    EXPECT_EQ(refused, ECONNREFUSED);
    const std::string none = co_await ending(loop.create_connection(factory, "", 0));
    EXPECT_EQ(none, "invalid_argument");
    const int no_file = co_await error_of(loop.create_unix_connection(factory, "/no such folder/socket"));
    EXPECT_EQ(no_file, ENOENT);
    EXPECT_EQ(made, 0);
  });
}

TEST(CreateConnection, a_factory_that_throws_or_gives_nothing_leaves_nothing_open) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener;
    const int port = listener.address.port();
    const std::size_t before = test::open_descriptors();
    auto throws = []() -> std::shared_ptr<recorder> { throw std::runtime_error("no protocol"); };
    const std::string end = co_await ending(loop.create_connection(throws, "127.0.0.1", port));
    EXPECT_EQ(end, "runtime_error(no protocol)");
    auto nothing = []() -> std::shared_ptr<recorder> { return nullptr; };
    const std::string null = co_await ending(loop.create_connection(nothing, "127.0.0.1", port));
    EXPECT_EQ(null, "invalid_argument");
    EXPECT_EQ(test::open_descriptors(), before);
  });
}

TEST(CreateConnection, may_be_cancelled_at_every_point) {
  auto body = []() -> coroutine<> {
    event_loop& loop = get_running_loop();
    server s = co_await loop.create_server(make_echo, "127.0.0.1", 0);
    auto [t, p] = co_await loop.create_connection(make_recorder, "127.0.0.1", s.port());
    t->close();
    while (!p->lost) co_await sleep(0s);
    s.close();
    s.abort_clients();
    co_await s.wait_closed();
  };
  EXPECT_GT(testing::inject_cancel(body), 4u);
  EXPECT_GT(testing::inject_cancel(body, {.all_tasks = true}), 4u);
}

// ---- servers

TEST(CreateServer, gives_each_client_a_protocol_of_its_own) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    std::vector<std::shared_ptr<recorder>> served;
    auto factory = [&served] {
      served.push_back(std::make_shared<recorder>());
      return served.back();
    };
    server s = co_await loop.create_server(factory, "127.0.0.1", 0);
    {
      const owned_fd one = connected_to(socket_address("127.0.0.1", s.port()));
      const owned_fd two = connected_to(socket_address("127.0.0.1", s.port()));
      put(one, "1");
      put(two, "2");
      co_await until(
          [&] { return served.size() == 2 && !served[0]->received.empty() && !served[1]->received.empty(); });
      EXPECT_EQ(served[0]->received + served[1]->received, "12");
    }
    co_await until([&] { return served[0]->lost && served[1]->lost; });
    EXPECT_EQ(served[0]->seen, (lines{"made", "data 1", "eof", "lost nothing"}));
    s.close();
    co_await s.wait_closed();
  });
}

// S187, S188, S189
TEST(CreateServer, close_leaves_clients_alone_and_they_can_be_closed_or_aborted) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    for (const bool abort : {false, true}) {
      auto p = std::make_shared<recorder>();
      auto factory = [p] { return p; };
      server s = co_await loop.create_server(factory, "127.0.0.1", 0);
      const owned_fd client = connected_to(socket_address("127.0.0.1", s.port()));
      co_await until([&] { return p->through != nullptr; });
      const std::size_t before = fill(p->through->fileno()).size();
      p->through->write(std::string(1000, 'x'));
      s.close();
      task<> waiting = create_task(s.wait_closed());
      co_await settle();
      EXPECT_FALSE(waiting.done());
      abort ? s.abort_clients() : s.close_clients();
      std::size_t got = 0;
      while (!p->lost) {
        if (!abort) got += taken_from(client).size();
        co_await sleep(0s);
      }
      co_await waiting;
      if (!abort) got += taken_from(client).size();
      EXPECT_EQ(got, abort ? 0 : before + 1000);
    }
  });
}

TEST(CreateServer, a_factory_that_throws_is_reported_and_costs_its_client_only) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    reports told;
    int calls = 0;
    auto factory = [&calls] {
      if (++calls == 1) throw std::runtime_error("not this one");
      return std::make_shared<echo>();
    };
    server s = co_await loop.create_server(factory, "127.0.0.1", 0);
    auto [first, lost] = co_await loop.create_connection(make_recorder, "127.0.0.1", s.port());
    co_await until([&lost = lost] { return lost->lost; });
    auto [second, p] = co_await loop.create_connection(make_recorder, "127.0.0.1", s.port());
    second->write("served");
    co_await until([&p = p] { return p->received == "served"; });
    EXPECT_EQ(told.all, lines{"cannot make a protocol for a client: runtime_error(not this one)"});
    second->close();
    s.close();
    co_await s.wait_closed();
  });
}

TEST(CreateServer, serves_no_more_than_max_connections_at_a_time) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    server s = co_await loop.create_server(make_echo, "127.0.0.1", 0, {.max_connections = 1});
    auto [first, one] = co_await loop.create_connection(make_recorder, "127.0.0.1", s.port());
    auto [second, two] = co_await loop.create_connection(make_recorder, "127.0.0.1", s.port());
    first->write("1");
    second->write("2");
    co_await until([&one = one] { return one->received == "1"; });
    co_await settle();
    EXPECT_EQ(two->received, "");
    first->close();
    co_await until([&two = two] { return two->received == "2"; });
    second->close();
    s.close();
    co_await s.wait_closed();
  });
}

TEST(CreateServer, over_a_unix_socket) {
  const scratch_folder folder;
  testing::run([path = folder / "socket"]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    server s = co_await loop.create_unix_server(make_echo, path);
    auto [t, p] = co_await loop.create_unix_connection(make_recorder, path);
    EXPECT_EQ(t->peername().path(), path);
    t->write("hello");
    co_await until([&p = p] { return p->received == "hello"; });
    t->close();
    s.close();
    co_await s.wait_closed();
  });
}

TEST(CreateServer, over_a_unix_socket_may_be_cancelled_at_every_point) {
  const scratch_folder folder;
  auto body = [path = folder / "socket"]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    server s = co_await loop.create_unix_server(make_echo, path);
    auto [t, p] = co_await loop.create_unix_connection(make_recorder, path);
    t->write("x");
    while (p->received.empty()) co_await sleep(0s);
    t->close();
    co_await s.shutdown(1s);
  };
  EXPECT_GT(testing::inject_cancel(body), 4u);
}

TEST(ConnectAcceptedSocket, takes_a_stream_socket_over_and_refuses_others) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const owned_fd udp = new_socket(SOCK_DGRAM);
    const std::string refused = co_await ending(loop.connect_accepted_socket(make_echo, udp));
    EXPECT_EQ(refused, "invalid_argument");
    EXPECT_GE(::fcntl(udp, F_GETFD), 0);
    const listening_socket listener;
    const owned_fd client = connected_to(listener.address);
    const int accepted = ::accept(listener.fd, nullptr, nullptr);
    auto [t, p] = co_await loop.connect_accepted_socket(make_echo, accepted);
    put(client, "x");
    std::string answer;
    co_await until([&] { return !(answer = taken_from(client)).empty(); });
    EXPECT_EQ(answer, "x");
    t->close();
    co_await settle();
  });
}

TEST(ConnectAcceptedSocket, may_be_cancelled_at_every_point) {
  auto body = []() -> coroutine<> {
    auto on = co_await on_pair();
    put(on.peer(), "x");
    while (on.p->received.empty()) co_await sleep(0s);
    on.t->close();
  };
  EXPECT_GT(testing::inject_cancel(body), 1u);
}

// ---- datagrams

struct datagram_recorder : datagram_protocol {
  void connection_made(datagram_transport& t) override {
    through = &t;
    note("made");
  }
  void datagram_received(std::span<const std::byte> data, const socket_address& from) override {
    last_sender = from;
    note("got " + text_of(data).substr(0, 20));
  }
  void error_received(std::error_code error) override { note("error " + std::to_string(error.value())); }
  void connection_lost(std::exception_ptr error) override { note("lost " + loss_of(error)); }
  void pause_writing() override { note("pause"); }
  void resume_writing() override { note("resume"); }
  void note(const std::string& what) {
    seen.push_back(what);
    if (during) during(*this, what.substr(0, what.find(' ')));
  }
  bool has(const std::string& what) const { return std::ranges::find(seen, what) != seen.end(); }
  lines seen;
  datagram_transport* through = nullptr;
  socket_address last_sender;
  std::function<void(datagram_recorder&, const std::string&)> during;
};

std::shared_ptr<datagram_recorder> make_datagram_recorder() { return std::make_shared<datagram_recorder>(); }

// S159, S176
TEST(CreateDatagramEndpoint, carries_datagrams_both_ways_empty_ones_too) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    auto [a, pa] = co_await loop.create_datagram_endpoint(make_datagram_recorder, {.local_addr = {"127.0.0.1", 0}});
    EXPECT_EQ(pa->seen, lines{"made"});
    auto [b, pb] = co_await loop.create_datagram_endpoint(make_datagram_recorder,
                                                          {.remote_addr = {"127.0.0.1", a->sockname().port()}});
    b->sendto("one");
    b->sendto("");
    co_await until([&pa = pa] { return pa->seen.size() == 3; });
    EXPECT_EQ(pa->seen, (lines{"made", "got one", "got "}));
    EXPECT_EQ(pa->last_sender, b->sockname());
    a->sendto("back", pa->last_sender);
    co_await until([&pb = pb] { return pb->has("got back"); });
    EXPECT_EQ(b->peername(), a->sockname());
    EXPECT_EQ(thrown_by([&b = b] { b->sendto("x", socket_address("127.0.0.1", 9)); }), "invalid_argument");
    a->close();
    a->close();
    EXPECT_TRUE(a->is_closing());
    a->sendto("ignored", b->sockname());
    b->abort();
    co_await until([&pa = pa, &pb = pb] { return pa->has("lost nothing") && pb->has("lost nothing"); });
    EXPECT_EQ(a->fileno(), -1);
  });
}

// S176
TEST(CreateDatagramEndpoint, news_of_the_network_go_to_error_received_and_nothing_ends) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const int port = bound_socket(SOCK_DGRAM).address.port();
    auto [t, p] = co_await loop.create_datagram_endpoint(make_datagram_recorder, {.remote_addr = {"127.0.0.1", port}});
    t->sendto("is anybody there?");
    const std::string refused = "error " + std::to_string(ECONNREFUSED);
    co_await until([&] { return p->has(refused); });
    t->sendto(std::string(70'000, 'x'));
    EXPECT_EQ(p->seen.size(), 2u) << "not from inside the call";
    co_await until([&p = p] { return p->has("error " + std::to_string(EMSGSIZE)); });
    const owned_fd other = new_socket(SOCK_DGRAM);
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    native.sin_port = htons(static_cast<in_port_t>(port));
    EXPECT_EQ(::bind(other, reinterpret_cast<sockaddr*>(&native), sizeof native), 0);
    t->sendto("now?");
    std::string got;
    co_await until([&] { return !(got = taken_from(other)).empty(); });
    EXPECT_EQ(got, "now?");
    EXPECT_FALSE(t->is_closing());
    t->close();
    co_await settle();
  });
}

// S163, S176
TEST(CreateDatagramEndpoint, what_has_to_wait_is_counted_with_eight_bytes_more_and_pauses) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair(SOCK_DGRAM);
    auto [t, p] = co_await loop.create_datagram_endpoint(make_datagram_recorder, {.sock = std::exchange(pair.a, -1)});
    t->set_write_buffer_limits(40, 10);
    EXPECT_EQ(t->get_write_buffer_limits(), (std::pair<std::size_t, std::size_t>(10, 40)));
    int sent = 0;
    while (t->get_write_buffer_size() == 0) {
      t->sendto("12");
      ++sent;
    }
    EXPECT_EQ(t->get_write_buffer_size(), 10u);
    for (int i = 0; i < 3; ++i) t->sendto("12");
    EXPECT_EQ(p->seen, lines{"made"}) << "at the mark is not above it";
    t->sendto("12");
    EXPECT_EQ(p->seen, (lines{"made", "pause"}));
    sent += 4;
    std::string got;
    while (!p->has("resume")) {
      got += taken_from(pair.b);
      co_await sleep(0s);
    }
    got += taken_from(pair.b);
    EXPECT_EQ(got.size(), 2u * static_cast<unsigned>(sent));
    t->close();
    co_await until([&p = p] { return p->has("lost nothing"); });
  });
}

TEST(CreateDatagramEndpoint, an_exception_of_the_protocol_is_reported_and_ends_nothing) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    reports told;
    auto p = std::make_shared<datagram_recorder>();
    p->during = [](datagram_recorder& me, const std::string& what) {
      if (what == "got" && me.seen.size() == 2) throw std::runtime_error("no");
    };
    auto factory = [p] { return p; };
    auto [a, same] = co_await loop.create_datagram_endpoint(factory, {.local_addr = {"127.0.0.1", 0}});
    auto [b, pb] = co_await loop.create_datagram_endpoint(make_datagram_recorder,
                                                          {.remote_addr = {"127.0.0.1", a->sockname().port()}});
    b->sendto("1");
    b->sendto("2");
    co_await until([&] { return p->has("got 2"); });
    EXPECT_EQ(told.all, lines{"datagram_protocol.datagram_received() failed: runtime_error(no)"});
    EXPECT_EQ(thrown_by([&a = a] { a->set_protocol(std::make_shared<recorder>()); }), "invalid_argument");
    a->close();
    b->close();
    co_await settle();
  });
}

TEST(CreateDatagramEndpoint, may_be_cancelled_at_every_point) {
  auto body = []() -> coroutine<> {
    auto [t, p] =
        co_await get_running_loop().create_datagram_endpoint(make_datagram_recorder, {.local_addr = {"127.0.0.1", 0}});
    t->close();
    while (!p->has("lost nothing")) co_await sleep(0s);
  };
  EXPECT_GT(testing::inject_cancel(body), 1u);
}

// ---- pipes

struct pipe_ends {
  pipe_ends() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    read = owned_fd_ptr(new owned_fd(fds[0]));
    write = owned_fd_ptr(new owned_fd(fds[1]));
  }
  using owned_fd_ptr = std::unique_ptr<owned_fd>;
  int give_read() { return give(read); }
  int give_write() { return give(write); }
  static int give(owned_fd_ptr& end) {
    const int copy = ::fcntl(*end, F_DUPFD_CLOEXEC, 0);
    end.reset();
    return copy;
  }
  owned_fd_ptr read, write;
};

// S178
TEST(Pipes, the_end_of_a_read_pipe_is_eof_then_the_loss) {
  testing::run([]() -> coroutine<> {
    pipe_ends ends;
    auto [t, p] = co_await get_running_loop().connect_read_pipe(make_recorder, ends.give_read());
    EXPECT_EQ(::write(*ends.write, "hello", 5), 5);
    co_await until([&p = p] { return p->received == "hello"; });
    t->pause_reading();
    EXPECT_EQ(::write(*ends.write, "later", 5), 5);
    co_await settle();
    EXPECT_EQ(p->received, "hello");
    t->resume_reading();
    ends.write.reset();
    co_await until([&p = p] { return p->lost; });
    EXPECT_EQ(p->seen, (lines{"made", "data hello", "data later", "eof", "lost nothing"}));
    EXPECT_EQ(t->peername(), socket_address());
  });
}

// S178
TEST(Pipes, a_write_pipe_hears_that_its_reader_has_gone) {
  testing::run([]() -> coroutine<> {
    for (const bool pending : {false, true}) {
      pipe_ends ends;
      auto [t, p] = co_await get_running_loop().connect_write_pipe(make_recorder, ends.give_write());
      t->write("to be read");
      co_await settle();
      char text[32];
      EXPECT_EQ(::read(*ends.read, text, sizeof text), 10);
      if (pending) t->write(std::string(1'000'000, 'x'));
      co_await settle();
      ends.read.reset();
      co_await until([&p = p] { return p->lost; });
      EXPECT_EQ(p->seen.back(), pending ? "lost errno " + std::to_string(EPIPE) : "lost nothing");
    }
  });
}

TEST(Pipes, a_write_pipe_is_closed_after_what_is_buffered) {
  testing::run([]() -> coroutine<> {
    for (const bool eof : {false, true}) {
      pipe_ends ends;
      auto [t, p] = co_await get_running_loop().connect_write_pipe(make_recorder, ends.give_write());
      t->write(std::string(200'000, 'x'));
      eof ? t->write_eof() : t->close();
      std::size_t got = 0;
      std::string block(65'536, '\0');
      ::fcntl(*ends.read, F_SETFL, O_NONBLOCK);
      for (int i = 0; i < 5000; ++i) {
        const ssize_t n = ::read(*ends.read, block.data(), block.size());
        if (n == 0) break;
        if (n > 0) got += static_cast<std::size_t>(n);
        co_await sleep(0s);
      }
      EXPECT_EQ(got, 200'000u);
      co_await until([&p = p] { return p->lost; });
      EXPECT_EQ(p->seen.back(), "lost nothing");
    }
  });
}

// S178
TEST(Pipes, other_files_are_refused_and_stay_their_owners) {
  const scratch_folder folder;
  testing::run([path = folder / "file"]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const owned_fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const std::string reading = co_await ending(loop.connect_read_pipe(make_recorder, file));
    const std::string writing = co_await ending(loop.connect_write_pipe(make_recorder, file));
    EXPECT_EQ(reading + writing, "invalid_argumentinvalid_argument");
    EXPECT_GE(::fcntl(file, F_GETFD), 0);
    const int closed = co_await error_of(loop.connect_read_pipe(make_recorder, 999'999));
    EXPECT_EQ(closed, EBADF);
    auto [t, p] = co_await loop.connect_read_pipe(make_recorder, ::open("/dev/null", O_RDONLY | O_CLOEXEC));
    co_await until([&p = p] { return p->lost; });
    EXPECT_EQ(p->seen, (lines{"made", "eof", "lost nothing"}));
    auto [null, writer] = co_await loop.connect_write_pipe(make_recorder, ::open("/dev/null", O_WRONLY | O_CLOEXEC));
    null->write("into nothing");
    null->close();
    co_await until([&writer = writer] { return writer->lost; });
  });
}

#if defined(ASYNCIO_TEST_SEAMS)

// F3
TEST(Pipes, one_that_cannot_be_watched_is_an_error_and_leaves_nothing_open) {
  testing::run([]() -> coroutine<> {
    pipe_ends ends;
    const std::size_t before = test::open_descriptors();
    const int fd = ends.give_write();
    {
      test::sys_faults faults;
      faults.fail<&test::sys::table::duplicate>(EMFILE);
      const int error = co_await error_of(get_running_loop().connect_write_pipe(make_recorder, fd));
      EXPECT_EQ(error, EMFILE);
    }
    EXPECT_EQ(test::open_descriptors(), before - 1) << "the end that was given away is closed";
  });
}

#endif

// A read gives one packet of a SEQPACKET socket, or one line of a terminal, however many wait.
TEST(Pipes, what_comes_in_pieces_of_its_own_comes_whole) {
  testing::run([]() -> coroutine<> {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    const owned_fd peer(fds[1]);
    auto [t, p] = co_await get_running_loop().connect_read_pipe(make_recorder, fds[0]);
    for (const char* packet : {"one ", "two ", "three"}) EXPECT_GT(::send(peer, packet, std::strlen(packet), 0), 0);
    co_await until([&p = p] { return p->received == "one two three"; });

    const owned_fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_EQ(::grantpt(terminal), 0);
    EXPECT_EQ(::unlockpt(terminal), 0);
    const int end = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    auto [tt, tp] = co_await get_running_loop().connect_read_pipe(make_recorder, end);
    EXPECT_EQ(::write(terminal, "one\ntwo\nthree\n", 14), 14);
    co_await until([&tp = tp] { return tp->received == "one\ntwo\nthree\n"; });
    t->close();
    tt->close();
    co_await until([&p = p, &tp = tp] { return p->lost && tp->lost; });
  });
}

TEST(Pipes, may_be_cancelled_at_every_point) {
  auto body = []() -> coroutine<> {
    pipe_ends ends;
    event_loop& loop = get_running_loop();
    auto [r, reader] = co_await loop.connect_read_pipe(make_recorder, ends.give_read());
    auto [w, writer] = co_await loop.connect_write_pipe(make_recorder, ends.give_write());
    w->write("x");
    while (reader->received.empty()) co_await sleep(0s);
    w->close();
    while (!reader->lost) co_await sleep(0s);
  };
  EXPECT_GT(testing::inject_cancel(body), 2u);
}

}  // namespace
}  // namespace asyncio::spec
