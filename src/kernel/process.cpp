// SPDX-License-Identifier: BSL-1.0
#include "kernel/process.hpp"

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>

namespace asyncio::kernel {

namespace {

/// The entries of a folder whose names are numbers.
std::vector<int> numbers_in(const char* path, int& folder_fd) {
  DIR* folder = ::opendir(path);
  if (folder == nullptr) throw std::system_error(errno, std::system_category(), path);
  folder_fd = ::dirfd(folder);
  const std::unique_ptr<DIR, int (*)(DIR*)> closed(folder, &::closedir);
  std::vector<int> numbers;
  while (const dirent* entry = ::readdir(folder))
    if (entry->d_name[0] != '.') numbers.push_back(std::atoi(entry->d_name));
  return numbers;
}

}  // namespace

std::vector<int> open_descriptors() {
  int own = -1;
  std::vector<int> numbers = numbers_in("/proc/self/fd", own);
  std::erase(numbers, own);
  std::ranges::sort(numbers);
  return numbers;
}

std::string describe_descriptor(int fd) {
  char target[256];
  const ssize_t n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
  return n < 0 ? "closed" : std::string(target, static_cast<std::size_t>(n));
}

std::size_t count_threads() {
  int own = -1;
  return numbers_in("/proc/self/task", own).size();
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
