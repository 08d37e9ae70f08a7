// SPDX-License-Identifier: BSL-1.0
// What a call in another process costs. Prints one line for each measure: "name: value", microseconds or MB/s of real time;
// process_pool.py has CPython's ProcessPoolExecutor beside it.
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

double microseconds(clock_type::time_point since) {
  return std::chrono::duration<double, std::micro>(clock_type::now() - since).count();
}

int one(int n) { return n + 1; }
std::string echo(std::string bytes) { return bytes; }
std::size_t size_of(const std::string& bytes) { return bytes.size(); }
std::string bytes_of(std::size_t size) { return std::string(size, 'x'); }

void start() {
  const auto begin = clock_type::now();
  asyncio::process_pool_executor pool(1);
  pool.submit(one, 1).result();
  std::printf("start a worker: %.1f\n", microseconds(begin));
}

void round_trips(int n) {
  asyncio::process_pool_executor pool(1);
  pool.submit(one, 1).result();
  std::vector<double> each;
  for (int i = 0; i < n; ++i) {
    const auto begin = clock_type::now();
    pool.submit(one, i).result();
    each.push_back(microseconds(begin));
  }
  std::ranges::sort(each);
  std::printf("round trip, blocking, median: %.1f\n", each[each.size() / 2]);
  std::printf("round trip, blocking, 99%%: %.1f\n", each[each.size() * 99 / 100]);
}

asyncio::coroutine<> awaited(int n) {
  asyncio::process_pool_executor pool(1);
  co_await pool.submit(one, 1);
  const auto begin = clock_type::now();
  for (int i = 0; i < n; ++i) co_await pool.submit(one, i);
  std::printf("round trip, awaited, mean: %.1f\n", microseconds(begin) / n);
}

void many(int n) {
  asyncio::process_pool_executor pool(2);
  pool.submit(one, 1).result();
  const auto begin = clock_type::now();
  for (auto& each : pool.map(one, std::vector<int>(static_cast<std::size_t>(n)))) each.result();
  std::printf("call, many at once, 2 workers: %.1f\n", microseconds(begin) / n);
}

template <class Call>
void megabytes(const char* name, std::size_t moved, Call call) {
  double best = 1e18;
  for (int i = 0; i < 5; ++i) {
    const auto begin = clock_type::now();
    call();
    best = std::min(best, microseconds(begin));
  }
  std::printf("%s: %.1f\n", name, static_cast<double>(moved) / best);
}

void large() {
  asyncio::process_pool_executor pool(1);
  const std::size_t size = std::size_t{64} << 20;
  const std::string bytes(size, 'x');
  pool.submit(one, 1).result();
  megabytes("64 MiB there, MB/s", size, [&] { pool.submit(size_of, bytes).result(); });
  megabytes("64 MiB back, MB/s", size, [&] { pool.submit(bytes_of, size).result(); });
  megabytes("64 MiB both ways, MB/s", 2 * size, [&] { pool.submit(echo, bytes).result(); });
}

}  // namespace

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  const int n = argc > 1 ? std::atoi(argv[1]) : 20'000;
  start();
  round_trips(n);
  asyncio::run(awaited(n));
  many(n);
  large();
}
