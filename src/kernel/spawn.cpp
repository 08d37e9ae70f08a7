// SPDX-License-Identifier: BSL-1.0
#include "kernel/spawn.hpp"

#include "kernel/kernel.hpp"
#include "kernel/sys.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

// The descriptors of the child. Its table is a copy of ours, close-on-exec marks included, and what the request names is
// to end up where it says, which may be where another one comes from. So there are two moves: first everything goes to
// slots, numbers that are neither a source nor a target; then all else is closed; then everything goes to its target, and
// the slots are closed. No order and no circle of sources and targets can be wrong, and descriptors that others have
// opened without O_CLOEXEC are closed without our knowing them.

namespace asyncio::kernel {

namespace {

void check(int error) {
  if (error != 0) throw std::bad_alloc();  // there is no other
}

class file_actions {
 public:
  file_actions() { check(::posix_spawn_file_actions_init(&actions_)); }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;
  ~file_actions() { ::posix_spawn_file_actions_destroy(&actions_); }

  void go_to(int folder) { note(::posix_spawn_file_actions_addfchdir_np(&actions_, folder)); }
  void arrange(const std::vector<mapped_descriptor>& descriptors);
  /// 0, or the first errno of the calls above: EBADF for a number that cannot be a descriptor.
  int error() const noexcept { return error_; }
  const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  void note(int error) noexcept {
    if (error_ == 0) error_ = error;
  }
  void copy(int from, int to) { note(::posix_spawn_file_actions_adddup2(&actions_, from, to)); }
  void close(int fd) { note(::posix_spawn_file_actions_addclose(&actions_, fd)); }

  posix_spawn_file_actions_t actions_;
  int error_ = 0;
};

void file_actions::arrange(const std::vector<mapped_descriptor>& descriptors) {
  const auto is_used = [&](int number) {
    return std::ranges::any_of(descriptors, [&](const auto& d) { return d.source == number || d.target == number; });
  };
  std::vector<int> slots;
  int above = 0;  // every slot is below
  for (; slots.size() < descriptors.size(); ++above)
    if (!is_used(above)) slots.push_back(above);

  for (std::size_t i = 0; i < slots.size(); ++i) copy(descriptors[i].source, slots[i]);
  for (int number = 0; number < above; ++number)
    if (!std::ranges::binary_search(slots, number)) close(number);
#if __GLIBC_PREREQ(2, 34)
  note(::posix_spawn_file_actions_addclosefrom_np(&actions_, above));
#endif
  for (std::size_t i = 0; i < slots.size(); ++i) copy(slots[i], descriptors[i].target);
  for (const int slot : slots) close(slot);
}

/// Signals, session and group.
class attributes {
 public:
  explicit attributes(const spawn_request& request) {
    check(::posix_spawnattr_init(&attributes_));
    sigset_t signals;
    sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    if (request.new_session) flags |= POSIX_SPAWN_SETSID;
    if (request.process_group) {
      flags |= POSIX_SPAWN_SETPGROUP;
      ::posix_spawnattr_setpgroup(&attributes_, *request.process_group);
    }
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }
  attributes(const attributes&) = delete;
  attributes& operator=(const attributes&) = delete;
  ~attributes() { ::posix_spawnattr_destroy(&attributes_); }

  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> all;
  all.reserve(strings.size() + 1);
  for (const std::string& s : strings) all.push_back(const_cast<char*>(s.c_str()));
  all.push_back(nullptr);
  return all;
}

std::string_view search_path(const spawn_request& request) {
  constexpr std::string_view name = "PATH=";
  constexpr std::string_view standard = "/bin:/usr/bin";
  if (request.env) {
    for (const std::string& entry : *request.env)
      if (entry.starts_with(name)) return std::string_view(entry).substr(name.size());
    return standard;
  }
  const char* path = ::getenv("PATH");
  return path != nullptr ? path : standard;
}

/// Where the program may be, in the order to try. An empty part of PATH is the child's folder.
std::vector<std::string> candidates(const spawn_request& request) {
  const std::string& program = request.file.empty() ? request.argv.front() : request.file;
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> all;
  std::string_view path = search_path(request);
  for (;;) {
    const std::size_t end = path.find(':');
    std::string& file = all.emplace_back(path.substr(0, end));
    if (file.empty()) file = ".";
    file += '/';
    file += program;
    if (end == std::string_view::npos) return all;
    path.remove_prefix(end + 1);
  }
}

bool is_about_the_file(int error) noexcept {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case ENOEXEC:
    case ELOOP:
    case EISDIR:
    case ENAMETOOLONG: return true;
    default: return false;
  }
}

/// An open folder, for as long as it takes.
class folder {
 public:
  explicit folder(const std::string& path)
      : fd_(path.empty() ? AT_FDCWD : sys::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() {
    if (fd_ >= 0) close_fd(fd_);
  }
  bool is_own() const noexcept { return fd_ == AT_FDCWD; }
  /// 0, or why the child could not go there.
  int error() const noexcept {
    if (is_own()) return 0;
    return fd_ < 0 ? -fd_ : -std::min(0, sys::find_at(fd_, "."));
  }
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

spawn_step step_of(int error) noexcept {
  if (error == EBADF) return spawn_step::descriptors;
  return error == EAGAIN || error == ENOMEM ? spawn_step::process : spawn_step::program;
}

}  // namespace

spawned spawn(const spawn_request& request) {
  const folder where(request.directory);
  if (const int error = where.error(); error != 0) return {-1, error, spawn_step::directory};
  file_actions actions;
  if (!where.is_own()) actions.go_to(where.fd());
  actions.arrange(request.descriptors);
  if (const int error = actions.error(); error != 0) return {-1, error, step_of(error)};
  const attributes about(request);
  const std::vector<char*> argv = pointers(request.argv);
  const std::vector<char*> env = request.env ? pointers(*request.env) : std::vector<char*>();

  // As a shell does: the first that can be started; the first failure that is more than "not there" is the one to tell.
  int told = ENOENT;
  for (const std::string& path : candidates(request)) {
    const int there = sys::find_at(where.fd(), path.c_str());
    if (there == -ENOENT || there == -ENOTDIR) {  // saves a child that could only tell the same
      if (path == request.argv.front()) told = -there;
      continue;
    }
    pid_t pid = -1;
    const int error = -sys::posix_spawn(&pid, path.c_str(), actions.get(), about.get(), argv.data(),
                                        request.env ? env.data() : ::environ);
    if (error == 0) return {pid, 0, spawn_step::none};
    if (!is_about_the_file(error)) return {-1, error, step_of(error)};
    if (told == ENOENT) told = error;
  }
  return {-1, told, spawn_step::program};
}

int open_pidfd(pid_t pid) noexcept { return sys::pidfd_open(pid, 0u); }

child_state reap(pid_t pid, int pidfd) noexcept {
  siginfo_t about;
  int result = -EINTR;
  while (result == -EINTR) {
    about.si_pid = 0;  // stays 0 while it runs
    result = pidfd >= 0 ? sys::waitid(P_PIDFD, static_cast<id_t>(pidfd), &about, WEXITED | WNOHANG) : -EINVAL;
    if (result == -EINVAL) result = sys::waitid(P_PID, static_cast<id_t>(pid), &about, WEXITED | WNOHANG);
  }
  if (result < 0) return {true, true, 255};
  if (about.si_pid == 0) return {};
  return {true, false, about.si_code == CLD_EXITED ? about.si_status : -about.si_status};
}

void await_exit(pid_t pid) noexcept {
  siginfo_t about;
  while (sys::waitid(P_PID, static_cast<id_t>(pid), &about, WEXITED | WNOWAIT) == -EINTR) {}
}

int signal_child(pid_t pid, int pidfd, int signal) noexcept {
  return -(pidfd >= 0 ? sys::pidfd_send_signal(pidfd, signal) : sys::kill(pid, signal));
}

}  // namespace asyncio::kernel
