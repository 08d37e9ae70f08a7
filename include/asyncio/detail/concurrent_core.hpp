// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/atomic.hpp>
#include <asyncio/detail/future_core.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/stop_token.hpp>
#include <asyncio/time.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace asyncio::detail {

class concurrent_core;

/// A counted reference to the state of a concurrent future.  Thread: any.
class concurrent_ref {
 public:
  concurrent_ref() noexcept = default;
  /// Takes over one reference.
  static concurrent_ref adopt(concurrent_core* core) noexcept {
    concurrent_ref r;
    r.core_ = core;
    return r;
  }
  inline concurrent_ref(const concurrent_ref& other) noexcept;
  concurrent_ref(concurrent_ref&& other) noexcept : core_(taken(other.core_)) {}
  concurrent_ref& operator=(concurrent_ref other) noexcept {
    swap_pointers(core_, other.core_);
    return *this;
  }
  inline ~concurrent_ref();
  concurrent_core* get() const noexcept { return core_; }
  concurrent_core* operator->() const noexcept { return core_; }
  explicit operator bool() const noexcept { return core_ != nullptr; }

 private:
  concurrent_core* core_ = nullptr;
};

/// Somebody to be told of the outcome, once.
struct concurrent_callback {
  concurrent_callback* next = nullptr;
  /// In the thread that completes the future, or in that which adds the callback to one that is done. Ends the node's
  /// use here: it frees itself, now or later. The reference may be the last one.
  void (*call)(concurrent_callback*, concurrent_ref) noexcept = nullptr;
};

enum class concurrent_state : std::uint8_t { pending, running, finished, cancelled };

/// The shared state of a concurrent_future, without its value: that stands right in front of it, as a future's does.
///
///     pending ──start()──▶ running ──finish_value(), finish_error()──▶ finished
///        └─────cancel()──▶ cancelled
///
/// One exchange under the lock decides between start() and cancel(): work that was cancelled never starts, work that has
/// started is never cancelled. A producer calls start(), and when that answers true writes the outcome, once; nobody reads the value
/// or the error before the state says `finished`, so neither is ever locked. Every producer comes to an end: one that is
/// destroyed before it has given an outcome gives std::runtime_error (concurrent_promise).
///
/// Where things die. finish_…() takes over the producer's reference, and drops it before anybody can see the outcome: value
/// and error die with the last reference of those who may look at them, in their thread, and with the producer's only if
/// there are none. Its use of the rest of the object is counted by itself (`blocks_`).
///
/// Thread: any, of everything.
class concurrent_core {
 public:
  concurrent_core(const concurrent_core&) = delete;
  concurrent_core& operator=(const concurrent_core&) = delete;

  /// A pending one, with one reference; in front of it `value_space` bytes for the value. Errors: std::bad_alloc.
  static concurrent_core* make(std::size_t value_space, void (*destroy_value)(concurrent_core*) noexcept,
                               bool stoppable);
  /// An exception that nobody has looked at when the last reference goes is told to `tell`: of work that is often
  /// submitted and forgotten.
  void set_unretrieved(void (*tell)(const std::exception_ptr&) noexcept) noexcept { unretrieved_ = tell; }
  /// It will be completed by the loop of that number (inbox::number()): see wait().
  void set_home(std::uint64_t loop_number) noexcept { home_ = loop_number; }

  void retain() noexcept { refs_.fetch_add(1, order::relaxed); }
  void release() noexcept {
    if (refs_.fetch_sub(1, order::acq_rel) == 1) destroy();
  }
  /// Is there no other reference than the caller's?
  bool only_reference() const noexcept { return refs_.load(order::acquire) == 1; }

  concurrent_state state() const noexcept { return static_cast<concurrent_state>(state_.load(order::acquire)); }
  bool done() const noexcept { return state() >= concurrent_state::finished; }

  /// The producer's: true when the work is to be done, false when it was cancelled.
  bool start() noexcept;
  /// The producer's, after start(): the value stands where it belongs.
  static void finish_value(concurrent_ref producer) noexcept;
  static void finish_error(concurrent_ref producer, std::exception_ptr error) noexcept;
  /// True: cancelled, now or before. False: it goes on; if it runs, and was made stoppable, it is asked to stop.
  bool cancel() noexcept;
  const stop_flag& stop() const noexcept { return stop_; }

  /// Blocks until it is done. Errors: timeout_error; std::runtime_error in a coroutine or callback of the loop that is to
  /// complete it, which would wait for itself.
  void wait(std::optional<timedelta> timeout) const;
  /// When it is done. Errors: cancelled_error, the stored exception.
  void check_outcome() const;
  /// When it is done: null for a value. Errors: cancelled_error.
  const std::exception_ptr& error() const;
  /// Of a value that cannot be copied: this call is the one that may move it out. Errors: invalid_state_error for others.
  void take_value();

  /// Calls `node->call` once it is done; at once if it is already.
  void add_callback(concurrent_callback* node) noexcept;

 protected:
  explicit concurrent_core(bool stoppable) : stop_(stoppable) {}
  ~concurrent_core() = default;

  stop_flag stop_;
  std::exception_ptr error_;
  void (*destroy_value_)(concurrent_core*) noexcept = nullptr;
  void (*unretrieved_)(const std::exception_ptr&) noexcept = nullptr;
  std::uint64_t home_ = 0;
  std::uint32_t value_space_ = 0;
  atomic_cell<std::int32_t> refs_{1};
  atomic_cell<std::int32_t> blocks_{1};  // all references together, and one for each publish() under way
  atomic_cell<std::uint8_t> state_{0};
  atomic_cell<bool> taken_{false};
  bool has_value_ = false;
  mutable atomic_cell<bool> looked_at_{false};

 private:
  struct shared;
  shared& whole() const noexcept;
  void publish(concurrent_state outcome, concurrent_ref producer) noexcept;
  void destroy() noexcept;
  void release_block() noexcept;
};

inline concurrent_ref::concurrent_ref(const concurrent_ref& other) noexcept : core_(other.core_) {
  if (core_ != nullptr) core_->retain();
}
inline concurrent_ref::~concurrent_ref() {
  if (core_ != nullptr) core_->release();
}

template <class T>
stored_t<T>* concurrent_value(concurrent_core* core) noexcept {
  static_assert(alignof(stored_t<T>) <= 16, "a result aligned to more than 16 bytes: return a std::unique_ptr to it");
  return std::launder(reinterpret_cast<stored_t<T>*>(reinterpret_cast<std::byte*>(core) - value_space<T>));
}

template <class T>
concurrent_core* make_concurrent(bool stoppable = false) {
  static_assert(std::is_nothrow_destructible_v<stored_t<T>>, "a result whose destructor may throw cannot be kept");
  return concurrent_core::make(
      value_space<T>,
      [](concurrent_core* core) noexcept {
        if constexpr (!std::is_void_v<T>) concurrent_value<T>(core)->~T();
      },
      stoppable);
}

/// Where it stands once it is made.
template <class T>
void* concurrent_place(concurrent_core* core) noexcept {
  return reinterpret_cast<std::byte*>(core) - value_space<T>;
}

template <class T, class... A>
void emplace_concurrent(concurrent_core* core, A&&... args) {
  if constexpr (!std::is_void_v<T>) ::new (concurrent_place<T>(core)) T(std::forward<A>(args)...);
}

/// Inside a catch block: a callback threw.
void report_concurrent_callback() noexcept;
/// A producer that ends without an outcome: cancels what has not started, and fails what has.
void abandon_concurrent(concurrent_ref producer) noexcept;

/// The inside of wrap_future(): `to`, a pending future of the running loop, gets the outcome of `from`, a value by `give`,
/// in the loop's thread; cancelling it cancels `from`.   Thread: the loop's.
using give_value = void (*)(concurrent_core& from, future_core& to);
void bridge_to_loop(concurrent_ref from, future_core* to, give_value give);

}  // namespace asyncio::detail
