// SPDX-License-Identifier: BSL-1.0
// a future whose set_result wakes two awaiters; callbacks; errors into futures
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <stdexcept>
#include <string>

asyncio::coroutine<> waiter(asyncio::future<std::string> f, int n) { std::printf("%d %s\n", n, (co_await f).c_str()); }

asyncio::coroutine<> amain() {
  asyncio::future<std::string> fut;
  auto t1 = asyncio::create_task(waiter(fut, 1));
  auto t2 = asyncio::create_task(waiter(fut, 2));
  auto token = fut.add_done_callback([](asyncio::future<std::string> f) { std::puts(f.result().c_str()); });
  fut.remove_done_callback(token);
  asyncio::get_running_loop().call_later(std::chrono::seconds(1), [fut] { if (!fut.done()) fut.set_result("ready"); });
  co_await asyncio::gather(t1, t2);

  auto none = asyncio::get_running_loop().create_future<>();
  none.set_result();
  co_await none;
  auto failed = asyncio::get_running_loop().create_future<int>();
  failed.set_exception(std::runtime_error("no"));
  try { (void)failed.result(); } catch (const std::runtime_error& e) { std::puts(e.what()); }
  asyncio::future<int> pending;
  try { (void)pending.result(); } catch (const asyncio::invalid_state_error&) { }
  pending.cancel("not needed");
}

int main() { asyncio::run(amain()); }
