// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "tls/tls.hpp"

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>

namespace asyncio::tls {

/// Sessions that a client may resume, by host and port; those of one context. The oldest of too many is forgotten.
/// Thread: any.
class session_store {
 public:
  /// Errors: std::bad_alloc.
  void put(std::string_view key, session_ptr session);
  /// The newest for `key`, or null. One of TLS 1.3 is given away only once, so that nobody who looks on can tell that two
  /// connections are one client's (RFC 8446, C.4).
  session_ptr take(std::string_view key);
  /// What was verified under other settings proves nothing any more.
  void clear() noexcept;

 private:
  static constexpr std::size_t most = 128;
  struct entry {
    std::string key;
    session_ptr session;
  };
  std::mutex mutex_;
  std::list<entry> entries_;  // the newest in front
};

}  // namespace asyncio::tls
