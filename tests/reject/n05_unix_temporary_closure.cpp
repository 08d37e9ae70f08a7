// SPDX-License-Identifier: BSL-1.0
// g++ 12 only: a temporary closure that owns something as handler of a Unix server
#include <asyncio/asyncio.hpp>
#include <string>
using namespace asyncio;

coroutine<> x(std::string greeting) {
  co_await start_unix_server(
      [greeting](stream_reader, stream_writer writer) -> coroutine<> { co_await writer.write_all(greeting); },
      "/run/x.sock");
}
