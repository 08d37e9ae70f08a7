// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

namespace asyncio::base {

/// Overwrites memory that is about to be freed: the compiler may not leave it out.
inline void wipe(void* memory, std::size_t size) noexcept {
  if (size == 0) return;
  std::memset(memory, 0, size);
  asm volatile("" : : "r"(memory) : "memory");
}

/// The same for all of a string's memory; it holds none afterwards.
inline void wipe(std::string& text) noexcept {
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  std::string().swap(text);  // an assignment would keep it
}

}  // namespace asyncio::base
