// SPDX-License-Identifier: BSL-1.0
#include "process/spawn_plan.hpp"

#include "base/log.hpp"
#include "io/io.hpp"
#include "kernel/pipe.hpp"
#include "kernel/sys.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace asyncio::processes {

namespace {

using io::unique_fd;

void refuse_nul(const std::string& text, const char* what) {
  if (text.find('\0') != std::string::npos) throw std::invalid_argument(std::string("a NUL in ") + what);
}

void check_stdio(stdio s, const char* option) {
  if (s.value() < subprocess::devnull.value())
    throw std::invalid_argument(std::string(".") + option + " is no descriptor, and none of subprocess::pipe …");
  if (s == subprocess::to_stdout && std::string_view(option) != "err")
    throw std::invalid_argument(std::string("subprocess::to_stdout is for .err only, not for .") + option);
}

int checked(int result, const char* text) {
  if (result < 0) throw io::os_error(-result, text);
  return result;
}

}  // namespace

child_request::child_request(std::vector<std::string> argv, const subprocess_options& options)
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

void child_request::copy_environment(const env_view& env) {
  spawn.env.emplace();
  const auto take = [](void* into, std::string_view name, std::string_view value) {
    if (name.empty() || name.find('=') != std::string_view::npos)
      throw std::invalid_argument("the name of an environment variable must not be empty or contain '='");
    std::string entry(name);
    static_cast<std::vector<std::string>*>(into)->push_back((entry += '=') += value);
  };
  env.for_each(take, &*spawn.env);
}

void child_request::check() const {
  if (spawn.argv.empty() || spawn.argv.front().empty()) throw std::invalid_argument("a command without a program");
  for (const std::string& argument : spawn.argv) refuse_nul(argument, "an argument of a command");
  if (spawn.env)
    for (const std::string& entry : *spawn.env) refuse_nul(entry, "an environment variable");
  refuse_nul(spawn.directory, "cwd");
  check_stdio(in, "in");
  check_stdio(out, "out");
  check_stdio(err, "err");
  if (limit == 0) throw std::invalid_argument("the limit of a stream must be greater than 0");
  if (spawn.process_group && *spawn.process_group < 0)
    throw std::invalid_argument("process_group must not be negative");

  std::vector<int> given = pass_fds;
  for (const stdio s : {in, out, err})
    if (s.value() >= 0) given.push_back(s.value());
  for (const int fd : given)
    if (!kernel::is_open(fd))
      throw io::os_error(EBADF, "cannot start '" + base::printable(spawn.argv.front()) +
                                    "': cannot hand over descriptor " + std::to_string(fd));
}

std::vector<std::string> shell_command(std::string_view text) { return {"/bin/sh", "-c", std::string(text)}; }

wiring::wiring(child_request& r)
    : map_(r.spawn.descriptors), has_own_{kernel::is_open(0), kernel::is_open(1), kernel::is_open(2)} {
  ours[0] = connect(0, r.in);
  ours[1] = connect(1, r.out);
  ours[2] = connect_errors(r.err);
  pass(r.pass_fds);
}

unique_fd wiring::connect_errors(stdio err) {
  if (err != subprocess::to_stdout) return connect(2, err);
  const auto output = std::ranges::find(map_, 1, &kernel::mapped_descriptor::target);
  if (output != map_.end()) map_.push_back({output->source, 2});
  return {};
}

void wiring::pass(const std::vector<int>& fds) {
  for (const int fd : fds)
    if (std::ranges::find(map_, fd, &kernel::mapped_descriptor::target) == map_.end()) map_.push_back({fd, fd});
}

/// Our end, if it is a pipe.
unique_fd wiring::connect(int number, stdio s) {
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

unique_fd wiring::connect_pipe(int number) {
  kernel::pipe_ends ends;
  checked(kernel::make_pipe(ends), "cannot make a pipe for a child process");
  unique_fd read(ends.read);
  unique_fd write(ends.write);
  unique_fd& theirs = number == 0 ? read : write;
  unique_fd& mine = number == 0 ? write : read;
  checked(kernel::make_non_blocking(mine.get()), "cannot make a pipe non-blocking");
  give(number, std::move(theirs));
  return std::move(mine);
}

void wiring::give(int number, unique_fd fd) {
  map_.push_back({fd.get(), number});
  theirs_.push_back(std::move(fd));
}

}  // namespace asyncio::processes
