// SPDX-License-Identifier: BSL-1.0
#include "kernel/signals.hpp"

#include <sched.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>

namespace asyncio::kernel {

namespace {

struct watched {
  std::atomic<std::uint64_t> arrival{0};  // of the first that is counted; written while nothing is
  std::atomic<unsigned> count{0};
  std::atomic<int> wake_fd{-1};
  std::atomic<unsigned> inside{0};  // threads in the handler
  std::atomic<bool> escape{false};
  struct sigaction before{};
};

watched table[most_signals];
std::atomic<unsigned> untaken{0};
std::atomic<std::uint64_t> arrivals{0};
std::mutex table_mutex;

static_assert(std::atomic<unsigned>::is_always_lock_free && std::atomic<int>::is_always_lock_free &&
              std::atomic<bool>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

// In whatever thread. It says that it is inside, then looks at the descriptor; unwatch_signal() takes the descriptor away,
// then waits until nobody is inside: one of them sees the other, so that no handler writes to a descriptor that is closed,
// and somebody else's by then.
//
// What it calls is looked up in its machine code by tests/kernel/handler_calls_test.py: nothing but sigaction, raise and
// write, which POSIX allows in a handler, and the address of errno.
void on_signal(int number) {
  const int kept_errno = errno;
  watched& w = table[number];
  w.inside.fetch_add(1, std::memory_order_seq_cst);
  if (w.count.load(std::memory_order_acquire) == 0)
    w.arrival.store(arrivals.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  const unsigned before = w.count.fetch_add(1, std::memory_order_acq_rel);
  untaken.fetch_add(1, std::memory_order_acq_rel);
  if (before >= 1 && w.escape.load(std::memory_order_acquire)) {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    ::sigaction(number, &standard, nullptr);
    ::raise(number);
  }
  const int fd = w.wake_fd.load(std::memory_order_seq_cst);
  if (fd >= 0) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
  }
  w.inside.fetch_sub(1, std::memory_order_release);
  errno = kept_errno;
}

}  // namespace

bool is_catchable_signal(int number) noexcept {
  return number > 0 && number < most_signals && number != SIGKILL && number != SIGSTOP && number != 32 && number != 33;
}

bool is_main_thread() noexcept { return ::getpid() == ::gettid(); }

bool has_default_action(int number) noexcept {
  struct sigaction now{};
  return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL;
}

void watch_signal(int number, int wake_fd) {
  std::scoped_lock hold(table_mutex);
  watched& w = table[number];
  if (w.wake_fd.load(std::memory_order_relaxed) >= 0)
    throw std::runtime_error("signal " + std::to_string(number) + " is handled by another loop");
  take_signals(number);  // of a handler that began in another thread just before it was taken away
  w.wake_fd.store(wake_fd, std::memory_order_release);
  struct sigaction mine{};
  mine.sa_handler = &on_signal;
  mine.sa_flags = SA_RESTART;
  sigfillset(&mine.sa_mask);
  if (::sigaction(number, &mine, &w.before) != 0) {
    const int error = errno;
    w.wake_fd.store(-1, std::memory_order_release);
    throw std::system_error(error, std::system_category(), "cannot handle signal " + std::to_string(number));
  }
}

unsigned unwatch_signal(int number) noexcept {
  std::scoped_lock hold(table_mutex);
  watched& w = table[number];
  ::sigaction(number, &w.before, nullptr);
  w.wake_fd.store(-1, std::memory_order_seq_cst);
  while (w.inside.load(std::memory_order_seq_cst) != 0) ::sched_yield();
  return take_signals(number).count;
}

// Without the lock: the thread that had it may be one that the child does not have.
void forget_signals() noexcept {
  for (int number = 1; number < most_signals; ++number) {
    watched& w = table[number];
    if (w.wake_fd.exchange(-1, std::memory_order_acq_rel) < 0) continue;
    ::sigaction(number, &w.before, nullptr);
    w.escape.store(false, std::memory_order_release);
    w.inside.store(0, std::memory_order_release);  // of threads that the child does not have
    take_signals(number);
  }
}

// The arrival stays as it is from the first count on until somebody takes them.
taken_signals take_signals(int number) noexcept {
  watched& w = table[number];
  if (w.count.load(std::memory_order_acquire) == 0) return {};
  const std::uint64_t arrival = w.arrival.load(std::memory_order_relaxed);
  const unsigned count = w.count.exchange(0, std::memory_order_acq_rel);
  untaken.fetch_sub(count, std::memory_order_acq_rel);
  return {count, arrival};
}

bool any_signal() noexcept { return untaken.load(std::memory_order_acquire) != 0; }

void set_escape(int number, bool on) noexcept { table[number].escape.store(on, std::memory_order_release); }

void raise_with_default_action(int number) noexcept {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(number, &standard, nullptr);
  sigset_t it;
  sigemptyset(&it);
  sigaddset(&it, number);
  ::pthread_sigmask(SIG_UNBLOCK, &it, nullptr);
  ::raise(number);
}

}  // namespace asyncio::kernel
