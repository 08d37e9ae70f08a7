// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/task.hpp>

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

namespace detail {

struct gather_core;

struct gather_child : waiter {
  core_ref<> child;
  gather_core* owner = nullptr;
};

/// The future of a gather: it listens to its children by one node each, and its own op does what must come a turn later.
///
/// pending → (a child fails, or the last one is done) → queued → finished. The op is queued once; what children do after
/// that only marks their exceptions as seen. The state holds a reference to itself until its last child is done,
/// or the loop is closed.
struct gather_core : future_core, op, close_hook {
  using future_core::future_core;

  std::vector<gather_child> children;
  std::size_t unfinished = 0;
  gather_child* failed = nullptr;           ///< the first; null when results are collected
  void (*collect)(gather_core*) = nullptr;  ///< builds the value from the children; may throw
  bool keep_exceptions = false;             ///< return_exceptions
  bool cancel_requested = false;
  bool asking = false;  ///< a request is on its way through the children: see `request`
  bool queued = false;

  /// A request for cancellation that is given to one child after the other.
  struct request_t {
    gather_core* above = nullptr;  ///< the gather that it came through; null when it began here
    coro_core* waiting = nullptr;  ///< the task that waits for this gather, and that was asked
    std::size_t next = 0;          ///< the child to ask next
    bool taken = false;            ///< by a child
  } request;
};

/// Starts listening; the children are set. Returns at once when there are none.
void start_gather(gather_core* core);
bool cancel_gather(future_core* core, const shared_text& message);

/// The value of a finished child: moved out when nobody else can see it, or when it cannot be copied.
template <class T>
T take_value(future_core* child) {
  T& value = *value_of<T>(child);
  if constexpr (can_copy<T>) {
    if (!child->only_reference()) return static_cast<const T&>(value);
  }
  return std::move(value);
}

template <class T>
none_t<T> take_result(future_core* child) {
  if constexpr (std::is_void_v<T>)
    return std::monostate();
  else
    return take_value<T>(child);
}

template <class T>
outcome<T> take_outcome(future_core* child) {
  if (child->state == future_state::cancelled)
    return outcome<T>(std::make_exception_ptr(cancelled_error(child->cancel_message)));
  if (child->error != nullptr) {
    child->retrieved = true;
    return outcome<T>(child->error);
  }
  if constexpr (std::is_void_v<T>)
    return outcome<T>(std::in_place);
  else
    return outcome<T>(std::in_place, take_value<T>(child));
}

template <class T>
void free_gather(future_core* core) noexcept {
  auto* me = static_cast<gather_core*>(core);
  if (!me->retrieved) report_unretrieved(me);
  if (me->waiters != nullptr) drop_callbacks(me);
  if (me->has_value) destroy_value<T>(me);
  inbox* home = me->home;
  const std::uint32_t block_class = me->block_class;
  me->~gather_core();
  pool_free_of_class(reinterpret_cast<std::byte*>(me) - value_space<T>, block_class);
  home->drop_user(user_kind::future);
}

template <class T>
inline constexpr future_kind gather_kind{&destroy_value<T>, &cancel_gather, &free_gather<T>};

/// Any awaitable as a running future: handles are themselves, all else becomes a task.
template <class A>
core_ref<> as_child(A&& awaited) {
  using plain = std::remove_cvref_t<A>;
  if constexpr (is_handle<plain>) {
    static_assert(!std::is_lvalue_reference_v<A> || std::is_void_v<value_t<plain>> || can_copy<none_t<value_t<plain>>>,
                  "the result of this handle cannot be copied: hand it over with std::move");
    if (!awaited.raw_core()) throw_empty_handle();
    return awaited.raw_core();
  } else {
    static_assert(!std::is_lvalue_reference_v<A>, "a named coroutine is handed over with std::move");
    return start(nullptr, as_coroutine(std::forward<A>(awaited))).raw_core();
  }
}

/// The loop of a gather: the running one, else that of the first child.
inbox& gather_home(const core_ref<>* first);

template <class T>
future<T> make_gather(std::vector<core_ref<>> cores, void (*collect)(gather_core*), bool keep_exceptions) {
  auto* core = make_future_core<T, gather_core>(&gather_home(cores.empty() ? nullptr : cores.data()), &gather_kind<T>);
  future<T> result = future<T>::from_core(core_ref<>::adopt(core));
  core->collect = collect;
  core->keep_exceptions = keep_exceptions;
  core->children.resize(cores.size());
  for (std::size_t i = 0; i < cores.size(); ++i) core->children[i].child = std::move(cores[i]);
  start_gather(core);
  return result;
}

template <class... A>
std::vector<core_ref<>> as_children(A&&... awaited) {
  std::vector<core_ref<>> cores;
  cores.reserve(sizeof...(A));
  (cores.push_back(as_child(std::forward<A>(awaited))), ...);
  return cores;
}

/// Something for a range-for loop; <ranges> would cost every user's file a tenth of a second.
template <class R>
concept iterable = requires(R& r) {
  r.begin() != r.end();
  *r.begin();
};
template <iterable R>
using range_reference_t = decltype(*std::declval<R&>().begin());
template <iterable R>
using range_value_t = std::remove_cvref_t<range_reference_t<R>>;

template <class R>
concept awaitable_range = (!awaitable<R>) && iterable<R> && awaitable<range_value_t<R>> &&
                          (std::copy_constructible<range_value_t<R>> || !std::is_lvalue_reference_v<R> ||
                           !std::is_lvalue_reference_v<range_reference_t<R>>);
template <class R>
using range_result_t = value_t<range_value_t<R>>;
template <class T>
using vector_future = std::conditional_t<std::is_void_v<T>, future<>, future<std::vector<none_t<T>>>>;

/// The elements of a range: moved out of a temporary container, copied out of a named one, as they come from a view.
template <class R>
std::vector<core_ref<>> range_children(R&& range) {
  std::vector<core_ref<>> cores;
  if constexpr (requires { range.size(); }) cores.reserve(range.size());
  for (auto&& element : range) {
    if constexpr (std::is_lvalue_reference_v<R> || !std::is_lvalue_reference_v<decltype(element)>)
      cores.push_back(as_child(std::forward<decltype(element)>(element)));
    else
      cores.push_back(as_child(std::move(element)));
  }
  return cores;
}

template <class... T>
struct collect_tuple {
  template <std::size_t... I>
  static void values(gather_core* core, std::index_sequence<I...>) {
    emplace_value<std::tuple<none_t<T>...>>(core, take_result<T>(core->children[I].child.get())...);
  }
  static void run(gather_core* core) { values(core, std::index_sequence_for<T...>()); }

  template <std::size_t... I>
  static void outcomes(gather_core* core, std::index_sequence<I...>) {
    emplace_value<std::tuple<outcome<T>...>>(core, take_outcome<T>(core->children[I].child.get())...);
  }
  static void run_outcomes(gather_core* core) { outcomes(core, std::index_sequence_for<T...>()); }
};

template <class T>
struct collect_vector {
  static void run(gather_core* core) {
    if constexpr (!std::is_void_v<T>) {
      std::vector<T> all;
      all.reserve(core->children.size());
      for (gather_child& c : core->children) all.push_back(take_value<T>(c.child.get()));
      emplace_value<std::vector<T>>(core, std::move(all));
    }
  }
  static void run_outcomes(gather_core* core) {
    std::vector<outcome<T>> all;
    all.reserve(core->children.size());
    for (gather_child& c : core->children) all.push_back(take_outcome<T>(c.child.get()));
    emplace_value<std::vector<outcome<T>>>(core, std::move(all));
  }
};

template <class... X>
inline constexpr bool gatherable = (awaitable<X> && ...);
#define ASYNCIO_GATHER_SENTENCE \
  "gather takes awaitables, or one range of them (a named vector of coroutines by std::move)"

}  // namespace detail

/// Runs awaitables concurrently: scheduled at the call, in order. The results in the order of the arguments; void as
/// std::monostate. The first exception comes out at once, the others go on running.
/// Cancel: cancels all children that are not done.   Errors: std::invalid_argument for futures of different loops.
/// Python: asyncio.gather().
template <awaitable... A>
future<std::tuple<detail::none_t<detail::value_t<A>>...>> gather(A&&... awaited) {
  using result = std::tuple<detail::none_t<detail::value_t<A>>...>;
  return detail::make_gather<result>(detail::as_children(std::forward<A>(awaited)...),
                                     &detail::collect_tuple<detail::value_t<A>...>::run, false);
}
/// The same, with what became of each in its place: exceptions and cancellations are delivered as outcomes.
template <awaitable... A>
future<std::tuple<outcome<detail::value_t<A>>...>> gather(return_exceptions_t, A&&... awaited) {
  using result = std::tuple<outcome<detail::value_t<A>>...>;
  return detail::make_gather<result>(detail::as_children(std::forward<A>(awaited)...),
                                     &detail::collect_tuple<detail::value_t<A>...>::run_outcomes, true);
}
/// All awaitables of a range: future<std::vector<R>>, future<> when they yield nothing.
template <detail::awaitable_range R>
detail::vector_future<detail::range_result_t<R>> gather(R&& range) {
  using value = detail::range_result_t<R>;
  using result = typename detail::vector_future<value>::value_type;
  return detail::make_gather<result>(detail::range_children(std::forward<R>(range)),
                                     &detail::collect_vector<value>::run, false);
}
template <detail::awaitable_range R>
future<std::vector<outcome<detail::range_result_t<R>>>> gather(return_exceptions_t, R&& range) {
  using value = detail::range_result_t<R>;
  return detail::make_gather<std::vector<outcome<value>>>(detail::range_children(std::forward<R>(range)),
                                                          &detail::collect_vector<value>::run_outcomes, true);
}
template <class... X>
  requires(!detail::gatherable<X...> && !(sizeof...(X) == 1 && (detail::awaitable_range<X> && ...)) &&
           !(std::same_as<std::remove_cvref_t<X>, return_exceptions_t> || ...))
detail::refused gather(X&&...) {
  static_assert(detail::gatherable<X...>, ASYNCIO_GATHER_SENTENCE);
  return {};
}

}  // namespace asyncio
