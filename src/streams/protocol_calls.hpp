// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/protocol_host.hpp"

#include <asyncio/protocols.hpp>

namespace asyncio::streams {

/// Callbacks in a context with these values; what they throw goes to the loop's exception handler, and
/// keyboard_interrupt out of the loop.
io::host_ptr make_host(event_loop& loop, const detail::counted_thing& variables);

}  // namespace asyncio::streams
