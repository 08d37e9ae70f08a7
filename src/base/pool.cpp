// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/pool.hpp>

namespace asyncio::detail {

constinit thread_local pool_lists pool_here{};

namespace {

/// Gives a thread's lists back when it ends. Blocks freed later in that thread (by other thread-local destructors) go
/// straight to the heap, since `most` is 0 again.
struct pool_cleaner {
  pool_cleaner() noexcept { pool_here.most = pool_keep; }
  pool_cleaner(const pool_cleaner&) = delete;
  pool_cleaner& operator=(const pool_cleaner&) = delete;
  ~pool_cleaner() {
    pool_here.most = 0;
    for (std::size_t cls = 0; cls <= pool_classes; ++cls) {
      while (pool_block* block = pool_here.head[cls]) {
        pool_here.head[cls] = block->next;
        ::operator delete(block);
      }
      pool_here.kept[cls] = 0;
    }
  }
};

thread_local bool cleaned_up = false;

void arm() noexcept {
  struct marked_cleaner : pool_cleaner {
    ~marked_cleaner() { cleaned_up = true; }
  };
  if (!cleaned_up) thread_local marked_cleaner cleaner;
}

}  // namespace

void* pool_refill(std::size_t bytes) {
  const std::size_t size_class = (bytes + pool_step - 1) / pool_step;
  if (pool_here.most == 0) arm();
  return ::operator new(size_class > pool_classes ? bytes : size_class * pool_step);
}

void pool_release(void* block, std::size_t size_class) noexcept {
  if (pool_here.most == 0) arm();
  if (size_class > pool_classes) return ::operator delete(block);
  if (pool_here.kept[size_class] >= pool_here.most) return ::operator delete(block);
  auto* node = static_cast<pool_block*>(block);
  node->next = pool_here.head[size_class];
  pool_here.head[size_class] = node;
  ++pool_here.kept[size_class];
}

}  // namespace asyncio::detail
