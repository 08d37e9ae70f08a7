// SPDX-License-Identifier: BSL-1.0
#include "io/file_reader.hpp"

#include "kernel/sys.hpp"
#include "threads/process_wide_pool.hpp"

#include <exception>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

constinit threads::process_wide_pool files("asyncio-files", 4);

}  // namespace

ref<file_reader> file_reader::make(loop::loop& l, int file, callback then, void* context) {
  if (const off_t at = sys::seek(file, 0, SEEK_CUR); at < 0)
    throw os_error(static_cast<int>(-at), "cannot read the file");
  return ref<file_reader>::adopt(new file_reader(l, unique_fd(duplicate(file)), then, context));
}

file_reader::file_reader(loop::loop& l, unique_fd file, callback then, void* context) noexcept
    : home_(l), file_(std::move(file)), then_(then), context_(context) {
  read_.owner = this;
  read_.kind = kernel::io_kind::file_read;
  read_.fd = file_.get();
  read_.done = [](detail::op* self) noexcept { static_cast<read_op*>(self)->owner->done(); };
  job::holds_end = true;
  job::run = [](threads::job* self) noexcept { of(self)->read_.result = of(self)->read_here(); };
  job::finished = [](threads::job* self) noexcept { of(self)->done(); };
}

file_reader::~file_reader() {
  if (!home_.closed()) home_.get().forget(file_.get());
}

bool file_reader::start(std::uint64_t offset, std::size_t size) {
  bytes_.resize(size);
  read_.offset = offset;
  read_.size = size;
  read_.buffer = reinterpret_cast<std::byte*>(bytes_.data());
  if (home_.get().reads_files()) {
    if (home_.get().start(read_)) return true;
  } else {
    try {
      files.get().submit(*this, home_.box());
      with_thread_ = true;
    } catch (const std::exception&) {  // no thread can be had
      read_.result = read_here();
      return true;
    }
  }
  retain();
  return false;
}

std::int64_t file_reader::read_here() noexcept {
  std::int64_t result = -EINTR;
  while (result == -EINTR) result = sys::pread(read_.fd, read_.buffer, read_.size, static_cast<off_t>(read_.offset));
  return result;
}

void file_reader::done() noexcept {
  with_thread_ = false;
  if (then_ != nullptr) then_(context_);
  release();
}

std::string file_reader::take() {
  if (read_.result < 0) throw os_error(static_cast<int>(-read_.result), "cannot read the file");
  bytes_.resize(static_cast<std::size_t>(read_.result));
  return std::move(bytes_);
}

void file_reader::abandon() noexcept {
  then_ = nullptr;
  if (home_.closed()) return;
  if (read_.in_flight) home_.get().cancel(read_);
  if (with_thread_ && files.get().cancel(*this)) release();
}

}  // namespace asyncio::io
