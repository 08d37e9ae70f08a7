// SPDX-License-Identifier: BSL-1.0
// async with TaskGroup() as tg
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<std::string> fetch(std::string u) { co_await sleep(1s); co_return u; }

coroutine<> amain() {
  std::vector<std::string> urls{"a", "b"};
  std::vector<task<std::string>> pages;
  co_await async_with(task_group{}, [&](task_group& tg) {                    // nothing to await in the body: a plain lambda
    for (auto& u : urls) pages.push_back(tg.create_task(fetch(u)));
  });
  for (auto& p : pages) std::cout << p.result() << '\n';

  co_await async_with(task_group{}, [&](task_group& tg) -> coroutine<> {
    for (auto u : urls) tg.create_task([u]() -> coroutine<> { auto page = co_await fetch(u); std::cout << page; });
    tg.create_task({.name = "named"}, [](int n) -> coroutine<> { co_await sleep(std::chrono::seconds(n)); }, 3);
    auto t = tg.create_task(fetch("c"), {.name = "c"});
    auto page = co_await t;
    if (page.empty()) tg.cancel();
  });
  auto total = co_await async_with(task_group{}, [&](task_group& tg) -> coroutine<std::size_t> {
    auto a = tg.create_task(fetch("a")), b = tg.create_task(fetch("b"));
    auto first = co_await a, second = co_await b;
    co_return first.size() + second.size();
  });
  std::cout << total << '\n';
}
int main() { run(amain()); }
