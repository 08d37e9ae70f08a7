// SPDX-License-Identifier: BSL-1.0
// What a task, an await, a switch, a timer and a wake-up cost. The same with Asio and tokio: peers/; with CPython: core.py,
// which runs all of them and prints the table.
#include <asyncio/asyncio.hpp>

#include <benchmark/benchmark.h>

#include <semaphore>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

asyncio::coroutine<int> one() { co_return 1; }

asyncio::coroutine<> spawn_and_await(benchmark::State& state) {
  long sum = 0;
  for (auto _ : state) sum += co_await asyncio::create_task(one());
  benchmark::DoNotOptimize(sum);
}

asyncio::coroutine<> await_directly(benchmark::State& state) {
  long sum = 0;
  for (auto _ : state) sum += co_await one();
  benchmark::DoNotOptimize(sum);
}

asyncio::coroutine<> yield_often(long times) {
  for (long i = 0; i < times; ++i) co_await asyncio::sleep(0s);
}

asyncio::coroutine<> switch_tasks(benchmark::State& state) {
  constexpr long times = 1000;
  for (auto _ : state) {
    auto other = asyncio::create_task(yield_often(times));
    co_await yield_often(times);
    co_await other;
  }
  state.SetItemsProcessed(state.iterations() * times * 2);
}

asyncio::coroutine<> set_and_cancel_timer(benchmark::State& state) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  for (auto _ : state) {
    asyncio::timer_handle timer = loop.call_later(1h, [] {});
    timer.cancel();
  }
  co_return;
}

asyncio::coroutine<> sleep_in_crowd(benchmark::State& state) {
  constexpr int crowd = 10000;
  for (auto _ : state) {
    std::vector<asyncio::coroutine<>> sleepers;
    sleepers.reserve(crowd);
    for (int i = 0; i < crowd; ++i)
      sleepers.push_back(asyncio::detail::await_one(asyncio::sleep(std::chrono::microseconds(i % 1000))));
    co_await asyncio::gather(std::move(sleepers));
  }
  state.SetItemsProcessed(state.iterations() * crowd);
}

template <asyncio::coroutine<> (*Body)(benchmark::State&)>
void on_a_loop(benchmark::State& state) {
  asyncio::run(Body(state));
}

// A foreign thread posts a callback, and waits until it was called.
void wake_from_thread(benchmark::State& state, unsigned spin) {
  auto loop = asyncio::new_event_loop({.spin = spin});
  std::binary_semaphore running(0);
  std::thread runner([&] {
    loop->call_soon_threadsafe([&] { running.release(); });
    loop->run_forever();
  });
  running.acquire();
  std::binary_semaphore called(0);
  for (auto _ : state) {
    loop->call_soon_threadsafe([&] { called.release(); });
    called.acquire();
  }
  loop->call_soon_threadsafe([&] { loop->stop(); });
  runner.join();
}

BENCHMARK(on_a_loop<spawn_and_await>)->Name("spawn+await/asyncio-cpp");
BENCHMARK(on_a_loop<await_directly>)->Name("direct await/asyncio-cpp");
BENCHMARK(on_a_loop<switch_tasks>)->Name("switch/asyncio-cpp");
BENCHMARK(on_a_loop<set_and_cancel_timer>)->Name("set+cancel timer/asyncio-cpp");
BENCHMARK(on_a_loop<sleep_in_crowd>)->Name("sleep, 10k at once/asyncio-cpp");
BENCHMARK_CAPTURE(wake_from_thread, sleeping, 0)->Name("wake from a thread/asyncio-cpp")->UseRealTime();
BENCHMARK_CAPTURE(wake_from_thread, spinning, 100)->Name("wake from a thread, spinning/asyncio-cpp")->UseRealTime();

}  // namespace
