// SPDX-License-Identifier: BSL-1.0
// What a child process costs: start of /bin/true and the news of its end, one at a time and sixteen; and 16 MiB through
// `cat`. Beside posix_spawn and waitpid with nothing around them, libuv and tokio where they are installed, and python3's
// asyncio. Real time, the least of several repetitions, in which all take turns.
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

void uv_spawn_and_wait(int count, int at_once);

namespace {

using namespace asyncio;

constexpr int repetitions = 5;
constexpr int count = 320;
constexpr std::size_t much = 16 * 1024 * 1024;

coroutine<> spawn_some(int n) {
  for (int i = 0; i < n; ++i) {
    process p = co_await create_subprocess_exec(command("/bin/true"));
    co_await p.wait();
  }
}

coroutine<> spawn_and_wait(int n, int at_once) {
  std::vector<coroutine<>> parts;
  for (int i = 0; i < at_once; ++i) parts.push_back(spawn_some(n / at_once));
  co_await gather(std::move(parts));
}

coroutine<> through_cat() {
  process p = co_await create_subprocess_exec(command("/bin/cat"), {.in = subprocess::pipe, .out = subprocess::pipe});
  auto [out, err] = co_await p.communicate(std::string(much, 'x'));
  if (out.size() != much) std::abort();
}

void spawn_and_wait_by_hand(int n, int at_once) {
  char program[] = "/bin/true";
  std::array<char*, 2> argv{program, nullptr};
  for (int done = 0; done < n; done += at_once) {
    for (int i = 0; i < at_once; ++i) {
      pid_t pid = 0;
      if (posix_spawn(&pid, program, nullptr, nullptr, argv.data(), environ) != 0) std::abort();
    }
    for (int i = 0; i < at_once; ++i) waitpid(-1, nullptr, 0);
  }
}

/// The same in Python; prints microseconds for one child.
constexpr const char* python_program = R"(
import asyncio, sys, time
kind, count, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
PIPE = asyncio.subprocess.PIPE
async def some(n):
    for _ in range(n):
        await (await asyncio.create_subprocess_exec("/bin/true")).wait()
async def spawn():
    await asyncio.gather(*(some(count // at_once) for _ in range(at_once)))
async def cat():
    p = await asyncio.create_subprocess_exec("/bin/cat", stdin=PIPE, stdout=PIPE)
    out, _ = await p.communicate(b"x" * count)
    assert len(out) == count
begin = time.perf_counter()
asyncio.run(spawn() if kind == "spawn" else cat())
print((time.perf_counter() - begin) * 1e6)
)";

double microseconds(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

/// What another program says that it took, in microseconds; 0 where there is no such program.
double said_by(command program) {
  const auto ask = [&]() -> coroutine<double> {
    process p = co_await create_subprocess_exec(std::move(program), {.out = subprocess::pipe});
    auto [out, err] = co_await p.communicate();
    co_return p.returncode() == 0 ? std::atof(out.c_str()) : 0.0;
  };
  try {
    return asyncio::run(ask);
  } catch (const std::system_error&) {
    return 0;
  }
}

double said_by_python(std::string kind, std::size_t n, int at_once) {
  return said_by(command("python3", "-c", python_program, kind, std::to_string(n), std::to_string(at_once)));
}

struct row {
  const char* name;
  std::function<double(int at_once)> spawn;  // in all
  std::function<double()> cat;               // null: is not measured
  double alone = 1e18, together = 1e18, moving = 1e18;
};

}  // namespace

int main() {
  std::vector<row> rows;
  rows.push_back(
      {"posix_spawn, waitpid", [](int k) { return microseconds([k] { spawn_and_wait_by_hand(count, k); }); }, nullptr});
  rows.push_back({"asyncio-cpp", [](int k) { return microseconds([k] { asyncio::run(spawn_and_wait(count, k)); }); },
                  [] { return microseconds([] { asyncio::run(through_cat()); }); }});
#if defined(ASYNCIO_BENCH_UV)
  rows.push_back({"libuv", [](int k) { return microseconds([k] { uv_spawn_and_wait(count, k); }); }, nullptr});
#endif
#if defined(ASYNCIO_BENCH_TOKIO)
  rows.push_back(
      {"tokio",
       [](int k) { return said_by(command(ASYNCIO_BENCH_TOKIO, "spawn", std::to_string(count), std::to_string(k))); },
       [] { return said_by(command(ASYNCIO_BENCH_TOKIO, "cat", std::to_string(much))); }});
#endif
  rows.push_back({"python3's asyncio", [](int k) { return said_by_python("spawn", count, k); },
                  [] { return said_by_python("cat", much, 1); }});
  for (int i = 0; i < repetitions; ++i)
    for (row& each : rows) {
      each.alone = std::min(each.alone, each.spawn(1) / count);
      each.together = std::min(each.together, each.spawn(16) / count);
      if (each.cat) each.moving = std::min(each.moving, each.cat());
    }
  std::printf("%-22s%18s%18s%22s\n", "", "one at a time", "16 at once", "16 MiB through cat");
  for (const row& each : rows) {
    std::printf("%-22s%15.0f us%15.0f us", each.name, each.alone, each.together);
    if (each.cat)
      std::printf("%15.0f MiB/s\n", static_cast<double>(much) / 1.048576 / each.moving);
    else
      std::printf("%22s\n", "");
  }
}
