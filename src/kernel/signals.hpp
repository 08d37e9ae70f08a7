// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstdint>

namespace asyncio::kernel {

/// The process's side of signal handling: one handler for all, which counts the signal and writes to the wake-up
/// descriptor of the loop that watches it. It calls nothing that is not async-signal-safe and keeps errno.

/// Signals have numbers below this.
inline constexpr int most_signals = 65;

bool is_catchable_signal(int number) noexcept;
bool is_main_thread() noexcept;
/// Is the signal's action the default one?
bool has_default_action(int number) noexcept;

/// Installs the handler. Errors: std::system_error; std::runtime_error when another loop watches this signal.
void watch_signal(int number, int wake_fd);
/// Back to the action of before watch_signal(). How many had come that nobody has taken.
unsigned unwatch_signal(int number) noexcept;
/// In a forked child: every signal has the action again that it had before it was watched.
void forget_signals() noexcept;

struct taken_signals {
  unsigned count = 0;
  std::uint64_t arrival = 0;  ///< of the first of them; grows from signal to signal, whatever their numbers
};
/// Those that came since the last call.   Thread: one for each signal.
taken_signals take_signals(int number) noexcept;
/// Has any watched signal come that nobody has taken?
bool any_signal() noexcept;
/// The second signal of this number that finds the first one untaken ends the process by the default action: a program
/// whose loop is stuck can still be stopped. On for as long as `on`.
void set_escape(int number, bool on) noexcept;
/// Sends the signal to this thread with its default action, blocked or not. It returns if that does not end the process.
void raise_with_default_action(int number) noexcept;

}  // namespace asyncio::kernel
