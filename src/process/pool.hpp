// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "process/worker_process.hpp"

#include <asyncio/process_pool.hpp>

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::detail {

/// What stands behind a process_pool_executor: lines, each a thread that drives one worker process. A thread for each, and
/// not one for all, so that sending and reading a large value for one worker never keeps another one waiting; all that a
/// line does is a plain sequence of blocking calls; and a worker, which the kernel kills when the thread that started it
/// ends, has a thread that ends after it.
///
///     a job:   waiting ──▶ handed to a line ──▶ running ──▶ an outcome
///                 └── cancelled, or the pool is broken      │
///                          ▲                                ├── its worker ended: an outcome, broken_process_pool
///                          └── in front of all others ◀─────┴── its worker had not read it: it runs again, on another
///
///     a line:  busy ──no job waits──▶ idle ──a job is handed over──▶ busy
///               └──────── stopping, and no job waits ────────▶ its worker ends, then the thread
///
/// An idle line sleeps in poll() on its own wake-up descriptor and on its worker's socket: it sees the end of a worker that
/// has nothing to do, and reaps it. A new one is started when there is a task for it.
///
/// Interleavings. A line is on the idle list exactly while a job may be handed to it, and both change under the lock; it
/// goes there before it completes its job, so that whoever hears of the outcome and submits again finds it. A wake-up is
/// written under the lock: the line cannot end in between. shutdown() against submit(): `stopping_` under the lock. A
/// worker that ends just as a job is sent: see worker_process. A worker that ends because the pool is destroyed in a forked
/// child: does not, since the child touches nothing (made_in_).
///
/// Broken: the first worker went past process_worker(), or its initialiser failed; it would be so with every other one.
/// Then all jobs fail, now and later.
///
/// Thread: any.
class process_pool {
 public:
  process_pool(process_pool_options options, std::optional<process_call> initializer);
  ~process_pool();
  process_pool(const process_pool&) = delete;
  process_pool& operator=(const process_pool&) = delete;

  void post(std::unique_ptr<process_job> job);
  void shutdown(bool wait, bool cancel_futures);
  /// After shutdown(): done when no line is left.
  concurrent_future<void> ended();
  bool is_of_parent() const noexcept;
  /// Is the calling thread one of its lines'?
  bool runs_here() const noexcept;
  std::size_t max_workers() const noexcept { return most_; }

 private:
  struct line {
    std::thread thread;
    int wake_fd = -1;
    processes::worker_process worker;     // the thread's own
    std::unique_ptr<process_job> handed;  // guarded by the lock, as the two below
    bool idle = false;
    bool has_worker = false;
    ~line();
  };
  using job_ptr = std::unique_ptr<process_job>;

  void start_line(job_ptr& job);
  void hand(job_ptr job);
  void serve(line& me) noexcept;
  job_ptr next(line& me);
  void sleep(line& me);
  bool run(line& me, job_ptr job);
  bool provide_worker(line& me, job_ptr& job);
  bool give_back(line& me, job_ptr& job);
  void finish(line& me, process_job& job, const processes::message& answer);
  void become_idle(line& me);
  void note_worker(line& me, bool there);
  void break_down(const std::string& why);
  void leave(line& me) noexcept;
  void wake_all() noexcept;
  void join();
  void refuse_self() const;

  const std::size_t most_;
  const std::optional<std::size_t> calls_per_worker_;
  const std::optional<process_call> initializer_;
  const unsigned made_in_;  // kernel::fork_count()

  std::mutex mutex_;  // guards everything below
  std::deque<job_ptr> waiting_;
  std::vector<std::unique_ptr<line>> lines_;
  std::vector<line*> idle_;                    // the one that was busy last is the last
  std::vector<std::unique_ptr<line>> parted_;  // whose threads end, or have ended
  bool stopping_ = false;
  bool met_a_worker_ = false;
  std::string broken_;
  std::vector<concurrent_promise<void>> awaiting_end_;
  std::mutex joining_;  // taken before mutex_
};

}  // namespace asyncio::detail
