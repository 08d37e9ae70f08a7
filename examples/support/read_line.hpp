// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <asyncio/asyncio.hpp>

#include <optional>
#include <string>

namespace example {

/// The next line without its end (LF or CR LF), or nothing at the end of the stream; the last line needs no end. A line over
/// the reader's limit is read to its end and reported by std::length_error: the next call goes on with the line after it.
asyncio::coroutine<std::optional<std::string>> read_line(asyncio::stream_reader& reader);

}  // namespace example
