// SPDX-License-Identifier: BSL-1.0
// What a crowd of waiting tasks costs: a million that sleep, a hundred thousand in line for a lock. Memory and processor
// time for each, in several sizes, so that what is not linear stands out.
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <numeric>
#include <random>
#include <vector>

namespace {

using namespace std::chrono_literals;

double bytes_resident() {
  std::ifstream file("/proc/self/statm");
  long pages = 0, resident = 0;
  file >> pages >> resident;
  return static_cast<double>(resident) * 4096;
}

double ns_each(std::clock_t since, std::size_t n) {
  return static_cast<double>(std::clock() - since) * (1e9 / CLOCKS_PER_SEC) / static_cast<double>(n);
}

asyncio::coroutine<> sleep_long() { co_await asyncio::sleep(1h); }
asyncio::coroutine<> sleep_a_little(std::size_t i) { co_await asyncio::sleep(std::chrono::microseconds(i % 1000)); }
asyncio::coroutine<> take(asyncio::lock& l) {
  co_await l.acquire();
  l.release();
}

std::vector<asyncio::task<>> make_tasks(std::size_t n, auto make) {
  std::vector<asyncio::task<>> tasks;
  tasks.reserve(n);
  for (std::size_t i = 0; i < n; ++i) tasks.push_back(asyncio::create_task(make(i)));
  return tasks;
}

asyncio::coroutine<> all_done(const std::vector<asyncio::task<>>& tasks) {
  for (const auto& t : tasks) {
    while (!t.done()) co_await asyncio::sleep(0s);
  }
}

// Begun and asleep; then all of them cancelled, in order of creation, and ended.
asyncio::coroutine<> cancelled_sleepers(std::size_t n) {
  const double before = bytes_resident();
  const auto begin = std::clock();
  auto tasks = make_tasks(n, [](std::size_t) { return sleep_long(); });
  co_await asyncio::sleep(0s);
  const double made = ns_each(begin, n);
  const double bytes = (bytes_resident() - before) / static_cast<double>(n);
  const auto cancelling = std::clock();
  for (const auto& t : tasks) t.cancel();
  co_await all_done(tasks);
  std::printf("%9zu tasks asleep     %6.0f bytes each   create and suspend %6.1f ns   cancel and end %6.1f ns\n", n,
              bytes, made, ns_each(cancelling, n));
}

asyncio::coroutine<> woken_sleepers(std::size_t n) {
  const auto begin = std::clock();
  auto tasks = make_tasks(n, sleep_a_little);
  co_await all_done(tasks);
  std::printf("%9zu tasks that sleep a moment and end                                        %6.1f ns each\n", n,
              ns_each(begin, n));
}

// A line for a lock that nobody gives back meanwhile, cancelled in random order.
asyncio::coroutine<> cancelled_line(std::size_t n) {
  asyncio::lock l;
  co_await l.acquire();
  auto tasks = make_tasks(n, [&l](std::size_t) { return take(l); });
  co_await asyncio::sleep(0s);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  const auto cancelling = std::clock();
  for (std::size_t i : order) tasks[i].cancel();
  co_await all_done(tasks);
  std::printf("%9zu in line for a lock                    cancelled in random order and ended   %6.1f ns each\n", n,
              ns_each(cancelling, n));
  l.release();
}

}  // namespace

int main() {
  for (std::size_t n : {100'000, 1'000'000}) asyncio::run(cancelled_sleepers(n));
  for (std::size_t n : {100'000, 1'000'000}) asyncio::run(woken_sleepers(n));
  for (std::size_t n : {10'000, 100'000, 1'000'000}) asyncio::run(cancelled_line(n));
}
