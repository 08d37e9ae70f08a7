// SPDX-License-Identifier: BSL-1.0
// A channel carries lines from a thread that reads them, blocking, to two loops in threads of their own, and another one
// carries what they have counted back to this loop.
// See: the reader waits when the loops have fallen behind, nothing is lost, and the last one to go shuts the channel down.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>
#include <thread>

using lines = asyncio::channel<std::string>;
using counts = asyncio::channel<int>;

void read_lines(lines to) {
  const char* text[] = {"the quick brown fox", "jumps", "over the lazy dog", "and", "is gone"};
  for (const char* line : text) to.put_blocking(line);
  to.shutdown();  // who gets will get what is there, and then nothing
}

int words_in(const std::string& line) {
  int words = line.empty() ? 0 : 1;
  for (char c : line) words += c == ' ' ? 1 : 0;
  return words;
}

asyncio::coroutine<> count_words(lines from, counts to) {
  while (auto line = co_await from.next()) co_await to.put(words_in(*line));
}

asyncio::coroutine<> amain() {
  lines read(2);  // two lines ahead, no more
  asyncio::loop_group group(2);
  std::thread reader(read_lines, read);
  {
    counts counted(1);
    for (int i = 0; i < 2; ++i) (void)group.submit(count_words, read, counted);
    int sum = 0;
    for (int i = 0; i < 5; ++i) sum += co_await counted.get();
    std::printf("%d words in 5 lines\n", sum);
  }
  reader.join();
  co_await group.aclose();
  std::printf("left in the channel: %zu\n", read.qsize());
}

int main() { asyncio::run(amain()); }
