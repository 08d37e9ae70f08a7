// SPDX-License-Identifier: BSL-1.0
#include "support/printable.hpp"

#include <cstdint>

namespace example {
namespace {

/// How many bytes at the front of `text` form one UTF-8 character, 0 if they form none; `code` is its code point.
std::size_t decode(std::string_view text, std::uint32_t& code) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t length = byte(0) < 0x80   ? 1
                       : byte(0) < 0xC2 ? 0
                       : byte(0) < 0xE0 ? 2
                       : byte(0) < 0xF0 ? 3
                       : byte(0) < 0xF5 ? 4
                                        : 0;
  if (length == 0 || length > text.size()) return 0;
  constexpr std::uint32_t payload[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  code = byte(0) & payload[length];
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = code >= 0xD800 && code < 0xE000;
  return code < least[length] || surrogate || code > 0x10FFFF ? 0 : length;
}

bool is_control(std::uint32_t code) {
  bool line_or_paragraph_end = code == 0x2028 || code == 0x2029;
  bool bidirectional_override = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || line_or_paragraph_end || bidirectional_override;
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    std::uint32_t code = 0;
    std::size_t length = decode(text, code);
    bool escape = length == 0 || is_control(code);
    if (length == 0) length = 1;
    if (escape) {
      for (char c : text.substr(0, length)) {
        auto byte = static_cast<unsigned char>(c);
        shown += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
      }
    } else if (text.front() == '\\') {
      shown += "\\\\";
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return shown;
}

}  // namespace example
