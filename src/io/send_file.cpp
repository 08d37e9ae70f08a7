// SPDX-License-Identifier: BSL-1.0
#include "io/send_file.hpp"

#include "io/socket.hpp"

#include "io/io.hpp"
#include "kernel/pipe.hpp"
#include "kernel/sys.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

constexpr std::size_t most_at_once = 1024 * 1024;
constexpr std::size_t chunk_size = 64 * 1024;

/// sendfile(2) cannot send this file to this socket, and a copy may.
bool is_unsupported(std::int64_t result) noexcept {
  return result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP || result == -ESPIPE;
}

}  // namespace

void require_stream_socket(int fd, const char* call) {
  if (!is_stream_socket(fd)) throw std::invalid_argument(std::string(call) + "(): only stream sockets take files");
}

file_sender::file_sender(int file, const sendfile_options& options)
    : file_(file),
      offset_(options.offset),
      left_(options.count.value_or(std::numeric_limits<std::uint64_t>::max())),
      fallback_(options.fallback) {
  constexpr auto longest = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  if (options.count == 0u) throw std::invalid_argument("sendfile(): count must be greater than 0");
  if (offset_ > longest) throw std::invalid_argument("sendfile(): no file is as long as this offset");
  struct stat about{};
  if (const int error = sys::fstat(file, &about); error < 0)
    throw os_error(-error, "sendfile(): descriptor " + std::to_string(file));
  if (S_ISDIR(about.st_mode)) throw std::invalid_argument("sendfile(): a folder cannot be sent");
}

file_sender::~file_sender() { sys::seek(file_, static_cast<off_t>(offset_ + sent_), SEEK_SET); }

std::size_t file_sender::wanted(std::size_t most) const noexcept {
  return static_cast<std::size_t>(std::min<std::uint64_t>(most, left_ - sent_));
}

std::size_t file_sender::next_size() const noexcept { return wanted(chunk_size); }

std::int64_t file_sender::step(int socket) {
  const std::size_t most = wanted(most_at_once);
  if (most == 0) return 0;
  auto at = static_cast<off_t>(offset_ + sent_);
  std::int64_t n = -EINTR;
  while (n == -EINTR) n = kernel::sendfile_quietly(socket, file_, &at, most);
  if (n > 0) sent_ += static_cast<std::uint64_t>(n);
  if (sent_ > 0 || !is_unsupported(n)) return n;
  require_copies("sendfile(2) cannot send this file");
  return -EOPNOTSUPP;
}

void file_sender::require_copies(const char* reason) const {
  if (!fallback_) throw sendfile_not_available_error(reason);
}

}  // namespace asyncio::io
