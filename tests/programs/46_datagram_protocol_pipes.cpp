// SPDX-License-Identifier: BSL-1.0
// the callback layer for datagrams and pipes
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <memory>
#include <span>
#include <unistd.h>

struct echo : asyncio::datagram_protocol {
  void connection_made(asyncio::datagram_transport& t) override { transport = &t; }
  void datagram_received(std::span<const std::byte> data, const asyncio::socket_address& from) override { transport->sendto(data, from); }
  asyncio::datagram_transport* transport = nullptr;
};
struct lines : asyncio::buffered_protocol {
  std::span<std::byte> get_buffer(std::size_t) override { return buffer; }
  void buffer_updated(std::size_t n) override { std::printf("%zu\n", n); }
  std::byte buffer[4096];
};
asyncio::coroutine<> amain() {
  auto& loop = asyncio::get_running_loop();
  auto [transport, protocol] = co_await loop.create_datagram_endpoint([] { return std::make_shared<echo>(); }, {.local_addr = {"127.0.0.1", 0}});
  auto [pipe, reader] = co_await loop.connect_read_pipe([] { return std::make_shared<lines>(); }, STDIN_FILENO);
  pipe->pause_reading();
  pipe->resume_reading();
  transport->close();
  pipe->close();
  (void)protocol; (void)reader;
}
int main() { asyncio::run(amain()); }
