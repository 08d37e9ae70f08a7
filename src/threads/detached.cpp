// SPDX-License-Identifier: BSL-1.0
#include "threads/detached.hpp"

#include "threads/named_thread.hpp"

namespace asyncio::threads {

void run_detached(const char* name, void (*work)(void*) noexcept, void* context) {
  start_thread(name, [=] { work(context); }).detach();
}

}  // namespace asyncio::threads
