// SPDX-License-Identifier: BSL-1.0
// virtual time, orders, injected cancellations, in-memory streams
#include <asyncio/asyncio.hpp>
#include <cassert>
#include <string>
using namespace asyncio;

coroutine<int> slow(int n) { co_await sleep(24h); co_return n; }
coroutine<> pair_test() {
  auto [a, b] = testing::stream_pair();
  co_await a.writer.write_all("hello\n");
  std::string line = co_await b.reader.readline();
  stream_reader fed;
  fed.feed_data("x\ny");
  fed.feed_eof();
  std::string first = co_await fed.readline();
  assert(first == "x\n");
  assert(line == "hello\n");
}
int main() {
  int n = testing::run(slow(3));                                             // takes no time
  testing::run([&]() -> coroutine<> { co_await slow(n); }, {.seed = 42});
  testing::run(pair_test);
  testing::for_each_order(1000, [&]() -> coroutine<> { co_await gather(slow(1), slow(2)); });
  testing::inject_cancel([&]() -> coroutine<> { lock l; auto g = co_await l.scoped(); co_await sleep(1s); });
  testing::manual_clock clock;
  run(slow(1), {.clock = clock});
  clock.advance(1h);
}
