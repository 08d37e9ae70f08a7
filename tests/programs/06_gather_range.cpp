// SPDX-License-Identifier: BSL-1.0
// gather(*[fetch(u) for u in urls])
#include <asyncio/asyncio.hpp>
#include <ranges>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<std::string> fetch(std::string url) { co_await sleep(1s); co_return url; }
coroutine<> ping(int) { co_await sleep(1s); }

coroutine<std::size_t> amain() {
  std::vector<std::string> urls{"a", "b", "c"};
  std::vector<coroutine<std::string>> jobs;
  for (auto& u : urls) jobs.push_back(fetch(u));
  std::vector<std::string> pages = co_await gather(std::move(jobs));
  auto more = co_await gather(urls | std::views::transform(fetch));
  std::vector<task<std::string>> tasks;
  for (auto& u : urls) tasks.push_back(create_task(fetch(u)));
  auto third = co_await gather(tasks);
  std::vector<coroutine<>> pings;
  for (int i = 0; i < 3; ++i) pings.push_back(ping(i));
  co_await gather(std::move(pings));
  co_return pages.size() + more.size() + third.size();
}
int main() { return static_cast<int>(run(amain())); }
