// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/net.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace asyncio::io {

/// A part of a file on its way into a stream socket, step by step: by sendfile(2), or where that cannot be had by a copy.
/// At its end the file's position is behind what was sent.
class file_sender {
 public:
  /// Errors: std::invalid_argument for a count of 0, an offset that is none; std::system_error for what is no open file.
  file_sender(int file, const sendfile_options& options);
  file_sender(const file_sender&) = delete;
  file_sender& operator=(const file_sender&) = delete;
  ~file_sender();

  /// How many bytes have gone; 0: everything has, or the file has ended; -EAGAIN: the socket has no room; else -errno.
  /// Errors: sendfile_not_available_error; std::bad_alloc.
  std::int64_t step(int socket);
  /// The next bytes for a copy of the caller's, and counts them as sent; empty at the end. Errors: std::system_error;
  /// std::bad_alloc.
  std::string next_chunk();
  std::uint64_t sent() const noexcept { return sent_; }

 private:
  std::size_t wanted(std::size_t most) const noexcept;
  std::int64_t send_natively(int socket) noexcept;
  std::int64_t send_copy(int socket);
  std::int64_t read_chunk(std::string& into);

  int file_;
  std::uint64_t offset_;
  std::uint64_t left_;
  const bool fallback_;
  bool native_ = true;
  std::uint64_t sent_ = 0;
  std::string chunk_;      // of a copy
  std::size_t taken_ = 0;  // of the chunk
};

/// Errors: std::invalid_argument for what is no stream socket.
void require_stream_socket(int fd, const char* call);

}  // namespace asyncio::io
