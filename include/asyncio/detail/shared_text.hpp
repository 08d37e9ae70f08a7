// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/atomic.hpp>
#include <asyncio/detail/pointers.hpp>

#include <string>
#include <utility>

namespace asyncio::detail {

/// An immutable string shared by reference, one pointer wide; the empty string costs nothing. Copies are cheap and
/// noexcept, so that it can travel in exceptions and in cancellation, which must not allocate.
class shared_text {
 public:
  shared_text() noexcept = default;
  explicit shared_text(std::string text) : block_(text.empty() ? nullptr : new block{{1}, std::move(text)}) {}
  shared_text(const shared_text& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->uses.fetch_add(1, order::relaxed);
  }
  shared_text(shared_text&& other) noexcept : block_(taken(other.block_)) {}
  shared_text& operator=(shared_text other) noexcept {
    swap_pointers(block_, other.block_);
    return *this;
  }
  ~shared_text() {
    if (block_ != nullptr && block_->uses.fetch_sub(1, order::acq_rel) == 1) delete block_;
  }

  const std::string& str() const noexcept { return block_ != nullptr ? block_->text : none(); }
  bool empty() const noexcept { return block_ == nullptr; }

 private:
  struct block {
    atomic_cell<int> uses;
    std::string text;
  };
  static const std::string& none() noexcept;
  block* block_ = nullptr;
};

}  // namespace asyncio::detail
