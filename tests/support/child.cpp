// SPDX-License-Identifier: BSL-1.0
// The child of tests: says on its standard output what it was started with, or behaves as its first argument says.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

// Its descriptors, "number device:inode" a line.
int descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  std::array<bool, 4096> open{};
  while (const dirent* entry = readdir(folder))
    if (const int fd = std::atoi(entry->d_name); entry->d_name[0] != '.' && fd != dirfd(folder))
      open.at(static_cast<std::size_t>(fd)) = true;
  closedir(folder);
  for (int fd = 0; fd < static_cast<int>(open.size()); ++fd) {
    struct stat about{};
    if (open.at(static_cast<std::size_t>(fd)) && fstat(fd, &about) == 0)
      std::printf("%d %lu:%lu\n", fd, static_cast<unsigned long>(about.st_dev),
                  static_cast<unsigned long>(about.st_ino));
  }
  return 0;
}

// Signals that are blocked, ignored or handled, a word a line.
int signals() {
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (sigismember(&blocked, number) == 1) std::printf("blocked %d\n", number);
    struct sigaction action{};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_DFL)
      std::printf("not default %d\n", number);
  }
  return 0;
}

int copy(bool also_errors) {
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t n = read(0, block.data(), block.size());
    if (n <= 0) return 0;
    for (int fd = 1; fd <= (also_errors ? 2 : 1); ++fd)
      for (ssize_t done = 0; done < n;) {
        const ssize_t more = write(fd, block.data() + done, static_cast<std::size_t>(n - done));
        if (more <= 0) return 1;
        done += more;
      }
  }
}

int fill(long bytes) {
  std::array<char, 65536> block;
  block.fill('f');
  while (bytes > 0) {
    const ssize_t n = write(1, block.data(), std::min(static_cast<std::size_t>(bytes), block.size()));
    if (n <= 0) return 1;
    bytes -= n;
  }
  return 0;
}

// Tells who asked that it is so far, and stays until a signal ends it.
int stay(const char* word) {
  std::puts(word);
  std::fflush(stdout);
  for (;;) pause();
}

// Leaves a child of its own behind, which has the same descriptors.
int leave_grandchild() {
  const pid_t pid = fork();
  if (pid == 0)
    for (;;) pause();
  std::printf("%d\n", pid);
  return 0;
}

int run(std::string_view verb, int count, char** arguments) {
  const int number = count > 0 ? std::atoi(arguments[0]) : 0;
  if (verb == "descriptors") return descriptors();
  if (verb == "signals") return signals();
  if (verb == "copy") return copy(false);
  if (verb == "copy-twice") return copy(true);
  if (verb == "exit") return number;
  if (verb == "die") return raise(number);
  if (verb == "folder") {
    std::puts(std::string(get_current_dir_name()).c_str());
  } else if (verb == "ids") {
    std::printf("%d %d %d %d\n", getpid(), getppid(), getpgrp(), getsid(0));
  } else if (verb == "arguments") {
    for (int i = 0; i < count; ++i) std::printf("[%s]\n", arguments[i]);
  } else if (verb == "environment") {
    for (char** entry = environ; *entry != nullptr; ++entry) std::puts(*entry);
  } else if (verb == "wait") {
    for (;;) pause();
  } else if (verb == "fill") {
    return fill(std::atol(arguments[0]));
  } else if (verb == "stay") {
    return stay("here");
  } else if (verb == "ignore") {
    signal(number, SIG_IGN);
    return stay("ignoring");
  } else if (verb == "leave-grandchild") {
    return leave_grandchild();
  } else if (verb == "close-input") {
    close(0);
    return stay("closed");
  } else {
    return 99;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int status = argc < 2 ? 98 : run(argv[1], argc - 2, argv + 2);
  std::fflush(stdout);
  return status;
}
