// SPDX-License-Identifier: BSL-1.0
// gather(..., return_exceptions=True)
#include <asyncio/asyncio.hpp>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<int> bad() { co_await sleep(1s); throw std::runtime_error("bad"); }
coroutine<std::string> good() { co_await sleep(1s); co_return "good"; }
coroutine<> quiet() { co_await sleep(1s); }

coroutine<> amain() {
  auto [a, b, c] = co_await gather(return_exceptions, bad(), good(), quiet());
  if (!a.has_value()) {
    try { std::rethrow_exception(a.exception()); } catch (const std::exception& e) { std::cout << e.what() << '\n'; }
  }
  if (b.has_value()) std::cout << b.value() << '\n';
  c.value();
  std::vector<coroutine<int>> many;
  many.push_back(bad());
  many.push_back(bad());
  int failed = 0;
  auto results = co_await gather(return_exceptions, std::move(many));
  for (auto& r : results) failed += r.exception() != nullptr;
  std::cout << failed << '\n';
}
int main() { run(amain()); }
