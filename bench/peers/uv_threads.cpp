// SPDX-License-Identifier: BSL-1.0
// The measures of threads.cpp with libuv's work queue.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <semaphore>
#include <thread>
#include <vector>

#include <uv.h>

namespace {

int result = 0;
void nothing(uv_work_t*) { benchmark::DoNotOptimize(result); }

void run_in_executor(benchmark::State& state) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  uv_work_t request;
  for (auto _ : state) {
    uv_queue_work(&loop, &request, nothing, [](uv_work_t*, int) {});
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_loop_close(&loop);
}

void hundred_at_once(benchmark::State& state) {
  constexpr int crowd = 100;
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_work_t> requests(crowd);
  for (auto _ : state) {
    for (uv_work_t& request : requests) uv_queue_work(&loop, &request, nothing, [](uv_work_t*, int) {});
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  state.SetItemsProcessed(state.iterations() * crowd);
  uv_loop_close(&loop);
}

void call_soon_threadsafe(benchmark::State& state) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  struct door {
    std::binary_semaphore called{0};
    bool over = false;
  } door;
  uv_async_t post;
  post.data = &door;
  uv_async_init(&loop, &post, [](uv_async_t* self) {
    auto* d = static_cast<struct door*>(self->data);
    if (d->over)
      uv_close(reinterpret_cast<uv_handle_t*>(self), nullptr);
    else
      d->called.release();
  });
  std::thread runner([&] { uv_run(&loop, UV_RUN_DEFAULT); });
  for (auto _ : state) {
    uv_async_send(&post);
    door.called.acquire();
  }
  door.over = true;
  uv_async_send(&post);
  runner.join();
  uv_loop_close(&loop);
}

// As many threads as ours have, before the first request makes them.
const bool two_threads = [] { return setenv("UV_THREADPOOL_SIZE", "2", 1) == 0; }();

BENCHMARK(run_in_executor)->Name("run_in_executor/libuv")->UseRealTime();
BENCHMARK(hundred_at_once)->Name("100 at once, each/libuv")->UseRealTime();
BENCHMARK(call_soon_threadsafe)->Name("call_soon_threadsafe/libuv")->UseRealTime();

}  // namespace
