// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/dns.hpp"
#include "io/io.hpp"
#include "io/socket.hpp"

#include <asyncio/net.hpp>
#include <asyncio/time.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace asyncio::io {

struct connect_query {
  name_query remote;
  std::optional<name_query> local;
  std::optional<timedelta> delay;              ///< how long an attempt is alone; nullopt: until it failed
  std::size_t first_family_count = 1;          ///< 0: the addresses in the order of the resolver
  std::optional<socket_address> address = {};  ///< the one to connect to, instead of `remote`
};

/// The order of RFC 8305: families take turns, after `first_count` addresses of the first one's.
std::vector<socket_address> interleave(std::vector<socket_address> addresses, std::size_t first_count);

/// One connection on its way: resolves, then tries the addresses in order, each after the one before it has failed or
/// been silent for `delay`; the first that connects wins, the others are closed. A Unix server whose backlog is full is
/// tried until it has room, as a blocking connect() waits for that.
class connector final : public counted {
 public:
  /// Called in the loop's thread, once, never from inside start(): a connected socket, or an error.
  using callback = void (*)(void* context, unique_fd fd, const socket_address& peer, std::exception_ptr error) noexcept;

  /// `query` was checked. Errors: std::system_error, std::bad_alloc.
  static ref<connector> start(loop::loop& l, connect_query query, callback then, void* context);
  /// The connection is not wanted any more: the callback will not come, all attempts are closed. Idempotent.
  void cancel() noexcept;

 private:
  struct attempt : kernel::io_op {
    connector* owner = nullptr;
    socket_address target;
    unique_fd socket;
  };
  struct failure {
    int error;
    std::string text;
  };
  template <class Base>
  struct owned : Base {
    connector* owner = nullptr;
  };

  connector(loop::loop& l, connect_query query, callback then, void* context)
      : home_(l), query_(std::move(query)), then_(then), context_(context) {}
  ~connector() override = default;

  void begin();
  static void begin_now(detail::op* self) noexcept;
  static void remote_found(void* self, std::vector<socket_address> addresses, std::exception_ptr error) noexcept;
  static void local_found(void* self, std::vector<socket_address> addresses, std::exception_ptr error) noexcept;
  static void attempt_done(detail::op* self) noexcept;
  static void delay_over(detail::op* self) noexcept;

  void names_known() noexcept;
  void start_next() noexcept;
  bool start_attempt(attempt& a);
  void settle(attempt& a, std::int64_t result) noexcept;
  void wait_for_room(attempt& a) noexcept;
  void bind_local(attempt& a) const;
  void arm_delay(timedelta delay);
  void disarm_delay() noexcept;
  void close(attempt& a) noexcept;
  void stop_everything() noexcept;
  void finish(unique_fd fd, const socket_address& peer, std::exception_ptr error) noexcept;
  std::exception_ptr combined_error() const;

  home home_;
  connect_query query_;
  callback then_;  // null: nobody waits any more
  void* context_;
  name_lookup* remote_lookup_ = nullptr;
  name_lookup* local_lookup_ = nullptr;
  std::vector<socket_address> local_addresses_;
  std::unique_ptr<attempt[]> attempts_;
  std::size_t attempt_count_ = 0;
  std::size_t next_attempt_ = 0;
  std::size_t in_flight_ = 0;
  std::vector<failure> failures_;
  room_delay room_delay_;
  owned<detail::op> begin_;
  owned<detail::timer_op> delay_;
};

}  // namespace asyncio::io
