// SPDX-License-Identifier: BSL-1.0
#include <asyncio/datagrams.hpp>

#include "coro/resolve_wait.hpp"
#include "io/address.hpp"
#include "streams/datagram_core.hpp"
#include "streams/unix_options.hpp"

#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio {

namespace streams {

owned_datagram_options::owned_datagram_options(const datagram_options& options)
    : local_host(options.local_addr.host),
      remote_host(options.remote_addr.host),
      local_port(options.local_addr.port),
      remote_port(options.remote_addr.port),
      family(options.family),
      reuse_port(options.reuse_port),
      allow_broadcast(options.allow_broadcast),
      limit(options.limit),
      sock(options.sock) {}

namespace {

bool is_given(const std::string& host, int port) noexcept { return !host.empty() || port != 0; }

void check(const owned_datagram_options& options) {
  if (options.limit == 0) throw std::invalid_argument("the limit of a datagram endpoint must be greater than 0");
  const bool local = is_given(options.local_host, options.local_port);
  const bool remote = is_given(options.remote_host, options.remote_port);
  const bool has_family = options.family != address_family::unspecified;
  if (options.sock >= 0) {
    if (local || remote || has_family || options.reuse_port || options.allow_broadcast)
      throw std::invalid_argument("sock excludes local_addr, remote_addr, family, reuse_port and allow_broadcast");
    return;
  }
  if (!local && !remote && !has_family)
    throw std::invalid_argument("a datagram endpoint needs local_addr, remote_addr, family or sock");
  if (options.family != address_family::unix_) return;
  refuse_for_unix(options.local_port != 0 || options.remote_port != 0, "a port");
  refuse_for_unix(options.reuse_port, "reuse_port");
  refuse_for_unix(options.allow_broadcast, "allow_broadcast");
}

/// None when the option was not given.
coroutine<std::vector<socket_address>> resolve(std::string host, int port, address_family family, bool local) {
  if (!is_given(host, port)) co_return std::vector<socket_address>();
  if (family == address_family::unix_) co_return std::vector<socket_address>(1, socket_address::unix_path(host));
  io::name_query query{std::move(host), port, family, local};
  query.type = SOCK_DGRAM;
  io::check_query(query);
  if (auto known = io::resolve_numeric(query)) co_return std::move(*known);
  coro::resolve_wait<io::name_query> wait(loop::loop::of(detail::running_loop()), std::move(query));
  co_await detail::in_place(wait);
  co_return std::move(wait.answer);
}

}  // namespace

coroutine<io::ref<io::datagram_transport>> open_datagram_transport(owned_datagram_options options) {
  check(options);
  io::datagram_socket socket;
  if (options.sock >= 0) {
    socket = io::adopt_datagram_socket(options.sock);
  } else {
    const auto locals = co_await resolve(options.local_host, options.local_port, options.family, true);
    const auto remotes = co_await resolve(options.remote_host, options.remote_port, options.family, false);
    socket = io::open_datagram_socket(locals, remotes, {options.family, options.reuse_port, options.allow_broadcast});
  }
  co_return io::datagram_transport::make(loop::loop::of(detail::running_loop()), std::move(socket), options.limit);
}

}  // namespace streams

namespace {

using streams::arrival;
using streams::datagram_core;
using streams::datagram_ref;

coroutine<datagram_endpoint> open_endpoint(streams::owned_datagram_options options) {
  auto transport = co_await streams::open_datagram_transport(std::move(options));
  co_return datagram_endpoint::from_core(datagram_core::make(std::move(transport)).detach());
}

[[noreturn]] void throw_closed(const datagram_core& core, const char* call) {
  if (core.lost_error() != nullptr) std::rethrow_exception(core.lost_error());
  throw std::runtime_error(std::string(call) + ": the datagram endpoint is closed");
}

/// False: the endpoint is closed.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): its caller awaits it
coroutine<bool> receive(datagram_ref core, arrival& got) {
  if (core->closed()) co_return false;
  if (core->used_up_its_turn()) co_await streams::turn_wait();
  if (core->closed()) co_return false;
  if (!core->take(got)) {
    core->has_waited();
    streams::receive_wait wait(*core);
    co_await detail::in_place(wait);
    got = std::move(wait.got);
  }
  if (got.error == ECANCELED) co_return false;
  if (got.error == ENOMEM) throw std::bad_alloc();
  if (got.error == EMSGSIZE) throw io::os_error(EMSGSIZE, "a datagram longer than the limit was lost");
  if (got.error != 0) throw io::os_error(got.error, "cannot receive");
  co_return true;
}

coroutine<datagram> receive_one(datagram_ref core) {
  arrival got;
  const bool there = co_await receive(core, got);
  if (!there) throw_closed(*core, "recvfrom()");
  co_return datagram(std::move(got.bytes), got.from);
}

coroutine<std::optional<datagram>> receive_next(datagram_ref core) {
  arrival got;
  const bool there = co_await receive(core, got);
  if (there) co_return datagram(std::move(got.bytes), got.from);
  if (core->lost_error() != nullptr) std::rethrow_exception(core->lost_error());
  co_return std::nullopt;
}

coroutine<> send_one(datagram_ref core, std::string bytes, socket_address to) {
  if (core->closed()) throw_closed(*core, "sendto()");
  io::datagram_transport& transport = core->transport();
  transport.check_target(to);
  const std::size_t size = bytes.size();
  int error = -transport.try_send(bytes, to);
  if (error == EAGAIN) {
    streams::send_wait wait(transport, std::move(bytes), to);
    error = co_await detail::in_place(wait);
    if (error == ECANCELED) throw_closed(*core, "sendto()");
  }
  if (error == 0) co_return;
  const std::string target = (to == socket_address() ? transport.remote() : to).to_string();
  throw io::os_error(
      error, "cannot send a datagram of " + std::to_string(size) + " bytes" + (target.empty() ? "" : " to " + target));
}

coroutine<> wait_for_close(datagram_ref core) {
  while (!core->lost()) co_await core->wait_for_loss();
  if (core->lost_error() != nullptr) std::rethrow_exception(core->lost_error());
}

/// The body's error goes before one of the closing.
coroutine<> close_after(datagram_ref core, std::exception_ptr error) {
  core->transport().close();
  while (!core->lost()) co_await core->wait_for_loss();
  if (error == nullptr && core->lost_error() != nullptr) std::rethrow_exception(core->lost_error());
}

coroutine<> nothing() { co_return; }

}  // namespace

coroutine<datagram_endpoint> open_datagram_endpoint(datagram_options options) {
  return open_endpoint(streams::owned_datagram_options(options));
}

datagram_endpoint& datagram_endpoint::operator=(datagram_endpoint&& other) noexcept {
  datagram_endpoint taken(std::move(other));
  std::swap(core_, taken.core_);
  return *this;
}

datagram_endpoint::~datagram_endpoint() {
  if (core_ == nullptr) return;
  core_->transport().close();
  core_->release();
}

datagram_core& datagram_endpoint::core(const char* call) const {
  if (core_ == nullptr) throw std::runtime_error(std::string(call) + ": the datagram_endpoint was moved away");
  core_->check_thread(call);
  return *core_;
}

coroutine<datagram> datagram_endpoint::recvfrom() {
  return receive_one(datagram_ref::share(&core("datagram_endpoint.recvfrom()")));
}

coroutine<std::optional<datagram>> datagram_endpoint::next() {
  return receive_next(datagram_ref::share(&core("datagram_endpoint.next()")));
}

coroutine<> datagram_endpoint::sendto(bytes_view data, const socket_address& address) {
  return send_owned(std::string(data), address);
}

coroutine<> datagram_endpoint::send(bytes_view data) { return send_owned(std::string(data), socket_address()); }

coroutine<> datagram_endpoint::send_owned(std::string&& data, const socket_address& address) {
  return send_one(datagram_ref::share(&core("datagram_endpoint.sendto()")), std::move(data), address);
}

void datagram_endpoint::close() { core("datagram_endpoint.close()").transport().close(); }
void datagram_endpoint::abort() { core("datagram_endpoint.abort()").transport().abort(); }
bool datagram_endpoint::is_closing() const { return core("datagram_endpoint.is_closing()").closed(); }

coroutine<> datagram_endpoint::wait_closed() {
  return wait_for_close(datagram_ref::share(&core("datagram_endpoint.wait_closed()")));
}

coroutine<> datagram_endpoint::aclose() {
  return close_after(datagram_ref::share(&core("datagram_endpoint.aclose()")), nullptr);
}

socket_address datagram_endpoint::sockname() const {
  const int fd = fileno();
  return fd < 0 ? socket_address() : io::local_address(fd);
}

socket_address datagram_endpoint::peername() const { return core("datagram_endpoint.peername()").transport().remote(); }
int datagram_endpoint::port() const { return sockname().port(); }
int datagram_endpoint::fileno() const { return core("datagram_endpoint.fileno()").transport().fd(); }

int datagram_endpoint::socket(const char* call) const {
  const datagram_core& c = core(call);
  if (c.closed()) throw_closed(c, call);
  return c.transport().fd();
}

void datagram_endpoint::join_multicast_group(std::string_view group, std::string_view interface) {
  io::change_membership(socket("join_multicast_group()"), std::string(group), std::string(interface), true);
}

void datagram_endpoint::leave_multicast_group(std::string_view group, std::string_view interface) {
  io::change_membership(socket("leave_multicast_group()"), std::string(group), std::string(interface), false);
}

void datagram_endpoint::set_multicast_interface(std::string_view interface) {
  io::set_multicast_interface(socket("set_multicast_interface()"), std::string(interface));
}

void datagram_endpoint::set_multicast_hops(int hops) { io::set_multicast_hops(socket("set_multicast_hops()"), hops); }

void datagram_endpoint::set_multicast_loopback(bool on) {
  io::set_multicast_loopback(socket("set_multicast_loopback()"), on);
}

coroutine<> datagram_endpoint::aenter() { return nothing(); }

coroutine<> datagram_endpoint::aexit(std::exception_ptr error) {
  return close_after(datagram_ref::share(&core("datagram_endpoint.aexit()")), std::move(error));
}

}  // namespace asyncio
