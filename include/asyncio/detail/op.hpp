// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <cstdint>

namespace asyncio::detail {

/// A thing the loop can finish: a task's step, a callback, a timer that came due, a system call.
/// The owner fills `done`; the loop calls it once per submission, in its thread. `done` may destroy the op.
struct op {
  op* next;
  void (*done)(op*) noexcept;
  std::int64_t result;  ///< >= 0 a value, < 0 -errno

  constexpr op() noexcept : next(nullptr), done(nullptr), result(0) {}
  /// For ops on hot paths, whose owner sets `done` before they are submitted.
  struct unset {};
  explicit op(unset) noexcept {}
};

/// Intrusive FIFO of ops. Pushing neither allocates nor throws. An op stands in at most one queue.
class op_queue {
 public:
  op_queue() = default;
  op_queue(const op_queue&) = delete;
  op_queue& operator=(const op_queue&) = delete;

  bool empty() const noexcept { return head_ == nullptr; }
  op* front() const noexcept { return head_; }

  void push(op* node) noexcept {
    node->next = nullptr;
    if (head_ == nullptr)
      head_ = node;
    else
      tail_->next = node;
    tail_ = node;
  }

  op* pop() noexcept {
    op* node = head_;
    if (node != nullptr) head_ = node->next;
    return node;
  }

  /// Moves everything from `other` behind what is here; `other` is empty afterwards.
  void append(op_queue& other) noexcept {
    if (other.head_ == nullptr) return;
    if (head_ == nullptr)
      head_ = other.head_;
    else
      tail_->next = other.head_;
    tail_ = other.tail_;
    other.head_ = nullptr;
  }

  /// The last one; null when empty.
  op* back() const noexcept { return head_ != nullptr ? tail_ : nullptr; }

  /// Unlinks `node` wherever it stands; the one before it, null when it was the first. Linear; for rare paths only.
  op* remove(op* node) noexcept {
    op* before = nullptr;
    for (op* at = head_; at != nullptr; before = at, at = at->next) {
      if (at != node) continue;
      (before == nullptr ? head_ : before->next) = at->next;
      if (tail_ == at) tail_ = before;
      return before;
    }
    return nullptr;
  }

  std::size_t size() const noexcept {
    std::size_t n = 0;
    for (op* at = head_; at != nullptr; at = at->next) ++n;
    return n;
  }

 private:
  op* head_ = nullptr;
  op* tail_ = nullptr;  // meaningful only while head_ is set
};

}  // namespace asyncio::detail
