// SPDX-License-Identifier: BSL-1.0
// The CRC-32 of many files at once: reading files blocks, so threads do it, at most as many as asked for.
// See: the output in the order of the arguments, whoever is ready first; one bad file is one line, and stops no other.
#include "support/printable.hpp"
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stop_token>
#include <string>
#include <system_error>
#include <vector>

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320u : 0);
    table[i] = c;
  }
  return table;
}();

[[noreturn]] void fail(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), example::printable(path));
}

/// In a thread. Ctrl-C cancels the await, which asks the thread to stop.
std::uint32_t checksum(std::stop_token stop, std::string path) {
  struct closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, closer> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) fail(path);
  std::vector<unsigned char> buffer(1 << 18);
  std::uint32_t crc = 0xffffffffu;
  while (!stop.stop_requested()) {
    const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get());
    for (std::size_t i = 0; i < n; ++i) crc = crc_table[(crc ^ buffer[i]) & 0xff] ^ (crc >> 8);
    if (n < buffer.size() && std::ferror(file.get()) != 0) fail(path);
    if (n == 0) break;
  }
  return crc ^ 0xffffffffu;
}

asyncio::coroutine<int> amain(const std::vector<std::string>& paths, std::size_t threads) {
  asyncio::get_running_loop().set_default_executor(
      std::make_unique<asyncio::thread_pool_executor>(threads, "checksum"));
  std::vector<asyncio::coroutine<std::uint32_t>> calls;
  for (const std::string& path : paths) calls.push_back(asyncio::to_thread(checksum, path));
  const auto sums = co_await asyncio::gather(asyncio::return_exceptions, std::move(calls));
  int status = example::exit_ok;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (sums[i]) {
      std::printf("%08x  %s\n", sums[i].value(), example::printable(paths[i]).c_str());
    } else {
      std::fprintf(stderr, "parallel_checksum: %s\n", example::explain(sums[i].exception()).reason.c_str());
      status = example::exit_failed;
    }
  }
  co_return status;
}

int main(int argc, char** argv) {
  std::vector<std::string> paths;
  std::size_t threads = 4;
  example::arguments args("parallel_checksum", "Prints the CRC-32 of files, read by several threads.");
  args.number("--threads", "N", "threads that read (4)", threads, 1, 1000).rest("FILE...", "what to read", paths);
  args.parse(argc, argv);
  if (paths.empty()) args.refuse("no FILE is given");
  return example::run_program("parallel_checksum", asyncio::backend_kind::automatic,
                              [&] { return amain(paths, threads); });
}
