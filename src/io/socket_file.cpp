// SPDX-License-Identifier: BSL-1.0
#include "io/socket_file.hpp"

#include "io/io.hpp"
#include "io/socket.hpp"

#include "base/log.hpp"
#include "kernel/process.hpp"

#include <system_error>
#include <utility>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

/// The path of an address that is a file's; else empty.
std::string file_path(const socket_address& address) {
  std::string path = address.path();
  if (path.starts_with('\0')) path.clear();
  return path;
}

bool find_socket(const std::string& path, struct stat& about) noexcept {
  return !path.empty() && sys::lstat(path.c_str(), &about) == 0 && S_ISSOCK(about.st_mode);
}

/// A datagram socket is refused by a file that no socket is bound to, and by a stream socket's with another error: a
/// server does not get a connection from this.
bool is_abandoned(const socket_address& address) noexcept {
  const unique_fd probe(sys::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return false;
  return sys::connect(probe.get(), address_access::data(address), address_access::size(address)) == -ECONNREFUSED;
}

}  // namespace

socket_file socket_file::at(const socket_address& address) {
  socket_file file;
  struct stat about{};
  std::string path = file_path(address);
  if (!find_socket(path, about)) return file;
  file.path_ = std::move(path);
  file.device_ = about.st_dev;
  file.inode_ = about.st_ino;
  file.made_at_ = kernel::fork_count();
  return file;
}

socket_file::socket_file(socket_file&& other) noexcept
    : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_), made_at_(other.made_at_) {}

socket_file& socket_file::operator=(socket_file&& other) noexcept {
  socket_file taken(std::move(other));
  std::swap(path_, taken.path_);
  std::swap(device_, taken.device_);
  std::swap(inode_, taken.inode_);
  std::swap(made_at_, taken.made_at_);
  return *this;
}

bool socket_file::is_ours() const noexcept {
  struct stat about{};
  return made_at_ == kernel::fork_count() && find_socket(path_, about) && about.st_dev == device_ &&
         about.st_ino == inode_;
}

void socket_file::remove() noexcept {
  if (path_.empty()) return;
  const int error = is_ours() ? sys::unlink(path_.c_str()) : 0;
  if (error < 0 && error != -ENOENT) {
    try {
      base::log(log_level::error, os_error(-error, "cannot remove the socket file " + base::printable(path_)).what());
    } catch (const std::bad_alloc&) {
      base::log(log_level::error, "cannot remove the file of a Unix socket");
    }
  }
  path_.clear();
}

bool remove_stale_file(const socket_address& address) {
  const std::string path = file_path(address);
  struct stat about{};
  if (!find_socket(path, about) || !is_abandoned(address)) return false;
  const int error = sys::unlink(path.c_str());
  if (error < 0 && error != -ENOENT) throw os_error(-error, "cannot remove the stale socket file " + path);
  return true;
}

}  // namespace asyncio::io
