// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/net.hpp>

#include <cstddef>
#include <cstdint>

namespace asyncio::io {

/// A part of a file on its way into a stream socket, by sendfile(2) or by copies; how much of it has gone. At its end the
/// file's position is behind what was sent.
class file_sender {
 public:
  /// Errors: std::invalid_argument for a count of 0, an offset that is none; std::system_error for what is no open file.
  file_sender(int file, const sendfile_options& options);
  file_sender(const file_sender&) = delete;
  file_sender& operator=(const file_sender&) = delete;
  ~file_sender();

  int file() const noexcept { return file_; }
  std::uint64_t sent() const noexcept { return sent_; }
  void count(std::size_t sent) noexcept { sent_ += sent; }

  /// One sendfile(2). How many bytes have gone; 0: everything has, or the file has ended; -EAGAIN: the socket has no room;
  /// -EOPNOTSUPP: it cannot be had for this file, nothing was sent, and a copy is asked for; else -errno.
  /// Errors: sendfile_not_available_error when no copy may be made.
  std::int64_t step(int socket);
  /// Errors: sendfile_not_available_error when no copy may be made.
  void require_copies(const char* reason) const;
  /// Where the next piece of a copy begins, and how long it is; 0 at the end.
  std::uint64_t next_offset() const noexcept { return offset_ + sent_; }
  std::size_t next_size() const noexcept;

 private:
  std::size_t wanted(std::size_t most) const noexcept;

  int file_;
  std::uint64_t offset_;
  std::uint64_t left_;
  const bool fallback_;
  std::uint64_t sent_ = 0;
};

/// Errors: std::invalid_argument for what is no stream socket.
void require_stream_socket(int fd, const char* call);

}  // namespace asyncio::io
