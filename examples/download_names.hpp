// SPDX-License-Identifier: BSL-1.0
// Which file an address becomes.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>

namespace example {

/// The last segment of the address's path, decoded, as a file name that stays in its folder; "index.html" if there is none.
std::string file_name_of(std::string_view url);

/// Hands out paths in one folder, none twice and none that is taken on disk: the second "a.txt" is "a-2.txt".
class file_names {
 public:
  explicit file_names(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::string path_for(std::string_view url);

 private:
  std::filesystem::path folder_;
  std::set<std::string> given_;
};

}  // namespace example
