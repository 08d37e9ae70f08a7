// SPDX-License-Identifier: BSL-1.0
// How many scopes there are is known only at run time: a stack enters them one by one, and leaves them in reverse.
// See: three connections are opened, and closed backwards, the callback in between.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <exception>
#include <string>

using namespace std::chrono_literals;

class connection {
 public:
  explicit connection(std::string name) : name_(std::move(name)) {}
  asyncio::coroutine<> aenter() {
    co_await asyncio::sleep(50ms);
    std::printf("%s opened\n", name_.c_str());
  }
  asyncio::coroutine<> aexit(std::exception_ptr) {
    co_await asyncio::sleep(50ms);
    std::printf("%s closed\n", name_.c_str());
  }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

asyncio::coroutine<> amain(int count) {
  auto body = [count](asyncio::async_exit_stack& stack) -> asyncio::coroutine<> {
    for (int i = 0; i < count; ++i) {
      std::string name = "connection " + std::to_string(i);
      connection& opened = co_await stack.enter_async_context(connection(name));
      std::printf("using %s\n", opened.name().c_str());
      if (i == 1) stack.callback([] { std::puts("callback"); });
    }
  };
  co_await asyncio::async_with(asyncio::async_exit_stack(), body);
  std::puts("all closed");
}

int main() { asyncio::run(amain(3)); }
