// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "loop/loop.hpp"

#include <asyncio/bytes.hpp>
#include <asyncio/net.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asyncio::io {

/// One try each on a socket that somebody else owns, who may close it as he likes. Results as an op's: a value, or -errno;
/// -EAGAIN when it would block, -EBUSY when a stream of this loop has the descriptor. Nothing is left with the kernel: who
/// has to wait waits until the descriptor is ready, and tries again.

/// `from`: the sender goes here, if not null.
std::int64_t try_recv(loop::loop& l, int fd, buffer_view to, socket_address* from = nullptr) noexcept;
/// At most so many bytes, into a string that is as long as what came: no memory is held, or filled, for what did not.
/// Errors: std::bad_alloc.
std::int64_t try_recv(loop::loop& l, int fd, std::size_t most, std::string& to, socket_address* from = nullptr);
/// How many were taken. `to`: the target, if not null.
std::int64_t try_send(loop::loop& l, int fd, std::string_view bytes, const socket_address* to = nullptr) noexcept;
/// A new descriptor, non-blocking and close-on-exec.
std::int64_t try_accept(loop::loop& l, int fd, socket_address& peer) noexcept;
/// -EINPROGRESS when it would block; once the socket is writable, the next try tells how it ended. -EAGAIN: the backlog of
/// a Unix server is full, see room_delay.
std::int64_t try_connect(loop::loop& l, int fd, const socket_address& to) noexcept;

}  // namespace asyncio::io
