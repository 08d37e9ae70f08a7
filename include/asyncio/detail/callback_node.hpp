// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/detail/context_core.hpp>
#include <asyncio/detail/loop_core.hpp>
#include <asyncio/detail/pool.hpp>

#include <cstdint>
#include <new>
#include <tuple>
#include <utility>

namespace asyncio::detail {

/// A call that the loop makes once: the node behind callback_handle. It is counted: the queue has one reference until
/// it has run, each handle one. Of call_soon_threadsafe: the count and the state are then changed by any thread.
struct callback_node : timer_op {
  enum state_t : std::uint8_t { pending, running, finished, cancelled };

  inbox* home = nullptr;
  void (*call)(callback_node*) = nullptr;           ///< may throw
  void (*drop)(callback_node*) noexcept = nullptr;  ///< destroys the closure, once
  void (*free)(callback_node*) noexcept = nullptr;  ///< frees the node
  counted_thing variables;                          ///< of the context that it was scheduled in
  const thread_state* runs_in = nullptr;            ///< the thread in which it runs, of a shared one
  std::uint32_t refs = 1;
  std::uint8_t state = pending;
  bool shared = false;  ///< use the two words through atomics

  void retain() noexcept;
  void release() noexcept;
  void cancel() noexcept;
  /// Errors: std::runtime_error in a wrong thread; none is wrong for one of call_soon_threadsafe.
  void check_thread(const char* called) const {
    if (!shared) home->check_thread(called);
  }
  bool is_cancelled() const noexcept;
  static void run(op* self) noexcept;
};

template <class F, class... A>
struct bound_call final : callback_node {
  template <class G, class... B>
  explicit bound_call(G&& g, B&&... b) {
    ::new (static_cast<void*>(&f)) F(std::forward<G>(g));
    try {
      using tuple = std::tuple<A...>;
      ::new (static_cast<void*>(&args)) tuple(std::forward<B>(b)...);
    } catch (...) {
      f.~F();
      throw;
    }
  }

  union {
    F f;
  };
  union {
    std::tuple<A...> args;
  };
  ~bound_call() {}  // f and args were destroyed by drop

  static bound_call* make(auto&& g, auto&&... b) {
    auto* node = pool_new<bound_call>(std::forward<decltype(g)>(g), std::forward<decltype(b)>(b)...);
    node->done = &callback_node::run;
    node->call = [](callback_node* self) {
      auto* me = static_cast<bound_call*>(self);
      std::apply([me](A&... a) { (void)detail::invoke(std::move(me->f), std::move(a)...); }, me->args);
    };
    node->drop = [](callback_node* self) noexcept {
      auto* me = static_cast<bound_call*>(self);
      me->f.~F();
      using tuple = std::tuple<A...>;
      me->args.~tuple();
    };
    node->free = [](callback_node* self) noexcept {
      auto* me = static_cast<bound_call*>(self);
      me->~bound_call();
      pool_free(me, sizeof(bound_call));
    };
    return node;
  }
};

}  // namespace asyncio::detail
