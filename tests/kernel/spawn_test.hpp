// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "kernel/spawn.hpp"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace kernel_test {

using asyncio::kernel::child_state;
using asyncio::kernel::spawn_request;
using asyncio::kernel::spawned;

/// A request for the program that tests start.
inline spawn_request child(std::initializer_list<std::string> arguments) {
  spawn_request request;
  request.argv.emplace_back(ASYNCIO_TEST_CHILD);
  request.argv.insert(request.argv.end(), arguments);
  return request;
}

/// Waits for it with a pidfd, and reaps it.
inline child_state finish(pid_t pid) {
  const int pidfd = asyncio::kernel::open_pidfd(pid);
  EXPECT_GE(pidfd, 0);
  pollfd p{pidfd, POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 10'000), 1);
  const child_state state = asyncio::kernel::reap(pid, pidfd);
  ::close(pidfd);
  return state;
}

struct ends {
  ends() { EXPECT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0); }
  ends(const ends&) = delete;
  ends& operator=(const ends&) = delete;
  ~ends() {
    for (const int fd : fds)
      if (fd >= 0) ::close(fd);
  }
  void close_out() { ::close(std::exchange(fds[1], -1)); }
  int in() const { return fds[0]; }
  int out() const { return fds[1]; }
  std::array<int, 2> fds{};
};

inline std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> block;
  for (ssize_t n; (n = ::read(fd, block.data(), block.size())) > 0;)
    text.append(block.data(), static_cast<std::size_t>(n));
  return text;
}

/// Runs it to its end; its standard output is added to what it is given.
inline std::string output_of(spawn_request request, int* code = nullptr) {
  ends pipe;
  request.descriptors.push_back({pipe.out(), 1});
  const spawned made = asyncio::kernel::spawn(request);
  EXPECT_EQ(made.error, 0);
  if (made.error != 0) return {};
  pipe.close_out();
  std::string text = read_all(pipe.in());
  const child_state state = finish(made.pid);
  EXPECT_TRUE(state.ended);
  if (code != nullptr) *code = state.code;
  return text;
}

}  // namespace kernel_test
