// SPDX-License-Identifier: BSL-1.0
// Two engines, without a loop: what a peer may do to the bytes in between.
#include "tls/engine.hpp"
#include "tls/context.hpp"
#include "tls/tls_test.hpp"

#include <functional>
#include <random>

namespace asyncio::tls_test {
namespace {

using tls::engine;
using status = tls::engine::status;

struct engines {
  explicit engines(const contexts& c, int most = TLS1_3_VERSION)
      : client(make(c.client, false, most), false, "'localhost'"),
        server(make(c.server, true, most), true, "a client") {}

  engines(tls::ssl_ptr c, tls::ssl_ptr s)
      : client(std::move(c), false, "'localhost'"), server(std::move(s), true, "a client") {}

  static tls::ssl_ptr make(const ssl_context& handle, bool server_side, int most) {
    io::secure_options options;
    options.server_side = server_side;
    options.server_hostname = server_side ? "" : "localhost";
    tls::ssl_ptr ssl = static_cast<tls::context*>(handle.provider())->make_ssl(options);
    SSL_set_max_proto_version(ssl.get(), most);
    return ssl;
  }

  /// Carries what one has said to the other, in pieces.
  static void carry(engine& from, engine& to, std::size_t piece, const std::function<void()>& taste) {
    const std::string bytes = std::exchange(from.output(), {});
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      to.give(std::string_view(bytes).substr(at, piece));
      taste();
      to.keep_input();
    }
  }

  /// How both handshakes end.
  std::pair<status, status> shake_hands(std::size_t piece = 1 << 20) {
    status c = client.handshake(), s = server.handshake();
    for (int i = 0; i < 10 && !(client.output().empty() && server.output().empty()); ++i) {
      carry(client, server, piece, [&] {
        if (s == status::wants_input) s = server.handshake();
      });
      carry(server, client, piece, [&] {
        if (c == status::wants_input) c = client.handshake();
      });
    }
    return {c, s};
  }

  engine client;
  engine server;
};

std::string read_all(engine& e, status& last) {
  std::string all;
  char space[4096];
  while (true) {
    std::size_t n = 0;
    last = e.read(space, sizeof space, n);
    if (last != status::done) return all;
    all.append(space, n);
  }
}

TEST(TlsEngine, shakes_hands_however_the_bytes_are_cut_up) {
  const contexts c;
  for (const std::size_t piece : {1u, 2u, 5u, 17u, 1000u, 100000u}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      engines both(c, version);
      EXPECT_EQ(both.shake_hands(piece), std::pair(status::done, status::done)) << piece;
      EXPECT_EQ(both.client.info().version, version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
      ASSERT_EQ(both.server.write("hello"), status::done);
      status s = status::done;
      std::string got;
      engines::carry(both.server, both.client, piece, [&] { got += read_all(both.client, s); });
      EXPECT_EQ(got, "hello");
      EXPECT_EQ(s, status::wants_input);
    }
  }
}

TEST(TlsEngine, gives_out_nothing_before_the_handshake_has_ended) {
  const contexts c;
  // A server that speaks in the clear, and says goodbye at once (CVE-2023-40217).
  for (const char* text : {"220 ready\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"}) {
    engines fresh(c);
    EXPECT_EQ(fresh.client.handshake(), status::wants_input);
    fresh.client.give(text);
    fresh.client.give_end();
    EXPECT_EQ(fresh.client.handshake(), status::failed);
    char space[100];
    std::size_t n = 0;
    EXPECT_NE(fresh.client.read(space, sizeof space, n), status::done);
    EXPECT_EQ(n, 0u);
  }
}

TEST(TlsEngine, a_client_refuses_a_key_that_is_too_weak) {
  const contexts c;
  const std::string weak = c.maker.issue("weak", {.rsa_bits = 1024});
  try {
    server_context(weak);
    ADD_FAILURE() << "a server of ours does not even use it";
  } catch (const ssl_error& e) {
    EXPECT_NE(std::string(e.what()).find("ee key too small"), std::string::npos) << e.what();
  }
  const tls::ssl_ctx_ptr careless(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_security_level(careless.get(), 0);
  ASSERT_EQ(SSL_CTX_use_certificate_chain_file(careless.get(), weak.c_str()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey_file(careless.get(), weak.c_str(), SSL_FILETYPE_PEM), 1);
  engines both(engines::make(c.client, false, TLS1_3_VERSION), tls::ssl_ptr(SSL_new(careless.get())));
  EXPECT_EQ(both.shake_hands().first, status::failed);
  EXPECT_EQ(text_of(both.client.error()),
            "TLS handshake with 'localhost': EE certificate key too weak: certificate verify failed");
}

TEST(TlsEngine, refuses_versions_below_1_2) {
  contexts c;
  engines both(c, TLS1_1_VERSION);
  EXPECT_EQ(both.client.handshake(), status::failed);
  EXPECT_NE(text_of(both.client.error()).find("no protocols available"), std::string::npos)
      << text_of(both.client.error());
  // A client that would: the server answers with an alert, and the client hears it.
  tls::ssl_ptr old = engines::make(c.client, false, TLS1_1_VERSION);
  SSL_set_security_level(old.get(), 0);
  SSL_set_min_proto_version(old.get(), TLS1_VERSION);
  SSL_set_cipher_list(old.get(), "ALL:@SECLEVEL=0");
  engine client(std::move(old), false, "'localhost'");
  engines modern(c);
  EXPECT_EQ(client.handshake(), status::wants_input);
  modern.server.give(client.output());
  EXPECT_EQ(modern.server.handshake(), status::failed);
  EXPECT_NE(text_of(modern.server.error()).find("unsupported protocol"), std::string::npos)
      << text_of(modern.server.error());
  client.give(modern.server.output());
  EXPECT_EQ(client.handshake(), status::failed);
  EXPECT_NE(text_of(client.error()).find("alert protocol version"), std::string::npos) << text_of(client.error());
}

TEST(TlsEngine, tells_at_every_byte_whether_the_stream_was_cut) {
  const contexts c;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    engines both(c, version);
    ASSERT_EQ(both.shake_hands(), std::pair(status::done, status::done));
    // What a server says from then on, tickets and all, and its goodbye.
    for (const char* words : {"one,", "two,", "three"}) ASSERT_EQ(both.server.write(words), status::done);
    both.server.shut_down();
    const std::string wire = std::exchange(both.server.output(), {});
    std::string got;
    status s = status::wants_input;
    for (std::size_t n = 0; n < wire.size(); ++n) {
      // What is asked for here and does not come is a cut: see wire_test.cpp.
      ASSERT_EQ(s, status::wants_input) << "at byte " << n << " of " << wire.size();
      both.client.give(std::string_view(wire).substr(n, 1));
      got += read_all(both.client, s);
    }
    EXPECT_EQ(got, "one,two,three");
    EXPECT_EQ(s, status::end);
    EXPECT_TRUE(both.client.peer_closed());
  }
}

TEST(TlsEngine, a_changed_byte_ends_the_connection_with_an_alert) {
  const contexts c;
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    engines both(c, round % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
    ASSERT_EQ(both.shake_hands(), std::pair(status::done, status::done));
    ASSERT_EQ(both.server.write("a secret of some length"), status::done);
    std::string wire = std::exchange(both.server.output(), {});
    const std::size_t at = 5 + random() % (wire.size() - 5);  // behind the header of the first record
    wire[at] = static_cast<char>(wire[at] ^ (1 << random() % 8));
    both.client.give(wire);
    status s = status::done;
    const std::string got = read_all(both.client, s);
    EXPECT_EQ(got, "");
    if (s == status::wants_input) continue;  // a length has grown: it would be cut, not changed
    EXPECT_EQ(s, status::failed);
    EXPECT_TRUE(is_a<ssl_error>(both.client.error()));
    both.server.give(both.client.output());
    read_all(both.server, s);
    EXPECT_EQ(s, status::failed);
    EXPECT_NE(text_of(both.server.error()).find("alert"), std::string::npos) << text_of(both.server.error());
  }
}

TEST(TlsEngine, survives_any_garbage) {
  const contexts c;
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    engines both(c);
    std::string garbage(1 + random() % 3000, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random());
    if (round % 2 == 0)
      garbage.replace(0, std::min<std::size_t>(3, garbage.size()), "\x16\x03\x01",
                      std::min<std::size_t>(3, garbage.size()));
    engine& victim = round % 4 < 2 ? both.server : both.client;
    victim.handshake();
    victim.give(garbage);
    EXPECT_NE(victim.handshake(), status::done);
  }
}

}  // namespace
}  // namespace asyncio::tls_test
