// SPDX-License-Identifier: BSL-1.0
// A loop made by hand: three tasks of loop->create_task, awaited together by wait(), driven by run_until_complete().
// See: all three start at once and are done together after one second.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <memory>
#include <string>

using namespace std::chrono_literals;

std::unique_ptr<asyncio::event_loop> loop;

asyncio::coroutine<> async_func(std::string task_no) {
  std::printf("%s: starting ...\n", task_no.c_str());
  co_await asyncio::sleep(1s);
  std::printf("%s: ... done!\n", task_no.c_str());
}

asyncio::coroutine<> amain() {
  auto task_a = loop->create_task(async_func("taskA"));
  auto task_b = loop->create_task(async_func("taskB"));
  auto task_c = loop->create_task(async_func("taskC"));
  co_await asyncio::wait({}, task_a, task_b, task_c);
}

int main() {
  loop = asyncio::new_event_loop();
  asyncio::set_event_loop(loop.get());
  loop->run_until_complete(amain());
  loop->close();
}
