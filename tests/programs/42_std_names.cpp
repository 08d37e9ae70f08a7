// SPDX-License-Identifier: BSL-1.0
// with std::chrono literals imported twice, and std names used qualified beside ours
#include <chrono>
#include <future>
#include <mutex>
#include <queue>
#include <semaphore>
#include <barrier>
#include <string>
#include <asyncio/asyncio.hpp>
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace aio = asyncio;

aio::coroutine<std::string> amain() {
  std::queue<int> plain;
  plain.push(1);
  std::mutex m;
  std::scoped_lock hold(m);
  aio::queue<std::string> q;
  co_await q.put("x"s);
  co_await aio::sleep(1ms);
  auto page = co_await aio::move_on_after(1s, [&]() -> aio::coroutine<std::string> { co_return co_await q.get(); });
  co_return page.value_or("nothing"s);
}
int main() { return static_cast<int>(aio::run(amain()).size()); }
