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
void count_fork() noexcept;

/// Ends the process at once, with this exit status; what stdio holds is written.
[[noreturn]] void exit_now(int status) noexcept;

}  // namespace asyncio::kernel
