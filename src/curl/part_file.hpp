// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <system_error>

namespace asyncio::curl {

/// A file that is being written beside its final name: `.download-<random>.part` in the same folder, created anew. It
/// takes the final name by commit() and vanishes otherwise. Where the final name is a symbolic link, the file that it
/// leads to is meant: the link stays. What is there and is not a regular file is refused.
/// Errors: std::system_error, its text the operation and the file's name.
class part_file {
 public:
  explicit part_file(const std::string& final_path);
  part_file(const part_file&) = delete;
  part_file& operator=(const part_file&) = delete;
  ~part_file();

  /// All of `piece`, or an error; never throws, as it is called between libcurl's frames.
  std::error_code write(std::span<const std::byte> piece) noexcept;
  void commit();

 private:
  struct closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::string final_path_;  // as it was asked for
  std::string target_;      // behind links
  std::string path_;
  std::unique_ptr<std::FILE, closer> file_;
};

}  // namespace asyncio::curl
