// SPDX-License-Identifier: BSL-1.0
// Every system call of the library goes through these functions: results as the kernel gives them, failures as -errno.
// Built with ASYNCIO_TEST_SEAMS they go through a table of function pointers that a test may replace; otherwise they
// are inline.
#pragma once
#include "kernel/uring_abi.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::kernel::sys {

namespace direct {

template <class Result>
Result checked(Result result) noexcept {
  return result >= 0 ? result : static_cast<Result>(-errno);
}

inline int socket(int family, int type, int protocol) noexcept { return checked(::socket(family, type, protocol)); }
inline int bind(int fd, const sockaddr* address, socklen_t size) noexcept { return checked(::bind(fd, address, size)); }
inline int listen(int fd, int backlog) noexcept { return checked(::listen(fd, backlog)); }
inline int accept4(int fd, sockaddr* address, socklen_t* size, int flags) noexcept {
  return checked(::accept4(fd, address, size, flags));
}
inline int connect(int fd, const sockaddr* address, socklen_t size) noexcept {
  return checked(::connect(fd, address, size));
}
inline ssize_t recv(int fd, void* to, std::size_t size, int flags) noexcept {
  return checked(::recv(fd, to, size, flags));
}
inline ssize_t recvfrom(int fd, void* to, std::size_t size, int flags, sockaddr* from, socklen_t* from_size) noexcept {
  return checked(::recvfrom(fd, to, size, flags, from, from_size));
}
inline ssize_t send(int fd, const void* from, std::size_t size, int flags) noexcept {
  return checked(::send(fd, from, size, flags));
}
inline ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept {
  return checked(::sendmsg(fd, message, flags));
}
inline int shutdown(int fd, int how) noexcept { return checked(::shutdown(fd, how)); }
/// EINTR counts as closed: Linux has freed the descriptor by then.
inline int close(int fd) noexcept { return checked(::close(fd)); }
inline int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  return checked(::getsockopt(fd, level, name, value, size));
}
inline int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  return checked(::setsockopt(fd, level, name, value, size));
}
inline int getsockname(int fd, sockaddr* address, socklen_t* size) noexcept {
  return checked(::getsockname(fd, address, size));
}
inline int getpeername(int fd, sockaddr* address, socklen_t* size) noexcept {
  return checked(::getpeername(fd, address, size));
}
inline int lstat(const char* path, struct stat* about) noexcept { return checked(::lstat(path, about)); }
inline int unlink(const char* path) noexcept { return checked(::unlink(path)); }
inline int get_status_flags(int fd) noexcept { return checked(::fcntl(fd, F_GETFL)); }
inline int set_status_flags(int fd, int flags) noexcept { return checked(::fcntl(fd, F_SETFL, flags)); }

inline int epoll_create1(int flags) noexcept { return checked(::epoll_create1(flags)); }
inline int epoll_ctl(int epfd, int operation, int fd, epoll_event* event) noexcept {
  return checked(::epoll_ctl(epfd, operation, fd, event));
}
inline int epoll_wait(int epfd, epoll_event* events, int most, int timeout_ms) noexcept {
  return checked(::epoll_wait(epfd, events, most, timeout_ms));
}
inline int epoll_pwait2(int epfd, epoll_event* events, int most, const timespec* timeout) noexcept {
  return checked(::epoll_pwait2(epfd, events, most, timeout, nullptr));
}
inline int eventfd(unsigned initial, int flags) noexcept { return checked(::eventfd(initial, flags)); }
inline ssize_t read(int fd, void* to, std::size_t size) noexcept { return checked(::read(fd, to, size)); }
inline ssize_t write(int fd, const void* from, std::size_t size) noexcept { return checked(::write(fd, from, size)); }

inline int io_uring_setup(unsigned requests, abi::setup_params* params) noexcept {
  return checked(static_cast<int>(::syscall(SYS_io_uring_setup, requests, params)));
}
inline int io_uring_enter(int fd, unsigned requests, unsigned completions, unsigned flags, const void* argument,
                          std::size_t argument_size) noexcept {
  return checked(
      static_cast<int>(::syscall(SYS_io_uring_enter, fd, requests, completions, flags, argument, argument_size)));
}
inline int io_uring_register(int fd, unsigned what, void* argument, unsigned count) noexcept {
  return checked(static_cast<int>(::syscall(SYS_io_uring_register, fd, what, argument, count)));
}
/// Memory shared with what `fd` is, or, when that is -1, fresh zeroes. A forked child does not have it.
inline int map(void** memory, std::size_t size, int fd, std::uint64_t offset) noexcept {
  const int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  *memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, kind, fd, static_cast<off_t>(offset));
  if (*memory == MAP_FAILED) return -errno;
  ::madvise(*memory, size, MADV_DONTFORK);  // where that is unknown the child has a copy, and leaves it alone
  return 0;
}
inline void unmap(void* memory, std::size_t size) noexcept { ::munmap(memory, size); }
/// What a completion of io_uring says its result is; not asked for an accept's, which may be a descriptor. A test that
/// wants another one puts it here.
inline std::int32_t completion_result(std::int32_t result) noexcept { return result; }

inline ssize_t writev(int fd, const iovec* pieces, int count) noexcept { return checked(::writev(fd, pieces, count)); }

inline int set_signal_action(int signal, const struct sigaction* action, struct sigaction* before) noexcept {
  return checked(::sigaction(signal, action, before));
}
/// The calling thread's mask.
inline int set_signal_mask(int how, const sigset_t* signals, sigset_t* before) noexcept {
  return -::pthread_sigmask(how, signals, before);
}

inline int get_pending_signals(sigset_t* pending) noexcept { return checked(::sigpending(pending)); }
/// Takes one of these signals, which the thread blocks, if there is one; does not wait.
inline int take_pending_signal(const sigset_t* signals) noexcept {
  constexpr timespec at_once{};
  return checked(::sigtimedwait(signals, nullptr, &at_once));
}
inline int pipe2(int* ends, int flags) noexcept { return checked(::pipe2(ends, flags)); }
inline int socketpair(int family, int type, int protocol, int* ends) noexcept {
  return checked(::socketpair(family, type, protocol, ends));
}
inline int open(const char* path, int flags) noexcept { return checked(::open(path, flags)); }
/// Is there such a file, seen from the folder `folder`?
inline int find_at(int folder, const char* path) noexcept { return checked(::faccessat(folder, path, F_OK, 0)); }
inline int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                       const posix_spawnattr_t* attributes, char* const* argv, char* const* env) noexcept {
  return -::posix_spawn(pid, path, actions, attributes, argv, env);
}
inline int pidfd_open(pid_t pid, unsigned flags) noexcept {
  return checked(static_cast<int>(::syscall(SYS_pidfd_open, pid, flags)));
}
inline int pidfd_send_signal(int pidfd, int signal) noexcept {
  return checked(static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0u)));
}
inline int kill(pid_t pid, int signal) noexcept { return checked(::kill(pid, signal)); }
inline int poll(pollfd* fds, nfds_t count, int timeout_ms) noexcept { return checked(::poll(fds, count, timeout_ms)); }
inline int fstat(int fd, struct stat* about) noexcept { return checked(::fstat(fd, about)); }
/// Another number for the same open file, close-on-exec.
inline int duplicate(int fd) noexcept { return checked(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }
/// From a file to a socket, without a copy; moves `offset`, and not the file's own position.
inline ssize_t sendfile(int to, int file, off_t* offset, std::size_t size) noexcept {
  return checked(::sendfile(to, file, offset, size));
}
inline ssize_t pread(int fd, void* to, std::size_t size, off_t offset) noexcept {
  return checked(::pread(fd, to, size, offset));
}
inline off_t seek(int fd, off_t offset, int whence) noexcept { return checked(::lseek(fd, offset, whence)); }
inline int set_descriptor_flags(int fd, int flags) noexcept { return checked(::fcntl(fd, F_SETFD, flags)); }
inline int waitid(idtype_t type, id_t id, siginfo_t* about, int options) noexcept {
  return checked(::waitid(type, id, about, options));
}

/// Not a system call, but the door to many, and it blocks. Returns an EAI_ code (0 is success); with EAI_SYSTEM errno
/// says more.
inline int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) noexcept {
  return ::getaddrinfo(host, service, hints, found);
}
inline void freeaddrinfo(addrinfo* found) noexcept { ::freeaddrinfo(found); }
/// The way back; as getaddrinfo().
inline int getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service,
                       socklen_t service_size, int flags) noexcept {
  return ::getnameinfo(address, size, host, host_size, service, service_size, flags);
}

/// How many bytes of `wanted` the next recv asks for. A test that wants short reads lowers it here: then the backend
/// knows that the rest was not asked for.
inline std::size_t read_size(std::size_t wanted) noexcept { return wanted; }

}  // namespace direct

#define ASYNCIO_SYS_CALLS(each)                                                                                       \
  each(socket) each(bind) each(listen) each(accept4) each(connect) each(recv) each(recvfrom) each(send) each(sendmsg) \
      each(shutdown) each(close) each(getsockopt) each(setsockopt) each(getsockname) each(getpeername)                \
          each(get_status_flags) each(set_status_flags) each(epoll_create1) each(epoll_ctl) each(epoll_wait)          \
              each(epoll_pwait2) each(eventfd) each(read) each(write) each(set_signal_action) each(set_signal_mask)   \
                  each(getaddrinfo) each(freeaddrinfo) each(getnameinfo) each(read_size) each(lstat) each(unlink)     \
                      each(pipe2) each(socketpair) each(open) each(find_at) each(posix_spawn) each(pidfd_open)        \
                          each(pidfd_send_signal) each(kill) each(waitid) each(writev) each(get_pending_signals)      \
                              each(take_pending_signal) each(poll) each(set_descriptor_flags) each(io_uring_setup)    \
                                  each(io_uring_enter) each(io_uring_register) each(map) each(unmap)                  \
                                      each(completion_result) each(fstat) each(duplicate) each(sendfile) each(pread)  \
                                          each(seek)

#if defined(ASYNCIO_TEST_SEAMS)

/// What the calls do. A test copies it, replaces what it is about, and installs the copy.
struct table {
// NOLINTNEXTLINE(bugprone-macro-parentheses): `name` is declared there
#define ASYNCIO_SYS_FIELD(name) decltype(&direct::name) name = &direct::name;
  ASYNCIO_SYS_CALLS(ASYNCIO_SYS_FIELD)
#undef ASYNCIO_SYS_FIELD
};

/// Sends all calls of the process through `replacement`, which stays the caller's; null: the real ones again.
/// Thread: any; calls under way in other threads finish as they began.
void install(const table* replacement) noexcept;

extern constinit std::atomic<const table*> installed;
inline const table& current() noexcept { return *installed.load(std::memory_order_acquire); }

#define ASYNCIO_SYS_FORWARD(name)        \
  template <class... A>                  \
  auto name(A... arguments) noexcept {   \
    return current().name(arguments...); \
  }
ASYNCIO_SYS_CALLS(ASYNCIO_SYS_FORWARD)
#undef ASYNCIO_SYS_FORWARD

#else

#define ASYNCIO_SYS_USE(name) using direct::name;
ASYNCIO_SYS_CALLS(ASYNCIO_SYS_USE)
#undef ASYNCIO_SYS_USE

#endif

}  // namespace asyncio::kernel::sys
