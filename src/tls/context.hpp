// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/secure.hpp"
#include "tls/sessions.hpp"
#include "tls/tls.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::tls {

/// What an ssl_context refers to. Its settings are changed before connections use it (ssl.hpp says so); the sessions
/// have a lock, OpenSSL's own parts theirs.
class context final : public detail::tls_provider {
 public:
  /// The safe defaults. Errors: ssl_error.
  static io::ref<context> make(ssl_purpose purpose);

  void check(const io::secure_options& options) const override;
  io::ref<io::secure_channel> secure(io::ref<io::channel> lower, std::string_view read_ahead,
                                     const io::secure_options& options) override;
  /// One side of a connection, before its handshake. Errors: ssl_error; std::bad_alloc.
  ssl_ptr make_ssl(const io::secure_options& options);

  void load_cert_chain(const std::string& certificate, const std::string& key);
  void load_verify_locations(const std::string& path);
  void set_alpn(std::span<const std::string_view> protocols);
  asyncio::verify_mode verify_mode() const noexcept { return verify_mode_; }
  void set_verify_mode(asyncio::verify_mode mode);
  bool check_hostname() const noexcept { return check_hostname_; }
  void set_check_hostname(bool on);
  tls_version minimum_version() const noexcept { return minimum_version_; }
  void set_minimum_version(tls_version version);

 private:
  context(ssl_ctx_ptr ctx, ssl_purpose purpose) noexcept : ctx_(std::move(ctx)), purpose_(purpose) {}

  void configure();
  void name_peer(SSL* ssl, const io::secure_options& options);
  void resume(SSL* ssl, const io::secure_options& options);
  int verify_flags() const noexcept;
  static int new_session(SSL* ssl, SSL_SESSION* session) noexcept;
  static int choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                         unsigned offered_size, void* self) noexcept;

  ssl_ctx_ptr ctx_;
  const ssl_purpose purpose_;
  asyncio::verify_mode verify_mode_ = asyncio::verify_mode::none;
  bool check_hostname_ = false;
  tls_version minimum_version_ = tls_version::tls1_2;
  std::string alpn_;  // each name behind a byte that is its length
  session_store sessions_;
};

}  // namespace asyncio::tls
