// SPDX-License-Identifier: BSL-1.0
// AsyncExitStack
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
using namespace asyncio;

coroutine<> goodbye(std::string who) { co_await sleep(1ms); std::puts(who.c_str()); }

coroutine<> amain() {
  lock l;
  co_await async_with(async_exit_stack{}, [&](async_exit_stack& stack) -> coroutine<> {
    co_await stack.enter_async_context(l);
    task_group& tg = co_await stack.enter_async_context(task_group{});
    timeout& t = co_await stack.enter_async_context(timeout(5s));
    stack.push_async_callback(goodbye, "bye");
    stack.push_async_callback([&]() -> coroutine<> { co_await sleep(1ms); });
    stack.callback([] { std::puts("sync"); });
    stack.push([](std::exception_ptr e) { return e == nullptr; });
    tg.create_task(goodbye("child"));
    t.reschedule(std::nullopt);
  });
  async_exit_stack s;
  co_await s.enter_async_context(l);
  co_await s.aclose();
}
int main() { run(amain()); }
