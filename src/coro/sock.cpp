// SPDX-License-Identifier: BSL-1.0
// The event_loop's calls on its users' sockets. Each tries, and waits for readiness where that would block; then it tries
// again, but only while its task still waits. So the kernel has no pointer into a frame or a buffer while a task waits,
// and nothing is taken from a socket but in the step that returns it.
#include <asyncio/event_loop.hpp>

#include "coro/event_loop_impl.hpp"
#include "io/borrowed.hpp"
#include "io/io.hpp"
#include "io/socket.hpp"

#include <asyncio/sleep.hpp>

#include <cerrno>
#include <string>

namespace asyncio {

namespace {

/// One call under way: its name, for errors, its loop and its descriptor.
class sock_call {
 public:
  /// Errors: std::invalid_argument for a blocking socket, asked for when the call would block on it, and in debug mode;
  /// std::runtime_error in another loop.
  sock_call(const char* name, loop::loop& l, int fd, bool would_block = false) : name_(name), loop_(l), fd_(fd) {
    coro::check_awaited_in(l, name);
    if (would_block || l.debug()) io::require_non_blocking(fd, name);
  }

  loop::loop& loop() const noexcept { return loop_; }
  detail::ready_operation readable() const noexcept { return {loop_, fd_, false}; }
  detail::ready_operation writable() const noexcept { return {loop_, fd_, true}; }

  /// Whether a try has to be repeated when the descriptor is ready. Errors: std::system_error, when it has failed.
  bool must_wait(std::int64_t result) const {
    if (result >= 0) return false;
    if (result == -EAGAIN) return true;
    const bool streams = result == -EBUSY;
    throw io::os_error(static_cast<int>(-result), std::string(name_) + "(): descriptor " + std::to_string(fd_) +
                                                      (streams ? " belongs to a stream" : ""));
  }

 private:
  const char* name_;
  loop::loop& loop_;
  int fd_;
};

// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs them
coroutine<std::string> sock_recv(loop::loop& l, int fd, std::size_t n) {
  const sock_call call("sock_recv", l, fd);
  std::string bytes;
  while (call.must_wait(io::try_recv(l, fd, n, bytes))) co_await call.readable();
  co_return std::move(bytes);
}

coroutine<std::size_t> sock_recv_into(loop::loop& l, int fd, buffer_view buffer) {
  const sock_call call("sock_recv_into", l, fd);
  std::int64_t got = 0;
  while (call.must_wait(got = io::try_recv(l, fd, buffer))) co_await call.readable();
  co_return static_cast<std::size_t>(got);
}

coroutine<datagram> sock_recvfrom(loop::loop& l, int fd, std::size_t n) {
  const sock_call call("sock_recvfrom", l, fd);
  std::string bytes;
  socket_address sender;
  while (call.must_wait(io::try_recv(l, fd, n, bytes, &sender))) co_await call.readable();
  co_return datagram(std::move(bytes), sender);
}

coroutine<std::pair<std::size_t, socket_address>> sock_recvfrom_into(loop::loop& l, int fd, buffer_view buffer) {
  const sock_call call("sock_recvfrom_into", l, fd);
  std::pair<std::size_t, socket_address> received;
  std::int64_t got = 0;
  while (call.must_wait(got = io::try_recv(l, fd, buffer, &received.second))) co_await call.readable();
  received.first = static_cast<std::size_t>(got);
  co_return received;
}

// When a part was taken there is no room for the rest: it waits without asking.
coroutine<> sock_sendall(loop::loop& l, int fd, std::string bytes) {
  const sock_call call("sock_sendall", l, fd);
  std::string_view left = bytes;
  while (true) {
    const std::int64_t sent = io::try_send(l, fd, left);
    if (!call.must_wait(sent)) left.remove_prefix(static_cast<std::size_t>(sent));
    if (left.empty() && sent >= 0) co_return;
    co_await call.writable();
  }
}

coroutine<std::size_t> sock_sendto(loop::loop& l, int fd, std::string bytes, socket_address address) {
  const sock_call call("sock_sendto", l, fd);
  std::int64_t sent = 0;
  while (call.must_wait(sent = io::try_send(l, fd, bytes, &address))) co_await call.writable();
  co_return static_cast<std::size_t>(sent);
}

coroutine<> sock_connect(loop::loop& l, int fd, socket_address address) {
  const sock_call call("sock_connect", l, fd, true);
  io::room_delay room;
  std::int64_t result = io::try_connect(l, fd, address);
  while (result == -EINPROGRESS || result == -EAGAIN) {
    if (result == -EINPROGRESS)
      co_await call.writable();
    else
      co_await sleep(room.next());
    result = io::try_connect(l, fd, address);
    if (result == -EISCONN) result = 0;  // another task was told first
  }
  if (result < 0 && result != -EBUSY)
    throw io::os_error(static_cast<int>(-result), "cannot connect to " + address.to_string());
  call.must_wait(result);
}

coroutine<std::pair<int, socket_address>> sock_accept(loop::loop& l, int fd) {
  const sock_call call("sock_accept", l, fd, true);
  std::pair<int, socket_address> accepted;
  std::int64_t made = 0;
  while (call.must_wait(made = io::try_accept(l, fd, accepted.second))) co_await call.readable();
  accepted.first = static_cast<int>(made);
  co_return accepted;
}
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace

coroutine<std::string> event_loop::sock_recv(int fd, std::size_t n) {
  check_thread("loop.sock_recv()");
  return asyncio::sock_recv(*impl_->loop, fd, n);
}

coroutine<std::size_t> event_loop::sock_recv_into(int fd, buffer_view buffer) {
  check_thread("loop.sock_recv_into()");
  return asyncio::sock_recv_into(*impl_->loop, fd, buffer);
}

coroutine<datagram> event_loop::sock_recvfrom(int fd, std::size_t n) {
  check_thread("loop.sock_recvfrom()");
  return asyncio::sock_recvfrom(*impl_->loop, fd, n);
}

coroutine<std::pair<std::size_t, socket_address>> event_loop::sock_recvfrom_into(int fd, buffer_view buffer) {
  check_thread("loop.sock_recvfrom_into()");
  return asyncio::sock_recvfrom_into(*impl_->loop, fd, buffer);
}

coroutine<> event_loop::sock_sendall(int fd, bytes_view bytes) { return sock_send_owned(fd, std::string(bytes)); }

coroutine<> event_loop::sock_send_owned(int fd, std::string bytes) {
  check_thread("loop.sock_sendall()");
  return asyncio::sock_sendall(*impl_->loop, fd, std::move(bytes));
}

coroutine<std::size_t> event_loop::sock_sendto(int fd, bytes_view bytes, const socket_address& address) {
  check_thread("loop.sock_sendto()");
  return asyncio::sock_sendto(*impl_->loop, fd, std::string(bytes), address);
}

coroutine<> event_loop::sock_connect(int fd, const socket_address& address) {
  check_thread("loop.sock_connect()");
  return asyncio::sock_connect(*impl_->loop, fd, address);
}

coroutine<std::pair<int, socket_address>> event_loop::sock_accept(int fd) {
  check_thread("loop.sock_accept()");
  return asyncio::sock_accept(*impl_->loop, fd);
}

}  // namespace asyncio
