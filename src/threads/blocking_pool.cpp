// SPDX-License-Identifier: BSL-1.0
#include "threads/blocking_pool.hpp"

#include "kernel/sys.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <pthread.h>

namespace asyncio::threads {

namespace {

/// Blocks every signal while a thread is started, so that it is born deaf to them: they belong to the loops' threads.
class signals_blocked {
 public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    kernel::sys::set_signal_mask(SIG_SETMASK, &all, &before_);
  }
  ~signals_blocked() { kernel::sys::set_signal_mask(SIG_SETMASK, &before_, static_cast<sigset_t*>(nullptr)); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

blocking_pool::blocking_pool(std::string name, std::size_t most_threads)
    : name_(name.substr(0, 15)), most_threads_(most_threads) {
  if (most_threads == 0) throw std::invalid_argument("a pool needs at least one thread");
}

blocking_pool::~blocking_pool() { shutdown(); }

void blocking_pool::submit(job& work, detail::inbox& home) {
  std::scoped_lock hold(mutex_);
  if (stopping_) throw std::runtime_error("cannot submit a job after shutdown");
  if (idle_ <= waiting_.size() && threads_.size() < most_threads_) start_thread();
  waiting_.push_back(&work);
  work.done = &blocking_pool::deliver;
  work.home = &home;
  home.add_user();
  if (detail::loop_core* loop = home.loop()) loop->expect_post();
  has_work_.notify_one();
}

void blocking_pool::start_thread() {
  try {
    threads_.reserve(threads_.size() + 1);
    const signals_blocked deaf;
    threads_.emplace_back([this] { this->work(); });
    pthread_setname_np(threads_.back().native_handle(), name_.c_str());
  } catch (const std::system_error&) {
    if (threads_.empty()) throw;  // those that are there will do it, later
  }
}

bool blocking_pool::cancel(job& work) noexcept {
  {
    std::scoped_lock hold(mutex_);
    const auto at = std::ranges::find(waiting_, &work);
    if (at == waiting_.end()) return false;
    waiting_.erase(at);
  }
  leave(work);
  return true;
}

void blocking_pool::shutdown() noexcept {
  std::vector<std::thread> threads;
  {
    std::scoped_lock hold(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  has_work_.notify_all();
  for (std::thread& t : threads) t.join();
}

std::size_t blocking_pool::thread_count() const {
  std::scoped_lock hold(mutex_);
  return threads_.size();
}

std::size_t blocking_pool::waiting_jobs() const {
  std::scoped_lock hold(mutex_);
  return waiting_.size();
}

// A thread counts as idle before it hands its job back: whoever hears of the end of one job and submits another finds a
// thread for it.
void blocking_pool::work() noexcept {
  std::unique_lock hold(mutex_);
  ++idle_;
  while (true) {
    has_work_.wait(hold, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    job* next = waiting_.front();
    waiting_.pop_front();
    hold.unlock();
    const bool run = !next->home->closed();
    if (run) next->run(next);
    hold.lock();
    ++idle_;
    hold.unlock();
    hand_back(next, run);
    hold.lock();
  }
}

void blocking_pool::hand_back(job* work, bool was_run) noexcept {
  detail::inbox* home = work->home;
  if (was_run && home->post(work)) return;
  work->dropped(work);
  home->drop_user();
}

// An inbox with an owner is counted by its owner's thread alone: so the job leaves it here.
void blocking_pool::deliver(op* self) noexcept {
  auto* work = static_cast<job*>(self);
  leave(*work);
  work->finished(work);
}

void blocking_pool::leave(job& work) noexcept {
  if (detail::loop_core* loop = work.home->loop()) loop->post_came();
  work.home->drop_user();
}

}  // namespace asyncio::threads
