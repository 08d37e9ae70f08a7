// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <chrono>
#include <cstddef>
#include <thread>

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

namespace test {

/// How many descriptors this process has open, but for the one that looks.
inline std::size_t open_descriptors() {
  std::size_t n = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(folder)) n += entry->d_name[0] != '.';
  closedir(folder);
  return n - 1;
}

/// The same, as soon as there are `expected`, or after a while: a thread that is about to end may have one for a moment
/// (UBSan asks by a pipe whether memory can be read).
inline std::size_t settled_descriptors(std::size_t expected) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  std::size_t open = open_descriptors();
  while (open != expected && std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
    open = open_descriptors();
  }
  return open;
}

/// A connected pair of stream sockets of the kernel's AF_UNIX, non-blocking; closed with the object.
struct socket_pair {
  explicit socket_pair(int type = SOCK_STREAM) {
    int fds[2] = {-1, -1};
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0) {
      a = fds[0];
      b = fds[1];
    }
  }
  socket_pair(const socket_pair&) = delete;
  socket_pair& operator=(const socket_pair&) = delete;
  ~socket_pair() {
    close_a();
    close_b();
  }
  void close_a() {
    if (a >= 0) close(a);
    a = -1;
  }
  void close_b() {
    if (b >= 0) close(b);
    b = -1;
  }
  int a = -1;
  int b = -1;
};

}  // namespace test
