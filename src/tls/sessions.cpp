// SPDX-License-Identifier: BSL-1.0
#include "tls/sessions.hpp"

#include <algorithm>

namespace asyncio::tls {

void session_store::put(std::string_view key, session_ptr session) {
  std::list<entry> made;
  made.push_back({std::string(key), std::move(session)});
  const std::lock_guard lock(mutex_);
  entries_.splice(entries_.begin(), made);
  if (entries_.size() > most) entries_.pop_back();
}

session_ptr session_store::take(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.key == key; });
  if (found == entries_.end()) return {};
  if (SSL_SESSION_get_protocol_version(found->session.get()) < TLS1_3_VERSION) {
    SSL_SESSION_up_ref(found->session.get());
    return session_ptr(found->session.get());
  }
  session_ptr taken = std::move(found->session);
  entries_.erase(found);
  return taken;
}

void session_store::clear() noexcept {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

}  // namespace asyncio::tls
