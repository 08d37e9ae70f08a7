// SPDX-License-Identifier: BSL-1.0
#include "io/secure.hpp"

#include <stdexcept>

namespace asyncio::io {

namespace {

std::chrono::nanoseconds positive(const timedelta& time, const char* name) {
  const std::chrono::nanoseconds ns = time;
  if (ns.count() <= 0) throw std::invalid_argument(std::string(name) + " must be greater than 0");
  return ns;
}

}  // namespace

void secure_options::set_timeouts(const std::optional<timedelta>& handshake, const std::optional<timedelta>& shutdown) {
  if (handshake) handshake_timeout = positive(*handshake, "ssl_handshake_timeout");
  if (shutdown) shutdown_timeout = positive(*shutdown, "ssl_shutdown_timeout");
}

}  // namespace asyncio::io
