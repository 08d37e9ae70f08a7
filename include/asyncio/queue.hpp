// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/parking.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/errors.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

namespace detail {

/// A growing ring of items, first in, first out.
template <class T>
class ring {
 public:
  ring() = default;
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring() {
    while (!empty()) drop();
    free(items_);
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  void push(T&& item) {
    if (size_ == capacity_) grow();
    ::new (static_cast<void*>(items_ + ((first_ + size_) & (capacity_ - 1)))) T(std::move(item));
    ++size_;
  }
  template <class R>
  R pop() {
    R item(std::move(items_[first_]));
    drop();
    return item;
  }
  void drop() noexcept {
    items_[first_].~T();
    first_ = (first_ + 1) & (capacity_ - 1);
    --size_;
  }

 private:
  void grow() {
    const std::size_t bigger = capacity_ == 0 ? 8 : capacity_ * 2;
    T* fresh = static_cast<T*>(::operator new(bigger * sizeof(T), std::align_val_t(alignof(T))));
    std::size_t made = 0;
    try {
      for (; made < size_; ++made) ::new (static_cast<void*>(fresh + made)) T(std::move_if_noexcept(at(made)));
    } catch (...) {
      while (made > 0) fresh[--made].~T();
      free(fresh);
      throw;
    }
    for (std::size_t i = 0; i < size_; ++i) at(i).~T();
    free(items_);
    items_ = fresh;
    capacity_ = bigger;
    first_ = 0;
  }

  T& at(std::size_t i) noexcept { return items_[(first_ + i) & (capacity_ - 1)]; }
  static void free(T* items) noexcept { ::operator delete(static_cast<void*>(items), std::align_val_t(alignof(T))); }

  T* items_ = nullptr;
  std::size_t capacity_ = 0;  // a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// The orders in which queues give items back. push() and pop() that throw have changed nothing. R: T, or an optional.
template <class T>
struct fifo_order : ring<T> {};

template <class T>
struct lifo_order {
  bool empty() const noexcept { return items.empty(); }
  std::size_t size() const noexcept { return items.size(); }
  void push(T&& item) { items.push_back(std::move(item)); }
  template <class R>
  R pop() {
    R item(std::move(items.back()));
    items.pop_back();
    return item;
  }
  void drop() noexcept { items.pop_back(); }
  std::vector<T> items;
};

/// Smallest first; equal ones in the order in which they came. A heap: where an item goes is found before anything
/// moves, and moving cannot fail, since items whose own moves might are kept in blocks of their own.
template <class T, class Compare>
struct priority_order {
  static constexpr bool in_place = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>;
  struct boxed {
    explicit boxed(T&& i) : item_(new T(std::move(i))) {}
    T& item() noexcept { return *item_; }
    const T& item() const noexcept { return *item_; }
    std::unique_ptr<T> item_;
  };
  struct plain {
    explicit plain(T&& i) noexcept : item_(std::move(i)) {}
    T& item() noexcept { return item_; }
    const T& item() const noexcept { return item_; }
    T item_;
  };
  struct entry : std::conditional_t<in_place, plain, boxed> {
    entry(T&& i, std::uint64_t a) : std::conditional_t<in_place, plain, boxed>(std::move(i)), arrival(a) {}
    std::uint64_t arrival;
  };
  bool first_of_two(const entry& a, const entry& b) const {
    if (less(a.item(), b.item())) return true;
    if (less(b.item(), a.item())) return false;
    return a.arrival < b.arrival;
  }
  bool empty() const noexcept { return items.empty(); }
  std::size_t size() const noexcept { return items.size(); }
  void push(T&& item) {
    items.emplace_back(std::move(item), ++arrivals);
    const std::size_t last = items.size() - 1;
    std::size_t to = last;
    try {
      while (to > 0 && first_of_two(items[last], items[(to - 1) / 2])) to = (to - 1) / 2;
    } catch (...) {
      items.pop_back();
      throw;
    }
    for (std::size_t at = last; at != to; at = (at - 1) / 2) std::swap(items[at], items[(at - 1) / 2]);
  }
  template <class R>
  R pop() {
    const std::size_t last = items.size() - 1;
    std::size_t to = 0;  // where the last one goes
    for (std::size_t child = 1; child < last; child = 2 * to + 1) {
      if (child + 1 < last && first_of_two(items[child + 1], items[child])) ++child;
      if (!first_of_two(items[child], items[last])) break;
      to = child;
    }
    R item(std::move(items.front().item()));
    for (std::size_t at = to; at > 0; at = (at - 1) / 2) std::swap(items[last], items[at]);
    if (last > 0) std::swap(items[last], items.front());
    items.pop_back();
    return item;
  }
  void drop() noexcept { items.pop_back(); }
  std::vector<entry> items;
  std::uint64_t arrivals = 0;
  Compare less{};
};

/// A queue between tasks. Items stay in it until a task that runs takes them, so they leave in order, and a cancelled
/// get() has taken nothing. Who waits is called in order of coming; the item or place that somebody is called for may be
/// taken by whoever runs before: then the called one goes on waiting, first in line.
template <class T, class Order>
class queue_base {
 public:
  using value_type = T;
  /// 0: as many as come.
  explicit queue_base(std::size_t maxsize = 0) : maxsize_(maxsize) {}
  queue_base(const queue_base&) = delete;
  queue_base& operator=(const queue_base&) = delete;

  class getter : public parked {
   public:
    explicit getter(queue_base& q) noexcept : queue_(&q) {}
    getter(getter&& other) noexcept : parked(std::move(other)), queue_(other.queue_) {}
    bool await_ready() const {
      queue_->home_.check_thread("queue.get()");
      return queue_->may_get() && within_budget();
    }
    void await_suspend(std::coroutine_handle<> frame) {
      queue_->getters_.park(*this, frame, &getter::collect, &getter::call_another);
      if (queue_->may_get()) queue_->getters_.call_first();
    }

   protected:
    /// False: the queue is shut down and empty.
    bool has_come() {
      check_cancelled();
      return !queue_->items_.empty();
    }
    /// An item that cannot be moved out stays: it is somebody else's turn.
    template <class R>
    R take() {
      try {
        return queue_->template take_front<R>();
      } catch (...) {
        call_another(*this);
        throw;
      }
    }

   private:
    static bool collect(parked& p) noexcept { return static_cast<getter&>(p).queue_->may_get(); }
    static void call_another(parked& p) noexcept {
      queue_base& q = *static_cast<getter&>(p).queue_;
      if (!q.items_.empty()) q.getters_.call_first();
    }
    queue_base* queue_;
  };

  class [[nodiscard("it must be awaited: co_await q.get()")]] get_operation : public getter {
   public:
    using getter::getter;
    T await_resume() {
      if (!this->has_come()) throw queue_shut_down();
      return this->template take<T>();
    }
  };

  class [[nodiscard("it must be awaited: co_await q.next()")]] next_operation : public getter {
   public:
    using getter::getter;
    std::optional<T> await_resume() {
      if (!this->has_come()) return std::nullopt;
      return this->template take<std::optional<T>>();
    }
  };

  class [[nodiscard("it must be awaited: co_await q.put(item)")]] put_operation : public parked {
   public:
    template <class... A>
    explicit put_operation(queue_base& q, std::in_place_t, A&&... args) : queue_(&q), item_(std::forward<A>(args)...) {}
    put_operation(put_operation&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
        : parked(std::move(other)), queue_(other.queue_), item_(std::move(other.item_)) {}
    bool await_ready() const {
      queue_->home_.check_thread("queue.put()");
      return queue_->may_put() && within_budget();
    }
    void await_suspend(std::coroutine_handle<> frame) {
      queue_->putters_.park(*this, frame, &put_operation::collect, &put_operation::call_another);
      if (queue_->may_put()) queue_->putters_.call_first();
    }
    void await_resume() {
      check_cancelled();
      if (queue_->shut_) throw queue_shut_down();
      try {
        queue_->add(std::move(item_));
      } catch (...) {  // the place is somebody else's
        call_another(*this);
        throw;
      }
    }

   private:
    static bool collect(parked& p) noexcept { return static_cast<put_operation&>(p).queue_->may_put(); }
    static void call_another(parked& p) noexcept {
      queue_base& q = *static_cast<put_operation&>(p).queue_;
      if (!q.is_full()) q.putters_.call_first();
    }
    queue_base* queue_;
    T item_;
  };

  /// Puts an item made of `args`, waiting for a place when the queue is full. Cancel: safe, the item is destroyed.
  /// Errors: queue_shut_down.
  template <class... A>
    requires std::constructible_from<T, A...>
  put_operation put(A&&... args) {
    return put_operation(*this, std::in_place, std::forward<A>(args)...);
  }
  /// For aggregates: the arguments of its braces.
  template <class... A>
    requires(!std::constructible_from<T, A...>) && requires(A&&... a) { T{std::forward<A>(a)...}; }
  put_operation put(A&&... args) {
    return put_operation(*this, std::in_place, T{std::forward<A>(args)...});
  }
  /// Takes the next item, waiting for one. Cancel: safe, no item is lost. Errors: queue_shut_down.
  get_operation get() { return get_operation(*this); }
  /// The next item; nothing once the queue is shut down and empty: while (auto item = co_await q.next()).
  next_operation next() { return next_operation(*this); }

  /// Errors: queue_full, queue_shut_down.
  void put_nowait(T item) {
    home_.check_thread("queue.put_nowait()");
    if (shut_) throw queue_shut_down();
    if (is_full()) throw queue_full();
    add(std::move(item));
  }
  /// Errors: queue_empty; queue_shut_down when it is shut down as well.
  T get_nowait() {
    home_.check_thread("queue.get_nowait()");
    if (items_.empty()) {
      if (shut_) throw queue_shut_down();
      throw queue_empty();
    }
    return take_front<T>();
  }
  /// Moves from its argument only when it answers true.
  bool try_put(T&& item) {
    home_.check_thread("queue.try_put()");
    if (shut_ || is_full()) return false;
    add(std::move(item));
    return true;
  }
  bool try_put(T& item)
    requires std::copy_constructible<T>
  {
    return try_put(T(item));
  }
  std::optional<T> try_get() {
    home_.check_thread("queue.try_get()");
    if (items_.empty()) return std::nullopt;
    return take_front<std::optional<T>>();
  }

  /// An item that was got has been dealt with. Errors: std::invalid_argument when that was said more often than put().
  void task_done() {
    home_.check_thread("queue.task_done()");
    if (unfinished_ == 0) throw std::invalid_argument("task_done() called too many times");
    if (--unfinished_ == 0) joiners_.call_all();
  }

  class [[nodiscard("it must be awaited: co_await q.join()")]] join_operation : public parked {
   public:
    explicit join_operation(queue_base& q) noexcept : queue_(&q) {}
    join_operation(join_operation&& other) noexcept : parked(std::move(other)), queue_(other.queue_) {}
    bool await_ready() const {
      queue_->home_.check_thread("queue.join()");
      return queue_->unfinished_ == 0 && within_budget();
    }
    void await_suspend(std::coroutine_handle<> frame) {
      queue_->joiners_.park(*this, frame, &collect_nothing, &call_nobody_else);
      if (queue_->unfinished_ == 0) queue_->joiners_.call_all();
    }
    void await_resume() { check_cancelled(); }

   private:
    queue_base* queue_;
  };
  /// Waits until every item that was put has been dealt with.   Cancel: safe.
  join_operation join() { return join_operation(*this); }

  /// Nothing more can be put. What is there can still be got, unless `immediate`, which throws it away and counts it as
  /// dealt with. Who waits to put, or to get from an empty queue, gets queue_shut_down.
  void shutdown(bool immediate = false) {
    home_.check_thread("queue.shutdown()");
    shut_ = true;
    if (immediate) discard_all();
    putters_.call_all();
    getters_.call_all();
  }

  std::size_t qsize() const {
    home_.check_thread("queue.qsize()");
    return items_.size();
  }
  bool empty() const {
    home_.check_thread("queue.empty()");
    return items_.empty();
  }
  bool full() const {
    home_.check_thread("queue.full()");
    return is_full();
  }
  std::size_t maxsize() const noexcept { return maxsize_; }

 private:
  bool is_full() const noexcept { return maxsize_ != 0 && items_.size() >= maxsize_; }
  bool may_get() const noexcept { return shut_ || !items_.empty(); }
  bool may_put() const noexcept { return shut_ || !is_full(); }

  void add(T&& item) {
    items_.push(std::move(item));
    ++unfinished_;
    getters_.call_first();
  }
  template <class R>
  R take_front() {
    R item = items_.template pop<R>();
    putters_.call_first();
    return item;
  }

  void discard_all() noexcept {
    while (!items_.empty()) {
      items_.drop();
      --unfinished_;
    }
    if (unfinished_ == 0) joiners_.call_all();
  }

  Order items_;
  std::size_t maxsize_;
  std::size_t unfinished_ = 0;
  bool shut_ = false;
  loop_bond home_;
  parking getters_{home_}, putters_{home_}, joiners_{home_};
};

}  // namespace detail

/// First in, first out.   Thread: the loop's, checked, as of a lock.   Python: asyncio.Queue.
template <class T>
class queue : public detail::queue_base<T, detail::fifo_order<T>> {
 public:
  using detail::queue_base<T, detail::fifo_order<T>>::queue_base;
};

/// Smallest first (by Compare); equal ones first in, first out.   Python: asyncio.PriorityQueue.
template <class T, class Compare = std::less<T>>
class priority_queue : public detail::queue_base<T, detail::priority_order<T, Compare>> {
 public:
  using detail::queue_base<T, detail::priority_order<T, Compare>>::queue_base;
};

/// Last in, first out.   Python: asyncio.LifoQueue.
template <class T>
class lifo_queue : public detail::queue_base<T, detail::lifo_order<T>> {
 public:
  using detail::queue_base<T, detail::lifo_order<T>>::queue_base;
};

}  // namespace asyncio
