// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <stdexcept>

namespace asyncio::testing {

/// Every task waits, and nothing can wake any of them: nothing is ready, no timer is armed, nothing is in flight in the
/// kernel or in the library's threads, and nobody listens to a signal. what() has each task that is not done, with
/// its coroutines and who waits for it.
class deadlock_error : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace asyncio::testing
