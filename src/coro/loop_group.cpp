// SPDX-License-Identifier: BSL-1.0
// Threads with a loop each.
//
// Each thread runs a runner, whose main coroutine waits to be stopped; all else is tasks beside it. So the end of a thread
// is the end of run(): what is left is cancelled and waited for, generators are closed, and then the loop.
//
// The end, under the lock: no loop is stopped before the group is closing and nobody is inside submit(); then each as soon
// as the last task that was submitted to it has ended, or at once when everything is to be cancelled. A ticket goes with
// the frame of such a task, wherever that dies: at its end, or unstarted in a loop that closes.
//
// Where threads meet:
//
//  1. submit() against shutdown(). The lock decides: refused, or counted. While it is counted as inside, no loop is
//     stopped, so the door that it posts to is open.
//  2. The last ticket of a loop against shutdown(). Each looks at the other's mark under the lock; one of them, or both,
//     finds that the loop may stop, and `stop_sent` lets one through.
//  3. The last thread's end against shutdown() and aclose(). The promise of the end is kept by the thread as the last
//     thing it does but for leaving; who waits for it joins the threads then.
#include <asyncio/loop_group.hpp>

#include "coro/coro.hpp"
#include "io/io.hpp"
#include "threads/named_thread.hpp"

#include <asyncio/run.hpp>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::detail {

namespace {
thread_local const loop_group_core* group_of_thread = nullptr;
}  // namespace

/// References have: the group's object, each of its threads, each ticket.
class loop_group_core final : public io::counted {
 public:
  explicit loop_group_core(const loop_group_options& options);

  /// Starts the threads. Errors: what starting one throws, or making its loop; then all are gone.
  void start();
  /// Errors: std::runtime_error, std::out_of_range. The loop's number, with a ticket taken.
  std::size_t enter(std::size_t at);
  void leave() noexcept;
  void drop_ticket(std::size_t at) noexcept;

  /// Takes nothing more; the threads end when they may.
  void begin_end(bool cancel_tasks) noexcept;
  concurrent_future<> ended() const noexcept { return ended_; }
  /// After they have ended.
  void join() noexcept;
  void let_go() noexcept;
  /// Errors: std::runtime_error in one of the group's threads.
  void check_outside(const char* call) const;
  bool is_mine() const noexcept { return group_of_thread == this; }

  std::size_t size() const noexcept { return members_.size(); }
  event_loop& loop(std::size_t at) const;
  event_loop& entered_loop(std::size_t at) const noexcept { return *members_[at]->loop; }
  std::size_t pending() const noexcept;
  std::size_t pending(std::size_t at) const;

 private:
  struct member : op {
    std::thread thread;
    event_loop* loop = nullptr;  // while its thread runs
    std::exception_ptr failed;   // making it
    std::size_t tickets = 0;
    bool made = false;
    bool stop_sent = false;
    bool stopped = false;  // this and the next: the loop's thread
    future<>* waiting = nullptr;
  };

  ~loop_group_core() override = default;
  member& member_at(std::size_t at) const;
  std::size_t least_busy() noexcept;
  bool may_stop(const member& m) const noexcept {
    return closing_ && inside_ == 0 && m.made && !m.stop_sent && (cancelling_ || m.tickets == 0);
  }
  void stop_those_that_may() noexcept;
  void run(member& m) noexcept;
  void run_tasks(member& m, runner& r) noexcept;
  static coroutine<> until_stopped(member& m);
  static void stop(op* self) noexcept;

  const std::string name_;
  const run_options loop_options_;
  std::vector<std::unique_ptr<member>> members_;
  concurrent_promise<void> end_;
  const concurrent_future<> ended_ = end_.get_future();
  std::mutex join_mutex_;
  mutable std::mutex mutex_;  // guards what follows, and the members' parts that are not their loop's
  std::condition_variable made_;
  std::size_t next_ = 0;    // where the search for the least busy begins
  std::size_t inside_ = 0;  // threads in submit()
  std::size_t live_ = 0;    // threads that have not come to their end
  bool closing_ = false;
  bool cancelling_ = false;
};

loop_group_core::loop_group_core(const loop_group_options& options) : name_(options.name), loop_options_(options.loop) {
  static_cast<void>(end_.start());  // from here on nobody can cancel it
  std::size_t threads = options.threads;
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  members_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    members_.push_back(std::make_unique<member>());
    members_.back()->done = &loop_group_core::stop;
  }
}

void loop_group_core::start() {
  std::exception_ptr failed;
  for (std::size_t i = 0; i < members_.size() && failed == nullptr; ++i) {
    member& m = *members_[i];
    {
      const std::scoped_lock hold(mutex_);
      ++live_;
    }
    retain();
    try {
      m.thread = threads::start_thread(threads::numbered_name(name_, i), [this, &m] { run(m); });
    } catch (...) {
      failed = std::current_exception();
      release();
      const std::scoped_lock hold(mutex_);
      --live_;
    }
  }
  std::unique_lock hold(mutex_);
  for (const auto& m : members_) {
    if (!m->thread.joinable()) continue;
    made_.wait(hold, [&m] { return m->made || m->failed != nullptr; });
    if (failed == nullptr) failed = m->failed;
  }
  if (failed == nullptr) return;
  hold.unlock();
  begin_end(true);
  join();
  std::rethrow_exception(failed);
}

// ---- submitting

loop_group_core::member& loop_group_core::member_at(std::size_t at) const {
  if (at >= members_.size())
    throw std::out_of_range("this loop_group has " + std::to_string(members_.size()) + " loops, and no number " +
                            std::to_string(at));
  return *members_[at];
}

event_loop& loop_group_core::loop(std::size_t at) const {
  const member& m = member_at(at);
  const std::scoped_lock hold(mutex_);
  if (m.loop == nullptr) throw std::runtime_error("this loop of the loop_group is closed");
  return *m.loop;
}

std::size_t loop_group_core::least_busy() noexcept {
  const std::size_t n = members_.size();
  std::size_t best = next_;
  for (std::size_t i = 1; i < n; ++i) {
    const std::size_t at = (next_ + i) % n;
    if (members_[at]->tickets < members_[best]->tickets) best = at;
  }
  next_ = (best + 1) % n;
  return best;
}

std::size_t loop_group_core::enter(std::size_t at) {
  if (at != group_entry::least_busy) static_cast<void>(member_at(at));
  const std::scoped_lock hold(mutex_);
  if (closing_) throw std::runtime_error("the loop_group is shut down");
  if (at == group_entry::least_busy) at = least_busy();
  ++inside_;
  ++members_[at]->tickets;
  retain();
  return at;
}

void loop_group_core::leave() noexcept {
  const std::scoped_lock hold(mutex_);
  --inside_;
  stop_those_that_may();
}

void loop_group_core::drop_ticket(std::size_t at) noexcept {
  {
    const std::scoped_lock hold(mutex_);
    --members_[at]->tickets;
    stop_those_that_may();
  }
  release();
}

std::size_t loop_group_core::pending() const noexcept {
  const std::scoped_lock hold(mutex_);
  std::size_t sum = 0;
  for (const auto& m : members_) sum += m->tickets;
  return sum;
}

std::size_t loop_group_core::pending(std::size_t at) const {
  const member& m = member_at(at);
  const std::scoped_lock hold(mutex_);
  return m.tickets;
}

// ---- a thread's life

void loop_group_core::run(member& m) noexcept {
  group_of_thread = this;
  {
    runner r(loop_options_);
    event_loop* loop = nullptr;
    std::exception_ptr failed;
    try {
      loop = &r.get_loop();
    } catch (...) {
      failed = std::current_exception();
    }
    {
      const std::scoped_lock hold(mutex_);
      m.loop = loop;
      m.failed = failed;
      m.made = loop != nullptr;
      stop_those_that_may();
      made_.notify_all();
    }
    if (loop != nullptr) run_tasks(m, r);
  }
  bool last = false;
  {
    const std::scoped_lock hold(mutex_);
    last = --live_ == 0 && closing_;
  }
  if (last) end_.set_result();
  group_of_thread = nullptr;
  release();
}

// What leaves the loop, a keyboard_interrupt of a task or its like, is reported and ends nothing; nor does somebody who
// cancels all of the loop's tasks.
void loop_group_core::run_tasks(member& m, runner& r) noexcept {
  while (!m.stopped) {
    try {
      r.run(until_stopped(m));
    } catch (const cancelled_error&) {
    } catch (...) {
      coro::report(m.loop, "exception out of a loop of a loop_group", std::current_exception());
    }
  }
  {
    const std::scoped_lock hold(mutex_);
    m.loop = nullptr;
  }
  r.close_after_failure();  // in no main thread: nothing but a failure to close can come of it, which is reported
}

coroutine<> loop_group_core::until_stopped(member& m) {
  future<> stopped(get_running_loop());
  m.waiting = &stopped;
  try {
    if (!m.stopped) co_await stopped;
  } catch (...) {
    m.waiting = nullptr;
    throw;
  }
  m.waiting = nullptr;
}

void loop_group_core::stop(op* self) noexcept {
  auto* m = static_cast<member*>(self);
  m->stopped = true;
  if (m->waiting != nullptr && !m->waiting->done()) m->waiting->set_result();
}

// ---- the end

// Under the lock.
void loop_group_core::stop_those_that_may() noexcept {
  if (!closing_) return;
  for (const auto& m : members_) {
    if (!may_stop(*m)) continue;
    m->stop_sent = true;
    inbox& home = m->loop->core().box();
    if (home.owned_here())
      home.loop()->post(m.get());
    else
      home.post(m.get());
  }
}

void loop_group_core::begin_end(bool cancel_tasks) noexcept {
  const std::scoped_lock hold(mutex_);
  closing_ = true;
  cancelling_ = cancelling_ || cancel_tasks;
  stop_those_that_may();
}

void loop_group_core::join() noexcept {
  const std::scoped_lock one_at_a_time(join_mutex_);
  for (const auto& m : members_)
    if (m->thread.joinable()) m->thread.join();
}

void loop_group_core::let_go() noexcept {
  for (const auto& m : members_)
    if (m->thread.joinable()) m->thread.detach();
}

void loop_group_core::check_outside(const char* call) const {
  if (is_mine()) throw std::runtime_error(std::string(call) + " in a thread of that group would wait for itself");
}

// ---- the public face's helpers

group_ticket::~group_ticket() {
  if (core_ != nullptr) core_->drop_ticket(at_);
}

group_entry::group_entry(loop_group_core* core, std::size_t at) : core_(core), ticket_(core), at_(core->enter(at)) {}
group_entry::~group_entry() {
  static_cast<void>(take_ticket());  // when no coroutine has it
  core_->leave();
}
event_loop& group_entry::loop() const noexcept { return core_->entered_loop(at_); }

void report_unretrieved_in_group(const std::exception_ptr& error) noexcept {
  coro::report(nullptr, "the exception of something submitted to a loop_group was never retrieved", error);
}

}  // namespace asyncio::detail

namespace asyncio {

loop_group::loop_group(loop_group_options options) : core_(new detail::loop_group_core(options)) {
  try {
    core_->start();
  } catch (...) {
    core_->release();
    throw;
  }
}

loop_group::~loop_group() {
  if (core_ == nullptr) return;
  const bool mine = core_->is_mine();
  core_->begin_end(mine || std::uncaught_exceptions() > 0);
  if (mine)
    core_->let_go();
  else
    core_->join();
  core_->release();
}

event_loop& loop_group::loop(std::size_t index) const { return core_->loop(index); }
std::size_t loop_group::size() const noexcept { return core_->size(); }
std::size_t loop_group::pending() const noexcept { return core_->pending(); }
std::size_t loop_group::pending(std::size_t index) const { return core_->pending(index); }

void loop_group::shutdown(bool cancel_tasks) {
  core_->check_outside("loop_group.shutdown()");
  if (detail::here.loop != nullptr)
    throw std::runtime_error(
        "loop_group.shutdown() would block the event loop that runs in this thread: co_await aclose()");
  core_->begin_end(cancel_tasks);
  core_->join();
}

coroutine<> loop_group::aclose(bool cancel_tasks) {
  core_->check_outside("loop_group.aclose()");
  core_->begin_end(cancel_tasks);
  const concurrent_future<> ended = core_->ended();
  std::exception_ptr cancelled;
  while (!ended.done()) {
    try {
      co_await ended;
    } catch (const cancelled_error&) {
      cancelled = std::current_exception();
    }
    if (cancelled != nullptr) core_->begin_end(true);
  }
  core_->join();  // they are on their way out
  if (cancelled != nullptr) std::rethrow_exception(cancelled);
}

coroutine<> loop_group::aenter() { co_return; }
coroutine<> loop_group::aexit(std::exception_ptr error) { co_await aclose(error != nullptr); }

}  // namespace asyncio
