// SPDX-License-Identifier: BSL-1.0
// A channel between loops and threads.
//
// One lock for each channel guards its items and its two lines, of who puts and of who gets. Whatever changes them ends with
// match(), so that at rest this holds:
//
//   - who gets waits only while there is no item, who puts only while there is no room;
//   - nobody overtakes: a newcomer is served at once only when its line is empty.
//
// A waiter's way, each step under the lock:
//
//     idle → waiting ──────────→ served ──its op runs──→ over      (a thread: when it sees it)
//               └──cancel, timeout────────────────────→ over
//
// Serving hands the item over, pointer for pointer, and then wakes: so an item is always in one place, and who is served
// cannot be robbed. A task is woken by its own op, which is posted to its loop after the lock was let go.
//
// Where two threads meet:
//
//  1. Served against cancelled. The lock decides. Cancelled first: it has left the line, and the item goes to the next.
//     Served first: cancel() answers that the result is there; it is delivered, and the request comes at the next
//     suspension. In between there is nothing.
//  2. Served against the end of the waiter's loop. close() cancels the task, which is 1, and runs the loop until the task is
//     done. A task that was served is not done before its op has run: so for the thread that is about to post, its frame,
//     its loop and the inbox are there. After the post none of them may be.
//  3. Two that put and one place, two that get and one item: the lock decides who is first in line.
//  4. shutdown() against try_put(), which has taken a place and makes its item outside the lock. That counts as an item
//     that is there: who gets waits for it, and hears of the end only when the place was given back.
//  5. The last handle goes while somebody waits. That is a shutdown; the waiters' operations hold references of their own.
//  6. A thread's timeout against being served: it looks at its place under the lock before it gives up.
#include <asyncio/channel.hpp>

#include "base/clock.hpp"
#include "coro/coro.hpp"
#include "loop/loop.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>

namespace asyncio::detail {

namespace {

using place = channel_waiter::place;

/// First come, first served.
class waiting_line {
 public:
  channel_waiter* first() const noexcept { return first_; }
  bool empty() const noexcept { return first_ == nullptr; }
  void push(channel_waiter& w) noexcept {
    w.before = last_;
    w.behind = nullptr;
    (last_ != nullptr ? last_->behind : first_) = &w;
    last_ = &w;
  }
  void remove(channel_waiter& w) noexcept {
    (w.before != nullptr ? w.before->behind : first_) = w.behind;
    (w.behind != nullptr ? w.behind->before : last_) = w.before;
    w.before = w.behind = nullptr;
  }

 private:
  channel_waiter* first_ = nullptr;
  channel_waiter* last_ = nullptr;
};

/// The items that are there, oldest first.
class item_list {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  void push_back(channel_item* item) noexcept {
    item->next = nullptr;
    (first_ != nullptr ? last_->next : first_) = item;
    last_ = item;
    ++size_;
  }
  void push_front(channel_item* item) noexcept {
    if (first_ == nullptr) last_ = item;
    item->next = first_;
    first_ = item;
    ++size_;
  }
  channel_item* pop() noexcept {
    channel_item* item = first_;
    first_ = item->next;
    --size_;
    return item;
  }

 private:
  channel_item* first_ = nullptr;
  channel_item* last_ = nullptr;
  std::size_t size_ = 0;
};

/// A thread that blocks; lives on its stack. Whoever serves it notifies it under the lock, so that it cannot be gone then.
struct blocked_thread : channel_waiter {
  blocked_thread() noexcept { is_thread = true; }
  std::condition_variable served;
};

}  // namespace

class channel_core {
 public:
  channel_core(std::size_t maxsize, drop_channel_item drop) noexcept : maxsize_(maxsize), drop_(drop) {}
  channel_core(const channel_core&) = delete;
  channel_core& operator=(const channel_core&) = delete;

  void retain() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // All handles together have one of the references.
  void retain_handle() noexcept { handles_.fetch_add(1, std::memory_order_relaxed); }
  void release_handle() noexcept {
    if (handles_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    shutdown(false);
    release();
  }

  bool reserve() noexcept;
  void put_reserved(channel_item* item) noexcept;
  void unreserve() noexcept;
  channel_item* take() noexcept;
  void give_back(channel_item* item) noexcept;
  void drop(channel_item* item) const noexcept { drop_(item); }

  void put_blocking(channel_item* item, std::optional<timedelta> timeout);
  channel_item* take_blocking(std::optional<timedelta> timeout);
  void shutdown(bool immediate) noexcept;

  /// Serves a task at once, if it need not wait.
  bool try_at_once(channel_wait& w) noexcept;
  /// The same, or else the task waits from now on. True: it waits.
  bool wait_in_line(channel_wait& w) noexcept;
  /// Takes a task out of its line. False: it was served.
  bool leave(channel_wait& w) noexcept;

  std::size_t size() const noexcept {
    const std::scoped_lock hold(mutex_);
    return items_.size();
  }
  bool full() const noexcept {
    const std::scoped_lock hold(mutex_);
    return !has_room();
  }
  std::size_t maxsize() const noexcept { return maxsize_; }

 private:
  /// Tasks that were served under the lock, to be woken without it.
  class woken {
   public:
    void add(channel_waiter& w) noexcept {
      w.before = nullptr;
      w.behind = nullptr;
      (last_ != nullptr ? last_->behind : first_) = &w;
      last_ = &w;
    }
    void wake_all() noexcept;

   private:
    channel_waiter* first_ = nullptr;
    channel_waiter* last_ = nullptr;
  };

  ~channel_core() {
    while (!items_.empty()) drop_(items_.pop());
  }
  bool has_room() const noexcept { return items_.size() + reserved_ < maxsize_; }
  bool is_over() const noexcept { return shut_ && items_.empty() && reserved_ == 0; }
  bool serve_at_once(channel_waiter& w, bool puts, woken& list) noexcept;
  void match(woken& list) noexcept;
  static void serve(waiting_line& line, woken& list, bool refused) noexcept;
  void block(std::unique_lock<std::mutex>& hold, blocked_thread& me, waiting_line& line,
             std::optional<timedelta> timeout);

  mutable std::mutex mutex_;  // guards the items, the lines, and what stands in them
  item_list items_;
  waiting_line putters_;
  waiting_line getters_;
  std::size_t reserved_ = 0;  // places of items that are being made
  bool shut_ = false;
  bool thrown_away_ = false;  // shut down at once
  const std::size_t maxsize_;
  const drop_channel_item drop_;
  std::atomic<std::size_t> refs_{1};
  std::atomic<std::size_t> handles_{1};
};

// ---- under the lock

void channel_core::serve(waiting_line& line, woken& list, bool refused) noexcept {
  channel_waiter& w = *line.first();
  line.remove(w);
  w.refused = refused;
  w.where = place::served;
  if (w.is_thread)
    static_cast<blocked_thread&>(w).served.notify_one();
  else
    list.add(w);
}

// Brings together what belongs together, until everybody who waits has to.
void channel_core::match(woken& list) noexcept {
  while (true) {
    if (!getters_.empty() && !items_.empty()) {
      getters_.first()->item = items_.pop();
      serve(getters_, list, false);
    } else if (!putters_.empty() && has_room()) {
      items_.push_back(std::exchange(putters_.first()->item, nullptr));
      serve(putters_, list, false);
    } else {
      break;
    }
  }
  if (!shut_) return;
  while (!putters_.empty()) serve(putters_, list, true);
  while (!getters_.empty() && is_over()) serve(getters_, list, true);
}

bool channel_core::serve_at_once(channel_waiter& w, bool puts, woken& list) noexcept {
  if (puts) {
    w.refused = shut_;
    if (!shut_ && !has_room()) return false;
    if (!shut_) items_.push_back(std::exchange(w.item, nullptr));
  } else {
    w.refused = is_over();
    if (!w.refused && items_.empty()) return false;
    if (!w.refused) w.item = items_.pop();
  }
  match(list);
  return true;
}

// ---- without the lock

// The next one is read before the post: after it the waiter may be gone.
void channel_core::woken::wake_all() noexcept {
  while (channel_waiter* w = first_) {
    first_ = w->behind;
    auto* task_wait = static_cast<channel_wait*>(w);
    inbox* const home = task_wait->task_->home;
    if (home->owned_here())
      home->loop()->post(task_wait);
    else
      home->post(task_wait);
  }
}

bool channel_core::reserve() noexcept {
  const std::scoped_lock hold(mutex_);
  if (shut_ || !has_room()) return false;
  ++reserved_;
  return true;
}

void channel_core::put_reserved(channel_item* item) noexcept {
  woken list;
  bool dropped = false;
  {
    const std::scoped_lock hold(mutex_);
    --reserved_;
    dropped = thrown_away_;
    if (!dropped) items_.push_back(item);
    match(list);
  }
  if (dropped) drop_(item);  // as what was there at the shutdown
  list.wake_all();
}

void channel_core::unreserve() noexcept {
  woken list;
  {
    const std::scoped_lock hold(mutex_);
    --reserved_;
    match(list);
  }
  list.wake_all();
}

channel_item* channel_core::take() noexcept {
  woken list;
  channel_item* item = nullptr;
  {
    const std::scoped_lock hold(mutex_);
    if (!items_.empty()) item = items_.pop();
    match(list);
  }
  list.wake_all();
  return item;
}

void channel_core::give_back(channel_item* item) noexcept {
  woken list;
  bool dropped = false;
  {
    const std::scoped_lock hold(mutex_);
    dropped = thrown_away_;
    if (!dropped) items_.push_front(item);
    match(list);
  }
  if (dropped) drop_(item);
  list.wake_all();
}

void channel_core::shutdown(bool immediate) noexcept {
  woken list;
  item_list thrown_away;
  {
    const std::scoped_lock hold(mutex_);
    shut_ = true;
    if (immediate) {
      thrown_away_ = true;
      std::swap(items_, thrown_away);
    }
    while (!putters_.empty()) serve(putters_, list, true);  // before match() finds room for them
    match(list);
  }
  while (!thrown_away.empty()) drop_(thrown_away.pop());
  list.wake_all();
}

// ---- tasks

bool channel_core::try_at_once(channel_wait& w) noexcept {
  woken list;
  bool served = false;
  {
    const std::scoped_lock hold(mutex_);
    served = serve_at_once(w, w.puts_, list);
  }
  list.wake_all();
  return served;
}

bool channel_core::wait_in_line(channel_wait& w) noexcept {
  woken list;
  bool served = false;
  {
    const std::scoped_lock hold(mutex_);
    served = serve_at_once(w, w.puts_, list);
    if (!served) {
      w.where = place::waiting;
      (w.puts_ ? putters_ : getters_).push(w);
    }
  }
  list.wake_all();
  return !served;
}

bool channel_core::leave(channel_wait& w) noexcept {
  const std::scoped_lock hold(mutex_);
  if (w.where != place::waiting) return false;
  (w.puts_ ? putters_ : getters_).remove(w);
  w.where = place::over;
  return true;
}

bool channel_wait::await_ready() noexcept { return within_budget() && get()->try_at_once(*this); }

// What is there at once is taken also by a step that has used up its budget; the task then goes on in its next turn.
void channel_wait::await_suspend(std::coroutine_handle<> frame) {
  task_ = awaiting_task(frame);
  if (task_->must_cancel) {
    cancelled_ = true;
    return task_->schedule();
  }
  cancel = &channel_wait::cancel_waiting;
  done = &channel_wait::go_on;
  loop_core& home = *task_->loop();
  if (!get()->wait_in_line(*this)) return task_->schedule();
  home.expect_post();
  begin_wait(task_, this);
}

bool channel_wait::cancel_waiting(wait_base* self) noexcept {
  auto* me = static_cast<channel_wait*>(self);
  if (!me->get()->leave(*me)) return false;
  me->cancelled_ = true;
  me->task_->loop()->post_came();
  me->task_->wake();
  return true;
}

void channel_wait::go_on(op* self) noexcept {
  auto* me = static_cast<channel_wait*>(self);
  me->where = place::over;
  me->task_->loop()->post_came();
  coro::continue_now(me->task_);
}

channel_wait::~channel_wait() {
  if (get() == nullptr) return;  // moved from
  if (where == place::waiting) static_cast<void>(get()->leave(*this));
  if (item == nullptr) return;
  if (puts_)
    get()->drop(item);
  else
    get()->give_back(item);
}

void channel_wait::finish_put() {
  if (cancelled_) throw_cancelled(task_);
  if (refused) throw queue_shut_down();
}

channel_item* channel_wait::got() {
  if (cancelled_) throw_cancelled(task_);
  return item;
}

void channel_wait::drop_got() noexcept { get()->drop(std::exchange(item, nullptr)); }

// ---- threads

namespace {

void refuse_in_loop(const char* call, const char* instead) {
  if (here.loop != nullptr)
    throw std::runtime_error(std::string(call) + " would block the event loop that runs in this thread: co_await " +
                             instead);
}

}  // namespace

// `me` stands in the line when this begins, and in no line when it ends.
void channel_core::block(std::unique_lock<std::mutex>& hold, blocked_thread& me, waiting_line& line,
                         std::optional<timedelta> timeout) {
  me.where = place::waiting;
  line.push(me);
  const auto served = [&me] { return me.where == place::served; };
  if (!timeout) return me.served.wait(hold, served);
  if (me.served.wait_until(hold, base::real_deadline(*timeout), served)) return;
  line.remove(me);
  throw timeout_error();
}

void channel_core::put_blocking(channel_item* item, std::optional<timedelta> timeout) {
  blocked_thread me;
  me.item = item;
  woken list;
  {
    std::unique_lock hold(mutex_);
    if (!serve_at_once(me, true, list)) block(hold, me, putters_, timeout);
  }
  list.wake_all();
  if (me.refused) throw queue_shut_down();
}

channel_item* channel_core::take_blocking(std::optional<timedelta> timeout) {
  blocked_thread me;
  woken list;
  {
    std::unique_lock hold(mutex_);
    if (!serve_at_once(me, false, list)) block(hold, me, getters_, timeout);
  }
  list.wake_all();
  return me.item;
}

// ---- handles

channel_ref::channel_ref(const channel_ref& other) noexcept : core_(other.core_) {
  if (core_ != nullptr) core_->retain();
}
channel_ref::~channel_ref() {
  if (core_ != nullptr) core_->release();
}

channel_handle::channel_handle(std::size_t maxsize, drop_channel_item drop) {
  if (maxsize == 0) throw std::invalid_argument("a channel has room for one item at least");
  core_ = new channel_core(maxsize, drop);
}
channel_handle::channel_handle(const channel_handle& other) noexcept : core_(other.core_) { core_->retain_handle(); }
channel_handle::~channel_handle() { core_->release_handle(); }

channel_ref channel_handle::ref() const noexcept {
  core_->retain();
  return channel_ref(core_);
}
bool channel_handle::reserve() const noexcept { return core_->reserve(); }
void channel_handle::put_reserved(channel_item* item) const noexcept { core_->put_reserved(item); }
void channel_handle::unreserve() const noexcept { core_->unreserve(); }
channel_item* channel_handle::take() const noexcept { return core_->take(); }
void channel_handle::give_back(channel_item* item) const noexcept { core_->give_back(item); }
void channel_handle::put_blocking(channel_item* item, std::optional<timedelta> timeout) const {
  refuse_in_loop("channel.put_blocking()", "put()");
  core_->put_blocking(item, timeout);
}
channel_item* channel_handle::take_blocking(std::optional<timedelta> timeout, const char* call) const {
  refuse_in_loop(call, "get() or next()");
  return core_->take_blocking(timeout);
}
void channel_handle::shutdown(bool immediate) const noexcept { core_->shutdown(immediate); }
std::size_t channel_handle::size() const noexcept { return core_->size(); }
bool channel_handle::full() const noexcept { return core_->full(); }
std::size_t channel_handle::maxsize() const noexcept { return core_->maxsize(); }

}  // namespace asyncio::detail
