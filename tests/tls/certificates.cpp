// SPDX-License-Identifier: BSL-1.0
#include "tls/certificates.hpp"

#include <cstdio>
#include <stdexcept>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace asyncio::tls_test {

namespace {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using x509_ptr = std::unique_ptr<X509, freed_by<X509_free>>;

void must(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("making certificates: ") + what);
}

key_ptr make_key(int rsa_bits) {
  key_ptr key(rsa_bits > 0 ? EVP_RSA_gen(static_cast<unsigned>(rsa_bits)) : EVP_EC_gen("P-256"));
  must(key != nullptr, "key");
  return key;
}

void add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  must(extension != nullptr, value.c_str());
  X509_add_ext(to, extension, -1);
  X509_EXTENSION_free(extension);
}

void add_raw_name(X509* to, const std::string& bytes) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size()));
  GENERAL_NAME_set0_value(name, GEN_DNS, text);
  GENERAL_NAMES* names = sk_GENERAL_NAME_new_null();
  sk_GENERAL_NAME_push(names, name);
  must(X509_add1_ext_i2d(to, NID_subject_alt_name, names, 0, 0) == 1, "raw name");
  GENERAL_NAMES_free(names);
}

x509_ptr make_certificate(EVP_PKEY* key, const certificate_options& options, X509* issuer, EVP_PKEY* issuer_key) {
  static long serial = 1000;
  x509_ptr made(X509_new());
  X509* c = made.get();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(c), options.from);
  X509_gmtime_adj(X509_getm_notAfter(c), options.until);
  X509_set_pubkey(c, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(options.subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(c, X509_get_subject_name(issuer != nullptr ? issuer : c));
  X509* signer = issuer != nullptr ? issuer : c;
  add_extension(c, signer, NID_subject_key_identifier, "hash");
  if (options.usage.empty()) {
    add_extension(c, signer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(c, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    add_extension(c, signer, NID_ext_key_usage, options.usage);
  }
  if (!options.raw_name.empty())
    add_raw_name(c, options.raw_name);
  else if (!options.alternative_names.empty())
    add_extension(c, signer, NID_subject_alt_name, options.alternative_names);
  must(X509_sign(c, issuer_key != nullptr ? issuer_key : key, EVP_sha256()) > 0, "signature");
  return made;
}

}  // namespace

struct certificate_maker::authority {
  authority()
      : key(make_key(0)),
        certificate(make_certificate(
            key.get(), {.subject = "asyncio test authority", .alternative_names = "", .usage = ""}, nullptr, nullptr)) {
  }
  key_ptr key;
  x509_ptr certificate;
};

certificate_maker::certificate_maker()
    : trusted_(std::make_unique<authority>()), other_(std::make_unique<authority>()) {
  write("ca", trusted_->certificate.get(), nullptr);
  write("other_ca", other_->certificate.get(), nullptr);
}

certificate_maker::~certificate_maker() = default;

std::string certificate_maker::write(const std::string& name, X509* certificate, EVP_PKEY* key) const {
  const std::string path = folder_ / (name + ".pem");
  std::FILE* file = std::fopen(path.c_str(), "w");
  must(file != nullptr, path.c_str());
  PEM_write_X509(file, certificate);
  if (key != nullptr) PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  return path;
}

std::string certificate_maker::issue(const std::string& name, const certificate_options& options) const {
  const key_ptr key = make_key(options.rsa_bits);
  return write(name, make_certificate(key.get(), options, trusted_->certificate.get(), trusted_->key.get()).get(),
               key.get());
}

std::string certificate_maker::issue_elsewhere(const std::string& name, const certificate_options& options) const {
  const key_ptr key = make_key(options.rsa_bits);
  return write(name, make_certificate(key.get(), options, other_->certificate.get(), other_->key.get()).get(),
               key.get());
}

std::string certificate_maker::issue_itself(const std::string& name, const certificate_options& options) const {
  const key_ptr key = make_key(options.rsa_bits);
  return write(name, make_certificate(key.get(), options, nullptr, nullptr).get(), key.get());
}

}  // namespace asyncio::tls_test
