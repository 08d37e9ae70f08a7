// SPDX-License-Identifier: BSL-1.0
#include "kernel/pipe.hpp"

#include "kernel/sys.hpp"

#include <array>

namespace asyncio::kernel {

int make_pipe(pipe_ends& ends) noexcept {
  std::array<int, 2> fds{};
  const int error = sys::pipe2(fds.data(), O_CLOEXEC);
  if (error < 0) return error;
  ends = {fds[0], fds[1]};
  return 0;
}

int make_non_blocking(int fd) noexcept {
  const int flags = sys::get_status_flags(fd);
  return flags < 0 ? flags : sys::set_status_flags(fd, flags | O_NONBLOCK);
}

bool is_open(int fd) noexcept { return sys::get_status_flags(fd) >= 0; }

// The SIGPIPE of a write is sent to the writing thread. One that the thread had blocked itself, and that waits for it, is
// left to it.
template <class Call>
static ssize_t without_signal(Call call) noexcept {
  sigset_t pipe_signal;
  sigset_t before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sys::set_signal_mask(SIG_BLOCK, &pipe_signal, &before);
  bool waits = false;
  if (sigismember(&before, SIGPIPE) == 1) {
    sigset_t pending;
    waits = sys::get_pending_signals(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }
  const ssize_t n = call();
  if (n == -EPIPE && !waits) sys::take_pending_signal(&pipe_signal);
  if (sigismember(&before, SIGPIPE) == 0) sys::set_signal_mask(SIG_SETMASK, &before, static_cast<sigset_t*>(nullptr));
  return n;
}

ssize_t write_quietly(int fd, const iovec* pieces, int count) noexcept {
  return without_signal(
      [&] { return count == 1 ? sys::write(fd, pieces->iov_base, pieces->iov_len) : sys::writev(fd, pieces, count); });
}

ssize_t sendfile_quietly(int to, int file, off_t* offset, std::size_t size) noexcept {
  return without_signal([&] { return sys::sendfile(to, file, offset, size); });
}

}  // namespace asyncio::kernel
