// SPDX-License-Identifier: BSL-1.0
#include "coro/coro.hpp"

#include <atomic>

namespace asyncio::detail {

// A node of call_soon_threadsafe is shared: its count and state are changed by any thread. pending → running → finished
// is the loop's way; pending → cancelled is cancel()'s; one exchange decides. cancel() of a running call waits for
// `finished`, but not in the thread that runs it, where that is the call itself, or the end of its closure, which may come
// when the loop is closed already. Who cancels does not look into the inbox: a shared node is no user of it, and it goes
// when the loop ends behind the call.

namespace {
auto refs_of(callback_node& node) noexcept { return std::atomic_ref<std::uint32_t>(node.refs); }
auto state_of(callback_node& node) noexcept { return std::atomic_ref<std::uint8_t>(node.state); }

bool change_state(callback_node& node, std::uint8_t from, std::uint8_t to) noexcept {
  if (node.shared) return state_of(node).compare_exchange_strong(from, to, std::memory_order_acq_rel);
  if (node.state != from) return false;
  node.state = to;
  return true;
}

void invoke_reporting(callback_node& node, loop_core& loop) noexcept {
  coro::call_reporting(
      loop, node.variables, [&node] { node.call(&node); }, [] { return std::string("exception in a callback"); });
}

void invoke(callback_node& node, loop_core& loop) noexcept {
  if (!loop.debug()) [[likely]]
    return invoke_reporting(node, loop);
  const auto limit = loop.face()->slow_callback_duration();
  const time_point before = loop.now();
  invoke_reporting(node, loop);
  const auto took = loop.now() - before;
  if (took >= limit) coro::report_slow("executing a callback", took);
}

}  // namespace

void callback_node::retain() noexcept {
  if (shared)
    refs_of(*this).fetch_add(1, std::memory_order_relaxed);
  else
    ++refs;
}

void callback_node::release() noexcept {
  const std::uint32_t left = shared ? refs_of(*this).fetch_sub(1, std::memory_order_acq_rel) - 1 : --refs;
  if (left != 0) return;
  inbox* box = home;
  const bool counted = !shared;
  free(this);
  if (counted) box->drop_user(user_kind::callback);
}

void callback_node::run(op* self) noexcept {
  auto& node = *static_cast<callback_node*>(self);
  loop_core* loop = node.home->loop();
  node.runs_in = &here;  // read by those who see that it runs
  if (change_state(node, pending, running)) {
    if (loop != nullptr && !loop->closing()) invoke(node, *loop);
    node.drop(&node);
    if (node.shared) {
      state_of(node).store(finished, std::memory_order_release);
      state_of(node).notify_all();
    } else {
      node.state = finished;
    }
  }
  node.release();
}

void callback_node::cancel() noexcept {
  if (change_state(*this, pending, cancelled)) {
    drop(this);
    if (!shared && armed()) {
      if (loop_core* loop = home->loop()) {
        loop->remove_timer(*this);
        release();
      }
    }
    return;
  }
  if (!shared || state_of(*this).load(std::memory_order_acquire) != running || runs_in == &here) return;
  while (state_of(*this).load(std::memory_order_acquire) == running) state_of(*this).wait(running);
}

bool callback_node::is_cancelled() const noexcept {
  auto& self = const_cast<callback_node&>(*this);
  return (shared ? state_of(self).load(std::memory_order_acquire) : state) == cancelled;
}

}  // namespace asyncio::detail
