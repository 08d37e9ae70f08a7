// SPDX-License-Identifier: BSL-1.0
// anything with aenter and aexit
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <exception>
#include <string>
using namespace asyncio;

class transaction {                                                          // gives itself to the body
 public:
  explicit transaction(std::string name) : name_(std::move(name)) {}
  coroutine<> aenter() { co_await sleep(1ms); }
  coroutine<> aexit(std::exception_ptr e) { co_await sleep(1ms); std::puts(e ? "rollback" : "commit"); }
  const std::string& name() const { return name_; }
 private:
  std::string name_;
};
struct pool {                                                                // gives something else, and swallows errors
  explicit pool(int n) : free(n) {}
  coroutine<int> aenter() { co_return --free; }
  coroutine<bool> aexit(std::exception_ptr) { ++free; co_return true; }
  int free;
};
coroutine<> amain() {
  auto name = co_await async_with(transaction("t1"), [&](transaction& t) -> coroutine<std::string> { co_await sleep(1ms); co_return t.name(); });
  pool p(3);
  co_await async_with(p, [&](int slot) -> coroutine<> { std::printf("%d %s\n", slot, name.c_str()); co_await sleep(1s); });
  co_await async_with(p, [&](auto& slot) -> coroutine<> { std::printf("%d\n", slot); co_return; });
}
int main() { run(amain()); }
