// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/dns.hpp"

#include <asyncio/detail/coro_core.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace asyncio::coro {

/// Awaits the resolver, through detail::in_place(); then `answer` is there. Cancelled or destroyed while it waits, it
/// leaves the question to itself.
template <class Query>
class resolve_wait final : public detail::wait_base {
 public:
  resolve_wait(loop::loop& l, Query query) : loop_(&l), query_(std::move(query)) {}
  resolve_wait(const resolve_wait&) = delete;
  resolve_wait& operator=(const resolve_wait&) = delete;
  ~resolve_wait() { forget(); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) {
    task_ = detail::awaiting_task(frame);
    cancel = &resolve_wait::cancel_resolve;
    listener_ = io::ref<listener>::adopt(new listener);
    listener_->waiting = this;
    lookup_ = lookup::start(*loop_, std::move(query_), &resolve_wait::resolved, listener_.get(), listener_.get());
    detail::begin_wait(task_, this);
  }
  void await_resume() {
    if (cancelled_) detail::throw_cancelled(task_);
    if (error_ != nullptr) std::rethrow_exception(std::move(error_));
  }
  typename Query::answer answer;

 private:
  using lookup = io::lookup<Query>;
  /// What the lookup writes to: it may outlive the wait.
  struct listener final : io::counted {
    resolve_wait* waiting = nullptr;
  };

  static bool cancel_resolve(wait_base* self) noexcept {
    auto* me = static_cast<resolve_wait*>(self);
    me->forget();
    me->cancelled_ = true;
    me->task_->wake();
    return true;
  }
  static void resolved(void* context, typename Query::answer found, std::exception_ptr error) noexcept {
    resolve_wait* me = static_cast<listener*>(context)->waiting;
    if (me == nullptr) return;
    me->lookup_ = nullptr;
    me->answer = std::move(found);
    me->error_ = std::move(error);
    me->task_->wake();
  }
  void forget() noexcept {
    if (lookup_ == nullptr) return;
    listener_->waiting = nullptr;
    if (task_->loop() != nullptr) std::exchange(lookup_, nullptr)->abandon();
  }

  loop::loop* loop_;
  Query query_;
  detail::coro_core* task_ = nullptr;
  lookup* lookup_ = nullptr;
  io::ref<listener> listener_;
  std::exception_ptr error_;
  bool cancelled_ = false;
};

}  // namespace asyncio::coro
