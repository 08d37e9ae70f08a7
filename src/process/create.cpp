// SPDX-License-Identifier: BSL-1.0
#include "base/log.hpp"
#include "io/transport.hpp"
#include "kernel/pipe.hpp"
#include "kernel/spawn.hpp"
#include "kernel/sys.hpp"
#include "process/process.hpp"
#include "streams/wait_line.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

namespace asyncio {

namespace {

using io::unique_fd;
using processes::process_core;
using processes::process_ref;

/// What a call was given, with all that it looked at.
struct request {
  kernel::spawn_request spawn;
  stdio in, out, err;
  std::size_t limit = 0;
  std::vector<int> pass_fds;

  request(std::vector<std::string> argv, const subprocess_options& options)
      : in(options.in),
        out(options.out),
        err(options.err),
        limit(options.limit),
        pass_fds(options.pass_fds.begin(), options.pass_fds.end()) {
    spawn.argv = std::move(argv);
    spawn.directory = options.cwd;
    spawn.new_session = options.start_new_session;
    spawn.process_group = options.process_group;
    if (options.env) copy_environment(*options.env);
  }

 private:
  void copy_environment(const env_view& env) {
    spawn.env.emplace();
    const auto take = [](void* into, std::string_view name, std::string_view value) {
      if (name.empty() || name.find('=') != std::string_view::npos)
        throw std::invalid_argument("the name of an environment variable must not be empty or contain '='");
      std::string entry(name);
      static_cast<std::vector<std::string>*>(into)->push_back((entry += '=') += value);
    };
    env.for_each(take, &*spawn.env);
  }
};

void refuse_nul(const std::string& text, const char* what) {
  if (text.find('\0') != std::string::npos) throw std::invalid_argument(std::string("a NUL in ") + what);
}

void check_stdio(stdio s, const char* option) {
  if (s.value() < subprocess::devnull.value())
    throw std::invalid_argument(std::string(".") + option + " is no descriptor, and none of subprocess::pipe …");
  if (s == subprocess::to_stdout && std::string_view(option) != "err")
    throw std::invalid_argument(std::string("subprocess::to_stdout is for .err only, not for .") + option);
}

void check(const request& r) {
  if (r.spawn.argv.empty() || r.spawn.argv.front().empty()) throw std::invalid_argument("a command without a program");
  for (const std::string& argument : r.spawn.argv) refuse_nul(argument, "an argument of a command");
  if (r.spawn.env)
    for (const std::string& entry : *r.spawn.env) refuse_nul(entry, "an environment variable");
  refuse_nul(r.spawn.directory, "cwd");
  check_stdio(r.in, "in");
  check_stdio(r.out, "out");
  check_stdio(r.err, "err");
  if (r.limit == 0) throw std::invalid_argument("the limit of a stream must be greater than 0");
  if (r.spawn.process_group && *r.spawn.process_group < 0)
    throw std::invalid_argument("process_group must not be negative");
}

/// One that is not open would become one of ours, as soon as a pipe takes its number.
void refuse_closed(const request& r) {
  std::vector<int> given = r.pass_fds;
  for (const stdio s : {r.in, r.out, r.err})
    if (s.value() >= 0) given.push_back(s.value());
  for (const int fd : given)
    if (!kernel::is_open(fd))
      throw io::os_error(EBADF, "cannot start '" + base::printable(r.spawn.argv.front()) +
                                    "': cannot hand over descriptor " + std::to_string(fd));
}

/// The standard descriptors of a child, as they are made: its ends, and ours of the pipes.
class wiring {
 public:
  explicit wiring(std::vector<kernel::mapped_descriptor>& map)
      : map_(map), has_own_{kernel::is_open(0), kernel::is_open(1), kernel::is_open(2)} {}

  unique_fd connect_input(stdio in) { return connect(0, in); }
  unique_fd connect_output(stdio out) { return connect(1, out); }
  unique_fd connect_errors(stdio err) {
    if (err != subprocess::to_stdout) return connect(2, err);
    const auto output = std::ranges::find(map_, 1, &kernel::mapped_descriptor::target);
    if (output != map_.end()) map_.push_back({output->source, 2});
    return {};
  }
  void pass(const std::vector<int>& fds) {
    for (const int fd : fds)
      if (std::ranges::find(map_, fd, &kernel::mapped_descriptor::target) == map_.end()) map_.push_back({fd, fd});
  }

 private:
  /// Our end, if it is a pipe.
  unique_fd connect(int number, stdio s) {
    if (s == subprocess::pipe) return connect_pipe(number);
    if (s == subprocess::devnull) {
      give(number, unique_fd(checked(kernel::sys::open("/dev/null", O_RDWR | O_CLOEXEC), "cannot open /dev/null")));
    } else if (s != subprocess::inherit) {
      map_.push_back({s.value(), number});
    } else if (has_own_[static_cast<std::size_t>(number)]) {
      map_.push_back({number, number});
    }
    return {};
  }
  unique_fd connect_pipe(int number) {
    kernel::pipe_ends ends;
    checked(kernel::make_pipe(ends), "cannot make a pipe for a child process");
    unique_fd read(ends.read);
    unique_fd write(ends.write);
    unique_fd& theirs = number == 0 ? read : write;
    unique_fd& ours = number == 0 ? write : read;
    checked(kernel::make_non_blocking(ours.get()), "cannot make a pipe non-blocking");
    give(number, std::move(theirs));
    return std::move(ours);
  }
  void give(int number, unique_fd fd) {
    map_.push_back({fd.get(), number});
    theirs_.push_back(std::move(fd));
  }
  static int checked(int result, const char* text) {
    if (result < 0) throw io::os_error(-result, text);
    return result;
  }

  std::vector<kernel::mapped_descriptor>& map_;
  const std::array<bool, 3> has_own_;  // before any of our pipes could take such a number
  std::vector<unique_fd> theirs_;
};

/// Everything that can fail comes before the child is there.
process start(loop::loop& l, request r) {
  check(r);
  refuse_closed(r);
  wiring wires(r.spawn.descriptors);
  unique_fd in = wires.connect_input(r.in);
  unique_fd out = wires.connect_output(r.out);
  unique_fd err = wires.connect_errors(r.err);
  wires.pass(r.pass_fds);

  io::ref<io::child> child = io::child::make(l);
  const process_ref core = process_core::make(child);
  const auto channel = [&l](unique_fd& fd, io::stream_kind kind) -> io::ref<io::channel> {
    return io::stream_transport::make_pipe(l, std::move(fd), kind);
  };
  if (in.get() >= 0) core->set_input(channel(in, io::stream_kind::pipe_to_write), r.limit);
  if (out.get() >= 0) core->set_output(channel(out, io::stream_kind::pipe_to_read), r.limit);
  if (err.get() >= 0) core->set_errors(channel(err, io::stream_kind::pipe_to_read), r.limit);
  child->start(r.spawn);
  return process::from_core(process_ref(core).detach());
}

// Others run before each child is started; a cancellation that comes until then starts none.
coroutine<process> create(request r) {
  co_await streams::turn_wait();
  co_return start(loop::loop::of(detail::running_loop()), std::move(r));
}

}  // namespace

coroutine<process> create_subprocess_exec(command program, subprocess_options options) {
  return create(request(std::move(program).argv(), options));
}

coroutine<process> create_subprocess_shell(std::string_view text, subprocess_options options) {
  std::vector<std::string> argv{"/bin/sh", "-c", std::string(text)};
  return create(request(std::move(argv), options));
}

}  // namespace asyncio
