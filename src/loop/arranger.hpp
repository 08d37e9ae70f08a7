// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/op.hpp>

namespace asyncio::loop {

/// Chance, as it comes into a loop: may change the order of what is ready, once in each turn, before it is run. A clock
/// brings it along: one that is handed to the loop's constructor and is an arranger too. The options of a loop are a
/// closed list that users write by name, and only a clock of a test's own can be anything but fair.
class arranger {
 public:
  /// `batch`: everything that is ready. Every op of it must still be there afterwards, those of one task in their order;
  /// ops may be added.   Thread: the loop's.
  virtual void arrange(detail::op_queue& batch) noexcept = 0;

 protected:
  ~arranger() = default;
};

}  // namespace asyncio::loop
