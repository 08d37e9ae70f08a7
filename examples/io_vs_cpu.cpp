// SPDX-License-Identifier: BSL-1.0
// What helps whom: five waits (I/O) and five computations (CPU), one after another, in one thread with asyncio, and in
// threads. See: waiting costs one thread nothing, so gather is as good as threads; computing needs processors, so only
// threads make it faster, and no faster than there are processors.
//      io_vs_cpu [WORK]    WORK: how many million steps each computation makes (30)
#include <asyncio/asyncio.hpp>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

using asyncio::coroutine;
using namespace std::chrono_literals;

constexpr int jobs = 5;

/// A request to a server that takes its time. Nothing to do but wait.
coroutine<> request() { co_await asyncio::sleep(200ms); }
void blocking_request() { std::this_thread::sleep_for(200ms); }

/// The processor has to work for this, whoever waits.
std::uint32_t compute(std::uint32_t steps) {
  std::uint32_t x = 1;
  for (std::uint32_t i = 0; i < steps; ++i) x = x * 1664525u + 1013904223u;
  return x;
}
coroutine<std::uint32_t> compute_in_a_coroutine(std::uint32_t steps) { co_return compute(steps); }

/// Prints a line with how long `what` took.
template <class A>
coroutine<> measure(const char* what, A awaited) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  const auto begin = loop.time();
  co_await static_cast<A&&>(awaited);
  std::printf("  %-34s %5.2f s\n", what, asyncio::timedelta(loop.time() - begin).total_seconds());
}

coroutine<> one_after_another() {
  for (int i = 0; i < jobs; ++i) co_await request();
}
coroutine<> one_after_another(std::uint32_t steps) {
  for (int i = 0; i < jobs; ++i) co_await compute_in_a_coroutine(steps);
}

/// As many of what make() makes, at once.
template <class Make>
auto all_at_once(Make make) {
  std::vector<decltype(make())> all;
  for (int i = 0; i < jobs; ++i) all.push_back(make());
  return asyncio::gather(std::move(all));
}

coroutine<> amain(std::uint32_t steps) {
  std::printf("%d requests of 0.2 s, which wait:\n", jobs);
  co_await measure("one after another", one_after_another());
  co_await measure("gather, in one thread", all_at_once(request));
  co_await measure("to_thread, in five threads", all_at_once([] { return asyncio::to_thread(blocking_request); }));
  std::printf("%d computations of %u million steps, on %u processors:\n", jobs, steps / 1'000'000,
              std::thread::hardware_concurrency());
  co_await measure("one after another", one_after_another(steps));
  co_await measure("gather, in one thread", all_at_once([=] { return compute_in_a_coroutine(steps); }));
  co_await measure("to_thread, in five threads", all_at_once([=] { return asyncio::to_thread(compute, steps); }));
}

int main(int argc, char** argv) {
  std::uint32_t millions = 30;
  if (argc > 1) {
    const char* end = argv[1] + std::strlen(argv[1]);
    const auto [read, error] = std::from_chars(argv[1], end, millions);
    if (argc > 2 || error != std::errc() || read != end || millions < 1 || millions > 4000) {
      std::fputs("io_vs_cpu: WORK is a whole number of million steps, from 1 to 4000\n", stderr);
      return 2;
    }
  }
  asyncio::run(amain(millions * 1'000'000));
}
