// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>

namespace asyncio::io {

/// When a writer has to wait: from above the high-water mark until down to the low one.
class water_marks {
 public:
  static constexpr std::size_t default_high = 64 * 1024;

  /// Errors: std::invalid_argument unless high >= low.
  void set(std::size_t high, std::size_t low) {
    if (low > high)
      throw std::invalid_argument("high (" + std::to_string(high) + ") must be >= low (" + std::to_string(low) + ")");
    high_ = high;
    low_ = low;
  }
  bool congested() const noexcept { return congested_; }
  /// So much is buffered now. True: it has just fallen to the low mark.
  bool note(std::size_t buffered) noexcept {
    if (!congested_) {
      congested_ = buffered > high_;
      return false;
    }
    congested_ = buffered > low_;
    return !congested_;
  }
  /// Nobody waits any more.
  void clear() noexcept { congested_ = false; }

 private:
  std::size_t high_ = default_high;
  std::size_t low_ = default_high / 4;
  bool congested_ = false;
};

}  // namespace asyncio::io
