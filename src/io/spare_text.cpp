// SPDX-License-Identifier: BSL-1.0
#include "io/spare_text.hpp"

#include <utility>

namespace asyncio::io {

namespace {

thread_local std::string kept;

#if defined(ASYNCIO_NO_FRAME_POOL)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

}  // namespace

void spare_text::keep(std::string& text) noexcept {
  if (keeps && text.capacity() <= most && text.capacity() > kept.capacity()) kept.swap(text);
}

// Whoever gets it may keep it for long: so it is not much larger than it must be.
std::string spare_text::reuse(std::string_view bytes) {
  if (kept.capacity() < bytes.size() || kept.capacity() / 2 > bytes.size()) return std::string(bytes);
  std::string reused = std::exchange(kept, std::string());
  reused.assign(bytes);
  return reused;
}

void spare_text::drop() noexcept {
  std::string().swap(kept);  // an assignment would keep the memory
}

}  // namespace asyncio::io
