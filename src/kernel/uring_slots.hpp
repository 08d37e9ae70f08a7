// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "kernel/kernel.hpp"

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace asyncio::kernel {

/// Where an op stands that goes through the ring; uring.cpp has the picture.
enum class stage : std::uint8_t { free, behind, pending, in_ring, leaving };

struct slot {
  io_op* op = nullptr;
  std::uint32_t generation = 0;
  std::uint32_t next_free = 0;
  stage at = stage::free;
  msghdr message{};  // of a send in pieces, until the kernel has taken the request
};

/// The ops that go through a ring, each with a key that is used once: what the kernel is told instead of an address.
/// Slots do not move. Slot 0 is nobody's: a key that names it is free for something that is no op.
class slot_table {
 public:
  static std::uint64_t key_of(const slot& s) noexcept {
    return static_cast<std::uint64_t>(s.generation) << 32 | s.op->slot;
  }
  slot& of(const io_op& request) noexcept { return at(request.slot); }
  /// Null: whose key it was has ended.
  slot* find(std::uint64_t key) noexcept {
    const auto index = static_cast<std::uint32_t>(key);
    if (index >= count()) return nullptr;
    slot& s = at(index);
    return s.op != nullptr && s.generation == key >> 32 ? &s : nullptr;
  }
  std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(blocks_.size()) * block_size; }

  /// Null when there is no memory.
  slot* take(io_op& request) noexcept {
    if (first_free_ == 0 && !grow()) return nullptr;
    request.slot = first_free_;
    slot& s = of(request);
    first_free_ = s.next_free;
    s.op = &request;
    return &s;
  }
  void free(io_op& request) noexcept {
    slot& s = of(request);
    s.op = nullptr;
    s.at = stage::free;
    ++s.generation;
    s.next_free = first_free_;
    first_free_ = request.slot;
    request.slot = 0;
  }

 private:
  static constexpr std::uint32_t block_size = 128;
  slot& at(std::uint32_t index) noexcept { return blocks_[index / block_size][index % block_size]; }
  bool grow() noexcept {
    const std::uint32_t first = count();
    try {
      blocks_.push_back(std::make_unique<slot[]>(block_size));
    } catch (const std::bad_alloc&) {
      return false;
    }
    for (std::uint32_t i = first + block_size; i-- > (first == 0 ? 1 : first);) {
      at(i).next_free = first_free_;
      first_free_ = i;
    }
    return true;
  }

  std::vector<std::unique_ptr<slot[]>> blocks_;
  std::uint32_t first_free_ = 0;
};

}  // namespace asyncio::kernel
