// SPDX-License-Identifier: BSL-1.0
// open_connection with structured bindings, all the reads, a timeout around, bindings captured
#include <asyncio/asyncio.hpp>
#include <array>
#include <cstdio>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<std::string> request(std::string host) {
  auto [reader, writer] = co_await open_connection(host, 80, {.limit = 1 << 16, .family = address_family::inet, .local_addr = {"0.0.0.0", 0}, .happy_eyeballs_delay = 100ms});
  writer.write("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  std::vector<std::string> lines{"a\r\n", "b\r\n"};
  writer.writelines(lines);
  co_await writer.drain();
  auto head = co_await async_with(timeout(5s), [&]() -> coroutine<std::string> { co_return co_await reader.readuntil("\r\n\r\n"); });
  std::string either = co_await reader.readuntil("\r\n", "\n");
  char buf[4096];
  std::size_t n = co_await reader.read_into(buf);
  std::array<std::byte, 16> raw{};
  n += co_await reader.read_into(raw);
  try { head += co_await reader.readexactly(8); } catch (const incomplete_read_error& e) { head += e.partial(); }
  catch (const limit_overrun_error& e) { n += e.consumed(); }
  co_await writer.write_all(std::string_view(buf, n));
  co_await writer.write_all(raw);
  if (writer.can_write_eof()) writer.write_eof();
  std::string rest = co_await reader.read();
  if (!reader.at_eof()) std::puts("?");
  writer.close();
  co_await writer.wait_closed();
  co_return head + either + rest;
}
int main() { std::puts(run(request("localhost")).c_str()); }
