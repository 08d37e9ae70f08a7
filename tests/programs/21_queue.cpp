// SPDX-License-Identifier: BSL-1.0
// producer and consumers; sentinel-free shutdown; priorities
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
#include <utility>
using namespace asyncio;

struct job { std::string name; int size; };

coroutine<> consumer(queue<job>& q) {
  while (auto j = co_await q.next()) { std::printf("%s %d\n", j->name.c_str(), j->size); q.task_done(); }
}
coroutine<> producer(queue<job>& q) {
  for (int i = 0; i < 10; ++i) {
    job j{"job", i};
    co_await q.put(std::move(j));
  }
  co_await q.put("in place", 11);                                            // the arguments of a job: q.put(job{"x", 1}) is a double free on GCC 12
  q.put_nowait({"now", 12});
}
coroutine<> amain() {
  queue<job> q(3);
  co_await async_with(task_group{}, [&](task_group& tg) -> coroutine<> {
    for (int i = 0; i < 3; ++i) tg.create_task(consumer(q));
    co_await producer(q);
    co_await q.join();
    q.shutdown();
  });
  priority_queue<std::pair<int, std::string>> pq;
  pq.put_nowait({2, "code"}); pq.put_nowait({1, "eat"});
  auto [priority, what] = co_await pq.get();                                 // 1, eat
  lifo_queue<int> stack;
  co_await stack.put(1);
  int top = stack.get_nowait();
  try { stack.get_nowait(); } catch (const queue_empty&) {}
  try { q.put_nowait({"late", 0}); } catch (const queue_full&) {} catch (const queue_shut_down&) {}
  if (auto maybe = stack.try_get()) top += *maybe;
  if (stack.try_put(5) && !stack.full() && !stack.empty()) std::printf("%d %d %zu %zu\n", top, priority, stack.qsize(), q.maxsize());
}
int main() { run(amain()); }
