// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "loop/loop.hpp"

#include <asyncio/event_loop.hpp>

#include <unordered_map>

namespace asyncio::coro {

/// The add_reader()/add_writer() calls of a loop. A watch is an op that is started again after each readiness, so it is
/// level-triggered; one that is replaced or removed lives on until the kernel has let go of its op, and is deaf then.
class watch_table {
 public:
  explicit watch_table(loop::loop& l) noexcept : loop_(l) {}
  watch_table(const watch_table&) = delete;
  watch_table& operator=(const watch_table&) = delete;
  ~watch_table();

  /// Takes over `call`. Errors: std::system_error.
  void add(int fd, bool for_write, detail::repeated_call* call);
  bool remove(int fd, bool for_write) noexcept;
  void remove_all() noexcept;

 private:
  struct watch;
  static void fire(detail::op* self) noexcept;
  static bool silence(watch* w) noexcept;

  using map = std::unordered_map<int, watch*>;
  map& side(bool for_write) noexcept { return for_write ? writers_ : readers_; }

  loop::loop& loop_;
  map readers_, writers_;
};

}  // namespace asyncio::coro
