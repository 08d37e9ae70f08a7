// SPDX-License-Identifier: BSL-1.0
// open_connection: S180–S183, S207.
#include "streams/stream_test.hpp"

#include <memory>
#include <stdexcept>

#include <fcntl.h>
#include <sys/socket.h>

namespace {

using namespace stream_test;

/// Serves whoever comes with the bytes that they send.
coroutine<> echo(stream_reader reader, stream_writer writer) {
  while (true) {
    std::string data = co_await reader.read(4096);
    if (data.empty()) break;
    co_await writer.write_all(data);
  }
}

coroutine<std::string> exchange(connection& c, std::string_view text) {
  c.writer.write(text);
  std::string back = co_await c.reader.readexactly(5);
  co_return back;
}

TEST(OpenConnection, ConnectsToNamesAndNumbers) {
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    for (const char* host : {"127.0.0.1", "localhost"}) {
      connection c = co_await open_connection(host, s.port(), {.family = address_family::inet});
      std::string back = co_await exchange(c, "hello");
      EXPECT_EQ(back, "hello");
      co_await c.writer.aclose();
    }
    auto [reader, writer] = co_await open_connection("127.0.0.1", s.port());
    writer.write_eof();
    std::string rest = co_await reader.read();
    EXPECT_EQ(rest, "");
    co_await s.shutdown(1s);
  });
}

TEST(OpenConnection, CopiesItsArgumentsWhenItIsCalled) {  // A11
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    task<connection> connecting;
    {
      std::string host = "local";
      std::string local = "127.0.0.3";
      connecting = create_task(
          open_connection(host + "host", s.port(), {.family = address_family::inet, .local_addr = {local, 0}}));
      host.assign(100, 'x');
      local.assign(100, 'y');
    }
    connection c = co_await std::move(connecting);
    EXPECT_EQ(c.writer.sockname().host(), "127.0.0.3");
    co_await c.writer.aclose();
    co_await s.shutdown(1s);
  });
}

/// What open_connection throws.
coroutine<std::exception_ptr> failure(std::string host, int port, connection_options options = {}) {
  std::exception_ptr error;
  try {
    connection c = co_await open_connection(host, port, options);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return error;
}

TEST(OpenConnection, RefusesArgumentsThatDoNotFitTogether) {  // S182, S207
  run_clean([]() -> coroutine<> {
    struct wrong_call {
      const char* host;
      int port;
      connection_options options;
      const char* text;
    };
    const wrong_call calls[] = {
        {"h", 1, {.limit = 0}, "the limit of a stream must be greater than 0"},
        {"h", 1, {.server_hostname = "x"}, "server_hostname is only meaningful with ssl"},
        {"h",
         1,
         {.ssl_handshake_timeout = 1s},
         "ssl_handshake_timeout and ssl_shutdown_timeout are only meaningful with ssl"},
        {"h", 1, {.sock = 0}, "host/port and sock can not be specified at the same time"},
        {"", 0, {}, "host and port was not specified and no sock specified"},
        {"h", 65536, {}, "port must be 0-65535, not 65536"},
        {"h", -1, {}, "port must be 0-65535, not -1"},
        {"h", 1, {.interleave = -1}, "interleave must not be negative"},
        {"h\xc3\xa9", 1, {}, "host name 'h\xc3\xa9' is not ASCII: write its xn-- form"},
    };
    for (const wrong_call& call : calls) {
      std::exception_ptr error = co_await failure(call.host, call.port, call.options);
      EXPECT_EQ(text_of(error), call.text);
      EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    }
  });
}

TEST(OpenConnection, TakesOverAConnectedSocket) {
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection first = co_await open_connection("127.0.0.1", s.port());
    const int copy = ::fcntl(first.writer.fileno(), F_DUPFD_CLOEXEC, 0);
    connection c = co_await open_connection("", 0, {.sock = copy});
    EXPECT_EQ(c.writer.fileno(), copy);
    EXPECT_EQ(c.writer.peername().port(), s.port());
    std::string back = co_await exchange(c, "hello");
    EXPECT_EQ(back, "hello");
    first.writer.abort();
    co_await c.writer.aclose();
    co_await s.shutdown(1s);
  });
}

TEST(OpenConnection, MayGetTheNumberOfADescriptorThatWasClosedUnderItsWatch) {
  run_clean([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    test::socket_pair watched, fresh;
    const auto called = std::make_shared<int>(0);
    loop.add_reader(watched.a, [called] { ++*called; });
    co_await sleep(0s);
    const int number = watched.a;
    watched.close_a();
    EXPECT_EQ(::fcntl(fresh.a, F_DUPFD_CLOEXEC, number), number);
    connection c = co_await open_connection("", 0, {.sock = number});
    EXPECT_EQ(::send(fresh.b, "ping", 4, 0), 4);
    std::string got = co_await c.reader.readexactly(4);
    EXPECT_EQ(got, "ping");
    co_await c.writer.write_all("pong");
    EXPECT_EQ(*called, 0) << "nobody calls for a descriptor that is gone";
    EXPECT_TRUE(loop.remove_reader(number));
    EXPECT_EQ(::send(fresh.b, "again", 5, 0), 5);
    got = co_await c.reader.readexactly(5);
    EXPECT_EQ(got, "again");
    co_await c.writer.aclose();
  });
}

TEST(OpenConnection, RefusesASocketThatIsNoStream) {  // S182
  run_clean([]() -> coroutine<> {
    const int datagrams = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    std::exception_ptr error = co_await failure("", 0, {.sock = datagrams});
    EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    EXPECT_EQ(::close(datagrams), 0) << "it is still the caller's";
  });
}

TEST(OpenConnection, SaysWhoRefused) {  // S180
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
    const std::string port = std::to_string(s.port());
    std::exception_ptr error = co_await failure("127.0.0.1", s.port());
    EXPECT_EQ(code_of(error), ECONNREFUSED);
    EXPECT_EQ(text_of(error), "cannot connect to 127.0.0.1:" + port + ": Connection refused");
  });
}

/// Cancels a task made by `make` after `n` turns; whether it had not ended by then.
template <class Make>
coroutine<bool> cancel_after(int n, Make& make) {
  auto victim = create_task(make());
  co_await turns(n);
  const bool in_time = victim.cancel();
  outcome<> end = co_await as_outcome(any_task(victim));
  if (in_time) {
    EXPECT_TRUE(victim.cancelled()) << "after " << n << " turns";
  }
  co_return in_time;
}

TEST(OpenConnection, LeavesNothingOpenWhereverItIsCancelled) {  // S181, F35
  for (const char* host : {"127.0.0.1", "localhost"}) {
    bool in_time = true;
    for (int n = 0; in_time && n < 10'000; n += 1 + n / 8) {
      run_clean([&]() -> coroutine<> {
        server s = co_await start_server(echo, "127.0.0.1", 0);
        const int port = s.port();
        auto make = [host, port]() -> coroutine<> {
          connection c = co_await open_connection(host, port, {.family = address_family::inet});
          c.writer.abort();
          co_await asyncio::sleep(0s);  // here comes a cancellation that found the connection made
        };
        in_time = co_await cancel_after(n, make);
        co_await s.shutdown(0s);
      });
    }
    EXPECT_FALSE(in_time) << "it did end by itself at last";
  }
}

}  // namespace
