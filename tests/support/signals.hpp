// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <csignal>

#include <pthread.h>
#include <unistd.h>

namespace test {

/// Sends the process a signal from a helper thread, which takes none itself from here on. ThreadSanitizer keeps a signal
/// until the thread that got it makes its next call: one that has nothing left to do would take it along when it ends.
inline void signal_from_helper(int number) {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  ::kill(::getpid(), number);
}

}  // namespace test
