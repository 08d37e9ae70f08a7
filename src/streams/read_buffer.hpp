// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "base/wipe.hpp"
#include "io/spare_text.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::streams {

/// Bytes that were received and not yet read. Empty, it holds no memory; what is read whole is moved out.
class read_buffer {
 public:
  read_buffer() = default;
  read_buffer(const read_buffer&) = delete;
  read_buffer& operator=(const read_buffer&) = delete;
  ~read_buffer() { clear(); }

  /// What it gets from here on came under TLS: memory of it that is freed is overwritten first.
  void keep_secrets() noexcept { secret_ = true; }

  std::size_t size() const noexcept { return bytes_.size() - begin_; }
  bool empty() const noexcept { return size() == 0; }
  std::string_view view() const noexcept { return std::string_view(bytes_).substr(begin_); }

  /// Errors: std::bad_alloc; nothing is added then.
  void append(std::string_view more) {
    if (bytes_.empty()) {
      bytes_ = io::spare_text::copy(more);
      return;
    }
    if (begin_ > 0 && bytes_.size() + more.size() > bytes_.capacity()) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
    if (secret_ && bytes_.size() + more.size() > bytes_.capacity()) grow(bytes_.size() + more.size());
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
    if (secret_ && !bytes_.empty()) base::wipe(bytes_);
    std::string().swap(bytes_);  // an assignment would keep the memory
    begin_ = 0;
  }

 private:
  void grow(std::size_t least) {
    std::string larger;
    larger.reserve(std::max(least, 2 * bytes_.capacity()));
    larger.append(bytes_);
    base::wipe(bytes_);
    bytes_ = std::move(larger);
  }

  std::string bytes_;
  std::size_t begin_ = 0;
  bool secret_ = false;
};

}  // namespace asyncio::streams
