// SPDX-License-Identifier: BSL-1.0
// Real files for `download` without arguments: this project's own sources, and generated ones with known checksums.
#pragma once

#include <asyncio/coroutine.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace example {

/// A folder in $TMPDIR, or else in /tmp; removed, with all that is in it, at the end.
class temporary_folder {
 public:
  /// Errors: std::filesystem::filesystem_error.
  temporary_folder();
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder();
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

struct sample {
  sample(std::string path, std::string sha256) : path(std::move(path)), sha256(std::move(sha256)) {}
  std::string path;  // relative to the folder, '/' between its parts
  std::string sha256;
};

/// Fills `folder`: generated files of 1 to 64 MiB in `generated/`, and copies of this project's sources, where they are
/// found, in `sources/`. Lets other tasks run, and can be cancelled, between two pieces.
/// Errors: std::filesystem::filesystem_error.
asyncio::coroutine<std::vector<sample>> make_samples(std::filesystem::path folder);

}  // namespace example
