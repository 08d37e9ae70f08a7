// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/socket.hpp"
#include "kernel/spawn.hpp"

#include <asyncio/subprocess.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace asyncio::processes {

/// What a call that starts a child was given, with all that it looked at.
struct child_request {
  kernel::spawn_request spawn;
  stdio in, out, err;
  std::size_t limit = 0;
  std::vector<int> pass_fds;

  child_request(std::vector<std::string> argv, const subprocess_options& options);
  /// Errors: std::invalid_argument for what does not fit; std::system_error for a descriptor that is not open: it would
  /// become one of ours, as soon as a pipe takes its number.
  void check() const;

 private:
  void copy_environment(const env_view& env);
};

/// The program that a shell runs.
std::vector<std::string> shell_command(std::string_view text);

/// The standard descriptors of a child, as they are made: its ends, which live as long as this does, and ours of the
/// pipes.   Errors: std::system_error.
class wiring {
 public:
  /// Connects what `r` asks for, into r.spawn.descriptors.
  explicit wiring(child_request& r);

  /// Our ends, by the numbers that the child knows them by; closed where there is no pipe.
  std::array<io::unique_fd, 3> ours;

 private:
  io::unique_fd connect(int number, stdio s);
  io::unique_fd connect_pipe(int number);
  io::unique_fd connect_errors(stdio err);
  void pass(const std::vector<int>& fds);
  void give(int number, io::unique_fd fd);

  std::vector<kernel::mapped_descriptor>& map_;
  const std::array<bool, 3> has_own_;  // before any of our pipes could take such a number
  std::vector<io::unique_fd> theirs_;
};

}  // namespace asyncio::processes
