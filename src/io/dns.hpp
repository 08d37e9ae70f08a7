// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/io.hpp"
#include "threads/blocking_pool.hpp"

#include <asyncio/net.hpp>

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::io {

/// What is asked: the stream addresses of a host. An empty host: this machine, or with `passive` all its interfaces.
struct name_query {
  std::string host;
  int port = 0;
  address_family family = address_family::unspecified;
  bool passive = false;
};

/// Errors: std::invalid_argument for a port out of range, and for what cannot be a host name: longer than 253 bytes, a
/// label longer than 63, a NUL or a byte beyond ASCII inside.
void check_query(const name_query& query);

/// The answer when no resolver is needed for it, that is, for an address in numbers.
std::optional<std::vector<socket_address>> resolve_numeric(const name_query& query);

/// One name on its way through getaddrinfo(3), in a thread of the resolver's pool (4 for the whole process, so that
/// hung lookups do not stop other blocking work). It frees itself.
class lookup final : private threads::job {
 public:
  /// Called in the loop's thread, once, with either addresses (at least one, each once) or an error: gai_error,
  /// std::system_error, std::bad_alloc.
  using callback = void (*)(void* context, std::vector<socket_address> addresses, std::exception_ptr error) noexcept;

  /// `query` was checked; `context` is `keeper` in the shape that `then` wants, and stays alive until the answer has
  /// been given or is not wanted. Errors: std::system_error when no thread can be started.
  static lookup* start(loop::loop& l, name_query query, callback then, void* context, counted* keeper);
  /// The answer is not wanted any more; a query that is under way in the resolver ends there unheard. Only while the
  /// callback has not come and the loop is not closed: the loop's end ends the lookup by itself.
  void abandon() noexcept;

 private:
  lookup(name_query query, callback then, void* context, counted* keeper)
      : query_(std::move(query)), then_(then), context_(context), keeper_(ref<counted>::share(keeper)) {}
  ~lookup() = default;

  static lookup* of(threads::job* job) noexcept { return static_cast<lookup*>(job); }
  void resolve();
  void answer() noexcept;

  const name_query query_;
  const callback then_;
  void* const context_;
  ref<counted> keeper_;  // null: abandoned
  std::vector<socket_address> addresses_;
  std::exception_ptr error_;
};

}  // namespace asyncio::io
