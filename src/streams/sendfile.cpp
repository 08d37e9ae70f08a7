// SPDX-License-Identifier: BSL-1.0
// Files into sockets: event_loop::sock_sendfile() and sendfile(). A transport's socket belongs to the kernel room, where
// nobody else may wait for it: so the file goes by a second descriptor of the same socket, and only when the transport has
// nothing left to send. Whoever aborts the transport meanwhile shuts the socket down, which both descriptors hear of.
#include <asyncio/event_loop.hpp>

#include "coro/coro.hpp"
#include "coro/event_loop_impl.hpp"
#include "io/borrowed.hpp"
#include "io/file_reader.hpp"
#include "io/protocol_transport.hpp"
#include "io/send_file.hpp"
#include "io/socket.hpp"
#include "streams/wait_line.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace asyncio {

namespace {

/// The pieces of a file, for a copy.
class file_pieces {
 public:
  // NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): what its caller awaits it for
  file_pieces(loop::loop& l, const io::file_sender& sender)
      : reader_(io::file_reader::make(l, sender.file(), &file_pieces::came, this)) {}
  file_pieces(const file_pieces&) = delete;
  file_pieces& operator=(const file_pieces&) = delete;
  ~file_pieces() { reader_->abandon(); }

  /// Empty at the end. Errors: std::system_error; std::bad_alloc.
  coroutine<std::string> next(const io::file_sender& sender) {
    if (sender.next_size() == 0) co_return std::string();
    here_ = reader_->start(sender.next_offset(), sender.next_size());
    while (!here_) co_await streams::line_wait(line_);
    co_return reader_->take();
  }
  // NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

 private:
  static void came(void* self) noexcept {
    auto* me = static_cast<file_pieces*>(self);
    me->here_ = true;
    me->line_.wake_all();
  }
  io::ref<io::file_reader> reader_;
  streams::wait_line line_;
  bool here_ = false;
};

// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it, and what its caller awaits it for
coroutine<std::uint64_t> send_copies(loop::loop& l, int fd, io::file_sender& sender) {
  file_pieces pieces(l, sender);
  while (true) {
    const std::string piece = co_await pieces.next(sender);
    if (piece.empty()) co_return sender.sent();
    std::string_view rest = piece;
    while (!rest.empty()) {
      const std::int64_t n = io::try_send(l, fd, rest);
      if (n == -EAGAIN) {
        co_await detail::ready_operation(l, fd, true);
        continue;
      }
      if (n < 0) throw io::os_error(static_cast<int>(-n), "cannot send a file");
      sender.count(static_cast<std::size_t>(n));
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    co_await streams::turn_wait();
  }
}

coroutine<std::uint64_t> send_file(loop::loop& l, int fd, io::file_sender& sender) {
  while (true) {
    const std::int64_t n = sender.step(fd);
    if (n == 0) co_return sender.sent();
    if (n > 0)
      co_await streams::turn_wait();
    else if (n == -EAGAIN)
      co_await detail::ready_operation(l, fd, true);
    else if (n == -EOPNOTSUPP)
      co_return co_await send_copies(l, fd, sender);
    else
      throw io::os_error(static_cast<int>(-n), "cannot send a file");
  }
}
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it
coroutine<std::uint64_t> send_file_to_socket(loop::loop& l, int fd, int file, sendfile_options options) {
  coro::check_awaited_in(l, "sock_sendfile");
  io::require_non_blocking(fd, "sock_sendfile");
  io::require_stream_socket(fd, "sock_sendfile");
  if (const std::int64_t owned = io::try_send(l, fd, {}); owned == -EBUSY)
    throw io::os_error(EBUSY, "sock_sendfile(): descriptor " + std::to_string(fd) + " belongs to a stream");
  io::file_sender sender(file, options);
  co_return co_await send_file(l, fd, sender);
}

/// A transport's output, for one sender of a file.
class locked_output {
 public:
  explicit locked_output(std::shared_ptr<io::protocol_transport> t) : transport_(std::move(t)) {
    transport_->lock_output(&locked_output::emptied, this);
  }
  locked_output(const locked_output&) = delete;
  locked_output& operator=(const locked_output&) = delete;
  ~locked_output() { transport_->unlock_output(); }

  /// All that was written is with the kernel. Errors: std::system_error when the connection is lost.
  coroutine<> wait_until_empty() {
    while (!empty_) co_await streams::line_wait(line_);
    if (transport_->lost()) throw_lost();
  }
  /// Errors: std::system_error when the connection has ended while the file was read; std::bad_alloc.
  void write(std::string bytes) {
    if (transport_->ends()) throw_lost();
    empty_ = false;
    transport_->write_locked(std::move(bytes), &locked_output::emptied, this);
  }

 private:
  [[noreturn]] static void throw_lost() { throw io::os_error(ECONNRESET, "connection lost while a file was sent"); }
  static void emptied(void* self) noexcept {
    auto* me = static_cast<locked_output*>(self);
    me->empty_ = true;
    me->line_.wake_all();
  }
  std::shared_ptr<io::protocol_transport> transport_;
  streams::wait_line line_;
  bool empty_ = false;
};

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it
coroutine<std::uint64_t> send_file_to_transport(loop::loop& l, std::shared_ptr<io::protocol_transport> t, int file,
                                                sendfile_options options) {
  coro::check_awaited_in(l, "sendfile");
  io::file_sender sender(file, options);
  locked_output output(t);
  co_await output.wait_until_empty();
  if (t->is_plain()) {
    const io::unique_fd copy(io::duplicate(t->fileno()));
    co_return co_await send_file(l, copy.get(), sender);
  }
  sender.require_copies("sendfile(2) cannot send a file over TLS");
  file_pieces pieces(l, sender);
  while (true) {
    std::string piece = co_await pieces.next(sender);
    if (piece.empty()) break;
    const std::size_t size = piece.size();
    output.write(std::move(piece));
    sender.count(size);
    co_await output.wait_until_empty();
  }
  co_return sender.sent();
}

}  // namespace

coroutine<std::uint64_t> event_loop::sock_sendfile(int fd, int file, sendfile_options options) {
  check_thread("loop.sock_sendfile()");
  return send_file_to_socket(*impl_->loop, fd, file, options);
}

coroutine<std::uint64_t> event_loop::sendfile(transport& t, int file, sendfile_options options) {
  check_thread("loop.sendfile()");
  auto* ours = dynamic_cast<io::protocol_transport*>(&t);
  if (ours == nullptr) throw std::invalid_argument("sendfile() needs a transport that this library has made");
  return send_file_to_transport(*impl_->loop, ours->shared_from_this(), file, options);
}

}  // namespace asyncio
