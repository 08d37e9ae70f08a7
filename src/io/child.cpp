// SPDX-License-Identifier: BSL-1.0
#include "io/child.hpp"

#include "base/log.hpp"
#include "kernel/sys.hpp"
#include "threads/detached.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <vector>

namespace asyncio::io {

namespace {

/// Children that outlived their loop. Nobody waits for them any more, so they are looked after whenever another one is
/// started: no more than these few can ever be zombies.
class left_children {
 public:
  /// Never destroyed: threads that wait for children may outlive the statics.
  static left_children& all() {
    static auto& table = *new left_children;
    return table;
  }

  /// Errors: std::bad_alloc.
  void add(pid_t pid) {
    std::scoped_lock hold(mutex_);
    pids_.push_back(pid);
  }
  void reap_those_that_ended() noexcept {
    std::scoped_lock hold(mutex_);
    std::erase_if(pids_, [](pid_t pid) { return kernel::reap(pid, -1).ended; });
  }
  /// The thread that has waited for it comes last, unless another start() has been there before.
  void reap(pid_t pid) noexcept {
    std::scoped_lock hold(mutex_);
    if (std::erase(pids_, pid) != 0) kernel::reap(pid, -1);
  }
  /// 0, or an errno. Once it was reaped its number is anybody's: so only to one that is still listed.
  int signal(pid_t pid, int number) noexcept {
    std::scoped_lock hold(mutex_);
    if (std::ranges::find(pids_, pid) == pids_.end()) return ESRCH;
    return kernel::signal_child(pid, -1, number);
  }
  /// There is a new child of this number: an old one was reaped by somebody else.
  void forget(pid_t pid) noexcept {
    std::scoped_lock hold(mutex_);
    std::erase(pids_, pid);
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> pids_;
};

std::string failure_text(const kernel::spawn_request& request, const kernel::spawned& result) {
  const std::string program = '\'' + base::printable(request.argv.front()) + '\'';
  switch (result.step) {
    case kernel::spawn_step::directory:
      return "cannot start " + program + ": cannot go to the directory '" + base::printable(request.directory) + '\'';
    case kernel::spawn_step::descriptors: return "cannot start " + program + ": cannot hand over a descriptor";
    case kernel::spawn_step::process: return "cannot start " + program + ": there can be no more processes";
    default: return "cannot start " + program;
  }
}

}  // namespace

ref<child> child::make(loop::loop& l) { return ref<child>::adopt(new child(l)); }

child::child(loop::loop& l) noexcept : home_(l) {
  readable_.owner = back_.owner = hook_.owner = this;
  readable_.kind = kernel::io_kind::readable;
  readable_.done = &child::pidfd_readable;
  back_.done = &child::thread_came_back;
  hook_.on_close = &child::loop_ends;
}

child::~child() { close_pidfd(); }

void child::start(const kernel::spawn_request& request) {
  left_children::all().reap_those_that_ended();
  const kernel::spawned result = kernel::spawn(request);
  if (result.error != 0) throw os_error(result.error, failure_text(request, result));
  pid_ = result.pid;
  left_children::all().forget(pid_);
  try {
    watch();
  } catch (...) {
    kernel::signal_child(pid_, -1, SIGKILL);
    kernel::await_exit(pid_);
    kernel::reap(pid_, -1);
    throw;
  }
}

// No pidfd, for whatever reason, is a reason for a thread.
void child::watch() {
  pidfd_ = kernel::open_pidfd(pid_);
  if (pidfd_ >= 0 && watch_pidfd()) return;
  close_pidfd();
  wait_by_thread();
}

bool child::watch_pidfd() noexcept {
  readable_.fd = pidfd_;
  if (home_.get().start(readable_)) return false;
  retain();
  return true;
}

// That the pidfd is readable and the child not to be reaped happens when a debugger holds it. Waiting again would not wait
// at all: so that is left to a thread, and only without one the loop asks in every turn.
void child::pidfd_readable(detail::op* self) noexcept {
  child* me = static_cast<owned<kernel::io_op>*>(self)->owner;
  if (me->home_.closed() || me->home_.get().closing()) {
    me->leave();
  } else if (me->readable_.result < 0 || !me->reap()) {
    try {
      me->wait_by_thread();
    } catch (...) {
      if (!me->watch_pidfd()) me->leave();
    }
  }
  me->release();
}

// ---- the thread's way

void child::wait_by_thread() {
  auto wait = std::make_unique<thread_wait>();
  wait->owner = this;
  wait->pid = pid_;
  retain();
  try {
    threads::run_detached("asyncio-child", &child::wait_in_thread, wait.get());
  } catch (...) {
    release();
    throw;
  }
  wait_ = wait.release();
  home_.get().add_close_hook(hook_);
  home_.get().expect_post();
}

void child::wait_in_thread(void* wait) noexcept {
  auto* mine = static_cast<thread_wait*>(wait);
  const pid_t pid = mine->pid;
  kernel::await_exit(pid);
  child* owner = mine->taken.exchange(true) ? nullptr : mine->owner;
  if (owner != nullptr && owner->home_.box().post(&owner->back_)) return;
  if (owner != nullptr)
    kernel::reap(pid, -1);
  else
    left_children::all().reap(pid);
  delete mine;
  if (owner != nullptr) owner->release();
}

void child::thread_came_back(detail::op* self) noexcept {
  child* me = static_cast<owned<detail::op>*>(self)->owner;
  delete std::exchange(me->wait_, nullptr);
  if (!me->home_.closed()) {
    me->home_.get().post_came();
    me->home_.get().remove_close_hook(me->hook_);
  }
  me->reap();
  me->release();
}

void child::loop_ends(detail::close_hook* self) noexcept {
  child* me = static_cast<owned<detail::close_hook>*>(self)->owner;
  me->user_ = nullptr;
  me->leave();                            // before the thread can look for it
  if (me->wait_->taken.exchange(true)) {  // it is about to post
    left_children::all().forget(me->pid_);
    return;
  }
  me->wait_ = nullptr;
  me->home_.get().post_came();
  me->release();
}

// ---- the end

// False: it has not ended.
bool child::reap() noexcept {
  const kernel::child_state state = kernel::reap(pid_, pidfd_);
  if (!state.ended) return false;
  close_pidfd();
  code_ = state.code;
  if (state.lost) {
    try {
      base::log(log_level::warning, "child process " + std::to_string(pid_) +
                                        " was reaped by somebody else: its return code is unknown, 255 stands for it");
    } catch (...) {
      base::log(log_level::warning, "a child process was reaped by somebody else");
    }
  }
  if (child_user* user = std::exchange(user_, nullptr)) user->child_ended();
  return true;
}

void child::leave() noexcept {
  left_ = true;
  close_pidfd();
  user_ = nullptr;
  try {
    left_children::all().add(pid_);
  } catch (...) {
    base::log(log_level::error, "no memory to remember a child process that outlives its loop: it will be a zombie");
  }
}

void child::close_pidfd() noexcept {
  if (pidfd_ < 0) return;
  if (!home_.closed()) home_.get().forget(pidfd_);
  kernel::close_fd(std::exchange(pidfd_, -1));
}

int child::signal(int number) noexcept {
  if (code_) return 0;
  const int error = left_ ? left_children::all().signal(pid_, number) : kernel::signal_child(pid_, pidfd_, number);
  return error == ESRCH ? 0 : error;
}

}  // namespace asyncio::io
