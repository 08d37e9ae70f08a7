// SPDX-License-Identifier: BSL-1.0
#include "io/borrowed.hpp"

#include "io/address.hpp"

namespace asyncio::io {

namespace {

kernel::io_op borrowed_op(kernel::io_kind kind, int fd) noexcept {
  kernel::io_op request;
  request.kind = kind;
  request.fd = fd;
  request.borrowed = true;
  return request;
}

std::int64_t result_of(loop::loop& l, kernel::io_op& request) noexcept {
  l.start(request);  // a borrowed one is never in flight
  return request.result;
}

sockaddr_storage* storage_of(socket_address& a) noexcept {
  return reinterpret_cast<sockaddr_storage*>(address_access::data(a));
}

/// For requests that only read the address.
sockaddr_storage* storage_of(const socket_address& a) noexcept { return storage_of(const_cast<socket_address&>(a)); }

/// Into `to`; null: into the kernel room's shared buffer.
kernel::io_op recv_op(int fd, std::byte* to, std::size_t most) noexcept {
  static std::byte nothing;  // what is not there is not written to
  kernel::io_op request = borrowed_op(kernel::io_kind::recv, fd);
  request.buffer = most == 0 ? &nothing : to;  // without a buffer a size of 0 means: as many as fit
  request.size = most;
  return request;
}

std::int64_t result_of_recv(loop::loop& l, kernel::io_op& request, socket_address* from) noexcept {
  if (from == nullptr) return result_of(l, request);
  request.address = storage_of(*from);
  const std::int64_t got = result_of(l, request);
  if (got >= 0) address_access::set_size(*from, request.address_size);
  return got;
}

}  // namespace

std::int64_t try_recv(loop::loop& l, int fd, buffer_view to, socket_address* from) noexcept {
  kernel::io_op request = recv_op(fd, to.data(), to.size());
  return result_of_recv(l, request, from);
}

std::int64_t try_recv(loop::loop& l, int fd, std::size_t most, std::string& to, socket_address* from) {
  std::string large;  // else what does not fit into the shared buffer would be cut off, and lost if it is a datagram
  if (most > kernel::shared_read_size) large.resize(most);
  kernel::io_op request = recv_op(fd, large.empty() ? nullptr : reinterpret_cast<std::byte*>(large.data()), most);
  const std::int64_t got = result_of_recv(l, request, from);
  if (got > 0) to.assign(reinterpret_cast<const char*>(request.data), static_cast<std::size_t>(got));
  return got;
}

std::int64_t try_send(loop::loop& l, int fd, std::string_view bytes, const socket_address* to) noexcept {
  kernel::io_op request = borrowed_op(kernel::io_kind::send, fd);
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  request.iov = &piece;
  request.iov_count = 1;
  if (to != nullptr) {
    request.address = storage_of(*to);
    request.address_size = address_access::size(*to);
  }
  return result_of(l, request);
}

std::int64_t try_accept(loop::loop& l, int fd, socket_address& peer) noexcept {
  kernel::io_op request = borrowed_op(kernel::io_kind::accept, fd);
  request.address = storage_of(peer);
  const std::int64_t accepted = result_of(l, request);
  if (accepted >= 0) address_access::set_size(peer, request.address_size);
  return accepted;
}

std::int64_t try_connect(loop::loop& l, int fd, const socket_address& to) noexcept {
  kernel::io_op request = borrowed_op(kernel::io_kind::connect, fd);
  request.address = storage_of(to);
  request.address_size = address_access::size(to);
  return result_of(l, request);
}

}  // namespace asyncio::io
