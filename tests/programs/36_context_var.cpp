// SPDX-License-Identifier: BSL-1.0
// contextvars
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
using namespace asyncio;

inline context_var<std::string> request_id{"request_id", "none"};
context_var<int> depth("depth");

coroutine<> handle_request(std::string id) {
  auto token = request_id.set(id);
  co_await sleep(1ms);
  std::puts(request_id.get().c_str());
  request_id.reset(token);
}
coroutine<> amain() {
  depth.set(1);
  co_await gather(handle_request("a"), handle_request("b"));
  context ctx = copy_context();
  ctx.run([] { depth.set(2); });
  int d = ctx.run([](int extra) { return depth.get(0) + extra; }, 3);
  auto t = create_task(handle_request("c"), {.name = "c", .context = &ctx});
  co_await t;
  std::printf("%d\n", d + depth.get());
}
int main() { run(amain()); }
