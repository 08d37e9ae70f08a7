// SPDX-License-Identifier: BSL-1.0
#include <asyncio/testing/order.hpp>

#include <asyncio/testing/testing.hpp>

#include "base/log.hpp"
#include "coro/coro.hpp"
#include "loop/arranger.hpp"
#include "testing/watching_clock.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace asyncio::testing {

namespace {

using asyncio::detail::op;
using asyncio::detail::op_queue;

/// splitmix64: of the standard's generators none promises what its distributions make of it.
class random_bits {
 public:
  explicit random_bits(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept { return mix(state_ += 0x9e3779b97f4a7c15u); }
  /// From 0 to `bound` - 1; `bound` is not 0.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }
  static std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

 private:
  std::uint64_t state_;
};

/// Virtual time, and an order of tasks: in each batch the steps of tasks change places among themselves. Without a seed
/// they stay, and the order is only written down.
class ordered_clock final : public watching_clock, public loop::arranger {
 public:
  explicit ordered_clock(const run_options& options) noexcept
      : watching_clock(options.deadlock_grace), random_(options.seed.value_or(0)), shuffles_(options.seed) {}

  /// A number for the order so far: two runs of one body that had different orders have different ones.
  std::uint64_t fingerprint() const noexcept { return fingerprint_; }

  // Without memory the batch stays as it is.
  void arrange(op_queue& batch) noexcept override {
    try {
      if (collect_steps(batch) < 2) return;
    } catch (...) {
      return;
    }
    if (shuffles_) shuffle();
    note(static_cast<std::uint32_t>(steps_.size()));
    for (const step& s : steps_) note(s.place);
    if (shuffles_) put_back(batch);
  }

 private:
  struct step {
    op* node;
    std::uint32_t place;  // before, among the steps
  };

  std::size_t collect_steps(const op_queue& batch) {
    nodes_.clear();
    steps_.clear();
    for (op* at = batch.front(); at != nullptr; at = at->next) {
      nodes_.push_back(at);
      if (!coro::is_step(at)) continue;
      steps_.push_back({at, static_cast<std::uint32_t>(steps_.size())});
    }
    return steps_.size();
  }

  // Fisher and Yates.
  void shuffle() noexcept {
    for (auto left = static_cast<std::uint32_t>(steps_.size()); left > 1; --left)
      std::swap(steps_[left - 1], steps_[random_.below(left)]);
  }

  void put_back(op_queue& batch) noexcept {
    while (batch.pop() != nullptr) {}
    const step* next = steps_.data();
    for (op* node : nodes_) batch.push(coro::is_step(node) ? next++->node : node);
  }

  void note(std::uint32_t n) noexcept { fingerprint_ = random_bits::mix(fingerprint_ + n + 1); }

  random_bits random_;
  const bool shuffles_;
  std::uint64_t fingerprint_ = 0;
  std::vector<op*> nodes_;  // of the batch
  std::vector<step> steps_;
};

void report_seed(std::size_t run, std::size_t orders) noexcept {
  try {
    const std::string options = run == 0 ? "" : ", {.seed = " + std::to_string(run) + "}";
    base::log(log_level::error, "for_each_order: run " + std::to_string(run + 1) + " of " + std::to_string(orders) +
                                    " failed; it is repeated by testing::run(body" + options + ")");
  } catch (...) {
    base::log(log_level::error, "for_each_order: a run failed");
  }
}

}  // namespace

namespace detail {

run_clock::run_clock(const run_options& options) {
  if (options.seed)
    source_ = new ordered_clock(options);
  else
    source_ = new watching_clock(options.deadlock_grace);
}

run_clock::~run_clock() { delete source_; }

std::size_t each_order(std::size_t orders, body_ref body) {
  std::vector<std::uint64_t> seen;
  seen.reserve(orders);
  for (std::size_t i = 0; i < orders; ++i) {
    const ledger before = ledger::now();
    try {
      run_options options;
      if (i > 0) options.seed = i;
      ordered_clock clock(options);
      asyncio::run(body(), {.clock = &clock});
      ledger::now().check_nothing_left_since(before);
      seen.push_back(clock.fingerprint());
    } catch (...) {
      report_seed(i, orders);
      throw;
    }
  }
  std::sort(seen.begin(), seen.end());
  return static_cast<std::size_t>(std::unique(seen.begin(), seen.end()) - seen.begin());
}

}  // namespace detail
}  // namespace asyncio::testing
