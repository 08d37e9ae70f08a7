// SPDX-License-Identifier: BSL-1.0
// Replaces operator new, for one source of a test program: allocations of a thread can be made to fail.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <new>

namespace test {

inline thread_local bool memory_is_used_up = false;

/// While it lives, every allocation of this thread fails.
struct no_memory {
  no_memory() { memory_is_used_up = true; }
  no_memory(const no_memory&) = delete;
  no_memory& operator=(const no_memory&) = delete;
  ~no_memory() { memory_is_used_up = false; }
};

}  // namespace test

void* operator new(std::size_t size) {
  void* memory = test::memory_is_used_up ? nullptr : std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
// Not inlined: GCC would see free() of what operator new gave.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
