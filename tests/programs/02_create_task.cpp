// SPDX-License-Identifier: BSL-1.0
// create_task: t304 .. t308, with names, options, discarding, awaiting twice
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <string>
using namespace asyncio;

coroutine<std::string> filling_function() { std::cout << "1\n"; co_await sleep(2s); std::cout << "2\n"; co_return "DONE"; }

coroutine<> amain() {
  task<std::string> task1 = create_task(filling_function());
  auto task2 = create_task(filling_function(), {.name = "second"});
  create_task(filling_function(), {.eager_start = true});                    // fire and forget: the loop owns it
  std::cout << "A\n";
  co_await sleep(5s);
  const std::string& value = co_await task1;
  std::string again = co_await task1;                                        // as often as one likes
  std::string moved = co_await std::move(task2);
  std::cout << value << again << moved << task1.get_name() << task1.done() << '\n';
  std::string direct = co_await create_task(filling_function());
  if (task1.cancel("too late")) std::cout << "?\n";
}

int main() { run(amain()); }
