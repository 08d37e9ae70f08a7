// SPDX-License-Identifier: BSL-1.0
// What ssl_error needs where there is no OpenSSL: who throws it need not link asyncio-tls.
#include <asyncio/ssl.hpp>

namespace asyncio {

namespace {

class category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "ssl"; }
  std::string message(int code) const override {
    switch (static_cast<ssl_errc>(code)) {
      case ssl_errc::failed: return "TLS failed";
      case ssl_errc::certificate_refused: return "certificate verify failed";
      case ssl_errc::truncated: return "connection cut off without a TLS goodbye";
    }
    return "unknown error";
  }
};

}  // namespace

const std::error_category& ssl_category() noexcept {
  static const category the_one;
  return the_one;
}

std::error_code make_error_code(ssl_errc code) noexcept { return {static_cast<int>(code), ssl_category()}; }

}  // namespace asyncio
