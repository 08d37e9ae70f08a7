// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "testing/clocks.hpp"

#include <asyncio/event_loop.hpp>

#include <chrono>

namespace asyncio::loop {
class loop;
}

namespace asyncio::testing {

/// A clock like virtual_clock, which ends the run of a loop by a deadlock_error when nothing can wake it any more.
/// Another thread of the process might still do it: for that it waits for `grace`, in real time. While such a loop is
/// closed, tasks that swallow their cancellation and wait again are cancelled anew.
class watching_clock : public jumping_clock {
 public:
  explicit watching_clock(timedelta grace = std::chrono::seconds(1)) noexcept : grace_(grace) {}
  bool nothing_pending() noexcept override;

 private:
  bool something_comes(loop::loop& l) const noexcept;
  void cancel_again(event_loop& loop) noexcept;

  timedelta grace_;
  bool found_ = false;
  int cancellations_ = 0;
};

}  // namespace asyncio::testing
