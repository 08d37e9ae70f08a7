// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/io.hpp"
#include "kernel/kernel.hpp"
#include "kernel/spawn.hpp"

#include <atomic>
#include <optional>

namespace asyncio::io {

/// Who hears that a child has ended: once, from the loop, never from inside a call.
class child_user {
 public:
  virtual void child_ended() noexcept = 0;

 protected:
  ~child_user() = default;
};

/// A child process, from its start until it is reaped. It is reaped by its loop, whether somebody still refers to it or
/// not:
///
///   running ──its pidfd is readable──▶ reaped: the code is known, the user is told
///      │   └──the thread that waits for it has come back──▶ reaped
///      └──the loop is closed first──▶ left: not reaped by us, but by a later start(), of any loop
///
/// The thread is the way where there are no pidfds. It waits, and leaves the reaping to the loop, so that the pid is the
/// child's own for as long as signal() may use it; only when the loop is closed does it reap. The op on the pidfd, or the
/// thread, holds a reference; the end of the loop takes the thread's away from it.
///
/// Interleavings. The loop is closed while the thread comes back: whoever takes the wait first (`taken`) decides. The
/// thread: it posts, and if the door is shut by then, it reaps. The loop: the thread finds nobody to post to, and reaps.
/// Somebody else reaps the child (waitpid(-1) elsewhere, SIGCHLD ignored): the pidfd is readable or the
/// thread comes back all the same, and reap() says that it is lost: 255, and a warning. A signal is sent to a child that
/// has ended and that we have not seen end: it is a zombie still, and the signal is lost on it. The child ends between its
/// start and open_pidfd(): a pidfd of a zombie is readable at once.
class child final : public counted {
 public:
  /// An object for a child that is still to be started: all that may fail for want of memory.
  static ref<child> make(loop::loop& l);
  /// Starts the child; once. Errors: std::system_error that names the program or the folder; std::bad_alloc. Then there is
  /// no child.
  void start(const kernel::spawn_request& request);

  void set_user(child_user* user) noexcept { user_ = user; }
  pid_t pid() const noexcept { return pid_; }
  /// Its exit status, -N when signal N has ended it, 255 when nobody knows; nullopt while it runs.
  std::optional<int> code() const noexcept { return code_; }
  /// Nothing for a child that has ended. 0, or an errno.
  int signal(int number) noexcept;
  detail::inbox& box() const noexcept { return home_.box(); }

 private:
  explicit child(loop::loop& l) noexcept;
  ~child() override;

  template <class Base>
  struct owned : Base {
    child* owner = nullptr;
  };
  static void pidfd_readable(detail::op* self) noexcept;
  /// What a thread and the loop share. The thread frees it, unless it has posted: then the loop does.
  struct thread_wait {
    std::atomic<bool> taken{false};
    child* owner;
    pid_t pid;
  };
  static void thread_came_back(detail::op* self) noexcept;
  static void loop_ends(detail::close_hook* self) noexcept;
  static void wait_in_thread(void* wait) noexcept;

  void watch();
  bool watch_pidfd() noexcept;
  void wait_by_thread();
  bool reap() noexcept;
  void leave() noexcept;
  void close_pidfd() noexcept;

  home home_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<int> code_;
  bool left_ = false;
  child_user* user_ = nullptr;
  owned<kernel::io_op> readable_;
  owned<detail::op> back_;
  thread_wait* wait_ = nullptr;  // while a thread waits
  owned<detail::close_hook> hook_;
};

}  // namespace asyncio::io
