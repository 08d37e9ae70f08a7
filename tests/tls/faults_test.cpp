// SPDX-License-Identifier: BSL-1.0
// TLS over sockets whose system calls fail.
#include "streams/fault_sweep.hpp"
#include "tls/tls_test.hpp"

namespace asyncio::tls_test {
namespace {

using kernel::sys::table;
using stream_test::fault_sweep;

/// A server and a client that say hello to each other and goodbye.
coroutine<bool> converse() {
  const contexts c;
  auto echo = [](stream_reader reader, stream_writer writer) -> coroutine<> {
    const std::string line = co_await reader.readline();
    co_await writer.write_all(line);
    co_await writer.aclose();
  };
  bool answered = false;
  server s = co_await start_server(echo, "127.0.0.1", 0, {.ssl = c.server, .ssl_shutdown_timeout = 1s});
  try {
    connection peer = co_await open_connection("127.0.0.1", s.port(), {.ssl = c.client, .ssl_shutdown_timeout = 1s});
    co_await peer.writer.write_all("hello\n");
    const std::string back = co_await peer.reader.readline();
    answered = back == "hello\n";
    EXPECT_TRUE(answered || back.empty());
    co_await peer.writer.aclose();
  } catch (const std::system_error&) {}
  co_await s.shutdown(1s);
  co_return answered;
}

TEST(TlsFaultSweep, Send) { fault_sweep<&table::send>("send", converse, {EPIPE, ECONNRESET, ENOBUFS}); }
TEST(TlsFaultSweep, Receive) { fault_sweep<&table::recv>("recv", converse, {ECONNRESET, ETIMEDOUT, ENOMEM}); }
TEST(TlsFaultSweep, EpollControl) { fault_sweep<&table::epoll_ctl>("epoll_ctl", converse, {ENOMEM, ENOSPC}); }

TEST(TlsFaultSweep, NothingFailsWithoutFaults) {
  stream_test::run_clean([]() -> coroutine<> {
    const bool answered = co_await converse();
    EXPECT_TRUE(answered);
  });
}

}  // namespace
}  // namespace asyncio::tls_test
