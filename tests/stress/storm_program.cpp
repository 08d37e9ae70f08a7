// SPDX-License-Identifier: BSL-1.0
// Ten thousand tasks whose work is done in other processes, which are killed at random all the while: each task ends with
// its result or a clear error, and nothing is left over.
// usage: storm_program SECONDS
#include <asyncio/asyncio.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <csignal>

using namespace std::chrono_literals;

namespace {

constexpr int many = 10'000;

struct tally {
  long results = 0;
  long broken = 0;   ///< broken_process_pool
  long outputs = 0;  ///< of children that were left alone
  long killed = 0;   ///< children that were not
  long wrong = 0;
  long kills = 0;
};

int square(int n) {
  volatile int sum = 0;
  for (int i = 0; i < 400'000; ++i) sum = sum + 1;
  return n * n;
}

std::vector<int> children() {
  std::vector<int> found;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(thread.path() / "children");
    for (int pid = 0; list >> pid;) found.push_back(pid);
  }
  return found;
}

std::size_t open_descriptors() {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}

asyncio::coroutine<> kill_at_random(tally& t) {
  std::mt19937 chance(static_cast<unsigned>(std::random_device()()));
  while (true) {
    co_await asyncio::sleep(std::chrono::milliseconds(1 + chance() % 20));
    const std::vector<int> all = children();
    if (all.empty()) continue;
    if (::kill(all[chance() % all.size()], SIGKILL) == 0) ++t.kills;
  }
}

asyncio::coroutine<> ask_pool(asyncio::process_pool_executor& pool, int n, tally& t) {
  try {
    const int result = co_await pool.submit(square, n);
    ++(result == n * n ? t.results : t.wrong);
  } catch (const asyncio::broken_process_pool&) {
    ++t.broken;
  }
}

asyncio::coroutine<> ask_child(asyncio::semaphore& at_once, tally& t) {
  const auto guard = co_await at_once.scoped();
  auto child = co_await asyncio::create_subprocess_exec(
      asyncio::command("cat"), {.in = asyncio::subprocess::pipe, .out = asyncio::subprocess::pipe});
  const auto [out, err] = co_await child.communicate("a line");
  const int status = child.returncode().value_or(-1);
  if (status == 0)
    ++(out == "a line" ? t.outputs : t.wrong);
  else
    ++(status == -SIGKILL ? t.killed : t.wrong);
}

asyncio::coroutine<> one_of_many(asyncio::process_pool_executor& pool, asyncio::semaphore& at_once, int n,
                                 asyncio::time_point end, tally& t) {
  do {
    if (n % 20 == 0)
      co_await ask_child(at_once, t);
    else
      co_await ask_pool(pool, n, t);
  } while (asyncio::get_running_loop().time() < end);
}

asyncio::coroutine<> storm(std::chrono::seconds how_long, tally& t) {
  asyncio::semaphore at_once(8);
  const asyncio::time_point end = asyncio::get_running_loop().time() + how_long;
  const auto killer = asyncio::create_task(kill_at_random(t));
  const auto in_pool = [&](asyncio::process_pool_executor& pool) -> asyncio::coroutine<> {
    const auto all = [&](asyncio::task_group& group) {
      for (int n = 0; n < many; ++n) group.create_task(one_of_many(pool, at_once, n, end, t));
    };
    co_await asyncio::async_with(asyncio::task_group(), all);
  };
  asyncio::process_pool_executor workers(4);
  co_await asyncio::async_with(workers, in_pool);
  killer.cancel();
}

}  // namespace

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  if (argc != 2) return 2;
  tally t;
  const std::size_t before = open_descriptors();
  asyncio::run(storm(std::chrono::seconds(std::atoi(argv[1])), t));
  const std::size_t left = children().size();
  const auto leaked = static_cast<long>(open_descriptors()) - static_cast<long>(before);
  std::printf(
      "%ld kills: %ld results, %ld broken, %ld outputs, %ld killed, %ld wrong; %zu processes and %ld descriptors "
      "left\n",
      t.kills, t.results, t.broken, t.outputs, t.killed, t.wrong, left, leaked);
  const long ended = t.results + t.broken + t.outputs + t.killed;
  return ended >= many && t.wrong == 0 && left == 0 && leaked == 0 ? 0 : 1;
}
