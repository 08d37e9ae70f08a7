// SPDX-License-Identifier: BSL-1.0
#include "io/secure.hpp"

#include "streams/stream_core.hpp"
#include "streams/waits.hpp"

namespace asyncio::streams {

void handshake_wait::await_suspend(std::coroutine_handle<> frame) {
  task_ = detail::awaiting_task(frame);
  detail::begin_wait(task_, this);
}

void handshake_wait::await_resume() {
  if (cancelled_) detail::throw_cancelled(task_);
  if (error_ != nullptr) std::rethrow_exception(std::move(error_));
}

bool handshake_wait::cancel_handshake(wait_base* self) noexcept {
  auto* me = static_cast<handshake_wait*>(self);
  me->give_up();
  me->cancelled_ = true;
  me->task_->wake();
  return true;
}

void handshake_wait::handshake_ended(std::exception_ptr error) noexcept {
  ended_ = true;
  error_ = std::move(error);
  if (task_->loop() != nullptr) task_->wake();  // else its loop is closed, and it will never run again
}

void handshake_wait::give_up() noexcept {
  if (std::exchange(ended_, true)) return;
  channel_->set_handshake_user(nullptr);
  channel_->abort();
}

coroutine<> secure_connection(core_ref core, io::ref<detail::tls_provider> tls, io::secure_options options) {
  handshake_wait shaken(core->secure(*tls, options));
  co_await detail::in_place(shaken);
}

}  // namespace asyncio::streams
