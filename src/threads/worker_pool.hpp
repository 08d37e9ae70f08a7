// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/job.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace asyncio::threads {

/// Threads that run jobs, first come, first served. At most `most_threads`, each started when a job finds no idle one.
///
///     open ──close()──▶ closing (takes no job; what is queued is run, or dropped) ──the last thread ends──▶ ended
///
/// What the threads need is shared with them, so that the pool may go before them (abandon()).
/// Thread: any; what waits for the threads is refused in one of them.
class worker_pool {
 public:
  /// Thread `n` is called "name_n", or "name" when there is one name for all: what debuggers and `ps -L` show. 15
  /// characters of it. Errors: std::invalid_argument for no thread.
  enum class naming : bool { all_alike, numbered };
  worker_pool(std::string_view name, std::size_t most_threads, naming how);
  /// close(false), join().
  ~worker_pool();
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;

  /// Errors: std::runtime_error after close(), and in a forked child; std::system_error when not a single thread can be started. The job is
  /// still in `work` then.
  void post(std::unique_ptr<detail::job>& work);
  /// Takes back a job that waits for its turn; null: it runs, or has run.
  std::unique_ptr<detail::job> take_back(const detail::job& work) noexcept;

  /// Takes no job from now on. `drop_queued`: those that wait for their turn are dropped, in this thread. Idempotent.
  void close(bool drop_queued) noexcept;
  /// After close(): calls `then` once, when no thread is left, in the last of them, or at once here. Errors: std::bad_alloc.
  void when_ended(void (*then)(void* context) noexcept, void* context);
  /// After close(): waits for the threads. Errors: std::runtime_error in one of them.
  void join();
  /// After close(): nobody waits for the threads any more, the destructor neither.
  void abandon() noexcept;

  struct running_job {
    std::string thread;     ///< its name
    const char* type_name;  ///< see detail::job
    std::source_location where;
  };
  /// What runs at this moment.
  std::vector<running_job> running() const;
  std::size_t most_threads() const noexcept;
  /// Does a job wait for its turn, or run, or hand on what has come of it?
  bool busy() const;
  std::size_t thread_count() const;
  std::size_t waiting_jobs() const;

 private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

}  // namespace asyncio::threads
