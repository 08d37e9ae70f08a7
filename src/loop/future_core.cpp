// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/future_core.hpp>
#include <asyncio/errors.hpp>

namespace asyncio::detail {

void future_core::merge_last_local() noexcept {
  merged = true;
  const std::int32_t before = shared_refs.fetch_or(merged_bit, order::acq_rel);
  const bool nobody_left = (before >> 2) == 0 && (before & queued_bit) == 0;
  if (nobody_left) kind->free(this);
}

void future_core::release_shared() noexcept {
  std::int32_t before = shared_refs.load(order::relaxed);
  std::int32_t after;
  bool hand_over;
  do {
    after = before - one;
    const std::int32_t count = after >> 2;
    const bool wants_owner = (before & merged_bit) != 0 ? count == 0 : count < 0;
    hand_over = wants_owner && (before & queued_bit) == 0;
    if (hand_over) after |= queued_bit;
  } while (!shared_refs.compare_exchange_weak(before, after, order::acq_rel, order::relaxed));
  if (hand_over) home->hand_over(this);
}

void future_core::take_back() noexcept {
  std::int32_t change = -queued_bit;
  if (!merged) {
    merged = true;
    change += static_cast<std::int32_t>(local_refs) * one + merged_bit;
    local_refs = 0;
  }
  const std::int32_t after = shared_refs.fetch_add(change, order::acq_rel) + change;
  if ((after >> 2) == 0) kind->free(this);
}

void future_core::throw_no_result() {
  if (state == future_state::pending) throw invalid_state_error("the result is not set yet");
  if (state == future_state::cancelled) throw cancelled_error(cancel_message);
  retrieved = true;
  std::rethrow_exception(error);
}

void future_core::throw_already_done() const {
  throw invalid_state_error(state == future_state::cancelled ? "the future is already cancelled"
                                                             : "the future already has its outcome");
}

std::exception_ptr future_core::get_exception() {
  if (state == future_state::pending) throw invalid_state_error("the outcome is not set yet");
  if (state == future_state::cancelled) throw cancelled_error(cancel_message);
  retrieved = true;
  return error;
}

bool cancel_plain_future(future_core* core, const shared_text& message) {
  if (core->is_done()) return core->refuse_cancel();
  core->finish_cancelled(message);
  return true;
}

}  // namespace asyncio::detail
