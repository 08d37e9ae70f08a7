// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/time.hpp>

#include <stdexcept>

namespace asyncio::testing {

/// Every task waits, and nothing can wake any of them: nothing is ready, no timer is armed, nothing is in flight in the
/// kernel or in the library's threads, and no signal handler is installed. what() has each task that is not done, with
/// its coroutines and who waits for it.
class deadlock_error : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {

/// A clock like virtual_clock, which ends the run of a loop by a deadlock_error when nothing can wake it any more.
/// Another thread of the process might still do it: for that it waits for `grace`, in real time. While such a loop is
/// closed, tasks that swallow their cancellation and wait again are cancelled anew.
class deadlock_watch {
 public:
  explicit deadlock_watch(timedelta grace);
  deadlock_watch(const deadlock_watch&) = delete;
  deadlock_watch& operator=(const deadlock_watch&) = delete;
  ~deadlock_watch();
  operator clock_source*() const noexcept { return source_; }

 private:
  clock_source* source_;
};

}  // namespace detail
}  // namespace asyncio::testing
