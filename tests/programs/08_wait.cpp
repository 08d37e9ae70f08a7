// SPDX-License-Identifier: BSL-1.0
// asyncio.wait: the seed's [taskA, taskB, taskC]; first completed; timeout; two tasks of different type
#include <asyncio/asyncio.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<int> job(int n) { co_await sleep(std::chrono::seconds(n)); co_return n; }

coroutine<> amain() {
  auto a = create_task(job(1)), b = create_task(job(2)), c = create_task(job(3));
  std::vector tasks{a, b, c};                                                // named: GCC 12 cannot have {a, b, c} inside co_await
  auto [done, pending] = co_await wait(tasks, {.timeout = 1500ms, .return_when = return_when::first_completed});
  for (auto& t : done) std::cout << t.result() << '\n';
  for (auto& t : pending) t.cancel();
  if (std::ranges::find(done, a) != done.end()) std::cout << "a is done\n";
  co_await wait(tasks);

  queue<std::string> q;
  event stop;
  auto getter = create_task(q.get());                                        // create_task(queue.get()), as everybody writes
  auto stopper = create_task(stop.wait());
  auto first = co_await wait({.return_when = return_when::first_completed}, getter, stopper);
  if (getter.done()) std::cout << getter.result() << '\n';
  for (auto& t : first.pending) t.cancel();
  std::cout << done.size() + pending.size() << '\n';
}
int main() { run(amain()); }
