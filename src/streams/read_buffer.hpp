// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::streams {

/// Bytes that were received and not yet read. Empty, it holds no memory; what is read whole is moved out.
class read_buffer {
 public:
  std::size_t size() const noexcept { return bytes_.size() - begin_; }
  bool empty() const noexcept { return size() == 0; }
  std::string_view view() const noexcept { return std::string_view(bytes_).substr(begin_); }

  /// Errors: std::bad_alloc; nothing is added then.
  void append(std::string_view more) {
    if (bytes_.empty()) {
      bytes_ = std::string(more);
      return;
    }
    if (begin_ > 0 && bytes_.size() + more.size() > bytes_.capacity()) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
    bytes_.append(more);
  }

  /// At most `n` bytes from the front.
  std::string take(std::size_t n) {
    if (begin_ == 0 && n >= bytes_.size()) return std::exchange(bytes_, std::string());
    std::string taken(view().substr(0, n));
    drop(n);
    return taken;
  }
  std::string take_all() { return take(size()); }
  std::size_t copy_to(std::byte* to, std::size_t most) {
    const std::size_t n = view().copy(reinterpret_cast<char*>(to), most);
    drop(n);
    return n;
  }
  void drop(std::size_t n) noexcept {
    begin_ += std::min(n, size());
    if (empty()) clear();
  }
  void clear() noexcept {
    bytes_ = std::string();
    begin_ = 0;
  }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

}  // namespace asyncio::streams
