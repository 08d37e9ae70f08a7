// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/codec.hpp>

#include <exception>

namespace asyncio::processes {

/// Exceptions on their way to another process. Those of the standard library arrive as themselves, with text, code and
/// paths, as do timeout_error, codec_error, cancelled_error and keyboard_interrupt; every other one, and an error code of a
/// category of the program's own, as a remote_error that knows its type and its text.

void write_exception(encoder& out, const std::exception_ptr& error);
/// Errors: codec_error for bytes that are none.
std::exception_ptr read_exception(decoder& in);

/// "std::out_of_range: no such key", for messages.
std::string describe_exception(const std::exception_ptr& error);

}  // namespace asyncio::processes
