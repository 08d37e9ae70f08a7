// SPDX-License-Identifier: BSL-1.0
// A context variable belongs to a task: what one request sets, the others that run beside it do not see, and what it
// starts inherits it.
// See: both requests log under their own name, however their steps are mixed.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

using namespace std::chrono_literals;

asyncio::context_var<std::string> request_id("request_id", "nobody");

void log(const char* what) { std::printf("[%s] %s\n", request_id.get().c_str(), what); }

asyncio::coroutine<> query() {
  log("query");
  co_await asyncio::sleep(200ms);
  log("answer");
}

asyncio::coroutine<> handle(std::string id, asyncio::timedelta delay) {
  request_id.set(id);
  log("begins");
  co_await asyncio::sleep(delay);
  co_await asyncio::create_task(query());
  log("ends");
}

asyncio::coroutine<> amain() {
  co_await asyncio::gather(handle("first", 300ms), handle("second", 150ms));
  log("main");
}

int main() { asyncio::run(amain()); }
