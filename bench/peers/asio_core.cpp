// SPDX-License-Identifier: BSL-1.0
// The measures of core.cpp, written for Asio as its own documentation would write them.
#include <asio.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <optional>
#include <semaphore>
#include <thread>

namespace {

using asio::awaitable;
using asio::use_awaitable;
using namespace std::chrono_literals;

awaitable<int> one() { co_return 1; }

awaitable<void> spawn_and_await(benchmark::State& state) {
  auto executor = co_await asio::this_coro::executor;
  long sum = 0;
  for (auto _ : state) sum += co_await asio::co_spawn(executor, one(), use_awaitable);
  benchmark::DoNotOptimize(sum);
}

awaitable<void> await_directly(benchmark::State& state) {
  long sum = 0;
  for (auto _ : state) sum += co_await one();
  benchmark::DoNotOptimize(sum);
}

awaitable<void> yield_often(long times) {
  auto executor = co_await asio::this_coro::executor;
  for (long i = 0; i < times; ++i) co_await asio::post(executor, use_awaitable);
}

awaitable<void> switch_tasks(benchmark::State& state) {
  constexpr long times = 1000;
  auto executor = co_await asio::this_coro::executor;
  for (auto _ : state) {
    asio::co_spawn(executor, yield_often(times), asio::detached);
    co_await yield_often(times);
  }
  state.SetItemsProcessed(state.iterations() * times * 2);
}

awaitable<void> set_and_cancel_timer(benchmark::State& state) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (auto _ : state) {
    timer.expires_after(1h);
    timer.async_wait([](const asio::error_code&) {});
    timer.cancel();
    co_await asio::post(timer.get_executor(), use_awaitable);
  }
}

awaitable<void> sleep_in_crowd(benchmark::State& state) {
  constexpr int crowd = 10000;
  auto executor = co_await asio::this_coro::executor;
  for (auto _ : state) {
    int left = crowd;
    asio::steady_timer all_done(executor, asio::steady_timer::time_point::max());
    for (int i = 0; i < crowd; ++i) {
      auto sleeper = [](int microseconds, int& sleeping, asio::steady_timer& done) -> awaitable<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::microseconds(microseconds));
        co_await timer.async_wait(use_awaitable);
        if (--sleeping == 0) done.cancel();
      };
      asio::co_spawn(executor, sleeper(i % 1000, left, all_done), asio::detached);
    }
    asio::error_code ignored;
    co_await all_done.async_wait(asio::redirect_error(use_awaitable, ignored));
  }
  state.SetItemsProcessed(state.iterations() * crowd);
}

template <awaitable<void> (*Body)(benchmark::State&)>
void on_a_context(benchmark::State& state) {
  asio::io_context context(1);
  asio::co_spawn(context, Body(state), asio::detached);
  context.run();
}

void wake_from_thread(benchmark::State& state) {
  asio::io_context context(1);
  auto work = asio::make_work_guard(context);
  std::thread runner([&] { context.run(); });
  std::binary_semaphore called(0);
  for (auto _ : state) {
    asio::post(context, [&] { called.release(); });
    called.acquire();
  }
  work.reset();
  runner.join();
}

BENCHMARK(on_a_context<spawn_and_await>)->Name("spawn+await/asio");
BENCHMARK(on_a_context<await_directly>)->Name("direct await/asio");
BENCHMARK(on_a_context<switch_tasks>)->Name("switch/asio");
BENCHMARK(on_a_context<set_and_cancel_timer>)->Name("set+cancel timer/asio");
BENCHMARK(on_a_context<sleep_in_crowd>)->Name("sleep, 10k at once/asio");
BENCHMARK(wake_from_thread)->Name("wake from a thread/asio")->UseRealTime();

}  // namespace
