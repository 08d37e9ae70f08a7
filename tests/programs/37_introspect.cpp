// SPDX-License-Identifier: BSL-1.0
// call graphs, current_task, all_tasks
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <string>
using namespace asyncio;

coroutine<> inner() { co_await sleep(1s); print_call_graph(std::cout); }
coroutine<> outer() { co_await inner(); }
coroutine<> amain() {
  auto t = create_task(outer(), {.name = "outer"});
  co_await sleep(0s);
  for (auto& other : all_tasks()) std::cout << other.get_name() << other.done() << '\n';
  any_task me = current_task();
  me.set_name("main");
  std::cout << format_call_graph(t) << t.get_stack().size() << capture_call_graph().size();
  t.print_stack(std::cerr);
  for (auto& other : all_tasks()) if (other != me) other.cancel();
}
int main() { run(amain(), {.debug = true}); }
