// SPDX-License-Identifier: BSL-1.0
#include "loop/loop.hpp"

#include "base/clock.hpp"
#include "kernel/signals.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace asyncio::detail {

void loop_core::add_timer(timer_op& timer) { loop::loop::of(*this).add_timer(timer); }
void loop_core::remove_timer(timer_op& timer) noexcept { loop::loop::of(*this).remove_timer(timer); }

void loop_core::add_close_hook(close_hook& hook) noexcept {
  if (close_hooks_ == nullptr) {
    close_hooks_ = hook.prev = hook.next = &hook;
    return;
  }
  hook.next = close_hooks_;
  hook.prev = close_hooks_->prev;
  hook.prev->next = &hook;
  close_hooks_->prev = &hook;
}

void loop_core::remove_close_hook(close_hook& hook) noexcept {
  if (hook.next == nullptr) return;
  if (hook.next == &hook) {
    close_hooks_ = nullptr;
  } else {
    hook.prev->next = hook.next;
    hook.next->prev = hook.prev;
    if (close_hooks_ == &hook) close_hooks_ = hook.next;
  }
  hook.prev = hook.next = nullptr;
}

}  // namespace asyncio::detail

namespace asyncio::loop {

namespace {
constexpr std::uint32_t most_turns_between_looks = 32;
constexpr std::uint32_t most_turns_between_polls = 64;
constexpr std::chrono::nanoseconds longest_between_polls{50'000};
constexpr std::chrono::nanoseconds longest_wait = std::chrono::hours(24);

/// Leaves the core to its other thread for a moment.
inline void take_breath() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

[[noreturn]] void throw_forked() {
  throw std::runtime_error(
      "the event loop belongs to the process that forked this one: a child makes a loop of its own, or ends by "
      "_exit()");
}
}  // namespace

loop::loop(std::unique_ptr<kernel::kernel> backend, clock_source& clock, int wake_fd)
    : kernel_(std::move(backend)),
      arranger_(dynamic_cast<arranger*>(&clock)),
      clock_jumps_(&clock != &base::steady_clock_source()) {
  clock_ = &clock;
  stop_op_.owner = this;
  stop_op_.done = [](op* self) noexcept {
    auto* stop = static_cast<stop_op*>(self);
    stop->queued = false;
    stop->owner->stop();
  };
  detail::inbox::watch_forks();
  inbox_ = new detail::inbox(*this, wake_fd, &kernel::write_wake_fd, &kernel::close_fd);
}

loop::~loop() {
  close();
  inbox_->drop_user();
}

void loop::stop_next_turn() noexcept {
  if (!stop_op_.queued) ready_.push(&stop_op_);
  stop_op_.queued = true;
}

void loop::interrupt() noexcept { interrupted_ = stopping_ = attention_ = leave_batch_ = true; }

void loop::unpost(op* node) noexcept {
  op* before = ready_.remove(node);
  if (node == batch_last_) {
    batch_last_ = before;
    if (before == nullptr) leave_batch_ = attention_ = true;
  }
}

void loop::look_at_signals() noexcept {
  if (signal_look_ != nullptr && kernel::any_signal()) signal_look_(signal_context_);
}

loop::entry::entry(loop& l) : loop_(l) {
  if (detail::here.loop != nullptr)
    throw std::runtime_error("a loop is running in this thread already: co_await here instead of run()");
  if (l.inbox_->forked()) throw_forked();
  if (l.running_) throw std::runtime_error("this loop is already running in another thread");
  l.inbox_->take_ownership();
  l.running_ = true;
  detail::here.loop = &l;
  detail::here.box = l.inbox_;
  detail::here.loop_number = l.inbox_->number();
}

loop::entry::~entry() {
  detail::here.loop = nullptr;
  detail::here.box = nullptr;
  detail::here.loop_number = 0;
  loop_.running_ = false;
}

std::optional<time_point> loop::next_deadline() const noexcept {
  if (timers_.empty()) return std::nullopt;
  return timers_.earliest();
}

// Everything that was ready when the batch began; what its ops post is the next batch. A batch that ran to its end has
// run every completion that was listed before it.
// Something is ready. Followed by end_batch() when somebody asks for attention.
inline void loop::run_batch() noexcept {
  batch_last_ = ready_.back();
  do {
    op* node = ready_.pop();
    const bool last = node == batch_last_;  // afterwards its memory may be another op's
    node->done(node);
    if (last) break;
  } while (!leave_batch_);
}

void loop::end_batch() noexcept {
  if (std::exchange(leave_batch_, false))
    attention_ = true;
  else
    completions_wait_ = false;
}

void loop::run_ready() noexcept {
  leave_batch_ = false;
  if (!ready_.empty()) run_batch();
  end_batch();
}

run_end loop::run_once(std::optional<std::chrono::nanoseconds> most) {
  attention_ = true;
  turn(most);
  rest_as_guest();
  if (!interrupted_) return run_end::stopped;
  interrupted_ = stopping_ = false;
  return run_end::interrupted;
}

// Between two turns a host sleeps in the loop's place, and is woken as the loop would be. What came before this cannot
// have been seen by it: for that the descriptor is made readable.
void loop::rest_as_guest() noexcept {
  if (has_guest_ && !inbox_->begin_sleep()) kernel::write_wake_fd(inbox_->wake_fd());
}

// One turn. While something is ready the clock is read every 32nd turn, and the kernel asked when 50 us have gone by since
// the last look or 64 turns since the last time, and then only if somebody waits for it. After a slow look every turn
// looks, until they are quick again. A timer that was added and is due by the clock as last read is seen at once.
inline void loop::turn(std::optional<std::chrono::nanoseconds> most) {
  const bool only_ready = !attention_ && !ready_.empty() && --turns_to_look_ != 0 && !inbox_->has_mail();
  if (only_ready) [[likely]] {
    run_batch();
    if (!attention_) [[likely]]
      return;
    end_batch();
    finish_turn();
  } else {
    look_around(most);
  }
}

// What asked to run at the end of the turn runs before the loop can sleep.
void loop::finish_turn() noexcept {
  while (op* node = turn_end_.pop()) node->done(node);
}

void loop::look_around(std::optional<std::chrono::nanoseconds> most) {
  attention_ = stopping_;
  take_mail();
  if (ready_.empty() && !timers_.any_due(seen_now_))
    poll(stopping_ ? std::chrono::nanoseconds(0) : most);
  else if (turns_to_look_ <= 1)
    poll(std::chrono::nanoseconds(0));
  else
    --turns_to_look_;
  timers_.collect_due(seen_now_);
  if (arranger_ != nullptr) [[unlikely]] {
    attention_ = true;  // every turn comes here, and the others need not ask
    arranger_->arrange(ready_);
  }
  run_ready();
  while (!interrupted_ && timers_.has_due()) {
    timer_op* timer = timers_.pop_due();
    timer->done(timer);
  }
  finish_turn();
}

void loop::poll(std::optional<std::chrono::nanoseconds> most) {
  constexpr std::chrono::nanoseconds no_wait{0};
  if (inbox_->forked()) [[unlikely]]
    throw_forked();
  const time_point before = clock_->now();
  if (!ready_.empty()) {
    const bool slow = before - looked_at_ > longest_between_polls;
    turns_since_poll_ += look_every_;
    look_every_ = slow ? 1 : std::min(look_every_ * 2, most_turns_between_looks);
    turns_to_look_ = look_every_;
    seen_now_ = looked_at_ = before;
    look_at_signals();
    if (completions_wait_ || kernel_->in_flight() == 0 || (!slow && turns_since_poll_ < most_turns_between_polls))
      return;
  }
  if (most == no_wait)
    ask_kernel(no_wait);
  else
    wait(before, most);
  look_at_signals();
  take_mail();
  seen_now_ = looked_at_ = clock_->now();
  turns_to_look_ = look_every_;
  turns_since_poll_ = 0;
}

// Something to do, or the time is over, or a wake-up came.
void loop::wait(time_point from, std::optional<std::chrono::nanoseconds> most) noexcept {
  std::chrono::nanoseconds limit = wait_limit(from, most);
  if (spin_ != std::chrono::nanoseconds(0) && !clock_jumps_ && spin(from, limit)) return;
  if (!inbox_->begin_sleep()) return ask_kernel(std::chrono::nanoseconds(0));
  if (!clock_jumps_ || !jump(from, most)) ask_kernel(limit);
  inbox_->end_sleep();
}

// Looks for mail after every breath, and at the kernel after every 32, so that neither waits for the other; nobody who
// posts meanwhile has to wake the loop. True: something came. False: `limit` is what is left of the time.
bool loop::spin(time_point from, std::chrono::nanoseconds& limit) noexcept {
  const time_point end = from + std::min(spin_, limit);
  time_point now;
  do {
    ask_kernel(std::chrono::nanoseconds(0));
    for (int breaths = 0; breaths < 32; ++breaths) {
      if (something_came()) return true;
      take_breath();
    }
    now = clock_->now();
  } while (now < end);
  limit = std::max(limit - (now - from), std::chrono::nanoseconds(0));
  return false;
}

// Invariant: no completion of one wait() is ready any more when the next one is called, which writes over the bytes that
// completions point to. A batch that is left early (interrupt()) keeps some of them ready: until a batch has run to its
// end nobody comes here while anything is ready.
void loop::ask_kernel(std::chrono::nanoseconds limit) noexcept {
  kernel_->wait(limit, ready_);
  completions_wait_ = !ready_.empty();
}

// How long the kernel may wait: until the earliest timer, at most `most` and a day.
std::chrono::nanoseconds loop::wait_limit(time_point now, std::optional<std::chrono::nanoseconds> most) const noexcept {
  std::chrono::nanoseconds limit = most ? std::min(*most, longest_wait) : longest_wait;
  if (!timers_.empty()) limit = std::min(limit, timers_.earliest() - now);
  return std::max(limit, std::chrono::nanoseconds(0));
}

bool loop::something_came() const noexcept {
  return !ready_.empty() || inbox_->has_mail() || (signal_look_ != nullptr && kernel::any_signal());
}

// A clock that is not the machine's may move by itself when nothing is ready and the kernel has nothing. Asking the
// kernel takes the wake-up of a signal or a post, if there was one: so they are looked for before the loop sleeps.
bool loop::jump(time_point now, std::optional<std::chrono::nanoseconds> most) noexcept {
  ask_kernel(std::chrono::nanoseconds(0));
  if (something_came()) return true;
  if (inbox_->clock_held()) return false;
  if (timers_.empty()) return !most && kernel_->in_flight() == 0 && posts_expected_ == 0 && clock_->nothing_pending();
  if (most && timers_.earliest() - now > *most) return false;
  return clock_->jump_to(timers_.earliest());
}

bool loop::wait_for_others(std::chrono::nanoseconds most) noexcept {
  ask_kernel(most);
  return something_came();
}

void loop::close() noexcept {
  if (std::exchange(closed_, true)) return;
  begin_close();
  finish_turn();
  while (detail::close_hook* hook = close_hooks_) {
    remove_close_hook(*hook);
    hook->on_close(hook);
  }
  while (!timers_.empty() || timers_.has_due()) {
    timers_.collect_due(time_point::max());
    while (timer_op* timer = timers_.pop_due()) timer->done(timer);
  }
  kernel_->cancel_all();
  wait_for_all();
  inbox_->close(ready_);
  while (!ready_.empty()) run_ready();
  finish_turn();
}

// Until the kernel has let go of every op, and other threads of what they hold for us: which a forked child does not have.
void loop::wait_for_all() noexcept {
  while (kernel_->in_flight() > 0 || (ends_held_ > 0 && !inbox_->forked())) {
    if (kernel_->in_flight() > 0) {
      if (ready_.empty() || !completions_wait_) ask_kernel(std::chrono::nanoseconds(0));
    } else if (ready_.empty() && inbox_->begin_sleep()) {
      ask_kernel(longest_wait);
      inbox_->end_sleep();
    }
    take_mail();
    run_ready();
  }
}

run_end loop::run_forever() {
  do turn(std::nullopt);
  while (!attention_ || !stopping_);  // who stops it asks for attention
  rest_as_guest();
  stopping_ = false;
  return std::exchange(interrupted_, false) ? run_end::interrupted : run_end::stopped;
}

}  // namespace asyncio::loop
