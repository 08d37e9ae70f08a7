// SPDX-License-Identifier: BSL-1.0
// Unix sockets; a proxy that pumps both ways: reader and writer handed to other coroutines
#include <asyncio/asyncio.hpp>
#include <string>
using namespace asyncio;

coroutine<> pump(stream_reader& from, stream_writer& to) {
  while (true) {
    std::string data = co_await from.read(64 * 1024);
    if (data.empty()) break;
    to.write(data);
    co_await to.drain();
  }
  to.write_eof();
}
coroutine<> proxy(stream_reader reader, stream_writer writer) {
  auto [up_reader, up_writer] = co_await open_unix_connection("/tmp/up.sock");
  co_await gather(pump(reader, up_writer), pump(up_reader, writer));
  co_await gather(writer.aclose(), up_writer.aclose());
}
coroutine<> amain() {
  auto s = co_await start_unix_server(proxy, "/tmp/down.sock");
  co_await async_with(co_await open_unix_connection("/tmp/down.sock"), [&](connection& c) -> coroutine<> {
    co_await c.writer.write_all("hello");
    c.writer.abort();
  });
  co_await s.serve_forever();
}
int main() { run(amain()); }
