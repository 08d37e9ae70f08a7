// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/listener.hpp"
#include "io/protocol_host.hpp"
#include "io/socket_file.hpp"
#include "streams/stream_core.hpp"

#include <asyncio/event_loop.hpp>
#include <asyncio/streams.hpp>
#include <asyncio/task.hpp>

#include <memory>
#include <vector>

namespace asyncio::streams {

/// What a server listens on. `file` is a Unix socket's.
struct bound_sockets {
  std::vector<io::unique_fd> sockets;
  io::socket_file file;
};

/// What of server_options matters after the sockets are bound.
struct serve_options {
  int backlog = 100;
  std::size_t limit = 64 * 1024;
  std::size_t max_connections = 0;
  io::ref<detail::tls_provider> tls = {};  // null: in the clear
  io::secure_options secure = {};
};

/// A server: its listeners, its handler, its clients. The handle has a reference, and each client that has not ended:
/// that is, whose connection is not yet lost, or whose task is not yet done. With TLS a client's task begins after its handshake, which
/// keeps nobody else waiting; one that fails ends that connection, and is reported in debug mode only, as in Python. When the loop is closed, all of them end.
class server_core final : public io::counted, private io::listener_user {
 public:
  /// Errors: std::bad_alloc.
  static io::ref<server_core> make(event_loop& loop, detail::client_callback_ptr handler, bound_sockets bound,
                                   serve_options options);

  /// Errors: std::runtime_error in a thread that is not the loop's.
  void check_thread(const char* call) const;

  /// Errors: std::runtime_error when closed; std::system_error.
  void start();
  void close() noexcept;
  bool closed() const noexcept { return closed_; }
  bool serving() const noexcept { return serving_ && !closed_; }
  std::vector<socket_address> sockets() const;
  int port() const noexcept { return port_; }
  event_loop& loop() const noexcept { return *loop_; }

  void close_clients() noexcept;
  void abort_clients() noexcept;
  void cancel_clients();
  /// No connection of a client is open.
  bool no_connections() const noexcept { return connections_ == 0; }
  /// And no client's task runs.
  bool no_clients() const noexcept { return clients_ == nullptr; }

  /// Woken when the server is closed, a connection is lost, a client ended.
  wait_line& changes() noexcept { return changes_; }
  /// serve_forever() waits here.
  wait_line& forever() noexcept { return forever_; }
  bool runs_forever = false;

 private:
  struct client;
  struct loop_end : detail::close_hook {
    server_core* owner = nullptr;
  };

  server_core(event_loop& loop, detail::client_callback_ptr handler, serve_options options) noexcept;
  ~server_core() override;
  static void loop_closes(detail::close_hook* self) noexcept;

  void accepted(io::unique_fd fd, const socket_address& peer) noexcept override;
  void accept_failed(int error, bool for_good) noexcept override;
  void add_client(io::unique_fd fd, const socket_address& peer);
  void serve(client* c) noexcept;
  void begin_handshake(client* c) noexcept;
  void connection_lost() noexcept;
  void end_client(client* c) noexcept;
  void serve_by_protocol(client* c) noexcept;
  void report_failure(const client& c, const std::exception_ptr& error) noexcept;
  void throttle() noexcept;

  event_loop* loop_;
  io::home home_;
  loop_end loop_end_;
  detail::client_callback_ptr handler_;
  const serve_options options_;
  std::vector<io::ref<io::listener>> listeners_;
  io::socket_file file_;
  int port_ = 0;
  bool serving_ = false;
  bool closed_ = false;
  bool throttled_ = false;
  std::size_t connections_ = 0;
  client* clients_ = nullptr;
  wait_line changes_;
  wait_line forever_;
};

}  // namespace asyncio::streams
