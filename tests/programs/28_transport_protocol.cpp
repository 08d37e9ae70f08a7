// SPDX-License-Identifier: BSL-1.0
// create_connection and create_server with a protocol class
#include <asyncio/asyncio.hpp>
#include <cstddef>
#include <iostream>
#include <memory>
#include <span>

class echo_client : public asyncio::protocol {
 public:
  explicit echo_client(asyncio::future<> done) : done_(std::move(done)) {}
  void connection_made(asyncio::transport& t) override { t.write("hello"); }
  void data_received(std::span<const std::byte> data) override { std::cout << data.size() << '\n'; }
  void connection_lost(std::exception_ptr) override { done_.set_result(); }
 private:
  asyncio::future<> done_;
};
class echo_server : public asyncio::protocol {
  void connection_made(asyncio::transport& t) override { transport_ = &t; t.set_write_buffer_limits(65536, 16384); }
  void data_received(std::span<const std::byte> data) override { transport_->write(data); transport_->close(); }
  asyncio::transport* transport_ = nullptr;
};
asyncio::coroutine<> amain() {
  auto& loop = asyncio::get_running_loop();
  auto server = co_await loop.create_server([] { return std::make_shared<echo_server>(); }, "127.0.0.1", 0);
  asyncio::future<> done;
  auto factory = [done] { return std::make_shared<echo_client>(done); };       // owns a handle: named first (GCC 12)
  auto [transport, protocol] = co_await loop.create_connection(factory, "127.0.0.1", server.port());
  co_await done;
  transport->close();
  co_await loop.sendfile(*transport, 3, {.offset = 10});
  (void)protocol;
}
int main() { asyncio::run(amain()); }
