// SPDX-License-Identifier: BSL-1.0
#include "kernel/process.hpp"

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace asyncio::kernel {

std::size_t count_descriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) throw std::system_error(errno, std::system_category(), "/proc/self/fd");
  std::size_t entries = 0;
  while (::readdir(folder) != nullptr) ++entries;
  ::closedir(folder);
  return entries - 3;  // ".", ".." and the folder itself
}

void around_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  const int error = ::pthread_atfork(before, in_parent, in_child);
  if (error != 0) throw std::system_error(error, std::system_category(), "pthread_atfork");
}

namespace {
std::atomic<unsigned> forks{0};
}  // namespace

unsigned fork_count() noexcept { return forks.load(std::memory_order_relaxed); }
void count_fork() noexcept { forks.fetch_add(1, std::memory_order_relaxed); }

void exit_now(int status) noexcept {
  std::fflush(nullptr);
  ::_exit(status);
}

}  // namespace asyncio::kernel
