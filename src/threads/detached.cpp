// SPDX-License-Identifier: BSL-1.0
#include "threads/detached.hpp"

#include "threads/signals_blocked.hpp"

#include <thread>

#include <pthread.h>

namespace asyncio::threads {

void run_detached(const char* name, void (*work)(void*) noexcept, void* context) {
  const signals_blocked deaf;
  std::thread thread([=] {
    pthread_setname_np(pthread_self(), name);
    work(context);
  });
  thread.detach();
}

}  // namespace asyncio::threads
