// SPDX-License-Identifier: BSL-1.0
// Streams under TLS, and somebody between them, or instead of one of them.
#include "tls/context.hpp"
#include "tls/engine.hpp"
#include "tls/tls_test.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

namespace asyncio::tls_test {
namespace {

constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();

/// Carries bytes from one connection to another, then ends that one; after `most` bytes at once.
coroutine<std::size_t> carry(stream_reader& from, stream_writer& to, std::size_t most) {
  std::size_t carried = 0;
  while (carried < most) {
    std::string bytes = co_await from.read(16 * 1024);
    if (bytes.empty()) break;
    bytes.resize(std::min(bytes.size(), most - carried));
    carried += bytes.size();
    to.write(bytes);
  }
  to.close();
  co_return carried;
}

/// How a client fared whose server says "one,two,three" and goodbye, through a wire that is cut after `most` bytes.
struct fate {
  std::string got;
  std::exception_ptr handshake;
  std::exception_ptr reading;
  std::size_t carried = 0;
};

coroutine<> speak(stream_writer& writer, const ssl_context& context) {
  try {
    co_await writer.start_tls(context, {.server_side = true});
    for (const char* word : {"one,", "two,", "three"}) co_await writer.write_all(word);
    co_await writer.aclose();
  } catch (const std::system_error&) {  // the cut reaches this side, too
  }
}

coroutine<fate> listen_through(const contexts& c, std::size_t most) {
  auto [client, left] = testing::stream_pair();
  auto [right, server] = testing::stream_pair();
  task<> speaking = create_task(speak(server.writer, c.server));
  task<std::size_t> there = create_task(carry(left.reader, right.writer, everything));
  task<std::size_t> back = create_task(carry(right.reader, left.writer, most));
  fate f;
  f.handshake = co_await failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"}));
  while (f.handshake == nullptr && f.reading == nullptr) {
    try {
      std::string some = co_await client.reader.read(100);
      if (some.empty()) break;
      f.got += some;
    } catch (const std::system_error&) {
      f.reading = std::current_exception();
    }
  }
  client.writer.close();
  f.carried = co_await std::move(back);
  right.writer.abort();
  left.writer.abort();
  const std::exception_ptr ignored = co_await failure_of(client.writer.wait_closed());
  co_await failure_of(wait_and_forget(std::move(there)));
  co_await std::move(speaking);
  co_return f;
}

TEST(TlsWire, a_client_knows_at_every_byte_whether_the_stream_was_cut) {  // reliability S3; S211
  testing::run([]() -> coroutine<> {
    const contexts c;
    const fate whole = co_await listen_through(c, everything);
    EXPECT_EQ(whole.got, "one,two,three");
    EXPECT_EQ(text_of(whole.handshake), "");
    EXPECT_EQ(text_of(whole.reading), "");
    EXPECT_GT(whole.carried, 1000u);
    std::size_t shaken = 0;
    for (std::size_t most = 0; most<whole.carried - 10; most += most> whole.carried - 700 ? 1 : 41) {
      const fate f = co_await listen_through(c, most);
      if (f.handshake != nullptr) {
        EXPECT_EQ(code_of(f.handshake), ECONNRESET) << most << ": " << text_of(f.handshake);
        EXPECT_EQ(f.got, "");
        continue;
      }
      ++shaken;
      EXPECT_EQ(std::string("one,two,three").rfind(f.got, 0), 0u) << f.got;
      // Behind the server's last byte of the handshake the client's own has nowhere to go any more.
      if (code_of(f.reading) == EPIPE && f.got.empty()) continue;
      EXPECT_TRUE(is_a<ssl_eof_error>(f.reading)) << most << ": " << text_of(f.reading);
      EXPECT_EQ(text_of(f.reading), "TLS with 'localhost': connection cut off without a TLS goodbye");
    }
    EXPECT_GT(shaken, 50u);
  });
}

// ---- start_tls, and bytes in the clear (reliability S4)

TEST(TlsWire, a_client_refuses_what_came_in_the_clear_and_was_not_read) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    // "Go ahead", and what somebody in between has added.
    server.writer.write("220 go ahead\r\n250 injected\r\n");
    const std::string answer = co_await client.reader.readline();
    EXPECT_EQ(answer, "220 go ahead\r\n");
    std::exception_ptr error = co_await failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"}));
    EXPECT_TRUE(is_a<ssl_error>(error));
    EXPECT_EQ(text_of(error), "start_tls(): 14 bytes have come in the clear and were not read: TLS failed");
    EXPECT_FALSE(client.writer.ssl_info());
    EXPECT_FALSE(client.writer.is_closing());
    client.writer.abort();
    server.writer.abort();
  });
}

TEST(TlsWire, a_client_takes_nothing_that_comes_in_the_clear_after_it_has_asked) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    server.writer.write("220 go ahead\r\n");
    const std::string answer = co_await client.reader.readline();
    server.writer.write("250 injected\r\n");  // in a segment of its own: on the way when TLS begins
    auto [client_error, server_error] =
        co_await gather(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})),
                        failure_of(server.writer.start_tls(c.server, {.server_side = true})));
    EXPECT_TRUE(is_a<ssl_error>(client_error)) << text_of(client_error);
    EXPECT_NE(text_of(client_error).find("wrong version number"), std::string::npos) << text_of(client_error);
    EXPECT_NE(server_error, nullptr);
    std::exception_ptr read = co_await failure_of(read_and_forget(client.reader));
    EXPECT_TRUE(is_a<ssl_error>(read));
  });
}

TEST(TlsWire, a_server_gives_what_it_has_read_ahead_to_the_handshake) {  // S208
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, left] = testing::stream_pair();
    auto [right, server] = testing::stream_pair();
    task<std::exception_ptr> shaking =
        create_task(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})));
    // The client's command and its first words under TLS come to the server in one piece.
    const std::string hello = co_await left.reader.read(16 * 1024);
    EXPECT_GT(hello.size(), 100u);
    right.writer.write("STARTTLS\r\n" + hello);
    const std::string command = co_await server.reader.readline();
    EXPECT_EQ(command, "STARTTLS\r\n");
    task<std::size_t> there = create_task(carry(left.reader, right.writer, everything));
    task<std::size_t> back = create_task(carry(right.reader, left.writer, everything));
    std::exception_ptr server_error = co_await failure_of(server.writer.start_tls(c.server, {.server_side = true}));
    EXPECT_EQ(text_of(server_error), "");
    std::exception_ptr client_error = co_await std::move(shaking);
    EXPECT_EQ(text_of(client_error), "");
    co_await client.writer.write_all("under TLS\n");
    const std::string line = co_await server.reader.readline();
    EXPECT_EQ(line, "under TLS\n");
    co_await gather(client.writer.aclose(), server.writer.aclose());
    co_await gather(std::move(there), std::move(back));
  });
}

TEST(TlsWire, a_server_takes_a_command_in_the_clear_behind_starttls_for_no_command) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    client.writer.write("STARTTLS\r\nDELETE everything\r\n");
    const std::string command = co_await server.reader.readline();
    std::exception_ptr error = co_await failure_of(server.writer.start_tls(c.server, {.server_side = true}));
    EXPECT_TRUE(is_a<ssl_error>(error)) << text_of(error);
    std::exception_ptr read = co_await failure_of(read_and_forget(server.reader));
    EXPECT_TRUE(is_a<ssl_error>(read)) << text_of(read);
    client.writer.abort();
  });
}

TEST(TlsWire, start_tls_sends_what_was_written_before_it_in_the_clear) {  // S208
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    server.writer.write("220 go ahead\r\n");
    task<std::exception_ptr> serving =
        create_task(failure_of(server.writer.start_tls(c.server, {.server_side = true})));
    const std::string answer = co_await client.reader.readline();
    EXPECT_EQ(answer, "220 go ahead\r\n");
    std::exception_ptr client_error =
        co_await failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"}));
    EXPECT_EQ(text_of(client_error), "");
    co_await std::move(serving);
    co_await gather(client.writer.aclose(), server.writer.aclose());
  });
}

TEST(TlsWire, what_is_written_during_the_handshake_goes_out_under_tls) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, left] = testing::stream_pair();
    auto [right, server] = testing::stream_pair();
    task<std::exception_ptr> shaking =
        create_task(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})));
    co_await sleep(1s);
    client.writer.write("a secret");
    const std::string hello = co_await left.reader.read(16 * 1024);
    EXPECT_EQ(hello.find("a secret"), std::string::npos);
    EXPECT_EQ(client.writer.get_write_buffer_size(), 8u);
    right.writer.write(hello);
    task<std::size_t> there = create_task(carry(left.reader, right.writer, everything));
    task<std::size_t> back = create_task(carry(right.reader, left.writer, everything));
    std::exception_ptr server_error = co_await failure_of(server.writer.start_tls(c.server, {.server_side = true}));
    EXPECT_EQ(text_of(server_error), "");
    const std::string got = co_await server.reader.readexactly(8);
    EXPECT_EQ(got, "a secret");
    std::exception_ptr client_error = co_await std::move(shaking);
    EXPECT_EQ(text_of(client_error), "");
    co_await gather(client.writer.aclose(), server.writer.aclose());
    co_await gather(std::move(there), std::move(back));
  });
}

TEST(TlsWire, a_read_that_begins_during_the_handshake_is_answered_under_tls) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    task<std::exception_ptr> shaking =
        create_task(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})));
    co_await sleep(1s);
    task<> reading = create_task(read_a_little(client.reader));
    co_await sleep(1s);
    EXPECT_FALSE(reading.done());
    server.writer.write("");
    std::exception_ptr server_error = co_await failure_of(server.writer.start_tls(c.server, {.server_side = true}));
    EXPECT_EQ(text_of(server_error), "");
    co_await sleep(1s);
    EXPECT_FALSE(reading.done());
    co_await server.writer.write_all("x");
    co_await std::move(reading);
    co_await std::move(shaking);
    co_await gather(client.writer.aclose(), server.writer.aclose());
  });
}

TEST(TlsWire, start_tls_refuses_what_makes_no_sense) {  // S217, S209
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    struct wrong_call {
      const ssl_context& context;
      start_tls_options options;
      const char* text;
    };
    const std::string long_name(255, 'x');
    const ssl_context bare = ssl_context::create_default_context(ssl_purpose::client_auth);
    const wrong_call calls[] = {
        {c.client, {}, "check_hostname requires server_hostname"},
        {c.client, {.server_hostname = "."}, "check_hostname requires server_hostname"},
        {c.client, {.server_hostname = "b\xc3\xbc"}, "server_hostname 'b\xc3\xbc' is not ASCII: write its xn-- form"},
        {c.client, {.server_hostname = {"a\0b", 3}}, "server_hostname 'a\\x00b' is no host name"},
        {c.client, {.server_hostname = long_name}, "server_hostname is longer than 253 bytes"},
        {c.client, {.server_side = true}, "a server's ssl_context is made with ssl_purpose::client_auth"},
        {c.server, {.server_hostname = "a"}, "a client's ssl_context is made with ssl_purpose::server_auth"},
        {c.client, {.ssl_handshake_timeout = 0s}, "ssl_handshake_timeout must be greater than 0"},
        {c.client, {.ssl_shutdown_timeout = -1s}, "ssl_shutdown_timeout must be greater than 0"},
        {bare, {.server_side = true}, "a server's ssl_context has a certificate: load_cert_chain()"},
    };
    for (const wrong_call& call : calls) {
      std::exception_ptr error = co_await failure_of(client.writer.start_tls(call.context, call.options));
      EXPECT_EQ(text_of(error), call.text);
      EXPECT_TRUE(is_a<std::invalid_argument>(error));
    }
    task<> reading = create_task(read_a_little(client.reader));
    co_await sleep(0s);
    std::exception_ptr busy = co_await failure_of(client.writer.start_tls(c.client, {.server_hostname = "a"}));
    EXPECT_EQ(text_of(busy), "start_tls() called while another coroutine is waiting for incoming data");
    // Nothing has happened to the connection.
    co_await server.writer.write_all("x");
    co_await std::move(reading);
    client.writer.abort();
    server.writer.abort();
  });
}

// ---- peers that do not play along

TEST(TlsWire, a_handshake_takes_no_longer_than_it_may) {  // S209
  testing::run([]() -> coroutine<> {
    const contexts c;
    event_loop& loop = get_running_loop();
    for (const bool server_side : {false, true}) {
      auto [near, far] = testing::stream_pair();
      const time_point before = loop.time();
      const ssl_context& context = server_side ? c.server : c.client;
      const std::string name = server_side ? "" : "localhost";
      std::exception_ptr error =
          co_await failure_of(near.writer.start_tls(context, {.server_hostname = name, .server_side = server_side}));
      EXPECT_EQ(code_of(error), ECONNABORTED);
      EXPECT_EQ(text_of(error).rfind("TLS handshake with " + std::string(server_side ? "a client" : "'localhost'") +
                                         " took longer than 60 s",
                                     0),
                0u)
          << text_of(error);
      EXPECT_EQ(loop.time() - before, 60s);
      far.writer.abort();
    }
    auto [near, far] = testing::stream_pair();
    const time_point before = loop.time();
    std::exception_ptr error =
        co_await failure_of(near.writer.start_tls(c.client, {.server_hostname = "a", .ssl_handshake_timeout = 1500ms}));
    EXPECT_EQ(text_of(error).rfind("TLS handshake with 'a' took longer than 1.5 s", 0), 0u) << text_of(error);
    EXPECT_EQ(loop.time() - before, 1500ms);
    far.writer.abort();
  });
}

TEST(TlsWire, a_peer_that_goes_away_during_the_handshake_is_a_reset) {  // S211
  testing::run([]() -> coroutine<> {
    const contexts c;
    for (const bool by_abort : {false, true}) {
      auto [client, server] = testing::stream_pair();
      task<std::exception_ptr> shaking =
          create_task(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})));
      const std::string hello = co_await server.reader.read(100);
      by_abort ? server.writer.abort() : server.writer.close();
      std::exception_ptr error = co_await std::move(shaking);
      EXPECT_EQ(code_of(error), ECONNRESET) << text_of(error);
    }
  });
}

TEST(TlsWire, close_during_the_handshake_aborts) {  // S212
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair();
    task<std::exception_ptr> shaking =
        create_task(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})));
    co_await sleep(1s);
    client.writer.close();
    std::exception_ptr error = co_await std::move(shaking);
    EXPECT_EQ(code_of(error), ECONNABORTED) << text_of(error);
    std::exception_ptr seen = co_await failure_of(read_everything(server.reader));
    EXPECT_EQ(code_of(seen), ECONNRESET);
  });
}

/// The client's side as a machine in the hands of the test, and its SSL.
struct puppet {
  explicit puppet(const contexts& c) : puppet(make(c)) {}
  explicit puppet(tls::ssl_ptr made) : ssl(made.get()), engine(std::move(made), false, "'localhost'") {}
  static tls::ssl_ptr make(const contexts& c) {
    io::secure_options options;
    options.server_hostname = "localhost";
    return static_cast<tls::context*>(c.client.provider())->make_ssl(options);
  }
  std::string said() { return std::exchange(engine.output(), {}); }
  SSL* ssl;
  tls::engine engine;
};

coroutine<> shake_hands(puppet& p, connection& c) {
  while (p.engine.handshake() == tls::engine::status::wants_input) {
    c.writer.write(p.said());
    const std::string bytes = co_await c.reader.read(64 * 1024);
    p.engine.give(bytes);
    p.engine.keep_input();
  }
  c.writer.write(p.said());
}

TEST(TlsWire, a_peer_that_wants_answers_and_reads_none_fills_no_memory) {  // reliability S12, S13
  testing::run([]() -> coroutine<> {
    const contexts c;
    auto [client, server] = testing::stream_pair({.buffer = 4096});
    task<std::exception_ptr> shaking =
        create_task(failure_of(server.writer.start_tls(c.server, {.server_side = true})));
    puppet p(c);
    co_await shake_hands(p, client);
    std::exception_ptr error = co_await std::move(shaking);
    EXPECT_EQ(text_of(error), "");
    task<std::exception_ptr> reading = create_task(failure_of(read_and_forget(server.reader)));
    std::size_t most = 0, sent = 0;
    for (int i = 0; i < 100; ++i) {
      for (int k = 0; k < 500; ++k) {  // each asks for an answer as long as itself
        EXPECT_EQ(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        EXPECT_EQ(SSL_do_handshake(p.ssl), 1);
      }
      std::string updates = p.said();
      sent += updates.size();
      client.writer.write(std::move(updates));
      for (int turn = 0; turn < 30; ++turn) co_await sleep(0s);
      most = std::max(most, server.writer.get_write_buffer_size());
    }
    EXPECT_GT(sent, 1'000'000u);
    EXPECT_GT(most, 400'000u);
    EXPECT_LT(most, 700'000u);
    // Once they are read, it goes on.
    p.engine.write("words");
    client.writer.write(p.said());
    task<> discarding = create_task(read_and_forget(client.reader));
    co_await sleep(1s);
    EXPECT_EQ(server.writer.get_write_buffer_size(), 0u);
    client.writer.abort();
    server.writer.abort();
    discarding.cancel();
    co_await std::move(reading);
  });
}

// ---- cancellation

TEST(TlsWire, leaves_nothing_wherever_it_is_cancelled) {  // S209, F35
  const contexts c;
  auto body = [&c]() -> coroutine<> {
    secured both = co_await make_secured(c);
    co_await both.client.writer.write_all("hello\n");
    const std::string line = co_await both.served.reader.readline();
    EXPECT_EQ(line, "hello\n");
    co_await close_both(both);
  };
  EXPECT_GT(testing::inject_cancel(body), 12u);
  EXPECT_GT(testing::inject_cancel(body, {.all_tasks = true}), 12u);
}

TEST(TlsWire, a_read_that_is_cancelled_loses_nothing) {  // S199
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    std::string got;
    task<> sending = create_task(write_slowly(both.client.writer, 200));
    while (got.size() < 200) {
      try {
        got += co_await wait_for(both.served.reader.read(3), 700ms);
      } catch (const timeout_error&) {}
    }
    EXPECT_EQ(got, std::string(200, 'x'));
    co_await std::move(sending);
    co_await close_both(both);
  });
}

// ---- the loop ends

TEST(TlsWire, is_harmless_when_its_loop_is_closed) {
  const contexts c;
  for (const bool shaken : {false, true}) {
    std::optional<connection> left;
    asyncio::run([&]() -> coroutine<> {
      if (shaken) {
        secured both = co_await make_secured(c);
        left.emplace(std::move(both.client));
        left->writer.write("never sent");
        co_return;
      }
      auto [client, server] = testing::stream_pair();
      task<std::exception_ptr> shaking =
          create_task(failure_of(client.writer.start_tls(c.client, {.server_hostname = "localhost"})));
      co_await sleep(0s);
      left.emplace(std::move(client));
    });
    left.reset();
  }
}

}  // namespace
}  // namespace asyncio::tls_test
