// SPDX-License-Identifier: BSL-1.0
// What every example server does the same way, so that anyone can test it from outside:
//   LISTENING <port>    is the first line of its output, when it accepts connections; with --unix: LISTENING <path>
//   SIGTERM             stops accepting, gives the open connections 5 s, cuts what is left, exits 0; a second one cuts at once
//   SIGUSR1             prints: STATS conns=N tasks=N fds=N inflight=N rss_kb=N
#pragma once

#include "support/arguments.hpp"

#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace example {

struct server_settings {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string unix_path;  // not empty: instead of host and port
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
  std::optional<asyncio::timedelta> idle_timeout;  // the handler's business: serve() does not look at it
  std::size_t max_connections = 0;                 // 0: no bound
  std::size_t line_limit = 64 * 1024;              // of the handler's stream_reader
#if ASYNCIO_EXAMPLE_TLS
  std::optional<asyncio::ssl_context> tls;
#endif
};

/// Adds --port --host --unix --tls --backend --idle-timeout --max-conns to the program's own options, and what --help says of
/// signals and exit statuses; then parses.
void parse_server_arguments(arguments& args, server_settings& into, int argc, char** argv);

using connection_handler = std::function<asyncio::coroutine<>(asyncio::stream_reader, asyncio::stream_writer)>;

/// Serves until SIGTERM and yields the exit status. A std::system_error that leaves the handler ends that connection and is
/// not reported: peers that reset or fall silent (timeout_error) are everyday life. Every other exception is reported by the loop.
asyncio::coroutine<int> serve(server_settings settings, connection_handler handler);

}  // namespace example
