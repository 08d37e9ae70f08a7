// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/atomic.hpp>
#include <asyncio/detail/op.hpp>

#include <cstddef>
#include <cstdint>

namespace asyncio::detail {

class callback_context;
class inbox;
class loop_core;
struct context_cell;
struct coro_core;
struct future_core;

/// What the library knows about the running thread. One load each; zero outside a loop.
struct thread_state {
  loop_core* loop = nullptr;             ///< the loop that runs in this thread
  inbox* box = nullptr;                  ///< its inbox
  coro_core* task = nullptr;             ///< the task whose step runs now
  void* next_frame = nullptr;            ///< the coroutine frame that the running step continues with
  std::uint64_t loop_number = 0;         ///< of that loop: see inbox::number()
  int thread = 0;                        ///< the system's number of this thread; 0 until a loop was made or run here
  std::int32_t budget = 0;               ///< how many more awaits the running step may make without suspending
  context_cell* context = nullptr;       ///< what a callback, or context::run(), has entered
  coro_core* context_task = nullptr;     ///< `task` then
  callback_context* callback = nullptr;  ///< the innermost callback
  inbox* job_home = nullptr;             ///< whose job an executor's thread runs now: see inbox::hold_clock()
};

// GCC's -fsanitize=null takes the address of an initial-exec variable for null.
#if defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define ASYNCIO_TLS_MODEL [[gnu::tls_model("initial-exec")]]
#else
#define ASYNCIO_TLS_MODEL
#endif

ASYNCIO_TLS_MODEL extern constinit thread_local thread_state here;

/// May an await that need not wait go on at once? No: the step has used up its budget, and everybody else runs first.
inline bool within_budget() noexcept { return --here.budget > 0; }

/// What uses an inbox, for those who ask what is left of a loop. The loop itself is among the others.
enum class user_kind : std::uint8_t { task, future, callback, other };

/// The loop's door for other threads, and the name of its thread. It outlives the loop for as long as a handle of one
/// of its futures lives, so that a late handle finds a closed door and not freed memory.
///
/// `owner_` is the address of the owning thread's `here`: the thread that made the loop, or that runs it. close() sets
/// it to null: from then on no thread is the owner, and reference counts are kept with atomics alone (future_core.hpp).
///
/// `head_` is a stack of posted ops, `closed_mark()` once the loop is closed. A poster pushes, then looks at
/// `sleeping_`; the loop sets `sleeping_`, then looks at `head_`. Both are sequentially consistent: one of them sees
/// the other, so no post is slept over, and nobody writes to the wake-up descriptor while the loop is awake.
class inbox {
 public:
  /// Takes over `wake_fd`: closed with the inbox. `wake` writes to it.
  inbox(loop_core& loop, int wake_fd, void (*wake)(int fd) noexcept, void (*close_fd)(int fd) noexcept) noexcept;
  inbox(const inbox&) = delete;
  inbox& operator=(const inbox&) = delete;

  /// Is the calling thread the loop's?  Thread: any.
  bool owned_here() const noexcept { return here.box == this || owner_.load(order::acquire) == &here; }
  bool closed() const noexcept { return owner_.load(order::acquire) == nullptr; }
  /// Is the loop the parent process's? In a forked child no thread is its owner, and it never runs.
  bool forked() const noexcept { return owner_.load(order::acquire) == &of_parent; }
  /// The loop; null once it is closed.  Thread: the loop's, or any after close.
  loop_core* loop() const noexcept { return loop_; }
  void take_ownership() noexcept;
  /// Errors: std::runtime_error in a thread that is not the loop's, unless it is closed.  Thread: any.
  void check_thread(const char* call) const {
    if (!owned_here() && !closed()) [[unlikely]]
      throw_wrong_thread(call);
  }
  /// Says which thread called `call`, and which should have.
  [[noreturn, gnu::cold]] void throw_wrong_thread(const char* call) const;

  /// Names the loop for as long as the process lives; never 0, never that of another.
  std::uint64_t number() const noexcept { return number_; }
  /// The thread of the loop that has this number; 0 when that is closed.  Thread: any.
  static int thread_of(std::uint64_t number) noexcept;

  /// Gives `node` to the loop: it is run in the next turn. False: the loop is closed, the node is still the caller's.
  /// Thread: any.
  bool post(op* node) noexcept;
  /// Hands an object whose references another thread dropped to the loop's thread; when the loop is closed, the calling
  /// thread does what is to be done.   Thread: any but the loop's.
  void hand_over(future_core* core) noexcept;
  /// Makes a sleeping loop look around.  Thread: any.
  void wake() noexcept;

  /// A clock that moves by itself stands still while other threads do jobs for the loop, but for one that waits for the
  /// loop itself.   Thread: any.
  void hold_clock() noexcept { clock_holds_.fetch_add(1, order::relaxed); }
  void free_clock() noexcept {
    if (clock_holds_.fetch_sub(1, order::seq_cst) == 1) wake();
  }
  bool clock_held() const noexcept { return clock_holds_.load(order::seq_cst) > 0; }

  bool has_mail() const noexcept { return head_.load(order::relaxed) != nullptr; }
  /// Appends what was posted to `to`, oldest first.  Thread: the loop's.
  void drain(op_queue& to) noexcept;
  /// Announces that the loop is about to sleep. False: there is mail, do not.
  bool begin_sleep() noexcept;
  void end_sleep() noexcept { sleeping_.store(false, order::relaxed); }
  int wake_fd() const noexcept { return wake_fd_; }

  /// Shuts the door; what was posted last goes to `rest`.  Thread: the loop's.
  void close(op_queue& rest) noexcept;

  /// Counted users: the loop itself and every live future, task and handle of it. While there is an owner each kind has
  /// a count of its own, changed plainly; from close() on their sum decides, changed by atomic operations.
  /// Thread of both: the loop's, or any once it is closed.
  void add_user_of_owner(user_kind kind = user_kind::other) noexcept {
    count_of(kind).store(count_of(kind).load(order::relaxed) + 1, order::relaxed);
  }
  void add_user(user_kind kind = user_kind::other) noexcept {
    if (owned_here()) [[likely]]
      add_user_of_owner(kind);
    else
      add_user_of_closed(kind);
  }
  /// The loop is a user too, so this is not the last one.
  void drop_user_of_owner(user_kind kind) noexcept {
    count_of(kind).store(count_of(kind).load(order::relaxed) - 1, order::relaxed);
  }
  void drop_user(user_kind kind = user_kind::other) noexcept {
    if (owned_here()) [[likely]]
      drop_user_of_owner(kind);
    else
      drop_user_of_closed(kind);
  }

  /// What exists of the loops that were made after a moment: those that are open, or that somebody still has a handle of.
  struct census {
    std::size_t loops = 0;
    std::size_t open = 0;  ///< of them, not closed
    std::size_t tasks = 0;
    std::size_t futures = 0;
    std::size_t callbacks = 0;
    std::size_t others = 0;  ///< transports, generators, jobs, …: whatever else needs its loop
  };
  /// Of loops with a higher number than this.  Thread: any; the counts are exact when those loops are at rest.
  static census count_after(std::uint64_t number) noexcept;
  /// Is this descriptor the wake-up one of a loop, which goes with its last user?
  static bool owns_descriptor(int fd) noexcept;
  /// The number of the loop that was made last.
  static std::uint64_t last_number() noexcept;

  /// From now on a forked child forgets the loops of its parent.
  static void watch_forks();

 private:
  struct registry;
  static registry& all() noexcept;
  ~inbox();
  using user_count = atomic_cell<std::size_t>;
  user_count& count_of(user_kind kind) noexcept { return users_[static_cast<std::size_t>(kind)]; }
  void add_user_of_closed(user_kind kind) noexcept;
  void drop_user_of_closed(user_kind kind) noexcept;
  void sum_up_users() noexcept;
  static op* closed_mark() noexcept;
  static void take_back_dropped(op* self) noexcept;
  static void forget_all() noexcept;

  struct drop_op : op {
    inbox* box = nullptr;
  };

  static thread_state of_parent;

  inbox* prev_ = nullptr;  // of all inboxes there are
  inbox* next_ = nullptr;
  std::uint64_t number_;
  atomic_cell<int> owner_thread_{0};
  atomic_cell<thread_state*> owner_;
  loop_core* loop_;
  atomic_cell<op*> head_{nullptr};
  atomic_cell<future_core*> dropped_{nullptr};  // its first entry posts drop_op_, which takes them all
  drop_op drop_op_;
  atomic_cell<bool> sleeping_{false};
  atomic_cell<int> clock_holds_{0};
  /// Of each kind; written without RMW by the owner while there is one.
  user_count users_[4]{0, 0, 0, 0};
  user_count all_users_{0};      // their sum, once there is no owner
  atomic_cell<int> posting_{0};  // threads inside post(): the destructor waits for them
  int wake_fd_;
  void (*wake_)(int) noexcept;
  void (*close_fd_)(int) noexcept;
};

/// The loop that something belongs to which is made, used and destroyed by itself: a lock, a queue. It belongs to none
/// until a task waits for it; from then on to that task's loop, until this is closed.
class loop_bond {
 public:
  loop_bond() noexcept = default;
  loop_bond(const loop_bond&) = delete;
  loop_bond& operator=(const loop_bond&) = delete;

  /// Errors: std::runtime_error in a thread that is not the loop's.  Thread: any.
  void check_thread(const char* call) const {
    const std::uint64_t loop = loop_.load(order::relaxed);
    if (loop != 0 && loop != here.loop_number) [[unlikely]]
      check_elsewhere(loop, call);
  }
  /// Belongs to the loop that runs here now.
  void bind_here() noexcept { loop_.store(here.loop_number, order::relaxed); }

 private:
  [[gnu::cold]] void check_elsewhere(std::uint64_t loop, const char* call) const;
  mutable atomic_cell<std::uint64_t> loop_{0};
};

}  // namespace asyncio::detail
