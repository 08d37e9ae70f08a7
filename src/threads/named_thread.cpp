// SPDX-License-Identifier: BSL-1.0
#include "threads/named_thread.hpp"

#include "kernel/sys.hpp"

#include <algorithm>
#include <utility>

#include <pthread.h>

namespace asyncio::threads {

namespace {

constexpr std::size_t longest_name = 15;

/// Blocks every signal while a thread is started, so that it never hears one.
class signals_blocked {
 public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    kernel::sys::set_signal_mask(SIG_SETMASK, &all, &before_);
  }
  ~signals_blocked() { kernel::sys::set_signal_mask(SIG_SETMASK, &before_, static_cast<sigset_t*>(nullptr)); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

std::string numbered_name(std::string_view name, std::size_t number) {
  const std::string suffix = "_" + std::to_string(number);
  return std::string(name.substr(0, longest_name - std::min(suffix.size(), longest_name))) + suffix;
}

std::thread start_thread(const std::string& name, std::function<void()> body) {
  const std::string shown = name.substr(0, longest_name);
  const signals_blocked deaf;
  std::thread started(std::move(body));
  pthread_setname_np(started.native_handle(), shown.c_str());
  return started;
}

}  // namespace asyncio::threads
