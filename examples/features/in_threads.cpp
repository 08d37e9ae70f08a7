// SPDX-License-Identifier: BSL-1.0
// Work that blocks, in threads of the loop's own pool.
// See: the loop ticks while threads work; the context goes along; giving up asks a thread to stop.
#include <asyncio/asyncio.hpp>

#include <atomic>
#include <cstdio>
#include <stop_token>
#include <string>
#include <thread>

using namespace std::chrono_literals;

asyncio::context_var<std::string> user("user", "nobody");

/// As read(2) of a slow disk: nothing else happens in this thread.
std::string load(const std::string& name) {
  std::this_thread::sleep_for(50ms);
  return name + " for " + user.get();
}

/// Endless, but for the token.
int search(std::stop_token stop, std::atomic<bool>& begun, std::atomic<bool>& asked) {
  begun = true;
  int rounds = 0;
  while (!stop.stop_requested()) ++rounds;
  asked = true;
  return rounds;
}

asyncio::coroutine<> amain() {
  user.set("anna");
  int ticks = 0;
  auto ticker = asyncio::create_task([&]() -> asyncio::coroutine<> {
    for (;; ++ticks) co_await asyncio::sleep(5ms);
  });
  auto [a, b] = co_await asyncio::gather(asyncio::to_thread(load, "first"), asyncio::to_thread(load, "second"));
  std::printf("%s, %s\n", a.c_str(), b.c_str());
  std::printf("the loop went on meanwhile: %s\n", ticks > 0 ? "yes" : "no");
  ticker.cancel();

  std::atomic<bool> begun = false, asked = false;
  auto searching = asyncio::create_task(asyncio::to_thread(search, std::ref(begun), std::ref(asked)));
  while (!begun) co_await asyncio::sleep(1ms);
  searching.cancel();
  auto found = co_await asyncio::as_outcome(searching);
  std::printf("the await ended: %s\n", found ? "with a result" : "cancelled");
  co_await asyncio::get_running_loop().shutdown_default_executor();  // as run() does at its end
  std::printf("the search was asked to stop: %s\n", asked ? "yes" : "no");
}

int main() { asyncio::run(amain()); }
