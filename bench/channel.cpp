// SPDX-License-Identifier: BSL-1.0
// What an item costs on its way through a channel, beside a queue's in one loop, and what the way to another loop and back
// costs.
#include <asyncio/asyncio.hpp>

#include <benchmark/benchmark.h>

#include <thread>

namespace {

template <class Pipe>
asyncio::coroutine<> one_loop(benchmark::State& state) {
  Pipe pipe(8);
  int sum = 0;
  for (auto _ : state) {
    co_await pipe.put(1);
    sum += co_await pipe.get();
  }
  benchmark::DoNotOptimize(sum);
}

asyncio::coroutine<> answer(asyncio::channel<int> in, asyncio::channel<int> out) {
  while (auto n = co_await in.next()) co_await out.put(*n);
}

/// There and back: two wake-ups.
asyncio::coroutine<> two_loops(benchmark::State& state) {
  asyncio::loop_group group(1);
  const asyncio::channel<int> there(1), back(1);
  (void)group.submit(answer, there, back);
  int sum = 0;
  for (auto _ : state) {
    co_await there.put(1);
    sum += co_await back.get();
  }
  there.shutdown();
  benchmark::DoNotOptimize(sum);
  co_await group.aclose();
}

asyncio::coroutine<> feed(asyncio::channel<int> out) {
  try {
    while (true) co_await out.put(1);
  } catch (const asyncio::queue_shut_down&) {}
}

/// As many as come.
asyncio::coroutine<> stream(benchmark::State& state) {
  asyncio::loop_group group(1);
  const asyncio::channel<int> items(256);
  (void)group.submit(feed, items);
  int sum = 0;
  for (auto _ : state) sum += co_await items.get();
  items.shutdown(true);
  benchmark::DoNotOptimize(sum);
  co_await group.aclose();
}

asyncio::coroutine<> stream_from_thread(benchmark::State& state) {
  const asyncio::channel<int> items(256);
  std::thread feeds([items] {
    try {
      while (true) items.put_blocking(1);
    } catch (const asyncio::queue_shut_down&) {}
  });
  int sum = 0;
  for (auto _ : state) sum += co_await items.get();
  items.shutdown(true);
  benchmark::DoNotOptimize(sum);
  feeds.join();
}

asyncio::coroutine<> submit(benchmark::State& state) {
  asyncio::loop_group group(1);
  const auto nothing = [] { return 1; };
  int sum = 0;
  for (auto _ : state) sum += co_await group.submit(nothing);
  benchmark::DoNotOptimize(sum);
  co_await group.aclose();
}

template <asyncio::coroutine<> (*Body)(benchmark::State&)>
void on_a_loop(benchmark::State& state) {
  asyncio::run(Body(state));
}

BENCHMARK(on_a_loop<one_loop<asyncio::queue<int>>>)->Name("queue, put and get in one loop");
BENCHMARK(on_a_loop<one_loop<asyncio::channel<int>>>)->Name("channel, put and get in one loop");
BENCHMARK(on_a_loop<two_loops>)->Name("channel, to another loop and back")->UseRealTime();
BENCHMARK(on_a_loop<stream>)->Name("channel, an item from another loop")->UseRealTime();
BENCHMARK(on_a_loop<stream_from_thread>)->Name("channel, an item from a thread")->UseRealTime();
BENCHMARK(on_a_loop<submit>)->Name("loop_group, submit and await")->UseRealTime();

}  // namespace
