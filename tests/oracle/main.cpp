// SPDX-License-Identifier: BSL-1.0
// Prints the log of every scenario, or of those named.
#include "oracle/oracle.hpp"

#include <algorithm>
#include <cstdio>

namespace {

void print(const oracle::scenario& s) {
  std::vector<std::string> lines;
  asyncio::testing::run([&]() -> asyncio::coroutine<> {
    oracle::journal log;
    asyncio::get_running_loop().set_exception_handler(
        [&](asyncio::event_loop&, const asyncio::exception_context& context) {
          std::string name = oracle::describe(context.exception);
          log("handler: " + name);
        });
    co_await s.run(log);
    asyncio::get_running_loop().set_exception_handler(nullptr);
    lines = std::move(log.lines());
  });
  std::printf("== %s\n", s.name);
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> wanted(argv + 1, argv + argc);
  for (const auto group : {oracle::loop_scenarios(), oracle::group_scenarios(), oracle::lock_scenarios()})
    for (const oracle::scenario& s : group)
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), s.name) != wanted.end()) print(s);
}
