// SPDX-License-Identifier: BSL-1.0
// start_server and server: S184–S191.
#include "streams/stream_test.hpp"

#include <functional>
#include <memory>
#include <stdexcept>

#include <fcntl.h>

namespace {

using namespace stream_test;

coroutine<> echo(stream_reader reader, stream_writer writer) {
  while (true) {
    std::string data = co_await reader.read(4096);
    if (data.empty()) break;
    co_await writer.write_all(data);
  }
}

/// One round trip on a connection of its own.
coroutine<std::string> ask(int port, std::string text) {
  connection c = co_await open_connection("127.0.0.1", port);
  c.writer.write(text);
  c.writer.write_eof();
  std::string answer = co_await c.reader.read();
  co_await c.writer.aclose();
  co_return answer;
}

TEST(Server, ServesFromTheMomentItIsStarted) {
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    EXPECT_TRUE(s.is_serving());
    EXPECT_GT(s.port(), 0);
    EXPECT_EQ(s.sockets(), std::vector{socket_address("127.0.0.1", s.port())});
    EXPECT_EQ(&s.get_loop(), &get_running_loop());
    std::string answer = co_await ask(s.port(), "hello");
    EXPECT_EQ(answer, "hello");
    s.close();
    EXPECT_FALSE(s.is_serving());
    EXPECT_TRUE(s.sockets().empty());  // S187
    co_await s.wait_closed();
  });
}

TEST(Server, OfAScopeThatFailsWaitsForNobody) {
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection stays = co_await open_connection("127.0.0.1", s.port());
    std::string came = "nothing";
    auto body = [&]() -> coroutine<> {
      stays.writer.write("x");
      came = co_await stays.reader.readexactly(1);
      throw std::runtime_error("enough");
    };
    bool thrown = false;
    try {
      co_await async_with(std::move(s), body);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(came, "x");
    std::string end = co_await stays.reader.read();
    EXPECT_EQ(end, "");
  });
}

TEST(Server, TakesEveryKindOfHandler) {
  run_clean([]() -> coroutine<> {
    int calls = 0;
    struct object {
      int* calls;
      coroutine<> serve(stream_reader r, stream_writer w) {
        ++*calls;
        std::string all = co_await r.read();
        w.write(all);
      }
    } owner{&calls};
    auto by_reference = [&calls](stream_reader r, stream_writer w) -> coroutine<> {
      ++calls;
      co_await echo(std::move(r), std::move(w));
    };
    auto plain_function = [&calls](stream_reader r, stream_writer w) {
      ++calls;
      return echo(std::move(r), std::move(w));
    };
    auto gives_a_value = [&calls](stream_reader r, stream_writer w) -> coroutine<int> {
      std::string all = co_await r.read();
      w.write(all);
      co_return ++calls;
    };
    auto gives_a_task = [&calls](stream_reader r, stream_writer w) -> task<> {
      ++calls;
      return create_task(echo, std::move(r), std::move(w));
    };
    auto state = std::make_unique<int>(7);
    auto move_only = [&calls, s = std::move(state)](stream_reader r, stream_writer w) -> coroutine<> {
      calls += *s - 6;
      std::string all = co_await r.read();
      w.write(all);
    };
    std::vector<server> servers;
    servers.push_back(co_await start_server(std::bind_front(&object::serve, &owner), "127.0.0.1", 0));
    servers.push_back(co_await start_server(by_reference, "127.0.0.1", 0));
    servers.push_back(co_await start_server(plain_function, "127.0.0.1", 0));
    servers.push_back(co_await start_server(gives_a_value, "127.0.0.1", 0));
    servers.push_back(co_await start_server(gives_a_task, "127.0.0.1", 0));
    servers.push_back(co_await start_server(take(move_only), "127.0.0.1", 0));
    for (server& s : servers) {
      std::string answer = co_await ask(s.port(), "hello");
      EXPECT_EQ(answer, "hello");
    }
    EXPECT_EQ(calls, 6);
    for (server& s : servers) co_await s.shutdown(1s);
  });
}

TEST(Server, BindsAllInterfacesForAnEmptyHost) {  // S184
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "", 0);
    EXPECT_GE(s.sockets().size(), 1u);
    for (const socket_address& a : s.sockets()) EXPECT_EQ(a.port(), s.port());
    std::string answer = co_await ask(s.port(), "hello");
    EXPECT_EQ(answer, "hello");
    co_await s.shutdown(1s);
  });
}

/// What start_server throws.
coroutine<std::exception_ptr> failure(std::string host, int port, server_options options = {}) {
  std::exception_ptr error;
  try {
    server s = co_await start_server(echo, host, port, options);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return error;
}

TEST(Server, SaysWhichAddressIsInUse) {  // S184
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    std::exception_ptr error = co_await failure("127.0.0.1", s.port());
    EXPECT_EQ(code_of(error), EADDRINUSE);
    EXPECT_EQ(text_of(error), "cannot bind to 127.0.0.1:" + std::to_string(s.port()) + ": Address already in use");
    s.close();
    std::exception_ptr none = co_await failure("127.0.0.1", s.port());
    EXPECT_EQ(none, nullptr) << "a closed server's address is free at once: " << text_of(none);
  });
}

TEST(Server, RefusesArgumentsThatDoNotFitTogether) {  // S182, S207
  run_clean([]() -> coroutine<> {
    struct wrong_call {
      const char* host;
      int port;
      server_options options;
    };
    const wrong_call calls[] = {
        {"127.0.0.1", 0, {.limit = 0}}, {"127.0.0.1", 65536, {}},
        {"127.0.0.1", -1, {}},          {"127.0.0.1", 0, {.backlog = -1}},
        {"127.0.0.1", 0, {.sock = 0}},  {"127.0.0.1", 0, {.ssl_handshake_timeout = 1s}},
    };
    for (const wrong_call& call : calls) {
      std::exception_ptr error = co_await failure(call.host, call.port, call.options);
      EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    }
  });
}

TEST(Server, ListensOnASocketThatItIsGiven) {
  run_clean([]() -> coroutine<> {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_GE(fd, 0);
    server s = co_await start_server(echo, "", 0, {.start_serving = false, .sock = fd});
    co_await s.start_serving();
    EXPECT_GT(s.sockets().front().port(), 0) << "listening gave it one";
    EXPECT_EQ(s.port(), s.sockets().front().port());
    std::string answer = co_await ask(s.port(), "hello");
    EXPECT_EQ(answer, "hello");
    co_await s.shutdown(1s);
  });
}

TEST(Server, BindsWithoutListeningUntilItIsToldTo) {  // S186
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
    EXPECT_FALSE(s.is_serving());
    outcome<std::string> refused = co_await as_outcome(ask(s.port(), "hello"));
    EXPECT_EQ(code_of(refused.exception()), ECONNREFUSED);
    co_await s.start_serving();
    co_await s.start_serving();
    std::string answer = co_await ask(s.port(), "hello");
    EXPECT_EQ(answer, "hello");
    s.close();
    outcome<> closed = co_await as_outcome(s.start_serving());
    EXPECT_EQ(text_of(closed.exception()), "the server is closed");
    co_await s.wait_closed();
  });
}

TEST(Server, ServesForEverUntilItIsCancelledAndIsClosedThen) {  // S186
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
    task<> serving = create_task(s.serve_forever());
    std::string answer = co_await ask(s.port(), "hello");
    EXPECT_EQ(answer, "hello");
    EXPECT_TRUE(s.is_serving());
    outcome<> twice = co_await as_outcome(s.serve_forever());
    EXPECT_EQ(text_of(twice.exception()), "the server is already being awaited on serve_forever()");
    serving.cancel();
    outcome<> ended = co_await as_outcome(serving);
    EXPECT_TRUE(serving.cancelled());
    EXPECT_FALSE(s.is_serving());
    outcome<> again = co_await as_outcome(s.serve_forever());
    EXPECT_EQ(text_of(again.exception()), "the server is closed");
  });
}

TEST(Server, ClosesItsClientsWhenServeForeverIsCancelled) {  // S186; as CPython 3.13.1
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    task<> serving = create_task(s.serve_forever());
    connection idle = co_await open_connection("127.0.0.1", s.port());
    co_await idle.writer.write_all("here");
    std::string here = co_await idle.reader.readexactly(4);
    serving.cancel();
    outcome<> ended = co_await as_outcome(serving);
    EXPECT_TRUE(serving.cancelled()) << "an idle client holds nobody up";
    std::string rest = co_await idle.reader.read();
    EXPECT_EQ(rest, "");
  });
}

TEST(Server, EndsServeForeverWhenItIsClosed) {  // S187
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    task<> serving = create_task(s.serve_forever());
    co_await turns(2);
    s.close();
    outcome<> ended = co_await as_outcome(serving);
    EXPECT_TRUE(serving.cancelled());
  });
}

TEST(Server, LeavesItsClientsAloneWhenItIsClosed) {  // S187, S188
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await c.writer.write_all("first");
    std::string first = co_await c.reader.readexactly(5);
    EXPECT_EQ(first, "first");
    s.close();
    task<> closed = create_task(s.wait_closed());
    co_await c.writer.write_all("second");
    std::string second = co_await c.reader.readexactly(6);
    EXPECT_EQ(second, "second");
    EXPECT_FALSE(closed.done()) << "a connection is left";
    co_await c.writer.aclose();
    co_await closed;
    co_await s.wait_closed();
  });
}

TEST(Server, WaitClosedWaitsForCloseToo) {  // S188
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    task<> closed = create_task(s.wait_closed());
    co_await turns(5);
    EXPECT_FALSE(closed.done());
    s.close();
    co_await closed;
  });
}

TEST(Server, WaitClosedWaitsForCloseWhenTheLastConnectionHasEndedBefore) {  // S188
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    task<> closed = create_task(s.wait_closed());
    std::string answer = co_await ask(s.port(), "hello");
    EXPECT_EQ(answer, "hello");
    co_await turns(20);
    EXPECT_FALSE(closed.done());
    s.close();
    co_await turns(2);
    EXPECT_TRUE(closed.done());
    co_await s.wait_closed();
  });
}

TEST(Server, GoesOnServingItsClientsWhenItsHandleIsDestroyed) {
  run_clean([]() -> coroutine<> {
    auto counted = std::make_shared<int>(0);
    std::optional<connection> c;
    {
      auto handler = [counted](stream_reader r, stream_writer w) -> coroutine<> {
        co_await echo(std::move(r), std::move(w));
      };
      server s = co_await start_server(take(handler), "127.0.0.1", 0);
      c.emplace(co_await open_connection("127.0.0.1", s.port()));
      co_await c->writer.write_all("x");
      std::string back = co_await c->reader.readexactly(1);
    }
    co_await c->writer.write_all("still");
    std::string back = co_await c->reader.readexactly(5);
    EXPECT_EQ(back, "still");
    EXPECT_EQ(counted.use_count(), 2) << "the handler lives until its last client has ended";
    co_await c->writer.aclose();
    co_await until([&] { return counted.use_count() == 1; });
  });
}

/// How many blocks flood() has got rid of.
int flooded = 0;

/// Fills the connection: the client does not read what the server sends.
coroutine<> flood(stream_reader, stream_writer writer) {
  const std::string block(256 * 1024, 'f');
  for (flooded = 0;; ++flooded) co_await writer.write_all(block);
}

/// Until flood() has long got rid of nothing more.
coroutine<> until_full() {
  int before = -1;
  for (int unchanged = 0; unchanged < 2000; ++unchanged) {
    if (flooded != std::exchange(before, flooded)) unchanged = 0;
    co_await sleep(0s);
  }
}

TEST(Server, ClosesItsClientsGracefullyOrAtOnce) {  // S189
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await c.writer.write_all("hello");
    std::string back = co_await c.reader.readexactly(5);
    s.close();
    s.close_clients();
    std::string end = co_await c.reader.read();
    EXPECT_EQ(end, "");
    co_await s.wait_closed();

    server flooding = co_await start_server(flood, "127.0.0.1", 0);
    connection stuffed = co_await open_connection("127.0.0.1", flooding.port());
    std::string first = co_await stuffed.reader.readexactly(1);
    co_await until_full();
    flooding.close();
    flooding.close_clients();
    task<> closed = create_task(flooding.wait_closed());
    co_await turns(2000);
    EXPECT_FALSE(closed.done()) << "its buffers are full";
    flooding.abort_clients();
    co_await closed;
    EXPECT_EQ(std::exchange(reports(), {}).size(), 1u) << "the handler's write failed, which it did not expect";
  });
}

TEST(Server, ShutsDownWhenItsClientsHaveEndedWithinTheGrace) {  // S187 ≠
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await c.writer.write_all("x");
    std::string back = co_await c.reader.readexactly(1);
    task<> stopping = create_task(s.shutdown(60s));
    co_await turns(5);
    EXPECT_FALSE(stopping.done());
    outcome<std::string> refused = co_await as_outcome(ask(s.port(), "late"));
    EXPECT_EQ(code_of(refused.exception()), ECONNREFUSED);
    co_await c.writer.aclose();
    co_await stopping;
  });
}

TEST(Server, CancelsAndAbortsWhatIsLeftAfterTheGrace) {  // S187 ≠
  run_clean([]() -> coroutine<> {
    int started = 0, cancelled = 0;
    auto stubborn = [&started, &cancelled](stream_reader reader, stream_writer) -> coroutine<> {
      ++started;
      try {
        co_await reader.read();
      } catch (const cancelled_error&) {
        ++cancelled;
        throw;
      }
    };
    server s = co_await start_server(stubborn, "127.0.0.1", 0);
    connection first = co_await open_connection("127.0.0.1", s.port());
    connection second = co_await open_connection("127.0.0.1", s.port());
    co_await until([&] { return started == 2; });
    co_await s.shutdown(10ms);
    EXPECT_EQ(cancelled, 2);
    server empty = co_await start_server(stubborn, "127.0.0.1", 0);
    co_await empty.shutdown(60s);
    co_await empty.shutdown(60s);
  });
}

TEST(Server, ACancelledShutdownCancelsTheClientsAtOnce) {
  run_clean([]() -> coroutine<> {
    bool started = false, ended = false;
    auto waiting = [&started, &ended](stream_reader reader, stream_writer) -> coroutine<> {
      started = true;
      try {
        co_await reader.read();
      } catch (const cancelled_error&) {
        ended = true;
        throw;
      }
    };
    server s = co_await start_server(waiting, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await until([&] { return started; });
    task<> stopping = create_task(s.shutdown(60s));
    co_await turns(5);
    stopping.cancel();
    outcome<> end = co_await as_outcome(stopping);
    co_await s.wait_closed();
    EXPECT_TRUE(ended);
  });
}

TEST(Server, ReportsAHandlerThatThrowsAndClosesItsConnection) {  // S191
  run_clean([]() -> coroutine<> {
    auto failing = [](stream_reader reader, stream_writer) -> coroutine<> {
      co_await reader.readline();
      throw std::runtime_error("no");
    };
    server s = co_await start_server(failing, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await c.writer.write_all("x\n");
    std::string end = co_await c.reader.read();
    EXPECT_EQ(end, "");
    co_await s.shutdown(60s);
    EXPECT_EQ(std::exchange(reports(), {}), std::vector<std::string>{"Unhandled exception in client_connected_cb"});
  });
}

TEST(Server, ClosesTheConnectionOfAHandlerThatWasCancelledWithoutAWord) {  // S191
  run_clean([]() -> coroutine<> {
    auto gives_up = [](stream_reader reader, stream_writer) -> coroutine<> {
      co_await reader.readline();
      current_task().cancel();
      co_await reader.readline();
    };
    server s = co_await start_server(gives_up, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    co_await c.writer.write_all("x\n");
    std::string end = co_await c.reader.read();
    EXPECT_EQ(end, "");
    EXPECT_EQ(reports(), std::vector<std::string>());
    EXPECT_TRUE(s.is_serving());
    co_await s.shutdown(60s);
  });
}

TEST(Server, ReportsAHandlerThatThrowsBeforeItIsACoroutine) {
  run_clean([]() -> coroutine<> {
    auto failing = [](stream_reader, stream_writer) -> coroutine<> {
      throw std::runtime_error("no");
      co_return;
    };
    auto throwing = [](stream_reader, stream_writer) -> task<> { throw std::runtime_error("no"); };
    server s = co_await start_server(failing, "127.0.0.1", 0);
    server t = co_await start_server(throwing, "127.0.0.1", 0);
    for (int port : {s.port(), t.port()}) {
      outcome<std::string> answer = co_await as_outcome(ask(port, "x"));
    }
    co_await s.shutdown(60s);
    co_await t.shutdown(60s);
    EXPECT_EQ(std::exchange(reports(), {}).size(), 2u);
  });
}

TEST(Server, AcceptsNoMoreThanItMayServeAtATime) {
  run_clean([]() -> coroutine<> {
    int present = 0, most = 0, served = 0;
    auto handler = [&](stream_reader reader, stream_writer writer) -> coroutine<> {
      most = std::max(most, ++present);
      co_await echo(std::move(reader), std::move(writer));
      --present;
      ++served;
    };
    server s = co_await start_server(handler, "127.0.0.1", 0, {.max_connections = 3});
    std::vector<task<std::string>> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(create_task(ask(s.port(), "hello")));
    for (auto& client : clients) {
      std::string answer = co_await client;
      EXPECT_EQ(answer, "hello");
    }
    co_await s.shutdown(60s);
    EXPECT_EQ(served, 20);
    EXPECT_LE(most, 4) << "a handler may still run while its connection is closed already";
  });
}

TEST(Server, IsAContextManager) {
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    auto body = [](server& inside) -> coroutine<std::string> {
      std::string answer = co_await ask(inside.port(), "hello");
      co_return answer;
    };
    std::string answer = co_await async_with(std::move(s), body);
    EXPECT_EQ(answer, "hello");
  });
}

TEST(Server, EndsWithItsLoopWhateverItIsDoing) {  // F30
  std::optional<server> kept;
  std::optional<connection> client, idle_client;
  const std::size_t before = test::open_descriptors();
  std::vector<stream_writer> writers;
  auto main = [&]() -> coroutine<> {
    auto keeps = [&writers](stream_reader, stream_writer writer) -> coroutine<> {
      writers.push_back(std::move(writer));
      co_return;
    };
    server idle = co_await start_server(keeps, "127.0.0.1", 0);
    idle_client.emplace(co_await open_connection("127.0.0.1", idle.port()));
    kept.emplace(co_await start_server(flood, "127.0.0.1", 0));
    client.emplace(co_await open_connection("127.0.0.1", kept->port()));
    co_await until([&] { return writers.size() == 1; });
    std::string flood_has_begun = co_await client->reader.readexactly(1);
  };
  asyncio::run(main);
  kept->close();
  kept->close_clients();
  kept->abort_clients();
  EXPECT_FALSE(kept->is_serving());
  kept.reset();
  client.reset();
  idle_client.reset();
  writers.clear();
  EXPECT_EQ(test::open_descriptors(), before);
}

}  // namespace
