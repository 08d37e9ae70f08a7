// SPDX-License-Identifier: BSL-1.0
// A program with a process pool, for the tests that need a whole one. POOL_MODE says what its main() is like.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace {

int square(int n) { return n * n; }

/// Made before main(), in workers too.
asyncio::process_pool_executor made_before_main(1);

/// Tells how a task of this pool ends.
void submit_to(asyncio::process_pool_executor& pool) {
  std::optional<asyncio::concurrent_future<int>> future;  // lives on while its exception is read
  try {
    future = pool.submit(square, 4);
    std::printf("%d\n", future->result());
  } catch (const asyncio::broken_process_pool& error) {
    std::printf("submit: %s\n", error.what());
  }
}

void use_a_pool() {
  asyncio::process_pool_executor pool(2);
  submit_to(pool);
}

asyncio::coroutine<> amain() {
  use_a_pool();
  co_return;
}

int wait_for_door(const std::string& door) {
  const int fd = ::open(door.c_str(), O_RDONLY);
  char byte = 0;
  while (::read(fd, &byte, 1) > 0) {}
  for (;;) ::pause();
}

/// Tells the numbers of this process and of its worker, which then waits for ever.
int leave_an_orphan() {
  asyncio::process_pool_executor pool(1);
  const int worker = pool.submit([] { return static_cast<int>(::getpid()); }).result();
  auto never = pool.submit(wait_for_door, std::string(std::getenv("POOL_DOOR")));
  std::printf("%d %d\n", static_cast<int>(::getpid()), worker);
  std::fflush(stdout);
  return never.result();
}

}  // namespace

int main(int argc, char** argv) {
  const char* given = std::getenv("POOL_MODE");
  const std::string mode = given != nullptr ? given : "";
  if (!mode.starts_with("forgotten"))
    if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  if (mode == "orphan") return leave_an_orphan();
  if (mode == "forgotten-ends" && argc > 1) return 64;  // "unknown option"
  if (mode == "forgotten" || mode == "forgotten-ends") use_a_pool();
  if (mode == "forgotten-run") asyncio::run(amain());
  if (mode == "global" || mode == "forgotten-global") submit_to(made_before_main);
  return 0;
}
