// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>

namespace asyncio::detail {

/// Recycled memory for coroutine frames, futures and callbacks: per thread, one free list a size class of 32 bytes,
/// up to 2 KiB; larger blocks come from ::operator new. Blocks are 16-byte aligned. A block may be freed in another
/// thread than it came from. With ASYNCIO_NO_FRAME_POOL every block is the heap's own, so that sanitizers see each.
///
/// Thread end gives the lists back. A thread keeps at most `pool_keep` blocks of each class.
struct pool_block {
  pool_block* next;
};

inline constexpr std::size_t pool_step = 32;
inline constexpr std::size_t pool_classes = 64;
inline constexpr std::uint32_t pool_keep = 1u << 16;

struct pool_lists {
  pool_block* head[pool_classes + 1];
  std::uint32_t room[pool_classes + 1];  // how many more may be kept; all 0 until the thread's clean-up is registered
};

/// The class of blocks with so many bytes; 0, of which none are kept: too many bytes for a class.
constexpr std::uint32_t pool_class(std::size_t bytes) noexcept {
  const std::size_t cls = (bytes + pool_step - 1) / pool_step;
  return static_cast<std::uint32_t>(cls <= pool_classes ? cls : 0);
}

extern constinit thread_local pool_lists pool_here;

void* pool_refill(std::size_t bytes);
void pool_release(void* block, std::uint32_t cls) noexcept;

#if defined(ASYNCIO_NO_FRAME_POOL)
inline void* pool_allocate(std::size_t bytes) { return ::operator new(bytes); }
inline void pool_free(void* block, std::size_t bytes) noexcept { ::operator delete(block, bytes); }
inline void pool_free_of_class(void* block, std::uint32_t) noexcept { ::operator delete(block); }
#else
/// At least `bytes` bytes, 16-byte aligned. Errors: std::bad_alloc.
inline void* pool_allocate(std::size_t bytes) {
  const std::uint32_t cls = pool_class(bytes);
  pool_block* block = pool_here.head[cls];
  if (block == nullptr) return pool_refill(bytes);
  pool_here.head[cls] = block->next;
  ++pool_here.room[cls];
  return block;
}

/// Takes back what pool_allocate() gave for that class.
inline void pool_free_of_class(void* memory, std::uint32_t cls) noexcept {
  if (pool_here.room[cls] == 0) [[unlikely]]
    return pool_release(memory, cls);
  auto* block = static_cast<pool_block*>(memory);
  block->next = pool_here.head[cls];
  pool_here.head[cls] = block;
  --pool_here.room[cls];
}
/// Takes back what pool_allocate(bytes) gave.
inline void pool_free(void* memory, std::size_t bytes) noexcept { pool_free_of_class(memory, pool_class(bytes)); }
#endif

/// A new T in a block of pool_allocate(sizeof(T)).
template <class T, class... A>
T* pool_new(A&&... args) {
  void* const block = pool_allocate(sizeof(T));
  try {
    return ::new (block) T(static_cast<A&&>(args)...);
  } catch (...) {
    pool_free(block, sizeof(T));
    throw;
  }
}

/// The same pointer, where it came from unknown to the optimiser: it stands inside a block, and compilers that follow it
/// to operator delete would say that it was never allocated.
inline void* hide_origin(void* pointer) noexcept {
#if defined(__GNUC__)
  __asm__("" : "+r"(pointer));
#endif
  return pointer;
}

}  // namespace asyncio::detail
