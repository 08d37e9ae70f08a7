// SPDX-License-Identifier: BSL-1.0
// the main job: many sources, bounded, errors named, progress
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<std::size_t> download(std::string url, semaphore& slots) {
  auto slot = co_await slots.scoped();
  auto [reader, writer] = co_await open_connection(url, 80);
  co_await writer.write_all("GET / HTTP/1.0\r\n\r\n");
  std::size_t total = 0;
  char buf[65536];
  while (true) {
    std::size_t n = co_await async_with(timeout(10s), [&]() -> coroutine<std::size_t> { co_return co_await reader.read_into(buf); });
    if (n == 0) break;
    total += n;
  }
  co_return total;
}
coroutine<int> amain(std::vector<std::string> urls) {
  semaphore slots(16);
  std::vector<coroutine<std::size_t>> jobs;
  for (auto& u : urls) jobs.push_back(download(u, slots));
  auto results = co_await gather(return_exceptions, std::move(jobs));
  int failed = 0;
  for (std::size_t i = 0; i < urls.size(); ++i) {
    try { std::printf("%s %zu\n", urls[i].c_str(), results[i].value()); }
    catch (const std::exception& e) { std::printf("%s: %s\n", urls[i].c_str(), e.what()); ++failed; }
  }
  co_return failed != 0;
}
int main(int argc, char** argv) { return run(amain(std::vector<std::string>(argv + 1, argv + argc))); }
