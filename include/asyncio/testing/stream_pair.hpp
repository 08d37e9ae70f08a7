// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/streams.hpp>

#include <cstddef>
#include <utility>

namespace asyncio::testing {

/// `limit`: of both readers, as open_connection()'s. `buffer`: how many bytes may be under way in one direction, sent by
/// one end and not yet read at the other: what the kernel's buffers are to a socket.
struct stream_pair_options {
  std::size_t limit = 64 * 1024;
  std::size_t buffer = 64 * 1024;
};

/// Two connections in memory that are each other's peer: auto [client, server] = testing::stream_pair(). They keep every
/// promise of readers and writers, as sockets do, and have neither descriptors nor waiting times: what one end writes
/// arrives in the next turn of the loop. drain() waits while the peer does not read; write_eof() ends one direction;
/// close() is the peer's end of stream; abort() is its ECONNRESET; writing to a peer that has closed ends in EPIPE.
/// peername() and sockname() are empty, fileno() is -1.
/// Both belong to the running loop.   Thread: the loop's.
/// Errors: std::runtime_error outside a running loop; std::invalid_argument for a limit or buffer of 0.
std::pair<connection, connection> stream_pair(stream_pair_options options = {});

}  // namespace asyncio::testing
