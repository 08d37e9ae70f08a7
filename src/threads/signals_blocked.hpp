// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "kernel/sys.hpp"

namespace asyncio::threads {

/// Blocks every signal while a thread is started, so that it is born deaf to them: they belong to the loops' threads.
class signals_blocked {
 public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    kernel::sys::set_signal_mask(SIG_SETMASK, &all, &before_);
  }
  ~signals_blocked() { kernel::sys::set_signal_mask(SIG_SETMASK, &before_, static_cast<sigset_t*>(nullptr)); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace asyncio::threads
