// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the tests of process pools share: tasks that wait, and a look at this process's children.
#include <asyncio/process_pool.hpp>

#include "spec.hpp"
#include "support/descriptors.hpp"
#include "support/scratch_folder.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::spec {

/// What a pool runs in these tests has names, as users' functions do.
namespace tasks {

inline int own_pid() { return ::getpid(); }
inline int square(int n) { return n * n; }

/// Waits until somebody opens the FIFO for writing and closes it again.
inline int wait_at(const std::string& fifo) {
  const int fd = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  char byte = 0;
  while (::read(fd, &byte, 1) > 0) {}
  ::close(fd);
  return ::getpid();
}

}  // namespace tasks

/// A FIFO at which tasks wait.
class door {
 public:
  explicit door(const test::scratch_folder& folder, const char* name = "door") : path_(folder / name) {
    EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  }
  const std::string& path() const { return path_; }
  /// Returns when a task waits here, which goes on when close() is called.
  void await_visitor() { fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC); }
  void open() {
    if (fd_ < 0) await_visitor();
    ::close(fd_);
    fd_ = -1;
  }
  ~door() {
    if (fd_ >= 0) ::close(fd_);
  }
  door(const door&) = delete;
  door& operator=(const door&) = delete;

 private:
  std::string path_;
  int fd_ = -1;
};

struct child {
  int pid;
  char state;  // as in /proc: 'Z' is a zombie
};

/// Those of this process.
inline std::vector<child> children() {
  std::vector<child> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string line;
    std::ifstream file(entry.path() / "stat");
    if (!std::getline(file, line)) continue;
    const std::size_t after_name = line.rfind(')');
    const char state = line.at(after_name + 2);
    if (std::atoi(line.c_str() + after_name + 4) == ::getpid()) found.push_back({std::stoi(name), state});
  }
  return found;
}

/// At the end of a test: what the pool has started and opened is gone, and it had nothing to say: a worker that leaks memory
/// under AddressSanitizer ends with an exit status that it warns of.
class leaves_nothing {
 public:
  leaves_nothing() : descriptors_(test::open_descriptors()) {
    EXPECT_TRUE(children().empty());
    set_log_sink([](log_level, std::string_view text, void*) noexcept { ADD_FAILURE() << "logged: " << text; });
  }
  ~leaves_nothing() {
    set_log_sink(nullptr);
    EXPECT_TRUE(children().empty());
    EXPECT_EQ(test::open_descriptors(), descriptors_);
  }
  leaves_nothing(const leaves_nothing&) = delete;
  leaves_nothing& operator=(const leaves_nothing&) = delete;

 private:
  std::size_t descriptors_;
};

/// "type: text" of what a call throws.
template <class F>
std::string failure_of(F call) {
  try {
    call();
  } catch (const broken_process_pool& e) {
    return std::string("broken_process_pool: ") + e.what();
  } catch (const remote_error& e) {
    return std::string("remote_error: ") + e.what();
  } catch (const codec_error& e) {
    return std::string("codec_error: ") + e.what();
  } catch (...) {
    return name_of(std::current_exception());
  }
  return "nothing";
}

/// Of a call in another process. The future lives on while the exception is read: ThreadSanitizer does not see how the
/// standard library counts an exception's owners, the pool's thread among them.
template <class T>
std::string failure_of(const concurrent_future<T>& future) {
  return failure_of([&] { future.result(); });
}

}  // namespace asyncio::spec
