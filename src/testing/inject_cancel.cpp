// SPDX-License-Identifier: BSL-1.0
#include <asyncio/testing/inject_cancel.hpp>

#include <asyncio/testing/testing.hpp>

#include "base/log.hpp"
#include "coro/coro.hpp"
#include "testing/injector.hpp"
#include "testing/watching_clock.hpp"

#include <asyncio/detail/shared_text.hpp>

#include <string>

namespace asyncio::testing {

namespace {

using asyncio::detail::coro_core;
using asyncio::detail::op_queue;
using asyncio::detail::shared_text;

/// One run of a body that is cancelled at the n-th point. The points within a turn are the injector's; those between turns
/// are counted by run().
class cancelled_run final : public watching_clock, public injector {
 public:
  cancelled_run(std::size_t point, inject_options options)
      : watching_clock(run_options().deadlock_grace),
        point_(point),
        options_(options),
        message_(std::string("injected")) {}

  /// False: the body ended before that point. Throws what it threw.
  bool run(detail::body_ref body) {
    auto loop = new_event_loop({.clock = this});
    loop_ = loop.get();
    main_ = loop->create_task(body());
    loop->run_once();
    arm(point_);
    while (!main_.done() && !cancelled_) {
      if (is_point())
        inject();
      else
        loop->run_once();
    }
    if (cancelled_ && options_.twice && !main_.done()) {
      loop->run_once();
      cancel();
    }
    while (!main_.done()) loop->run_once();
    coro::cancel_all_tasks(*loop);
    coro::close_executor(*loop);
    loop->close();
    const std::exception_ptr error = main_.cancelled() ? nullptr : main_.exception();
    main_ = any_task();
    if (error != nullptr) std::rethrow_exception(error);
    return cancelled_;
  }

  void arrange(op_queue& batch) noexcept override { put_among(batch, false); }

 private:
  void inject() noexcept override {
    if (cancelled_ || main_.done()) return;
    cancelled_ = true;
    cancel();
  }

  void cancel() noexcept {
    if (!options_.all_tasks) {
      (void)asyncio::detail::cancel_task(main_.raw_core().get(), message_);
      return;
    }
    asyncio::detail::loop_core& loop = loop_->core();
    for (coro_core* at = loop.first_task(); at != nullptr; at = loop.task_after(at))
      (void)asyncio::detail::cancel_task(at, message_);
  }

  const std::size_t point_;
  const inject_options options_;
  const shared_text message_;
  event_loop* loop_ = nullptr;
  any_task main_;
  bool cancelled_ = false;
};

void report_point(std::size_t point) noexcept {
  try {
    base::log(log_level::error, "inject_cancel: failed when the body was cancelled at point " + std::to_string(point));
  } catch (...) {
    base::log(log_level::error, "inject_cancel: failed");
  }
}

}  // namespace

namespace detail {

std::size_t each_cancel(body_ref body, check_ref check, inject_options options) {
  for (std::size_t point = 1;; ++point) {
    try {
      const ledger before = ledger::now();
      const bool cancelled = cancelled_run(point, options).run(body);
      ledger::now().check_nothing_left_since(before);
      check();
      if (!cancelled) return point - 1;
    } catch (...) {
      report_point(point);
      throw;
    }
  }
}

}  // namespace detail
}  // namespace asyncio::testing
