// SPDX-License-Identifier: BSL-1.0
#include "io/spare_text.hpp"

#include <utility>

namespace asyncio::io {

namespace {

// Connections may be closed after a thread's variables have ended: by the destructor of a static object.
constinit thread_local bool over = false;

struct spare {
  spare() = default;
  spare(const spare&) = delete;
  spare& operator=(const spare&) = delete;
  ~spare() { over = true; }
  std::string text;
};
thread_local spare kept;

#if defined(ASYNCIO_NO_FRAME_POOL)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

}  // namespace

void spare_text::keep(std::string& text) noexcept {
  if (!keeps || over) return;
  if (text.capacity() <= most && text.capacity() > kept.text.capacity()) kept.text.swap(text);
}

// Whoever gets it may keep it for long: so it is not much larger than it must be.
std::string spare_text::reuse(std::string_view bytes) {
  if (over) return std::string(bytes);
  const std::size_t room = kept.text.capacity();
  if (room < bytes.size() || room / 2 > bytes.size()) return std::string(bytes);
  std::string reused = std::exchange(kept.text, std::string());
  reused.assign(bytes);
  return reused;
}

void spare_text::drop() noexcept {
  if (!over) std::string().swap(kept.text);  // an assignment would keep the memory
}

}  // namespace asyncio::io
