// SPDX-License-Identifier: BSL-1.0
// Whom a client and a server believe.
#include "tls/tls_test.hpp"

#include <vector>

#include <openssl/x509_vfy.h>

namespace asyncio::tls_test {
namespace {

/// A certificate, the name that the client wants, and the reason why it refuses (empty: it does not).
struct decision {
  const char* name;
  certificate_options certificate;
  std::string host;
  std::string reason;
};

std::vector<decision> decisions() {
  const long day = 24 * 3600;
  const std::string wrong_name = "hostname mismatch", wrong_address = "IP address mismatch";
  return {
      {"good", {}, "localhost", ""},
      {"upper case", {}, "LOCALHOST", ""},
      {"dot at the end", {}, "localhost.", ""},
      {"address", {}, "127.0.0.1", ""},
      {"IPv6", {}, "::1", ""},
      {"scope", {.alternative_names = "IP:fe80::1"}, "fe80::1%lo", ""},
      {"wrong name", {}, "example.org", wrong_name},
      {"wrong address", {}, "127.0.0.2", wrong_address},
      {"address in a name", {.alternative_names = "DNS:127.0.0.1"}, "127.0.0.1", wrong_address},
      {"name of an address", {.alternative_names = "IP:127.0.0.1"}, "localhost", wrong_name},
      {"no names", {.subject = "localhost", .alternative_names = ""}, "localhost", wrong_name},
      {"name in the subject", {.subject = "localhost", .alternative_names = "DNS:a.org"}, "localhost", wrong_name},
      {"wildcard", {.alternative_names = "DNS:*.example.org"}, "www.example.org", ""},
      {"wildcard, deeper", {.alternative_names = "DNS:*.example.org"}, "a.www.example.org", wrong_name},
      {"wildcard, itself", {.alternative_names = "DNS:*.example.org"}, "example.org", wrong_name},
      {"wildcard in a label", {.alternative_names = "DNS:w*.example.org"}, "www.example.org", wrong_name},
      {"wildcard of a domain", {.alternative_names = "DNS:*.org"}, "example.org", wrong_name},
      {"wildcard alone", {.alternative_names = "DNS:*"}, "localhost", wrong_name},
      {"other punycode", {.alternative_names = "DNS:xn--bcher-kva.example"}, "xn--bcher-kva.example", ""},
      {"expired", {.from = -2 * day, .until = -day}, "localhost", "certificate has expired"},
      {"not yet", {.from = day, .until = 2 * day}, "localhost", "certificate is not yet valid"},
      {"client's", {.usage = "clientAuth"}, "localhost", "unsuitable certificate purpose"},
      {"NUL in a name", {.raw_name = std::string("localhost\0.evil.org", 19)}, "localhost", wrong_name},
      {"NUL at the end", {.raw_name = std::string("localhost\0", 10)}, "localhost", wrong_name},
  };
}

TEST(TlsVerify, a_client_believes_exactly_the_certificates_that_name_whom_it_asked_for) {
  for (const decision& d : decisions()) {
    SCOPED_TRACE(d.name);
    testing::run([&d]() -> coroutine<> {
      certificate_maker maker;
      const std::string certificate = maker.issue("c", d.certificate);
      secured both = co_await shake_hands(client_context(maker.trusted()), server_context(certificate), d.host);
      if (d.reason.empty()) {
        EXPECT_EQ(text_of(both.client_error), "");
        EXPECT_EQ(text_of(both.server_error), "");
        co_await close_both(both);
        co_return;
      }
      EXPECT_EQ(text_of(both.client_error),
                "TLS handshake with '" + d.host + "': " + d.reason + ": certificate verify failed");
      EXPECT_TRUE(is_a<ssl_cert_verification_error>(both.client_error));
      // The other side hears why, by an alert: before or after it had ended its own handshake.
      if (both.server_error == nullptr) both.server_error = co_await failure_of(read_and_forget(both.served.reader));
      EXPECT_NE(text_of(both.server_error).find("alert"), std::string::npos) << text_of(both.server_error);
    });
  }
}

TEST(TlsVerify, a_client_believes_no_unknown_authority) {
  testing::run([]() -> coroutine<> {
    certificate_maker maker;
    const std::string elsewhere = maker.issue_elsewhere("elsewhere");
    const std::string itself = maker.issue_itself("itself");
    for (const std::string& certificate : {elsewhere, itself}) {
      secured both = co_await shake_hands(client_context(maker.trusted()), server_context(certificate));
      const std::string reason = certificate == itself ? "self-signed certificate" : "certificate signature failure";
      EXPECT_EQ(text_of(both.client_error),
                "TLS handshake with 'localhost': " + reason + ": certificate verify failed");
      try {
        std::rethrow_exception(both.client_error);
      } catch (const ssl_cert_verification_error& e) {
        EXPECT_EQ(e.verify_code(),
                  certificate == itself ? X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT : X509_V_ERR_CERT_SIGNATURE_FAILURE);
        EXPECT_EQ(e.code(), ssl_errc::certificate_refused);
      }
      // Nobody but the system's authorities: neither.
      secured again = co_await shake_hands(ssl_context::create_default_context(), server_context(certificate));
      EXPECT_TRUE(is_a<ssl_cert_verification_error>(again.client_error));
    }
    // Trusted itself, it is good.
    secured both = co_await shake_hands(client_context(itself), server_context(itself));
    EXPECT_EQ(text_of(both.client_error), "");
    co_await close_both(both);
  });
}

TEST(TlsVerify, a_client_checks_only_what_it_is_told_to) {
  testing::run([]() -> coroutine<> {
    certificate_maker maker;
    const std::string elsewhere = maker.issue_elsewhere("elsewhere", {.alternative_names = "DNS:a.org"});
    ssl_context nameless = client_context(maker.other());
    nameless.set_check_hostname(false);
    secured one = co_await shake_hands(nameless, server_context(elsewhere));
    EXPECT_EQ(text_of(one.client_error), "");
    co_await close_both(one);
    secured without_name = co_await shake_hands(nameless, server_context(elsewhere), "");
    EXPECT_EQ(text_of(without_name.client_error), "");
    co_await close_both(without_name);

    ssl_context trusting = ssl_context::create_default_context();
    trusting.set_check_hostname(false);
    trusting.set_verify_mode(verify_mode::none);
    secured two = co_await shake_hands(trusting, server_context(elsewhere));
    EXPECT_EQ(text_of(two.client_error), "");
    co_await close_both(two);
  });
}

TEST(TlsVerify, the_settings_of_a_context_hang_together) {
  ssl_context c = ssl_context::create_default_context();
  EXPECT_EQ(c.verify_mode(), verify_mode::required);
  EXPECT_TRUE(c.check_hostname());
  EXPECT_EQ(c.minimum_version(), tls_version::tls1_2);
  EXPECT_THROW(c.set_verify_mode(verify_mode::none), std::invalid_argument);
  c.set_check_hostname(false);
  c.set_verify_mode(verify_mode::none);
  c.set_check_hostname(true);
  EXPECT_EQ(c.verify_mode(), verify_mode::required);

  const ssl_context s = ssl_context::create_default_context(ssl_purpose::client_auth);
  EXPECT_EQ(s.verify_mode(), verify_mode::none);
  EXPECT_FALSE(s.check_hostname());
  ssl_context same = s;
  same.set_minimum_version(tls_version::tls1_3);
  EXPECT_EQ(s.minimum_version(), tls_version::tls1_3);  // a handle
}

TEST(TlsVerify, files_that_cannot_be_used_are_named) {
  certificate_maker maker;
  const std::string good = maker.issue("good"), other = maker.issue("other");
  maker.folder().put("text", "no certificate\n");
  const std::string text = maker.folder() / "text", none = maker.folder() / "none\n";
  ssl_context c = ssl_context::create_default_context(ssl_purpose::client_auth);
  const auto error_of = [](auto call) -> std::exception_ptr {
    try {
      call();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  };
  const std::exception_ptr missing = error_of([&] { c.load_cert_chain(none); });
  EXPECT_EQ(code_of(missing), ENOENT);
  EXPECT_FALSE(is_a<ssl_error>(missing));
  EXPECT_NE(text_of(missing).find("none\\x0a'"), std::string::npos) << text_of(missing);
  EXPECT_EQ(code_of(error_of([&] { c.load_cert_chain(good, none); })), ENOENT);
  EXPECT_EQ(code_of(error_of([&] { c.load_verify_locations(none); })), ENOENT);
  EXPECT_TRUE(is_a<ssl_error>(error_of([&] { c.load_cert_chain(text); })));
  EXPECT_TRUE(is_a<ssl_error>(error_of([&] { c.load_verify_locations(text); })));
  const std::exception_ptr mismatch = error_of([&] { c.load_cert_chain(good, other); });
  EXPECT_TRUE(is_a<ssl_error>(mismatch));
  EXPECT_NE(text_of(mismatch).find("key values mismatch"), std::string::npos) << text_of(mismatch);
}

// ---- clients' certificates

coroutine<std::string> say_hello(secured& both) {
  co_await both.client.writer.write_all("hello\n");
  std::string line = co_await both.served.reader.readline();
  co_return line;
}

TEST(TlsVerify, a_server_that_asks_for_certificates_lets_in_who_has_a_good_one) {
  testing::run([]() -> coroutine<> {
    contexts c;
    c.server.load_verify_locations(c.maker.trusted());
    for (const verify_mode mode : {verify_mode::optional, verify_mode::required}) {
      c.server.set_verify_mode(mode);
      ssl_context named = client_context(c.maker.trusted());
      named.load_cert_chain(c.maker.issue("client", {.alternative_names = "", .usage = "clientAuth"}));
      secured both = co_await shake_hands(named, c.server);
      EXPECT_EQ(text_of(both.client_error), "");
      EXPECT_EQ(text_of(both.server_error), "");
      const std::string line = co_await say_hello(both);
      EXPECT_EQ(line, "hello\n");
      const std::string certificate = both.served.writer.ssl_info()->peer_certificate_pem;
      EXPECT_EQ(certificate.rfind("-----BEGIN CERTIFICATE-----", 0), 0u);
      co_await close_both(both);
    }
    c.server.set_verify_mode(verify_mode::optional);
    secured nameless = co_await shake_hands(c.client, c.server);
    EXPECT_EQ(text_of(nameless.server_error), "");
    EXPECT_EQ(nameless.served.writer.ssl_info()->peer_certificate_pem, "");
    co_await close_both(nameless);
  });
}

/// The client has ended its handshake when the server refuses it (TLS 1.3): its first read tells.
coroutine<std::string> refusal(ssl_context client, ssl_context server) {
  secured both = co_await shake_hands(client, server);
  EXPECT_NE(both.server_error, nullptr);
  std::exception_ptr heard = both.client_error;
  if (heard == nullptr) heard = co_await failure_of(read_and_forget(both.client.reader));
  EXPECT_TRUE(is_a<ssl_error>(heard)) << text_of(heard);
  EXPECT_NE(text_of(heard).find("alert"), std::string::npos) << text_of(heard);
  co_return text_of(both.server_error);
}

TEST(TlsVerify, a_server_that_asks_for_certificates_refuses_the_others_with_an_alert) {
  testing::run([]() -> coroutine<> {
    contexts c;
    c.server.load_verify_locations(c.maker.trusted());
    c.server.set_verify_mode(verify_mode::required);
    const std::string none = co_await refusal(c.client, c.server);
    EXPECT_EQ(none, "TLS handshake with a client: peer did not return a certificate: TLS failed");
    ssl_context wrong = client_context(c.maker.trusted());
    wrong.load_cert_chain(c.maker.issue_itself("itself", {.alternative_names = ""}));
    const std::string unknown = co_await refusal(wrong, c.server);
    EXPECT_EQ(unknown, "TLS handshake with a client: self-signed certificate: certificate verify failed");
    ssl_context expired = client_context(c.maker.trusted());
    expired.load_cert_chain(c.maker.issue("expired", {.from = -7200, .until = -3600}));
    const std::string late = co_await refusal(expired, c.server);
    EXPECT_EQ(late, "TLS handshake with a client: certificate has expired: certificate verify failed");
    c.server.set_minimum_version(tls_version::tls1_3);
    const std::string again = co_await refusal(c.client, c.server);
    EXPECT_EQ(again, none);
  });
}

}  // namespace
}  // namespace asyncio::tls_test
