// SPDX-License-Identifier: BSL-1.0
#include "threads/worker_pool.hpp"

#include "threads/named_thread.hpp"

#include "kernel/process.hpp"

#include <asyncio/detail/inbox.hpp>

#include <algorithm>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace asyncio::threads {

namespace {

/// Whose thread this is.
thread_local const void* pool_of_thread = nullptr;

using job_ptr = std::unique_ptr<detail::job>;

}  // namespace

struct worker_pool::shared {
  struct worker {
    std::thread thread;
    std::string name;
    enum stage_t : std::uint8_t { at_rest, executes, finishes } stage = at_rest;
    const char* type_name = nullptr;  // of the job that it executes
    std::source_location where;
  };

  shared(std::string_view n, std::size_t most, naming h)
      : name(n.substr(0, 15)), most_threads(most), how(h), made_in(kernel::fork_count()) {}

  const std::string name;
  const std::size_t most_threads;
  const naming how;
  const unsigned made_in;    // the process; see kernel::fork_count()
  mutable std::mutex mutex;  // guards everything below
  std::condition_variable has_work, ended;
  std::deque<detail::job*> waiting;
  std::size_t idle = 0;
  std::size_t live = 0;  // threads that have not come to their end
  bool closing = false;
  bool abandoned = false;
  std::vector<std::pair<void (*)(void*) noexcept, void*>> then;  // who is to hear of the end
  std::vector<std::unique_ptr<worker>> workers;

  bool of_parent() const noexcept { return made_in != kernel::fork_count(); }
  void start_worker(const std::shared_ptr<shared>& self);
  void work(worker& me) noexcept;
  std::string name_of_next() const;
};

std::string worker_pool::shared::name_of_next() const {
  if (how == naming::all_alike) return name;
  return numbered_name(name, workers.size());
}

// Under the lock. Those that are there will do it, later, when no further one can be started.
void worker_pool::shared::start_worker(const std::shared_ptr<shared>& self) {
  try {
    workers.reserve(workers.size() + 1);
    auto fresh = std::make_unique<worker>();
    fresh->name = name_of_next();
    fresh->thread = start_thread(fresh->name, [keep = self, me = fresh.get()] { keep->work(*me); });
    workers.push_back(std::move(fresh));
    ++live;
  } catch (const std::system_error&) {
    if (workers.empty()) throw;
  } catch (const std::bad_alloc&) {
    if (workers.empty()) throw;
  }
}

// A thread counts as idle before it hands on what has come of its job: whoever hears of the end of one job and submits
// another finds a thread for it.
void worker_pool::shared::work(worker& me) noexcept {
  pool_of_thread = this;
  std::unique_lock hold(mutex);
  ++idle;
  while (true) {
    has_work.wait(hold, [this] { return closing || !waiting.empty(); });
    --idle;
    if (waiting.empty()) break;
    detail::job* next = waiting.front();
    waiting.pop_front();
    me.stage = worker::executes;
    me.type_name = next->type_name;
    me.where = next->where;
    hold.unlock();
    next->execute(next);
    hold.lock();
    me.stage = worker::finishes;
    ++idle;
    hold.unlock();
    next->finish(next);
    hold.lock();
    me.stage = worker::at_rest;
  }
  if (--live != 0) return;
  ended.notify_all();
  const auto told = std::exchange(then, {});
  hold.unlock();
  for (const auto& [call, context] : told) call(context);
}

worker_pool::worker_pool(std::string_view name, std::size_t most_threads, naming how) {
  if (most_threads == 0) throw std::invalid_argument("a pool needs at least one thread");
  detail::inbox::watch_forks();
  shared_ = std::make_shared<shared>(name, most_threads, how);
}

worker_pool::~worker_pool() {
  close(false);
  try {
    join();
  } catch (const std::runtime_error&) {  // the last handle of the pool went in one of its own threads
    abandon();
  }
}

void worker_pool::post(job_ptr& work) {
  shared& pool = *shared_;
  if (pool.of_parent()) throw std::runtime_error("the thread pool belongs to the process that forked this one");
  const std::scoped_lock hold(pool.mutex);
  if (pool.closing) throw std::runtime_error("cannot submit a job after shutdown");
  pool.waiting.push_back(work.get());
  try {
    if (pool.idle < pool.waiting.size() && pool.workers.size() < pool.most_threads) pool.start_worker(shared_);
  } catch (...) {
    pool.waiting.pop_back();
    throw;
  }
  work.release();
  pool.has_work.notify_one();
}

job_ptr worker_pool::take_back(const detail::job& work) noexcept {
  const std::scoped_lock hold(shared_->mutex);
  const auto at = std::ranges::find(shared_->waiting, &work);
  if (at == shared_->waiting.end()) return nullptr;
  job_ptr taken(*at);
  shared_->waiting.erase(at);
  return taken;
}

void worker_pool::close(bool drop_queued) noexcept {
  if (shared_->of_parent()) return;
  std::deque<detail::job*> dropped;
  {
    const std::scoped_lock hold(shared_->mutex);
    shared_->closing = true;
    if (drop_queued) dropped.swap(shared_->waiting);
  }
  shared_->has_work.notify_all();
  for (detail::job* work : dropped) const job_ptr end(work);
}

void worker_pool::when_ended(void (*then)(void*) noexcept, void* context) {
  {
    const std::scoped_lock hold(shared_->mutex);
    if (shared_->live != 0) return void(shared_->then.emplace_back(then, context));
  }
  then(context);
}

void worker_pool::join() {
  shared& pool = *shared_;
  if (pool.of_parent()) return abandon();
  if (pool_of_thread == &pool) throw std::runtime_error("a thread of the pool cannot wait for the pool's end");
  std::vector<std::unique_ptr<shared::worker>> ending;
  {
    std::unique_lock hold(pool.mutex);
    if (pool.abandoned) return;
    ending.swap(pool.workers);
    pool.ended.wait(hold, [&pool] { return pool.live == 0; });
  }
  for (const auto& w : ending) w->thread.join();
}

// A thread reads its worker to its end: so they stay with the threads. In a forked child there are none, and nothing may
// be asked about them: their handles are forgotten as they are.
void worker_pool::abandon() noexcept {
  const bool of_parent = shared_->of_parent();
  std::unique_lock hold(shared_->mutex, std::defer_lock);
  if (!of_parent) hold.lock();
  shared_->abandoned = true;
  for (const auto& w : shared_->workers) {
    if (of_parent)
      ::new (static_cast<void*>(&w->thread)) std::thread;
    else if (w->thread.joinable())
      w->thread.detach();
  }
}

bool worker_pool::busy() const {
  const std::scoped_lock hold(shared_->mutex);
  const auto works = [](const auto& w) { return w->stage != shared::worker::at_rest; };
  return !shared_->waiting.empty() || std::ranges::any_of(shared_->workers, works);
}

std::vector<worker_pool::running_job> worker_pool::running() const {
  const std::scoped_lock hold(shared_->mutex);
  std::vector<running_job> found;
  for (const auto& w : shared_->workers)
    if (w->stage == shared::worker::executes) found.push_back({w->name, w->type_name, w->where});
  return found;
}

std::size_t worker_pool::most_threads() const noexcept { return shared_->most_threads; }

std::size_t worker_pool::thread_count() const {
  const std::scoped_lock hold(shared_->mutex);
  return shared_->workers.size();
}

std::size_t worker_pool::waiting_jobs() const {
  const std::scoped_lock hold(shared_->mutex);
  return shared_->waiting.size();
}

}  // namespace asyncio::threads
