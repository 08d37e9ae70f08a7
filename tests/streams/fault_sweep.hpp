// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "streams/stream_test.hpp"
#include "support/sys_faults.hpp"

#include <initializer_list>

namespace stream_test {

/// A conversation with the n-th call of one kind failing, for every n and each of these errors, until n is beyond the
/// last call. Whatever comes of it: it ends, and nothing stays open. `converse` gives a coroutine<bool>.
template <auto Member, class Conversation>
void fault_sweep(const char* name, Conversation converse, std::initializer_list<int> errors, run_options options = {}) {
  for (const int error : errors) {
    int n = 1;
    for (bool failed = true; failed && n < 200; ++n) {
      SCOPED_TRACE(std::string(name) + " number " + std::to_string(n) + ": " + std::to_string(error));
      run_clean(
          [&]() -> coroutine<> {
            test::sys_faults faults;
            faults.fail<Member>(error, n);
            task<bool> talk = create_task(converse());
            auto bounded = [&talk]() -> coroutine<> { outcome<bool> end = co_await as_outcome(talk); };
            try {
              co_await wait_for(bounded(), 3s);
            } catch (const timeout_error&) {
              ADD_FAILURE() << "it hangs";
            }
            failed = faults.count<Member>() >= n;
            reports().clear();
          },
          options);
    }
    EXPECT_GT(n, 1) << name;
  }
}

}  // namespace stream_test
