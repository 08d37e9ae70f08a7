// SPDX-License-Identifier: BSL-1.0
#include "download_report.hpp"

#include "download_text.hpp"
#include "support/printable.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>

namespace example {
namespace {

constexpr std::size_t sum_width = 64;

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, columns_of(text)), ' ') + text;
}

std::string ratio_text(std::chrono::nanoseconds a, std::chrono::nanoseconds b) {
  char number[32];
  std::snprintf(number, sizeof number, "%.1f", std::chrono::duration<double>(a) / std::chrono::duration<double>(b));
  return number;
}

void print_line(const std::string& line) { std::printf("%s\n", line.c_str()); }

}  // namespace

void print_report(const std::vector<download_record>& records, std::chrono::nanoseconds wall, bool one_by_one) {
  std::size_t source_width = columns_of("source"), bytes_width = columns_of("bytes");
  std::chrono::nanoseconds sum{};
  std::uint64_t bytes = 0;
  std::size_t failed = 0;
  for (const download_record& r : records) {
    source_width = std::max(source_width, columns_of(printable(r.url)));
    bytes_width = std::max(bytes_width, std::to_string(r.bytes).size());
    sum += r.own_time;
    if (r.failure.empty()) {
      bytes += r.bytes;
    } else {
      ++failed;
    }
  }

  print_line("");
  print_line(fitted("source", source_width) + "  " + right("bytes", bytes_width) + "  " + fitted("SHA-256", sum_width) +
             "  own time");
  for (const download_record& r : records) {
    print_line(fitted(printable(r.url), source_width) + "  " + right(std::to_string(r.bytes), bytes_width) + "  " +
               fitted(r.failure.empty() ? r.sha256 : "failed", sum_width) + "  " + seconds_text(r.own_time));
    if (!r.failure.empty()) print_line("    " + printable(r.failure));
  }
  print_line("");
  std::string total = std::to_string(records.size() - failed) + " of " + std::to_string(records.size()) +
                      " sources fetched, " + size_text(static_cast<double>(bytes));
  if (failed > 0) total += "; " + std::to_string(failed) + " failed";
  print_line(total);

  const std::string times = "wall time " + seconds_text(wall) + ", sum of the own times " + seconds_text(sum) + ": ";
  if (one_by_one) {
    print_line(times + "one by one");
  } else {
    print_line(times + ratio_text(sum, wall) + " under way at once on average");
    if (records.size() > 1 && failed < records.size()) {
      const std::string about =
          sum < std::chrono::seconds(1) ? seconds_text(sum) : ratio_text(sum, std::chrono::seconds(1)) + " s";
      print_line("one after another at this pace they would take about " + about +
                 "; alone each may be faster (--one-by-one)");
    }
  }
  std::fflush(stdout);
}

}  // namespace example
