// SPDX-License-Identifier: BSL-1.0
// gather: void and non-void mixed; tasks and futures; in a task; sleeps with values; nothing
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <string>
using namespace asyncio;

coroutine<> one() { co_await sleep(3s); }
coroutine<std::string> two() { co_await sleep(1s); co_return "Result 2"; }
coroutine<int> three() { co_await sleep(1s); co_return 3; }

coroutine<> run_all() {
  auto [nothing, text, n] = co_await gather(one(), two(), three());
  static_assert(std::is_same_v<decltype(nothing), std::monostate>);
  std::cout << text << n << '\n';
}
coroutine<> amain() {
  auto t = create_task(run_all());
  co_await gather(one(), one());
  auto named = create_task(three());
  future<int> fut;
  fut.set_result(5);
  auto [a, b, c] = co_await gather(named, fut, three());
  auto both = gather(two(), three());                                        // scheduled now
  co_await sleep(0s);
  auto& [s, i] = co_await both;
  auto [x, y] = co_await gather(sleep(1s, std::string("x")), sleep(2s, 2));
  co_await gather(sleep(1s), sleep(2s));
  co_await gather();
  std::cout << a + b + c + i + y << s << x << '\n';
  co_await t;
}
int main() { run(amain()); }
