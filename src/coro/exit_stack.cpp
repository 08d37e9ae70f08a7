// SPDX-License-Identifier: BSL-1.0
#include <asyncio/async_with.hpp>

#include "base/log.hpp"

#include <memory>

namespace asyncio {

async_exit_stack::~async_exit_stack() {
  if (top_ != nullptr) base::log(log_level::warning, "an async_exit_stack was destroyed before it was closed");
  while (top_ != nullptr) delete std::exchange(top_, top_->below);
}

// `error` is what the entries still to come are told: the body's exception, until an entry handles it or throws another.
coroutine<bool> async_exit_stack::aexit(std::exception_ptr error) {
  const std::exception_ptr of_body = error;
  while (top_ != nullptr) {
    const std::unique_ptr<detail::exit_entry> entry(std::exchange(top_, top_->below));
    try {
      const bool handled = co_await entry->leave(error);
      if (handled) error = nullptr;
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (error != nullptr && error != of_body) std::rethrow_exception(error);
  co_return error == nullptr&& of_body != nullptr;
}

coroutine<> async_exit_stack::aclose() { co_await aexit(nullptr); }

}  // namespace asyncio
