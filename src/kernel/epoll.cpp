// SPDX-License-Identifier: BSL-1.0
#include "kernel/backend.hpp"
#include "kernel/pipe.hpp"
#include "kernel/process.hpp"
#include "kernel/sys.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

// Two kinds of descriptors.
//
// Owned ones (recv … write) are registered once, edge-triggered, for everything, when an op first has to
// wait; `can_read` and `can_write` remember what is known since the last edge. An op is tried at once when nothing is
// known against it, and again after an edge. A read that came back short has emptied the socket: the next one waits for
// an edge without asking for EAGAIN. An EAGAIN against what an event has said may have spent an edge: then the set is
// asked again (EPOLL_CTL_MOD), and what is ready makes another one. But the end of a stream comes with one last edge,
// possibly before its data was read: once a hang-up was seen, reads are always tried.
//
// Watched ones (readable, writable) belong to somebody else, who may close them, and open others under the same number,
// without a word. So nothing is remembered about them: each wait arms them anew (EPOLLONESHOT), and a borrowed op is one
// system call. When a number comes to be owned, or waited for, while somebody still waits for the closed descriptor that
// had it, that wait is given up.
//
// Between an event's arrival and its handling its descriptor may have been closed and the number reused: events carry
// the generation of their record, which forget() raises. A closed descriptor that a forked child still holds keeps
// sending events under its old generation: forget() takes it out of the set first.
//
// Bytes of reads without a buffer of their own land in one block. wait() cuts it up, one piece a completion; when it is
// full the remaining events stay for the next call. start() reads into a piece that completions never use, so that a
// read in one `done` cannot overwrite what another one is about to be given.

namespace asyncio::kernel {

namespace {

constexpr std::uint32_t owned_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t hang_up_events = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::size_t smallest_shared_read = 64 * 1024;  // the largest datagram fits
constexpr int events_a_call = 512;
constexpr std::uint64_t wake_key = UINT64_MAX;

enum class use : std::uint8_t { none, owned, watched };

struct record {
  io_op* reads = nullptr;   // recv, accept, readable; the oldest one of a circle
  io_op* writes = nullptr;  // send, connect, writable
  std::uint32_t generation = 0;
  std::uint32_t armed = 0;  // watched: the events we wait for
  use as = use::none;
  bool registered = false;
  bool can_read = true;
  bool can_write = true;
  bool hung_up = false;
  bool said_readable = false;  // by an event, and no read has found the end of it yet

  bool idle() const noexcept { return reads == nullptr && writes == nullptr; }
};

template <class Call>
auto uninterrupted(Call call) noexcept {
  auto result = call();
  while (result == -EINTR) result = call();
  return result;
}

class epoll_kernel final : public kernel {
 public:
  explicit epoll_kernel(int wake_fd);
  ~epoll_kernel() override { sys::close(epfd_); }

  bool start(io_op& request) noexcept override;
  void cancel(io_op& request) noexcept override;
  int own(int fd) noexcept override;
  void forget(int fd) noexcept override;
  void cancel_all() noexcept override;
  bool wait(std::optional<std::chrono::nanoseconds> most, op_queue& finished) noexcept override;
  int poll_fd() noexcept override;
  const char* name() const noexcept override { return "epoll"; }

 private:
  int make_records(int fd) noexcept;
  bool start_owned(io_op& request, record& r) noexcept;
  bool start_watched(io_op& request, record& r) noexcept;
  bool take_over(int fd, record& r) noexcept;
  bool try_borrowed(io_op& request) noexcept;
  void put_in_flight(io_op*& queue, io_op& request) noexcept;
  void cancel_queue(io_op*& queue) noexcept;
  void finish(io_op& request, op_queue& finished) noexcept;

  int control(int operation, int fd, const record& r, std::uint32_t events) noexcept;
  int arm_watched(int fd, record& r) noexcept;
  bool watches_what_is_open(int fd, const record& r) noexcept;
  void unregister(int fd, record& r) noexcept;
  void look_again(const io_op& request, record& r) noexcept;

  bool attempt(io_op& request, record& r) noexcept;
  bool attempt_seldom(io_op& request, record& r) noexcept;
  bool attempt_recv(io_op& request, record& r) noexcept;
  ssize_t receive_seldom(io_op& request, std::byte* to, std::size_t size, int flags) noexcept;
  bool attempt_send(io_op& request, record& r) noexcept;
  ssize_t send_message(const io_op& request, int flags) noexcept;
  bool attempt_write(io_op& request, record& r) noexcept;
  bool attempt_accept(io_op& request, record& r) noexcept;
  bool attempt_connect(io_op& request, record& r) noexcept;
  std::byte* shared_room(std::size_t& size) noexcept;
  void note_use(const io_op& request) noexcept;

  void collect(std::optional<std::chrono::nanoseconds> most) noexcept;
  bool handle(const epoll_event& event, op_queue& finished) noexcept;
  bool handle_owned(std::uint32_t events, record& r, op_queue& finished) noexcept;
  void handle_watched(int fd, record& r, std::uint32_t events, op_queue& finished) noexcept;
  void wake_guest() noexcept;

  int epfd_;
  int wake_fd_;
  unsigned made_at_ = fork_count();
  std::vector<record> records_;   // by descriptor
  std::size_t record_count_ = 0;  // kept, since to ask the vector is a division
  op_queue cancelled_;            // finished by cancel(), for the next wait()
  std::array<epoll_event, events_a_call> events_;
  int event_count_ = 0;
  int next_event_ = 0;
  std::unique_ptr<std::byte[]> shared_;  // completions' part, then start()'s part; made at the first need
  std::size_t shared_used_ = 0;          // of the completions' part, since wait() was entered
  bool waiting_ = false;                 // inside wait()
  bool has_guest_ = false;               // somebody polls epfd_
  bool has_pwait2_ = true;
};

epoll_kernel::epoll_kernel(int wake_fd) : epfd_(sys::epoll_create1(EPOLL_CLOEXEC)), wake_fd_(wake_fd) {
  if (epfd_ < 0) throw std::system_error(-epfd_, std::generic_category(), "epoll_create1");
  if (wake_fd < 0) return;
  // Edge-triggered: each write to an eventfd is an edge, so that nobody needs to read the counter.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = wake_key;
  const int error = sys::epoll_ctl(epfd_, EPOLL_CTL_ADD, wake_fd, &event);
  if (error < 0) {
    sys::close(epfd_);
    throw std::system_error(-error, std::generic_category(), "epoll_ctl");
  }
}

int epoll_kernel::poll_fd() noexcept {
  has_guest_ = true;
  return epfd_;
}

// What is finished without an event is not seen by whoever polls the descriptor: make one.
void epoll_kernel::wake_guest() noexcept {
  if (has_guest_ && wake_fd_ >= 0) write_wake_fd(wake_fd_);
}

// Lets the table reach to `fd`, but only to one that is open: the others can be any number. 0, or the error.
int epoll_kernel::make_records(int fd) noexcept {
  if (const int flags = sys::get_status_flags(fd); flags < 0) return flags;
  try {
    records_.resize(std::max(static_cast<std::size_t>(fd) + 1, records_.size() * 2));
    record_count_ = records_.size();
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  return 0;
}

bool epoll_kernel::start(io_op& request) noexcept {
  if (request.fd < 0) return at_once(request, -EBADF);
  if (request.borrowed) return try_borrowed(request);
  const auto index = static_cast<std::size_t>(request.fd);
  if (index >= record_count_) [[unlikely]] {
    if (const int error = make_records(request.fd); error < 0) return at_once(request, error);
  }
  record& r = records_[index];
  return is_watch(request.kind) ? start_watched(request, r) : start_owned(request, r);
}

bool epoll_kernel::start_owned(io_op& request, record& r) noexcept {
  if (r.as != use::owned && !take_over(request.fd, r)) return at_once(request, -EBUSY);
  const bool reading = is_read(request.kind);
  io_op*& queue = reading ? r.reads : r.writes;
  const bool may_succeed = (reading ? r.can_read : r.can_write) || request.kind == io_kind::connect ||
                           (request.try_only && !r.registered);  // no edge would ever tell
  if (queue == nullptr && may_succeed) {
    if (attempt(request, r)) return true;
    if (r.registered) look_again(request, r);
  }
  if (request.try_only) return at_once(request, -EAGAIN);
  if (!r.registered) {
    const int error = control(EPOLL_CTL_ADD, request.fd, r, owned_events);
    if (error < 0) return at_once(request, error);
    r.registered = true;
  }
  put_in_flight(queue, request);
  return false;
}

bool epoll_kernel::try_borrowed(io_op& request) noexcept {
  const auto index = static_cast<std::size_t>(request.fd);
  if (index < record_count_ && records_[index].as == use::owned) return at_once(request, -EBUSY);
  record nothing_known;
  if (!attempt(request, nothing_known)) request.result = request.kind == io_kind::connect ? -EINPROGRESS : -EAGAIN;
  return true;
}

bool epoll_kernel::start_watched(io_op& request, record& r) noexcept {
  if (r.as == use::owned) return at_once(request, -EBUSY);
  if (!r.idle() && !watches_what_is_open(request.fd, r)) forget(request.fd);
  r.as = use::watched;
  io_op*& queue = request.kind == io_kind::readable ? r.reads : r.writes;
  link(queue, request);
  const int error = arm_watched(request.fd, r);
  unlink(queue, request);
  if (error < 0) return at_once(request, error);
  put_in_flight(queue, request);
  return false;
}

void epoll_kernel::put_in_flight(io_op*& queue, io_op& request) noexcept {
  link(queue, request);
  request.enter_flight();
  ++in_flight_;
}

// Makes the set wait for what the queues of a watched descriptor want, if it does not already.
int epoll_kernel::arm_watched(int fd, record& r) noexcept {
  const std::uint32_t wanted = (r.reads != nullptr ? EPOLLIN | EPOLLRDHUP : 0u) | (r.writes != nullptr ? EPOLLOUT : 0u);
  if (wanted == r.armed) return 0;
  const std::uint32_t events = wanted | EPOLLONESHOT;
  int error = control(r.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, r, events);
  if (error == -ENOENT || error == -EEXIST)  // its owner has closed it and opened another; or had a copy of it
    error = control(error == -ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, r, events);
  if (error < 0) return error;
  r.registered = true;
  r.armed = wanted;
  return 0;
}

// Whether the waits of a watched descriptor are for what has its number now. The set knows what was added to it by number
// and by open file: when the file was closed, it knows nothing of another one with that number.
bool epoll_kernel::watches_what_is_open(int fd, const record& r) noexcept {
  const int error = control(EPOLL_CTL_MOD, fd, r, r.armed | EPOLLONESHOT);
  return error != -ENOENT && error != -EBADF;
}

int epoll_kernel::control(int operation, int fd, const record& r, std::uint32_t events) noexcept {
  if (made_at_ != fork_count()) return 0;  // the set is shared with the parent process: it stays as that wants it
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<std::uint64_t>(r.generation) << 32 | static_cast<std::uint32_t>(fd);
  return sys::epoll_ctl(epfd_, operation, fd, &event);
}

// After EAGAIN. A read is believed, unless an event has said the contrary; a write seldom comes to it. A socket that is
// being connected makes its event in any case.
void epoll_kernel::look_again(const io_op& request, record& r) noexcept {
  const bool doubted = is_read(request.kind) ? std::exchange(r.said_readable, false) : request.kind != io_kind::connect;
  if (doubted) control(EPOLL_CTL_MOD, request.fd, r, owned_events);
}

// Forgets all that is known about a descriptor without ops.
void epoll_kernel::unregister(int fd, record& r) noexcept {
  if (r.registered) control(EPOLL_CTL_DEL, fd, r, 0);  // an error means that it is gone already
  record fresh;
  fresh.generation = r.generation + 1;
  r = fresh;
}

void epoll_kernel::cancel(io_op& request) noexcept {
  if (!request.in_flight || request.next_armed == nullptr) return;  // a listed one is out of reach
  record& r = records_[static_cast<std::size_t>(request.fd)];
  unlink(is_read(request.kind) ? r.reads : r.writes, request);
  request.result = -ECANCELED;
  cancelled_.push(&request);
  if (r.as == use::watched && r.idle()) unregister(request.fd, r);
  wake_guest();
}

void epoll_kernel::cancel_queue(io_op*& queue) noexcept {
  while (io_op* request = queue) {
    unlink(queue, *request);
    request->result = -ECANCELED;
    cancelled_.push(request);
  }
}

int epoll_kernel::own(int fd) noexcept {
  if (fd < 0) return -EBADF;
  const auto index = static_cast<std::size_t>(fd);
  if (index >= record_count_) [[unlikely]] {
    if (const int error = make_records(fd); error < 0) return error;
  }
  return take_over(fd, records_[index]) ? 0 : -EBUSY;
}

// False: somebody waits for it.
bool epoll_kernel::take_over(int fd, record& r) noexcept {
  if (r.as == use::owned) return true;
  if (!r.idle() && watches_what_is_open(fd, r)) return false;
  forget(fd);
  r.as = use::owned;
  return true;
}

void epoll_kernel::forget(int fd) noexcept {
  if (fd < 0 || static_cast<std::size_t>(fd) >= record_count_) return;
  record& r = records_[static_cast<std::size_t>(fd)];
  const bool had_ops = !r.idle();
  cancel_queue(r.reads);
  cancel_queue(r.writes);
  unregister(fd, r);
  if (had_ops) wake_guest();
}

void epoll_kernel::cancel_all() noexcept {
  for (record& r : records_) {
    cancel_queue(r.reads);
    cancel_queue(r.writes);
  }
  wake_guest();
}

void epoll_kernel::finish(io_op& request, op_queue& finished) noexcept {
  --in_flight_;
  finished.push(&request);
}

// True: finished, with a result. False: it has to wait for an edge.
bool epoll_kernel::attempt(io_op& request, record& r) noexcept {
  if (request.kind == io_kind::recv) return attempt_recv(request, r);
  if (request.kind == io_kind::send) return attempt_send(request, r);
  return attempt_seldom(request, r);
}

// Out of line: a recv or a send does not make room on the stack for what the others need.
[[gnu::noinline]] bool epoll_kernel::attempt_seldom(io_op& request, record& r) noexcept {
  switch (request.kind) {
    case io_kind::read: return attempt_recv(request, r);
    case io_kind::write: return attempt_write(request, r);
    case io_kind::accept: return attempt_accept(request, r);
    case io_kind::connect: return attempt_connect(request, r);
    case io_kind::recv:
    case io_kind::send:
    case io_kind::readable:
    case io_kind::writable:
    case io_kind::file_read: break;
  }
  return at_once(request, -EINVAL);
}

bool epoll_kernel::attempt_recv(io_op& request, record& r) noexcept {
  std::byte* to = request.buffer;
  std::size_t size = request.size;
  if (to == nullptr) {
    std::size_t room = 0;
    to = shared_room(room);
    if (to == nullptr) return at_once(request, -ENOMEM);
    size = size == 0 ? room : std::min(size, room);
  }
  size = sys::read_size(size);
  const int flags = request.flags | MSG_DONTWAIT;
  const bool plain = request.kind == io_kind::recv && request.address == nullptr;
  const ssize_t n = uninterrupted(
      [&] { return plain ? sys::recv(request.fd, to, size, flags) : receive_seldom(request, to, size, flags); });
  if (n == -EAGAIN) {
    r.can_read = false;
    return false;
  }
  if (n > 0 && static_cast<std::size_t>(n) < size) {
    r.said_readable = false;
    if (!request.bounded_reads && !r.hung_up) r.can_read = false;
  }
  request.data = to;
  request.result = n;
  note_use(request);
  return true;
}

[[gnu::noinline]] ssize_t epoll_kernel::receive_seldom(io_op& request, std::byte* to, std::size_t size,
                                                       int flags) noexcept {
  if (request.kind == io_kind::read) return sys::read(request.fd, to, size);
  request.address_size = sizeof(sockaddr_storage);
  return sys::recvfrom(request.fd, to, size, flags, reinterpret_cast<sockaddr*>(request.address),
                       &request.address_size);
}

// Where a read without a buffer goes: at least smallest_shared_read bytes when called by wait() with room left.
std::byte* epoll_kernel::shared_room(std::size_t& size) noexcept {
  if (!shared_) shared_.reset(new (std::nothrow) std::byte[2 * shared_read_size]);
  if (!shared_) return nullptr;
  size = waiting_ ? shared_read_size - shared_used_ : shared_read_size;
  return shared_.get() + (waiting_ ? shared_used_ : shared_read_size);
}

void epoll_kernel::note_use(const io_op& request) noexcept {
  if (waiting_ && request.buffer == nullptr && request.result > 0)
    shared_used_ += static_cast<std::size_t>(request.result);
}

bool epoll_kernel::attempt_send(io_op& request, record& r) noexcept {
  const int flags = request.flags | MSG_DONTWAIT | MSG_NOSIGNAL;
  const bool plain = request.iov_count == 1 && request.address == nullptr;
  const ssize_t n = uninterrupted([&] {
    return plain ? sys::send(request.fd, request.iov->iov_base, request.iov->iov_len, flags)
                 : send_message(request, flags);
  });
  if (n == -EAGAIN) {
    r.can_write = false;
    return false;
  }
  return at_once(request, n);
}

[[gnu::noinline]] ssize_t epoll_kernel::send_message(const io_op& request, int flags) noexcept {
  msghdr message{};
  message.msg_name = request.address;
  message.msg_namelen = request.address != nullptr ? request.address_size : 0;
  message.msg_iov = const_cast<iovec*>(request.iov);
  message.msg_iovlen = static_cast<std::size_t>(request.iov_count);
  return sys::sendmsg(request.fd, &message, flags);
}

bool epoll_kernel::attempt_write(io_op& request, record& r) noexcept {
  const ssize_t n = uninterrupted([&] { return write_quietly(request.fd, request.iov, request.iov_count); });
  if (n == -EAGAIN) {
    r.can_write = false;
    return false;
  }
  return at_once(request, n);
}

bool epoll_kernel::attempt_accept(io_op& request, record& r) noexcept {
  const int fd = uninterrupted([&] {
    request.address_size = request.address != nullptr ? sizeof(sockaddr_storage) : 0;
    return sys::accept4(request.fd, reinterpret_cast<sockaddr*>(request.address),
                        request.address != nullptr ? &request.address_size : nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  });
  if (fd == -EAGAIN) {
    r.can_read = false;
    return false;
  }
  return at_once(request, fd);
}

// The second connect() of the same socket tells how the first one went.
bool epoll_kernel::attempt_connect(io_op& request, record& r) noexcept {
  const int error = sys::connect(request.fd, reinterpret_cast<const sockaddr*>(request.address), request.address_size);
  if (error == -EINPROGRESS || error == -EALREADY || error == -EINTR) {
    r.can_write = false;
    return false;
  }
  return at_once(request, error == -EISCONN && request.in_flight ? 0 : error);
}

bool epoll_kernel::wait(std::optional<std::chrono::nanoseconds> most, op_queue& finished) noexcept {
  shared_used_ = 0;
  waiting_ = true;
  if (!cancelled_.empty()) most = std::chrono::nanoseconds(0);
  while (op* node = cancelled_.pop()) finish(*static_cast<io_op*>(node), finished);
  if (next_event_ == event_count_) collect(most);
  while (next_event_ < event_count_ && handle(events_[static_cast<std::size_t>(next_event_)], finished)) ++next_event_;
  const bool more = next_event_ < event_count_;
  if (more) wake_guest();
  waiting_ = false;
  return more;
}

void epoll_kernel::collect(std::optional<std::chrono::nanoseconds> most) noexcept {
  const auto limit = most ? std::max(*most, std::chrono::nanoseconds(0)) : std::chrono::nanoseconds(-1);
  int count = -ENOSYS;
  if (has_pwait2_ && limit.count() > 0) {
    timespec timeout{};
    timeout.tv_sec = static_cast<std::time_t>(limit.count() / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(limit.count() % 1'000'000'000);
    count = sys::epoll_pwait2(epfd_, events_.data(), events_a_call, &timeout);
    // Older kernels do not know the call; sandboxes that do not know it refuse it.
    if (count == -ENOSYS || count == -EPERM) {
      has_pwait2_ = false;
      count = -ENOSYS;
    }
  }
  if (count == -ENOSYS) {
    constexpr std::int64_t most_ms = 24 * 60 * 60 * 1000;
    const std::int64_t ms = limit.count() < 0 ? -1 : std::min((limit.count() + 999'999) / 1'000'000, most_ms);
    count = sys::epoll_wait(epfd_, events_.data(), events_a_call, static_cast<int>(ms));
  }
  next_event_ = 0;
  event_count_ = std::max(count, 0);  // EINTR: nothing happened, but the caller may want to look around
}

// False: there is no room in the shared buffer; the event is to be handled again in the next wait().
bool epoll_kernel::handle(const epoll_event& event, op_queue& finished) noexcept {
  if (event.data.u64 == wake_key) return true;
  const auto fd = static_cast<std::size_t>(event.data.u64 & UINT32_MAX);
  const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
  if (fd >= record_count_) return true;
  record& r = records_[fd];
  if (r.generation != generation || !r.registered) return true;
  if (r.as == use::watched) {
    handle_watched(static_cast<int>(fd), r, event.events, finished);
    return true;
  }
  if ((event.events & hang_up_events) != 0) r.hung_up = true;
  if ((event.events & (EPOLLIN | hang_up_events)) != 0) r.can_read = true;
  if ((event.events & EPOLLIN) != 0) r.said_readable = true;
  if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) r.can_write = true;
  return handle_owned(event.events, r, finished);
}

bool epoll_kernel::handle_owned(std::uint32_t events, record& r, op_queue& finished) noexcept {
  while (r.writes != nullptr && r.can_write) {
    io_op& request = *r.writes;
    if (!attempt(request, r)) {
      if ((events & EPOLLOUT) != 0) look_again(request, r);
      break;
    }
    unlink(r.writes, request);
    finish(request, finished);
  }
  while (r.reads != nullptr && r.can_read) {
    io_op& request = *r.reads;
    const bool shares = (request.kind == io_kind::recv || request.kind == io_kind::read) && request.buffer == nullptr;
    if (shares && shared_read_size - shared_used_ < smallest_shared_read) return false;
    if (!attempt(request, r)) {
      look_again(request, r);
      break;
    }
    unlink(r.reads, request);
    finish(request, finished);
  }
  return true;
}

void epoll_kernel::handle_watched(int fd, record& r, std::uint32_t events, op_queue& finished) noexcept {
  r.armed = 0;
  const auto finish_all = [&](io_op*& queue, int result) noexcept {
    while (io_op* request = queue) {
      unlink(queue, *request);
      request->result = result;
      finish(*request, finished);
    }
  };
  if ((events & (EPOLLIN | hang_up_events)) != 0) finish_all(r.reads, 0);
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) finish_all(r.writes, 0);
  if (const int error = arm_watched(fd, r); error < 0) {
    finish_all(r.reads, error);
    finish_all(r.writes, error);
  }
}

}  // namespace

std::unique_ptr<kernel> make_epoll_kernel(int wake_fd) { return std::make_unique<epoll_kernel>(wake_fd); }

}  // namespace asyncio::kernel
