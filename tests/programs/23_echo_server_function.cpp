// SPDX-License-Identifier: BSL-1.0
// handler is a function, with state by a member function; all options; graceful stop
#include <asyncio/asyncio.hpp>
#include <functional>
#include <iostream>
#include <string>
using namespace asyncio;

coroutine<> handle_echo(stream_reader reader, stream_writer writer) {
  std::string data = co_await reader.read(100);
  std::cout << "Received " << data << " from " << writer.peername().to_string() << '\n';
  writer.write(data);
  co_await writer.drain();
  writer.close();
  co_await writer.wait_closed();
}
struct chat {
  int n = 0;
  coroutine<> handle(stream_reader r, stream_writer w) { ++n; std::string line = co_await r.readline(); co_await w.write_all(line); }
};
coroutine<> amain() {
  auto s = co_await start_server(handle_echo, "127.0.0.1", 0, {.backlog = 511, .reuse_port = true, .limit = 1 << 20, .start_serving = false});
  co_await s.start_serving();
  chat c;
  auto s2 = co_await start_server(std::bind_front(&chat::handle, &c), "", 0);
  auto s3 = co_await start_server([&c](stream_reader r, stream_writer w) { return c.handle(std::move(r), std::move(w)); }, "::1", 0);
  for (auto& a : s.sockets()) std::cout << a.host() << ':' << a.port() << '\n';
  auto serving = create_task(s.serve_forever());
  co_await sleep(1s);
  co_await s.shutdown(5s);
  s2.close();
  s2.close_clients();
  s3.abort_clients();
  co_await s2.wait_closed();
  if (s.is_serving()) serving.cancel();
}
int main() { run(amain()); }
