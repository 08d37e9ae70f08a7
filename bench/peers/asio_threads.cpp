// SPDX-License-Identifier: BSL-1.0
// The measures of threads.cpp with Asio's coroutines and its thread_pool.
#include <asio.hpp>

#include <benchmark/benchmark.h>

#include <future>
#include <semaphore>
#include <thread>

namespace {

int nothing() { return 1; }
asio::awaitable<int> call() { co_return nothing(); }

asio::awaitable<void> run_in_executor(benchmark::State& state, asio::thread_pool& pool) {
  int sum = 0;
  for (auto _ : state) sum += co_await asio::co_spawn(pool, call(), asio::use_awaitable);
  benchmark::DoNotOptimize(sum);
}

void on_a_loop(benchmark::State& state) {
  asio::thread_pool pool(1);
  asio::io_context loop(1);
  asio::co_spawn(loop, run_in_executor(state, pool), asio::detached);
  loop.run();
  pool.join();
}

// A hundred calls, each of which comes back to the loop.
void hundred_at_once(benchmark::State& state) {
  constexpr int crowd = 100;
  asio::thread_pool pool(2);
  asio::io_context loop(1);
  const auto keep = asio::make_work_guard(loop);
  int sum = 0;
  for (auto _ : state) {
    int left = crowd;
    for (int i = 0; i < crowd; ++i)
      asio::post(pool, [&] {
        const int result = nothing();
        asio::post(loop, [&, result] {
          sum += result;
          --left;
        });
      });
    while (left > 0) loop.run_one();
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * crowd);
  pool.join();
}

void call_soon_threadsafe(benchmark::State& state) {
  asio::io_context loop(1);
  auto keep = asio::make_work_guard(loop);
  std::thread runner([&] { loop.run(); });
  std::binary_semaphore called(0);
  for (auto _ : state) {
    asio::post(loop, [&] { called.release(); });
    called.acquire();
  }
  keep.reset();
  runner.join();
}

void submit_and_wait(benchmark::State& state) {
  asio::thread_pool pool(1);
  int sum = 0;
  for (auto _ : state) sum += asio::post(pool, std::packaged_task<int()>(nothing)).get();
  benchmark::DoNotOptimize(sum);
  pool.join();
}

BENCHMARK(on_a_loop)->Name("run_in_executor/asio")->UseRealTime();
BENCHMARK(hundred_at_once)->Name("100 at once, each/asio")->UseRealTime();
BENCHMARK(submit_and_wait)->Name("submit().result()/asio")->UseRealTime();
BENCHMARK(call_soon_threadsafe)->Name("call_soon_threadsafe/asio")->UseRealTime();

}  // namespace
