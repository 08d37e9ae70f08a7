// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/channel.hpp"

#include <chrono>
#include <exception>
#include <optional>
#include <string>

namespace asyncio::io {

/// How one side of TLS begins and ends.
struct secure_options {
  /// Errors: std::invalid_argument for a time that is not greater than 0.
  void set_timeouts(const std::optional<timedelta>& handshake, const std::optional<timedelta>& shutdown);

  bool server_side = false;
  std::string server_hostname;  ///< of clients: the name that the certificate must have, or an address in numbers
  int port = 0;                 ///< of clients: sessions are resumed with the same host and port only
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(60);
  std::chrono::nanoseconds shutdown_timeout = std::chrono::seconds(30);
};

/// Who waits for a handshake.
class handshake_user {
 public:
  /// From the loop, once: null when the connection is secure; else why it could not be made, and it is closed.
  virtual void handshake_ended(std::exception_ptr error) noexcept = 0;

 protected:
  ~handshake_user() = default;
};

/// TLS over another channel. Before the handshake has ended nothing is read, and what is written waits.
class secure_channel : public channel {
 public:
  /// Null: nobody waits any more; the handshake goes on.
  virtual void set_handshake_user(handshake_user* user) noexcept = 0;
};

}  // namespace asyncio::io

namespace asyncio::detail {

/// An ssl_context as the rooms below TLS see it.   Thread: any.
class tls_provider : public io::counted {
 public:
  /// Errors: std::invalid_argument when `options` ask for what the context cannot do. Before any connection is made.
  virtual void check(const io::secure_options& options) const = 0;
  /// Takes `lower` over and begins the handshake, whose first bytes from the peer are `read_ahead`. Both sides of a
  /// handshake that fails hear why; `lower` is closed, and only then `user` and the channel's user are told.
  /// Errors: as check(); ssl_error; std::bad_alloc; `lower` is aborted then.   Thread: the loop's.
  virtual io::ref<io::secure_channel> secure(io::ref<io::channel> lower, std::string_view read_ahead,
                                             const io::secure_options& options) = 0;
};

}  // namespace asyncio::detail
