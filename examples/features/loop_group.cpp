// SPDX-License-Identifier: BSL-1.0
// Four threads with a loop each. What is submitted runs in the loop that has the least to do; this loop awaits the outcome
// as it awaits its own tasks, and the scope's end waits for all that was submitted.
// See: coroutines and plain functions, results, an exception, a task that is cancelled from here, and a scope that fails.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <stdexcept>
#include <vector>

using namespace std::chrono_literals;

int sum_of_digits(int n) { return n == 0 ? 0 : n % 10 + sum_of_digits(n / 10); }

asyncio::coroutine<int> slowly(int n) {
  co_await asyncio::sleep(5ms);
  if (n < 0) throw std::invalid_argument("less than nothing");
  co_return 2 * n;
}

asyncio::coroutine<> wait_for_ever(asyncio::channel<const char*> report) {
  try {
    co_await asyncio::sleep(1h);
  } catch (const asyncio::cancelled_error&) {
    (void)report.try_put("cancelled");
    throw;
  }
}

asyncio::coroutine<> use(asyncio::loop_group& group) {
  std::printf("%zu loops\n", group.size());
  std::vector<asyncio::future<int>> doubled;
  for (int i = 1; i <= 10; ++i) doubled.push_back(asyncio::wrap_future(group.submit(slowly, i)));
  int sum = 0;
  for (int n : co_await asyncio::gather(doubled)) sum += n;
  int digits = co_await group.submit(sum_of_digits, 98765);
  std::printf("sum %d, digits %d\n", sum, digits);

  try {
    co_await group.submit(slowly(-1));
  } catch (const std::invalid_argument& error) {
    std::printf("failed: %s\n", error.what());
  }

  asyncio::channel<const char*> report(1);
  auto waits = group.submit_to(3, wait_for_ever, report);
  co_await group.submit_to(3, [] {});  // a turn later: it waits
  waits.cancel();
  std::printf("the one that waits: %s\n", co_await report.get());
}

asyncio::coroutine<> fail(asyncio::loop_group& group) {
  (void)group.submit(asyncio::sleep(1h));
  co_await asyncio::sleep(1ms);
  throw std::runtime_error("the body has failed");
}

asyncio::coroutine<> amain() {
  co_await asyncio::async_with(asyncio::loop_group(4), use);
  try {
    co_await asyncio::async_with(asyncio::loop_group(2), fail);
  } catch (const std::runtime_error& error) {
    std::printf("%s, and nobody waits for an hour\n", error.what());
  }
}

int main() { asyncio::run(amain()); }
