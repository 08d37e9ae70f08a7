// SPDX-License-Identifier: BSL-1.0
// threads — runs what blocks, in threads of its own; every job is an op that comes back through its loop's inbox.
// May include: base, kernel, loop.      Included by: io, coro.
// Thread: submit() and cancel() the loop's; run() a pool thread; finished() the loop's; shutdown() any but a pool's.
// Owns: its threads. Borrows: every job from submit() until finished() or dropped().
// Laws: no coroutine; a job's object is touched by one thread at a time, and by nobody here once it was handed back.
#pragma once
#include "threads/worker_pool.hpp"

#include <asyncio/detail/inbox.hpp>
#include <asyncio/detail/loop_core.hpp>
#include <asyncio/detail/op.hpp>

#include <cstddef>
#include <string_view>

namespace asyncio::threads {

using detail::op;

/// One piece of blocking work. The owner fills the three functions; exactly one of these ends it:
///   finished(job)  in the loop's thread, after run(job);
///   dropped(job)   in a pool's thread, when the loop closed meanwhile, before or after run(job); never when holds_end;
///   cancel(job)    returned true: it was still waiting for its turn.
struct job : op {
  void (*run)(job*) noexcept = nullptr;       ///< the work; in a pool thread
  void (*finished)(job*) noexcept = nullptr;  ///< may destroy the job
  void (*dropped)(job*) noexcept = nullptr;   ///< frees what nobody waits for any more
  bool holds_end = false;                     ///< the loop's end waits for it
  detail::inbox* home = nullptr;              ///< set by submit(), which makes the job a counted user of it

 private:
  friend class blocking_pool;
  struct ticket : detail::job {
    threads::job* owner = nullptr;
  };
  ticket ticket_;  // what the worker threads see of it
  bool was_run_ = false;
};

class blocking_pool {
 public:
  /// At most `most_threads` threads, each started when a job finds no idle one. `name` is what debuggers and `ps -L`
  /// show, cut to 15 characters.
  blocking_pool(std::string_view name, std::size_t most_threads);
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

  std::size_t thread_count() const { return pool_.thread_count(); }
  std::size_t waiting_jobs() const { return pool_.waiting_jobs(); }

 private:
  static void execute(detail::job* ticket) noexcept;
  static void hand_back(detail::job* ticket) noexcept;
  static void deliver(op* self) noexcept;
  static void leave(job& work) noexcept;

  worker_pool pool_;
};

}  // namespace asyncio::threads
