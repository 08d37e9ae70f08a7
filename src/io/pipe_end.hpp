// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/protocol_transport.hpp"

#include <memory>

namespace asyncio::io {

enum class pipe_end_kind : std::uint8_t { fifo, socket, device };

/// Takes over an end of a pipe, or what is like one: makes it non-blocking.
/// Errors: std::invalid_argument for a file that is no FIFO, socket or character device; std::system_error. The descriptor
/// is the caller's again then.
pipe_end_kind adopt_pipe_end(int fd);

/// A pipe tells its writer that nobody reads any more only when it writes. So a second descriptor of the same file is
/// watched: once the reader is gone, the transport ends, with EPIPE when something was still to be sent.
/// Errors: std::system_error; std::bad_alloc.
void watch_reader(loop::loop& l, const std::shared_ptr<protocol_transport>& t, pipe_end_kind kind);

}  // namespace asyncio::io
