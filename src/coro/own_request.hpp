// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "coro/coro.hpp"

namespace asyncio::coro {

/// A request for cancellation that a scope (a timeout, a group) makes to the task it stands in, and takes back when it
/// ends. What others request in between stays.
class own_request {
 public:
  /// The scope is entered.
  explicit own_request(detail::coro_core* task) noexcept
      : task_(task), at_entry_(task->cancel_requests), under_way_at_entry_(task->must_cancel) {}

  bool made() const noexcept { return made_; }
  void make() noexcept {
    made_ = true;
    others_undelivered_ = task_->must_cancel;
    others_message_ = task_->cancel_message;
    detail::cancel_task(task_, detail::shared_text());
  }

  /// Takes the request back. When nobody else has requested anything meanwhile, and ours never reached the task, it
  /// never will; and when none is left, as of uncancel(), none will.
  void take_back() noexcept {
    if (!std::exchange(made_, false) || task_->cancel_requests == 0) return;
    --task_->cancel_requests;
    const bool ours_alone = !others_request() && !others_undelivered_;
    if (ours_alone || task_->cancel_requests == 0) task_->must_cancel = task_->late_cancel = false;
  }
  /// Has somebody requested cancellation since the scope was entered? (Once ours is taken back.)
  bool others_request() const noexcept { return task_->cancel_requests > at_entry_; }

  /// A request of somebody else that came while the scope was there, or was under way when it was entered, reaches the
  /// task at its next suspension, delivered or not. (Once ours is taken back.)
  void deliver_others_again() noexcept {
    if (!others_request() && !(under_way_at_entry_ && task_->cancel_requests > 0)) return;
    if (task_->cancel_message.empty()) task_->set_message(others_message_);
    task_->must_cancel = true;
  }
  /// A request of somebody else leaves the scope now: it is not delivered again.
  void delivered() noexcept { task_->must_cancel = task_->late_cancel = false; }

  detail::coro_core* task() const noexcept { return task_; }

 private:
  detail::coro_core* task_;
  std::uint32_t at_entry_;
  bool under_way_at_entry_;
  bool made_ = false;
  bool others_undelivered_ = false;
  detail::shared_text others_message_;  // of a request before ours
};

}  // namespace asyncio::coro
