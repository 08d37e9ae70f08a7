// SPDX-License-Identifier: BSL-1.0
#include "tls/context.hpp"

#include "base/log.hpp"
#include "io/io.hpp"
#include "tls/tls_channel.hpp"

#include <algorithm>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <type_traits>

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace asyncio::tls {

namespace {

// TLS 1.2: forward secrecy and authenticated encryption first, as Python's ssl. TLS 1.3 has good ones only.
constexpr const char* ciphers =
    "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM";

constexpr std::size_t longest_name = 253;

// ---- names

/// Without the scope of an address and the dot at the end of a name: as certificates write it.
std::string certified_name(const std::string& host) {
  std::string name = host.substr(0, host.find('%'));
  if (!name.empty() && name.back() == '.') name.pop_back();
  return name;
}

bool is_address(const std::string& name) {
  const std::unique_ptr<ASN1_OCTET_STRING, freed_by<ASN1_OCTET_STRING_free>> octets(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  return octets != nullptr;
}

void check_name(const std::string& host) {
  for (const char c : host) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x7f)
      throw std::invalid_argument("server_hostname '" + base::printable(host) + "' is not ASCII: write its xn-- form");
    if (byte <= ' ' || byte == 0x7f)
      throw std::invalid_argument("server_hostname '" + base::printable(host) + "' is no host name");
  }
  if (host.size() > longest_name + 1) throw std::invalid_argument("server_hostname is longer than 253 bytes");
}

// ---- which sessions an SSL may resume, and where new ones go: the key lies at the SSL

void free_key(void*, void* key, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(key); }

int key_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_key);
  return index;
}

std::string session_key(const io::secure_options& options) {
  std::string key = certified_name(options.server_hostname);
  for (char& c : key)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return key + ':' + std::to_string(options.port);
}

// ---- files

/// Says why OpenSSL could not use a file.
[[noreturn]] void throw_file_error(const std::string& what) {
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SYS) {
    ERR_clear_error();
    throw io::os_error(ERR_GET_REASON(error), what);
  }
  throw_reason(what);
}

std::string quoted(const std::string& path) { return "'" + base::printable(path) + "'"; }

}  // namespace

// ---- settings

io::ref<context> context::make(ssl_purpose purpose) {
  ERR_clear_error();
  ssl_ctx_ptr ctx(SSL_CTX_new(TLS_method()));
  if (!ctx) throw_reason("cannot make a TLS context");
  auto made = io::ref<context>::adopt(new context(std::move(ctx), purpose));
  made->configure();
  return made;
}

void context::configure() {
  SSL_CTX* ctx = ctx_.get();
  SSL_CTX_set_app_data(ctx, this);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_security_level(ctx, 2);
  SSL_CTX_set_dh_auto(ctx, 1);
  SSL_CTX_set_default_passwd_cb(ctx, [](char*, int, int, void*) { return 0; });  // nobody is asked at the terminal
  if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
    throw_reason("cannot set up a TLS context");
  if (purpose_ == ssl_purpose::client_auth) {
    // A server keeps no sessions: its tickets are the clients' to keep.
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    static constexpr unsigned char id[] = "asyncio";
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    SSL_CTX_set_alpn_select_cb(ctx, &context::choose_alpn, this);
    return;
  }
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, &context::new_session);
  if (SSL_CTX_set_default_verify_paths(ctx) != 1) throw_reason("cannot load the system's certificate authorities");
  verify_mode_ = asyncio::verify_mode::required;
  check_hostname_ = true;
}

void context::load_cert_chain(const std::string& certificate, const std::string& key) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(ctx_.get(), certificate.c_str()) != 1)
    throw_file_error("cannot load the certificate " + quoted(certificate));
  const std::string& key_file = key.empty() ? certificate : key;
  if (SSL_CTX_use_PrivateKey_file(ctx_.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    throw_file_error("cannot load the private key " + quoted(key_file));
  if (SSL_CTX_check_private_key(ctx_.get()) != 1)
    throw_file_error("the private key " + quoted(key_file) + " is not that of the certificate " + quoted(certificate));
  sessions_.clear();
}

void context::load_verify_locations(const std::string& path) {
  ERR_clear_error();
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const int loaded =
      folder ? SSL_CTX_load_verify_dir(ctx_.get(), path.c_str()) : SSL_CTX_load_verify_file(ctx_.get(), path.c_str());
  if (loaded != 1) throw_file_error("cannot load the certificates in " + quoted(path));
  sessions_.clear();
}

void context::set_alpn(std::span<const std::string_view> protocols) {
  std::string all;
  for (const std::string_view name : protocols) {
    if (name.empty() || name.size() > 255)
      throw std::invalid_argument("the name of a protocol has 1 to 255 bytes, not " + std::to_string(name.size()));
    all += static_cast<char>(static_cast<unsigned char>(name.size()));
    all += name;
  }
  if (SSL_CTX_set_alpn_protos(ctx_.get(), reinterpret_cast<const unsigned char*>(all.data()),
                              static_cast<unsigned>(all.size())) != 0)  // 0 is its success
    throw std::bad_alloc();
  alpn_ = std::move(all);
  sessions_.clear();
}

void context::set_verify_mode(asyncio::verify_mode mode) {
  if (mode == asyncio::verify_mode::none && check_hostname_)
    throw std::invalid_argument("verify_mode cannot be none while check_hostname is on");
  verify_mode_ = mode;
  sessions_.clear();
}

void context::set_check_hostname(bool on) {
  if (on && verify_mode_ == asyncio::verify_mode::none) verify_mode_ = asyncio::verify_mode::required;
  check_hostname_ = on;
  sessions_.clear();
}

void context::set_minimum_version(tls_version version) {
  ERR_clear_error();
  if (SSL_CTX_set_min_proto_version(ctx_.get(), version == tls_version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
    throw_reason("cannot set the minimum version of TLS");
  minimum_version_ = version;
  sessions_.clear();
}

// ---- connections

void context::check(const io::secure_options& options) const {
  if (options.server_side) {
    if (purpose_ != ssl_purpose::client_auth)
      throw std::invalid_argument("a server's ssl_context is made with ssl_purpose::client_auth");
    if (SSL_CTX_get0_certificate(ctx_.get()) == nullptr)
      throw std::invalid_argument("a server's ssl_context has a certificate: load_cert_chain()");
    return;
  }
  if (purpose_ != ssl_purpose::server_auth)
    throw std::invalid_argument("a client's ssl_context is made with ssl_purpose::server_auth");
  check_name(options.server_hostname);
  if (check_hostname_ && certified_name(options.server_hostname).empty())
    throw std::invalid_argument("check_hostname requires server_hostname");
}

ssl_ptr context::make_ssl(const io::secure_options& options) {
  ERR_clear_error();
  ssl_ptr ssl(SSL_new(ctx_.get()));
  if (!ssl) throw_reason("cannot begin TLS");
  SSL_set_verify(ssl.get(), verify_flags(), nullptr);
  if (!options.server_side) {
    name_peer(ssl.get(), options);
    resume(ssl.get(), options);
  }
  return ssl;
}

int context::verify_flags() const noexcept {
  switch (verify_mode_) {
    case asyncio::verify_mode::none: return SSL_VERIFY_NONE;
    case asyncio::verify_mode::optional: return SSL_VERIFY_PEER;
    case asyncio::verify_mode::required: break;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

// The name that the server is asked for, and the one that its certificate must have. Names in the subject do not count,
// and a wildcard is a whole label.
void context::name_peer(SSL* ssl, const io::secure_options& options) {
  const std::string name = certified_name(options.server_hostname);
  if (name.empty()) return;
  const bool address = is_address(name);
  if (!address && SSL_set_tlsext_host_name(ssl, name.c_str()) != 1) throw_reason("cannot ask for the server's name");
  if (!check_hostname_) return;
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str())
                          : X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size());
  if (set != 1) throw_reason("cannot name the server that the certificate must be of");
}

void context::resume(SSL* ssl, const io::secure_options& options) {
  auto key = std::make_unique<std::string>(session_key(options));
  const session_ptr session = sessions_.take(*key);
  if (session) SSL_set_session(ssl, session.get());
  if (SSL_set_ex_data(ssl, key_index(), key.get()) != 1) throw std::bad_alloc();
  [[maybe_unused]] const std::string* the_ssls = key.release();
}

int context::new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  const auto* key = static_cast<const std::string*>(SSL_get_ex_data(ssl, key_index()));
  if (key == nullptr || SSL_SESSION_is_resumable(session) != 1) return 0;
  try {
    auto* me = static_cast<context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    SSL_SESSION_up_ref(session);
    me->sessions_.put(*key, session_ptr(session));
  } catch (...) {  // there is no memory for it: the next handshake is a full one
  }
  return 0;
}

int context::choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                         unsigned offered_size, void* self) noexcept {
  const std::string_view mine = static_cast<context*>(self)->alpn_;
  if (mine.empty()) return SSL_TLSEXT_ERR_NOACK;
  const std::string_view theirs(reinterpret_cast<const char*>(offered), offered_size);
  const auto next = [](std::string_view& names) {  // OpenSSL has checked that the lengths of `theirs` fit
    const std::size_t size = std::min<std::size_t>(static_cast<unsigned char>(names.front()), names.size() - 1);
    const std::string_view name = names.substr(1, size);
    names.remove_prefix(1 + size);
    return name;
  };
  for (std::string_view rest = mine; !rest.empty();) {
    const std::string_view wanted = next(rest);
    for (std::string_view others = theirs; !others.empty();) {
      const std::string_view offer = next(others);
      if (offer != wanted) continue;
      *out = reinterpret_cast<const unsigned char*>(wanted.data());
      *out_size = static_cast<unsigned char>(wanted.size());
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

io::ref<io::secure_channel> context::secure(io::ref<io::channel> lower, std::string_view read_ahead,
                                            const io::secure_options& options) {
  try {
    check(options);
    return tls_channel::make(io::ref<context>::share(this), lower, read_ahead, options);
  } catch (...) {
    lower->abort();
    throw;
  }
}

}  // namespace asyncio::tls

namespace asyncio {

namespace {

tls::context& context_of(const ssl_context& handle) noexcept { return static_cast<tls::context&>(*handle.provider()); }

}  // namespace

ssl_context ssl_context::create_default_context(ssl_purpose purpose) {
  return ssl_context(tls::context::make(purpose).detach());
}

ssl_context::ssl_context(const ssl_context& other) noexcept : provider_(other.provider_) { provider_->retain(); }
ssl_context& ssl_context::operator=(const ssl_context& other) noexcept {
  ssl_context copy(other);
  std::swap(provider_, copy.provider_);
  return *this;
}
ssl_context::~ssl_context() { provider_->release(); }

void ssl_context::load_cert_chain(std::string_view certificate, std::string_view key) {
  context_of(*this).load_cert_chain(std::string(certificate), std::string(key));
}
void ssl_context::load_verify_locations(std::string_view path) {
  context_of(*this).load_verify_locations(std::string(path));
}
void ssl_context::set_alpn(const std::string_view* first, std::size_t count) {
  context_of(*this).set_alpn({first, count});
}
verify_mode ssl_context::verify_mode() const noexcept { return context_of(*this).verify_mode(); }
void ssl_context::set_verify_mode(asyncio::verify_mode mode) { context_of(*this).set_verify_mode(mode); }
bool ssl_context::check_hostname() const noexcept { return context_of(*this).check_hostname(); }
void ssl_context::set_check_hostname(bool on) { context_of(*this).set_check_hostname(on); }
tls_version ssl_context::minimum_version() const noexcept { return context_of(*this).minimum_version(); }
void ssl_context::set_minimum_version(tls_version version) { context_of(*this).set_minimum_version(version); }

ssl_arg::ssl_arg(const ssl_context& context) : provider_(context.provider()) {}

// For all connections of the process, and never freed: loops may end after the statics have.
detail::tls_provider* detail::link_asyncio_tls() {
  static detail::tls_provider* const made = tls::context::make(ssl_purpose::server_auth).detach();
  return made;
}

}  // namespace asyncio
