// SPDX-License-Identifier: BSL-1.0
// Functions in other processes: each worker has memory of its own, so that one that crashes takes nobody with it.
// See: the exception of a task comes back, a crash fails its task alone, and the others go on in a new worker.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

struct text_statistics {
  std::string longest;
  std::vector<std::size_t> lengths;
};

text_statistics statistics(const std::vector<std::string>& words) {
  text_statistics found;
  for (const std::string& word : words) {
    found.lengths.push_back(word.size());
    if (word.size() > found.longest.size()) found.longest = word;
  }
  return found;
}

int parse(const std::string& number) { return std::stoi(number); }
int crash(int) { std::abort(); }
int square(int n) { return n * n; }

asyncio::coroutine<> amain() {
  asyncio::process_pool_executor pool(2);

  const std::vector<std::string> words{"to", "another", "process"};
  auto found = co_await pool.submit(statistics, words);
  std::printf("the longest of %zu words: %s\n", found.lengths.size(), found.longest.c_str());

  const int sum = co_await pool.submit([](int a, int b) { return a + b; }, 20, 22);
  std::printf("a lambda: %d\n", sum);

  try {
    co_await pool.submit(parse, "not a number");
  } catch (const std::invalid_argument& error) {
    std::printf("an exception: %s\n", error.what());
  }

  auto doomed = pool.submit(crash, 0);
  auto others = pool.map(square, std::vector<int>{1, 2, 3, 4});
  try {
    co_await doomed;
  } catch (const asyncio::broken_process_pool& error) {
    std::printf("a crash: %s\n", error.what());
  }
  for (auto& each : others) {
    const int n = co_await each;
    std::printf("%d ", n);
  }
  std::puts("all the same");
}

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  asyncio::run(amain());
}
