// SPDX-License-Identifier: BSL-1.0
// Transports and protocols over TLS.
#include "streams/stream_test.hpp"
#include "tls/tls_test.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace asyncio::tls_test {
namespace {

using stream_test::reports;
using stream_test::run_clean;
using stream_test::until;

struct echo : protocol {
  explicit echo(int& made) : made_(made) {}
  void connection_made(transport& t) override {
    ++made_;
    through_ = &t;
  }
  void data_received(std::span<const std::byte> data) override { through_->write(data); }

 private:
  int& made_;
  transport* through_ = nullptr;
};

struct client : protocol {
  void data_received(std::span<const std::byte> data) override {
    received.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  void connection_lost(std::exception_ptr error) override {
    lost = true;
    loss = std::move(error);
  }
  std::string received;
  bool lost = false;
  std::exception_ptr loss;
};

TEST(TlsProtocols, are_made_after_the_handshake_and_talk_through_it) {  // S210
  run_clean([]() -> coroutine<> {
    const contexts c;
    event_loop& loop = get_running_loop();
    int made = 0;
    server s = co_await loop.create_server([&made] { return std::make_shared<echo>(made); }, "127.0.0.1", 0,
                                           {.ssl = c.server});
    auto [t, p] = co_await loop.create_connection([] { return std::make_shared<client>(); }, "127.0.0.1", s.port(),
                                                  {.ssl = c.client});
    t->write("hello");
    co_await until([&p = p] { return p->received == "hello"; });
    EXPECT_EQ(made, 1);
    std::string name = "/tmp/asyncio-test-XXXXXX";
    const int file = ::mkstemp(name.data());
    ::unlink(name.c_str());
    const std::string text(300'000, 't');
    EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    const std::uint64_t sent = co_await loop.sendfile(*t, file, {.offset = 5});  // S224: a copy
    EXPECT_EQ(sent, text.size() - 5);
    bool refused = false;
    try {
      (void)co_await loop.sendfile(*t, file, {.fallback = false});
    } catch (const sendfile_not_available_error&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    ::close(file);
    co_await until([&] { return p->received == "hello" + text.substr(5); });
    t->close();
    co_await until([&p = p] { return p->lost; });
    EXPECT_EQ(p->loss, nullptr);
    co_await s.shutdown(1s);
  });
}

TEST(TlsProtocols, are_not_made_when_the_handshake_fails) {  // S210
  run_clean([]() -> coroutine<> {
    const contexts c;
    const certificate_maker stranger;
    event_loop& loop = get_running_loop();
    int made = 0;
    server s = co_await loop.create_server([&made] { return std::make_shared<echo>(made); }, "127.0.0.1", 0,
                                           {.ssl = c.server});
    const ssl_context distrustful = client_context(stranger.trusted());
    std::exception_ptr error;
    auto factory = [&made] {
      ++made;
      return std::make_shared<client>();
    };
    try {
      auto [t, p] = co_await loop.create_connection(factory, "127.0.0.1", s.port(), {.ssl = distrustful});
    } catch (...) {
      error = std::current_exception();
    }
    EXPECT_NE(error, nullptr);
    EXPECT_EQ(made, 0);
    s.close();
    co_await s.wait_closed();
  });
}

/// Begins TLS when it is asked for, and then sends everything back.
struct upgrading_server : protocol {
  explicit upgrading_server(const ssl_context& c) : context(c) {}
  void connection_made(transport& t) override {
    ++made;
    through = &t;
  }
  void data_received(std::span<const std::byte> data) override {
    if (secure) return through->write(data);
    received.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (received != "STARTTLS") return;
    through->write("GO");
    secure = true;
    create_task(upgrade());
  }
  void connection_lost(std::exception_ptr error) override {
    lost = true;
    loss = std::move(error);
  }
  coroutine<> upgrade() {
    try {
      co_await get_running_loop().start_tls(*through, *this, context, {.server_side = true});
    } catch (const std::exception&) {
      failed = true;
    }
  }
  ssl_context context;
  transport* through = nullptr;
  std::string received;
  int made = 0;
  bool secure = false;
  bool lost = false;
  bool failed = false;
  std::exception_ptr loss;
};

TEST(TlsProtocols, may_begin_tls_in_the_middle_of_a_connection) {  // S208
  run_clean([]() -> coroutine<> {
    const contexts c;
    event_loop& loop = get_running_loop();
    auto served = std::make_shared<upgrading_server>(c.server);
    auto factory = [served] { return served; };
    server s = co_await loop.create_server(factory, "127.0.0.1", 0);
    auto [t, p] = co_await loop.create_connection([] { return std::make_shared<client>(); }, "127.0.0.1", s.port());
    t->write("STARTTLS");
    co_await until([&p = p] { return p->received == "GO"; });
    auto same = co_await loop.start_tls(*t, *p, c.client, {.server_hostname = "localhost"});
    EXPECT_EQ(same, t);
    t->write("in secret");
    co_await until([&p = p] { return p->received == "GOin secret"; });
    EXPECT_EQ(served->made, 1);
    t->close();
    co_await until([&] { return p->lost && served->lost; });
    EXPECT_EQ(p->loss, nullptr);
    EXPECT_FALSE(served->failed);
    co_await s.shutdown(1s);
  });
}

TEST(TlsProtocols, a_server_closes_those_that_have_begun_tls_with_all_that_is_buffered_and_a_goodbye) {
  run_clean([]() -> coroutine<> {
    const contexts c;
    event_loop& loop = get_running_loop();
    auto served = std::make_shared<upgrading_server>(c.server);
    auto factory = [served] { return served; };
    server s = co_await loop.create_server(factory, "127.0.0.1", 0);
    auto [t, p] = co_await loop.create_connection([] { return std::make_shared<client>(); }, "127.0.0.1", s.port());
    t->write("STARTTLS");
    co_await until([&p = p] { return p->received == "GO"; });
    co_await loop.start_tls(*t, *p, c.client, {.server_hostname = "localhost"});
    t->write("in secret");
    co_await until([&p = p] { return p->received == "GOin secret"; });
    served->through->write(std::string(3'000'000, 'x'));
    s.close_clients();
    co_await until([&] { return p->lost && served->lost; });
    EXPECT_EQ(p->received.size(), 11u + 3'000'000);
    EXPECT_EQ(p->loss, nullptr);
    EXPECT_EQ(served->loss, nullptr);
    s.close();
    co_await s.wait_closed();
  });
}

TEST(TlsProtocols, a_failed_upgrade_ends_the_connection_of_both) {  // S210
  run_clean([]() -> coroutine<> {
    const contexts c;
    const certificate_maker stranger;
    event_loop& loop = get_running_loop();
    auto served = std::make_shared<upgrading_server>(c.server);
    auto factory = [served] { return served; };
    server s = co_await loop.create_server(factory, "127.0.0.1", 0);
    auto [t, p] = co_await loop.create_connection([] { return std::make_shared<client>(); }, "127.0.0.1", s.port());
    client other;
    std::exception_ptr wrong;
    try {
      (void)co_await loop.start_tls(*t, other, c.client);
    } catch (...) {
      wrong = std::current_exception();
    }
    EXPECT_TRUE(is_a<std::invalid_argument>(wrong));
    t->write("STARTTLS");
    co_await until([&p = p] { return p->received == "GO"; });
    const ssl_context distrustful = client_context(stranger.trusted());
    std::exception_ptr error;
    try {
      (void)co_await loop.start_tls(*t, *p, distrustful, {.server_hostname = "localhost"});
    } catch (...) {
      error = std::current_exception();
    }
    EXPECT_NE(error, nullptr);
    co_await until([&] { return p->lost && served->lost && served->failed; });
    EXPECT_NE(p->loss, nullptr);
    s.close();
    co_await s.wait_closed();
  });
}

}  // namespace
}  // namespace asyncio::tls_test
