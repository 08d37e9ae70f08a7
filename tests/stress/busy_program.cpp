// SPDX-License-Identifier: BSL-1.0
// A program that is busy with everything at once, for interrupt_test.py: connections, timers, threads, other loops, child
// processes.
// usage: busy_program MILLISECONDS. It says READY when it has begun, and at its end how many of its parts were not cleaned
// up. Its status is 0, or 130 when it was interrupted.
#include <asyncio/asyncio.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <thread>

using namespace std::chrono_literals;

namespace {

std::atomic<int> alive{0};

/// A part of the program that has something to clean up.
struct part {
  part() { alive.fetch_add(1); }
  part(const part&) = delete;
  part& operator=(const part&) = delete;
  ~part() { alive.fetch_sub(1); }
};

asyncio::coroutine<> echo(asyncio::stream_reader reader, asyncio::stream_writer writer) {
  const part here;
  try {
    while (auto line = co_await reader.next()) co_await writer.write_all(*line);
  } catch (const std::system_error&) {}  // a client that was cancelled resets its connection
}

asyncio::coroutine<> talk(int port) {
  const part here;
  while (true) {
    auto [reader, writer] = co_await asyncio::open_connection("127.0.0.1", port);
    for (int i = 0; i < 20; ++i) {
      co_await writer.write_all("a line\n");
      (void)co_await reader.readline();
    }
  }
}

asyncio::coroutine<> tick() {
  const part here;
  while (true) {
    try {
      co_await asyncio::wait_for(asyncio::sleep(1h), 1ms);
    } catch (const asyncio::timeout_error&) {}
  }
}

asyncio::coroutine<> offload() {
  const part here;
  while (true)
    co_await asyncio::to_thread([] {
      const part there;
      std::this_thread::sleep_for(1ms);
    });
}

asyncio::coroutine<> relay(asyncio::channel<int> in, asyncio::channel<int> out) {
  const part here;
  while (auto n = co_await in.next()) co_await out.put(*n + 1);
}

asyncio::coroutine<> use_group(asyncio::loop_group& group) {
  const part here;
  const asyncio::channel<int> there(2), back(2);
  for (int i = 0; i < 4; ++i) (void)group.submit(relay, there, back);
  while (true) {
    co_await there.put(1);
    (void)co_await back.get();
  }
}

asyncio::coroutine<> cross_threads() {
  const part here;
  co_await asyncio::async_with(asyncio::loop_group(2), use_group);
}

asyncio::coroutine<> start_children() {
  const part here;
  const auto talk_to = [](asyncio::process& child) -> asyncio::coroutine<> {
    (void)co_await child.communicate("a line\n");
  };
  while (true) {
    auto child = co_await asyncio::create_subprocess_exec(
        asyncio::command("cat"), {.in = asyncio::subprocess::pipe, .out = asyncio::subprocess::pipe});
    co_await asyncio::async_with(std::move(child), talk_to);
  }
}

asyncio::coroutine<> keep_a_child() {
  const part here;
  auto child = co_await asyncio::create_subprocess_exec(asyncio::command("sleep", "3600"));
  const auto wait_for_it = [](asyncio::process& p) -> asyncio::coroutine<> { (void)co_await p.wait(); };
  co_await asyncio::async_with(std::move(child), wait_for_it);
}

asyncio::coroutine<> clean_up_slowly() {
  const part here;
  const auto wait = []() -> asyncio::coroutine<> { co_await asyncio::sleep(1h); };
  const auto clean_up = []() -> asyncio::coroutine<> { co_await asyncio::sleep(5ms); };
  co_await asyncio::async_finally(wait, clean_up);
}

asyncio::coroutine<> amain(std::chrono::milliseconds how_long) {
  const part here;
  std::puts("READY");
  std::fflush(stdout);
  auto server = co_await asyncio::start_server(echo, "127.0.0.1", 0);
  const int port = server.sockets().at(0).port();
  const auto body = [port, how_long](asyncio::task_group& group) -> asyncio::coroutine<> {
    for (int i = 0; i < 3; ++i) {
      group.create_task(talk(port));
      group.create_task(tick());
      group.create_task(offload());
      group.create_task(start_children());
    }
    group.create_task(keep_a_child());
    group.create_task(cross_threads());
    group.create_task(clean_up_slowly());
    (void)asyncio::create_task(clean_up_slowly());  // left to run()
    co_await asyncio::sleep(how_long);
    group.cancel();
  };
  co_await asyncio::async_with(asyncio::task_group(), body);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int status = 0;
  try {
    asyncio::run(amain(std::chrono::milliseconds(std::atoi(argv[1]))));
  } catch (const asyncio::keyboard_interrupt& interrupt) {
    status = 128 + interrupt.signal();
  }
  std::printf("left %d\n", alive.load());
  std::fflush(stdout);
  return status;
}
