// SPDX-License-Identifier: BSL-1.0
#include "io/listener.hpp"

#include "io/address.hpp"

#include <new>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {

constexpr std::chrono::seconds shortage_pause{1};

/// The connection died before it was accepted, or the network had something to say about it: accept(2), "Error handling".
bool concerns_one_connection(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT: return true;
    default: return false;
  }
}

bool is_shortage(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == ENOSPC;
}

}  // namespace

ref<listener> listener::make(loop::loop& l, unique_fd fd, listener_user& user) {
  return ref<listener>::adopt(new listener(l, std::move(fd), user));
}

listener::listener(loop::loop& l, unique_fd fd, listener_user& user) noexcept
    : home_(l), fd_(fd.release()), user_(&user), address_(local_address(fd_)) {
  accept_.owner = turn_.owner = retry_.owner = this;
  accept_.kind = kernel::io_kind::accept;
  accept_.fd = fd_;
  accept_.address = &peer_;
  accept_.done = &listener::accept_done;
  turn_.done = &listener::turn_came;
  retry_.done = &listener::pause_over;
}

listener::~listener() {
  if (fd_ >= 0) sys::close(fd_);
}

void listener::start(int backlog) {
  if (listening_ || closed_) return;
  start_listening(fd_, backlog);
  if (address_.port() == 0) address_ = local_address(fd_);  // listening gave an unbound socket its port
  listening_ = true;
  backlog_ = backlog;
  wake();
}

void listener::pause() noexcept {
  paused_ = true;
  if (!accept_.in_flight || home_.closed()) return;
  cancelling_ = true;
  home_.get().cancel(accept_);
}

void listener::resume() noexcept {
  paused_ = false;
  wake();
}

void listener::wake() noexcept {
  if (!may_accept() || accept_.in_flight || retry_.armed() || turn_scheduled_) return;
  turn_scheduled_ = true;
  retain();
  home_.get().post(&turn_);
}

void listener::turn_came(detail::op* self) noexcept {
  listener* me = static_cast<owned<detail::op>*>(self)->owner;
  me->turn_scheduled_ = false;
  me->accept_some();
  me->release();
}

void listener::accept_some() noexcept {
  for (int left = backlog_; left >= 0; --left) {
    if (!may_accept() || accept_.in_flight || retry_.armed()) return;
    if (!home_.get().start(accept_)) {
      retain();
      return;
    }
    take(accept_.result);
  }
  wake();
}

void listener::accept_done(detail::op* self) noexcept {
  listener* me = static_cast<owned<kernel::io_op>*>(self)->owner;
  me->take(me->accept_.result);
  me->accept_some();
  me->release();
}

void listener::take(std::int64_t result) noexcept {
  if (result >= 0) {
    unique_fd fd(static_cast<int>(result));
    if (closed_ || home_.closed()) return;
    shortage_told_ = false;
    lost_in_a_row_ = 0;
    user_->accepted(std::move(fd), address_of(&peer_, accept_.address_size));
    return;
  }
  const int error = static_cast<int>(-result);
  if (error == ECANCELED) {
    if (!std::exchange(cancelling_, false)) closed_ = true;  // by the end of the loop
    return;
  }
  if (closed_) return;
  const bool one = concerns_one_connection(error);
  if (one && ++lost_in_a_row_ <= backlog_) return;  // more than that at a stretch are no accident
  if (!one && !is_shortage(error)) {
    close();  // who would connect to it is told so, rather than left waiting
    user_->accept_failed(error, true);
    return;
  }
  lost_in_a_row_ = 0;
  wait_a_second();
  if (!std::exchange(shortage_told_, true)) user_->accept_failed(error, false);
}

void listener::wait_a_second() noexcept {
  loop::loop& l = home_.get();
  retry_.deadline = l.now() + shortage_pause;
  try {
    l.add_timer(retry_);
    retain();
  } catch (const std::bad_alloc&) {
    closed_ = true;  // not even that: the server can only be closed
  }
}

void listener::pause_over(detail::op* self) noexcept {
  listener* me = static_cast<owned<detail::timer_op>*>(self)->owner;
  if (!me->home_.closed() && !me->home_.get().closing()) me->accept_some();
  me->release();
}

// The descriptor may be closed at once: after forget() no system call is made on it, and the op's memory is ours until
// its done.
void listener::close() noexcept {
  closed_ = true;
  listening_ = false;
  if (fd_ < 0) return;
  bool was_waiting = false;
  if (!home_.closed()) {
    loop::loop& l = home_.get();
    l.forget(fd_);
    was_waiting = retry_.armed();
    if (was_waiting) l.remove_timer(retry_);
  }
  sys::close(std::exchange(fd_, -1));
  if (was_waiting) release();
}

}  // namespace asyncio::io
