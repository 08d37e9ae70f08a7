// SPDX-License-Identifier: BSL-1.0
// try: … finally: await …   and   except X: await …
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <stdexcept>
#include <string>
using namespace asyncio;

coroutine<> close_it() { co_await sleep(1ms); }
coroutine<int> work() { co_await sleep(1s); throw std::runtime_error("no"); }

coroutine<> amain() {
  int n = co_await async_finally([&]() -> coroutine<int> { co_await sleep(1s); co_return 5; }, [&]() -> coroutine<> { co_await close_it(); });
  co_await async_finally([&]() -> coroutine<> { co_await sleep(1s); }, close_it);

  auto r = co_await as_outcome(work());                                      // try: await work()  except RuntimeError: await close_it()
  if (!r.has_value()) {
    co_await close_it();
    std::printf("%d\n", n);
  }
  for (int attempt = 0; attempt < 3; ++attempt) {                            // a retry loop, with a pause between
    auto again = co_await as_outcome(work());
    if (again) co_return;
    co_await sleep(std::chrono::milliseconds(100 << attempt));
  }
}
int main() { run(amain()); }
