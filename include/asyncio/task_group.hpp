// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/errors.hpp>
#include <asyncio/event_loop.hpp>
#include <asyncio/task.hpp>
#include <asyncio/timeout.hpp>

#include <exception>
#include <utility>

namespace asyncio {

namespace detail {
class group_state;
}

/// A block that owns tasks: co_await async_with(task_group{}, body). It ends when the body and every task in it have
/// ended. When one of them fails, the others are cancelled, and once all have ended what they threw leaves the block as
/// one exception_group (also when it is a single exception). A cancelled task is no failure.
/// A cancellation from outside cancels the tasks and leaves the block as cancelled_error, unless something failed then.
/// Thread: the loop's.   Python: asyncio.TaskGroup.
class task_group : public detail::spawner<task_group> {
 public:
  task_group() noexcept = default;
  /// Only before it is entered.
  task_group(task_group&& other) noexcept;
  task_group& operator=(task_group&&) = delete;
  ~task_group();

  // create_task(coroutine), create_task(coroutine, options), create_task(f, args...), create_task(options, f, args...):
  // as asyncio::create_task; the group waits for them. Errors: std::runtime_error before the group is entered, when it
  // is over, or when it is shutting down; the coroutine is destroyed then.

  /// Ends the group early: cancels its tasks and the body; the block then ends without an exception, unless something
  /// failed meanwhile. Before the block is entered: as soon as it is. Afterwards: nothing. Idempotent.
  void cancel();

  /// What async_with does. Errors: std::runtime_error outside a task, or for the second time.
  detail::ready_operation_void aenter();
  /// Waits for the tasks.   Errors: exception_group; cancelled_error; keyboard_interrupt, bare.
  coroutine<bool> aexit(std::exception_ptr error);

 private:
  friend class detail::spawner<task_group>;
  template <class T>
  task<T> adopt_child(coroutine<T> c, task_options options) {
    detail::coro_core* core = c.release();
    if (core == nullptr) detail::throw_awaited_twice();
    return task<T>::from_core(detail::core_ref<>::adopt(spawn(core, options)));
  }
  detail::coro_core* spawn(detail::coro_core* core, const task_options& options);

  detail::group_state* state_ = nullptr;  // from entry on
  bool cancel_on_entry_ = false;
};

}  // namespace asyncio
