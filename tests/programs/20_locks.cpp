// SPDX-License-Identifier: BSL-1.0
// lock, event, condition, semaphore, barrier
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <deque>
using namespace asyncio;

coroutine<> with_guard(lock& l, int& n) { auto guard = co_await l.scoped(); ++n; co_await sleep(1ms); }
coroutine<> by_hand(lock& l, int& n) { co_await l.acquire(); ++n; l.release(); }
coroutine<> waits(event& e) { co_await e.wait(); std::puts("got it"); }
coroutine<> consumer(condition& cond, std::deque<int>& items) {
  auto guard = co_await cond.scoped();
  co_await cond.wait_for([&] { return !items.empty(); });
  items.pop_front();
}
coroutine<> party(barrier& b) {
  std::size_t index = co_await b.wait();
  if (index == 0) std::puts("last one");
  co_await async_with(b, [&](std::size_t position) -> coroutine<> { std::printf("%zu\n", position); co_return; });
}
coroutine<> amain() {
  lock l; event e; condition cond; condition on_lock(l); semaphore sem(2); bounded_semaphore bounded(2); barrier b(3);
  std::deque<int> items; int n = 0;
  auto w = create_task(waits(e)), c = create_task(consumer(cond, items));
  co_await gather(with_guard(l, n), by_hand(l, n));
  e.set();
  co_await async_with(cond, [&] { items.push_back(1); cond.notify(); });
  co_await async_with(sem, [&]() -> coroutine<> { co_await sleep(1ms); });
  co_await bounded.acquire(); bounded.release();
  co_await gather(w, c, party(b), party(b), party(b));
  if (!l.locked() && e.is_set() && !b.broken()) std::printf("%zu %zu %d\n", b.parties(), b.n_waiting(), n);
}
int main() { run(amain()); }
