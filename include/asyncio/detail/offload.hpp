// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/context_core.hpp>
#include <asyncio/detail/future_core.hpp>
#include <asyncio/detail/job.hpp>
#include <asyncio/detail/loop_core.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/stop_token.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace asyncio {

class event_loop;
class executor;

namespace detail {

/// Takes a std::stop_token in front of its arguments, and cannot do without one.
template <class F, class... A>
concept stoppable_call = !std::invocable<F, A...> && requires(F&& f, const std::stop_token& token, A&&... args) {
  static_cast<F&&>(f)(token, static_cast<A&&>(args)...);
};
template <class F, class... A>
struct offload_result {};
template <class F, class... A>
  requires std::invocable<F, A...>
struct offload_result<F, A...> : std::invoke_result<F, A...> {};
template <class F, class... A>
  requires stoppable_call<F, A...>
struct offload_result<F, A...> {
  using type =
      decltype(detail::invoke(std::declval<F>(), std::declval<const std::stop_token&>(), std::declval<A>()...));
};
/// What a function that is given to an executor yields.
template <class F, class... A>
using offload_result_t = std::remove_cvref_t<typename offload_result<std::decay_t<F>, std::decay_t<A>...>::type>;

/// Can be called by another thread: a plain function of these arguments, or of a std::stop_token and them.
template <class F, class... A>
concept offloadable =
    (std::invocable<std::decay_t<F>, std::decay_t<A>...> || stoppable_call<std::decay_t<F>, std::decay_t<A>...>) &&
    !is_coroutine<offload_result_t<F, A...>>;
template <class... X>
inline constexpr bool offload_any = false;
template <class F, class... A>
inline constexpr bool offload_any<F, A...> = offloadable<F, A...>;

#define ASYNCIO_OFFLOAD_SENTENCE                                                                                \
  "a thread calls a plain function of these arguments, or of a std::stop_token and them; a coroutine function " \
  "belongs "                                                                                                    \
  "to the loop: co_await it, or create_task(f, args...)"

/// A function object with its arguments, called once.
template <class F, class... A>
struct bound_function {
  template <class G, class... B>
  explicit bound_function(G&& g, B&&... b) : f(std::forward<G>(g)), args(std::forward<B>(b)...) {}
  decltype(auto) call([[maybe_unused]] const stop_flag& stop) {
    return std::apply(
        [&](A&... a) -> decltype(auto) {
          if constexpr (std::invocable<F, A...>)
            return detail::invoke(std::move(f), std::move(a)...);
          else
            return std::move(f)(stop.token(), std::move(a)...);
        },
        args);
  }
  F f;
  std::tuple<A...> args;
};

/// A call on its way from a loop to a thread and back, behind a future of the loop.
///
///     queued ──a thread──▶ running ──▶ home ──▶ the future gets the outcome
///        └──the loop──▶ revoked ──a thread──▶ home
///
/// One exchange decides between a thread and the loop (`stage`). The loop revokes when the future was cancelled, or when it
/// is closed itself; then the function and its arguments die there at once, and the empty shell comes home when the executor
/// has come to it. Of a call that runs a cancelled future asks it to stop, no more; so does the end of run(), which waits
/// for the calls of the default executor. `home`: it is posted to the loop's inbox,
/// and everything dies in the loop's thread. Only when that door is shut, because the loop was closed while the call ran, does it die in the
/// thread that ran it.
///
/// The result stands here until it is home, and is moved into the future there: the future is its owner's too, who may have
/// given it another outcome meanwhile.
struct offload : job, op, waiter, close_hook {
  offload(bool stoppable, const char* type);
  offload(const offload&) = delete;
  offload& operator=(const offload&) = delete;

  enum stage_t : std::uint8_t { queued, running, revoked };
  struct part : op {
    offload* owner = nullptr;
  };

  void (*call)(offload*) = nullptr;              ///< makes the result; may throw
  void (*give)(offload*) = nullptr;              ///< moves it to where the future has its own; may throw
  void (*clear)(offload*) noexcept = nullptr;    ///< the function and its arguments die
  void (*destroy)(offload*) noexcept = nullptr;  ///< so does all of it
  core_ref<> to;
  std::exception_ptr error;
  counted_thing variables;
  counted_ptr<counted> returned;  ///< let go of in the loop's thread, when the call has ended
  part refusal;
  stop_flag stop;
  atomic_cell<std::uint8_t> stage{queued};
  atomic_cell<int> uses{1};  ///< the way's, and that of a refusal that stands in the ready queue
  bool has_result = false;
  bool by_default = false;  ///< the loop's default executor has it
  bool refusing = false;    ///< `refusal` stands in the ready queue; the loop's thread's

 protected:
  ~offload() = default;
};

template <class R, class F, class... A>
struct offload_call final : offload {
  template <class G, class... B>
  explicit offload_call(G&& g, B&&... b)
      : offload(!std::invocable<F, A...>, typeid(F).name()),
        bound(std::in_place, std::forward<G>(g), std::forward<B>(b)...) {
    this->call = [](offload* self) {
      auto* me = static_cast<offload_call*>(self);
      if constexpr (std::is_void_v<R>)
        static_cast<void>(me->bound->call(me->stop));
      else
        ::new (static_cast<void*>(&me->result)) R(me->bound->call(me->stop));
    };
    this->give = [](offload* self) {
      if constexpr (!std::is_void_v<R>)
        emplace_value<R>(self->to.get(), std::move(static_cast<offload_call*>(self)->result));
    };
    this->clear = [](offload* self) noexcept { static_cast<offload_call*>(self)->bound.reset(); };
    this->destroy = [](offload* self) noexcept {
      auto* me = static_cast<offload_call*>(self);
      me->~offload_call();
      pool_free(me, sizeof(offload_call));
    };
  }
  ~offload_call() {
    if constexpr (!std::is_void_v<R>)
      if (this->has_result) result.~R();
  }

  std::optional<bound_function<F, A...>> bound;
  union {
    stored_t<R> result;
  };
};

/// A call that has not begun its way.
class offload_ptr {
 public:
  explicit offload_ptr(offload* call) noexcept : call_(call) {}
  offload_ptr(offload_ptr&& other) noexcept : call_(other.release()) {}
  offload_ptr& operator=(const offload_ptr&) = delete;
  ~offload_ptr() {
    if (call_ != nullptr) call_->destroy(call_);
  }
  offload* get() const noexcept { return call_; }
  offload* operator->() const noexcept { return call_; }
  offload* release() noexcept { return taken(call_); }

 private:
  offload* call_;
};

template <class R, class F, class... A>
offload_ptr make_offload(F&& f, A&&... args) {
  using made = offload_call<R, std::decay_t<F>, std::decay_t<A>...>;
  return offload_ptr(pool_new<made>(std::forward<F>(f), std::forward<A>(args)...));
}

/// Sends it to `pool`, null: the loop's default executor; `to` is a pending future of the loop.   Thread: the loop's.
/// Errors: what the executor throws; std::runtime_error after shutdown_default_executor(). It dies here then.
void send_offload(event_loop& loop, executor* pool, offload_ptr call, future_core* to);

/// Asks the calls that this loop gave to its default executor, and that have not come home, to stop: a turn later. They are
/// not cancelled.   Thread: the loop's.
void ask_default_calls_to_stop(event_loop& loop) noexcept;

}  // namespace detail
}  // namespace asyncio
