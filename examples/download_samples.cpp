// SPDX-License-Identifier: BSL-1.0
#include "download_samples.hpp"

#include "sha256.hpp"

#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace example {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t mebibyte = 1024 * 1024;
// Between two pieces of work: long enough for the loop to look around, and to see a Ctrl-C.
constexpr asyncio::timedelta breather = std::chrono::microseconds(50);

struct generated_file {
  std::string_view name;
  std::size_t mebibytes;
  std::uint64_t seed;
  std::string_view sha256;
};

// The sums are of the bytes that fill() makes, computed by another program (sha256sum).
constexpr std::array<generated_file, 7> generated_files{{
    {"01-MiB.bin", 1, 1, "85b66b3a5816d686deb42f2d2473d9a7121ceb75c822b838f958c76ca86ed8ea"},
    {"02-MiB.bin", 2, 2, "ff369f2fa99ee00c8464bea20f1c21b7a906179c8d6503d6f85f3b0aaaf41234"},
    {"04-MiB.bin", 4, 4, "7e3538a0d2b1726a4e2e67cfa2077ddce8d60ce2f59cdce86462a5624d1bdb92"},
    {"08-MiB.bin", 8, 8, "3db813f197d3d797f303b907bf85cd46fb3ac0c8b7261e07d8f642078240a00e"},
    {"16-MiB.bin", 16, 16, "84c50204a5a34b7b32007fe27c17307c8df5cb0964382630bbdb29abdde2f62b"},
    {"32-MiB.bin", 32, 32, "d28ca5e14461fcf69c0a08410ad76e9f17c483d4587424b8c8f60f4540480848"},
    {"64-MiB.bin", 64, 64, "d8ca47398174ac499e0bc664deb8a829d605c3ebe3a890cf5ecba24b6e508c5f"},
}};

/// The 8-byte words at `first`, `first` + 1, … of the sequence of `seed`, least byte first: SplitMix64, which can start
/// anywhere.
void fill(std::span<char> bytes, std::uint64_t seed, std::uint64_t first) {
  for (std::size_t at = 0; at < bytes.size(); at += 8, ++first) {
    std::uint64_t word = seed + (first + 1) * 0x9E3779B97F4A7C15U;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9U;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBU;
    word ^= word >> 31;
    for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<char>(word >> (8 * i));
  }
}

/// A file that is being made. Errors: fs::filesystem_error, which names it.
class new_file {
 public:
  explicit new_file(fs::path path) : path_(std::move(path)), file_(path_, std::ios::binary | std::ios::trunc) {
    check();
  }
  void write(std::string_view bytes) {
    file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    check();
  }
  void close() {
    file_.close();
    check();
  }

 private:
  void check() const {
    if (!file_) throw fs::filesystem_error("cannot write", path_, std::error_code(errno, std::generic_category()));
  }

  fs::path path_;
  std::ofstream file_;
};

asyncio::coroutine<> generate(const generated_file& what, fs::path path) {
  new_file file(std::move(path));
  std::string piece(mebibyte, '\0');
  for (std::size_t n = 0; n < what.mebibytes; ++n) {
    fill(piece, what.seed, n * mebibyte / 8);
    file.write(piece);
    co_await asyncio::sleep(breather);
  }
  file.close();
}

/// The files of this project that are worth reading, in order; none if the sources are not where they were compiled.
std::vector<fs::path> source_files(const fs::path& top) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const char* folder : {"include", "src", "examples", "docs"}) {
    for (fs::recursive_directory_iterator it(top / folder, none), end; it != end; it.increment(none)) {
      if (it->is_regular_file(none) && !it->is_symlink(none)) found.push_back(it->path());
    }
  }
  for (fs::directory_iterator it(top, none), end; it != end; it.increment(none)) {
    const bool text = it->path().extension() == ".md" || it->path().filename() == "LICENSE";
    if (text && it->is_regular_file(none)) found.push_back(it->path());
  }
  std::ranges::sort(found);
  return found;
}

std::string copy_and_sum(const fs::path& from, const fs::path& to) {
  std::ifstream in(from, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  fs::create_directories(to.parent_path());
  new_file out(to);
  out.write(bytes);
  out.close();
  sha256 sum;
  sum.update(std::as_bytes(std::span(bytes)));
  return sum.finish();
}

}  // namespace

temporary_folder::temporary_folder() {
  const char* given = std::getenv("TMPDIR");
  const fs::path top = given != nullptr && *given != '\0' ? given : "/tmp";
  std::string name = (top / "asyncio-download-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw fs::filesystem_error("cannot write", top, std::error_code(errno, std::generic_category()));
  }
  path_ = name;
}

temporary_folder::~temporary_folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

asyncio::coroutine<std::vector<sample>> make_samples(fs::path folder) {
  std::vector<sample> made;
  const fs::path top = ASYNCIO_SOURCE_DIR;
  for (const fs::path& source : source_files(top)) {
    const std::string path = "sources/" + source.lexically_relative(top).generic_string();
    made.emplace_back(path, copy_and_sum(source, folder / path));
    co_await asyncio::sleep(breather);
  }
  // The large ones last: they keep the processor busy, and the small ones would only wait with them.
  fs::create_directories(folder / "generated");
  for (const generated_file& what : generated_files) {
    const std::string path = "generated/" + std::string(what.name);
    co_await generate(what, folder / path);
    made.emplace_back(path, std::string(what.sha256));
  }
  co_return made;
}

}  // namespace example
