// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/parking.hpp>
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
  T pop() {
    T item = std::move(items_[first_]);
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
    for (std::size_t i = 0; i < size_; ++i) {
      T& old = items_[(first_ + i) & (capacity_ - 1)];
      ::new (static_cast<void*>(fresh + i)) T(std::move(old));
      old.~T();
    }
    free(items_);
    items_ = fresh;
    capacity_ = bigger;
    first_ = 0;
  }

  static void free(T* items) noexcept { ::operator delete(static_cast<void*>(items), std::align_val_t(alignof(T))); }

  T* items_ = nullptr;
  std::size_t capacity_ = 0;  // a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// The orders in which queues give items back.
template <class T>
struct fifo_order : ring<T> {};

template <class T>
struct lifo_order {
  bool empty() const noexcept { return items.empty(); }
  std::size_t size() const noexcept { return items.size(); }
  void push(T&& item) { items.push_back(std::move(item)); }
  T pop() {
    T item = std::move(items.back());
    items.pop_back();
    return item;
  }
  void drop() noexcept { items.pop_back(); }
  std::vector<T> items;
};

/// Smallest first; equal ones in the order in which they came.
template <class T, class Compare>
struct priority_order {
  struct entry {
    T item;
    std::uint64_t arrival;
    entry(T&& i, std::uint64_t a) : item(std::move(i)), arrival(a) {}
  };
  bool first_of_two(const entry& a, const entry& b) const {
    if (less(a.item, b.item)) return true;
    if (less(b.item, a.item)) return false;
    return a.arrival < b.arrival;
  }
  bool empty() const noexcept { return items.empty(); }
  std::size_t size() const noexcept { return items.size(); }
  void push(T&& item) {
    items.emplace_back(std::move(item), ++arrivals);
    for (std::size_t at = items.size() - 1; at > 0;) {
      const std::size_t parent = (at - 1) / 2;
      if (!first_of_two(items[at], items[parent])) break;
      std::swap(items[at], items[parent]);
      at = parent;
    }
  }
  T pop() {
    std::swap(items.front(), items.back());
    T item = std::move(items.back().item);
    items.pop_back();
    for (std::size_t at = 0;;) {
      std::size_t first = at;
      for (std::size_t child = 2 * at + 1; child <= 2 * at + 2 && child < items.size(); ++child)
        if (first_of_two(items[child], items[first])) first = child;
      if (first == at) break;
      std::swap(items[at], items[first]);
      at = first;
    }
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
    bool await_ready() const noexcept { return queue_->may_get(); }
    void await_suspend(std::coroutine_handle<> frame) {
      queue_->getters_.park(*this, frame, &getter::collect, &getter::call_another);
    }

   protected:
    /// The item; nothing when the queue is shut down and empty.
    std::optional<T> take() {
      check_cancelled();
      if (queue_->empty()) return std::nullopt;
      return queue_->take_front();
    }

   private:
    static bool collect(parked& p) noexcept { return static_cast<getter&>(p).queue_->may_get(); }
    static void call_another(parked& p) noexcept {
      queue_base& q = *static_cast<getter&>(p).queue_;
      if (!q.empty()) q.getters_.call_first();
    }
    queue_base* queue_;
  };

  class [[nodiscard("it must be awaited: co_await q.get()")]] get_operation : public getter {
   public:
    using getter::getter;
    T await_resume() {
      std::optional<T> item = this->take();
      if (!item) throw queue_shut_down();
      return std::move(*item);
    }
  };

  class [[nodiscard("it must be awaited: co_await q.next()")]] next_operation : public getter {
   public:
    using getter::getter;
    std::optional<T> await_resume() { return this->take(); }
  };

  class [[nodiscard("it must be awaited: co_await q.put(item)")]] put_operation : public parked {
   public:
    template <class... A>
    explicit put_operation(queue_base& q, std::in_place_t, A&&... args)
        : queue_(&q), item_(std::forward<A>(args)...) {}
    put_operation(put_operation&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
        : parked(std::move(other)), queue_(other.queue_), item_(std::move(other.item_)) {}
    bool await_ready() const noexcept { return queue_->may_put(); }
    void await_suspend(std::coroutine_handle<> frame) {
      queue_->putters_.park(*this, frame, &put_operation::collect, &put_operation::call_another);
    }
    void await_resume() {
      check_cancelled();
      if (queue_->shut_) throw queue_shut_down();
      queue_->add(std::move(item_));
    }

   private:
    static bool collect(parked& p) noexcept { return static_cast<put_operation&>(p).queue_->may_put(); }
    static void call_another(parked& p) noexcept {
      queue_base& q = *static_cast<put_operation&>(p).queue_;
      if (!q.full()) q.putters_.call_first();
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
    if (shut_) throw queue_shut_down();
    if (full()) throw queue_full();
    add(std::move(item));
  }
  /// Errors: queue_empty; queue_shut_down when it is shut down as well.
  T get_nowait() {
    if (empty()) {
      if (shut_) throw queue_shut_down();
      throw queue_empty();
    }
    return take_front();
  }
  /// Moves from its argument only when it answers true.
  bool try_put(T&& item) {
    if (shut_ || full()) return false;
    add(std::move(item));
    return true;
  }
  bool try_put(T& item)
    requires std::copy_constructible<T>
  {
    return try_put(T(item));
  }
  std::optional<T> try_get() {
    if (empty()) return std::nullopt;
    return take_front();
  }

  /// An item that was got has been dealt with. Errors: std::invalid_argument when that was said more often than put().
  void task_done() {
    if (unfinished_ == 0) throw std::invalid_argument("task_done() called too many times");
    if (--unfinished_ == 0) joiners_.call_all();
  }

  class [[nodiscard("it must be awaited: co_await q.join()")]] join_operation : public parked {
   public:
    explicit join_operation(queue_base& q) noexcept : queue_(&q) {}
    join_operation(join_operation&& other) noexcept : parked(std::move(other)), queue_(other.queue_) {}
    bool await_ready() const noexcept { return queue_->unfinished_ == 0; }
    void await_suspend(std::coroutine_handle<> frame) {
      queue_->joiners_.park(*this, frame, &collect_nothing, &call_nobody_else);
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
    shut_ = true;
    if (immediate) discard_all();
    putters_.call_all();
    getters_.call_all();
  }

  std::size_t qsize() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.empty(); }
  bool full() const noexcept { return maxsize_ != 0 && items_.size() >= maxsize_; }
  std::size_t maxsize() const noexcept { return maxsize_; }

 private:
  bool may_get() const noexcept { return shut_ || !empty(); }
  bool may_put() const noexcept { return shut_ || !full(); }

  void add(T&& item) {
    items_.push(std::move(item));
    ++unfinished_;
    getters_.call_first();
  }
  T take_front() {
    T item = items_.pop();
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
  parking getters_, putters_, joiners_;
};

}  // namespace detail

/// First in, first out.   Thread: the loop's.   Python: asyncio.Queue.
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
