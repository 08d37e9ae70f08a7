// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/spare_text.hpp"
#include "kernel/sys.hpp"

#include <asyncio/detail/pool.hpp>

#include <algorithm>
#include <cstddef>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::io {

/// Bytes on their way out: small writes gather in chunks, large strings that were given away become chunks of their
/// own. Memory that was handed out by gather() does not move or change until consume() has taken it. Empty: no memory.
class output_queue {
 public:
  output_queue() = default;
  output_queue(const output_queue&) = delete;
  output_queue& operator=(const output_queue&) = delete;
  ~output_queue() { clear(); }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  /// Errors: std::bad_alloc; nothing is added then.
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (can_grow(bytes.size()))
      grow(last_->text, bytes);
    else
      push(new_chunk(spare_text::copy(bytes)));
    size_ += bytes.size();
  }

  /// The same; without a copy when it is worth it, or when there is nothing to join it with.
  void append(std::string&& text) {
    if (text.empty() || (text.size() < worth_moving && can_grow(text.size()))) return append(std::string_view(text));
    const std::size_t added = text.size();
    push(new_chunk(std::move(text)));
    size_ += added;
  }

  /// All of `text` but its first `skipped` bytes, without a copy; to an empty queue. Errors: std::bad_alloc, as above.
  void append_rest(std::string&& text, std::size_t skipped) {
    size_ = text.size() - skipped;
    try {
      push(new_chunk(std::move(text)));
    } catch (...) {
      size_ = 0;
      throw;
    }
    taken_ = skipped;
  }

  std::size_t chunk_count() const noexcept { return chunks_; }

  /// The oldest bytes, in at most `most` pieces; they are frozen. Returns the number of pieces.
  int gather(iovec* pieces, int most) noexcept {
    int n = 0;
    for (chunk* at = first_; at != nullptr && n < most; at = at->next, ++n) {
      const std::size_t skipped = n == 0 ? taken_ : 0;
      pieces[n].iov_base = at->text.data() + skipped;
      pieces[n].iov_len = at->text.size() - skipped;
      at->frozen = true;
    }
    return n;
  }

  /// The oldest `bytes` bytes have gone out. What was gathered beyond them may change again.
  void consume(std::size_t bytes) noexcept {
    size_ -= bytes;
    taken_ += bytes;
    while (first_ != nullptr && taken_ >= first_->text.size()) {
      taken_ -= first_->text.size();
      drop_first();
    }
    for (chunk* at = first_; at != nullptr && at->frozen; at = at->next) at->frozen = false;
  }

  void clear() noexcept {
    while (first_ != nullptr) drop_first();
    size_ = taken_ = 0;
  }

 private:
  static constexpr std::size_t full_chunk = 64 * 1024;
  static constexpr std::size_t worth_moving = 16 * 1024;
  static constexpr std::size_t least_grown = 1024;

  struct chunk {
    chunk* next = nullptr;
    bool frozen = false;
    std::string text;
  };

  bool can_grow(std::size_t more) const noexcept {
    if (last_ == nullptr || last_->frozen) return false;
    return last_->text.size() + more <= std::max(full_chunk, last_->text.capacity());
  }

  // The second small write is seldom the last: there is room for some more from then on.
  static void grow(std::string& text, std::string_view more) {
    const std::size_t needed = text.size() + more.size();
    if (needed > text.capacity()) text.reserve(std::max({needed, 2 * text.capacity(), least_grown}));
    text.append(more);
  }

  static chunk* new_chunk(std::string&& text) {
    auto* c = ::new (detail::pool_allocate(sizeof(chunk))) chunk;
    c->text = std::move(text);
    return c;
  }

  void push(chunk* c) noexcept {
    if (last_ == nullptr)
      first_ = c;
    else
      last_->next = c;
    last_ = c;
    ++chunks_;
  }

  void drop_first() noexcept {
    chunk* c = first_;
    first_ = c->next;
    if (first_ == nullptr) last_ = nullptr;
    --chunks_;
    spare_text::give(c->text);
    c->~chunk();
    detail::pool_free(c, sizeof(chunk));
  }

  chunk* first_ = nullptr;
  chunk* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t taken_ = 0;  // of the first chunk
  std::size_t chunks_ = 0;
};

}  // namespace asyncio::io
