// SPDX-License-Identifier: BSL-1.0
// async def ticker(): yield …
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
using namespace asyncio;

coroutine<std::string> fetch(int page) { co_await sleep(1ms); co_return page < 3 ? "page " + std::to_string(page) : ""; }
async_generator<int> ticker(timedelta delay, int to) {
  for (int i = 0; i < to; ++i) { co_yield i; co_await sleep(delay); }
}
async_generator<std::string> pages() {
  for (int i = 0;; ++i) {
    auto p = co_await fetch(i);
    if (p.empty()) co_return;
    co_yield std::move(p);
  }
}
coroutine<> amain() {
  auto t = ticker(100ms, 10);
  while (auto n = co_await t.next()) std::printf("%d\n", *n);
  auto g = pages();
  while (auto p = co_await g.next()) {
    std::puts(p->c_str());
    if (*p == "page 1") break;
  }
  co_await g.aclose();
  co_await async_with(pages(), [](async_generator<std::string>& gen) -> coroutine<> { while (auto p = co_await gen.next()) std::puts(p->c_str()); });
  auto squares = [](int n) -> async_generator<int> { for (int i = 0; i < n; ++i) co_yield i * i; };
  auto sq = squares(5);
  auto first = co_await sq.next();
  if (first) std::printf("%d\n", *first);
}
int main() { run(amain()); }
