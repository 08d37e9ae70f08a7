// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace asyncio::detail {

/// Memory orders, as std::memory_order's.
enum class order : int {
  relaxed = __ATOMIC_RELAXED,
  acquire = __ATOMIC_ACQUIRE,
  release = __ATOMIC_RELEASE,
  acq_rel = __ATOMIC_ACQ_REL,
  seq_cst = __ATOMIC_SEQ_CST,
};

/// The part of std::atomic that public headers need: <atomic> itself would cost every file that includes us a tenth of
/// what the standard headers cost together. T is a pointer, an integer or bool.
template <class T>
class atomic_cell {
 public:
  constexpr atomic_cell(T value) noexcept : value_(value) {}
  atomic_cell(const atomic_cell&) = delete;
  atomic_cell& operator=(const atomic_cell&) = delete;

  T load(order o) const noexcept { return __atomic_load_n(&value_, static_cast<int>(o)); }
  void store(T value, order o) noexcept { __atomic_store_n(&value_, value, static_cast<int>(o)); }
  T exchange(T value, order o) noexcept { return __atomic_exchange_n(&value_, value, static_cast<int>(o)); }
  T fetch_add(T by, order o) noexcept { return __atomic_fetch_add(&value_, by, static_cast<int>(o)); }
  T fetch_sub(T by, order o) noexcept { return __atomic_fetch_sub(&value_, by, static_cast<int>(o)); }
  T fetch_or(T bits, order o) noexcept { return __atomic_fetch_or(&value_, bits, static_cast<int>(o)); }
  /// False: it was not `expected` (which then says what it was), or the exchange failed for no reason.
  bool compare_exchange_weak(T& expected, T desired, order success, order failure) noexcept {
    return __atomic_compare_exchange_n(&value_, &expected, desired, true, static_cast<int>(success),
                                       static_cast<int>(failure));
  }

 private:
  T value_;
};

}  // namespace asyncio::detail
