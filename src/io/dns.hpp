// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/io.hpp"
#include "threads/blocking_pool.hpp"

#include <asyncio/net.hpp>

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio::io {

/// What is asked: the addresses of a host, at least one, each once. An empty host: this machine, or with `passive` all its
/// interfaces.
struct name_query {
  using answer = std::vector<socket_address>;
  std::string host;
  int port = 0;
  address_family family = address_family::unspecified;
  bool passive = false;
  int type = SOCK_STREAM;  ///< SOCK_…; 0: any
  int protocol = 0;
  int flags = 0;  ///< AI_…, beside those that follow from the rest
};

/// What is asked: the names of an IP address and of its port.
struct reverse_query {
  using answer = std::pair<std::string, std::string>;
  socket_address address;
  int flags = 0;  ///< NI_…
};

/// Errors: std::invalid_argument for a port out of range, and for what cannot be a host name: longer than 253 bytes, a
/// label longer than 63, a NUL or a byte beyond ASCII inside.
void check_query(const name_query& query);
/// Errors: std::invalid_argument for an address of another family.
void check_query(const reverse_query& query);

/// The answer when no resolver is needed for it, that is, for an address in numbers.
std::optional<name_query::answer> resolve_numeric(const name_query& query);
std::optional<reverse_query::answer> resolve_numeric(const reverse_query& query);

/// One question on its way through getaddrinfo(3) or getnameinfo(3), in a thread of the resolver's pool (4 for the whole
/// process, so that hung lookups do not stop other blocking work). It frees itself.
template <class Query>
class lookup final : private threads::job {
 public:
  using answer = typename Query::answer;
  /// Called in the loop's thread, once, with either an answer or an error: gai_error, std::system_error, std::bad_alloc.
  using callback = void (*)(void* context, answer found, std::exception_ptr error) noexcept;

  /// `query` was checked; `context` is `keeper` in the shape that `then` wants, and stays alive until the answer has
  /// been given or is not wanted. Errors: std::system_error when no thread can be started.
  static lookup* start(loop::loop& l, Query query, callback then, void* context, counted* keeper);
  /// The answer is not wanted any more; a query that is under way in the resolver ends there unheard. Only while the
  /// callback has not come and the loop is not closed: the loop's end ends the lookup by itself.
  void abandon() noexcept;

 private:
  lookup(Query query, callback then, void* context, counted* keeper)
      : query_(std::move(query)), then_(then), context_(context), keeper_(ref<counted>::share(keeper)) {}
  ~lookup() = default;

  static lookup* of(threads::job* job) noexcept { return static_cast<lookup*>(job); }
  void give_answer() noexcept;

  const Query query_;
  const callback then_;
  void* const context_;
  ref<counted> keeper_;  // null: abandoned
  answer found_;
  std::exception_ptr error_;
};

extern template class lookup<name_query>;
extern template class lookup<reverse_query>;
using name_lookup = lookup<name_query>;
using reverse_lookup = lookup<reverse_query>;

}  // namespace asyncio::io
