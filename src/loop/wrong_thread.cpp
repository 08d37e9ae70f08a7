// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/inbox.hpp>

#include "kernel/threads.hpp"

#include <stdexcept>
#include <string>

namespace asyncio::detail {

namespace {

[[noreturn]] void throw_called_from(int owner, const char* call) {
  throw std::runtime_error(std::string(call) + ": called from " + kernel::name_of_thread(kernel::thread_number()) +
                           ", but its loop belongs to " + kernel::name_of_thread(owner) +
                           ": use loop.call_soon_threadsafe()");
}

}  // namespace

void inbox::take_ownership() noexcept {
  if (here.thread == 0) here.thread = kernel::thread_number();
  owner_thread_.store(here.thread, order::relaxed);
  owner_.store(&here, order::release);
}

void inbox::throw_wrong_thread(const char* call) const {
  if (forked())
    throw std::runtime_error(std::string(call) + ": the event loop belongs to the process that forked this one");
  throw_called_from(owner_thread_.load(order::relaxed), call);
}

// Not the loop that runs here: another thread's, or one of this thread that does not run now, or closed.
void loop_bond::check_elsewhere(std::uint64_t loop, const char* call) const {
  const int owner = inbox::thread_of(loop);
  if (owner == 0)
    loop_.store(0, order::relaxed);
  else if (owner != here.thread)
    throw_called_from(owner, call);
}

}  // namespace asyncio::detail
