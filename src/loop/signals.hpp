// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/op.hpp>

#include <map>

namespace asyncio::loop {

class loop;

/// The signals a loop listens to. The handler of the process (kernel/signals.hpp) only counts and wakes the loop; the
/// loop then runs the op of each signal that came, once for however many came since.
class signal_table {
 public:
  explicit signal_table(loop& l) noexcept : loop_(l) {}
  signal_table(const signal_table&) = delete;
  signal_table& operator=(const signal_table&) = delete;
  ~signal_table() { remove_all(); }

  /// Called in the loop's turn with how many signals came since.
  using action = void (*)(int number, unsigned count, void* context);

  /// Listens; replaces an earlier action of this loop. `release(context)` is called when the action goes.
  /// Errors: std::invalid_argument, std::runtime_error, std::system_error.
  void add(int number, action act, void* context, void (*release)(void*) noexcept);
  bool remove(int number) noexcept;
  void remove_all() noexcept;
  bool has(int number) const noexcept { return entries_.find(number) != entries_.end(); }
  /// Is there one with another action than this?
  bool has_other_than(action act) const noexcept;

 private:
  struct entry;
  static void run(detail::op* self) noexcept;
  static void look(void* self) noexcept;
  void end(entry* e) noexcept;

  loop& loop_;
  std::map<int, entry*> entries_;
};

}  // namespace asyncio::loop
