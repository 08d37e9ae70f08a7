// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/datagram_transport.hpp"
#include "streams/wait_line.hpp"

#include <asyncio/datagrams.hpp>
#include <asyncio/detail/coro_core.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace asyncio::streams {

class datagram_core;

/// One datagram, or why there is none.
struct arrival {
  std::string bytes;
  socket_address from;
  int error = 0;
};

/// Waits for a datagram, through detail::in_place(). Lives in the awaiting frame. Who is first in the line gets what comes,
/// in the call that brings it: so nobody who asks later takes it away. Cancelled after that, it returns it all the same.
class receive_wait final : public detail::wait_base {
 public:
  explicit receive_wait(datagram_core& core) noexcept : core_(&core) { cancel = &receive_wait::cancel_receive; }
  receive_wait(const receive_wait&) = delete;
  receive_wait& operator=(const receive_wait&) = delete;
  ~receive_wait();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame);
  void await_resume() {
    if (cancelled_) [[unlikely]]
      detail::throw_cancelled(task_);
  }
  arrival got;

 private:
  friend class datagram_core;
  static bool cancel_receive(wait_base* self) noexcept;
  void finish() noexcept;

  datagram_core* core_;
  detail::coro_core* task_ = nullptr;
  receive_wait* previous_ = nullptr;
  receive_wait* next_ = nullptr;
  bool linked_ = false;
  bool cancelled_ = false;
};

/// Waits until a queued datagram is sent, through detail::in_place(). Lives in the awaiting frame; the datagram does not.
/// Cancelled, it takes the datagram back, which is over at once, or once the kernel has let go of it: when the kernel has
/// sent it by then, the wait returns as if it had not been cancelled, and the cancellation comes at the next suspension.
class send_wait final : public detail::wait_base, private io::datagram_sender {
 public:
  send_wait(io::datagram_transport& transport, std::string bytes, const socket_address& to)
      : transport_(&transport), bytes_(std::move(bytes)), to_(to) {
    cancel = &send_wait::cancel_send;
  }
  send_wait(const send_wait&) = delete;
  send_wait& operator=(const send_wait&) = delete;
  ~send_wait();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame);
  /// The error; ECANCELED: the transport is closed.
  int await_resume() {
    if (cancelling_ && result_ == ECANCELED) [[unlikely]]
      detail::throw_cancelled(task_);
    return result_;
  }

 private:
  static bool cancel_send(wait_base* self) noexcept;
  void sent(int error) noexcept override;

  io::datagram_transport* transport_;
  std::string bytes_;
  socket_address to_;
  io::datagram_transport::waiting* waiting_ = nullptr;
  detail::coro_core* task_ = nullptr;
  int result_ = 0;
  bool cancelling_ = false;
};

/// An endpoint: its transport, who waits for what, and the one datagram that came for somebody who had gone. The handle
/// and each call under way have a reference.
class datagram_core final : public io::counted, private io::datagram_user {
 public:
  static io::ref<datagram_core> make(io::ref<io::datagram_transport> transport);

  /// Errors: std::runtime_error in a thread that is not the loop's.
  void check_thread(const char* call) const { transport_->box().check_thread(call); }
  io::datagram_transport& transport() const noexcept { return *transport_; }
  bool closed() const noexcept { return lost_ || transport_->closing(); }

  /// A datagram, or an error, that is there already. False: a receive_wait has to be awaited.
  bool take(arrival& into);
  /// Receives that were satisfied at once, one after the other; true when it is time to let others run.
  bool used_up_its_turn() noexcept;
  void has_waited() noexcept { at_once_ = 0; }

  bool lost() const noexcept { return lost_; }
  std::exception_ptr lost_error() const noexcept { return lost_error_; }
  line_wait wait_for_loss() noexcept { return line_wait(loss_line_); }

 private:
  friend class receive_wait;
  explicit datagram_core(io::ref<io::datagram_transport> transport) noexcept;
  ~datagram_core() override;

  void received(std::string_view bytes, const socket_address& from) noexcept override;
  void receive_failed(int error) noexcept override;
  void send_failed(int) noexcept override {}
  void output_drained() noexcept override {}
  void lost(std::exception_ptr error) noexcept override;

  void link(receive_wait& w) noexcept;
  void unlink(receive_wait& w) noexcept;
  void ask_for_more() noexcept;
  void hand_over(std::string_view bytes, const socket_address& from, int error) noexcept;

  io::ref<io::datagram_transport> transport_;
  receive_wait* first_ = nullptr;
  receive_wait* last_ = nullptr;
  std::optional<arrival> kept_;
  unsigned at_once_ = 0;
  bool lost_ = false;
  std::exception_ptr lost_error_;
  wait_line loss_line_;
};

using datagram_ref = io::ref<datagram_core>;

/// datagram_options, with everything that they look at.
struct owned_datagram_options {
  explicit owned_datagram_options(const datagram_options& options);

  std::string local_host;
  std::string remote_host;
  int local_port;
  int remote_port;
  address_family family;
  bool reuse_port;
  bool allow_broadcast;
  std::size_t limit;
  int sock;
};

/// Opens what open_datagram_endpoint() and create_datagram_endpoint() want.   Cancel: safe, nothing stays open.
coroutine<io::ref<io::datagram_transport>> open_datagram_transport(owned_datagram_options options);

}  // namespace asyncio::streams
