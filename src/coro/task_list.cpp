// SPDX-License-Identifier: BSL-1.0
#include "coro/task_list.hpp"

#include "coro/coro.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

namespace asyncio::detail {

constinit atomic_cell<bool> tasks_need_more{false};

namespace {

constinit atomic_cell<bool> listing{false};

/// Memory that is not the program's: a test that counts allocations, or makes them fail, is about others.
template <class T>
struct outside_memory {
  using value_type = T;
  outside_memory() noexcept = default;
  template <class U>
  outside_memory(const outside_memory<U>&) noexcept {}
  T* allocate(std::size_t n) {
    void* memory = std::calloc(n, sizeof(T));  // NOLINT(bugprone-sizeof-expression): T may be a pointer
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) noexcept { std::free(static_cast<void*>(memory)); }
  friend bool operator==(outside_memory, outside_memory) noexcept { return true; }
};

struct task_list {
  using map = std::unordered_map<coro_core*, inbox*, std::hash<coro_core*>, std::equal_to<>,
                                 outside_memory<std::pair<coro_core* const, inbox*>>>;
  std::mutex mutex;
  map homes;
};

// Never destroyed: tasks of static storage may outlive it otherwise.
task_list& all_tasks() {
  static task_list& all = *::new (outside_memory<task_list>().allocate(1)) task_list;
  return all;
}

}  // namespace

void give_task_more(coro_core* task, inbox& home) {
  if (contexts_in_use.load(order::relaxed)) inherit_context(task);
  if (!listing.load(order::relaxed)) return;
  try {
    task_list& all = all_tasks();
    const std::scoped_lock hold(all.mutex);
    all.homes.emplace(task, &home);
    task->listed = task->rare = true;
  } catch (const std::bad_alloc&) {}
}

void unlist_task(coro_core* task) noexcept {
  task_list& all = all_tasks();
  const std::scoped_lock hold(all.mutex);
  all.homes.erase(task);
}

}  // namespace asyncio::detail

namespace asyncio::coro {

void list_new_tasks() noexcept {
  detail::listing.store(true, detail::order::relaxed);
  detail::tasks_need_more.store(true, detail::order::relaxed);
}

// Whoever frees a task of a closed loop, in whatever thread, waits for the lock: so it can be described, though a handle
// of it might come too late. A task of an open loop is its thread's.
listed_tasks tasks_of_loops_after(std::uint64_t number) {
  struct found {
    std::uint64_t loop;
    detail::coro_core* core;
    bool is_here;
  };
  listed_tasks tasks;
  detail::task_list& all = detail::all_tasks();
  const std::scoped_lock hold(all.mutex);
  std::vector<found> left;
  for (const auto& [core, home] : all.homes)
    if (home->number() > number && (home->owned_here() || home->closed()))
      left.push_back({home->number(), core, home->owned_here()});
  std::ranges::sort(left, [](const found& a, const found& b) {
    return std::pair(a.loop, a.core->number) < std::pair(b.loop, b.core->number);
  });
  for (const found& each : left) {
    if (each.is_here)
      tasks.here.push_back(handle_of(each.core));
    else
      tasks.texts.push_back(detail::describe_task(each.core) + " of " + place(each.core->origin));
  }
  return tasks;
}

}  // namespace asyncio::coro
