// SPDX-License-Identifier: BSL-1.0
// Coroutines of two libraries await each other. `pause_in_thread` is an awaiter as any library has them; it resumes in a
// thread of its own, and our task comes back to its loop. `their_task` is a coroutine type that knows nothing of us.
#include <asyncio/asyncio.hpp>

#include <coroutine>
#include <cstdio>
#include <exception>
#include <thread>

using namespace std::chrono_literals;

struct pause_in_thread {
  std::jthread worker;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    worker = std::jthread([waiting] { waiting.resume(); });
  }
  std::thread::id await_resume() const noexcept { return worker.get_id(); }
};

struct their_task {
  struct promise_type {
    their_task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

asyncio::coroutine<int> ours(int n) {
  co_await asyncio::sleep(10ms);
  co_return n + 1;
}

their_task theirs(asyncio::event_loop& loop, asyncio::future<int> answer) {
  int n = co_await asyncio::as_awaitable_on(loop, ours(41));
  answer.set_result(n);
}

asyncio::coroutine<> amain() {
  pause_in_thread pause;
  std::thread::id worker = co_await pause;
  std::printf("resumed in another thread: %s\n", worker != std::thread::id() ? "yes" : "no");
  std::printf("and back in the loop's:    %s\n", worker != std::this_thread::get_id() ? "yes" : "no");

  asyncio::future<int> answer;
  theirs(asyncio::get_running_loop(), answer);
  int n = co_await answer;
  std::printf("their coroutine got %d from ours\n", n);
}

int main() { asyncio::run(amain()); }
