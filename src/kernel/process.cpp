// SPDX-License-Identifier: BSL-1.0
#include "kernel/process.hpp"

#include <cerrno>
#include <dirent.h>
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

}  // namespace asyncio::kernel
