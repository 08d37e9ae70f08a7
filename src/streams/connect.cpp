// SPDX-License-Identifier: BSL-1.0
#include <asyncio/streams.hpp>

#include "io/address.hpp"
#include "io/transport.hpp"
#include "streams/stream_core.hpp"
#include "streams/unix_options.hpp"
#include "streams/waits.hpp"

#include <stdexcept>
#include <string>

namespace asyncio {

namespace streams {

void connect_wait::await_suspend(std::coroutine_handle<> frame) {
  task_ = detail::awaiting_task(frame);
  cancel = &connect_wait::cancel_connect;
  connector_ = io::connector::start(*loop_, std::move(query_), &connect_wait::connected, this);
  detail::begin_wait(task_, this);
}

void connect_wait::await_resume() {
  connector_ = {};
  if (cancelled_) detail::throw_cancelled(task_);
  if (error_ != nullptr) std::rethrow_exception(std::move(error_));
}

bool connect_wait::cancel_connect(wait_base* self) noexcept {
  auto* me = static_cast<connect_wait*>(self);
  me->connector_->cancel();
  me->cancelled_ = true;
  me->task_->wake();
  return true;
}

void connect_wait::connected(void* self, io::unique_fd fd, const socket_address& peer,
                             std::exception_ptr error) noexcept {
  auto* me = static_cast<connect_wait*>(self);
  me->fd = std::move(fd);
  me->peer = peer;
  me->error_ = std::move(error);
  me->task_->wake();
}

}  // namespace streams

namespace {

/// connection_options, with everything that they look at.
struct owned_options {
  explicit owned_options(const connection_options& options)
      : server_hostname(options.server_hostname),
        local_host(options.local_addr.host),
        limit(options.limit),
        family(options.family),
        local_port(options.local_addr.port),
        happy_eyeballs_delay(options.happy_eyeballs_delay),
        interleave(options.interleave),
        tls(io::ref<detail::tls_provider>::share(options.ssl.provider())),
        ssl_handshake_timeout(options.ssl_handshake_timeout),
        ssl_shutdown_timeout(options.ssl_shutdown_timeout),
        sock(options.sock) {}

  std::string server_hostname;
  std::string local_host;
  std::size_t limit;
  address_family family;
  int local_port;
  std::optional<timedelta> happy_eyeballs_delay;
  std::optional<int> interleave;
  io::ref<detail::tls_provider> tls;
  std::optional<timedelta> ssl_handshake_timeout;
  std::optional<timedelta> ssl_shutdown_timeout;
  int sock;
};

void check_common(const owned_options& options) {
  if (options.limit == 0) throw std::invalid_argument("the limit of a stream must be greater than 0");
  if (options.tls) return;
  if (!options.server_hostname.empty()) throw std::invalid_argument("server_hostname is only meaningful with ssl");
  if (options.ssl_handshake_timeout || options.ssl_shutdown_timeout)
    throw std::invalid_argument("ssl_handshake_timeout and ssl_shutdown_timeout are only meaningful with ssl");
}

void check(const owned_options& options, const std::string& host, int port) {
  check_common(options);
  const bool named = !host.empty() || port != 0;
  if (named && options.sock >= 0)
    throw std::invalid_argument("host/port and sock can not be specified at the same time");
  if (!named && options.sock < 0) throw std::invalid_argument("host and port was not specified and no sock specified");
  if (options.tls && host.empty() && options.server_hostname.empty())
    throw std::invalid_argument("ssl needs a server_hostname when there is no host");
  if (options.interleave && *options.interleave < 0) throw std::invalid_argument("interleave must not be negative");
}

void check_unix(const owned_options& options, const std::string& path) {
  using streams::refuse_for_unix;
  check_common(options);
  streams::check_unix_options(path, options.sock, options.family);
  refuse_for_unix(!options.local_host.empty() || options.local_port != 0, "local_addr");
  refuse_for_unix(options.happy_eyeballs_delay != connection_options{}.happy_eyeballs_delay, "happy_eyeballs_delay");
  refuse_for_unix(options.interleave.has_value(), "interleave");
  if (options.tls && options.server_hostname.empty())
    throw std::invalid_argument("ssl needs a server_hostname for a Unix socket");
}

/// The client's side of TLS. Errors: std::invalid_argument.
io::secure_options secure_options_of(const owned_options& options, const std::string& host, int port) {
  io::secure_options secure;
  secure.server_hostname = options.server_hostname.empty() ? host : options.server_hostname;
  secure.port = port;
  secure.set_timeouts(options.ssl_handshake_timeout, options.ssl_shutdown_timeout);
  options.tls->check(secure);
  return secure;
}

io::connect_query query_of(const owned_options& options, std::string host, int port) {
  io::connect_query query;
  query.remote = {std::move(host), port, options.family, false};
  io::check_query(query.remote);
  query.delay = options.happy_eyeballs_delay;
  const int fallback = options.happy_eyeballs_delay ? 1 : 0;
  query.first_family_count = static_cast<std::size_t>(options.interleave.value_or(fallback));
  if (!options.local_host.empty() || options.local_port != 0) {
    query.local = io::name_query{options.local_host, options.local_port, options.family, true};
    io::check_query(*query.local);
  }
  return query;
}

/// A socket that is connected, from the query or adopted, and then TLS over it if there is to be some.
coroutine<streams::core_ref> connect_by(io::connect_query query, int sock, owned_options options,
                                        io::secure_options secure) {
  loop::loop& l = loop::loop::of(detail::running_loop());
  io::ref<io::channel> channel;
  if (sock >= 0) {
    channel = io::stream_transport::make(l, io::unique_fd(sock), io::peer_address(sock));
  } else {
    streams::connect_wait wait(l, std::move(query));
    co_await detail::in_place(wait);
    channel = io::stream_transport::make(l, std::move(wait.fd), wait.peer);
  }
  streams::core_ref core = streams::stream_core::make(std::move(channel), options.limit);
  if (options.tls) co_await streams::secure_connection(core, options.tls, std::move(secure));
  co_return core;
}

coroutine<streams::core_ref> connect(std::string host, int port, owned_options options) {
  check(options, host, port);
  io::secure_options secure;
  if (options.tls) secure = secure_options_of(options, host, port);
  io::connect_query query;
  if (options.sock < 0)
    query = query_of(options, std::move(host), port);
  else
    io::adopt_stream_socket(options.sock);
  co_return co_await connect_by(std::move(query), options.sock, options, std::move(secure));
}

coroutine<streams::core_ref> connect_unix(std::string path, owned_options options) {
  check_unix(options, path);
  io::secure_options secure;
  if (options.tls) secure = secure_options_of(options, {}, 0);
  io::connect_query query;
  if (options.sock < 0)
    query.address = socket_address::unix_path(path);
  else
    io::adopt_unix_socket(options.sock);
  co_return co_await connect_by(std::move(query), options.sock, options, std::move(secure));
}

coroutine<connection> open(std::string host, int port, owned_options options) {
  streams::core_ref core = co_await connect(std::move(host), port, std::move(options));
  co_return streams::make_connection(std::move(core));
}

coroutine<connection> open_unix(std::string path, owned_options options) {
  streams::core_ref core = co_await connect_unix(std::move(path), std::move(options));
  co_return streams::make_connection(std::move(core));
}

/// The core has only connected: nothing was read.
coroutine<io::ref<io::channel>> take_channel(coroutine<streams::core_ref> connecting) {
  const streams::core_ref core = co_await std::move(connecting);
  co_return io::ref<io::channel>::share(core->channel());
}

}  // namespace

coroutine<connection> open_connection(std::string_view host, int port, connection_options options) {
  return open(std::string(host), port, owned_options(options));
}

coroutine<connection> open_unix_connection(std::string_view path, connection_options options) {
  return open_unix(std::string(path), owned_options(options));
}

namespace streams {

coroutine<io::ref<io::channel>> open_channel(std::string_view host, int port, const connection_options& options) {
  return take_channel(connect(std::string(host), port, owned_options(options)));
}

coroutine<io::ref<io::channel>> open_unix_channel(std::string_view path, const connection_options& options) {
  return take_channel(connect_unix(std::string(path), owned_options(options)));
}

}  // namespace streams
}  // namespace asyncio
