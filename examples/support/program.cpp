// SPDX-License-Identifier: BSL-1.0
#include "support/program.hpp"

#include "support/printable.hpp"

#include <cstdio>
#include <system_error>
#include <utility>

namespace example {

void add_backend_argument(arguments& args, asyncio::backend_kind& into) {
  args.choice(
      "--backend", {"epoll", "io_uring"}, "how the loop speaks to the kernel (default: what is there)",
      [&into](std::size_t i) { into = i == 0 ? asyncio::backend_kind::epoll : asyncio::backend_kind::io_uring; });
}

explanation explain(std::exception_ptr error) {
  try {
    std::rethrow_exception(std::move(error));
  } catch (const asyncio::timeout_error&) {
    return {exit_timeout, "timed out"};
  } catch (const asyncio::incomplete_read_error& e) {
    return {exit_truncated, e.what()};
  } catch (const std::system_error& e) {
    return {exit_connection, e.what()};
  } catch (const std::exception& e) {
    return {exit_failed, e.what()};
  } catch (const asyncio::cancelled_error&) {
    return {exit_failed, "cancelled"};
  }
}

int run_program(const std::string& program, asyncio::backend_kind backend,
                const std::function<asyncio::coroutine<int>()>& amain) {
  try {
    asyncio::runner runner({.backend = backend});
    if (backend == asyncio::backend_kind::io_uring && runner.get_loop().backend() != backend)
      std::fprintf(stderr, "%s: io_uring is not available here, epoll is used\n", program.c_str());
    int status = runner.run(amain);
    runner.close();
    return status;
  } catch (const asyncio::keyboard_interrupt&) {
    return exit_interrupted;
  } catch (...) {
    explanation why = explain(std::current_exception());
    std::fprintf(stderr, "%s: %s\n", program.c_str(), printable(why.reason).c_str());
    return why.code;
  }
}

}  // namespace example
