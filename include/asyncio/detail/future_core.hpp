// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/inbox.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/pool.hpp>
#include <asyncio/detail/shared_text.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace asyncio::detail {

struct future_core;

/// Somebody who wants to know when a future is done. `notify` is called once, in order of registration, inside the
/// call that completes the future: it only schedules, it never runs user code, and the node may be gone afterwards.
struct waiter {
  waiter* prev;  ///< meaningful only while linked, as `notify`
  waiter* next = nullptr;
  void (*notify)(waiter*, future_core*) noexcept;

  bool linked() const noexcept { return next != nullptr; }
};

/// What a kind of future can do beyond the common things.
struct future_kind {
  void (*destroy_value)(future_core*) noexcept;      ///< called only when there is a value
  bool (*cancel)(future_core*, const shared_text&);  ///< false: already done
  void (*free)(future_core*) noexcept;               ///< the last reference is gone: destroy and free the block
  bool is_task = false;                              ///< the core is a coro_core
};

enum class future_state : std::uint8_t { pending, finished, cancelled };

/// The shared state of a future or task, without its value: that stands right in front of it (value_of).
///
/// References are counted twice (biased counting): `local_refs` belongs to the loop's thread and costs no atomic;
/// `shared_refs` counts what other threads added and dropped, and may be negative. The object lives while their sum is
/// positive. The word holds four times the count, `merged_bit` (local_refs has been added into it: everybody uses it
/// now) and `queued_bit` (the object was handed to its loop's inbox, and take_back() will look at it).
///  - The owner drops its last local reference: nothing shared → free; else merge, and whoever reaches zero sees to it.
///  - Another thread brings an unmerged count below zero, or a merged one to zero: it sets queued_bit in the same
///    exchange and hands the object over; after a change without queued_bit it touches the object no more.
///  - When the loop is closed no thread is the owner and local_refs is frozen: the thread that set queued_bit calls
///    take_back() itself.
struct future_core {
  future_core(const future_kind* k, inbox* h) noexcept : kind(k), home(h) {}
  future_core(const future_core&) = delete;
  future_core& operator=(const future_core&) = delete;

  static constexpr std::int32_t one = 4, merged_bit = 1, queued_bit = 2;

  // In this order, and the zeros side by side, so that a new core is a handful of wide stores.
  const future_kind* kind;
  inbox* home;                ///< null for a coroutine that is not a task
  waiter* waiters = nullptr;  ///< circular; the first to be notified
  std::exception_ptr error;
  shared_text cancel_message;
  atomic_cell<std::int32_t> shared_refs{0};
  std::uint32_t local_refs = 1;
  std::uint32_t block_class = 0;  ///< of the pool, for the whole block
  future_state state = future_state::pending;
  bool has_value = false;
  bool retrieved = true;      ///< false: an exception waits for somebody to look at it
  bool merged = false;        ///< the owner's copy of merged_bit
  future_core* next_dropped;  ///< the inbox's list of objects handed over by other threads

  bool is_task() const noexcept { return kind->is_task; }
  bool is_done() const noexcept { return state != future_state::pending; }

  void add_ref() noexcept {
    if (home->owned_here() && !merged)
      ++local_refs;
    else
      shared_refs.fetch_add(one, order::relaxed);
  }
  void release() noexcept {
    if (home->owned_here()) [[likely]]
      release_by_owner();
    else
      release_shared();
  }
  void release_by_owner() noexcept {
    if (merged) [[unlikely]]
      return release_shared();
    if (--local_refs != 0) return;
    if (shared_refs.load(order::acquire) == 0) [[likely]]
      kind->free(this);
    else
      merge_last_local();
  }

  void add_waiter(waiter* w) noexcept {
    if (waiters == nullptr) {
      waiters = w->prev = w->next = w;
      return;
    }
    w->next = waiters;
    w->prev = waiters->prev;
    w->prev->next = w;
    waiters->prev = w;
  }
  void remove_waiter(waiter* w) noexcept {
    if (w->next == w) {
      waiters = nullptr;
    } else {
      w->prev->next = w->next;
      w->next->prev = w->prev;
      if (waiters == w) waiters = w->next;
    }
    w->next = nullptr;
  }

  /// The state is set; tells everybody who waits. Only for the loop's thread.
  void notify_waiters() noexcept {
    while (waiter* w = waiters) {
      remove_waiter(w);
      w->notify(w, this);
    }
  }

  void finish_value() noexcept {
    has_value = true;
    state = future_state::finished;
    notify_waiters();
  }
  void finish_error(std::exception_ptr e) noexcept {
    error = std::move(e);
    retrieved = false;
    state = future_state::finished;
    notify_waiters();
  }
  void finish_cancelled(shared_text message) noexcept {
    cancel_message = std::move(message);
    state = future_state::cancelled;
    notify_waiters();
  }

  /// The answer to cancel() when it is done. Whoever wanted it cancelled does not miss what it failed with.
  bool refuse_cancel() noexcept {
    retrieved = true;
    return false;
  }

  /// Throws what stands in the way of a value: invalid_state_error, cancelled_error, the stored exception.
  void check_result() {
    if (has_no_value()) [[unlikely]]
      throw_no_result();
  }
  bool has_no_value() const noexcept { return state != future_state::finished || error != nullptr; }
  /// The stored exception, or null. Errors: invalid_state_error, cancelled_error.
  std::exception_ptr get_exception();
  /// Errors: invalid_state_error when already done; std::runtime_error in a wrong thread.
  void check_settable(const char* call) const {
    check_thread(call);
    if (is_done()) throw_already_done();
  }
  void check_thread(const char* call) const { home->check_thread(call); }

 private:
  void merge_last_local() noexcept;
  void release_shared() noexcept;
  [[noreturn]] void throw_already_done() const;

 public:
  [[noreturn]] void throw_no_result();
  /// Is there no other reference than the caller's own?  Thread: the loop's.
  bool only_reference() const noexcept { return !merged && local_refs == 1 && shared_refs.load(order::acquire) == 0; }
  /// The owner takes what another thread handed over: merges the counts, or frees what nobody refers to any more.
  void take_back() noexcept;
};

/// void is stored as std::monostate.
template <class T>
using stored_t = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
inline constexpr std::size_t value_space = std::is_void_v<T> ? 0 : (sizeof(stored_t<T>) + 15) / 16 * 16;

/// The value of a future whose core is `core`: it stands right in front of it.
template <class T>
stored_t<T>* value_of(future_core* core) noexcept {
  static_assert(alignof(stored_t<T>) <= 16, "a result aligned to more than 16 bytes: return a std::unique_ptr to it");
  return std::launder(reinterpret_cast<stored_t<T>*>(reinterpret_cast<std::byte*>(core) - value_space<T>));
}

/// Where it stands once it is made.
template <class T>
void* value_place(future_core* core) noexcept {
  return reinterpret_cast<std::byte*>(core) - value_space<T>;
}

template <class T, class... A>
void emplace_value(future_core* core, A&&... args) {
  if constexpr (!std::is_void_v<T>) ::new (value_place<T>(core)) T(std::forward<A>(args)...);
}

template <class T>
void destroy_value(future_core* core) noexcept {
  if constexpr (!std::is_void_v<T>) {
    static_assert(std::is_nothrow_destructible_v<T>, "a result whose destructor may throw cannot be kept");
    value_of<T>(core)->~T();
  }
}

/// A done-callback: released unheard when its future dies first.
void drop_callbacks(future_core* core) noexcept;

/// An exception nobody looked at, at its end of life: reported to the loop's exception handler.
void report_unretrieved(future_core* core) noexcept;

template <class T>
void free_plain_future(future_core* core) noexcept {
  if (!core->retrieved) report_unretrieved(core);
  if (core->waiters != nullptr) drop_callbacks(core);
  if (core->has_value) destroy_value<T>(core);
  inbox* home = core->home;
  const std::uint32_t block_class = core->block_class;
  core->~future_core();
  pool_free_of_class(reinterpret_cast<std::byte*>(core) - value_space<T>, block_class);
  home->drop_user(user_kind::future);
}

bool cancel_plain_future(future_core* core, const shared_text& message);

template <class T>
inline constexpr future_kind plain_future_kind{&destroy_value<T>, &cancel_plain_future, &free_plain_future<T>};

/// A new pending future of the loop behind `home`, with one (local) reference.
template <class T, class Core = future_core>
Core* make_future_core(inbox* home, const future_kind* kind = &plain_future_kind<T>) {
  const std::size_t size = value_space<T> + sizeof(Core);
  auto* block = static_cast<std::byte*>(pool_allocate(size));
  auto* core = ::new (block + value_space<T>) Core(kind, home);
  core->block_class = pool_class(size);
  home->add_user(user_kind::future);
  return core;
}

/// A counted reference to a future's core.
template <class Core = future_core>
class core_ref {
 public:
  core_ref() noexcept = default;
  /// Takes over one reference.
  static core_ref adopt(Core* core) noexcept {
    core_ref r;
    r.core_ = core;
    return r;
  }
  /// Adds one.
  static core_ref share(Core* core) noexcept {
    if (core != nullptr) core->add_ref();
    return adopt(core);
  }
  core_ref(const core_ref& other) noexcept : core_(other.core_) {
    if (core_ != nullptr) core_->add_ref();
  }
  core_ref(core_ref&& other) noexcept : core_(taken(other.core_)) {}
  core_ref& operator=(core_ref other) noexcept {
    swap_pointers(core_, other.core_);
    return *this;
  }
  ~core_ref() {
    if (core_ != nullptr) core_->release();
  }
  Core* get() const noexcept { return core_; }
  Core* operator->() const noexcept { return core_; }
  Core& operator*() const noexcept { return *core_; }
  explicit operator bool() const noexcept { return core_ != nullptr; }
  Core* detach() noexcept { return taken(core_); }

 private:
  Core* core_ = nullptr;
};

}  // namespace asyncio::detail
