// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/future_core.hpp>
#include <asyncio/detail/inbox.hpp>

#include "kernel/process.hpp"
#include "kernel/signals.hpp"

#include <mutex>
#include <thread>

namespace asyncio::detail {

constinit thread_local thread_state here{};

namespace {
op closed_op;
}  // namespace

thread_state inbox::of_parent{};

/// All inboxes, so that a forked child can disown them.
struct inbox::registry {
  std::mutex mutex;
  inbox* first = nullptr;
  std::uint64_t numbers = 0;
};

// Never destroyed: loops of static storage may outlive it otherwise.
inbox::registry& inbox::all() noexcept {
  static registry& all = *new registry;
  return all;
}

// The child has the forking thread alone, and is not the loop's process: its loop, task and signals are the parent's.
void inbox::forget_all() noexcept {
  for (inbox* box = all().first; box != nullptr; box = box->next_)
    if (!box->closed()) {
      box->sum_up_users();
      box->owner_.store(&of_parent, order::release);
    }
  here = {};
  kernel::forget_signals();
  all().mutex.unlock();
}

void inbox::watch_forks() {
  [[maybe_unused]] static const bool watched = [] {
    kernel::around_fork([] { all().mutex.lock(); }, [] { all().mutex.unlock(); }, &inbox::forget_all);
    return true;
  }();
}

op* inbox::closed_mark() noexcept { return &closed_op; }

inbox::inbox(loop_core& loop, int wake_fd, void (*wake)(int) noexcept, void (*close_fd)(int) noexcept) noexcept
    : owner_(&here), loop_(&loop), wake_fd_(wake_fd), wake_(wake), close_fd_(close_fd) {
  add_user_of_owner();
  drop_op_.done = &inbox::take_back_dropped;
  drop_op_.box = this;
  take_ownership();
  const std::scoped_lock hold(all().mutex);
  number_ = ++all().numbers;
  next_ = all().first;
  if (next_ != nullptr) next_->prev_ = this;
  all().first = this;
}

inbox::~inbox() {
  // A poster whose op was already run may still be on its way out of post().
  while (posting_.load(order::acquire) != 0) std::this_thread::yield();
  close_fd_(wake_fd_);
  const std::scoped_lock hold(all().mutex);
  (prev_ != nullptr ? prev_->next_ : all().first) = next_;
  if (next_ != nullptr) next_->prev_ = prev_;
}

inbox::census inbox::count_after(std::uint64_t number) noexcept {
  census found;
  const std::scoped_lock hold(all().mutex);
  for (inbox* box = all().first; box != nullptr && box->number_ > number; box = box->next_) {
    const auto users = [box](user_kind kind) { return box->count_of(kind).load(order::relaxed); };
    const std::size_t itself = box->closed() ? 0 : 1;
    ++found.loops;
    found.open += itself;
    found.tasks += users(user_kind::task);
    found.futures += users(user_kind::future);
    found.callbacks += users(user_kind::callback);
    found.others += users(user_kind::other) - itself;
  }
  return found;
}

bool inbox::owns_descriptor(int fd) noexcept {
  const std::scoped_lock hold(all().mutex);
  for (const inbox* box = all().first; box != nullptr; box = box->next_)
    if (box->wake_fd_ == fd) return true;
  return false;
}

std::uint64_t inbox::last_number() noexcept {
  const std::scoped_lock hold(all().mutex);
  return all().numbers;
}

int inbox::thread_of(std::uint64_t number) noexcept {
  const std::scoped_lock hold(all().mutex);
  for (const inbox* box = all().first; box != nullptr; box = box->next_)
    if (box->number_ == number) return box->closed() || box->forked() ? 0 : box->owner_thread_.load(order::relaxed);
  return 0;
}

bool inbox::post(op* node) noexcept {
  posting_.fetch_add(1, order::relaxed);
  bool taken = true;
  op* head = head_.load(order::acquire);
  do {
    if (head == closed_mark()) {
      taken = false;
      break;
    }
    node->next = head;
  } while (!head_.compare_exchange_weak(head, node, order::seq_cst, order::acquire));
  if (taken) wake();
  posting_.fetch_sub(1, order::release);
  return taken;
}

void inbox::wake() noexcept {
  if (sleeping_.load(order::seq_cst) && sleeping_.exchange(false, order::seq_cst)) wake_(wake_fd_);
}

void inbox::hand_over(future_core* core) noexcept {
  future_core* first = dropped_.load(order::relaxed);
  do {
    core->next_dropped = first;
  } while (!dropped_.compare_exchange_weak(first, core, order::seq_cst, order::relaxed));
  // Every change from empty to non-empty posts drop_op_ once, and every run of drop_op_ empties the list once: so only
  // the thread that found it empty posts, and its core stays listed (and the inbox alive) until that post is in.
  if (first == nullptr && !post(&drop_op_)) take_back_dropped(&drop_op_);
}

void inbox::take_back_dropped(op* self) noexcept {
  inbox* box = static_cast<drop_op*>(self)->box;
  future_core* core = box->dropped_.exchange(nullptr, order::seq_cst);
  while (core != nullptr) {
    future_core* next = core->next_dropped;
    core->take_back();
    core = next;
  }
}

void inbox::drain(op_queue& to) noexcept {
  op* newest = head_.exchange(nullptr, order::acquire);
  op* oldest_first = nullptr;
  while (newest != nullptr) {
    op* older = newest->next;
    newest->next = oldest_first;
    oldest_first = newest;
    newest = older;
  }
  while (oldest_first != nullptr) {
    op* next = oldest_first->next;
    to.push(oldest_first);
    oldest_first = next;
  }
}

bool inbox::begin_sleep() noexcept {
  sleeping_.store(true, order::seq_cst);
  if (head_.load(order::seq_cst) == nullptr) return true;
  sleeping_.store(false, order::relaxed);
  return false;
}

void inbox::close(op_queue& rest) noexcept {
  loop_ = nullptr;
  sum_up_users();
  owner_.store(nullptr, order::release);
  op* newest = head_.exchange(closed_mark(), order::acq_rel);
  op_queue reversed;
  while (newest != nullptr && newest != closed_mark()) {
    op* older = newest->next;
    reversed.push(newest);
    newest = older;
  }
  op* oldest_first = nullptr;
  while (op* node = reversed.pop()) {
    node->next = oldest_first;
    oldest_first = node;
  }
  while (oldest_first != nullptr) {
    op* next = oldest_first->next;
    rest.push(oldest_first);
    oldest_first = next;
  }
}

void inbox::sum_up_users() noexcept {
  std::size_t sum = 0;
  for (const user_count& of_kind : users_) sum += of_kind.load(order::relaxed);
  all_users_.store(sum, order::relaxed);
}

void inbox::add_user_of_closed(user_kind kind) noexcept {
  count_of(kind).fetch_add(1, order::relaxed);
  all_users_.fetch_add(1, order::relaxed);
}

void inbox::drop_user_of_closed(user_kind kind) noexcept {
  count_of(kind).fetch_sub(1, order::relaxed);
  if (all_users_.fetch_sub(1, order::acq_rel) == 1) delete this;
}

}  // namespace asyncio::detail
