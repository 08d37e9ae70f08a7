// SPDX-License-Identifier: BSL-1.0
// create_task(f, args...): lambdas with captures and arguments; member coroutines; options first
#include <asyncio/asyncio.hpp>
#include <memory>
#include <string>
#include <vector>
using namespace asyncio;

struct counter {
  int total = 0;
  coroutine<> add(int n) { co_await sleep(1ms); total += n; }
};
coroutine<int> length(std::string s) { co_await sleep(1ms); co_return static_cast<int>(s.size()); }
coroutine<int> by_ref(const std::string& s) { co_await sleep(1ms); co_return static_cast<int>(s.size()); }

coroutine<int> amain() {
  std::string prefix = "hello";
  std::vector<task<int>> tasks;
  for (int i = 0; i < 3; ++i)
    tasks.push_back(create_task([prefix](int k, std::string tail) -> coroutine<int> { co_await sleep(10ms); co_return k + static_cast<int>((prefix + tail).size()); }, i, "tail"));
  tasks.push_back(create_task(length, "literal becomes a std::string"));
  tasks.push_back(create_task(by_ref, std::string("kept alive by the task")));
  counter c;
  auto t = create_task(&counter::add, &c, 5);
  auto u = create_task({.name = "worker"}, [p = std::make_unique<int>(7)]() -> coroutine<int> { co_await sleep(1ms); co_return *p; });
  co_await t;
  int sum = co_await u;
  for (auto& x : tasks) sum += co_await x;
  co_return sum + c.total;
}

int main() { return run(amain()); }
