// SPDX-License-Identifier: BSL-1.0
#include "download_text.hpp"

#include <array>
#include <cstdio>

namespace example {
namespace {

template <class... Values> std::string formatted(const char* format, Values... values) {
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), format, values...);
  return {text.data(), static_cast<std::size_t>(size)};
}

bool continues_a_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::string size_text(double bytes) {
  if (bytes < 999.5) return formatted("%.0f B", bytes);
  constexpr std::array<const char*, 6> units{"kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  for (bytes /= 1000; bytes >= 999.5 && unit + 1 < units.size(); bytes /= 1000) ++unit;
  return formatted(bytes < 99.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

std::string seconds_text(std::chrono::nanoseconds time) {
  const double seconds = std::chrono::duration<double>(time).count();
  return formatted(seconds < 10 ? "%.3f s" : "%.1f s", seconds);
}

std::string clock_text(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(time).count();
  const auto hours = static_cast<long long>(seconds / 3600);
  const auto minutes = static_cast<long long>(seconds / 60 % 60), rest = static_cast<long long>(seconds % 60);
  return hours > 0 ? formatted("%lld:%02lld:%02lld", hours, minutes, rest) : formatted("%lld:%02lld", minutes, rest);
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (const char c : text) columns += !continues_a_character(c);
  return columns;
}

std::string fitted(std::string_view text, std::size_t width) {
  std::size_t columns = columns_of(text);
  if (columns <= width) return std::string(text) + std::string(width - columns, ' ');
  if (width == 0) return {};
  while (columns > width - 1) {
    do text.remove_prefix(1);
    while (!text.empty() && continues_a_character(text.front()));
    --columns;
  }
  return "…" + std::string(text);
}

}  // namespace example
