// SPDX-License-Identifier: BSL-1.0
#include "io/pipe_end.hpp"

#include "io/socket.hpp"
#include "kernel/pipe.hpp"

#include <stdexcept>
#include <string>

namespace asyncio::io {

namespace sys = kernel::sys;

pipe_end_kind adopt_pipe_end(int fd) {
  const std::string name = "descriptor " + std::to_string(fd);
  struct stat about{};
  if (const int error = sys::fstat(fd, &about); error < 0) throw os_error(-error, name);
  pipe_end_kind kind = pipe_end_kind::fifo;
  if (S_ISSOCK(about.st_mode))
    kind = pipe_end_kind::socket;
  else if (S_ISCHR(about.st_mode))
    kind = pipe_end_kind::device;
  else if (!S_ISFIFO(about.st_mode))
    throw std::invalid_argument("a pipe transport is only for pipes, sockets and character devices, got " + name);
  if (const int error = kernel::make_non_blocking(fd); error < 0) throw os_error(-error, name);
  return kind;
}

namespace {

/// Lives until its op is done: it is told when its transport is lost, and cancels itself then.
class reader_watch final : private transport_observer {
 public:
  reader_watch(loop::loop& l, unique_fd copy, const std::shared_ptr<protocol_transport>& t)
      : home_(l), copy_(std::move(copy)), transport_(t) {
    op_.owner = this;
    op_.kind = kernel::io_kind::readable;
    op_.fd = copy_.get();
    op_.done = [](detail::op* self) noexcept { static_cast<watch_op*>(self)->owner->end(); };
  }
  /// False: it cannot be watched, or has ended at once; it is the caller's to delete.
  bool start() noexcept {
    if (home_.get().start(op_)) return false;
    transport_->set_observer(this);
    return true;
  }

 private:
  struct watch_op : kernel::io_op {
    reader_watch* owner = nullptr;
  };
  void connection_lost() noexcept override {
    transport_.reset();
    if (!home_.closed()) home_.get().cancel(op_);
  }
  void end() noexcept {
    if (const auto t = std::move(transport_)) {
      t->set_observer(nullptr);
      if (op_.result == 0) t->end(t->unsent() ? os_exception(EPIPE, "cannot send") : nullptr);
    }
    delete this;
  }

  home home_;
  unique_fd copy_;
  std::shared_ptr<protocol_transport> transport_;  // null: lost
  watch_op op_;
};

}  // namespace

void watch_reader(loop::loop& l, const std::shared_ptr<protocol_transport>& t, pipe_end_kind kind) {
  if (kind == pipe_end_kind::device) return;
  auto watch = std::make_unique<reader_watch>(l, unique_fd(duplicate(t->fileno())), t);
  if (watch->start()) static_cast<void>(watch.release());  // it deletes itself
}

}  // namespace asyncio::io
