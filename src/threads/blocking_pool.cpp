// SPDX-License-Identifier: BSL-1.0
#include "threads/blocking_pool.hpp"

#include <memory>

namespace asyncio::threads {

blocking_pool::blocking_pool(std::string_view name, std::size_t most_threads)
    : pool_(name, most_threads, worker_pool::naming::all_alike) {}

// Nobody drops a job: shutdown() lets all of them run.
void blocking_pool::submit(job& work, detail::inbox& home) {
  work.done = &blocking_pool::deliver;
  work.home = &home;
  work.was_run_ = false;
  work.ticket_.owner = &work;
  work.ticket_.execute = &blocking_pool::execute;
  work.ticket_.finish = &blocking_pool::hand_back;
  work.ticket_.drop = &blocking_pool::hand_back;
  home.add_user();
  if (detail::loop_core* loop = home.loop()) {
    loop->expect_post();
    if (work.holds_end) loop->hold_end();
  }
  std::unique_ptr<detail::job> owned(&work.ticket_);
  try {
    pool_.post(owned);
  } catch (...) {
    owned.release();
    leave(work);
    throw;
  }
}

bool blocking_pool::cancel(job& work) noexcept {
  std::unique_ptr<detail::job> taken = pool_.take_back(work.ticket_);
  if (taken == nullptr) return false;
  taken.release();
  leave(work);
  return true;
}

void blocking_pool::shutdown() noexcept {
  pool_.close(false);
  pool_.join();
}

void blocking_pool::execute(detail::job* self) noexcept {
  job* work = static_cast<job::ticket*>(self)->owner;
  work->was_run_ = !work->home->closed();
  if (work->was_run_) work->run(work);
}

void blocking_pool::hand_back(detail::job* self) noexcept {
  job* work = static_cast<job::ticket*>(self)->owner;
  detail::inbox* home = work->home;
  if (work->was_run_ && home->post(work)) return;
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
  if (detail::loop_core* loop = work.home->loop()) {
    loop->post_came();
    if (work.holds_end) loop->free_end();
  }
  work.home->drop_user();
}

}  // namespace asyncio::threads
