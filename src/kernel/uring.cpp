// SPDX-License-Identifier: BSL-1.0
#include "kernel/backend.hpp"
#include "kernel/process.hpp"
#include "kernel/ring.hpp"
#include "kernel/sys.hpp"
#include "kernel/uring_slots.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <new>
#include <system_error>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ASYNCIO_WATCH_BUFFERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASYNCIO_WATCH_BUFFERS 1
#endif
#endif
#if defined(ASYNCIO_WATCH_BUFFERS)
#include <sanitizer/asan_interface.h>
#endif

// Two halves.
//
// The ring has what stream sockets do all day: recv, send, accept, connect; and reads of regular files, for which
// nothing else can wait. An op that is started waits in `pending_`
// until the next wait(), which hands in everything with the one call that also sleeps: a turn of the loop is one system
// call, however many sockets took part in it. Not handed in is what can be known to be done at once: a connection that
// is there already (each accept would cost a turn else), and bytes behind a read that has filled its buffer.
//
// The rest is the inner backend's, epoll: what is tried only, descriptors of others (the ring would hold their files
// open after their owner has closed them), pipes (a write to one may raise SIGPIPE in whoever runs the ring's work),
// datagrams and Unix connects. The ring waits for its descriptor as for any other.
//
//   free ──start()──▶ pending ──wait()──▶ in_ring ──completion──▶ free, listed
//             │          ▲                  │  cancel(), forget()
//             ▼          │ the one before   ▼
//           behind ──────┘ has finished    leaving ──completion──▶ free, listed
//
// Of one descriptor and direction one op is in the ring, and the others behind it, so that bytes come in the order in
// which they were asked for. Only the completion of the op itself ends it, whatever became of its cancellation; when
// that says that it was done, it was. A completion is known by a number that is used once (`key`), never by an address:
// one that is late finds nobody. What the kernel gives up although nobody asked for it (the thread that had handed it in
// has ended) is handed in anew.
//
// Received bytes lie in the ring's buffers, which the kernel takes when it has bytes, so an idle connection has none.
// wait() gives back those that the call before has listed. When they are all in use a read is handed in again.
//
// Before a descriptor's number can mean another file, forget() makes sure that no request that the kernel has not seen
// yet names it, and hands in the cancellations of those that it has seen: afterwards close() is the file's end.
//
// A forked child has neither the ring's memory nor a right to its requests: nothing there touches the ring.

namespace asyncio::kernel {

namespace {

struct record {
  io_op* reads = nullptr;  // recv, accept; the oldest one of a circle
  io_op* writes = nullptr;
  bool more_to_read = false;  // the last read has filled its buffer
  bool read_dry = false;      // the last read has got less than it asked for

  io_op*& queue(io_kind kind) noexcept { return is_read(kind) ? reads : writes; }
};

// Keys of what has no slot.
constexpr std::uint64_t wake_key = std::uint64_t{1} << 32;
constexpr std::uint64_t inner_key = std::uint64_t{2} << 32;
constexpr std::uint64_t nobody_key = std::uint64_t{3} << 32;

constexpr std::chrono::nanoseconds no_wait{0};

std::uint64_t address_of(const void* memory) noexcept { return reinterpret_cast<std::uint64_t>(memory); }

/// Whether an op goes through the ring.
bool rides(const io_op& request) noexcept {
  if (request.try_only || request.borrowed) return false;
  switch (request.kind) {
    case io_kind::recv:
    case io_kind::send: return request.address == nullptr;
    case io_kind::accept: return true;
    case io_kind::connect: return request.address->ss_family != AF_UNIX;
    case io_kind::file_read: return true;
    default: return false;
  }
}

class uring_kernel final : public kernel {
 public:
  uring_kernel(int wake_fd, ring_sizes sizes);
  ~uring_kernel() override { assert(gone() || riding_ == 0); }

  bool start(io_op& request) noexcept override;
  void cancel(io_op& request) noexcept override;
  int own(int fd) noexcept override { return inner_->own(fd); }
  void forget(int fd) noexcept override;
  void cancel_all() noexcept override;
  bool wait(std::optional<std::chrono::nanoseconds> most, op_queue& finished) noexcept override;
  int poll_fd() noexcept override;
  const char* name() const noexcept override { return "io_uring"; }
  bool reads_files() const noexcept override { return true; }

 private:
  bool gone() const noexcept { return made_at_ != fork_count(); }
  bool start_inner(io_op& request) noexcept;
  bool start_riding(io_op& request) noexcept;
  bool finishes_now(io_op& request, record& r) noexcept;
  record* record_of(int fd) noexcept;

  slot* take_slot(io_op& request) noexcept;
  void put(std::vector<std::uint64_t>& keys, slot& s, stage at) noexcept;
  void put_pending(slot& s) noexcept { put(pending_, s, stage::pending); }
  void leave_circle(io_op& request) noexcept;
  void drop(io_op& request) noexcept;
  void ask_to_leave(io_op& request) noexcept;
  bool take_back(std::uint64_t key) noexcept;
  void give_up(io_op*& queue) noexcept;

  abi::sqe* request_place() noexcept;
  void hand_in() noexcept;
  void fill() noexcept;
  bool fill_watches() noexcept;
  void describe(slot& s, abi::sqe& q) noexcept;
  void describe_recv(const io_op& request, abi::sqe& q) noexcept;
  void describe_send(slot& s, abi::sqe& q) noexcept;
  void wake_guest() noexcept;

  void complete(const abi::cqe& completion, op_queue& finished) noexcept;
  void complete_op(slot& s, const abi::cqe& completion, op_queue& finished) noexcept;
  void note_read(io_op& request, const abi::cqe& completion) noexcept;
  void hand_over(io_op& request, op_queue& finished) noexcept;
  void list(io_op& request, op_queue& finished) noexcept;
  void count() noexcept { in_flight_ = riding_ + inner_->in_flight(); }

  ring ring_;
  std::unique_ptr<kernel> inner_;
  const int inner_fd_;
  const int wake_fd_;
  const unsigned made_at_ = fork_count();
  std::vector<record> records_;  // by descriptor
  slot_table slots_;
  std::vector<std::uint64_t> pending_;    // keys, and some of ops that were dropped meanwhile
  std::vector<std::uint64_t> to_cancel_;  // both have room for all slots: see take_slot()
  op_queue cancelled_;                    // finished by cancel(), for the next wait()
  std::array<std::uint16_t, ring::buffer_count> lent_;
  std::size_t lent_count_ = 0;
  std::size_t riding_ = 0;
  bool wake_armed_ = false;
  bool inner_armed_ = false;
  bool inner_ready_ = false;
  bool has_guest_ = false;  // somebody polls the ring
};

uring_kernel::uring_kernel(int wake_fd, ring_sizes sizes)
    : kernel(false),
      ring_(sizes.requests, sizes.completions),
      inner_(make_epoll_kernel(-1)),
      inner_fd_(inner_->poll_fd()),
      wake_fd_(wake_fd) {}

// ---- ops come

bool uring_kernel::start(io_op& request) noexcept {
  if (request.fd < 0) return at_once(request, -EBADF);
  if (gone()) return at_once(request, -ECANCELED);
  const bool finished = rides(request) ? start_riding(request) : start_inner(request);
  count();
  if (!finished && has_guest_) hand_in();
  return finished;
}

bool uring_kernel::start_inner(io_op& request) noexcept {
  request.slot = 0;
  return inner_->start(request);
}

bool uring_kernel::start_riding(io_op& request) noexcept {
  if (request.kind != io_kind::file_read) {
    if (const int error = inner_->own(request.fd); error < 0) return at_once(request, error);
  }
  record* r = record_of(request.fd);
  if (r == nullptr) return at_once(request, -ENOMEM);
  io_op*& queue = r->queue(request.kind);
  if (queue == nullptr && finishes_now(request, *r)) return true;
  slot* s = take_slot(request);
  if (s == nullptr) return at_once(request, -ENOMEM);
  link(queue, request);
  request.enter_flight();
  ++riding_;
  if (queue == &request)
    put_pending(*s);
  else
    s->at = stage::behind;
  return false;
}

bool uring_kernel::finishes_now(io_op& request, record& r) noexcept {
  const bool reads_on = request.kind == io_kind::recv && request.buffer == nullptr && r.more_to_read;
  if (request.kind != io_kind::accept && !reads_on) return false;
  request.try_only = true;
  inner_->start(request);
  request.try_only = false;
  r.more_to_read = reads_on && request.result >= static_cast<std::int64_t>(ring::buffer_size);
  return request.result != -EAGAIN;
}

record* uring_kernel::record_of(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  try {
    if (index >= records_.size()) records_.resize(std::max(index + 1, records_.size() * 2));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return &records_[index];
}

// ---- slots and lists of keys

slot* uring_kernel::take_slot(io_op& request) noexcept {
  slot* s = slots_.take(request);
  try {
    for (auto* keys : {&pending_, &to_cancel_}) keys->reserve(slots_.count());
    return s;
  } catch (const std::bad_alloc&) {
    if (s != nullptr) slots_.free(request);
    return nullptr;
  }
}

// There is always room: of the keys in a list, no more than there are slots are of ops that are at that stage, and the
// others go when there are too many.
void uring_kernel::put(std::vector<std::uint64_t>& keys, slot& s, stage at) noexcept {
  if (keys.size() == keys.capacity()) {
    std::erase_if(keys, [&](std::uint64_t key) {
      const slot* old = slots_.find(key);
      return old == nullptr || old->at != at;
    });
  }
  s.at = at;
  keys.push_back(slot_table::key_of(s));
}

// ---- ops go

// Out of its descriptor's circle; whose turn it is then is handed in next.
void uring_kernel::leave_circle(io_op& request) noexcept {
  if (request.next_armed == nullptr) return;  // forget() was here
  io_op*& queue = records_[static_cast<std::size_t>(request.fd)].queue(request.kind);
  unlink(queue, request);
  if (queue != nullptr && slots_.of(*queue).at == stage::behind) put_pending(slots_.of(*queue));
}

// Ends one that the kernel does not have.
void uring_kernel::drop(io_op& request) noexcept {
  slots_.free(request);
  request.result = -ECANCELED;
  cancelled_.push(&request);
}

void uring_kernel::ask_to_leave(io_op& request) noexcept {
  slot& s = slots_.of(request);
  if (s.at != stage::in_ring) return;
  put(to_cancel_, s, stage::leaving);
}

void uring_kernel::cancel(io_op& request) noexcept {
  if (!request.in_flight) return;
  if (request.slot == 0) {  // the inner one's, or listed already
    inner_->cancel(request);
    inner_ready_ = true;
    return wake_guest();
  }
  if (slots_.of(request).at == stage::in_ring || slots_.of(request).at == stage::leaving) {
    ask_to_leave(request);
    if (has_guest_) hand_in();
  } else {
    leave_circle(request);
    drop(request);
    wake_guest();
  }
}

// A request that the kernel has not seen yet becomes one that does nothing.
bool uring_kernel::take_back(std::uint64_t key) noexcept {
  bool found = false;
  ring_.for_each_waiting([&](abi::sqe& q) noexcept {
    if (q.user_data != key || q.opcode == abi::op_async_cancel) return;
    q = {};
    q.opcode = abi::op_nop;
    q.user_data = nobody_key;
    found = true;
  });
  return found;
}

// Everything in a circle, from the last: nobody steps forward.
void uring_kernel::give_up(io_op*& queue) noexcept {
  while (queue != nullptr) {
    io_op& request = *queue->prev_armed;
    unlink(queue, request);
    slot& s = slots_.of(request);
    const bool in_ring = s.at == stage::in_ring || s.at == stage::leaving;
    if (in_ring && !take_back(slot_table::key_of(s)))
      ask_to_leave(request);
    else
      drop(request);
  }
}

void uring_kernel::forget(int fd) noexcept {
  if (fd < 0 || gone()) return;
  inner_->forget(fd);
  inner_ready_ |= inner_->in_flight() > 0;
  if (static_cast<std::size_t>(fd) < records_.size()) {
    record& r = records_[static_cast<std::size_t>(fd)];
    give_up(r.reads);
    give_up(r.writes);
    r = {};
    if (!to_cancel_.empty()) hand_in();
  }
  wake_guest();
}

void uring_kernel::cancel_all() noexcept {
  inner_->cancel_all();
  inner_ready_ = true;
  if (gone()) return;
  for (record& r : records_) {
    give_up(r.reads);
    give_up(r.writes);
  }
  wake_guest();
}

// ---- to the kernel

int uring_kernel::poll_fd() noexcept {
  has_guest_ = true;
  hand_in();
  return ring_.fd();
}

// What is finished without a completion is not seen by whoever polls the ring: make one.
void uring_kernel::wake_guest() noexcept {
  if (has_guest_) write_wake_fd(wake_fd_);
}

// Null: the kernel takes no more at the moment.
abi::sqe* uring_kernel::request_place() noexcept {
  abi::sqe* q = ring_.next_request();
  if (q != nullptr) return q;
  ring_.enter(0, no_wait);
  return ring_.next_request();
}

void uring_kernel::hand_in() noexcept {
  if (gone()) return;
  fill();
  if (ring_.has_waiting()) ring_.enter(0, no_wait);
}

// Writes down everything that waits to be handed in, as far as there is room for it.
void uring_kernel::fill() noexcept {
  if (!fill_watches()) return;
  std::size_t done = 0;
  for (; done < to_cancel_.size(); ++done) {
    if (slots_.find(to_cancel_[done]) == nullptr) continue;
    abi::sqe* q = request_place();
    if (q == nullptr) break;
    q->opcode = abi::op_async_cancel;
    q->fd = -1;
    q->addr = to_cancel_[done];
    q->user_data = nobody_key;
  }
  to_cancel_.erase(to_cancel_.begin(), to_cancel_.begin() + static_cast<std::ptrdiff_t>(done));
  done = 0;
  for (; done < pending_.size(); ++done) {
    slot* s = slots_.find(pending_[done]);
    if (s == nullptr || s->at != stage::pending) continue;
    abi::sqe* q = request_place();
    if (q == nullptr) break;
    describe(*s, *q);
    s->at = stage::in_ring;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
}

bool uring_kernel::fill_watches() noexcept {
  if (!wake_armed_) {
    abi::sqe* q = request_place();
    if (q == nullptr) return false;
    q->opcode = abi::op_poll_add;
    q->fd = wake_fd_;
    q->len = abi::poll_multishot;
    q->op_flags = POLLIN;
    q->user_data = wake_key;
    wake_armed_ = true;
  }
  if (!inner_armed_ && inner_->in_flight() > 0) {
    abi::sqe* q = request_place();
    if (q == nullptr) return false;
    q->opcode = abi::op_poll_add;
    q->fd = inner_fd_;
    q->op_flags = POLLIN;
    q->user_data = inner_key;
    inner_armed_ = true;
  }
  return true;
}

void uring_kernel::describe(slot& s, abi::sqe& q) noexcept {
  io_op& request = *s.op;
  q.fd = request.fd;
  q.user_data = slot_table::key_of(s);
  switch (request.kind) {
    case io_kind::recv: return describe_recv(request, q);
    case io_kind::send: return describe_send(s, q);
    case io_kind::accept:
      request.address_size = request.address != nullptr ? sizeof(sockaddr_storage) : 0;
      q.opcode = abi::op_accept;
      q.addr = address_of(request.address);
      q.off = request.address != nullptr ? address_of(&request.address_size) : 0;
      q.op_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
      return;
    case io_kind::file_read:
      q.opcode = abi::op_read;
      q.addr = address_of(request.buffer);
      q.len = static_cast<std::uint32_t>(sys::read_size(std::min<std::size_t>(request.size, INT32_MAX)));
      q.off = request.offset;
      return;
    default:
      q.opcode = abi::op_connect;
      q.addr = address_of(request.address);
      q.off = request.address_size;
  }
}

void uring_kernel::describe_recv(const io_op& request, abi::sqe& q) noexcept {
  q.opcode = abi::op_recv;
  q.op_flags = static_cast<std::uint32_t>(request.flags);
  // After a short read there is nothing to try for.
  if (records_[static_cast<std::size_t>(request.fd)].read_dry) q.ioprio = abi::recv_poll_first;
  if (request.buffer != nullptr) {
    q.addr = address_of(request.buffer);
    q.len = static_cast<std::uint32_t>(sys::read_size(std::min<std::size_t>(request.size, INT32_MAX)));
    return;
  }
  const std::size_t most = request.size == 0 ? ring::buffer_size : std::min(request.size, ring::buffer_size);
  q.flags = abi::sqe_buffer_select;
  q.buf_group = ring::buffer_group;
  q.len = static_cast<std::uint32_t>(sys::read_size(most));
}

void uring_kernel::describe_send(slot& s, abi::sqe& q) noexcept {
  const io_op& request = *s.op;
  q.op_flags = static_cast<std::uint32_t>(request.flags | MSG_NOSIGNAL);
  if (request.iov_count == 1) {
    q.opcode = abi::op_send;
    q.addr = address_of(request.iov->iov_base);
    q.len = static_cast<std::uint32_t>(std::min<std::size_t>(request.iov->iov_len, INT32_MAX));
    return;
  }
  s.message = {};
  s.message.msg_iov = const_cast<iovec*>(request.iov);
  s.message.msg_iovlen = static_cast<std::size_t>(request.iov_count);
  q.opcode = abi::op_sendmsg;
  q.addr = address_of(&s.message);
  q.len = 1;
}

// ---- back

bool uring_kernel::wait(std::optional<std::chrono::nanoseconds> most, op_queue& finished) noexcept {
  if (!gone()) {
    while (lent_count_ > 0) ring_.give_buffer(lent_[--lent_count_]);
    fill();
    if (most) most = std::max(*most, no_wait);
    const bool found_no_room = !pending_.empty() || !to_cancel_.empty();
    const bool has_some = !cancelled_.empty() || inner_ready_ || ring_.has_completion() || found_no_room;
    if (!has_some && most != no_wait)
      ring_.enter(1, most);
    else if (ring_.has_waiting() || ring_.kernel_holds_some())
      ring_.enter(0, no_wait);
  }
  while (op* node = cancelled_.pop()) list(*static_cast<io_op*>(node), finished);
  if (!gone())
    while (lent_count_ < lent_.size() && ring_.has_completion()) complete(ring_.take_completion(), finished);
  if (inner_ready_) inner_ready_ = inner_->wait(no_wait, finished);
  count();
  return inner_ready_ || (!gone() && ring_.has_completion());
}

void uring_kernel::complete(const abi::cqe& completion, op_queue& finished) noexcept {
  if (completion.user_data == wake_key) {
    wake_armed_ = (completion.flags & abi::cqe_has_more) != 0;
  } else if (completion.user_data == inner_key) {
    inner_armed_ = false;
    inner_ready_ = true;
  } else if (completion.user_data != nobody_key) {
    if ((completion.flags & abi::cqe_has_buffer) != 0)
      lent_[lent_count_++] = static_cast<std::uint16_t>(completion.flags >> abi::cqe_buffer_shift);
    if (slot* s = slots_.find(completion.user_data)) complete_op(*s, completion, finished);
  }
}

void uring_kernel::complete_op(slot& s, const abi::cqe& completion, op_queue& finished) noexcept {
  io_op& request = *s.op;
  const bool leaving = s.at == stage::leaving;
  const bool accepts = request.kind == io_kind::accept;
  std::int32_t result = accepts ? completion.result : sys::completion_result(completion.result);
  const bool no_buffer = result == -ENOBUFS && request.kind == io_kind::recv && request.buffer == nullptr;
  const bool would_block = result == -EAGAIN && request.kind != io_kind::file_read;
  if (result == -ECANCELED || result == -EINTR || would_block || no_buffer) {
    if (!leaving && would_block) return hand_over(request, finished);
    if (!leaving) return put_pending(s);
    result = -ECANCELED;
  }
  request.result = result;
  if (request.kind == io_kind::recv) note_read(request, completion);
  if (request.kind == io_kind::file_read) request.data = request.buffer;
  leave_circle(request);
  slots_.free(request);
  list(request, finished);
}

void uring_kernel::note_read(io_op& request, const abi::cqe& completion) noexcept {
  request.data = request.buffer;
  if ((completion.flags & abi::cqe_has_buffer) != 0)
    request.data = ring_.buffer(completion.flags >> abi::cqe_buffer_shift);
  if (request.result <= 0) return;
  const auto got = static_cast<std::size_t>(request.result);
#if defined(ASYNCIO_WATCH_BUFFERS)
  // No sanitizer sees the kernel write: whether the memory still belonged to the op is asked here.
  if (__asan_region_is_poisoned(const_cast<std::byte*>(request.data), got) != nullptr) std::abort();
#endif
  if (request.next_armed == nullptr) return;
  record& r = records_[static_cast<std::size_t>(request.fd)];
  r.more_to_read = request.buffer == nullptr && got >= ring::buffer_size;
  r.read_dry = got < (request.buffer != nullptr ? request.size : ring::buffer_size) && !request.bounded_reads;
}

// To epoll, from a kernel that does not wait for what would block.
void uring_kernel::hand_over(io_op& request, op_queue& finished) noexcept {
  leave_circle(request);
  slots_.free(request);
  request.leave_flight();
  if (!inner_->start(request)) {
    --riding_;
    return;
  }
  request.enter_flight();
  list(request, finished);
}

void uring_kernel::list(io_op& request, op_queue& finished) noexcept {
  --riding_;
  finished.push(&request);
}

}  // namespace

std::unique_ptr<kernel> make_uring_kernel(int wake_fd, ring_sizes sizes) {
  return std::make_unique<uring_kernel>(wake_fd, sizes);
}

}  // namespace asyncio::kernel
