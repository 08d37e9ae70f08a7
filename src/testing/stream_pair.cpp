// SPDX-License-Identifier: BSL-1.0
#include <asyncio/testing/stream_pair.hpp>

#include "streams/stream_core.hpp"
#include "testing/memory_channel.hpp"

#include <stdexcept>

namespace asyncio::testing {

std::pair<connection, connection> stream_pair(stream_pair_options options) {
  if (options.buffer == 0) throw std::invalid_argument("the buffer of a stream_pair must be greater than 0");
  loop::loop& loop = loop::loop::of(asyncio::detail::running_loop());
  const auto a = memory_channel::make(loop, options.buffer);
  const auto b = memory_channel::make(loop, options.buffer);
  connection first = streams::make_connection(a, options.limit);
  connection second = streams::make_connection(b, options.limit);
  memory_channel::join(*a, *b);
  return {std::move(first), std::move(second)};
}

}  // namespace asyncio::testing
