// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace asyncio::kernel {

/// The descriptors that this process has open, in order; not the one that is used for looking.
/// Errors: std::system_error when /proc cannot be read, as of the next two.
std::vector<int> open_descriptors();
/// What a descriptor refers to, as /proc names it: "socket:[4711]", "/dev/null", "anon_inode:[eventfd]".
std::string describe_descriptor(int fd);
/// How many threads this process has.
std::size_t count_threads();

/// Around every fork() of this process from now on: `before` and `in_parent` in the forking thread, `in_child` in what is
/// left of it in the child.
void around_fork(void (*before)(), void (*in_parent)(), void (*in_child)());

/// How often this process's line of descent has forked since it first asked: what was made under another number belongs
/// to a parent, and the kernel's side of it is shared with that.
unsigned fork_count() noexcept;

/// Ends the process at once, with this exit status; what stdio holds is written.
[[noreturn]] void exit_now(int status) noexcept;

/// Ends the process at once, as if it had crashed: nothing is written, nobody's destructor runs.
[[noreturn]] void abandon(int status) noexcept;

/// A process that a process pool starts is this program again: it has one argument, this, and a variable of its environment
/// that names its parent. main() is to hand both to process_worker().
inline constexpr const char worker_argument[] = "--asyncio-process-worker";
/// Where it finds its end of the sockets that lead to the pool.
inline constexpr int worker_descriptor = 3;
/// The environment that such a child of this process gets.
std::vector<std::string> environment_for_worker();
/// Was this process started so, by the process that is its parent now? Not the worker's own children, which inherit the
/// variable.
bool is_started_as_worker() noexcept;
/// From now on it does what such a process is to do.
void set_serving() noexcept;
/// In a process that was started as a worker, whoever its parent is by now, and went past process_worker(): the user's
/// program must not run a second time. Ends the process then.
void leave_if_not_serving() noexcept;
/// The kernel kills this process when the thread that has started it ends. False: that has happened already.
bool die_with_parent() noexcept;

/// How this process was called: argv[0].
std::string own_name();

/// "signal 9 (SIGKILL)"
std::string describe_signal(int number);

}  // namespace asyncio::kernel
