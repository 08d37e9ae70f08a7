// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/smart_pointers.hpp>

#include <new>
#include <source_location>

namespace asyncio::detail {

/// A piece of work on its way through an executor, which owns it as a std::unique_ptr<job> until executor::run() runs it;
/// one that is destroyed before that tells who waits that it will never be run.
///
/// The three functions are its maker's. `execute` does the work, in some thread; `finish` hands on what has come of it, and
/// ends the job, after the thread counts as idle again; `drop` ends it instead of both.
struct job {
  void (*execute)(job*) noexcept = nullptr;
  void (*finish)(job*) noexcept = nullptr;
  void (*drop)(job*) noexcept = nullptr;
  const char* type_name = "";    ///< of the callable, as typeid spells it; for messages
  std::source_location where{};  ///< the coroutine that asked for it; for messages

  /// What `delete` does, and so std::unique_ptr: the job's own end.
  static void operator delete(job* self, std::destroying_delete_t) noexcept { self->drop(self); }
};

/// The library's way to an executor's own.
struct executor_access;

}  // namespace asyncio::detail
