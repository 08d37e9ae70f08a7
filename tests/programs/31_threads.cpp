// SPDX-License-Identifier: BSL-1.0
// to_thread, thread_pool_executor, run_in_executor with member functions, overloads, lambdas
#include <asyncio/asyncio.hpp>
#include <cmath>
#include <memory>
#include <numeric>
#include <stop_token>
#include <string>
#include <vector>
using namespace asyncio;

struct database { int rows(const std::string& table, int limit) { return static_cast<int>(table.size()) + limit; } };
int parse(int n) { return n; }
int parse(const std::string& digits) { return std::stoi(digits); }
double blocking_io(std::string name) { return static_cast<double>(name.size()); }
int stoppable(std::stop_token stop, int n) { while (!stop.stop_requested() && n > 0) --n; return n; }

coroutine<double> amain() {
  double a = co_await to_thread(blocking_io, "file");
  int b = co_await to_thread(stoppable, 1000);
  auto& loop = get_running_loop();
  database db;
  int c = co_await loop.run_in_executor(nullptr, &database::rows, &db, "users", 10);
  int d = co_await loop.run_in_executor(nullptr, [](const std::string& s) { return parse(s); }, "42");
  int e = co_await loop.run_in_executor(nullptr, static_cast<int (*)(int)>(parse), 42);
  thread_pool_executor pool(4);
  double f = co_await loop.run_in_executor(pool, [&db] { return db.rows("x", 1) * 1.5; });
  concurrent_future<double> cf = pool.submit([](double x) { return std::sqrt(x); }, 2.0);
  double g = co_await wrap_future(cf);
  double h = co_await pool.submit([](double x) { return std::sqrt(x); }, 2.0);
  std::vector<int> inputs(10);
  std::iota(inputs.begin(), inputs.end(), 0);
  for (auto& r : pool.map([](int n) { return n * n; }, inputs)) g += r.result(1s);
  auto [i, j] = co_await gather(to_thread(blocking_io, "x"), to_thread(blocking_io, "y"));
  auto big = std::make_unique<int>(5);
  auto job = [p = std::move(big)] { return *p; };                            // a closure that owns something: named, then taken
  int k = co_await to_thread(take(job));
  pool.shutdown({.wait = true, .cancel_futures = true});
  loop.set_default_executor(std::make_unique<thread_pool_executor>(2));
  co_await loop.shutdown_default_executor(5s);
  co_return a + b + c + d + e + f + g + h + i + j + k;
}
int main() { return static_cast<int>(run(amain())); }
