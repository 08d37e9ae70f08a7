// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace example {

/// How the fetching of one source ended.
struct download_record {
  download_record() = default;

  std::string url;
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::chrono::nanoseconds own_time{};
  std::string failure;  // empty: the file is there
  bool finished = false;
};

/// The table of sources, a failure's reason under its row; then what was measured: `wall`, the sum of the own times, and
/// from both how many sources were under way at once.
void print_report(const std::vector<download_record>& records, std::chrono::nanoseconds wall, bool one_by_one);

}  // namespace example
