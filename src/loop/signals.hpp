// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/op.hpp>

#include <cstdint>
#include <map>

namespace asyncio::loop {

class loop;

/// Who listens to a signal. A standby, run()'s own answer to Ctrl-C, steps back for as long as there is another one.
/// A signal that was seen, and whose listener goes before its turn, is heard by who listens in its place; by nobody, when
/// nobody does.
enum class listener : std::uint8_t { standby, handler, receiver };

/// The signals a loop listens to. The handler of the process (kernel/signals.hpp) only counts and wakes the loop; the
/// loop then runs the op of each signal that came, once for however many came since, in the order in which they came.
class signal_table {
 public:
  explicit signal_table(loop& l) noexcept : loop_(l) {}
  signal_table(const signal_table&) = delete;
  signal_table& operator=(const signal_table&) = delete;
  ~signal_table() { remove_all(); }

  /// Called in the loop's turn with how many signals came since.
  using action = void (*)(int number, unsigned count, void* context);

  /// Listens; a handler replaces an earlier one. `release(context)` is called when the action goes, or now if it is
  /// refused. While a standby hears a signal, the second one that finds the first unseen ends the process.
  /// Errors: std::invalid_argument; std::runtime_error outside the main thread, or when somebody else has the signal;
  /// std::system_error.
  void add(listener who, int number, action act, void* context, void (*release)(void*) noexcept);
  /// False: it did not listen. `unheard`, when it was the last to listen: how many signals have come that it has not heard
  /// of.
  bool remove(listener who, int number, unsigned* unheard = nullptr) noexcept;
  void remove_all() noexcept;
  bool has(int number) const noexcept { return entries_.find(number) != entries_.end(); }
  /// Does anybody but standbys listen to anything?
  bool has_more_than_standbys() const noexcept;

 private:
  struct entry;
  static void run(detail::op* self) noexcept;
  static void look(void* self) noexcept;
  void check(listener who, int number) const;
  void begin(entry* e);
  static void end(entry* e) noexcept;
  void pass_on(entry& from, entry& to) noexcept;
  void settle_escape(int number) noexcept;

  loop& loop_;
  std::map<int, entry*> entries_;  // who hears the signal; a standby may stand below
};

}  // namespace asyncio::loop
