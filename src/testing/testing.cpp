// SPDX-License-Identifier: BSL-1.0
// testing — help for tests: virtual time, cancellation at every point, a ledger of what is left over.
// May include: everything but curl.     Included by: nobody.
// Thread: the loop's.
// Owns: its clocks.
// Laws: nothing here is needed to run a program.
#include <asyncio/testing/testing.hpp>

#include "testing/clocks.hpp"

namespace asyncio::testing {

manual_clock::manual_clock() : source_(new still_clock) {}
manual_clock::~manual_clock() { delete source_; }
time_point manual_clock::now() const noexcept { return source_->now(); }
void manual_clock::advance(timedelta by) noexcept { static_cast<still_clock*>(source_)->advance(by); }

virtual_clock::virtual_clock() : source_(new jumping_clock) {}
virtual_clock::~virtual_clock() { delete source_; }
time_point virtual_clock::now() const noexcept { return source_->now(); }

}  // namespace asyncio::testing
