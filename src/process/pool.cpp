// SPDX-License-Identifier: BSL-1.0
#include "process/pool.hpp"

#include "kernel/kernel.hpp"
#include "kernel/process.hpp"
#include "kernel/sys.hpp"
#include "process/pool_errors.hpp"
#include "threads/named_thread.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace asyncio::detail {

namespace {

using processes::message;
using processes::message_kind;
using processes::talk;
using processes::worker_process;

/// A job that this many workers did not live to take is given up.
constexpr int most_losses = 3;

/// Whose thread this is.
thread_local const process_pool* pool_of_thread = nullptr;

std::size_t default_workers() {
  const unsigned processors = std::thread::hardware_concurrency();
  return processors == 0 ? 1 : processors;
}

std::exception_ptr broken(const std::string& why) { return std::make_exception_ptr(broken_process_pool(why)); }

void fail(process_job& job, std::exception_ptr error) {
  if (job.started || job.start()) job.fail(std::move(error));
}

}  // namespace

process_pool::line::~line() {
  if (wake_fd >= 0) kernel::close_fd(wake_fd);
}

process_pool::process_pool(process_pool_options options, std::optional<process_call> initializer)
    : most_(options.max_workers != 0 ? options.max_workers : default_workers()),
      calls_per_worker_(options.max_tasks_per_child),
      initializer_(std::move(initializer)),
      made_in_(kernel::fork_count()) {
  if (calls_per_worker_ && *calls_per_worker_ == 0)
    throw std::invalid_argument("max_tasks_per_child must be 1 or more");
}

process_pool::~process_pool() = default;

bool process_pool::is_of_parent() const noexcept { return made_in_ != kernel::fork_count(); }
bool process_pool::runs_here() const noexcept { return pool_of_thread == this; }

// ---- from any thread

void process_pool::post(job_ptr job) {
  kernel::leave_if_not_serving();
  if (is_of_parent())
    throw std::runtime_error("this process pool belongs to the process that this one was forked from");
  if (job->call.arguments.size() > processes::largest_message / 2)
    throw codec_error("the arguments of one call are more than " + std::to_string(processes::largest_message / 2) +
                      " bytes");
  const std::scoped_lock hold(mutex_);
  if (!broken_.empty()) throw broken_process_pool(broken_);
  if (stopping_) throw std::runtime_error("cannot submit to a process pool after its shutdown");
  if (!idle_.empty()) return hand(std::move(job));
  if (lines_.size() < most_) start_line(job);
  if (job != nullptr) waiting_.push_back(std::move(job));
}

// Under the lock. Those that are there will do it, later, when no further one can be started.
void process_pool::start_line(job_ptr& job) {
  for (const auto& gone : parted_) gone->thread.join();  // past leave(), it takes no lock any more
  parted_.clear();
  auto fresh = std::make_unique<line>();
  try {
    fresh->wake_fd = kernel::make_wake_fd();
    lines_.reserve(lines_.size() + 1);
    idle_.reserve(lines_.size() + 1);                     // becoming idle cannot fail
    parted_.reserve(parted_.size() + lines_.size() + 1);  // nor can leaving
    fresh->thread = threads::start_thread("process-pool", [this, me = fresh.get()] { serve(*me); });
  } catch (const std::system_error&) {
    if (lines_.empty()) throw;
    return;
  }
  fresh->handed = std::move(job);
  lines_.push_back(std::move(fresh));
}

// Under the lock, and a line is idle.
void process_pool::hand(job_ptr job) {
  line* to = idle_.back();
  idle_.pop_back();
  to->idle = false;
  to->handed = std::move(job);
  kernel::write_wake_fd(to->wake_fd);
}

void process_pool::shutdown(bool wait, bool cancel_futures) {
  if (is_of_parent()) return;
  if (wait) refuse_self();
  std::deque<job_ptr> unwanted;
  {
    const std::scoped_lock hold(mutex_);
    stopping_ = true;
    if (cancel_futures) unwanted.swap(waiting_);
    wake_all();
  }
  for (const job_ptr& job : unwanted) job->cancel();
  if (wait) join();
}

void process_pool::refuse_self() const {
  if (runs_here())
    throw std::runtime_error(
        "a callback of a process pool's future cannot wait for that pool: it runs in the pool's thread");
}

void process_pool::wake_all() noexcept {
  for (const auto& each : lines_) kernel::write_wake_fd(each->wake_fd);
}

// Lines leave by themselves, to `parted_`; what is joined here is gone from there.
void process_pool::join() {
  const std::scoped_lock one_at_a_time(joining_);
  for (;;) {
    std::vector<std::unique_ptr<line>> ending;
    std::vector<std::thread*> threads;
    {
      const std::scoped_lock hold(mutex_);
      ending.swap(parted_);
      parted_.reserve(lines_.size());
      if (ending.empty() && lines_.empty()) return;
      if (ending.empty()) threads.push_back(&lines_.front()->thread);
    }
    for (const auto& each : ending)
      if (each->thread.joinable()) each->thread.join();
    for (std::thread* each : threads)
      if (each->joinable()) each->join();
  }
}

concurrent_future<void> process_pool::ended() {
  concurrent_promise<void> promise;
  concurrent_future<void> future = promise.get_future();
  promise.start();  // so that cancelling the future is not taken for an answer
  {
    const std::scoped_lock hold(mutex_);
    if (!lines_.empty()) {
      awaiting_end_.push_back(std::move(promise));
      return future;
    }
  }
  promise.set_result();
  return future;
}

// ---- a line's thread

void process_pool::serve(line& me) noexcept {
  pool_of_thread = this;
  while (job_ptr job = next(me))
    if (!run(me, std::move(job))) break;
  me.worker.see_off();
  leave(me);
}

/// Null: there will be none any more.
process_pool::job_ptr process_pool::next(line& me) {
  for (;;) {
    {
      const std::scoped_lock hold(mutex_);
      if (me.handed != nullptr) return std::move(me.handed);
      if (!me.idle && !waiting_.empty()) {
        job_ptr job = std::move(waiting_.front());
        waiting_.pop_front();
        return job;
      }
      if (stopping_ || !broken_.empty()) {
        std::erase(idle_, &me);
        me.idle = false;
        me.has_worker = false;  // not for a job that another line gives back
        return nullptr;
      }
      if (!me.idle) {
        me.idle = true;
        idle_.push_back(&me);
      }
    }
    sleep(me);
  }
}

void process_pool::sleep(line& me) {
  pollfd wanted[2] = {{me.wake_fd, POLLIN, 0}, {me.worker.socket(), POLLIN, 0}};
  const int n = kernel::sys::poll(static_cast<pollfd*>(wanted), me.worker.running() ? nfds_t{2} : nfds_t{1}, -1);
  if (n <= 0) return;
  if (wanted[0].revents != 0) {
    std::uint64_t count = 0;
    kernel::sys::read(me.wake_fd, static_cast<void*>(&count), sizeof count);
  }
  if (wanted[1].revents != 0) {  // nobody has asked it anything
    me.worker.end();
    note_worker(me, false);
  }
}

/// False: the line is to leave.
bool process_pool::run(line& me, job_ptr job) {
  if (!job->started && !job->start()) return true;
  job->started = true;
  for (;;) {
    message answer;
    talk outcome = talk::garbage;
    std::exception_ptr failed;
    try {
      if (!provide_worker(me, job)) return job != nullptr;
      outcome = me.worker.call(job->call, answer);
    } catch (...) {
      failed = std::current_exception();
    }
    if (failed != nullptr) {  // no memory, or no way for the function: the conversation may be half way through
      me.worker.end();
      note_worker(me, false);
      job->fail(std::move(failed));  // outside the handler, which would keep the exception beyond its new owner's time
      return true;
    }
    if (outcome == talk::done) {
      finish(me, *job, answer);
      return true;
    }
    const std::string how = me.worker.end();
    note_worker(me, false);
    if (outcome == talk::lost && ++job->losses < most_losses) continue;
    const char* when = outcome == talk::lost      ? " before it had read the task, as others did before: "
                       : outcome == talk::garbage ? " after it had answered with what is no answer: "
                                                  : " while it ran this task: ";
    job->fail(broken("a worker process ended" + (when + how)));
    return true;
  }
}

void process_pool::note_worker(line& me, bool there) {
  const std::scoped_lock hold(mutex_);
  me.has_worker = there;
  if (there) met_a_worker_ = true;
}

/// False: there is none; the job has failed, and is still here, or it was given to another line, and is not.
bool process_pool::provide_worker(line& me, job_ptr& job) {
  if (me.worker.running()) return true;
  for (;;) {
    using enum worker_process::beginning;
    const auto began = me.worker.start(initializer_ ? &*initializer_ : nullptr);
    if (began == ready) {
      note_worker(me, true);
      return true;
    }
    std::string why = me.worker.why();
    bool first = false;
    {
      const std::scoped_lock hold(mutex_);
      first = !met_a_worker_;
    }
    if (began == refused || (began == went_past && first)) {
      if (began == went_past)
        why += ". Does main() begin with: if (auto worker = asyncio::process_worker(argc, argv)) return *worker;";
      break_down(why);
      job->fail(broken(why));
      return false;
    }
    if (began == impossible && give_back(me, job)) return false;
    if (began == impossible || ++job->losses >= most_losses) {
      job->fail(broken(began == impossible ? "no worker process can be started: " + why : why));
      return false;
    }
  }
}

/// To a line that has a worker; false when there is none.
bool process_pool::give_back(line& me, job_ptr& job) {
  const std::scoped_lock hold(mutex_);
  const auto able = [&me](const auto& other) { return &*other != &me && other->has_worker; };
  if (std::ranges::none_of(lines_, able)) return false;
  const auto rested = std::ranges::find_if(idle_, able);
  if (rested == idle_.end()) {
    waiting_.push_front(std::move(job));  // those with a worker are busy, and look here next
  } else {
    std::iter_swap(rested, idle_.end() - 1);
    hand(std::move(job));
  }
  return true;
}

// A worker that has had its number of calls is seen off after the job is completed, and before the line is idle: no job
// waits for that while another line would have time.
void process_pool::finish(line& me, process_job& job, const message& answer) {
  std::exception_ptr failure;
  if (answer.kind == message_kind::failed) {
    try {
      decoder in(answer.view());
      failure = processes::read_exception(in);
    } catch (...) {
      failure = std::current_exception();
    }
  } else {
    job.read(answer.view());
  }
  const bool used_up = calls_per_worker_ && me.worker.calls() >= *calls_per_worker_;
  if (!used_up) become_idle(me);
  if (failure != nullptr)
    job.fail(std::move(failure));
  else
    job.complete();
  if (!used_up) return;
  me.worker.see_off();
  note_worker(me, false);
}

void process_pool::become_idle(line& me) {
  const std::scoped_lock hold(mutex_);
  if (!waiting_.empty() || stopping_ || !broken_.empty()) return;
  me.idle = true;
  idle_.push_back(&me);
}

void process_pool::break_down(const std::string& why) {
  std::deque<job_ptr> lost;
  {
    const std::scoped_lock hold(mutex_);
    if (broken_.empty()) broken_ = why;
    lost.swap(waiting_);
    wake_all();
  }
  for (const job_ptr& job : lost) fail(*job, broken(why));
}

void process_pool::leave(line& me) noexcept {
  std::vector<concurrent_promise<void>> told;
  {
    const std::scoped_lock hold(mutex_);
    const auto at = std::ranges::find(lines_, &me, [](const auto& each) { return each.get(); });
    parted_.push_back(std::move(*at));
    lines_.erase(at);
    if (lines_.empty()) told.swap(awaiting_end_);
  }
  for (auto& promise : told) promise.set_result();
}

}  // namespace asyncio::detail
