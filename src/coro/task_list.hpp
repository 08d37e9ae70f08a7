// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/task.hpp>

#include <cstdint>
#include <string>
#include <vector>

/// A list of the tasks that exist, done or not, for who looks for what is left over. A loop knows those that are not done.
namespace asyncio::coro {

/// From now on every new task of the process is listed until it is freed. A task for which there is no memory is not.
/// Thread: any.
void list_new_tasks() noexcept;

struct listed_tasks {
  std::vector<any_task> here;      ///< of loops of this thread
  std::vector<std::string> texts;  ///< what to_string() says of the others whose loop is closed
};
/// The tasks of loops with a higher number than this, oldest first.
listed_tasks tasks_of_loops_after(std::uint64_t number);

}  // namespace asyncio::coro
