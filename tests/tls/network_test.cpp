// SPDX-License-Identifier: BSL-1.0
// open_connection() and start_server() with .ssl, over TCP and over Unix sockets.
#include "streams/stream_test.hpp"
#include "tls/tls_test.hpp"

#include <cerrno>
#include <memory>

#include <sys/socket.h>

namespace asyncio::tls_test {
namespace {

using stream_test::reports;
using stream_test::run_clean;
using stream_test::until;

coroutine<> echo(stream_reader reader, stream_writer writer) {
  while (true) {
    std::string data = co_await reader.read(4096);
    if (data.empty()) break;
    co_await writer.write_all(data);
  }
  co_await writer.aclose();
}

coroutine<std::string> exchange(connection& c, std::string text) {
  c.writer.write(text);
  std::string back = co_await c.reader.readexactly(text.size());
  co_return back;
}

TEST(TlsConnection, connects_to_a_server_that_it_believes) {  // S210
  run_clean([]() -> coroutine<> {
    const contexts c;
    server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server});
    for (const char* host : {"127.0.0.1", "localhost"}) {
      connection peer = co_await open_connection(host, s.port(), {.ssl = c.client, .family = address_family::inet});
      const std::string back = co_await exchange(peer, "hello");
      EXPECT_EQ(back, "hello");
      EXPECT_EQ(peer.writer.peername().port(), s.port());
      EXPECT_EQ(peer.writer.sockname().host(), "127.0.0.1");
      EXPECT_GT(peer.writer.fileno(), 0);
      EXPECT_EQ(peer.writer.ssl_info()->version, "TLSv1.3");
      co_await peer.writer.aclose();
    }
    co_await s.shutdown(1s);
  });
}

TEST(TlsConnection, copies_its_context_and_names_when_it_is_called) {  // A11
  run_clean([]() -> coroutine<> {
    const contexts c;
    task<server> starting;
    {
      const ssl_context mine = server_context(c.maker.issue("mine"));
      starting = create_task(start_server(echo, "127.0.0.1", 0, {.ssl = mine}));
    }
    server s = co_await std::move(starting);
    task<connection> connecting;
    {
      const ssl_context mine = client_context(c.maker.trusted());
      std::string name = "local";
      name += "host";
      connecting = create_task(open_connection("127.0.0.1", s.port(), {.ssl = mine, .server_hostname = name}));
      name.assign(9, 'x');
    }
    connection peer = co_await std::move(connecting);
    const std::string back = co_await exchange(peer, "hello");
    EXPECT_EQ(back, "hello");
    co_await peer.writer.aclose();
    co_await s.shutdown(1s);
  });
}

coroutine<> connect(int port, connection_options options) {
  connection c = co_await open_connection("127.0.0.1", port, options);
}

TEST(TlsConnection, a_server_that_is_not_believed_never_sees_the_client_and_nothing_stays_open) {  // S210
  run_clean([]() -> coroutine<> {
    const contexts c;
    int served = 0;
    auto handler = [&served](stream_reader, stream_writer) -> coroutine<> {
      ++served;
      co_return;
    };
    server s = co_await start_server(handler, "127.0.0.1", 0, {.ssl = c.server});
    const std::size_t before = test::open_descriptors();
    std::exception_ptr error = co_await failure_of(connect(s.port(), {.ssl = c.client, .server_hostname = "a.org"}));
    EXPECT_EQ(text_of(error), "TLS handshake with 'a.org': hostname mismatch: certificate verify failed");
    // The connection was closed before the call has thrown; the server's end follows when it hears of it.
    co_await until([&] { return test::open_descriptors() == before; });
    EXPECT_EQ(served, 0);
    std::exception_ptr authority = co_await failure_of(connect(s.port(), {.ssl = true}));
    EXPECT_TRUE(is_a<ssl_cert_verification_error>(authority)) << text_of(authority);
    co_await s.shutdown(1s);
  });
}

TEST(TlsConnection, a_peer_that_speaks_no_tls_is_told_so) {
  run_clean([]() -> coroutine<> {
    const contexts c;
    server plain = co_await start_server(echo, "127.0.0.1", 0);
    auto greet = [](stream_reader reader, stream_writer writer) -> coroutine<> {
      co_await writer.write_all("220 hello\r\n");
      const std::string rest = co_await reader.read();
    };
    server talker = co_await start_server(greet, "127.0.0.1", 0);
    std::exception_ptr error = co_await failure_of(connect(talker.port(), {.ssl = c.client}));
    EXPECT_EQ(text_of(error), "TLS handshake with '127.0.0.1': wrong version number: TLS failed");
    EXPECT_TRUE(is_a<ssl_error>(error));
    co_await plain.shutdown(1s);
    co_await talker.shutdown(1s);
    reports().clear();  // greet() may have seen the reset
  });
}

TEST(TlsConnection, refuses_arguments_that_do_not_fit_together) {  // S182, S209
  run_clean([]() -> coroutine<> {
    const contexts c;
    struct wrong_call {
      connection_options options;
      const char* text;
    };
    const wrong_call calls[] = {
        {{.ssl = c.server}, "a client's ssl_context is made with ssl_purpose::server_auth"},
        {{.ssl = c.client, .ssl_handshake_timeout = 0s}, "ssl_handshake_timeout must be greater than 0"},
        {{.ssl = c.client, .ssl_shutdown_timeout = -1s}, "ssl_shutdown_timeout must be greater than 0"},
        {{.ssl = c.client, .server_hostname = "\n"}, "server_hostname '\\x0a' is no host name"},
    };
    for (const wrong_call& call : calls) {
      std::exception_ptr error = co_await failure_of(connect(1, call.options));
      EXPECT_EQ(text_of(error), call.text);
      EXPECT_TRUE(is_a<std::invalid_argument>(error));
    }
    const auto nameless = []() -> coroutine<> {
      connection none = co_await open_connection("", 0, {.ssl = true, .sock = 0});
    };
    std::exception_ptr error = co_await failure_of(nameless());
    EXPECT_EQ(text_of(error), "ssl needs a server_hostname when there is no host");

    const auto serve = [](server_options options) -> coroutine<> {
      server s = co_await start_server(echo, "127.0.0.1", 0, options);
    };
    error = co_await failure_of(serve({.ssl = c.client}));
    EXPECT_EQ(text_of(error), "a server's ssl_context is made with ssl_purpose::client_auth");
    error = co_await failure_of(serve({.ssl = true}));
    EXPECT_EQ(text_of(error), "a server's ssl_context is made with ssl_purpose::client_auth");
    error = co_await failure_of(serve({.ssl = c.server, .ssl_handshake_timeout = 0s}));
    EXPECT_EQ(text_of(error), "ssl_handshake_timeout must be greater than 0");
  });
}

TEST(TlsConnection, goes_over_unix_sockets) {
  run_clean([]() -> coroutine<> {
    const contexts c;
    const test::scratch_folder folder;
    server s = co_await start_unix_server(echo, folder / "s", {.ssl = c.server});
    connection peer = co_await open_unix_connection(folder / "s", {.ssl = c.client, .server_hostname = "localhost"});
    const std::string back = co_await exchange(peer, std::string(1'000'000, 'x'));
    EXPECT_EQ(back.size(), 1'000'000u);
    co_await peer.writer.aclose();
    const auto nameless = [&]() -> coroutine<> {
      connection none = co_await open_unix_connection(folder / "s", {.ssl = c.client});
    };
    std::exception_ptr error = co_await failure_of(nameless());
    EXPECT_EQ(text_of(error), "ssl needs a server_hostname for a Unix socket");
    co_await s.shutdown(1s);
  });
}

TEST(TlsConnection, takes_over_a_connected_socket) {
  run_clean([]() -> coroutine<> {
    const contexts c;
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    connection far = co_await open_unix_connection("", {.sock = pair[1]});
    task<std::exception_ptr> shaking = create_task(failure_of(far.writer.start_tls(c.server, {.server_side = true})));
    connection near =
        co_await open_unix_connection("", {.ssl = c.client, .server_hostname = "localhost", .sock = pair[0]});
    std::exception_ptr error = co_await std::move(shaking);
    EXPECT_EQ(text_of(error), "");
    co_await gather(near.writer.aclose(), far.writer.aclose());
  });
}

// ---- servers

TEST(TlsServer, goes_on_accepting_while_others_do_not_shake_hands) {
  run_clean([]() -> coroutine<> {
    const contexts c;
    server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server, .ssl_handshake_timeout = 60s});
    std::vector<connection> silent;
    for (int i = 0; i < 50; ++i) {
      connection one = co_await open_connection("127.0.0.1", s.port());
      if (i % 2 == 0) one.writer.write("\x16\x03\x01\x02");  // a beginning
      silent.push_back(std::move(one));
    }
    connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client});
    const std::string back = co_await exchange(peer, "hello");
    EXPECT_EQ(back, "hello");
    co_await peer.writer.aclose();
    silent.clear();
    s.close();
    co_await s.shutdown(0s);
  });
}

TEST(TlsServer, a_handshake_that_fails_ends_that_connection_and_is_reported_in_debug_mode) {
  for (const bool debug : {false, true}) {
    run_clean(
        [debug]() -> coroutine<> {
          const contexts c;
          server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server});
          connection stranger = co_await open_connection("127.0.0.1", s.port());
          stranger.writer.write(std::string_view("\x16\x03\x01\x00\x05hello", 10));  // a record, but no hello
          const std::string alert = co_await stranger.reader.read();
          EXPECT_EQ(alert.size(), 7u) << "one alert, then the end";
          EXPECT_EQ(alert.substr(0, 1), "\x15");
          co_await stranger.writer.aclose();
          connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client});
          const std::string back = co_await exchange(peer, "hello");
          EXPECT_EQ(back, "hello");
          co_await peer.writer.aclose();
          co_await s.shutdown(1s);
          const std::vector<std::string> expected(debug ? 1 : 0, "Error on transport creation for incoming connection");
          EXPECT_EQ(reports(), expected);
          reports().clear();
        },
        {.debug = debug});
  }
}

TEST(TlsServer, a_client_that_is_refused_hears_why_though_it_is_sending) {  // reliability R18, S9
  run_clean([]() -> coroutine<> {
    contexts c;
    c.server.load_verify_locations(c.maker.trusted());
    c.server.set_verify_mode(verify_mode::required);
    server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server});
    for (int i = 0; i < 50; ++i) {
      connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client});
      peer.writer.write(std::string(static_cast<std::size_t>(i) * 2000, 'x'));
      std::exception_ptr heard = co_await failure_of(read_and_forget(peer.reader));
      EXPECT_NE(text_of(heard).find("alert certificate required"), std::string::npos) << i << ": " << text_of(heard);
    }
    co_await s.shutdown(1s);
  });
}

TEST(TlsServer, ends_with_clients_in_every_state) {
  run_clean([]() -> coroutine<> {
    const contexts c;
    server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server});
    connection silent = co_await open_connection("127.0.0.1", s.port());
    connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client});
    const std::string back = co_await exchange(peer, "hello");
    EXPECT_EQ(back, "hello");
    co_await s.shutdown(0s);
    std::exception_ptr cut = co_await failure_of(read_and_forget(peer.reader));
    EXPECT_NE(cut, nullptr);
    const std::exception_ptr ended = co_await failure_of(read_and_forget(silent.reader));
    (void)ended;  // the end, or a reset
  });
}

TEST(TlsConnection, leaves_nothing_open_wherever_it_is_cancelled) {  // S209, F35
  const contexts c;
  const std::size_t before = test::open_descriptors();
  auto body = [&c]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server});
    connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client});
    peer.writer.write("hello");
    const std::string back = co_await peer.reader.readexactly(5);
    EXPECT_EQ(back, "hello");
    co_await peer.writer.aclose();
    co_await s.shutdown(1s);
  };
  const auto check = [&] { EXPECT_EQ(test::open_descriptors(), before); };
  EXPECT_GT(testing::inject_cancel(body, check), 12u);
  EXPECT_GT(testing::inject_cancel(body, check, {.all_tasks = true}), 12u);
}

TEST(TlsConnection, contexts_are_used_by_loops_of_several_threads) {
  const contexts c;
  const auto work = [&c]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server});
    for (int i = 0; i < 20; ++i) {
      connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client});
      const std::string back = co_await exchange(peer, "hello");
      EXPECT_EQ(back, "hello");
      co_await peer.writer.aclose();
    }
    co_await s.shutdown(1s);
  };
  std::thread other([&] { asyncio::run(work); });
  asyncio::run(work);
  other.join();
}

}  // namespace
}  // namespace asyncio::tls_test
