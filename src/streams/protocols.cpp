// SPDX-License-Identifier: BSL-1.0
// What of the loop's functions for protocols has to be awaited. The rest is io/protocol_transport.hpp.
#include <asyncio/protocols.hpp>
#include <asyncio/ssl.hpp>

#include "coro/coro.hpp"
#include "coro/event_loop_impl.hpp"
#include "io/datagram_protocol_transport.hpp"
#include "io/pipe_end.hpp"
#include "io/protocol_transport.hpp"
#include "io/transport.hpp"
#include "streams/datagram_core.hpp"
#include "streams/protocol_calls.hpp"
#include "streams/stream_core.hpp"
#include "streams/waits.hpp"

#include <stdexcept>
#include <string>

namespace asyncio {

namespace streams {

namespace {

class loop_host final : public io::protocol_host {
 public:
  loop_host(event_loop& loop, const detail::counted_thing& variables) : loop_(loop.core()), variables_(variables) {}

  std::exception_ptr call(void (*f)(void*), void* argument) noexcept override {
    try {
      const detail::callback_context inside(variables_);
      f(argument);
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }
  void report(const char* message, std::exception_ptr error) noexcept override {
    if (coro::is_interrupt(error))
      coro::escape(loop_, std::move(error));
    else
      coro::report(loop_.face(), message, std::move(error));
  }

 private:
  detail::loop_core& loop_;
  detail::counted_thing variables_;
};

}  // namespace

io::host_ptr make_host(event_loop& loop, const detail::counted_thing& variables) {
  return std::make_unique<loop_host>(loop, variables);
}

}  // namespace streams

namespace detail {

namespace {

using channel_ref = io::ref<io::channel>;
using streams::make_host;

loop::loop& checked(event_loop& loop, const char* call) {
  coro::check_awaited_in(loop.core(), call);
  return loop::loop::of(loop.core());
}

/// From start() until the creator is woken: when it is cancelled in between, the connection is closed.
template <class T>
class starting {
 public:
  explicit starting(T& transport) noexcept : transport_(transport) {}
  starting(const starting&) = delete;
  starting& operator=(const starting&) = delete;
  ~starting() {
    if (!done) transport_.abort();
  }
  bool done = false;

 private:
  T& transport_;
};

// The turn in which connection_made() is called stands in the loop's queue before the one in which this goes on.
template <class T>
coroutine<std::shared_ptr<T>> wait_for_begin(std::shared_ptr<T> made) {
  starting<T> begun(*made);
  co_await streams::turn_wait();
  begun.done = true;
  co_return made;
}

std::shared_ptr<io::protocol_transport> make_transport(event_loop& loop, const protocol_factory_ptr& factory,
                                                       channel_ref channel) {
  return io::protocol_transport::make(loop::loop::of(loop.core()), std::move(channel), factory->make(factory.get()),
                                      make_host(loop, factory->variables));
}

// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs them
coroutine<std::shared_ptr<transport>> begin(event_loop& loop, protocol_factory_ptr factory, channel_ref channel) {
  const auto made = make_transport(loop, factory, std::move(channel));
  made->start();
  co_return co_await wait_for_begin<transport>(made);
}

coroutine<std::shared_ptr<transport>> connect_then(event_loop& loop, protocol_factory_ptr factory, const char* call,
                                                   coroutine<channel_ref> connecting) {
  checked(loop, call);
  channel_ref channel = co_await std::move(connecting);
  co_return co_await begin(loop, std::move(factory), std::move(channel));
}

coroutine<std::shared_ptr<transport>> adopt(event_loop& loop, protocol_factory_ptr factory, int sock) {
  loop::loop& l = checked(loop, "connect_accepted_socket()");
  io::adopt_stream_socket(sock);
  channel_ref channel = io::stream_transport::make(l, io::unique_fd(sock), io::peer_address(sock));
  co_return co_await begin(loop, std::move(factory), std::move(channel));
}

coroutine<std::shared_ptr<transport>> connect_end(event_loop& loop, protocol_factory_ptr factory, int fd, bool reads) {
  loop::loop& l = checked(loop, reads ? "connect_read_pipe()" : "connect_write_pipe()");
  const io::pipe_end_kind kind = io::adopt_pipe_end(fd);
  channel_ref channel = io::stream_transport::make_pipe(
      l, io::unique_fd(fd), reads ? io::stream_kind::pipe_to_read : io::stream_kind::pipe_to_write);
  const auto made = make_transport(loop, factory, std::move(channel));
  if (!reads) io::watch_reader(l, made, kind);  // fails while nothing has begun
  made->start(reads);
  co_return co_await wait_for_begin<transport>(made);
}

coroutine<std::shared_ptr<datagram_transport>> open_datagrams(event_loop& loop, protocol_factory_ptr factory,
                                                              streams::owned_datagram_options options) {
  loop::loop& l = checked(loop, "create_datagram_endpoint()");
  auto socket = co_await streams::open_datagram_transport(std::move(options));
  const auto made = io::datagram_protocol_transport::make(l, std::move(socket), factory->make(factory.get()),
                                                          make_host(loop, factory->variables));
  made->start();
  co_return co_await wait_for_begin<datagram_transport>(made);
}

coroutine<server> serve_then(event_loop& loop, const char* call, coroutine<server> serving) {
  checked(loop, call);
  co_return co_await std::move(serving);
}
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace

coroutine<std::shared_ptr<transport>> connect_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                       std::string_view host, int port,
                                                       const connection_options& options) {
  return connect_then(loop, std::move(factory), "create_connection()", streams::open_channel(host, port, options));
}

coroutine<std::shared_ptr<transport>> connect_unix_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                            std::string_view path, const connection_options& options) {
  return connect_then(loop, std::move(factory), "create_unix_connection()", streams::open_unix_channel(path, options));
}

coroutine<std::shared_ptr<transport>> adopt_protocol(event_loop& loop, protocol_factory_ptr factory, int sock) {
  return adopt(loop, std::move(factory), sock);
}

coroutine<std::shared_ptr<transport>> connect_pipe(event_loop& loop, protocol_factory_ptr factory, int fd, bool reads) {
  return connect_end(loop, std::move(factory), fd, reads);
}

coroutine<std::shared_ptr<datagram_transport>> open_datagram_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                                      const datagram_options& options) {
  return open_datagrams(loop, std::move(factory), streams::owned_datagram_options(options));
}

coroutine<server> serve_protocols(event_loop& loop, client_callback_ptr factory, std::string_view host, int port,
                                  server_options options) {
  return serve_then(loop, "create_server()", start_server(std::move(factory), host, port, options));
}

coroutine<server> serve_unix_protocols(event_loop& loop, client_callback_ptr factory, std::string_view path,
                                       server_options options) {
  return serve_then(loop, "create_unix_server()", start_unix_server(std::move(factory), path, options));
}

}  // namespace detail

namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it
coroutine<std::shared_ptr<transport>> secure(loop::loop& l, std::shared_ptr<io::protocol_transport> t,
                                             io::ref<detail::tls_provider> tls, io::secure_options options) {
  coro::check_awaited_in(l, "start_tls()");
  tls->check(options);
  if (!options.server_side && t->held() > 0)
    throw std::runtime_error("start_tls(): " + std::to_string(t->held()) +
                             " bytes have come in the clear and were not read");
  streams::handshake_wait shaken(t->secure(*tls, options));
  co_await detail::in_place(shaken);
  t->go_on();
  co_return t;
}

}  // namespace

coroutine<std::shared_ptr<transport>> event_loop::start_tls(transport& t, base_protocol& p, const ssl_context& context,
                                                            start_tls_options options) {
  check_thread("loop.start_tls()");
  auto* ours = dynamic_cast<io::protocol_transport*>(&t);
  if (ours == nullptr) throw std::invalid_argument("start_tls() needs a stream transport that this library has made");
  if (ours->get_protocol().get() != &p)
    throw std::invalid_argument("start_tls() goes on with the transport's own protocol: see set_protocol()");
  io::secure_options secure_as;
  secure_as.server_side = options.server_side;
  secure_as.server_hostname = std::string(options.server_hostname);
  secure_as.port = t.peername().port();
  secure_as.set_timeouts(options.ssl_handshake_timeout, options.ssl_shutdown_timeout);
  return secure(*impl_->loop, ours->shared_from_this(), io::ref<detail::tls_provider>::share(context.provider()),
                std::move(secure_as));
}

}  // namespace asyncio
