// SPDX-License-Identifier: BSL-1.0
// Connects programs as a shell does with `|`, but what one writes and the next one reads passes through here, and is counted.
// See: build/dev/bin/shell_pipeline -- cat README.md '|' tr a-z A-Z '|' wc -c
// Exit status: that of the last program; 128 + N when signal N has ended it; 127 when one of them cannot be started.
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using stage = std::vector<std::string>;

std::vector<stage> stages_of(const std::vector<std::string>& words, const example::arguments& args) {
  std::vector<stage> stages(1);
  for (const std::string& word : words) {
    if (word == "|")
      stages.emplace_back();
    else
      stages.back().push_back(word);
  }
  for (const stage& each : stages)
    if (each.empty()) args.refuse("a program is missing beside a '|'");
  return stages;
}

/// Passes everything on. Both ends are closed with it: who writes hears that nobody reads any more, who reads that nothing follows.
asyncio::coroutine<> relay(asyncio::stream_reader from, asyncio::stream_writer to, std::size_t& bytes) {
  try {
    for (std::string block = co_await from.read(65536); !block.empty(); block = co_await from.read(65536)) {
      bytes += block.size();
      co_await to.write_all(std::move(block));
    }
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::broken_pipe) throw;  // it has read enough
  }
}

/// None of them runs on when this goes, whatever the reason.
struct children : std::vector<asyncio::process> {
  ~children() {
    for (asyncio::process& each : *this) each.kill();  // nothing, of one that has ended
  }
};

asyncio::coroutine<int> run_all(const std::vector<stage>& stages, bool verbose) {
  children running;
  std::vector<std::size_t> bytes(stages.size(), 0);
  std::vector<asyncio::task<>> relays;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    asyncio::subprocess_options options;
    if (i > 0) options.in = asyncio::subprocess::pipe;
    if (i + 1 < stages.size()) options.out = asyncio::subprocess::pipe;
    asyncio::process child = co_await asyncio::create_subprocess_exec(asyncio::command(stages[i]), options);
    if (i > 0) {
      relays.push_back(asyncio::create_task(
          relay(std::move(running.back().stdout_pipe()), std::move(child.stdin_pipe()), bytes[i - 1])));
    }
    running.push_back(std::move(child));
  }
  for (asyncio::task<>& each : relays) co_await each;
  int status = 0;
  for (std::size_t i = 0; i < running.size(); ++i) {
    status = co_await running[i].wait();
    if (verbose) std::fprintf(stderr, "%s: status %d, %zu bytes on\n", stages[i].front().c_str(), status, bytes[i]);
  }
  co_return status < 0 ? 128 - status : status;
}

asyncio::coroutine<int> amain(const std::vector<stage>& stages, bool verbose) {
  try {
    co_return co_await run_all(stages, verbose);
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "shell_pipeline: %s\n", error.what());
    co_return 127;
  }
}

int main(int argc, char** argv) {
  std::vector<std::string> words;
  bool verbose = false;
  example::arguments args("shell_pipeline", "Connects programs by pipes, and counts what passes.");
  args.flag("--verbose", "say how each program ended, and how much it has passed on", verbose);
  args.rest("PROGRAM [ARGUMENT...] ['|' ...]", "the programs", words);
  args.parse(argc, argv);
  std::vector<stage> stages = stages_of(words, args);
  return example::run_program("shell_pipeline", asyncio::backend_kind::automatic,
                              [&] { return amain(stages, verbose); });
}
