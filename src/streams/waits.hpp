// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/connector.hpp"
#include "io/secure.hpp"

#include "streams/stream_core.hpp"

#include <asyncio/detail/coro_core.hpp>

#include <coroutine>
#include <exception>
#include <utility>

namespace asyncio::streams {

/// Awaits a connection, through detail::in_place(); then `fd` and `peer` are there. Cancelled or destroyed while it waits,
/// it closes every attempt.
class connect_wait final : public detail::wait_base {
 public:
  connect_wait(loop::loop& l, io::connect_query query) : loop_(&l), query_(std::move(query)) {}
  connect_wait(const connect_wait&) = delete;
  connect_wait& operator=(const connect_wait&) = delete;
  ~connect_wait() {
    if (connector_) connector_->cancel();
  }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame);
  void await_resume();
  io::unique_fd fd;
  socket_address peer;

 private:
  static bool cancel_connect(wait_base* self) noexcept;
  static void connected(void* self, io::unique_fd fd, const socket_address& peer, std::exception_ptr error) noexcept;

  loop::loop* loop_;
  io::connect_query query_;
  detail::coro_core* task_ = nullptr;
  io::ref<io::connector> connector_;
  std::exception_ptr error_;
  bool cancelled_ = false;
};

/// Awaits the end of a handshake that has just begun. Cancelled or destroyed while it waits, it aborts the connection.
class handshake_wait final : public detail::wait_base, private io::handshake_user {
 public:
  explicit handshake_wait(io::ref<io::secure_channel> channel) noexcept : channel_(std::move(channel)) {
    channel_->set_handshake_user(this);
    cancel = &handshake_wait::cancel_handshake;
  }
  handshake_wait(const handshake_wait&) = delete;
  handshake_wait& operator=(const handshake_wait&) = delete;
  ~handshake_wait() { give_up(); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame);
  void await_resume();

 private:
  static bool cancel_handshake(wait_base* self) noexcept;
  void handshake_ended(std::exception_ptr error) noexcept override;
  void give_up() noexcept;

  io::ref<io::secure_channel> channel_;
  detail::coro_core* task_ = nullptr;
  std::exception_ptr error_;
  bool ended_ = false;
  bool cancelled_ = false;
};

/// TLS for a new connection: the names and times that were given, checked, and then the handshake.
/// Cancel: safe, nothing stays open.   Errors: of the handshake.
coroutine<> secure_connection(core_ref core, io::ref<detail::tls_provider> tls, io::secure_options options);

}  // namespace asyncio::streams
