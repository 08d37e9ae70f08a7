// SPDX-License-Identifier: BSL-1.0
// loop — decides what runs next: ready queue, timers, wake-up, signals, run_once().
// May include: base, kernel.      Included by: threads, io, coro.
// Thread: one at a time, the owner of its inbox; other threads reach it through the inbox alone.
// Owns: the kernel object, the inbox, the timer heap. Borrows: every op from its submission until done.
// Laws: run_once() is the only place where done is called; no coroutine and no socket is known here.
#pragma once
#include "kernel/kernel.hpp"
#include "loop/arranger.hpp"
#include "loop/timer_heap.hpp"

#include <asyncio/detail/loop_core.hpp>

#include <atomic>
#include <memory>
#include <optional>

namespace asyncio::loop {

using detail::op;
using detail::op_queue;
using detail::timer_op;

/// Why run_forever() came back.
enum class run_end : std::uint8_t { stopped, interrupted };

class loop final : public detail::loop_core {
 public:
  /// A clock that is an arranger too has a say in the order of each batch.
  /// Errors: std::system_error when the kernel refuses a descriptor.
  loop(std::unique_ptr<kernel::kernel> backend, clock_source& clock, int wake_fd);
  ~loop();

  /// From here on no task can be made, and no callback is called.
  void begin_close() noexcept { start_care_ |= care_closing; }
  /// Drops what is queued: callbacks are released and not called; other threads find the door shut from here on.
  void close() noexcept;

  static loop& of(detail::loop_core& core) noexcept { return static_cast<loop&>(core); }
  /// The loop that runs in this thread, or null.
  static loop* running() noexcept { return static_cast<loop*>(detail::here.loop); }

  /// One iteration: mail, then I/O and timers when it is time for them, then everything that was ready when the run
  /// phase began. Waits at most `most` when nothing is ready (nullopt: until something is).
  run_end run_once(std::optional<std::chrono::nanoseconds> most);
  /// Iterates until stop() or interrupt().
  run_end run_forever();
  /// Lets the present batch finish, then leaves run_forever().
  void stop() noexcept { stopping_ = attention_ = true; }
  /// stop() as a callback of its own, behind what is ready now.
  void stop_next_turn() noexcept;
  /// Leaves run_forever() before the next op of the present batch, which stays ready; run_forever() returns
  /// `interrupted`.   Thread: the loop's.
  void interrupt() noexcept;
  bool running_now() const noexcept { return running_; }

  /// Starts a request. True: finished at once, see its result; done is not called. Counted while in flight.
  bool start(kernel::io_op& request) noexcept { return kernel_->start(request); }
  void cancel(kernel::io_op& request) noexcept { kernel_->cancel(request); }
  /// See kernel.
  bool calls_at_once() const noexcept { return kernel_->calls_at_once(); }
  bool reads_files() const noexcept { return kernel_->reads_files(); }
  void own(int fd) noexcept { kernel_->own(fd); }
  void forget(int fd) noexcept { kernel_->forget(fd); }

  /// Runs `node` once when the present batch has been run, before the next iteration: for output that is gathered.
  void at_turn_end(op* node) noexcept {
    turn_end_.push(node);
    attention_ = true;
  }

  /// Puts what came by the inbox behind what is ready.
  void take_mail() noexcept {
    if (inbox_->has_mail()) inbox_->drain(ready_);
  }
  /// Takes back what was posted. Linear.
  void unpost(op* node) noexcept;
  bool has_ready() const noexcept { return !ready_.empty(); }
  std::size_t ready_count() const noexcept { return ready_.size(); }
  std::size_t timer_count() const noexcept { return timers_.size(); }
  std::size_t in_flight() const noexcept { return kernel_->in_flight(); }
  std::optional<time_point> next_deadline() const noexcept;
  /// From now on somebody else waits on it: between two turns whatever other threads post makes it readable.
  int poll_fd() noexcept {
    has_guest_ = true;
    if (!running_) rest_as_guest();
    return kernel_->poll_fd();
  }
  /// Waits in the kernel, in real time, for a signal or for what other threads post. True: something came.
  bool wait_for_others(std::chrono::nanoseconds most) noexcept;
  bool has_something_to_do() const noexcept { return has_ready() || inbox_->has_mail(); }
  kernel::kernel& backend() noexcept { return *kernel_; }
  clock_source& clock() noexcept { return *clock_; }
  /// Reads the clock for a timer about to be added: one that is due by now fires in the next turn.
  time_point read_clock() noexcept { return seen_now_ = clock_->now(); }
  void set_debug(bool on) noexcept { debug_ = on; }
  /// For how long the loop looks itself for mail and completions before it sleeps. Nothing with a clock of a test.
  void set_spin(std::chrono::nanoseconds spin) noexcept { spin_ = spin; }

  void add_timer(timer_op& timer) {
    timers_.add(timer);
    if (timer.deadline <= seen_now_) attention_ = true;
  }
  void remove_timer(timer_op& timer) noexcept { timers_.remove(timer); }

  /// Called at every look at the kernel while signals of this loop wait to be seen; null: none are watched.
  void set_signal_look(void (*look)(void*) noexcept, void* context) noexcept {
    signal_look_ = look;
    signal_context_ = context;
  }

  /// Makes this thread the loop's and `here.loop` this loop, for the guard's life. Errors: std::runtime_error when a
  /// loop runs in this thread already.
  class entry {
   public:
    explicit entry(loop& l);
    ~entry();
    entry(const entry&) = delete;

   private:
    loop& loop_;
  };

 private:
  struct stop_op : op {
    loop* owner = nullptr;
    bool queued = false;
  };

  void turn(std::optional<std::chrono::nanoseconds> most);
  void look_around(std::optional<std::chrono::nanoseconds> most);
  void poll(std::optional<std::chrono::nanoseconds> most);
  void wait(time_point from, std::optional<std::chrono::nanoseconds> most) noexcept;
  bool spin(time_point from, std::chrono::nanoseconds& limit) noexcept;
  void ask_kernel(std::chrono::nanoseconds limit) noexcept;
  void wait_for_all() noexcept;
  std::chrono::nanoseconds wait_limit(time_point now, std::optional<std::chrono::nanoseconds> most) const noexcept;
  bool jump(time_point now, std::optional<std::chrono::nanoseconds> most) noexcept;
  void run_batch() noexcept;
  void end_batch() noexcept;
  void run_ready() noexcept;
  void finish_turn() noexcept;
  void rest_as_guest() noexcept;
  void look_at_signals() noexcept;
  bool something_came() const noexcept;

  std::unique_ptr<kernel::kernel> kernel_;
  arranger* const arranger_;  // of a test; null: first come, first served
  timer_heap timers_;
  op_queue turn_end_;
  stop_op stop_op_;
  op* batch_last_ = nullptr;  // the last op of the present batch
  time_point seen_now_{};     // the clock as last read
  time_point looked_at_{};    // the clock as last read by poll()
  std::uint32_t turns_to_look_ = 1;
  std::uint32_t look_every_ = 1;  // turns, up to 32; 1 while they take longer than 50 us
  std::uint32_t turns_since_poll_ = 0;
  std::chrono::nanoseconds spin_{0};
  void (*signal_look_)(void*) noexcept = nullptr;
  void* signal_context_ = nullptr;
  bool attention_ = true;  // the next turn has more to look at than the ready queue
  bool leave_batch_ = false;
  bool completions_wait_ = false;  // what the kernel has listed may still be ready
  bool has_guest_ = false;         // a host watches poll_fd()
  bool stopping_ = false;
  bool interrupted_ = false;
  bool closed_ = false;
  std::atomic<bool> running_{false};  // is_running() may be asked in any thread
  bool clock_jumps_;                  // not the machine's clock: it is asked before the loop sleeps
};

}  // namespace asyncio::loop
