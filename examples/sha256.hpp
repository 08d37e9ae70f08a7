// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace example {

/// SHA-256 of bytes that come piece by piece (by OpenSSL's libcrypto).
class sha256 {
 public:
  sha256();
  void update(std::span<const std::byte> piece);
  /// The digest in hexadecimal; call it once, at the end.
  std::string finish();

 private:
  struct free_context {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, free_context> context_;
};

}  // namespace example
