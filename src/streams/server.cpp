// SPDX-License-Identifier: BSL-1.0
#include <asyncio/streams.hpp>

#include "coro/resolve_wait.hpp"
#include "io/address.hpp"
#include "io/socket.hpp"
#include "streams/server_core.hpp"
#include "streams/unix_options.hpp"

#include <asyncio/async_with.hpp>
#include <asyncio/errors.hpp>

#include <stdexcept>
#include <string>

namespace asyncio {

namespace {

using streams::server_core;
using server_ref = io::ref<server_core>;

coroutine<> start(server_ref core) {
  core->start();
  co_await streams::turn_wait();
}

coroutine<> wait_until_closed(server_ref core) {
  while (!core->closed() || !core->no_connections()) co_await streams::line_wait(core->changes());
}

coroutine<> run_forever(server_ref core) {
  if (core->runs_forever) throw std::runtime_error("the server is already being awaited on serve_forever()");
  if (core->closed()) throw std::runtime_error("the server is closed");
  struct mark {
    explicit mark(bool& flag) noexcept : flag(flag) { flag = true; }
    mark(const mark&) = delete;
    ~mark() { flag = false; }
    bool& flag;
  } running(core->runs_forever);
  core->start();
  std::exception_ptr stopped;
  try {
    co_await streams::line_wait(core->forever());
  } catch (const cancelled_error&) {
    stopped = std::current_exception();
    core->close();
    core->close_clients();
  }
  if (stopped == nullptr) stopped = std::make_exception_ptr(cancelled_error("the server was closed"));
  co_await wait_until_closed(core);
  std::rethrow_exception(stopped);
}

coroutine<> wait_for_clients(server_ref core) {
  while (!core->no_clients()) co_await streams::line_wait(core->changes());
}

/// What a shutdown ends with, also when it is cancelled.
class end_of_clients {
 public:
  explicit end_of_clients(server_core& core) noexcept : core_(core) {}
  end_of_clients(const end_of_clients&) = delete;
  end_of_clients& operator=(const end_of_clients&) = delete;
  ~end_of_clients() { now(); }
  void now() noexcept {
    core_.cancel_clients();
    core_.abort_clients();
  }

 private:
  server_core& core_;
};

coroutine<> shut_down(server_ref core, timedelta grace) {
  core->close();
  end_of_clients end(*core);
  auto clients_end = [core] { return wait_for_clients(core); };
  co_await move_on_after(grace, clients_end);
  end.now();
  co_await wait_for_clients(core);
}

coroutine<> close_and_wait(server_ref core) {
  core->close();
  co_await wait_until_closed(std::move(core));
}

coroutine<> nothing() { co_return; }

/// server_options, and the context that they only refer to.
struct owned_options {
  explicit owned_options(const server_options& options)
      : given(options), tls(io::ref<detail::tls_provider>::share(options.ssl.provider())) {}
  server_options given;
  io::ref<detail::tls_provider> tls;
};

void check_common(const server_options& options) {
  if (options.limit == 0) throw std::invalid_argument("the limit of a stream must be greater than 0");
  if (options.backlog < 0) throw std::invalid_argument("backlog must not be negative");
  if ((options.ssl_handshake_timeout || options.ssl_shutdown_timeout) && !options.ssl)
    throw std::invalid_argument("ssl_handshake_timeout and ssl_shutdown_timeout are only meaningful with ssl");
}

void check(const server_options& options, const std::string& host, int port) {
  io::check_port(port);
  check_common(options);
  if (options.sock >= 0 && (port != 0 || !host.empty()))
    throw std::invalid_argument("host/port and sock can not be specified at the same time");
}

void check_unix(const server_options& options, const std::string& path) {
  using streams::refuse_for_unix;
  check_common(options);
  streams::check_unix_options(path, options.sock, options.family);
  refuse_for_unix(options.reuse_port, "reuse_port");
  refuse_for_unix(options.reuse_address.has_value(), "reuse_address");
  refuse_for_unix(options.keep_alive, "keep_alive");
}

/// Errors: std::invalid_argument for a context or times that make no sense.
streams::serve_options serving_of(const owned_options& options) {
  streams::serve_options serving;
  serving.backlog = options.given.backlog;
  serving.limit = options.given.limit;
  serving.max_connections = options.given.max_connections;
  if (!options.tls) return serving;
  serving.tls = options.tls;
  serving.secure.server_side = true;
  serving.secure.set_timeouts(options.given.ssl_handshake_timeout, options.given.ssl_shutdown_timeout);
  options.tls->check(serving.secure);
  return serving;
}

coroutine<server> listen_on(detail::client_callback_ptr handler, streams::bound_sockets bound,
                            streams::serve_options serving, bool start_serving) {
  server_ref core = server_core::make(get_running_loop(), std::move(handler), std::move(bound), std::move(serving));
  server made = server::from_core(server_ref(core).detach());
  if (start_serving) co_await start(core);
  co_return std::move(made);
}

coroutine<server> serve(detail::client_callback_ptr handler, std::string host, int port, owned_options owned) {
  const server_options& options = owned.given;
  check(options, host, port);
  streams::serve_options serving = serving_of(owned);
  streams::bound_sockets bound;
  if (options.sock >= 0) {
    io::adopt_stream_socket(options.sock);
    bound.sockets.emplace_back(options.sock);
  } else {
    const io::name_query query{host, port, options.family, true};
    io::check_query(query);
    std::vector<socket_address> addresses;
    if (auto known = io::resolve_numeric(query)) {
      addresses = std::move(*known);
    } else {
      coro::resolve_wait<io::name_query> wait(loop::loop::of(detail::running_loop()), query);
      co_await detail::in_place(wait);
      addresses = std::move(wait.answer);
    }
    bound.sockets =
        io::bind_listeners(addresses, {options.reuse_address.value_or(true), options.reuse_port, options.keep_alive});
  }
  co_return co_await listen_on(std::move(handler), std::move(bound), std::move(serving), options.start_serving);
}

coroutine<server> serve_unix(detail::client_callback_ptr handler, std::string path, owned_options owned) {
  const server_options& options = owned.given;
  check_unix(options, path);
  streams::serve_options serving = serving_of(owned);
  streams::bound_sockets bound;
  if (options.sock >= 0) {
    io::adopt_unix_socket(options.sock);
    bound.sockets.emplace_back(options.sock);
  } else {
    const socket_address address = socket_address::unix_path(path);
    bound.sockets = io::bind_listeners({&address, 1}, {.reuse_address = false});
  }
  if (options.cleanup_socket) bound.file = io::socket_file::at(io::local_address(bound.sockets.front().get()));
  co_return co_await listen_on(std::move(handler), std::move(bound), std::move(serving), options.start_serving);
}

}  // namespace

namespace detail {

coroutine<server> start_server(client_callback_ptr handler, std::string_view host, int port, server_options options) {
  return serve(std::move(handler), std::string(host), port, owned_options(options));
}

coroutine<server> start_unix_server(client_callback_ptr handler, std::string_view path, server_options options) {
  return serve_unix(std::move(handler), std::string(path), owned_options(options));
}

}  // namespace detail

server& server::operator=(server&& other) noexcept {
  server taken(std::move(other));
  std::swap(core_, taken.core_);
  return *this;
}

server::~server() {
  if (core_ == nullptr) return;
  core_->close();
  core_->release();
}

server_core& server::core(const char* call) const {
  if (core_ == nullptr) throw std::runtime_error(std::string(call) + ": the server was moved away");
  core_->check_thread(call);
  return *core_;
}

coroutine<> server::serve_forever() { return run_forever(server_ref::share(&core("server.serve_forever()"))); }
coroutine<> server::start_serving() { return start(server_ref::share(&core("server.start_serving()"))); }
bool server::is_serving() const { return core("server.is_serving()").serving(); }
void server::close() { core("server.close()").close(); }
coroutine<> server::wait_closed() { return wait_until_closed(server_ref::share(&core("server.wait_closed()"))); }
void server::close_clients() { core("server.close_clients()").close_clients(); }
void server::abort_clients() { core("server.abort_clients()").abort_clients(); }
coroutine<> server::shutdown(timedelta grace) {
  return shut_down(server_ref::share(&core("server.shutdown()")), grace);
}
std::vector<socket_address> server::sockets() const { return core("server.sockets()").sockets(); }
int server::port() const { return core("server.port()").port(); }
event_loop& server::get_loop() const { return core("server.get_loop()").loop(); }
coroutine<> server::aenter() { return nothing(); }
coroutine<> server::aexit(std::exception_ptr error) {
  const server_ref core = server_ref::share(&this->core("server.aexit()"));
  return error == nullptr ? close_and_wait(core) : shut_down(core, {});
}

}  // namespace asyncio
