// SPDX-License-Identifier: BSL-1.0
// threads — runs what blocks, in threads of its own; every job is an op that comes back through its loop's inbox.
// May include: base, kernel, loop.      Included by: io, coro.
// Thread: submit() and cancel() the loop's; run() a pool thread; finished() the loop's; shutdown() any but a pool's.
// Owns: its threads. Borrows: every job from submit() until finished() or dropped().
// Laws: no coroutine; a job's object is touched by one thread at a time, and by nobody here once it was handed back.
#pragma once
#include <asyncio/detail/inbox.hpp>
#include <asyncio/detail/loop_core.hpp>
#include <asyncio/detail/op.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::threads {

using detail::op;

/// One piece of blocking work. The owner fills the three functions; exactly one of these ends it:
///   finished(job)  in the loop's thread, after run(job);
///   dropped(job)   in a pool's thread, when the loop closed meanwhile, before or after run(job);
///   cancel(job)    returned true: it was still waiting for its turn.
struct job : op {
  void (*run)(job*) noexcept = nullptr;       ///< the work; in a pool thread
  void (*finished)(job*) noexcept = nullptr;  ///< may destroy the job
  void (*dropped)(job*) noexcept = nullptr;   ///< frees what nobody waits for any more
  detail::inbox* home = nullptr;              ///< set by submit(), which makes the job a counted user of it
};

class blocking_pool {
 public:
  /// At most `most_threads` threads, each started when a job finds no idle one. `name` is what debuggers and `ps -L`
  /// show, cut to 15 characters.
  blocking_pool(std::string name, std::size_t most_threads);
  /// shutdown()
  ~blocking_pool();
  blocking_pool(const blocking_pool&) = delete;
  blocking_pool& operator=(const blocking_pool&) = delete;

  /// Queues `work`, to be finished in the loop of `home`. Jobs start in order of submission.
  /// Errors: std::system_error when not a single thread can be started; std::runtime_error after shutdown(). The job is
  /// the caller's again then.
  void submit(job& work, detail::inbox& home);
  /// Takes back a job that has not started. False: it runs, or has run; finished() or dropped() is still to come.
  bool cancel(job& work) noexcept;
  /// Lets the jobs that were submitted end, and joins the threads. Not from within a job.
  void shutdown() noexcept;

  std::size_t thread_count() const;
  std::size_t waiting_jobs() const;

 private:
  void start_thread();
  void work() noexcept;
  static void hand_back(job* work, bool was_run) noexcept;
  static void deliver(op* self) noexcept;
  static void leave(job& work) noexcept;

  const std::string name_;
  const std::size_t most_threads_;
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable has_work_;
  std::deque<job*> waiting_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace asyncio::threads
