// SPDX-License-Identifier: BSL-1.0
// kernel — turns ops into system calls and completions.
// May include: base.            Included by: loop, threads, io.
// Thread: the loop's, except wake(), which any thread may call.
// Owns: the epoll or ring descriptor, the shared read buffer. Borrows: every op and its buffers until it is finished.
// Laws: never calls done(); EINTR and EAGAIN never leave this room (but for `try_only` and `borrowed`, and connect on a
//       full AF_UNIX backlog); a finished op is listed once.
#pragma once
#include <asyncio/detail/op.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::kernel {

using detail::op;
using detail::op_queue;

/// What a recv without a buffer of its own gets at most, when it is done at once.
inline constexpr std::size_t shared_read_size = 256 * 1024;

enum class io_kind : std::uint8_t {
  recv,      ///< stream or datagram bytes; result: bytes, 0 at end of stream
  send,      ///< the bytes of `iov`; result: bytes taken, may be fewer
  accept,    ///< result: a new descriptor (non-blocking, close-on-exec), its peer in `address`
  connect,   ///< result: 0
  read,      ///< recv for what is no socket, a pipe; the descriptor is non-blocking
  write,     ///< send for what is no socket; -EPIPE comes without a SIGPIPE
  readable,  ///< result: 0 when a read would not block (error and hang-up count)
  writable,  ///< result: 0 when a write would not block (error and hang-up count)
  file_read,  ///< of a regular file, which is always ready and may yet take long; into `buffer`, only where reads_files()
};

/// One request to the kernel. Who fills it keeps it, its buffers and its address alive until it is finished: either
/// start() returned true, or its `done` was called. Whoever owns an op in flight cancels it and waits for `done`.
///
/// recv, send, accept, connect, read and write are for descriptors that the library owns: forget() comes before their
/// close(). readable and writable, and whatever is `borrowed`, are for descriptors of others, who may close them as they like. On
/// one descriptor the two do not mix: the second kind is answered by -EBUSY as long as the first is in flight
/// (recv … accept: until forget()). A wait for a descriptor that was closed meanwhile, and its number used anew, stands in
/// nobody's way: it finishes with -ECANCELED, and never with what happens to the new one.
struct io_op : op {
  io_kind kind = io_kind::readable;
  bool in_flight = false;      ///< start() returned false, done is still to come
  bool try_only = false;       ///< never in flight: -EAGAIN when it cannot be done at once. So its buffers may
                               ///<   belong to a task.
  bool borrowed = false;       ///< try_only on somebody else's descriptor: nothing is remembered about that. connect:
                               ///<   -EINPROGRESS instead of -EAGAIN; when it is writable, the next try tells the end.
  bool bounded_reads = false;  ///< recv: a short read does not mean that there is no more (datagrams, AF_UNIX)
  int fd = -1;
  int flags = 0;  ///< MSG_… for recv and send
  // What is said of recv holds for read, what is said of send for write.
  std::byte* buffer = nullptr;      ///< recv: where to; null: the kernel room's shared buffer, see `data`
  std::size_t size = 0;             ///< recv: at most so many bytes (0 with a null buffer: as many as fit)
  const std::byte* data = nullptr;  ///< recv: where the bytes are; in the shared buffer only until done returns,
                                    ///<   or, when start() returned true, until the next call into the kernel
  std::uint64_t offset = 0;         ///< file_read: where in the file
  const iovec* iov = nullptr;       ///< send
  int iov_count = 0;
  /// accept: the peer goes here. connect: the target. recv: where the bytes came from, if not null; send: where they
  /// go, if not null.
  sockaddr_storage* address = nullptr;
  socklen_t address_size = 0;
  std::uint32_t slot = 0;  ///< the backend's own, as the rest
  io_op* prev_armed = nullptr;
  io_op* next_armed = nullptr;
  void (*owner_done)(op*) noexcept = nullptr;

  /// For backends: puts a step before the owner's done that ends `in_flight`, so that it is exact also while a finished
  /// op stands in the loop's queue. leave_flight() takes it away, for another backend's sake.
  void enter_flight() noexcept {
    in_flight = true;
    owner_done = done;
    done = [](op* self) noexcept {
      auto* request = static_cast<io_op*>(self);
      request->in_flight = false;
      request->done = request->owner_done;
      request->done(request);
    };
  }
  void leave_flight() noexcept {
    in_flight = false;
    done = owner_done;
  }
};

/// What a backend can do. One object per loop.
class kernel {
 public:
  kernel(const kernel&) = delete;
  kernel& operator=(const kernel&) = delete;
  virtual ~kernel() = default;

  /// Tries at once. True: finished, `result` is set, done will not be called. False: in flight.
  virtual bool start(io_op& request) noexcept = 0;
  /// Asks an op in flight to give up. It still finishes through wait(): with -ECANCELED, or with its result when that
  /// was there first.
  virtual void cancel(io_op& request) noexcept = 0;
  /// From here on the descriptor is the library's, as it is from its first recv … connect, until forget(). 0, or
  /// -EBUSY when somebody waits for it, -EBADF, -ENOMEM.
  virtual int own(int fd) noexcept = 0;
  /// Cancels everything in flight on `fd`, forgets its registration. Called before close(fd).
  virtual void forget(int fd) noexcept = 0;
  /// Cancels everything in flight: for the end of the loop, which then calls wait() until in_flight() is 0, so that
  /// every owner hears of it.
  virtual void cancel_all() noexcept = 0;

  /// Waits until something finished, somebody called wake(), or the time is over (nullopt: for ever; 0: just looks),
  /// then appends the finished ops to `finished`. May return early. Only when the ops that the call before has listed
  /// are done: it writes over their shared bytes. True: there is more, which had no room; the next call does not wait.
  virtual bool wait(std::optional<std::chrono::nanoseconds> most, op_queue& finished) noexcept = 0;

  /// A descriptor that is readable when wait(0) would find something; for guests of another main loop.
  virtual int poll_fd() noexcept = 0;
  virtual const char* name() const noexcept = 0;
  std::size_t in_flight() const noexcept { return in_flight_; }
  /// start() makes the system call. Else requests are handed in together, and what is `try_only` costs a call of its own.
  bool calls_at_once() const noexcept { return calls_at_once_; }
  /// It reads regular files, and the thread that asks does not wait for the disk.
  virtual bool reads_files() const noexcept { return false; }

 protected:
  explicit kernel(bool calls_at_once = true) noexcept : calls_at_once_(calls_at_once) {}
  std::size_t in_flight_ = 0;

 private:
  const bool calls_at_once_;
};

/// The epoll backend. It watches `wake_fd` (an eventfd; -1: none): whoever writes there ends its wait(); nobody needs to
/// read it.
/// Errors: std::system_error.
std::unique_ptr<kernel> make_epoll_kernel(int wake_fd);

/// Room in an io_uring: requests between two submissions, completions between two looks.
struct ring_sizes {
  unsigned requests = 256;
  unsigned completions = 4096;
};
/// The io_uring backend; as the other. Errors: std::system_error, also when this kernel has no io_uring, forbids it, or
/// has one that lacks something.
std::unique_ptr<kernel> make_uring_kernel(int wake_fd, ring_sizes sizes = {});

/// The wake-up descriptor of a loop, and how to use it from any thread. Errors: std::system_error.
int make_wake_fd();
void write_wake_fd(int fd) noexcept;
void close_fd(int fd) noexcept;

}  // namespace asyncio::kernel
