// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/concurrent_core.hpp>

#include "base/clock.hpp"
#include "base/log.hpp"

#include <asyncio/errors.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

namespace asyncio::detail {

/// The whole of it: what blocks is known here alone.
struct concurrent_core::shared final : concurrent_core {
  using concurrent_core::concurrent_core;

  mutable std::mutex mutex;  // guards the change of the state, and the list
  mutable std::condition_variable changed;
  concurrent_callback* first = nullptr;  // to be told, in order of registration
  concurrent_callback** last = &first;

  bool change(concurrent_state from, concurrent_state to) noexcept {
    if (state() != from) return false;
    state_.store(static_cast<std::uint8_t>(to), order::release);
    return true;
  }
};

concurrent_core::shared& concurrent_core::whole() const noexcept {
  return static_cast<shared&>(const_cast<concurrent_core&>(*this));
}

concurrent_core* concurrent_core::make(std::size_t value_space, void (*destroy_value)(concurrent_core*) noexcept,
                                       bool stoppable) {
  const std::size_t size = value_space + sizeof(shared);
  auto* block = static_cast<std::byte*>(pool_allocate(size));
  concurrent_core* core = nullptr;
  try {
    core = ::new (static_cast<void*>(block + value_space)) shared(stoppable);
  } catch (...) {
    pool_free(block, size);
    throw;
  }
  core->value_space_ = static_cast<std::uint32_t>(value_space);
  core->destroy_value_ = destroy_value;
  return core;
}

void concurrent_core::destroy() noexcept {
  if (std::exchange(has_value_, false)) destroy_value_(this);
  if (error_ != nullptr && unretrieved_ != nullptr && !looked_at_.load(order::relaxed)) unretrieved_(error_);
  error_ = nullptr;
  release_block();
}

void concurrent_core::release_block() noexcept {
  if (blocks_.fetch_sub(1, order::acq_rel) != 1) return;
  shared& all = whole();
  const std::size_t space = value_space_;
  std::destroy_at(&all);
  pool_free(reinterpret_cast<std::byte*>(&all) - space, space + sizeof(shared));
}

bool concurrent_core::start() noexcept {
  const std::scoped_lock hold(whole().mutex);
  return whole().change(concurrent_state::pending, concurrent_state::running);
}

void concurrent_core::finish_value(concurrent_ref producer) noexcept {
  concurrent_core* core = producer.get();
  core->has_value_ = true;
  core->publish(concurrent_state::finished, std::move(producer));
}

void concurrent_core::finish_error(concurrent_ref producer, std::exception_ptr error) noexcept {
  concurrent_core* core = producer.get();
  core->error_ = std::move(error);
  core->publish(concurrent_state::finished, std::move(producer));
}

// Interleavings. cancel() against start(): one exchange. cancel() or finish against add_callback(): under the lock the
// node is either in the list that is taken here, or its adder sees the new state and calls it. finish against the end of
// the handles: every node has a reference of its own before the producer's is dropped; the producer's goes before the state
// is seen to change, so that nobody who looks at the outcome leaves it to this thread to destroy. (An exception that was
// thrown to another thread must not die here: its count is kept inside the standard library, where ThreadSanitizer does
// not see it.)
void concurrent_core::publish(concurrent_state outcome, concurrent_ref producer) noexcept {
  shared& all = whole();
  concurrent_callback* list = nullptr;
  blocks_.fetch_add(1, order::relaxed);
  {
    const std::scoped_lock hold(all.mutex);
    list = std::exchange(all.first, nullptr);
    for (const concurrent_callback* at = list; at != nullptr; at = at->next) retain();
    producer = {};
    state_.store(static_cast<std::uint8_t>(outcome), order::release);
    all.changed.notify_all();
  }
  while (list != nullptr) {
    concurrent_callback* next = list->next;
    list->call(list, concurrent_ref::adopt(this));
    list = next;
  }
  release_block();
}

bool concurrent_core::cancel() noexcept {
  concurrent_state before{};
  {
    const std::scoped_lock hold(whole().mutex);
    before = state();
    if (before == concurrent_state::pending)
      state_.store(static_cast<std::uint8_t>(concurrent_state::cancelled), order::release);
  }
  if (before == concurrent_state::pending) publish(concurrent_state::cancelled, {});
  if (before == concurrent_state::running) stop_.request();
  return before == concurrent_state::pending || before == concurrent_state::cancelled;
}

void concurrent_core::add_callback(concurrent_callback* node) noexcept {
  {
    shared& all = whole();
    const std::scoped_lock hold(all.mutex);
    if (!done()) {
      node->next = nullptr;
      *all.last = node;
      all.last = &node->next;
      return;
    }
  }
  retain();
  node->call(node, concurrent_ref::adopt(this));
}

namespace {

/// A job's thread that waits for the loop that it works for does not hold that loop's clock.
class clock_freed {
 public:
  explicit clock_freed(std::uint64_t awaited_loop) noexcept
      : home_(here.job_home != nullptr && here.job_home->number() == awaited_loop ? here.job_home : nullptr) {
    if (home_ != nullptr) home_->free_clock();
  }
  clock_freed(const clock_freed&) = delete;
  clock_freed& operator=(const clock_freed&) = delete;
  ~clock_freed() {
    if (home_ != nullptr) home_->hold_clock();
  }

 private:
  inbox* home_;
};

}  // namespace

void concurrent_core::wait(std::optional<timedelta> timeout) const {
  if (done()) return;
  const shared& all = whole();
  const auto is_done = [this] { return done(); };
  if (timeout && timeout->count().count() <= 0) throw timeout_error("the result is not there yet");
  if (home_ != 0 && home_ == here.loop_number)
    throw std::runtime_error(
        "concurrent_future.result() would block the loop that has to complete it: co_await it instead");
  const clock_freed meanwhile(home_);
  std::unique_lock hold(all.mutex);
  if (!timeout)
    all.changed.wait(hold, is_done);
  else if (!all.changed.wait_until(hold, base::real_deadline(*timeout), is_done))
    throw timeout_error("the result did not come in time");
}

void concurrent_core::check_outcome() const {
  if (const std::exception_ptr& failed = error(); failed != nullptr) std::rethrow_exception(failed);
}

const std::exception_ptr& concurrent_core::error() const {
  looked_at_.store(true, order::relaxed);
  if (state() == concurrent_state::cancelled) throw cancelled_error();
  return error_;
}

void concurrent_core::take_value() {
  if (taken_.exchange(true, order::acq_rel))
    throw invalid_state_error("the result cannot be copied, and was taken already");
}

void abandon_concurrent(concurrent_ref producer) noexcept {
  if (producer->cancel() || producer->done()) return;
  std::exception_ptr error = std::make_exception_ptr(std::runtime_error("the work ended without a result"));
  concurrent_core::finish_error(std::move(producer), std::move(error));
}

void report_concurrent_callback() noexcept {
  try {
    throw;
  } catch (const std::exception& e) {
    try {
      base::log(log_level::error, std::string("exception in a callback of a concurrent future: ") + e.what());
    } catch (const std::bad_alloc&) {
      base::log(log_level::error, "exception in a callback of a concurrent future");
    }
  } catch (...) {
    base::log(log_level::error, "exception in a callback of a concurrent future");
  }
}

}  // namespace asyncio::detail
