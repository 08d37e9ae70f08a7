// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstddef>

#include <sys/types.h>
#include <sys/uio.h>

namespace asyncio::kernel {

struct pipe_ends {
  int read = -1;
  int write = -1;
};

/// A pipe, both ends close-on-exec and blocking. 0, or -errno.
int make_pipe(pipe_ends& ends) noexcept;
/// The two ends of a pipe are two open files: this one does not wait any more, whoever has the other one still may.
/// 0, or -errno.
int make_non_blocking(int fd) noexcept;

/// write(2) that tells of a pipe without a reader by -EPIPE alone. A pipe knows no MSG_NOSIGNAL, and SIGPIPE, whose default
/// action ends the process, is the program's and not ours to ignore: so the calling thread blocks it meanwhile, and takes
/// back the one that the write has raised.
ssize_t write_quietly(int fd, const iovec* pieces, int count) noexcept;

/// sendfile(2), which knows no MSG_NOSIGNAL either.
ssize_t sendfile_quietly(int to, int file, off_t* offset, std::size_t size) noexcept;

/// Whether this process has such a descriptor.
bool is_open(int fd) noexcept;

}  // namespace asyncio::kernel
