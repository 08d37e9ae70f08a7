// SPDX-License-Identifier: BSL-1.0
// async for t in as_completed(...)
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <vector>
using namespace asyncio;

coroutine<int> job(int n) { co_await sleep(std::chrono::milliseconds(n)); co_return n; }

coroutine<> amain() {
  std::vector<task<int>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(create_task(job(i)));
  auto it = as_completed(tasks);
  while (auto t = co_await it.next()) std::cout << t->result() << '\n';

  std::vector<coroutine<int>> jobs;
  for (int i = 0; i < 5; ++i) jobs.push_back(job(i));
  auto with_limit = as_completed(std::move(jobs), 2s);
  try {
    while (auto t = co_await with_limit.next()) std::cout << co_await *t << '\n';
  } catch (const timeout_error&) { std::cout << "time is up\n"; }
}
int main() { run(amain()); }
