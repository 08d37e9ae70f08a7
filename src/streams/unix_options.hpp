// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/net.hpp>

#include <stdexcept>
#include <string>

namespace asyncio::streams {

/// Errors: std::invalid_argument when the option `name`, which is for other sockets, was given.
inline void refuse_for_unix(bool given, const char* name) {
  if (given) throw std::invalid_argument(std::string(name) + " is not meaningful for a Unix socket");
}

/// What a path's client and server have in common. Errors: std::invalid_argument.
inline void check_unix_options(const std::string& path, int sock, address_family family) {
  refuse_for_unix(family != address_family::unspecified && family != address_family::unix_, "family");
  if (!path.empty() && sock >= 0) throw std::invalid_argument("path and sock can not be specified at the same time");
}

}  // namespace asyncio::streams
