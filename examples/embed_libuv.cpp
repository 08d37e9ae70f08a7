// SPDX-License-Identifier: BSL-1.0
// Our loop as the guest of a libuv loop (Node.js's, for one): libuv sleeps, and gives our tasks a turn when they want one.
// Before each sleep a prepare handle sets a timer to our next deadline: what libuv's own callbacks do to our loop counts.
// See: a timer of libuv's wakes a task, the task sleeps, a thread calls, and the task ends libuv's loop.
#include <asyncio/asyncio.hpp>

#include <uv.h>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <thread>

using namespace std::chrono_literals;

class guest {
 public:
  guest(uv_loop_t& host, asyncio::event_loop& loop) : host_(host), loop_(loop) {
    poll_.data = timer_.data = prepare_.data = this;
    uv_poll_init(&host, &poll_, loop.poll_fd());
    uv_timer_init(&host, &timer_);
    uv_prepare_init(&host, &prepare_);
    uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* p, int, int) { static_cast<guest*>(p->data)->turn(); });
    uv_prepare_start(&prepare_, [](uv_prepare_t* p) { static_cast<guest*>(p->data)->set_timer(); });
  }
  /// libuv forgets the handles in the next turns of its loop.
  void leave() {
    for (void* handle : {(void*)&poll_, (void*)&timer_, (void*)&prepare_}) uv_close((uv_handle_t*)handle, nullptr);
  }

 private:
  // No exception may pass through C. The only one that run_once() lets out is keyboard_interrupt.
  void turn() noexcept { loop_.run_once(0s); }
  void set_timer() {
    const auto deadline = loop_.next_deadline();
    if (!deadline) return static_cast<void>(uv_timer_stop(&timer_));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - loop_.time()).count();
    uv_update_time(&host_);
    auto due = [](uv_timer_t* t) { static_cast<guest*>(t->data)->turn(); };
    uv_timer_start(&timer_, due, static_cast<std::uint64_t>(std::max<long long>(left, 0)), 0);
  }

  uv_loop_t& host_;
  asyncio::event_loop& loop_;
  uv_poll_t poll_{};
  uv_timer_t timer_{};
  uv_prepare_t prepare_{};
};

asyncio::coroutine<> amain(asyncio::event& rang, guest& here) {
  std::puts("task: waiting for a timer of libuv's");
  co_await rang.wait();
  co_await asyncio::sleep(5ms);
  std::puts("task: slept");
  asyncio::event called;
  auto call = [&loop = asyncio::get_running_loop(), &called] { loop.call_soon_threadsafe([&] { called.set(); }); };
  std::thread(call).join();
  co_await called.wait();
  std::puts("task: a thread has called");
  here.leave();  // nothing is left in libuv's loop, and it ends
}

int main() {
  auto loop = asyncio::new_event_loop();
  uv_loop_t& host = *uv_default_loop();
  guest here(host, *loop);
  asyncio::event rang;
  uv_timer_t timer{};
  timer.data = &rang;
  uv_timer_init(&host, &timer);
  auto ring = [](uv_timer_t* t) {
    std::puts("libuv: the timer");
    static_cast<asyncio::event*>(t->data)->set();
    uv_close(reinterpret_cast<uv_handle_t*>(t), nullptr);
  };
  uv_timer_start(&timer, ring, 10, 0);
  auto task = loop->create_task(amain(rang, here));
  uv_run(&host, UV_RUN_DEFAULT);
  std::puts(task.done() ? "done" : "not done");
  uv_loop_close(&host);
}
