// SPDX-License-Identifier: BSL-1.0
// Looking inside: what a task is doing, who waits for it, and what a deadlock looks like.
//
// Three philosophers sit around a table with a fork between each two. Each eats with two forks. When all take the left
// one first and then wait for the right one, nobody ever eats. asyncio::testing finds that, and says who waits where.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/testing.hpp>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

using forks = std::array<asyncio::lock, 3>;

asyncio::coroutine<> eat(const char* who) {
  co_await asyncio::sleep(2s);
  std::printf("%s has eaten\n", who);
}

asyncio::coroutine<> take_both(const char* who, asyncio::lock& first, asyncio::lock& second) {
  auto one = co_await first.scoped();
  co_await asyncio::sleep(1s);
  auto other = co_await second.scoped();
  co_await eat(who);
}

// Who takes the fork with the lower number first can never wait in a ring.
asyncio::coroutine<> dine(forks& table, bool in_order) {
  auto body = [&](asyncio::task_group& group) -> asyncio::coroutine<> {
    group.create_task(take_both("Plato", table[0], table[1]), {.name = "Plato"});
    group.create_task(take_both("Laozi", table[1], table[2]), {.name = "Laozi"});
    auto& first = in_order ? table[0] : table[2];
    auto& second = in_order ? table[2] : table[0];
    group.create_task(take_both("Hypatia", first, second), {.name = "Hypatia"});
    co_return;
  };
  co_await asyncio::async_with(asyncio::task_group(), body);
}

asyncio::coroutine<> watch() {
  co_await asyncio::sleep(2500ms);
  for (auto& task : asyncio::all_tasks())
    if (task.get_name() == "Laozi") asyncio::print_call_graph(task);
}

asyncio::coroutine<> evening(bool in_order) {
  forks table;
  asyncio::current_task().set_name("evening");
  asyncio::task<> watcher = asyncio::create_task(watch(), {.name = "watcher"});
  co_await dine(table, in_order);
  co_await watcher;
}

}  // namespace

int main() {
  std::puts("With the lower fork first:");
  asyncio::testing::run(evening(true));
  std::puts("\nWith the left fork first:");
  try {
    asyncio::testing::run(evening(false));
  } catch (const asyncio::testing::deadlock_error& e) {
    std::printf("\n%s\n", e.what());
    return 0;
  }
  return 1;
}
