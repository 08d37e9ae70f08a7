// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "kernel/uring_abi.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace asyncio::kernel {

/// Memory from the kernel, given back at the end. Not inherited by forked children.
class mapping {
 public:
  mapping() noexcept = default;
  /// Of a descriptor, or when that is -1, fresh zeroes. Errors: std::system_error.
  mapping(std::size_t size, int fd, std::uint64_t offset);
  mapping(mapping&& other) noexcept;
  mapping& operator=(mapping&& other) noexcept;
  ~mapping();
  std::byte* data() const noexcept { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  unsigned made_at_ = 0;  // kernel::fork_count()
};

/// An io_uring: requests in, completions out, buffers that the kernel takes when it has bytes for them. Knows nothing of
/// what a request means.
///
/// The kernel reads requests only during enter(), and writes completions at any time: those of a request may come while
/// it is handed in.
class ring {
 public:
  /// Room for so many requests between two submissions, and for so many completions between two looks (when they do not
  /// suffice the kernel keeps the rest). Errors: std::system_error, also when this kernel's io_uring lacks something.
  ring(unsigned requests, unsigned completions);
  ~ring();
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;

  int fd() const noexcept { return fd_; }

  /// The next request's place, zeroed; null: submit() first.
  abi::sqe* next_request() noexcept;
  /// Calls f(request) for each that was filled in and not yet taken by the kernel.
  template <class F>
  void for_each_waiting(F f) noexcept {
    for (std::uint32_t at = load(sq_head_); at != sq_tail_; ++at) f(sqes_[at & sq_mask_]);
  }
  bool has_waiting() const noexcept { return load(sq_head_) != sq_tail_; }
  /// Hands the requests in; when `completions` is not 0 waits for so many, at most `limit` (nullopt: for ever); and lets
  /// the kernel finish what it has begun. 0, or -errno (then what was not taken still waits).
  int enter(unsigned completions, std::optional<std::chrono::nanoseconds> limit) noexcept;
  /// Completions wait in the kernel, and enter() would bring them.
  bool kernel_holds_some() const noexcept { return (load(sq_flags_) & (abi::sq_cq_overflow | abi::sq_taskrun)) != 0; }

  bool has_completion() const noexcept { return *cq_head_ != load(cq_tail_); }
  /// Only when has_completion().
  abi::cqe take_completion() noexcept;

  /// The group of the buffers, for requests.
  static constexpr std::uint16_t buffer_group = 0;
  static constexpr std::size_t buffer_size = 8 * 1024;
  static constexpr unsigned buffer_count = 128;
  std::byte* buffer(unsigned id) const noexcept { return buffers_.data() + id * buffer_size; }
  /// The kernel may take it again.
  void give_buffer(unsigned id) noexcept;

 private:
  static std::uint32_t load(const std::uint32_t* from) noexcept { return __atomic_load_n(from, __ATOMIC_ACQUIRE); }
  void map(const abi::setup_params& params);
  void check_operations() const;
  void make_buffers();

  int fd_ = -1;
  mapping rings_;
  mapping requests_;
  mapping buffer_ring_;
  mapping buffers_;
  std::uint32_t* sq_head_ = nullptr;
  std::uint32_t* sq_shared_tail_ = nullptr;
  std::uint32_t* sq_flags_ = nullptr;
  std::uint32_t sq_mask_ = 0;
  std::uint32_t sq_tail_ = 0;  // ours; the kernel's at the next enter()
  abi::sqe* sqes_ = nullptr;
  std::uint32_t* cq_head_ = nullptr;
  std::uint32_t* cq_tail_ = nullptr;
  std::uint32_t cq_mask_ = 0;
  abi::cqe* cqes_ = nullptr;
  std::uint16_t buffer_tail_ = 0;
};

}  // namespace asyncio::kernel
