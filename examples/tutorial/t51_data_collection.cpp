// SPDX-License-Identifier: BSL-1.0
// Three downloads at the same time, simulated by sleeps of different length; examples/download does it with real files.
// See: they start in order and complete in the order of their durations, after three seconds in all.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

using namespace std::chrono_literals;

asyncio::coroutine<> fetch_data(std::string source, asyncio::timedelta duration) {
  std::printf("Starting the download from %s...\n", source.c_str());
  co_await asyncio::sleep(duration);
  std::printf("Download from %s completed.\n", source.c_str());
}

asyncio::coroutine<> amain() {
  co_await asyncio::gather(fetch_data("Source 1", 2s), fetch_data("Source 2", 3s), fetch_data("Source 3", 1s));
}

int main() { asyncio::run(amain()); }
