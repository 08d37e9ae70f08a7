// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/pool.hpp>

namespace asyncio::detail {

constinit thread_local pool_lists pool_here{};

namespace {

/// Gives a thread's lists back when it ends. Blocks freed later in that thread (by other thread-local destructors) go
/// straight to the heap, since there is no room any more.
struct pool_cleaner {
  pool_cleaner() noexcept {
    for (std::uint32_t cls = 1; cls <= pool_classes; ++cls) pool_here.room[cls] = pool_keep;
  }
  pool_cleaner(const pool_cleaner&) = delete;
  pool_cleaner& operator=(const pool_cleaner&) = delete;
  ~pool_cleaner() {
    for (std::uint32_t cls = 1; cls <= pool_classes; ++cls) {
      while (pool_block* block = pool_here.head[cls]) {
        pool_here.head[cls] = block->next;
        ::operator delete(block);
      }
      pool_here.room[cls] = 0;
    }
  }
};

enum class clean_up : std::uint8_t { to_be_registered, registered, done };
thread_local clean_up at_thread_end = clean_up::to_be_registered;

void register_clean_up() noexcept {
  struct marking_cleaner : pool_cleaner {
    ~marking_cleaner() { at_thread_end = clean_up::done; }
  };
  thread_local marking_cleaner cleaner;
  at_thread_end = clean_up::registered;
}

}  // namespace

void* pool_refill(std::size_t bytes) {
  if (at_thread_end == clean_up::to_be_registered) register_clean_up();
  const std::uint32_t cls = pool_class(bytes);
  return ::operator new(cls == 0 ? bytes : cls * pool_step);
}

void pool_release(void* block, std::uint32_t cls) noexcept {
  if (at_thread_end == clean_up::to_be_registered) register_clean_up();
  if (pool_here.room[cls] == 0) return ::operator delete(block);
  pool_free_of_class(block, cls);
}

}  // namespace asyncio::detail
