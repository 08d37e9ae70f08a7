// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace asyncio::kernel {

/// Other programs as children of this process. They are started by posix_spawn, never by a fork: a fork of a program with
/// threads leaves a child whose locks nobody will ever open.
///
/// What a child gets from us: the descriptors that the request names, and no other, whoever opened them; every signal with
/// its default action and unblocked, whatever this program has made of its own; its arguments, its environment, its folder.
///
/// posix_spawn has no way to say PR_SET_PDEATHSIG (and what that signal follows is the *thread* that has started the
/// child, not the process). A child that is to end with its parent keeps the other end of a pipe or of a socketpair of the
/// parent's and ends when it reads the end of it: that also comes when the parent is killed.

/// In the child, `target` is what `source` is here. Targets may be sources of others, in any order and in circles.
struct mapped_descriptor {
  int source = -1;
  int target = -1;
};

struct spawn_request {
  std::vector<std::string> argv;  ///< the program, then its arguments. A program without a '/' is
                                  ///<   looked for along PATH, that of `env` if there is one
  std::string file = {};  ///< "": argv's first. Otherwise the path to start, and that is only the name that it is told
  std::optional<std::vector<std::string>> env = {};  ///< "NAME=value"; nullopt: this process's own
  std::string directory = {};                        ///< "": this process's own
  std::vector<mapped_descriptor> descriptors = {};   ///< each target once
  bool new_session = false;
  std::optional<int> process_group = {};  ///< 0: one of its own
};

/// What failed.
enum class spawn_step : std::uint8_t {
  none,
  directory,    ///< going to the folder
  descriptors,  ///< one of them is not open
  process,      ///< making a process at all: limits, memory
  program,      ///< finding and loading the program; also the rest that the child does before that
};

struct spawned {
  pid_t pid = -1;  ///< -1: nothing was started, see `error`
  int error = 0;   ///< an errno
  spawn_step step = spawn_step::none;
};

/// Starts it. Returns when the program is loaded, or its start has failed and left nothing behind.
/// Thread: any.  Errors: std::bad_alloc; all others are in the result.
spawned spawn(const spawn_request& request);

/// A descriptor that is readable when the child has ended; close-on-exec. Or -errno: where the system has none (ENOSYS;
/// EPERM in some sandboxes), or none left, await_exit() is the other way. -ESRCH: the child was reaped by somebody else.
int open_pidfd(pid_t pid) noexcept;

/// How a child is.
struct child_state {
  bool ended = false;
  bool lost = false;  ///< it ended, and somebody else has reaped it: nobody knows how
  int code = 0;       ///< ended: its exit status, or -N when signal N has ended it; lost: 255, as in Python
};

/// Reaps the child if it has ended; does not wait. `pidfd` may be -1. After `ended` the pid is no longer the child's.
child_state reap(pid_t pid, int pidfd) noexcept;

/// Waits in the calling thread until the child has ended, and leaves the reaping to reap(): so the pid stays the child's
/// until whoever sends it signals knows better.
void await_exit(pid_t pid) noexcept;

/// Sends a signal to a child that was not reaped. 0, or an errno: ESRCH when somebody else has reaped it.
int signal_child(pid_t pid, int pidfd, int signal) noexcept;

}  // namespace asyncio::kernel
