// SPDX-License-Identifier: BSL-1.0
#pragma once
// TLS. What is declared here is defined in the component asyncio::tls: a program that uses it links that.
#include <asyncio/net.hpp>

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace asyncio {

/// What the other side of a context's connections is: create_default_context(ssl_purpose::server_auth), the default, is
/// for clients, which authenticate servers; client_auth is for servers.   Python: ssl.Purpose.
enum class ssl_purpose { server_auth, client_auth };

/// Whether the peer must prove who it is. A server is asked in both `optional` and `required`; a client that has no
/// certificate is let in by `optional` alone.   Python: ssl.CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED.
enum class verify_mode { none, optional, required };

/// Python: ssl.TLSVersion.
enum class tls_version { tls1_2, tls1_3 };

/// The codes of ssl_error. Python: SSL_ERROR_SSL, SSLCertVerificationError, SSL_ERROR_EOF.
enum class ssl_errc {
  failed = 1,               ///< the peer broke the protocol, or refused with an alert
  certificate_refused = 2,  ///< the peer could not prove who it is
  truncated = 8,            ///< the connection ended without the peer's goodbye: bytes may be missing
};
const std::error_category& ssl_category() noexcept;
std::error_code make_error_code(ssl_errc code) noexcept;

/// TLS failed: what() names the peer and OpenSSL's reason; code() is an ssl_errc.   Python: ssl.SSLError.
class ssl_error : public std::system_error {
 public:
  using std::system_error::system_error;
};

/// The stream was cut: the connection ended without the peer's close_notify, so that nobody can say whether that was all.
/// What came before has been delivered.   Python: ssl.SSLEOFError.
class ssl_eof_error : public ssl_error {
 public:
  using ssl_error::ssl_error;
};

/// The peer's certificate was refused: expired, for another name, from an unknown authority …
/// Python: ssl.SSLCertVerificationError.
class ssl_cert_verification_error : public ssl_error {
 public:
  ssl_cert_verification_error(const std::string& what, int verify_code)
      : ssl_error(make_error_code(ssl_errc::certificate_refused), what), verify_code_(verify_code) {}
  /// OpenSSL's number of the reason: X509_V_ERR_….
  int verify_code() const noexcept { return verify_code_; }

 private:
  int verify_code_;
};

/// How TLS is spoken: certificates, whom to trust, protocols. A cheap handle: copies are the same context.
/// Contexts of create_default_context() are safe: TLS 1.2 and newer, keys of 112 bits of security and more, no
/// renegotiation and no compression; clients verify the server's certificate (the system's authorities) and its name.
/// Files are read by the call, which blocks for that time.
/// Thread: configured in one thread; from then on connections in the loops of any threads may use it.
/// Python: ssl.SSLContext.
class ssl_context {
 public:
  ssl_context(const ssl_context& other) noexcept;
  ssl_context& operator=(const ssl_context& other) noexcept;
  ~ssl_context();

  /// For clients: verify_mode::required, check_hostname, the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR name
  /// others). For servers: verify_mode::none, and a certificate is still to be loaded.
  /// Errors: ssl_error.   Python: ssl.create_default_context().
  static ssl_context create_default_context(ssl_purpose purpose = ssl_purpose::server_auth);

  /// This side's certificate, in PEM, with the intermediate ones behind it; and its private key, by default in the same
  /// file, without a pass phrase. Errors: std::system_error when a file cannot be read; ssl_error when it makes no
  /// sense, or the key is not the certificate's.
  void load_cert_chain(std::string_view certificate, std::string_view key = {});
  /// Trusts the certificates in a file (PEM), or in a folder that was hashed, too. Errors: as load_cert_chain().
  void load_verify_locations(std::string_view path);

  /// The protocols that are spoken inside, the best first: "h2", "http/1.1". A server takes its first that the client
  /// offers, and refuses a client that offers none of them. What was chosen: tls_info::alpn.
  /// Errors: std::invalid_argument for a name that is empty or longer than 255 bytes.
  void set_alpn_protocols(std::initializer_list<std::string_view> protocols) {
    set_alpn(std::data(protocols), protocols.size());
  }
  template <class R>
    requires requires(const R& names) { std::string_view(*std::begin(names)); }
  void set_alpn_protocols(const R& protocols) {
    const std::vector<std::string_view> all(std::begin(protocols), std::end(protocols));
    set_alpn(all.data(), all.size());
  }

  asyncio::verify_mode verify_mode() const noexcept;
  /// Errors: std::invalid_argument for `none` while the host name is checked.
  void set_verify_mode(asyncio::verify_mode mode);
  bool check_hostname() const noexcept;
  /// Switched on, it makes `required` of a verify_mode `none`.
  void set_check_hostname(bool on);
  tls_version minimum_version() const noexcept;
  void set_minimum_version(tls_version version);

  /// The library's own.
  detail::tls_provider* provider() const noexcept { return provider_; }

 private:
  explicit ssl_context(detail::tls_provider* owned) noexcept : provider_(owned) {}
  void set_alpn(const std::string_view* first, std::size_t count);
  detail::tls_provider* provider_;
};

}  // namespace asyncio

template <>
struct std::is_error_code_enum<asyncio::ssl_errc> : std::true_type {};
