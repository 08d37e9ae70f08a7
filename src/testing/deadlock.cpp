// SPDX-License-Identifier: BSL-1.0
#include <asyncio/testing/deadlock.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "coro/coro.hpp"
#include "introspect/introspect.hpp"
#include "kernel/process.hpp"
#include "loop/loop.hpp"
#include "testing/watching_clock.hpp"

#include <asyncio/event_loop.hpp>
#include <asyncio/run.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace asyncio::testing {

namespace {

constexpr std::size_t most_tasks_shown = 100;
constexpr int most_entries_shown = 30;
constexpr int most_cancellations = 100;
constexpr std::chrono::milliseconds shortest_grace_at_the_end{100};

std::string report(event_loop& loop) {
  std::string text = "deadlock: nothing can wake a task; none is ready, no timer is armed, nothing is in flight";
  const std::vector<any_task> tasks = all_tasks(loop);
  const std::size_t shown = std::min(tasks.size(), most_tasks_shown);
  for (std::size_t i = 0; i < shown; ++i) text += "\n" + introspect::describe(tasks[i], {.limit = most_entries_shown});
  if (shown < tasks.size()) text += "\n* and " + std::to_string(tasks.size() - shown) + " tasks more";
  return text;
}

std::exception_ptr deadlock_in(event_loop& loop) noexcept {
  try {
    return std::make_exception_ptr(deadlock_error(report(loop)));
  } catch (...) {
    return std::current_exception();  // no memory for it
  }
}

bool others_may_post() noexcept {
  try {
    return kernel::count_threads() > 1;
  } catch (...) {
    return true;
  }
}

}  // namespace

bool watching_clock::nothing_pending() noexcept {
  loop::loop& l = *loop::loop::running();
  event_loop& face = *l.face();
  if (asyncio::detail::interrupt_guard::listens_for_others(face)) return false;
  // Counted first: a thread that is gone by now has posted before.
  const bool others = others_may_post();
  if (others ? something_comes(l) : l.wait_for_others(std::chrono::nanoseconds(0))) return true;
  if (!found_)
    coro::escape(l, deadlock_in(face));
  else
    cancel_again(face);
  found_ = true;
  return true;
}

bool watching_clock::something_comes(loop::loop& l) const noexcept {
  clock_source& real = base::steady_clock_source();
  const time_point end = real.now() + (found_ ? std::max(grace_, timedelta(shortest_grace_at_the_end)) : grace_);
  for (time_point now = real.now(); now < end; now = real.now())
    if (l.wait_for_others(end - now)) return true;
  return false;
}

// The loop is being closed, and waits for tasks that have not ended when they were cancelled.
void watching_clock::cancel_again(event_loop& loop) noexcept {
  try {
    if (++cancellations_ > most_cancellations) {
      base::log(
          log_level::error,
          "these tasks do not end, though they are cancelled again and again, and their loop cannot be closed: they "
          "swallow it, or wait for an awaiter of another library that nobody resumes\n" +
              report(loop));
      std::abort();
    }
    for (const any_task& task : all_tasks(loop)) task.cancel();
  } catch (...) {
    std::abort();
  }
}

}  // namespace asyncio::testing
