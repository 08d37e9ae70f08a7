// SPDX-License-Identifier: BSL-1.0
// What the way to a thread and back costs. The same with Asio's thread_pool, libuv's work queue and tokio's
// spawn_blocking: peers/; with CPython: threads.py, which runs all of them and prints the table.
#include <asyncio/asyncio.hpp>

#include <benchmark/benchmark.h>

#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

namespace {

int nothing() { return 1; }

asyncio::coroutine<> to_thread(benchmark::State& state) {
  int sum = co_await asyncio::to_thread(nothing);
  for (auto _ : state) sum += co_await asyncio::to_thread(nothing);
  benchmark::DoNotOptimize(sum);
}

asyncio::coroutine<> run_in_executor(benchmark::State& state) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  asyncio::thread_pool_executor pool(1);
  int sum = co_await loop.run_in_executor(pool, nothing);
  for (auto _ : state) sum += co_await loop.run_in_executor(pool, nothing);
  benchmark::DoNotOptimize(sum);
}

asyncio::coroutine<> hundred_at_once(benchmark::State& state) {
  constexpr int crowd = 100;
  asyncio::event_loop& loop = asyncio::get_running_loop();
  asyncio::thread_pool_executor pool(2);
  int sum = 0;
  for (auto _ : state) {
    std::vector<asyncio::future<int>> calls;
    calls.reserve(crowd);
    for (int i = 0; i < crowd; ++i) calls.push_back(loop.run_in_executor(pool, nothing));
    for (const asyncio::future<int>& call : calls) sum += co_await call;
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * crowd);
}

template <asyncio::coroutine<> (*Body)(benchmark::State&)>
void on_a_loop(benchmark::State& state) {
  asyncio::run(Body(state));
}

// No loop: a thread asks a pool and waits.
void submit_and_wait(benchmark::State& state) {
  asyncio::thread_pool_executor pool(1);
  int sum = pool.submit(nothing).result();
  for (auto _ : state) sum += pool.submit(nothing).result();
  benchmark::DoNotOptimize(sum);
}

class loop_thread {
 public:
  loop_thread() : thread_([this] { loop_->run_forever(); }) {}
  loop_thread(const loop_thread&) = delete;
  loop_thread& operator=(const loop_thread&) = delete;
  ~loop_thread() {
    loop_->call_soon_threadsafe([this] { loop_->stop(); });
    thread_.join();
  }
  asyncio::event_loop& loop() { return *loop_; }

 private:
  std::unique_ptr<asyncio::event_loop> loop_ = asyncio::new_event_loop();
  std::thread thread_;
};

void call_soon_threadsafe(benchmark::State& state) {
  loop_thread other;
  std::binary_semaphore called(0);
  for (auto _ : state) {
    other.loop().call_soon_threadsafe([&] { called.release(); });
    called.acquire();
  }
}

asyncio::coroutine<int> one() { co_return 1; }

void run_coroutine_threadsafe(benchmark::State& state) {
  loop_thread other;
  int sum = 0;
  for (auto _ : state) sum += asyncio::run_coroutine_threadsafe(one(), other.loop()).result();
  benchmark::DoNotOptimize(sum);
}

BENCHMARK(on_a_loop<to_thread>)->Name("to_thread/asyncio-cpp")->UseRealTime();
BENCHMARK(on_a_loop<run_in_executor>)->Name("run_in_executor/asyncio-cpp")->UseRealTime();
BENCHMARK(on_a_loop<hundred_at_once>)->Name("100 at once, each/asyncio-cpp")->UseRealTime();
BENCHMARK(submit_and_wait)->Name("submit().result()/asyncio-cpp")->UseRealTime();
BENCHMARK(call_soon_threadsafe)->Name("call_soon_threadsafe/asyncio-cpp")->UseRealTime();
BENCHMARK(run_coroutine_threadsafe)->Name("run_coroutine_threadsafe/asyncio-cpp")->UseRealTime();

}  // namespace
