// SPDX-License-Identifier: BSL-1.0
#include <asyncio/streams.hpp>

#include "io/address.hpp"
#include "streams/stream_core.hpp"
#include "streams/waits.hpp"

#include <asyncio/errors.hpp>
#include <asyncio/ssl.hpp>

#include <stdexcept>

namespace asyncio {

namespace {

using streams::core_ref;
using streams::stream_core;

coroutine<> wait_for_close(core_ref core) {
  while (!core->lost()) co_await core->wait_for_loss();
  if (core->lost_error() != nullptr) std::rethrow_exception(core->lost_error());
}

/// What came in the clear is not what the peer says under TLS, whoever sent it.
void check_before_tls(const stream_core& core, bool server_side, std::size_t unread) {
  if (core.somebody_reads())
    throw std::runtime_error("start_tls() called while another coroutine is waiting for incoming data");
  if (!server_side && unread > 0)
    throw ssl_error(make_error_code(ssl_errc::failed),
                    "start_tls(): " + std::to_string(unread) + " bytes have come in the clear and were not read");
}

coroutine<> upgrade(core_ref core, io::ref<detail::tls_provider> tls, io::secure_options options,
                    std::optional<timedelta> handshake_timeout, std::optional<timedelta> shutdown_timeout) {
  options.set_timeouts(handshake_timeout, shutdown_timeout);
  tls->check(options);
  check_before_tls(*core, options.server_side, core->input().size());
  co_await drain_operation(core_ref(core).detach());
  if (core->lost()) core->throw_lost();
  check_before_tls(*core, options.server_side, core->input().size());
  co_await streams::secure_connection(std::move(core), std::move(tls), std::move(options));
}

coroutine<> nothing() { co_return; }

/// The body's error goes before one of the closing.
coroutine<> close_after(core_ref core, std::exception_ptr error) {
  core->channel()->close();
  while (!core->lost()) co_await core->wait_for_loss();
  if (error == nullptr && core->lost_error() != nullptr) std::rethrow_exception(core->lost_error());
}

}  // namespace

stream_writer& stream_writer::operator=(stream_writer&& other) noexcept {
  stream_writer taken(std::move(other));
  std::swap(core_, taken.core_);
  return *this;
}

stream_writer::~stream_writer() {
  if (core_ == nullptr) return;
  core_->channel()->close();
  core_->release();
}

stream_core& stream_writer::core(const char* call) const {
  if (core_ == nullptr) throw std::runtime_error(std::string(call) + ": the stream_writer was moved away");
  core_->check_thread(call);
  return *core_;
}

void stream_writer::write(bytes_view data) { core("stream_writer.write()").channel()->write(std::string_view(data)); }

void stream_writer::write_string(std::string&& data) {
  core("stream_writer.write()").channel()->write(std::move(data));
}

drain_operation stream_writer::drain() {
  return drain_operation(core_ref::share(&core("stream_writer.drain()")).detach());
}

write_operation stream_writer::write_all(bytes_view data) {
  return write_string_all(std::string(std::string_view(data)));
}

write_operation stream_writer::write_string_all(std::string&& data) {
  return write_operation(core_ref::share(&core("stream_writer.write_all()")).detach(), std::move(data));
}

void stream_writer::write_eof() {
  io::channel& channel = *core("stream_writer.write_eof()").channel();
  if (!channel.can_write_eof()) throw std::runtime_error("write_eof() is not supported under TLS: close() ends it");
  channel.write_eof();
}
bool stream_writer::can_write_eof() const { return core("stream_writer.can_write_eof()").channel()->can_write_eof(); }
void stream_writer::close() { core("stream_writer.close()").channel()->close(); }
void stream_writer::abort() { core("stream_writer.abort()").channel()->abort(); }
bool stream_writer::is_closing() const { return core("stream_writer.is_closing()").channel()->closing(); }

coroutine<> stream_writer::wait_closed() {
  return wait_for_close(core_ref::share(&core("stream_writer.wait_closed()")));
}

coroutine<> stream_writer::aclose() { return close_after(core_ref::share(&core("stream_writer.aclose()")), nullptr); }

coroutine<> stream_writer::start_tls(const ssl_context& context, start_tls_options options) {
  core_ref core = core_ref::share(&this->core("stream_writer.start_tls()"));
  io::secure_options secure;
  secure.server_side = options.server_side;
  secure.server_hostname = std::string(options.server_hostname);
  secure.port = core->peer().port();
  return upgrade(std::move(core), io::ref<detail::tls_provider>::share(context.provider()), std::move(secure),
                 options.ssl_handshake_timeout, options.ssl_shutdown_timeout);
}

std::optional<tls_info> stream_writer::ssl_info() const {
  return core("stream_writer.ssl_info()").channel()->security();
}

socket_address stream_writer::peername() const { return core("stream_writer.peername()").peer(); }

socket_address stream_writer::sockname() const {
  const int fd = fileno();
  return fd < 0 ? socket_address() : io::local_address(fd);
}

int stream_writer::fileno() const { return core("stream_writer.fileno()").channel()->fd(); }

std::size_t stream_writer::get_write_buffer_size() const {
  return core("stream_writer.get_write_buffer_size()").channel()->buffered();
}

void stream_writer::set_write_buffer_limits(std::size_t high, std::size_t low) {
  core("stream_writer.set_write_buffer_limits()").channel()->set_limits(high, low);
}

coroutine<> stream_writer::aenter() { return nothing(); }

coroutine<> stream_writer::aexit(std::exception_ptr error) {
  return close_after(core_ref::share(&core("stream_writer.aexit()")), std::move(error));
}

}  // namespace asyncio
