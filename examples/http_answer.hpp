// SPDX-License-Identifier: BSL-1.0
// What the answers of our HTTP servers have in common.
#pragma once

#include "http_request.hpp"

#include <asyncio/asyncio.hpp>

#include <ctime>
#include <string>
#include <string_view>

namespace example::http {

/// What a status is called.
std::string_view phrase(int status);

/// A moment as headers name it.
std::string date(std::time_t moment);

/// The status line, Date and Connection; other headers and an empty line follow.
std::string head_of_answer(int status, bool keep_alive);

/// The whole answer to a request that is refused; without a body when HEAD asked.
void write_refusal(asyncio::stream_writer& writer, const refusal& refused, bool keep_alive, bool with_body);

/// The end of a connection whose peer may still be sending: lets it read what was written, for 2 s at most. Closing with its
/// bytes unread would reset the connection under the answer.
/// Errors: std::system_error, timeout_error.
asyncio::coroutine<> linger(asyncio::stream_reader& reader, asyncio::stream_writer& writer);

}  // namespace example::http
