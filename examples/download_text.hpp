// SPDX-License-Identifier: BSL-1.0
// Sizes, rates and times for people.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace example {

/// "999 B", "1.2 kB", "64.0 MB": three digits, powers of 1000.
std::string size_text(double bytes);
/// "0.123 s", "12.3 s".
std::string seconds_text(std::chrono::nanoseconds time);
/// "0:05", "1:02:03"; for what is left.
std::string clock_text(std::chrono::nanoseconds time);

/// Columns that `text` takes on a terminal, at one a character (UTF-8).
std::size_t columns_of(std::string_view text);
/// `text` in exactly `width` columns: filled with blanks, or without its beginning, which tells least of an address.
std::string fitted(std::string_view text, std::size_t width);

}  // namespace example
