// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstdint>
#include <string_view>

namespace asyncio {

enum class log_level : std::uint8_t { debug, info, warning, error };

/// Who is told what the library has to say: never-awaited coroutines, unretrieved exceptions, slow callbacks.
using log_sink = void (*)(log_level level, std::string_view text, void* context) noexcept;

/// Replaces the log sink; null restores the default, which writes to standard error. Returns nothing.
/// Thread: any; the sink is called in the thread that has something to say.   Python: logging.getLogger("asyncio").
void set_log_sink(log_sink sink, void* context = nullptr) noexcept;

}  // namespace asyncio
