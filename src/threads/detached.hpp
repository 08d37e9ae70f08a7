// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace asyncio::threads {

/// Runs work(context) in a thread of its own that nobody joins: for what may wait for as long as the process lives, and
/// for which its end does not wait. `name` is what debuggers show, at most 15 characters.
/// Errors: std::system_error when no thread can be started; the work is not done then.
void run_detached(const char* name, void (*work)(void*) noexcept, void* context);

}  // namespace asyncio::threads
