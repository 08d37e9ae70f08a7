// SPDX-License-Identifier: BSL-1.0
#include "support/program.hpp"

#include "support/printable.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace example {

void add_backend_argument(arguments& args, asyncio::backend_kind& into) {
  auto take = [&args, &into](std::string_view word) {
    if (word != "epoll" && word != "io_uring")
      args.refuse("--backend: '" + printable(word) + "' is neither epoll nor io_uring");
    into = word == "epoll" ? asyncio::backend_kind::epoll : asyncio::backend_kind::io_uring;
  };
  args.option("--backend", "epoll|io_uring", "how the loop speaks to the kernel", std::move(take));
}

void add_unix_argument(arguments& args, std::string help, std::string& into) {
  auto take = [&args, &into](std::string_view path) {
    try {
      into = asyncio::socket_address::unix_path(path).path();
    } catch (const std::invalid_argument& e) {
      args.refuse(std::string("--unix: ") + e.what());
    }
  };
  args.option("--unix", "PATH", std::move(help), std::move(take));
}

void check_unix_argument(const arguments& args) {
  if (!args.given("--unix")) return;
  for (const char* other : {"--host", "--port"})
    if (args.given(other)) args.refuse(std::string("--unix and ") + other + " exclude each other");
}

explanation explain(std::exception_ptr error) {
  try {
    std::rethrow_exception(std::move(error));
  } catch (const asyncio::timeout_error&) {
    return {exit_timeout, "timed out"};
  } catch (const asyncio::ssl_cert_verification_error& e) {
    return {exit_certificate_refused, e.what()};
  } catch (const asyncio::ssl_eof_error& e) {
    return {exit_truncated, e.what()};
  } catch (const asyncio::incomplete_read_error& e) {
    return {exit_truncated, e.what()};
  } catch (const std::filesystem::filesystem_error& e) {
    if (e.path1().empty()) return {exit_failed, e.what()};
    return {exit_failed, "cannot use " + e.path1().string() + ": " + e.code().message()};
  } catch (const std::system_error& e) {
    return {exit_connection, e.what()};
  } catch (const std::exception& e) {
    return {exit_failed, e.what()};
  } catch (const asyncio::cancelled_error&) {
    return {exit_failed, "cancelled"};
  }
}

namespace {

/// Is something that was printed lost? A reader that has gone away, as in `program | head`, has what it wanted.
bool output_is_lost() {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  struct stat file{};
  return failed && ::fstat(STDOUT_FILENO, &file) == 0 && !S_ISFIFO(file.st_mode) && !S_ISSOCK(file.st_mode);
}

}  // namespace

int run_program(const std::string& program, asyncio::backend_kind backend,
                const std::function<asyncio::coroutine<int>()>& amain) {
  try {
    asyncio::runner runner({.backend = backend});
    if (backend == asyncio::backend_kind::io_uring && runner.get_loop().backend() != backend)
      std::fprintf(stderr, "%s: io_uring is not to be had here: running on epoll\n", program.c_str());
    int status = runner.run(amain);
    runner.close();
    if (status != exit_ok || !output_is_lost()) return status;
    std::fprintf(stderr, "%s: cannot write to the standard output\n", program.c_str());
    return exit_failed;
  } catch (const asyncio::keyboard_interrupt&) {
    return exit_interrupted;
  } catch (...) {
    explanation why = explain(std::current_exception());
    std::fprintf(stderr, "%s: %s\n", program.c_str(), printable(why.reason).c_str());
    return why.code;
  }
}

}  // namespace example
