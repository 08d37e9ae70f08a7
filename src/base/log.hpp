// SPDX-License-Identifier: BSL-1.0
// base — words everyone uses: log, pool, counted text, clock, assertions.
// May include: nothing but the standard library and the public vocabulary headers.
// Thread: any, unless a class says otherwise.
// Owns: nothing that outlives a thread, but the log sink.
// Laws: no system call, no coroutine, no loop.
#pragma once
#include <asyncio/log.hpp>

#include <string_view>

namespace asyncio::base {

/// Gives one line to the log sink. Never throws.
void log(log_level level, std::string_view text) noexcept;

/// `text` with control characters and non-printing bytes written as \xNN: safe to show whoever sent it.
std::string printable(std::string_view text);

}  // namespace asyncio::base
