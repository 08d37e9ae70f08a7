// SPDX-License-Identifier: BSL-1.0
// A folder whose files may be read and nothing else: no path and no symbolic link leads out of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <utility>

namespace example {

/// A descriptor of its own.
class descriptor {
 public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor();
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

/// A regular file, open for reading. Its size is that of the moment it was opened.
class served_file {
 public:
  served_file(descriptor fd, std::uint64_t size, std::time_t modified)
      : fd_(std::move(fd)), size_(size), modified_(modified) {}
  std::uint64_t size() const noexcept { return size_; }
  std::time_t modified() const noexcept { return modified_; }
  /// How many bytes from `offset` on were put into `piece`; 0 at the end of the file, which may have come nearer.
  /// Errors: std::system_error.
  std::size_t read_at(std::uint64_t offset, std::span<char> piece) const;

 private:
  descriptor fd_;
  std::uint64_t size_;
  std::time_t modified_;
};

class served_folder {
 public:
  /// Errors: std::system_error.
  explicit served_folder(const std::string& path);
  /// Errors: std::system_error, its code: no_such_file_or_directory, also for what is not a regular file;
  /// permission_denied, also for a symbolic link that leads out of the folder.
  served_file open(const std::string& relative_path) const;

 private:
  descriptor fd_;
};

}  // namespace example
