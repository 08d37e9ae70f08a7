// SPDX-License-Identifier: BSL-1.0
#include "kernel/threads.hpp"

#include <array>
#include <cstddef>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::kernel {

namespace {

/// As the system shows it; empty when it cannot be read.
std::string system_name(int number) {
  const std::string path = "/proc/self/task/" + std::to_string(number) + "/comm";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 64> text;
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  std::string name(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

}  // namespace

int thread_number() noexcept { return ::gettid(); }

// A thread that nobody named has the name of the one that made it: that of the program, which says nothing.
std::string name_of_thread(int number) {
  std::string text = "thread " + std::to_string(number);
  const int first = ::getpid();
  if (number == first) return text + " ('main')";
  const std::string name = system_name(number);
  if (!name.empty() && name != system_name(first)) text += " ('" + name + "')";
  return text;
}

}  // namespace asyncio::kernel
