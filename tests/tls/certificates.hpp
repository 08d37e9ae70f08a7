// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "support/scratch_folder.hpp"

#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/x509.h>

namespace asyncio::tls_test {

/// What a certificate says. Times are seconds from now. `alternative_names` as OpenSSL writes them: "DNS:a,IP:127.0.0.1".
struct certificate_options {
  std::string subject = "asyncio test";
  std::string alternative_names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  long from = -3600;
  long until = 24 * 3600;
  std::string usage = "serverAuth,clientAuth";
  int rsa_bits = 0;           ///< 0: a key on the curve P-256
  std::string raw_name = {};  ///< one more DNS name, with whatever bytes; instead of the alternative names
};

/// Certificate authorities that live as long as a test. What they issue lies in a folder, as NAME.pem: certificate and
/// key in one file.
class certificate_maker {
 public:
  certificate_maker();
  ~certificate_maker();

  /// Of the authority that tests trust: folder / "ca.pem".
  std::string issue(const std::string& name, const certificate_options& options = {}) const;
  /// Of another one, of the same name; folder / "other_ca.pem".
  std::string issue_elsewhere(const std::string& name, const certificate_options& options = {}) const;
  /// Signed by itself.
  std::string issue_itself(const std::string& name, const certificate_options& options = {}) const;

  std::string trusted() const { return folder_ / "ca.pem"; }
  std::string other() const { return folder_ / "other_ca.pem"; }
  const test::scratch_folder& folder() const { return folder_; }

 private:
  struct authority;
  std::string write(const std::string& name, X509* certificate, EVP_PKEY* key) const;
  test::scratch_folder folder_;
  std::unique_ptr<authority> trusted_;
  std::unique_ptr<authority> other_;
};

}  // namespace asyncio::tls_test
