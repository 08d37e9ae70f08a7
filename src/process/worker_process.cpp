// SPDX-License-Identifier: BSL-1.0
#include "process/worker_process.hpp"

#include "base/log.hpp"
#include "kernel/kernel.hpp"
#include "kernel/process.hpp"
#include "kernel/spawn.hpp"
#include "kernel/sys.hpp"
#include "process/pool_errors.hpp"

#include <system_error>
#include <utility>

namespace asyncio::processes {

namespace {

namespace sys = kernel::sys;

/// A program may take its time until main(); but one that goes past process_worker() without a pool or a loop, and never
/// ends, would be waited for without end.
constexpr int milliseconds_to_hello = 60'000;
/// After its stream has ended, a worker returns from main() and runs what is registered for the end of the program.
constexpr int milliseconds_to_end = 10'000;

/// A descriptor, closed with the object.
class descriptor {
 public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  ~descriptor() {
    if (fd_ >= 0) kernel::close_fd(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string message_of(int error) { return std::system_category().message(error); }

std::string describe(const kernel::child_state& state) {
  if (state.lost) return "nobody knows how: another part of the program has waited for it";
  if (state.code < 0) return kernel::describe_signal(-state.code);
  return "exit status " + std::to_string(state.code);
}

/// Waits until the child has ended. False: the time is over.
bool await_end(pid_t pid, int pidfd, int milliseconds, kernel::child_state& state) noexcept {
  constexpr int step = 5;
  if (pidfd >= 0) {
    await_readable(pidfd, milliseconds);
    state = kernel::reap(pid, pidfd);
    return state.ended;
  }
  for (int waited = 0; !(state = kernel::reap(pid, pidfd)).ended; waited += step) {
    if (waited >= milliseconds) return false;
    sys::poll(static_cast<pollfd*>(nullptr), nfds_t{0}, step);
  }
  return true;
}

}  // namespace

std::string hello_text() {
  const kernel::code_place here = kernel::place_of(reinterpret_cast<void (*)()>(&hello_text));
  return "a worker of asyncio-cpp, " + kernel::describe_module(here.module).identity;
}

worker_process::beginning worker_process::start(const detail::process_call* initializer) {
  if (const beginning made = spawn(); made != beginning::ready) return made;
  const beginning met = greet(initializer);
  if (met != beginning::ready) end();
  return met;
}

worker_process::beginning worker_process::spawn() {
  int ends[2] = {-1, -1};
  if (const int made = sys::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends); made < 0) {
    why_ = "no pair of sockets: " + message_of(-made);
    return beginning::impossible;
  }
  descriptor ours(ends[0]), theirs(ends[1]);
  const descriptor nothing(sys::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing.get() < 0) {
    why_ = "/dev/null: " + message_of(-nothing.get());
    return beginning::impossible;
  }
  kernel::spawn_request request;
  request.file = "/proc/self/exe";
  request.argv = {kernel::own_name(), kernel::worker_argument};
  request.env = kernel::environment_for_worker();
  request.descriptors = {{nothing.get(), 0}, {theirs.get(), kernel::worker_descriptor}};
  for (const int output : {1, 2})
    request.descriptors.push_back({sys::get_status_flags(output) < 0 ? nothing.get() : output, output});
  const kernel::spawned child = kernel::spawn(request);
  if (child.error != 0) {
    why_ = message_of(child.error);
    return beginning::impossible;
  }
  pid_ = child.pid;
  pidfd_ = kernel::open_pidfd(pid_);
  socket_ = ours.release();
  calls_ = 0;
  functions_ = {};
  return beginning::ready;
}

// A program that went past process_worker() reads nothing: so nothing is sent before the hello.
worker_process::beginning worker_process::greet(const detail::process_call* initializer) {
  if (!await_readable(socket_, milliseconds_to_hello)) {
    kernel::signal_child(pid_, pidfd_, SIGKILL);
    end();
    why_ = "a worker process did not say hello within " + std::to_string(milliseconds_to_hello / 1000) + " seconds";
    return beginning::went_past;
  }
  message answer;
  if (receive_message(socket_, answer) != talk::done || answer.kind != message_kind::hello)
    return explain("saying hello");
  if (answer.view() != hello_text()) {
    why_ = "a worker process has another build of the library: " + base::printable(answer.view());
    return beginning::refused;
  }
  encoder start;
  start.write(initializer != nullptr);
  if (initializer != nullptr)
    functions_.write(start, reinterpret_cast<void (*)()>(initializer->entry), initializer->target);
  // It may be dead already: then that is what receiving tells, too.
  send_message(socket_, message_kind::start, 0, start.bytes(),
               initializer != nullptr ? std::string_view(initializer->arguments) : std::string_view());
  if (receive_message(socket_, answer) != talk::done) return explain("running its initialiser");
  if (answer.kind == message_kind::ready) return beginning::ready;
  if (answer.kind != message_kind::failed) return explain("running its initialiser");
  decoder in(answer.view());
  why_ = "the initialiser of a worker process has failed: " + describe_exception(read_exception(in));
  return beginning::refused;
}

worker_process::beginning worker_process::explain(const char* instead_of) {
  const pid_t pid = pid_;
  const std::string how = end();
  why_ = "a worker process (" + std::to_string(pid) + ") ended instead of " + instead_of + ": " + how;
  return how.starts_with("exit status") ? beginning::went_past : beginning::died;
}

talk worker_process::call(const detail::process_call& call, message& answer) {
  encoder head;
  functions_.write(head, reinterpret_cast<void (*)()>(call.entry), call.target);
  ++calls_;
  if (const talk sent = send_message(socket_, message_kind::call, calls_, head.bytes(), call.arguments);
      sent != talk::done)
    return sent;
  const talk received = receive_message(socket_, answer);
  if (received != talk::done) return received;
  if (answer.number != calls_) return talk::garbage;
  return answer.kind == message_kind::value || answer.kind == message_kind::failed ? talk::done : talk::garbage;
}

// A global object's destructor that crashes, a leak that a sanitizer has found: nobody else would tell.
void worker_process::see_off() noexcept {
  if (!running()) return;
  const pid_t pid = pid_;
  if (const std::string how = end(); how != "exit status 0")
    base::log(log_level::warning, "a worker process (" + std::to_string(pid) + ") ended its work with " + how);
}

// The socket is shut down before it is closed: a fork of this process may have it open, too, and the worker is to see the
// end of its stream. A kill after the time is over hits a process that exists, or is a zombie of ours: it was not reaped.
std::string worker_process::end() noexcept {
  if (!running()) return {};
  sys::shutdown(socket_, SHUT_RDWR);
  kernel::close_fd(std::exchange(socket_, -1));
  kernel::child_state state;
  if (!await_end(pid_, pidfd_, milliseconds_to_end, state)) {
    kernel::signal_child(pid_, pidfd_, SIGKILL);
    while (!await_end(pid_, pidfd_, -1, state)) {}
  }
  if (pidfd_ >= 0) kernel::close_fd(std::exchange(pidfd_, -1));
  pid_ = -1;
  return describe(state);
}

}  // namespace asyncio::processes
