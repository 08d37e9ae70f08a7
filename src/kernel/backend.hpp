// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the backends have in common.
#include "kernel/kernel.hpp"

namespace asyncio::kernel {

inline bool is_read(io_kind kind) noexcept {
  return kind == io_kind::recv || kind == io_kind::accept || kind == io_kind::readable || kind == io_kind::read ||
         kind == io_kind::file_read;
}
inline bool is_watch(io_kind kind) noexcept { return kind == io_kind::readable || kind == io_kind::writable; }

/// Puts `request` at the end of a circle whose oldest is `first`.
inline void link(io_op*& first, io_op& request) noexcept {
  if (first == nullptr) {
    first = request.prev_armed = request.next_armed = &request;
    return;
  }
  request.next_armed = first;
  request.prev_armed = first->prev_armed;
  request.prev_armed->next_armed = first->prev_armed = &request;
}

inline void unlink(io_op*& first, io_op& request) noexcept {
  if (request.next_armed == &request) {
    first = nullptr;
  } else {
    request.prev_armed->next_armed = request.next_armed;
    request.next_armed->prev_armed = request.prev_armed;
    if (first == &request) first = request.next_armed;
  }
  request.prev_armed = request.next_armed = nullptr;
}

inline bool at_once(io_op& request, std::int64_t result) noexcept {
  request.result = result;
  return true;
}

}  // namespace asyncio::kernel
