// SPDX-License-Identifier: BSL-1.0
// The other end: a process that a pool has started. It reads calls from its socket, in its main thread, and answers each;
// it ends when its stream does, or when the kernel kills it because the pool's process is no more.
#include "kernel/process.hpp"
#include "kernel/sys.hpp"
#include "process/pool_errors.hpp"
#include "process/pool_wire.hpp"
#include "process/worker_process.hpp"

#include <asyncio/process_pool.hpp>

#include <cstdio>
#include <cstring>
#include <exception>

namespace asyncio {

namespace {

using processes::message;
using processes::message_kind;
using processes::talk;

class worker {
 public:
  explicit worker(int fd) noexcept : fd_(fd) {}

  /// The exit status.
  int serve() {
    if (processes::send_message(fd_, message_kind::hello, 0, processes::hello_text()) != talk::done)
      return EXIT_SUCCESS;
    message next;
    talk came = processes::receive_message(fd_, next);
    if (came == talk::done && next.kind == message_kind::start && !initialise(next)) return EXIT_SUCCESS;
    while ((came = processes::receive_message(fd_, next)) == talk::done && next.kind == message_kind::call)
      if (!answer(next)) return EXIT_SUCCESS;
    return came == talk::ended || came == talk::lost ? EXIT_SUCCESS : EXIT_FAILURE;
  }

 private:
  bool initialise(const message& start) {
    decoder in(start.view());
    if (!in.read<bool>()) return send(message_kind::ready, 0, {});
    encoder out;
    return call(in, out) ? send(message_kind::ready, 0, {}) : send(message_kind::failed, 0, out);
  }

  bool answer(const message& request) {
    decoder in(request.view());
    encoder out;
    const bool returned = call(in, out);
    return send(returned ? message_kind::value : message_kind::failed, request.number, out);
  }

  /// True: `out` has the result; false: the exception. What the function printed is written before anybody hears of it.
  bool call(decoder& in, encoder& out) {
    std::exception_ptr error;
    try {
      const auto functions = functions_.read(in);
      reinterpret_cast<detail::process_entry>(functions.entry)(functions.target, in, out);
      if (out.bytes().size() > processes::largest_message)
        throw codec_error("the result is more than " + std::to_string(processes::largest_message) + " bytes");
    } catch (...) {
      error = std::current_exception();
    }
    std::fflush(stdout);
    if (error == nullptr) return true;
    out = encoder();
    processes::write_exception(out, error);
    return false;
  }

  bool send(message_kind kind, std::uint64_t number, const encoder& out) {
    return processes::send_message(fd_, kind, number, out.bytes()) == talk::done;
  }

  int fd_;
  processes::function_receiver functions_;
};

}  // namespace

std::optional<int> process_worker(int argc, char** argv) {
  if (argc != 2 || std::strcmp(argv[1], kernel::worker_argument) != 0) return std::nullopt;
  if (!kernel::is_started_as_worker()) {
    std::fprintf(stderr, "%s: %s is how a process pool starts its workers, and for nobody else\n", argv[0], argv[1]);
    return EXIT_FAILURE;
  }
  if (!kernel::die_with_parent()) return EXIT_FAILURE;
  kernel::set_serving();
  kernel::sys::set_descriptor_flags(kernel::worker_descriptor, FD_CLOEXEC);
  return worker(kernel::worker_descriptor).serve();
}

}  // namespace asyncio
