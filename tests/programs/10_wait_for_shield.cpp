// SPDX-License-Identifier: BSL-1.0
// wait_for, shield, cancellation with cleanup
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <optional>
#include <string>
using namespace asyncio;

coroutine<std::string> slow() { co_await sleep(10s); co_return "slow"; }
coroutine<> worker() {
  try { co_await sleep(3600s); }
  catch (const cancelled_error& e) { std::printf("cancelled: %s\n", e.message().c_str()); throw; }
}
coroutine<> amain() {
  try { std::string s = co_await wait_for(slow(), 1s); std::puts(s.c_str()); }
  catch (const timeout_error& e) { std::puts(e.what()); }
  auto t = create_task(slow());
  try { co_await wait_for(shield(t), 500ms); } catch (const timeout_error&) { std::puts("still running"); }
  std::string s = co_await wait_for(t, std::nullopt);
  auto w = create_task(worker());
  co_await sleep(0s);
  w.cancel("go home");
  try { co_await w; } catch (const cancelled_error&) { std::printf("%d %d\n", w.cancelled(), current_task().cancelling()); }
  event e;
  try { co_await wait_for(e.wait(), 0.1s); } catch (const timeout_error&) {}
  co_await shield(worker());
}
int main() { run(amain()); }
