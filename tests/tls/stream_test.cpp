// SPDX-License-Identifier: BSL-1.0
// Streams under TLS in memory: S208–S218, and what may happen in between.
#include "tls/tls_test.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace asyncio::tls_test {
namespace {

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

coroutine<> send(stream_writer& writer, std::string bytes) { co_await writer.write_all(std::move(bytes)); }
coroutine<> send_in_pieces(stream_writer& writer, std::string bytes) {
  for (std::size_t at = 0, n = 1; at < bytes.size(); at += n, n = n * 7 % 4999 + 1) {
    writer.write(std::string_view(bytes).substr(at, n));
    if (n % 3 == 0) co_await writer.drain();
  }
}
coroutine<std::string> receive(stream_reader& reader, std::size_t size) {
  std::string got = co_await reader.readexactly(size);
  co_return got;
}

TEST(TlsStream, carries_bytes_both_ways_at_once) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    const std::string there = pattern(3'000'000), back = pattern(2'000'000);
    auto [none, none2, at_server, at_client] =
        co_await gather(send(both.client.writer, there), send(both.served.writer, back),
                        receive(both.served.reader, there.size()), receive(both.client.reader, back.size()));
    EXPECT_TRUE(at_server == there);
    EXPECT_TRUE(at_client == back);
    co_await close_both(both);
  });
}

TEST(TlsStream, carries_bytes_through_a_buffer_of_one_byte) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c, 1);
    auto [none, got] = co_await gather(send(both.client.writer, "hello"), receive(both.served.reader, 5));
    EXPECT_EQ(got, "hello");
    co_await close_both(both);
  });
}

TEST(TlsStream, keeps_every_byte_whatever_the_order_of_tasks_and_the_room_in_between) {
  const contexts c;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    for (const std::size_t room : {3u, 700u, 40'000u}) {
      SCOPED_TRACE(std::to_string(seed) + ", room for " + std::to_string(room));
      auto body = [&c, room]() -> coroutine<> {
        secured both = co_await make_secured(c, room);
        const std::string there = pattern(60'000), back = pattern(45'000);
        auto [none, none2, at_server, at_client] =
            co_await gather(send_in_pieces(both.client.writer, there), send_in_pieces(both.served.writer, back),
                            receive(both.served.reader, there.size()), receive(both.client.reader, back.size()));
        EXPECT_TRUE(at_server == there);
        EXPECT_TRUE(at_client == back);
        co_await close_both(both);
      };
      testing::run(body, {.seed = seed});
    }
  }
}

TEST(TlsStream, reads_into_memory_of_the_caller) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    const std::string sent = pattern(100'000);
    task<> sending = create_task(send(both.client.writer, sent));
    std::string got;
    std::string space(3000, '\0');
    while (got.size() < sent.size()) {
      const std::size_t n = co_await both.served.reader.read_into(space);
      got.append(space, 0, n);
    }
    EXPECT_TRUE(got == sent);
    co_await std::move(sending);
    co_await both.client.writer.write_all("x");
    const std::size_t one = co_await both.served.reader.read_into(space);
    EXPECT_EQ(one, 1u);
    co_await close_both(both);
    const std::size_t none = co_await both.served.reader.read_into(space);
    EXPECT_EQ(none, 0u);
  });
}

TEST(TlsStream, says_what_the_handshake_came_to) {  // S218
  testing::run([]() -> coroutine<> {
    contexts c;
    c.client.set_alpn_protocols({"h3", "http/1.1"});
    c.server.set_alpn_protocols({"h2", "http/1.1"});
    auto [a, b] = testing::stream_pair();
    EXPECT_FALSE(a.writer.ssl_info());
    secured both = co_await make_secured(c);
    const auto client = both.client.writer.ssl_info(), server = both.served.writer.ssl_info();
    EXPECT_EQ(client->version, "TLSv1.3");
    EXPECT_EQ(client->cipher.rfind("TLS_", 0), 0u) << client->cipher;
    EXPECT_EQ(client->alpn, "http/1.1");
    EXPECT_EQ(server->alpn, "http/1.1");
    EXPECT_EQ(server->server_name, "localhost");
    EXPECT_EQ(server->cipher, client->cipher);
    EXPECT_EQ(client->peer_certificate_pem.rfind("-----BEGIN CERTIFICATE-----", 0), 0u);
    EXPECT_EQ(server->peer_certificate_pem, "");
    EXPECT_FALSE(client->session_reused);
    co_await close_both(both);
    EXPECT_EQ(both.client.writer.ssl_info()->version, "TLSv1.3");
  });
}

TEST(TlsStream, asks_for_no_name_where_the_server_has_a_number) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await shake_hands(c.client, c.server, "127.0.0.1");
    EXPECT_EQ(both.served.writer.ssl_info()->server_name, "");
    co_await close_both(both);
  });
}

TEST(TlsStream, a_server_that_shares_no_protocol_with_a_client_refuses_it) {
  testing::run([]() -> coroutine<> {
    contexts c;
    c.client.set_alpn_protocols({"h3"});
    c.server.set_alpn_protocols({"h2", "http/1.1"});
    secured both = co_await shake_hands(c.client, c.server);
    EXPECT_NE(text_of(both.client_error).find("no application protocol"), std::string::npos)
        << text_of(both.client_error);
    EXPECT_TRUE(is_a<ssl_error>(both.server_error));
    EXPECT_THROW(c.client.set_alpn_protocols({""}), std::invalid_argument);
    EXPECT_THROW(c.client.set_alpn_protocols({"h2", std::string(256, 'x')}), std::invalid_argument);
    // Who says nothing is let in, and so is everybody where the server says nothing.
    secured silent = co_await shake_hands(client_context(c.maker.trusted()), c.server);
    EXPECT_EQ(silent.client.writer.ssl_info()->alpn, "");
    co_await close_both(silent);
  });
}

// ---- sessions

coroutine<bool> reused(ssl_context client, ssl_context server, std::string name) {
  secured both = co_await shake_hands(client, server, name);
  EXPECT_EQ(text_of(both.client_error), "");
  co_await send(both.served.writer, "x");  // tickets come with the first bytes
  const std::string got = co_await receive(both.client.reader, 1);
  const bool answer = both.client.writer.ssl_info()->session_reused;
  EXPECT_EQ(both.served.writer.ssl_info()->session_reused, answer);
  co_await close_both(both);
  co_return answer;
}

TEST(TlsStream, resumes_a_session_with_the_same_host_and_context_only) {
  testing::run([]() -> coroutine<> {
    contexts c;
    const ssl_context server = server_context(c.maker.issue("two", {.alternative_names = "DNS:a.org,DNS:b.org"}));
    const bool first = co_await reused(c.client, server, "a.org");
    EXPECT_FALSE(first);
    const bool elsewhere = co_await reused(c.client, server, "b.org");
    EXPECT_FALSE(elsewhere);
    const bool second = co_await reused(c.client, server, "A.ORG");
    EXPECT_TRUE(second);
    const bool other_context = co_await reused(client_context(c.maker.trusted()), server, "a.org");
    EXPECT_FALSE(other_context);
    // What was verified under other settings counts no more.
    c.client.set_minimum_version(tls_version::tls1_3);
    const bool changed = co_await reused(c.client, server, "a.org");
    EXPECT_FALSE(changed);
  });
}

// ---- the end

TEST(TlsStream, ends_with_a_goodbye_of_both_sides) {  // S212
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    both.client.writer.write(pattern(700'000));
    both.client.writer.close();
    EXPECT_TRUE(both.client.writer.is_closing());
    both.client.writer.write("ignored");  // S214
    const std::string rest = co_await both.served.reader.read();
    EXPECT_EQ(rest.size(), 700'000u);
    EXPECT_TRUE(both.served.reader.at_eof());
    co_await both.served.writer.aclose();
    co_await both.client.writer.wait_closed();
  });
}

TEST(TlsStream, goes_on_sending_when_the_peer_has_said_goodbye) {  // S213
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    both.client.writer.write(pattern(10));
    both.client.writer.close();
    const std::string request = co_await both.served.reader.read();
    EXPECT_EQ(request.size(), 10u);
    // The client does not want it, but the bytes are no error.
    co_await both.served.writer.write_all(pattern(300'000));
    co_await both.served.writer.aclose();
    co_await both.client.writer.wait_closed();
  });
}

TEST(TlsStream, waits_for_the_goodbye_no_longer_than_it_is_told) {  // S212
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    event_loop& loop = get_running_loop();
    const time_point before = loop.time();
    std::exception_ptr error = co_await failure_of(both.client.writer.aclose());
    EXPECT_TRUE(is_a<timeout_error>(error)) << text_of(error);
    EXPECT_EQ(text_of(error).rfind("'localhost' did not end TLS within 30 s", 0), 0u) << text_of(error);
    EXPECT_EQ(loop.time() - before, 30s);
    // The other side sees the goodbye, and then the abort.
    const std::string rest = co_await both.served.reader.read();
    EXPECT_EQ(rest, "");
    both.served.writer.abort();
  });
}

TEST(TlsStream, a_slow_reader_gets_everything_however_long_it_takes) {  // S212
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c, 1000);
    event_loop& loop = get_running_loop();
    const time_point before = loop.time();
    both.client.writer.write(pattern(200'000));
    task<std::exception_ptr> closing = create_task(failure_of(both.client.writer.aclose()));
    std::string got;
    while (got.size() < 200'000) {
      co_await sleep(20s);
      got += co_await both.served.reader.read(16 * 1024);
    }
    EXPECT_TRUE(got == pattern(200'000));
    EXPECT_GT(loop.time() - before, 100s);
    const std::string rest = co_await both.served.reader.read();
    EXPECT_EQ(rest, "");
    co_await both.served.writer.aclose();
    std::exception_ptr error = co_await std::move(closing);
    EXPECT_EQ(text_of(error), "");
  });
}

TEST(TlsStream, cannot_end_one_direction) {  // S214
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    EXPECT_FALSE(both.client.writer.can_write_eof());
    EXPECT_THROW(both.client.writer.write_eof(), std::runtime_error);
    co_await close_both(both);
  });
}

TEST(TlsStream, tells_a_reset_from_an_end) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    co_await both.client.writer.write_all("complete\nhalf");
    co_await sleep(0s);
    both.client.writer.abort();
    const std::string line = co_await both.served.reader.readline();
    EXPECT_EQ(line, "complete\n");
    std::exception_ptr error = co_await failure_of(read_and_forget(both.served.reader));
    EXPECT_EQ(code_of(error), ECONNRESET);  // the peer's abort is a reset here
    EXPECT_TRUE(both.served.writer.is_closing());
  });
}

// ---- flow control

TEST(TlsStream, makes_a_writer_wait_for_a_slow_reader) {  // S215
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c, 1000);
    both.client.writer.write(pattern(512 * 1024));
    bool drained = false;
    auto drain = [&]() -> coroutine<> {
      co_await both.client.writer.drain();
      drained = true;
    };
    co_await drain();  // 512 KiB are not too much
    EXPECT_TRUE(drained);
    drained = false;
    both.client.writer.write(pattern(10'000));
    task<> waiting = create_task(drain());
    co_await sleep(1s);
    EXPECT_FALSE(drained);
    while (!drained) {
      EXPECT_GT(both.client.writer.get_write_buffer_size(), 100'000u);
      const std::string some = co_await receive(both.served.reader, 1000);
    }
    EXPECT_LT(both.client.writer.get_write_buffer_size(), 140'000u);
    co_await std::move(waiting);
    both.client.writer.abort();
    both.served.writer.abort();
  });
}

TEST(TlsStream, keeps_the_limits_that_it_is_given) {
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c, 100);
    both.client.writer.set_write_buffer_limits(0, 0);
    task<> sending = create_task(send(both.client.writer, pattern(1000)));
    co_await sleep(1s);
    EXPECT_FALSE(sending.done());
    const std::string all = co_await receive(both.served.reader, 1000);
    EXPECT_EQ(all, pattern(1000));
    co_await std::move(sending);
    EXPECT_EQ(both.client.writer.get_write_buffer_size(), 0u);
    EXPECT_THROW(both.client.writer.set_write_buffer_limits(1, 2), std::invalid_argument);
    co_await close_both(both);
  });
}

TEST(TlsStream, wakes_who_drains_when_the_connection_breaks) {  // S216
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c, 1000);
    both.client.writer.write(pattern(3'000'000));
    task<std::exception_ptr> draining = create_task(failure_of(both.client.writer.drain()));
    co_await sleep(1s);
    EXPECT_FALSE(draining.done());
    both.served.writer.abort();
    std::exception_ptr error = co_await std::move(draining);
    EXPECT_NE(code_of(error), 0);
    EXPECT_TRUE(both.client.writer.is_closing());
  });
}

// ---- TLS over TLS

TEST(TlsStream, goes_over_tls_again) {  // S217
  testing::run([]() -> coroutine<> {
    const contexts c;
    secured both = co_await make_secured(c);
    auto [x, y] = co_await gather(failure_of(both.client.writer.start_tls(c.client, {.server_hostname = "localhost"})),
                                  failure_of(both.served.writer.start_tls(c.server, {.server_side = true})));
    EXPECT_EQ(text_of(x), "");
    EXPECT_EQ(text_of(y), "");
    const std::string there = pattern(1'000'000);
    auto [none, got] = co_await gather(send(both.client.writer, there), receive(both.served.reader, there.size()));
    EXPECT_TRUE(got == there);
    co_await close_both(both);
  });
}

}  // namespace
}  // namespace asyncio::tls_test
