// SPDX-License-Identifier: BSL-1.0
// Which file an address becomes, and which address a file has.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace example {

/// The last segment of the address's path, decoded, as a file name that stays in its folder; "index.html" if there is none.
std::string file_name_of(std::string_view url);

/// A relative path as the path of an address: what that cannot hold is percent-encoded.
std::string url_path(std::string_view path);

/// Hands out paths in one folder, none twice and none that is taken on disk: the second "a.txt" is "a-2.txt".
class file_names {
 public:
  explicit file_names(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::string path_for(std::string_view url);
  /// The same for a name, which must be one that file_name_of() gives.
  std::string path_of(std::string_view name);

 private:
  std::filesystem::path folder_;
  std::set<std::string> given_;
};

/// The same for relative paths beneath one folder, whose folders it makes.
class file_tree {
 public:
  explicit file_tree(std::filesystem::path top) : top_(std::move(top)) {}
  /// Errors: std::filesystem::filesystem_error.
  std::string path_for(const std::filesystem::path& relative);

 private:
  std::filesystem::path top_;
  std::map<std::filesystem::path, file_names> folders_;
};

}  // namespace example
