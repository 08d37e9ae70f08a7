// SPDX-License-Identifier: BSL-1.0
// tls — TLS over any channel, by OpenSSL.
// May include: what stands in its row of ARCHITECTURE.md; nobody else includes <openssl/…>.    Included by: nobody.
// Thread: a channel's is its loop's; contexts are used by loops of any threads.
// Owns: keys, certificates, sessions; plaintext on its way, which is overwritten before its memory is freed.
// Laws: no coroutine; OpenSSL is given bytes and asked for bytes, it has no descriptor; no exception crosses a frame of C.
#pragma once
#include <asyncio/ssl.hpp>

#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

namespace asyncio::tls {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using session_ptr = std::unique_ptr<SSL_SESSION, freed_by<SSL_SESSION_free>>;
using certificate_ptr = std::unique_ptr<X509, freed_by<X509_free>>;

/// Where the error queue says what happened: with files it is the oldest entry, and those behind it say who noticed; in
/// a connection it is the newest, and those before it are details.
enum class entry { oldest, newest };

/// An entry of this thread's error queue as words, "wrong version number"; the queue is emptied.
std::string take_reason(entry which);

/// ssl_error with `text` and the reason of the error queue: "<text>: <reason>".
[[noreturn]] void throw_reason(const std::string& text);

}  // namespace asyncio::tls
