// SPDX-License-Identifier: BSL-1.0
// The same work for the processor three ways: one number after another, in threads, in processes.
//
//   prime_factors [--numbers N] [--workers N]
//
// Threads share memory, and in C++, unlike in Python, they run at once: both ways are as fast as there are processors.
// Processes cost more to start and each number has to travel; for that a crash in one of them is an exception here.
// Ctrl-C ends all three: what has not begun is not done any more.
#include <asyncio/asyncio.hpp>

#include "support/arguments.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using number = std::uint64_t;

std::vector<number> factors(number n) {
  std::vector<number> found;
  for (number p = 2; p * p <= n; ++p)
    for (; n % p == 0; n /= p) found.push_back(p);
  if (n > 1) found.push_back(n);
  return found;
}

/// Numbers that take a while: products of two primes.
std::vector<number> numbers_to_do(std::size_t count) {
  std::vector<number> all;
  all.reserve(count);
  for (std::size_t i = 0; i < count; ++i) all.push_back(number{15485863} * (i % 2 == 0 ? 15485867 : 15485917));
  return all;
}

using results = std::vector<std::vector<number>>;

asyncio::coroutine<results> one_after_another(std::vector<number> numbers) {
  results all;
  for (const number n : numbers) {
    all.push_back(factors(n));
    co_await asyncio::sleep(0s);  // a loop that is busy hears of nothing, of Ctrl-C neither
  }
  co_return all;
}

template <class Pool>
asyncio::coroutine<results> in(Pool& pool, std::vector<number> numbers) {
  co_return co_await asyncio::gather(pool.map(factors, numbers));  // cancels all of them, if it is cancelled
}

/// Says how long it took, and how that compares with `alone`.
template <class Work>
asyncio::coroutine<std::pair<results, double>> timed(std::string name, double alone, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  auto found = co_await std::move(work);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%-20s %8.3f s", name.c_str(), seconds);
  if (alone > 0)
    std::printf(", %.2f times as fast\n", alone / seconds);
  else
    std::puts("");
  std::fflush(stdout);
  std::pair<results, double> both(std::move(found), seconds);
  co_return both;
}

asyncio::coroutine<int> amain(std::size_t count, std::size_t workers) {
  const auto numbers = numbers_to_do(count);
  std::printf("%zu numbers, %zu workers\n", count, workers);
  std::fflush(stdout);
  auto [expected, alone] = co_await timed("one after another", 0, one_after_another(numbers));
  asyncio::thread_pool_executor threads(workers);
  auto [by_threads, thread_time] = co_await timed("in threads", alone, in(threads, numbers));
  asyncio::process_pool_executor processes(workers);
  auto [by_processes, process_time] = co_await timed("in processes", alone, in(processes, numbers));
  const bool same = by_threads == expected && by_processes == expected;
  std::puts(same ? "the same factors each time" : "DIFFERENT factors");
  co_return same ? 0 : 1;
}

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  std::size_t numbers = 32;
  std::size_t workers = 0;
  example::arguments options("prime_factors", "takes numbers apart one after another, in threads and in processes");
  options.number("--numbers", "N", "how many (32)", numbers, 1)
      .number("--workers", "N", "threads, and processes (as many as there are processors)", workers, 1)
      .parse(argc, argv);
  if (workers == 0) workers = std::max(1u, std::thread::hardware_concurrency());
  return asyncio::run(amain(numbers, workers));
}
