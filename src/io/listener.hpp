// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/io.hpp"
#include "io/socket.hpp"

#include <asyncio/net.hpp>

namespace asyncio::io {

/// Who gets a listener's connections. Called from the loop, never from inside a call of the listener.
class listener_user {
 public:
  /// A new connection, non-blocking.
  virtual void accepted(unique_fd fd, const socket_address& peer) noexcept = 0;
  /// accept() fails for want of something (descriptors, memory): accepting goes on in a second. Told once for every
  /// such spell. Or for another reason, and then this listener accepts no more.
  virtual void accept_failed(int error, bool for_good) noexcept = 0;

 protected:
  ~listener_user() = default;
};

/// A bound socket, and once start() was called a listening one. Each turn of the loop accepts at most backlog + 1
/// connections from it; connections that were given up before they could be accepted are passed over.
class listener final : public counted {
 public:
  /// `user` outlives the listener's close().
  static ref<listener> make(loop::loop& l, unique_fd fd, listener_user& user);

  /// Listens and accepts. Idempotent. Errors: std::system_error.
  void start(int backlog);
  /// Leaves connections waiting in the backlog, until resume().
  void pause() noexcept;
  void resume() noexcept;
  /// Closes the socket; the user is not called any more. Idempotent.
  void close() noexcept;
  bool listening() const noexcept { return listening_; }
  socket_address address() const noexcept { return address_; }

 private:
  listener(loop::loop& l, unique_fd fd, listener_user& user) noexcept;
  ~listener() override;

  template <class Base>
  struct owned : Base {
    listener* owner = nullptr;
  };
  static void accept_done(detail::op* self) noexcept;
  static void turn_came(detail::op* self) noexcept;
  static void pause_over(detail::op* self) noexcept;

  bool may_accept() const noexcept { return listening_ && !paused_ && !closed_ && !home_.closed(); }
  void wake() noexcept;
  void accept_some() noexcept;
  void take(std::int64_t result) noexcept;
  void wait_a_second() noexcept;

  home home_;
  int fd_;
  listener_user* user_;
  socket_address address_;
  int backlog_ = 0;
  bool listening_ = false;
  bool paused_ = false;
  bool closed_ = false;
  bool cancelling_ = false;  // accept_ was cancelled by pause()
  bool turn_scheduled_ = false;
  bool shortage_told_ = false;
  int lost_in_a_row_ = 0;  // connections that could not be accepted since one was
  owned<kernel::io_op> accept_;
  owned<detail::op> turn_;
  owned<detail::timer_op> retry_;
  sockaddr_storage peer_{};
};

}  // namespace asyncio::io
