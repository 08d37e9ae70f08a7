// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/io.hpp"
#include "io/socket.hpp"
#include "threads/blocking_pool.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace asyncio::io {

/// Reads a file piece by piece, while its loop goes on. A file is always ready and may yet take long, so nobody can wait
/// for it as for a socket: a backend that can reads it itself, and where none can a thread does, one of four for all files.
///
///   idle ──start()──▶ with the backend ──▶ done, in a turn of the loop: then()
///             └─────▶ with a thread ─────▶ done
///
/// It reads from a descriptor of its own (of the same open file) into memory of its own, and each read refers to it: so it
/// may be let go at any time, and its owner may close the file. The loop's end waits for what is being read.
class file_reader final : public counted, private threads::job {
 public:
  /// Called in a turn of the loop; never after abandon(), or after the end of the loop.
  using callback = void (*)(void* context) noexcept;

  /// Errors: std::system_error, ESPIPE for what has no positions; std::bad_alloc.
  static ref<file_reader> make(loop::loop& l, int file, callback then, void* context);

  /// Begins to read; one read at a time. True: it is done already. False: then() is still to come. Errors: std::bad_alloc.
  bool start(std::uint64_t offset, std::size_t size);
  /// What was read, empty at the end of the file. Errors: std::system_error.
  std::string take();
  /// Nobody wants the rest.
  void abandon() noexcept;

 private:
  struct read_op : kernel::io_op {
    file_reader* owner = nullptr;
  };

  file_reader(loop::loop& l, unique_fd file, callback then, void* context) noexcept;
  ~file_reader() override;

  static file_reader* of(threads::job* job) noexcept { return static_cast<file_reader*>(job); }
  std::int64_t read_here() noexcept;
  void done() noexcept;

  io::home home_;
  const unique_fd file_;
  callback then_;
  void* const context_;
  read_op read_;
  std::string bytes_;
  bool with_thread_ = false;  // or in line for one
};

}  // namespace asyncio::io
