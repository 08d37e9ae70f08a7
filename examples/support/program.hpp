// SPDX-License-Identifier: BSL-1.0
// What every example program does the same way: exit codes, the choice of the backend, errors as one line on stderr.
#pragma once

#include "support/arguments.hpp"

#include <asyncio/asyncio.hpp>

#include <exception>
#include <functional>
#include <string>

namespace example {

/// Exit statuses. A wrong argument is 2 everywhere; 3 to 6 are the clients' ways to fail.
enum exit_code : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_certificate_refused = 3,
  exit_truncated = 4,
  exit_timeout = 5,
  exit_connection = 6,
  exit_interrupted = 130,
};

/// --backend epoll|io_uring
void add_backend_argument(arguments& args, asyncio::backend_kind& into);

/// --unix PATH, a path that a Unix socket can have. After args.parse(): it excludes --host and --port.
void add_unix_argument(arguments& args, std::string help, std::string& into);
void check_unix_argument(const arguments& args);

/// Runs `amain` in a new event loop; what it returns is the exit status. An exception becomes one line on
/// stderr, "PROGRAM: reason", and the status of explain(). SIGINT cancels `amain`, then the status is 130.
int run_program(const std::string& program, asyncio::backend_kind backend,
                const std::function<asyncio::coroutine<int>()>& amain);

/// The exit status and the one line for an error. A std::filesystem::filesystem_error is this machine's matter and names its
/// path; every other std::system_error is the connection's.
struct explanation {
  explanation(exit_code code, std::string reason) : code(code), reason(std::move(reason)) {}
  exit_code code;
  std::string reason;
};
explanation explain(std::exception_ptr error);

}  // namespace example
