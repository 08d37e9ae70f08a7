// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <cstdint>

/// What io_uring's three system calls and its shared memory look like: the kernel's stable interface, of which this is a
/// copy, since a kernel may know more than the headers that it is compiled with.
namespace asyncio::kernel::abi {

enum opcode : std::uint8_t {
  op_nop = 0,
  op_poll_add = 6,
  op_sendmsg = 9,
  op_accept = 13,
  op_async_cancel = 14,
  op_connect = 16,
  op_read = 22,
  op_send = 26,
  op_recv = 27,
};

/// A request.
struct sqe {
  std::uint8_t opcode;
  std::uint8_t flags;
  std::uint16_t ioprio;
  std::int32_t fd;
  std::uint64_t off;  // accept: where the size of the address is; connect: that size; read: where in the file
  std::uint64_t addr;
  std::uint32_t len;
  std::uint32_t op_flags;
  std::uint64_t user_data;
  std::uint16_t buf_group;
  std::uint16_t personality;
  std::int32_t file_index;
  std::uint64_t addr3;
  std::uint64_t pad;
};
static_assert(sizeof(sqe) == 64);

/// A completion.
struct cqe {
  std::uint64_t user_data;
  std::int32_t result;
  std::uint32_t flags;
};
static_assert(sizeof(cqe) == 16);

inline constexpr std::uint8_t sqe_buffer_select = 1u << 5;
inline constexpr std::uint16_t recv_poll_first = 1u << 0;
inline constexpr std::uint32_t poll_multishot = 1u << 0;

inline constexpr std::uint32_t cqe_has_buffer = 1u << 0;
inline constexpr std::uint32_t cqe_has_more = 1u << 1;
inline constexpr unsigned cqe_buffer_shift = 16;

struct sq_offsets {
  std::uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
  std::uint64_t user_addr;
};
struct cq_offsets {
  std::uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
  std::uint64_t user_addr;
};
struct setup_params {
  std::uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
  sq_offsets sq;
  cq_offsets cq;
};
static_assert(sizeof(setup_params) == 120);

inline constexpr std::uint32_t setup_cq_size = 1u << 3;
inline constexpr std::uint32_t setup_clamp = 1u << 4;
inline constexpr std::uint32_t setup_submit_all = 1u << 7;
inline constexpr std::uint32_t setup_coop_taskrun = 1u << 8;
inline constexpr std::uint32_t setup_taskrun_flag = 1u << 9;

inline constexpr std::uint32_t feature_single_mmap = 1u << 0;
inline constexpr std::uint32_t feature_no_drop = 1u << 1;
inline constexpr std::uint32_t feature_submit_stable = 1u << 2;
inline constexpr std::uint32_t feature_fast_poll = 1u << 5;
inline constexpr std::uint32_t feature_ext_arg = 1u << 8;

inline constexpr std::uint64_t offset_rings = 0;
inline constexpr std::uint64_t offset_sqes = 0x10000000;

inline constexpr std::uint32_t sq_cq_overflow = 1u << 1;
inline constexpr std::uint32_t sq_taskrun = 1u << 2;

inline constexpr unsigned enter_getevents = 1u << 0;
inline constexpr unsigned enter_ext_arg = 1u << 3;

struct time_limit {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};
struct getevents_arg {
  std::uint64_t sigmask;
  std::uint32_t sigmask_size;
  std::uint32_t min_wait_usec;
  std::uint64_t time_limit;
};

inline constexpr unsigned register_probe = 8;
inline constexpr unsigned register_pbuf_ring = 22;

struct probe {
  static constexpr unsigned most = 64;
  struct op {
    std::uint8_t code, resv;
    std::uint16_t flags;
    std::uint32_t resv2;
  };
  std::uint8_t last_op, op_count;
  std::uint16_t resv;
  std::uint32_t resv2[3];
  op ops[most];
};
inline constexpr std::uint16_t probe_supported = 1u << 0;

/// A buffer that the kernel may take. The ring's tail stands in the first one's `tail`.
struct buffer {
  std::uint64_t addr;
  std::uint32_t len;
  std::uint16_t id;
  std::uint16_t tail;
};
static_assert(sizeof(buffer) == 16);
struct buffer_ring_params {
  std::uint64_t ring_addr;
  std::uint32_t ring_entries;
  std::uint16_t group;
  std::uint16_t flags;
  std::uint64_t resv[3];
};

}  // namespace asyncio::kernel::abi
