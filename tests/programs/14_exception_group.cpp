// SPDX-License-Identifier: BSL-1.0
// except* in C++
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <stdexcept>
#include <system_error>
using namespace asyncio;

coroutine<> fail_io() { co_await sleep(1ms); throw std::system_error(std::make_error_code(std::errc::connection_refused)); }
coroutine<> fail_value() { co_await sleep(1ms); throw std::invalid_argument("seven"); }

coroutine<> amain() {
  try {
    co_await async_with(task_group{}, [&](task_group& tg) { tg.create_task(fail_io()); tg.create_task(fail_value()); });
  } catch (exception_group& eg) {
    std::cout << eg.message() << ' ' << eg.exceptions().size() << '\n';
    eg.handle<std::system_error>([](const std::system_error& e) { std::cout << e.code() << '\n'; })
      .handle<std::invalid_argument>([](auto& e) { std::cout << e.what() << '\n'; })
      .rethrow_rest();
    auto [matching, rest] = eg.split<std::system_error>();
    auto sub = eg.subgroup([](std::exception_ptr p) { return p != nullptr; });
    if (rest) throw *rest;
    if (matching && sub) std::cout << matching->exceptions().size() << '\n';
  }
}
int main() { run(amain()); }
