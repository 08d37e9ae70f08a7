// SPDX-License-Identifier: BSL-1.0
#include "served_folder.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace example {
namespace {

[[noreturn]] void fail(int error, const std::string& path) {
  throw std::system_error(error, std::generic_category(), path);
}

// A pipe in the folder must not block us (O_NONBLOCK), nor a terminal become ours (O_NOCTTY).
constexpr int file_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

/// What a call gave, or the negative error number.
int checked(long result) { return result < 0 ? -errno : static_cast<int>(result); }

/// For kernels without openat2: step by step, refusing every symbolic link.
int open_without_links(int folder, const std::string& path) {
  descriptor here(dup(folder));
  if (!here) return -errno;
  std::size_t start = 0;
  while (true) {
    const std::size_t slash = path.find('/', start);
    const std::string name = slash == start || path.empty() ? "." : path.substr(start, slash - start);
    if (slash == std::string::npos) return checked(openat(here.get(), name.c_str(), file_flags | O_NOFOLLOW));
    const int next = checked(openat(here.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next < 0) return next;
    here = descriptor(next);
    start = slash + 1;
  }
}

/// A descriptor, or the negative error number.
int open_beneath(int folder, const std::string& path) {
  open_how how{};
  how.flags = file_flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  while (true) {
    const int fd = checked(syscall(SYS_openat2, folder, name, &how, sizeof how));
    if (fd == -ENOSYS) return open_without_links(folder, path);
    // EAGAIN: something beneath was renamed meanwhile, so that the kernel cannot vouch for the way it went.
    if (fd != -EINTR && fd != -EAGAIN) return fd;
  }
}

}  // namespace

descriptor::~descriptor() {
  if (fd_ >= 0) close(fd_);
}

served_folder::served_folder(const std::string& path) : fd_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (!fd_) fail(errno, path);
}

served_file served_folder::open(const std::string& relative_path) const {
  const int opened = open_beneath(fd_.get(), relative_path);
  switch (-opened) {
    case EXDEV:
    case ELOOP: fail(EACCES, relative_path);
    case ENOTDIR:
    case ENAMETOOLONG:
    case ENXIO: fail(ENOENT, relative_path);
    default: break;
  }
  if (opened < 0) fail(-opened, relative_path);
  descriptor fd(opened);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) fail(errno, relative_path);
  if (!S_ISREG(status.st_mode)) fail(ENOENT, relative_path);
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return {std::move(fd), static_cast<std::uint64_t>(status.st_size), status.st_mtime};
}

std::size_t served_file::read_at(std::uint64_t offset, std::span<char> piece) const {
  while (true) {
    const ssize_t n = pread(fd_.get(), piece.data(), piece.size(), static_cast<off_t>(offset));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) fail(errno, "read");
  }
}

}  // namespace example
