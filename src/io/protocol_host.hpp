// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/transports.hpp>

#include <exception>
#include <memory>

namespace asyncio::io {

/// How callbacks of a protocol are called: the language above says in which context, and who hears of what they throw.
class protocol_host {
 public:
  protocol_host() = default;
  protocol_host(const protocol_host&) = delete;
  protocol_host& operator=(const protocol_host&) = delete;
  virtual ~protocol_host() = default;

  /// Calls f(argument). Null: it has returned; else what it threw.
  virtual std::exception_ptr call(void (*f)(void*), void* argument) noexcept = 0;
  /// Tells whoever wants to know of `error`. May end the loop's run, when it is one that asks for that.
  virtual void report(const char* message, std::exception_ptr error) noexcept = 0;

  template <class F>
  std::exception_ptr call(F f) noexcept {
    return call([](void* argument) { (*static_cast<F*>(argument))(); }, &f);
  }
};

/// Each transport has one of its own, made where the transport is.
using host_ptr = std::unique_ptr<protocol_host>;

/// Who hears that a transport's connection is gone, after its protocol.
class transport_observer {
 public:
  virtual void connection_lost() noexcept = 0;

 protected:
  ~transport_observer() = default;
};

}  // namespace asyncio::io
