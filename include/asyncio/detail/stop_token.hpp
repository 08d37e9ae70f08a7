// SPDX-License-Identifier: BSL-1.0
#pragma once
// The name std::stop_token without its header, which would cost every file that includes us a sixth of what all the rest
// does. Who writes a function that takes one includes <stop_token>. Where the standard library's names stand in a namespace
// of their version, <stop_token> it is.
#include <cstddef>
#if defined(__GLIBCXX__) && !_GLIBCXX_INLINE_VERSION
namespace std {  // NOLINT(cert-dcl58-cpp): where it is declared
class stop_token;
}  // namespace std
#else
#include <stop_token>
#endif

namespace asyncio::detail {

/// What asks a call in another thread to stop: a std::stop_source, or none.
class stop_flag {
 public:
  explicit stop_flag(bool wanted);
  stop_flag(const stop_flag&) = delete;
  stop_flag& operator=(const stop_flag&) = delete;
  ~stop_flag();
  /// If it was wanted.
  const std::stop_token& token() const noexcept;
  /// Calls the stop callbacks that were registered, in this thread. Nothing when it was not wanted.
  void request() const noexcept;

 private:
  struct state;
  state* state_;
};

}  // namespace asyncio::detail
