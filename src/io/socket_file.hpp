// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/address.hpp"

#include <asyncio/net.hpp>

#include <string>

namespace asyncio::io {

/// The file that a Unix socket was bound to. It is removed with its owner, but only as long as it is still this socket's,
/// and by the process that made it: not by a child that was forked off. It dies before the socket is closed, as the
/// socket keeps others from getting the file's inode.
class socket_file {
 public:
  /// None.
  socket_file() noexcept = default;
  /// Of a socket that is bound to `address`; none for an abstract name, another family, and a file that is gone already.
  /// Errors: std::bad_alloc.
  static socket_file at(const socket_address& address);
  socket_file(socket_file&& other) noexcept;
  socket_file& operator=(socket_file&& other) noexcept;
  ~socket_file() { remove(); }

  /// A file that cannot be removed is told to the log. Idempotent.
  void remove() noexcept;

 private:
  bool is_ours() const noexcept;

  std::string path_;  // empty: none
  dev_t device_ = 0;
  ino_t inode_ = 0;
  unsigned made_at_ = 0;  // fork_count()
};

/// Removes the file of a Unix socket that does not exist any more; false when there is no such file at `address`, or when a
/// socket is bound to it, be it listening or not. That socket does not hear of the question.
/// Errors: std::system_error when it is stale and cannot be removed.
bool remove_stale_file(const socket_address& address);

}  // namespace asyncio::io
