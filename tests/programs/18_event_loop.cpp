// SPDX-License-Identifier: BSL-1.0
// the seed's event_loop.py, and the low-level calls
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
#include <vector>

std::unique_ptr<asyncio::event_loop> loop;

asyncio::coroutine<> async_func(std::string task_no) { std::printf("%s: starting\n", task_no.c_str()); co_await asyncio::sleep(std::chrono::seconds(1)); }
asyncio::coroutine<> amain() {
  auto taskA = loop->create_task(async_func("taskA"));
  auto taskB = loop->create_task(async_func("taskB"), {.name = "B"});
  std::vector tasks{taskA, taskB};
  co_await asyncio::wait(tasks);
}
void hello(int n) { std::printf("%d\n", n); asyncio::get_running_loop().stop(); }

int main() {
  loop = asyncio::new_event_loop();
  asyncio::set_event_loop(loop.get());
  loop->run_until_complete(amain());
  asyncio::handle h = loop->call_soon(hello, 1);
  asyncio::timer_handle later = loop->call_later(std::chrono::milliseconds(10), [] { hello(2); });
  loop->call_at(loop->time() + std::chrono::seconds(1), hello, 3);
  loop->call_soon_threadsafe([] {});
  h.cancel();
  later.cancel();
  auto fut = loop->create_future<int>();
  loop->call_soon([fut] { fut.set_result(4); });
  int n = loop->run_until_complete(fut);
  loop->set_exception_handler([](asyncio::event_loop& l, const asyncio::exception_context& c) { std::puts(c.message.c_str()); l.default_exception_handler(c); });
  loop->call_exception_handler({.message = "look"});
  loop->set_debug(true);
  loop->set_slow_callback_duration(std::chrono::milliseconds(50));
  loop->run_forever();
  loop->run_once(std::chrono::milliseconds(1));
  loop->close();
  return n + loop->is_closed() + (loop->backend() == asyncio::backend_kind::epoll) + (asyncio::get_event_loop() == nullptr);
}
