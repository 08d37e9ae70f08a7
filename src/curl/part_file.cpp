// SPDX-License-Identifier: BSL-1.0
#include "curl/part_file.hpp"

#include <cerrno>
#include <filesystem>
#include <random>
#include <string_view>

namespace asyncio::curl {
namespace {

std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

[[noreturn]] void fail(std::error_code error, std::string_view verb, const std::string& path) {
  throw std::system_error(error, std::string("cannot ").append(verb).append(" ").append(path));
}

/// The file that `path` is a link to, over any number of links; or `path`. It need not exist.
std::filesystem::path behind_links(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  constexpr int most_links = 40;  // as the kernel
  fs::path file = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(file, error); ++links) {
    if (links == most_links) error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
    const fs::path next = error ? fs::path() : fs::read_symlink(file, error);
    if (error) fail(error, "create", path.string());
    file = file.parent_path() / next;  // an absolute one stands alone
  }
  return file;
}

/// The system may forbid to follow a link, or to write behind it: it is asked, as everybody asks who opens the file.
void check_link(const std::string& link, const std::filesystem::path& file) {
  std::error_code ignored;
  const bool was_there = std::filesystem::exists(file, ignored);
  std::FILE* opened = std::fopen(link.c_str(), "abe");
  if (opened == nullptr) fail(last_error(), "create", link);
  std::fclose(opened);
  if (!was_there) std::remove(file.c_str());
}

std::string random_name() {
  static constexpr char digits[] = "0123456789abcdef";
  std::random_device entropy;
  std::string name = ".download-";
  for (int word = 0; word < 2; ++word) {
    std::random_device::result_type bits = entropy();
    for (int i = 0; i < 8; ++i, bits >>= 4) name += digits[bits & 15];
  }
  return name += ".part";
}

}  // namespace

part_file::part_file(const std::string& final_path) : final_path_(final_path) {
  namespace fs = std::filesystem;
  if (final_path.find('\0') != std::string::npos) {
    fail(std::make_error_code(std::errc::invalid_argument), "create", "a file whose name contains a null character");
  }
  if (!fs::path(final_path).has_filename()) {
    fail(std::make_error_code(std::errc::is_a_directory), "create", final_path);
  }
  const fs::path target = behind_links(final_path);
  std::error_code ignored;  // where nothing can be known nothing can be created either
  const fs::file_status known = fs::status(target, ignored);
  if (fs::is_directory(known)) fail(std::make_error_code(std::errc::is_a_directory), "create", final_path);
  if (fs::exists(known) && !fs::is_regular_file(known)) {
    fail(std::make_error_code(std::errc::file_exists), "replace", final_path + ", which is not a regular file");
  }
  target_ = target.string();
  if (target_ != final_path_) check_link(final_path_, target);

  // The name is short and not made of the final one, which may be as long as the file system allows.
  while (!file_) {
    path_ = (target.parent_path() / random_name()).string();
    std::FILE* created = std::fopen(path_.c_str(), "wbxe");  // x: must not exist yet; e: child processes do not get it
    if (created == nullptr && errno != EEXIST) fail(last_error(), "create", final_path);
    file_.reset(created);
  }
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);  // libcurl's pieces are large, and an error must name its own piece
}

part_file::~part_file() {
  if (path_.empty()) return;
  file_.reset();
  std::remove(path_.c_str());
}

std::error_code part_file::write(std::span<const std::byte> piece) noexcept {
  while (!piece.empty()) {
    const std::size_t n = std::fwrite(piece.data(), 1, piece.size(), file_.get());
    piece = piece.subspan(n);
    if (piece.empty()) break;
    if (errno != EINTR) return last_error();
    std::clearerr(file_.get());
  }
  return {};
}

void part_file::commit() {
  // Some file systems (network ones, or with quotas) tell of a failed write only when the file is closed.
  if (std::fclose(file_.release()) != 0) fail(last_error(), "write", final_path_);
  if (std::rename(path_.c_str(), target_.c_str()) != 0) fail(last_error(), "name the finished file", final_path_);
  path_.clear();
}

}  // namespace asyncio::curl
