// SPDX-License-Identifier: BSL-1.0
#include "tls/tls.hpp"

#include "base/log.hpp"

#include <openssl/err.h>

namespace asyncio::tls {

// Some entries carry text from the peer: it is escaped.
std::string take_reason(entry which) {
  const char* data = nullptr;
  int flags = 0;
  const unsigned long error = which == entry::oldest
                                  ? ERR_peek_error_all(nullptr, nullptr, nullptr, &data, &flags)
                                  : ERR_peek_last_error_all(nullptr, nullptr, nullptr, &data, &flags);
  std::string reason;
  if (error == 0) {
    reason = "unknown reason";
  } else if (const char* words = ERR_reason_error_string(error)) {
    reason = words;
  } else {
    reason = "OpenSSL error " + std::to_string(error);
  }
  if (error != 0 && (flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0')
    reason += " (" + base::printable(data) + ")";
  ERR_clear_error();
  return reason;
}

void throw_reason(const std::string& text) {
  throw ssl_error(make_error_code(ssl_errc::failed), text + ": " + take_reason(entry::oldest));
}

}  // namespace asyncio::tls
