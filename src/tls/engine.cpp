// SPDX-License-Identifier: BSL-1.0
#include "tls/engine.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace asyncio::tls {

/// The BIO between OpenSSL and an engine's two buffers. Frames of C stand on both sides: nothing throws.
struct wire_bio {
  static int read(BIO* bio, char* to, std::size_t size, std::size_t* got) noexcept {
    auto* e = static_cast<engine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t kept = e->kept_.size() - e->kept_used_;
    if (kept > 0) {
      *got = std::min(size, kept);
      std::memcpy(to, e->kept_.data() + e->kept_used_, *got);
      e->kept_used_ += *got;
      if (*got == kept) {
        std::string().swap(e->kept_);  // an assignment would keep the memory
        e->kept_used_ = 0;
      }
      return 1;
    }
    if (e->borrowed_.empty()) {
      BIO_set_retry_read(bio);
      return 0;
    }
    *got = e->borrowed_.copy(to, size);
    e->borrowed_.remove_prefix(*got);
    return 1;
  }

  static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) noexcept {
    auto* e = static_cast<engine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    try {
      e->output_.append(bytes, size);
    } catch (...) {
      e->no_memory_ = true;
      return 0;
    }
    *written = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  // For all engines of the process, and never freed.
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "asyncio");
      if (m == nullptr) throw std::bad_alloc();
      BIO_meth_set_read_ex(m, &wire_bio::read);
      BIO_meth_set_write_ex(m, &wire_bio::write);
      BIO_meth_set_ctrl(m, &wire_bio::control);
      return m;
    }();
    return made;
  }
};

engine::engine(ssl_ptr ssl, bool server_side, std::string peer) : peer_(std::move(peer)), ssl_(std::move(ssl)) {
  BIO* bio = BIO_new(wire_bio::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (server_side)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

void engine::keep_input() {
  if (borrowed_.empty()) return;
  if (kept_used_ > 0) {
    kept_.erase(0, kept_used_);
    kept_used_ = 0;
  }
  kept_.append(borrowed_);
  borrowed_ = {};
}

// ---- the inside

engine::status engine::handshake() noexcept {
  ERR_clear_error();
  const status s = judge(SSL_do_handshake(ssl_.get()));
  shaken_ = s == status::done;
  return s;
}

engine::status engine::read(char* to, std::size_t size, std::size_t& got) noexcept {
  ERR_clear_error();
  got = 0;
  return judge(SSL_read_ex(ssl_.get(), to, size, &got));
}

engine::status engine::write(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    ERR_clear_error();
    std::size_t written = 0;
    const status s = judge(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written));
    if (s != status::done) return s;
    bytes.remove_prefix(written);
  }
  return status::done;
}

void engine::shut_down() noexcept {
  if (!shaken_ || error_ != nullptr) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

engine::status engine::judge(int result) noexcept {
  if (result == 1) return status::done;
  switch (error_ != nullptr ? SSL_ERROR_SSL : SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return input_ended_ ? status::cut : status::wants_input;
    case SSL_ERROR_ZERO_RETURN: return status::end;
    default: break;
  }
  if (error_ == nullptr) error_ = describe();
  ERR_clear_error();
  return status::failed;
}

// "TLS handshake with 'example.org': hostname mismatch: certificate verify failed"
std::exception_ptr engine::describe() const noexcept {
  try {
    if (no_memory_) return std::make_exception_ptr(std::bad_alloc());
    const std::string who = (shaken_ ? "TLS with " : "TLS handshake with ") + peer_;
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (!shaken_ && ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
      return std::make_exception_ptr(
          ssl_cert_verification_error(who + ": " + X509_verify_cert_error_string(verdict), static_cast<int>(verdict)));
    return std::make_exception_ptr(
        ssl_error(make_error_code(ssl_errc::failed), who + ": " + take_reason(entry::newest)));
  } catch (...) {
    return std::current_exception();
  }
}

namespace {

std::string pem_of(X509* certificate) {
  const std::unique_ptr<BIO, freed_by<BIO_free>> memory(BIO_new(BIO_s_mem()));
  if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) throw std::bad_alloc();
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

tls_info engine::info() const {
  tls_info found;
  found.version = SSL_get_version(ssl_.get());
  found.cipher = SSL_get_cipher_name(ssl_.get());
  const unsigned char* alpn = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &alpn, &size);
  if (size > 0) found.alpn.assign(reinterpret_cast<const char*>(alpn), size);
  if (const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name)) found.server_name = name;
  const certificate_ptr certificate(SSL_get1_peer_certificate(ssl_.get()));
  if (certificate) found.peer_certificate_pem = pem_of(certificate.get());
  found.session_reused = SSL_session_reused(ssl_.get()) == 1;
  return found;
}

}  // namespace asyncio::tls
