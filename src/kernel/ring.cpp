// SPDX-License-Identifier: BSL-1.0
#include "kernel/ring.hpp"

#include "kernel/process.hpp"
#include "kernel/sys.hpp"

#include <cstring>
#include <system_error>
#include <utility>

#include <sys/mman.h>

// COOP_TASKRUN, and neither SINGLE_ISSUER nor DEFER_TASKRUN: a loop may be run by one thread after the other, while reads
// of the earlier one are in flight, and the two others bind a ring to one thread for ever. When a thread ends, the kernel
// gives up what it has submitted: the backend submits that anew.

namespace asyncio::kernel {

namespace {

[[noreturn]] void refuse(int error, const char* what) {
  throw std::system_error(error < 0 ? -error : error, std::generic_category(), what);
}

template <class T>
T* at(const mapping& m, std::uint32_t offset) noexcept {
  return reinterpret_cast<T*>(m.data() + offset);
}

}  // namespace

// ---- memory

mapping::mapping(std::size_t size, int fd, std::uint64_t offset) : size_(size), made_at_(fork_count()) {
  void* memory = nullptr;
  if (const int error = sys::map(&memory, size, fd, offset); error < 0) refuse(error, "mmap");
  data_ = static_cast<std::byte*>(memory);
}

mapping::mapping(mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(other.size_), made_at_(other.made_at_) {}

mapping& mapping::operator=(mapping&& other) noexcept {
  mapping old(std::move(*this));
  data_ = std::exchange(other.data_, nullptr);
  size_ = other.size_;
  made_at_ = other.made_at_;
  return *this;
}

mapping::~mapping() {
  if (data_ != nullptr && made_at_ == fork_count()) sys::unmap(data_, size_);
}

// ---- set-up

ring::ring(unsigned requests, unsigned completions) {
  abi::setup_params params{};
  params.flags =
      abi::setup_cq_size | abi::setup_clamp | abi::setup_submit_all | abi::setup_coop_taskrun | abi::setup_taskrun_flag;
  params.cq_entries = completions;
  fd_ = sys::io_uring_setup(requests, &params);
  if (fd_ < 0) refuse(fd_, "io_uring_setup");
  try {
    constexpr std::uint32_t needed = abi::feature_single_mmap | abi::feature_no_drop | abi::feature_submit_stable |
                                     abi::feature_fast_poll | abi::feature_ext_arg;
    if ((params.features & needed) != needed) refuse(ENOSYS, "io_uring of this kernel");
    check_operations();
    map(params);
    make_buffers();
  } catch (...) {
    sys::close(fd_);
    throw;
  }
}

ring::~ring() { sys::close(fd_); }

void ring::check_operations() const {
  abi::probe probe{};
  if (const int error = sys::io_uring_register(fd_, abi::register_probe, &probe, abi::probe::most); error < 0)
    refuse(error, "io_uring_register");
  for (const auto needed : {abi::op_nop, abi::op_poll_add, abi::op_sendmsg, abi::op_accept, abi::op_async_cancel,
                            abi::op_connect, abi::op_send, abi::op_recv, abi::op_read}) {
    if (needed > probe.last_op || (probe.ops[needed].flags & abi::probe_supported) == 0)
      refuse(ENOSYS, "an operation of io_uring");
  }
}

void ring::map(const abi::setup_params& params) {
  const std::size_t sq_end = params.sq.array + params.sq_entries * sizeof(std::uint32_t);
  const std::size_t cq_end = params.cq.cqes + params.cq_entries * sizeof(abi::cqe);
  rings_ = mapping(sq_end > cq_end ? sq_end : cq_end, fd_, abi::offset_rings);
  requests_ = mapping(params.sq_entries * sizeof(abi::sqe), fd_, abi::offset_sqes);
  sq_head_ = at<std::uint32_t>(rings_, params.sq.head);
  sq_shared_tail_ = at<std::uint32_t>(rings_, params.sq.tail);
  sq_flags_ = at<std::uint32_t>(rings_, params.sq.flags);
  sq_mask_ = *at<std::uint32_t>(rings_, params.sq.ring_mask);
  sqes_ = at<abi::sqe>(requests_, 0);
  cq_head_ = at<std::uint32_t>(rings_, params.cq.head);
  cq_tail_ = at<std::uint32_t>(rings_, params.cq.tail);
  cq_mask_ = *at<std::uint32_t>(rings_, params.cq.ring_mask);
  cqes_ = at<abi::cqe>(rings_, params.cq.cqes);
  // The ring names requests by their places: each its own, always.
  auto* places = at<std::uint32_t>(rings_, params.sq.array);
  for (std::uint32_t i = 0; i < params.sq_entries; ++i) places[i] = i;
}

void ring::make_buffers() {
  buffers_ = mapping(buffer_count * buffer_size, -1, 0);
  buffer_ring_ = mapping(buffer_count * sizeof(abi::buffer), -1, 0);
  abi::buffer_ring_params params{};
  params.ring_addr = reinterpret_cast<std::uint64_t>(buffer_ring_.data());
  params.ring_entries = buffer_count;
  params.group = buffer_group;
  if (const int error = sys::io_uring_register(fd_, abi::register_pbuf_ring, &params, 1); error < 0)
    refuse(error, "io_uring_register");
  for (unsigned id = 0; id < buffer_count; ++id) give_buffer(id);
}

void ring::give_buffer(unsigned id) noexcept {
  auto* places = at<abi::buffer>(buffer_ring_, 0);
  abi::buffer& place = places[buffer_tail_ & (buffer_count - 1)];
  place.addr = reinterpret_cast<std::uint64_t>(buffer(id));
  place.len = buffer_size;
  place.id = static_cast<std::uint16_t>(id);
  __atomic_store_n(&places[0].tail, ++buffer_tail_, __ATOMIC_RELEASE);
}

// ---- at work

abi::sqe* ring::next_request() noexcept {
  if (sq_tail_ - load(sq_head_) > sq_mask_) return nullptr;
  abi::sqe* request = &sqes_[sq_tail_++ & sq_mask_];
  std::memset(request, 0, sizeof *request);
  return request;
}

int ring::enter(unsigned completions, std::optional<std::chrono::nanoseconds> limit) noexcept {
  __atomic_store_n(sq_shared_tail_, sq_tail_, __ATOMIC_RELEASE);
  abi::time_limit time{};
  abi::getevents_arg arg{};
  if (limit) {
    time.seconds = limit->count() / 1'000'000'000;
    time.nanoseconds = limit->count() % 1'000'000'000;
    arg.time_limit = reinterpret_cast<std::uint64_t>(&time);
  }
  const int result = sys::io_uring_enter(fd_, sq_tail_ - load(sq_head_), completions,
                                         abi::enter_getevents | abi::enter_ext_arg, &arg, sizeof arg);
  return result < 0 ? result : 0;
}

abi::cqe ring::take_completion() noexcept {
  const std::uint32_t head = *cq_head_;
  const abi::cqe completion = cqes_[head & cq_mask_];
  __atomic_store_n(cq_head_, head + 1, __ATOMIC_RELEASE);
  return completion;
}

}  // namespace asyncio::kernel
