// SPDX-License-Identifier: BSL-1.0
// TLS keeps the laws of streams, over whatever it goes.
#include "tls/tls_test.hpp"

namespace asyncio::tls_test {
namespace {

using pair = std::pair<connection, connection>;

constexpr testing::check_stream_options as_tls{.half_close = false, .abort_is_told = true};

coroutine<pair> over_tcp(const contexts& c) {
  future<connection> arrived;
  auto handler = [arrived](stream_reader reader, stream_writer writer) -> coroutine<> {
    arrived.set_result(connection(std::move(reader), std::move(writer)));
    co_return;
  };
  server s = co_await start_server(handler, "127.0.0.1", 0, {.ssl = c.server});
  connection client =
      co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client, .server_hostname = "localhost"});
  connection served = co_await std::move(arrived);
  co_return pair(std::move(client), std::move(served));
}

coroutine<pair> over_unix(const contexts& c, std::string path) {
  future<connection> arrived;
  auto handler = [arrived](stream_reader reader, stream_writer writer) -> coroutine<> {
    arrived.set_result(connection(std::move(reader), std::move(writer)));
    co_return;
  };
  server s = co_await start_unix_server(handler, path, {.ssl = c.server});
  connection client = co_await open_unix_connection(path, {.ssl = c.client, .server_hostname = "localhost"});
  connection served = co_await std::move(arrived);
  co_return pair(std::move(client), std::move(served));
}

coroutine<pair> in_memory(const contexts& c, std::size_t buffer) {
  secured both = co_await make_secured(c, buffer);
  co_return pair(std::move(both.client), std::move(both.served));
}

TEST(TlsLaws, hold_over_tcp) {
  const contexts c;
  EXPECT_GT(testing::check_stream([&c] { return over_tcp(c); }, as_tls), 20u);
}

TEST(TlsLaws, hold_over_unix_sockets) {
  const contexts c;
  const std::string path = c.maker.folder() / "socket";
  EXPECT_GT(testing::check_stream([&c, &path] { return over_unix(c, path); }, as_tls), 20u);
}

TEST(TlsLaws, hold_in_memory) {
  const contexts c;
  EXPECT_GT(testing::check_stream([&c] { return in_memory(c, 64 * 1024); }, as_tls), 20u);
}

TEST(TlsLaws, hold_in_memory_with_little_room) {
  const contexts c;
  EXPECT_GT(testing::check_stream([&c] { return in_memory(c, 1000); }, as_tls), 20u);
}

}  // namespace
}  // namespace asyncio::tls_test
