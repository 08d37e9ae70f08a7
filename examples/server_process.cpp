// SPDX-License-Identifier: BSL-1.0
#include "server_process.hpp"

#include <asyncio/asyncio.hpp>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace example {
namespace {

constexpr std::string_view greeting = "LISTENING ";
constexpr std::size_t longest_first_line = 100;
constexpr asyncio::timedelta start_timeout = std::chrono::seconds(10);

void check(int error, const std::string& what) {
  if (error != 0) throw std::system_error(error, std::generic_category(), what);
}

/// How the child differs from us: its output is `output`, its input is empty, a Ctrl-C on the terminal is not for it, and
/// signals do in it what they do by default.
class spawn_plan {
 public:
  explicit spawn_plan(int output) {
    check(posix_spawn_file_actions_init(&actions_), "posix_spawn");
    check(posix_spawnattr_init(&attributes_), "posix_spawn");
    check(posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO), "posix_spawn");
    check(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0), "posix_spawn");
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  spawn_plan(const spawn_plan&) = delete;
  spawn_plan& operator=(const spawn_plan&) = delete;
  ~spawn_plan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  pid_t spawn(const std::vector<std::string>& command) const {
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int error = posix_spawn(&pid, argv[0], &actions_, &attributes_, argv.data(), environ);
    if (error != 0) {
      throw std::filesystem::filesystem_error("cannot start", command[0],
                                              std::error_code(error, std::generic_category()));
    }
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Watches a descriptor for as long as it lives, and finishes a future when there is something to read.
class readable {
 public:
  explicit readable(int fd) : loop_(asyncio::get_running_loop()), fd_(fd) {
    loop_.add_reader(fd_, [ready = ready_] {
      if (!ready.done()) ready.set_result();
    });
  }
  readable(const readable&) = delete;
  readable& operator=(const readable&) = delete;
  ~readable() { loop_.remove_reader(fd_); }
  const asyncio::future<>& ready() const noexcept { return ready_; }

 private:
  asyncio::event_loop& loop_;
  int fd_;
  asyncio::future<> ready_;
};

asyncio::coroutine<std::string> read_line(int fd) {
  std::string line;
  while (!line.ends_with('\n') && line.size() < longest_first_line) {
    const readable watch(fd);
    co_await watch.ready();
    char c = 0;
    const ssize_t n = read(fd, &c, 1);
    if (n == 0) break;
    if (n > 0) line += c;
    if (n < 0 && errno != EAGAIN && errno != EINTR) check(errno, "read");
  }
  co_return line;
}

int parse_port(std::string_view line) {
  int port = 0;
  if (!line.starts_with(greeting)) throw std::runtime_error("the server ended, or did not say where it listens");
  line.remove_prefix(greeting.size());
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), port);
  if (error != std::errc{} || *end != '\n') throw std::runtime_error("the server did not name its port");
  return port;
}

}  // namespace

std::filesystem::path program_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

server_process::server_process(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) check(errno, "pipe");
  try {
    pid_ = spawn_plan(ends[1]).spawn(command);
  } catch (...) {
    close(ends[0]);
    close(ends[1]);
    throw;
  }
  close(ends[1]);
  output_ = ends[0];
  fcntl(output_, F_SETFL, O_NONBLOCK);
}

server_process::~server_process() {
  kill(pid_, SIGKILL);  // it holds nothing that wants an orderly end
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
  close(output_);
}

asyncio::coroutine<int> server_process::port() {
  const std::string line = co_await asyncio::wait_for(read_line(output_), start_timeout);
  co_return parse_port(line);
}

}  // namespace example
