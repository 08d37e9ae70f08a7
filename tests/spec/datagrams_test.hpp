// SPDX-License-Identifier: BSL-1.0
#pragma once
// Endpoints for the tests of datagrams.hpp.
#include "spec/sock_test.hpp"

#include <string>

namespace asyncio::spec {

inline coroutine<datagram_endpoint> open_local() { return open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}}); }
inline coroutine<datagram_endpoint> open_to(int port) {
  return open_datagram_endpoint({.remote_addr = {"127.0.0.1", port}});
}

/// A port of the loopback that nobody receives at.
inline int free_port() { return bound_socket(SOCK_DGRAM).address.port(); }

/// What opening an endpoint with these options throws.
inline coroutine<std::string> refusal(datagram_options options) {
  try {
    datagram_endpoint endpoint = co_await open_datagram_endpoint(options);
  } catch (const std::exception& e) {
    co_return e.what();
  }
  co_return std::string();
}

}  // namespace asyncio::spec
