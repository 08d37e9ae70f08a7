// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace asyncio::io {

/// The memory of one large string for each thread: who is done with a large message leaves it for who makes the next
/// one. The heap's own way with such blocks is to give them back to the system, and to fetch them again page by page.
/// Kept until a connection of this thread is closed, or the thread ends. Sanitizer builds keep nothing.
class spare_text {
 public:
  static constexpr std::size_t least = 16 * 1024;
  static constexpr std::size_t most = 256 * 1024;

  /// Takes the memory of `text`, when it is worth keeping.
  static void give(std::string& text) noexcept {
    if (text.capacity() >= least) [[unlikely]]
      keep(text);
  }
  /// A string of these bytes. Errors: std::bad_alloc.
  static std::string copy(std::string_view bytes) { return bytes.size() < least ? std::string(bytes) : reuse(bytes); }
  static void drop() noexcept;

 private:
  static void keep(std::string& text) noexcept;
  static std::string reuse(std::string_view bytes);
};

}  // namespace asyncio::io
