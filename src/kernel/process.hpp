// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>

namespace asyncio::kernel {

/// How many descriptors this process has open, the one used for counting not included.
std::size_t count_descriptors();

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
