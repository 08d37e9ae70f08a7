// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "loop/arranger.hpp"

#include <asyncio/detail/op.hpp>

#include <cstddef>

namespace asyncio::testing {

/// Does something at the n-th point from now: between two of the things that a loop runs in a turn. It counts them, and
/// puts itself among them, by its being the loop's arranger.
class injector : public loop::arranger {
 public:
  injector() noexcept {
    injection_.owner = this;
    injection_.done = [](asyncio::detail::op* self) noexcept { static_cast<injection*>(self)->owner->inject(); };
  }
  injector(const injector&) = delete;
  injector& operator=(const injector&) = delete;

  void arm(std::size_t points) noexcept { left_ = points; }
  /// A point has come. True of one only: then it is time.
  bool is_point() noexcept {
    if (left_ == 0) return false;
    --left_;
    return left_ == 0;
  }

  /// The point in front of a turn's first op is the one between two turns: `front` says that it is counted here.
  void put_among(asyncio::detail::op_queue& batch, bool front) noexcept {
    if (left_ == 0 || batch.empty()) return;
    asyncio::detail::op_queue all;
    all.append(batch);
    if (!front) batch.push(all.pop());
    while (asyncio::detail::op* node = all.pop()) {
      if (is_point()) batch.push(&injection_);
      batch.push(node);
    }
  }

 protected:
  ~injector() = default;
  virtual void inject() noexcept = 0;

 private:
  struct injection : asyncio::detail::op {
    injector* owner = nullptr;
  };
  std::size_t left_ = 0;
  injection injection_;
};

}  // namespace asyncio::testing
