// SPDX-License-Identifier: BSL-1.0
// For tests built with ASYNCIO_TEST_SEAMS: makes system calls fail, or come back short, for the life of an object.
#pragma once
#include "kernel/sys.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <deque>

namespace test {

namespace sys = asyncio::kernel::sys;

/// What happens to one kind of call: `sys_faults` counts them, and lets some of them fail.
template <auto Member>
struct faulty;

template <class Result, class... A, Result (*sys::table::*Member)(A...) noexcept>
struct faulty<Member> {
  static inline std::atomic<int> calls{0};
  static inline std::atomic<int> first_failure{INT_MAX};  // 1: the first call
  static inline std::atomic<int> failures{0};
  static inline std::atomic<int> error{0};

  static Result call(A... arguments) noexcept {
    static const sys::table real;
    const int n = ++calls;
    if (n >= first_failure && n - first_failure < failures) return static_cast<Result>(-error.load());
    return (real.*Member)(arguments...);
  }
};

class sys_faults {
 public:
  sys_faults() = default;
  sys_faults(const sys_faults&) = delete;
  sys_faults& operator=(const sys_faults&) = delete;
  ~sys_faults() { sys::install(nullptr); }

  /// From now on, the calls number `first` to `first + times - 1` of this kind fail with `error`.
  /// faults.fail<&sys::table::accept4>(EMFILE);
  template <auto Member>
  void fail(int error, int first = 1, int times = 1) {
    watch<Member>();
    faulty<Member>::error = error;
    faulty<Member>::failures = times;
    faulty<Member>::first_failure = first;
  }
  template <auto Member>
  void stop_failing() {
    faulty<Member>::first_failure = INT_MAX;
  }

  /// Counts the calls of this kind from now on; none of them fails.
  template <auto Member>
  void watch() {
    faulty<Member>::first_failure = INT_MAX;
    faulty<Member>::calls = 0;
    set<Member>(&faulty<Member>::call);
  }
  template <auto Member>
  int count() const {
    return faulty<Member>::calls;
  }

  /// Replaces a call by a function of the test's own.
  template <auto Member, class Function>
  void set(Function function) {
    table_.*Member = function;
    sys::install(&table_);
  }

  /// Reads and writes move at most so many bytes a call.
  void shorten(std::size_t most) {
    longest = most;
    set<&sys::table::read_size>(+[](std::size_t wanted) noexcept { return std::min(wanted, longest.load()); });
    set<&sys::table::send>(+[](int fd, const void* from, std::size_t size, int flags) noexcept {
      return sys::direct::send(fd, from, std::min(size, longest.load()), flags);
    });
    set<&sys::table::sendmsg>(+[](int fd, const msghdr* message, int flags) noexcept {
      const iovec& piece = message->msg_iov[0];
      return sys::direct::send(fd, piece.iov_base, std::min(piece.iov_len, longest.load()), flags);
    });
  }

 private:
  static inline std::atomic<std::size_t> longest{SIZE_MAX};
  // Another thread may still be in a call of an old table: none of them is freed.
  static inline std::deque<sys::table>& tables = *new std::deque<sys::table>;
  sys::table& table_ = tables.emplace_back();
};

}  // namespace test
