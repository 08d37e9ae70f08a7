// SPDX-License-Identifier: BSL-1.0
#include "kernel/process.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

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

// It counts from its first call on.
unsigned fork_count() noexcept {
  [[maybe_unused]] static const int registered =
      ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  return forks.load(std::memory_order_relaxed);
}

void exit_now(int status) noexcept {
  std::fflush(nullptr);
  ::_exit(status);
}

void abandon(int status) noexcept { ::_exit(status); }

namespace {

constexpr std::string_view worker_variable = "ASYNCIO_PROCESS_WORKER=";
std::atomic<bool> serving{false};

}  // namespace

std::vector<std::string> environment_for_worker() {
  std::vector<std::string> variables;
  for (char** v = ::environ; v != nullptr && *v != nullptr; ++v)
    if (!std::string_view(*v).starts_with(worker_variable)) variables.emplace_back(*v);
  variables.push_back(std::string(worker_variable) + std::to_string(::getpid()));
  return variables;
}

bool is_started_as_worker() noexcept {
  const char* parent = ::getenv("ASYNCIO_PROCESS_WORKER");
  return parent != nullptr && std::atoi(parent) == ::getppid();
}

// The system calls the process after the file that it was started from, which is a link named "exe".
void set_serving() noexcept {
  serving = true;
  char name[16] = {};
  std::strncpy(name, program_invocation_short_name, sizeof name - 1);
  ::pthread_setname_np(::pthread_self(), name);
}

namespace {

/// The second of two arguments, as the kernel has kept them: main()'s own are main()'s.
bool has_worker_argument() noexcept {
  const int fd = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 8192> text;
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  const std::string_view all(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t end_of_name = all.find('\0');
  return end_of_name != std::string_view::npos &&
         all.substr(end_of_name + 1) == std::string_view(worker_argument, sizeof worker_argument);
}

}  // namespace

void leave_if_not_serving() noexcept {
  static const bool started_as_worker = ::getenv("ASYNCIO_PROCESS_WORKER") != nullptr && has_worker_argument();
  if (started_as_worker && !serving) abandon(EX_SOFTWARE);
}

// The parent may have ended before the call: then nobody sends the signal any more, and this process has another parent.
bool die_with_parent() noexcept { return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && is_started_as_worker(); }

std::string own_name() { return program_invocation_name; }

std::string describe_signal(int number) {
  std::string text = "signal " + std::to_string(number);
#if __GLIBC_PREREQ(2, 32)
  if (const char* name = ::sigabbrev_np(number); name != nullptr) text += " (SIG" + std::string(name) + ")";
#endif
  return text;
}

}  // namespace asyncio::kernel
