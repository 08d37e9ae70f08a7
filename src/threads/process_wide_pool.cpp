// SPDX-License-Identifier: BSL-1.0
#include "threads/process_wide_pool.hpp"

#include "kernel/process.hpp"

#include <memory>

namespace asyncio::threads {

struct process_wide_pool::made {
  made(const process_wide_pool& of, made* b) : pool(of.name_, of.most_threads_), before(b) {}
  blocking_pool pool;
  const unsigned made_at = kernel::fork_count();
  made* const before;  // the parent process's, never used here: its threads are missing, its lock may be held
};

blocking_pool& process_wide_pool::get() {
  made* known = latest_.load(std::memory_order_acquire);
  while (known == nullptr || known->made_at != kernel::fork_count()) {
    auto fresh = std::make_unique<made>(*this, known);
    if (latest_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) known = fresh.release();
  }
  return known->pool;
}

}  // namespace asyncio::threads
