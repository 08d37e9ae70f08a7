// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "base/wipe.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::tls {

/// Memory for plaintext: what was used of it is overwritten before it is freed.
class plain_buffer {
 public:
  plain_buffer() = default;
  /// Errors: std::bad_alloc.
  explicit plain_buffer(std::size_t capacity)
      : bytes_(std::make_unique_for_overwrite<char[]>(capacity)), capacity_(capacity) {}
  plain_buffer(plain_buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        capacity_(std::exchange(other.capacity_, 0)),
        used_(std::exchange(other.used_, 0)) {}
  plain_buffer& operator=(plain_buffer other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(capacity_, other.capacity_);
    std::swap(used_, other.used_);
    return *this;
  }
  ~plain_buffer() { base::wipe(bytes_.get(), used_); }

  char* data() const noexcept { return bytes_.get(); }
  std::size_t capacity() const noexcept { return capacity_; }
  /// So much of it holds, or held, plaintext.
  void used(std::size_t size) noexcept { used_ = std::max(used_, size); }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

/// Plaintext on its way out, overwritten when it has gone. Small writes gather in chunks that never grow beyond the
/// memory they began with; strings that were given away become chunks of their own. Empty: no memory.
class plain_queue {
 public:
  plain_queue() = default;
  plain_queue(const plain_queue&) = delete;
  plain_queue& operator=(const plain_queue&) = delete;
  ~plain_queue() { clear(); }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  /// Errors: std::bad_alloc; nothing is added then.
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (last_ == nullptr || last_->text.size() + bytes.size() > last_->text.capacity()) {
      std::string text;
      text.reserve(std::max(bytes.size(), last_ == nullptr ? first_chunk : full_chunk));
      push(std::move(text));
    }
    last_->text.append(bytes);
    size_ += bytes.size();
  }
  void append(std::string&& text) {
    if (text.size() < worth_moving) {
      append(std::string_view(text));
      base::wipe(text);
      return;
    }
    const std::size_t added = text.size();
    push(std::move(text));
    size_ += added;
  }

  /// The oldest bytes, as far as they stand in one piece.
  std::string_view front() const noexcept { return std::string_view(first_->text).substr(taken_); }
  /// `bytes` of front() have gone out.
  void consume(std::size_t bytes) noexcept {
    size_ -= bytes;
    taken_ += bytes;
    if (taken_ == first_->text.size()) drop_first();
  }
  void clear() noexcept {
    while (first_ != nullptr) drop_first();
    size_ = 0;
  }

 private:
  static constexpr std::size_t first_chunk = 2 * 1024;
  static constexpr std::size_t full_chunk = 16 * 1024;
  static constexpr std::size_t worth_moving = 4 * 1024;

  struct chunk {
    std::unique_ptr<chunk> next;
    std::string text;
  };

  void push(std::string&& text) {
    auto made = std::make_unique<chunk>();
    made->text = std::move(text);
    chunk* c = made.get();
    (last_ == nullptr ? first_ : last_->next) = std::move(made);
    last_ = c;
  }
  void drop_first() noexcept {
    base::wipe(first_->text);
    first_ = std::move(first_->next);
    if (first_ == nullptr) last_ = nullptr;
    taken_ = 0;
  }

  std::unique_ptr<chunk> first_;
  chunk* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t taken_ = 0;  // of the first chunk
};

}  // namespace asyncio::tls
