// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <string>

namespace asyncio::kernel {

/// The system's number of the calling thread.
int thread_number() noexcept;

/// For messages, "thread 4711 ('worker')": the name it was given, "main" for the process's first one. A thread without
/// a name of its own, or that has ended, is its number.  Errors: std::bad_alloc.
std::string name_of_thread(int number);

}  // namespace asyncio::kernel
