// SPDX-License-Identifier: BSL-1.0
// Another example program, running as a server of ours.
#pragma once

#include <asyncio/coroutine.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace example {

/// The folder that this program's own file lies in.
std::filesystem::path program_folder();

/// A child process that says `LISTENING <port>` in its first line. It is killed when this object dies.
class server_process {
 public:
  /// Errors: std::filesystem::filesystem_error when the program cannot be started, otherwise std::system_error.
  explicit server_process(const std::vector<std::string>& command);
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process();

  /// Waits for its first line. Errors: std::runtime_error when that is another, or none within 10 s.
  asyncio::coroutine<int> port();

 private:
  pid_t pid_ = -1;
  int output_ = -1;  // of the child; ours to read, does not block
};

}  // namespace example
