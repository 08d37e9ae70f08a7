// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "tls/tls.hpp"

#include <asyncio/net.hpp>

#include <cstddef>
#include <cstdint>

namespace asyncio::tls {

/// One side of a TLS connection as a machine that is given bytes and asked for bytes: no channel, no loop, no clock.
///
///   give(), give_end() ──▶ [ wire in ] ──▶ OpenSSL ──▶ [ output() ] ──▶ who drives it
///
/// OpenSSL reads and writes through a BIO whose two ends are these buffers; so it never waits, and no callback of
/// OpenSSL leaves this room. Nothing that was received is given to anybody before the handshake has ended.
class engine {
 public:
  enum class status : std::uint8_t {
    done,
    wants_input,  ///< everything given is used up: give more
    end,          ///< the peer has said goodbye (close_notify)
    cut,          ///< more was needed, and the input has ended
    failed,       ///< see error(); output() may hold the alert that tells the peer
  };

  /// `peer` is how errors call the other side.
  engine(ssl_ptr ssl, bool server_side, std::string peer);
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  // ---- the wire
  /// Bytes from the peer, which stay valid until keep_input(), give() or the engine wants input.
  void give(std::string_view bytes) noexcept { borrowed_ = bytes; }
  void give_end() noexcept { input_ended_ = true; }
  /// Copies what is left of the borrowed bytes. Errors: std::bad_alloc.
  void keep_input();
  std::size_t input_size() const noexcept { return kept_.size() - kept_used_ + borrowed_.size(); }
  /// Bytes for the peer: whoever takes them clears it.
  std::string& output() noexcept { return output_; }

  // ---- the inside
  status handshake() noexcept;
  /// At least one byte of plaintext, at most `size`, when done.
  status read(char* to, std::size_t size, std::size_t& got) noexcept;
  /// All of `bytes`, at most 64 KiB.
  status write(std::string_view bytes) noexcept;
  /// Says goodbye.
  void shut_down() noexcept;
  /// The peer has said goodbye.
  bool peer_closed() const noexcept { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

  /// What was wrong when something `failed`.
  std::exception_ptr error() const noexcept { return error_; }
  /// After the handshake. Errors: std::bad_alloc.
  tls_info info() const;

 private:
  friend struct wire_bio;
  status judge(int result) noexcept;
  std::exception_ptr describe() const noexcept;

  std::string kept_;  // input that nobody lends us any more
  std::size_t kept_used_ = 0;
  std::string_view borrowed_;
  std::string output_;
  std::exception_ptr error_;
  const std::string peer_;
  bool input_ended_ = false;
  bool shaken_ = false;
  bool no_memory_ = false;
  ssl_ptr ssl_;  // dies before the buffers
};

}  // namespace asyncio::tls
