// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/datagram_socket.hpp"
#include "io/io.hpp"
#include "io/water_marks.hpp"

#include <asyncio/net.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

namespace asyncio::io {

/// Who uses a datagram transport. Told from the loop, never from inside a call of the transport; lost() exactly once, and
/// nothing afterwards.
class datagram_user {
 public:
  /// The datagram that receive() had to wait for; the bytes are valid during this call.
  virtual void received(std::string_view bytes, const socket_address& from) noexcept = 0;
  /// An error instead of it, ECONNREFUSED for one: the socket lives.
  virtual void receive_failed(int error) noexcept = 0;
  /// A datagram that was queued without a sender could not be sent: the socket lives.
  virtual void send_failed(int error) noexcept = 0;
  /// What is queued was above the high-water mark, and has fallen to the low one.
  virtual void output_drained() noexcept = 0;
  /// The socket is closed. `error` is null when that was our wish.
  virtual void lost(std::exception_ptr error) noexcept = 0;

 protected:
  ~datagram_user() = default;
};

/// Who waits for the end of one datagram that was queued. Told from the loop.
class datagram_sender {
 public:
  /// 0: the kernel has it. ECANCELED: it was taken back, or the transport is closed. Else the error, which is this
  /// datagram's alone.
  virtual void sent(int error) noexcept = 0;

 protected:
  ~datagram_sender() = default;
};

/// A datagram socket. Input flows only when it is asked for: what nobody asks for waits in the kernel's buffer, which is
/// bounded. A datagram is sent at once, or stands in a queue until there is room.
///
///   open ──close()──▶ flushing ──queue empty──▶ ending ──ops done──▶ farewell ──▶ closed
///     └──abort(), the loop's end───────────────▲
///
/// An error of the network (ECONNREFUSED, EHOSTUNREACH, EMSGSIZE …) is told to whoever receives or sends, and ends nothing.
///
/// Sending. `sending_` stands for one of three: the turn in which the queue will be looked at, the op in flight with the
/// oldest datagram, or the timer. The timer is for Unix sockets that are not connected: the kernel does not tell when the
/// receiver's queue has room again, so it is asked less and less often. A datagram is the transport's from queue() until
/// its end; its sender may go before (take_back), and then it is sent only if the kernel had it already.
class datagram_transport final : public counted {
 public:
  /// A datagram in the queue.
  struct waiting;

  /// Takes over `socket`. A datagram that is longer than `limit` is told as EMSGSIZE, and lost.
  /// Errors: std::bad_alloc.
  static ref<datagram_transport> make(loop::loop& l, datagram_socket socket, std::size_t limit);

  /// Who is told. Null: nobody any more.
  void set_user(datagram_user* user) noexcept { user_ = user; }

  /// Asks for one datagram. 0: it is here; the bytes are valid until the next call into any transport of this loop.
  /// -EAGAIN: the user will hear. Else -errno: an error that was waiting for somebody to tell. Asking again while the
  /// user has not been told changes nothing.
  int receive(std::string_view& bytes, socket_address& from) noexcept;

  /// Errors: std::invalid_argument when the transport has a remote address and `to` is another one.
  void check_target(const socket_address& to) const;
  /// Sends one datagram to `to` (empty: to the remote address) now: 0, -EAGAIN when it has to be queued, or -errno.
  int try_send(std::string_view bytes, const socket_address& to) noexcept;
  /// Queues one, `sender` (null: nobody) hears of its end. Errors: std::bad_alloc.
  waiting* queue(std::string bytes, const socket_address& to, datagram_sender* sender);
  /// True: it will not be sent, and nobody is told. False: the kernel has it, and is asked to give it up; sent() follows.
  bool take_back(waiting* w) noexcept;
  /// The sender of a datagram that was not taken back goes: nobody is told.
  static void forget_sender(waiting* w) noexcept;

  /// Bytes in the queue, each datagram counted as eight more.
  std::size_t buffered() const noexcept { return size_; }
  bool congested() const noexcept { return marks_.congested(); }
  /// Errors: std::invalid_argument unless high >= low.
  void set_limits(std::size_t high, std::size_t low);

  /// Stops receiving, sends what is queued, then closes.
  void close() noexcept;
  /// Closes at once; what is queued is not sent.
  void abort() noexcept;
  bool closing() const noexcept { return closing_; }

  detail::inbox& box() const noexcept { return home_.box(); }
  /// -1 when closed.
  int fd() const noexcept { return fd_; }
  /// Where everything goes; empty: each datagram has an address of its own.
  const socket_address& remote() const noexcept { return remote_; }

 private:
  template <class Base>
  struct owned : Base {
    datagram_transport* owner = nullptr;
  };

  datagram_transport(loop::loop& l, datagram_socket socket, std::size_t limit);
  ~datagram_transport() override;

  static void recv_done(detail::op* self) noexcept;
  static void send_done(detail::op* self) noexcept;
  static void turn_came(detail::op* self) noexcept;
  static void pause_over(detail::op* self) noexcept;
  static void farewell(detail::op* self) noexcept;

  int take_received() noexcept;
  void aim(kernel::io_op& request, const socket_address& to) noexcept;
  void send_queued() noexcept;
  void send_next_turn() noexcept;
  void wait_for_room() noexcept;
  void finish_oldest(int error) noexcept;
  void unlink(waiting* w) noexcept;
  void note_output() noexcept;
  void end(std::exception_ptr error) noexcept;
  void continue_ending() noexcept;
  void close_descriptor() noexcept;

  home home_;
  int fd_;
  const std::size_t limit_;
  const socket_address remote_;
  const bool connected_;
  const bool room_is_silent_;  // the kernel does not tell when there is room
  socket_file file_;
  datagram_user* user_ = nullptr;
  owned<kernel::io_op> recv_;
  socket_address from_;
  std::unique_ptr<std::byte[]> buffer_;  // when a datagram may be longer than what the kernel room's shared one holds
  owned<kernel::io_op> send_;
  socket_address to_;
  iovec piece_{};
  owned<detail::op> turn_;
  owned<detail::timer_op> retry_;
  owned<detail::op> farewell_;
  room_delay room_delay_;
  waiting* first_ = nullptr;
  waiting* last_ = nullptr;
  std::size_t size_ = 0;
  water_marks marks_;
  bool sending_ = false;
  bool closing_ = false;
  bool ending_ = false;
  std::exception_ptr error_;
};

}  // namespace asyncio::io
