// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "threads/blocking_pool.hpp"

#include <atomic>
#include <cstddef>

namespace asyncio::threads {

/// A pool for the whole process, whatever its loops: made when it is first used, and never destroyed, since what it runs
/// may hang for half a minute, and the end of the program does not wait for it. A forked child makes itself a new one.
/// Constant-initialised, so it can be used before and after everything else.   Thread: any.
class process_wide_pool {
 public:
  constexpr process_wide_pool(const char* name, std::size_t most_threads) noexcept
      : name_(name), most_threads_(most_threads) {}
  process_wide_pool(const process_wide_pool&) = delete;
  process_wide_pool& operator=(const process_wide_pool&) = delete;

  /// Errors: std::bad_alloc.
  blocking_pool& get();

 private:
  struct made;
  const char* const name_;
  const std::size_t most_threads_;
  std::atomic<made*> latest_{nullptr};
};

}  // namespace asyncio::threads
