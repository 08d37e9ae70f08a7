// SPDX-License-Identifier: BSL-1.0
#include <asyncio/async_generator.hpp>

#include "coro/coro.hpp"
#include "coro/event_loop_impl.hpp"

#include <asyncio/sleep.hpp>

#include <stdexcept>

namespace asyncio::detail {

namespace {

generator_link*& generators_of(const generator_link& link) noexcept {
  return link.core->home->loop()->face()->state().generators;
}

}  // namespace

void link_generator(generator_link& link) noexcept {
  link.core->home = &here.loop->box();
  link.core->home->add_user_of_owner();
  generator_link*& first = generators_of(link);
  if (first == nullptr) {
    first = link.prev = link.next = &link;
    return;
  }
  link.next = first;
  link.prev = first->prev;
  link.prev->next = first->prev = &link;
}

// A generator may outlive its loop: then there is no list any more.
void unlink_generator(generator_link& link) noexcept {
  inbox* home = std::exchange(link.core->home, nullptr);
  if (loop_core* loop = home->loop()) {
    generator_link*& first = loop->face()->state().generators;
    if (link.next == &link) {
      first = nullptr;
    } else {
      link.prev->next = link.next;
      link.next->prev = link.prev;
      if (first == &link) first = link.next;
    }
  }
  link.prev = link.next = nullptr;
  home->drop_user();
}

void throw_generator_running() { throw std::runtime_error("the asynchronous generator is already running"); }
void throw_sent_too_early() {
  throw std::runtime_error("asend() to an asynchronous generator that has not begun: call next() first");
}
void throw_ignored_exit() { throw std::runtime_error("the asynchronous generator ignored generator_exit"); }
void throw_not_yielded() { throw std::runtime_error("the generator of a context_manager did not yield"); }
void throw_yielded_twice() { throw std::runtime_error("the generator of a context_manager did not stop"); }

}  // namespace asyncio::detail

namespace asyncio {

// They are closed one after another: each that ends, or is closed, leaves the list, and closing one may end others.
// What one throws keeps no other open; a cancellation is an end like any other, unless it is the caller's own.
coroutine<> event_loop::shutdown_asyncgens() {
  check_thread("loop.shutdown_asyncgens()");
  while (impl_->generators != nullptr) {
    detail::generator_link* oldest = impl_->generators;
    std::exception_ptr error;
    try {
      co_await oldest->close(oldest);
    } catch (...) {
      error = std::current_exception();
    }
    if (impl_->generators == oldest) detail::unlink_generator(*oldest);
    const bool cancelled = coro::is_cancellation(error);
    if (coro::is_interrupt(error) || (cancelled && detail::own_cancellation())) std::rethrow_exception(error);
    if (error != nullptr && !cancelled)
      coro::report(this, "an error occurred while closing an asynchronous generator", error);
  }
}

namespace coro {

void close_generators(event_loop& loop) {
  if (loop.state().generators != nullptr) loop.run_until_complete(loop.shutdown_asyncgens());
}

}  // namespace coro
}  // namespace asyncio
