// SPDX-License-Identifier: BSL-1.0
// Transports and protocols without a coroutine: as another language's loop would use them, with a host of its own.
#include "io/protocol_transport.hpp"

#include "io/datagram_protocol_transport.hpp"
#include "io/io_test.hpp"

#include <asyncio/transports.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace {

using namespace io_test;

/// What a host was asked for.
struct host_log {
  int calls = 0;
  std::vector<std::string> reports;
};

class recording_host final : public io::protocol_host {
 public:
  explicit recording_host(host_log& log) : log_(log) {}
  std::exception_ptr call(void (*f)(void*), void* argument) noexcept override {
    ++log_.calls;
    try {
      f(argument);
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }
  void report(const char* message, std::exception_ptr error) noexcept override {
    log_.reports.push_back(std::string(message) + " " + text_of(error));
  }

 private:
  host_log& log_;
};

struct line_protocol : asyncio::protocol {
  void connection_made(asyncio::transport& t) override { through = &t; }
  void data_received(std::span<const std::byte> data) override {
    received.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (received.ends_with("throw")) throw std::runtime_error("as asked");
    if (received.ends_with("close")) through->close();
    if (received.ends_with("abort")) through->abort();
  }
  void connection_lost(std::exception_ptr e) override {
    ++losses;
    error = std::move(e);
  }
  asyncio::transport* through = nullptr;
  std::string received;
  int losses = 0;
  std::exception_ptr error;
};

class ProtocolTransport : public testing::Test {
 protected:
  ProtocolTransport() {
    auto channel = io::stream_transport::make(*loop, io::unique_fd(ends.ours), {});
    const asyncio::loop::loop::entry inside(*loop);
    transport =
        io::protocol_transport::make(*loop, std::move(channel), protocol, std::make_unique<recording_host>(log));
    transport->start();
  }
  ~ProtocolTransport() override {
    transport.reset();
    loop.reset();
  }
  bool until(const std::function<bool()>& reached) { return run_until(*loop, reached); }

  host_log log;
  tcp_ends ends;
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  std::shared_ptr<line_protocol> protocol = std::make_shared<line_protocol>();
  std::shared_ptr<io::protocol_transport> transport;
};

TEST_F(ProtocolTransport, CallsThroughItsHost) {
  EXPECT_EQ(protocol->through, nullptr) << "in the next turn";
  ends.put("hello");
  ASSERT_TRUE(until([&] { return protocol->received == "hello"; }));
  EXPECT_EQ(protocol->through, transport.get());
  EXPECT_EQ(log.calls, 2);
  ends.close_theirs();
  ASSERT_TRUE(until([&] { return protocol->losses == 1; }));
  EXPECT_EQ(log.calls, 4);
  EXPECT_EQ(log.reports, std::vector<std::string>());
}

TEST_F(ProtocolTransport, MayBeClosedAndAbortedInItsOwnCallbacksAndDroppedMeanwhile) {
  const std::weak_ptr<io::protocol_transport> watched = transport;
  transport.reset();
  ends.put("close");
  ASSERT_TRUE(until([&] { return protocol->losses == 1 && watched.expired(); }));
  EXPECT_EQ(protocol->error, nullptr);
}

TEST_F(ProtocolTransport, TellsItsHostOfAnExceptionAndEnds) {
  ends.put("throw");
  ASSERT_TRUE(until([&] { return protocol->losses == 1; }));
  EXPECT_EQ(text_of(protocol->error), "as asked");
  EXPECT_EQ(log.reports, std::vector<std::string>{"Fatal error: protocol.data_received() call failed. as asked"});
}

TEST_F(ProtocolTransport, IsNotCalledAfterTheEndOfItsLoop) {
  ASSERT_TRUE(until([&] { return protocol->through != nullptr; }));
  const std::weak_ptr<io::protocol_transport> watched = transport;
  transport.reset();
  loop->close();
  loop.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(protocol->losses, 0);
  EXPECT_EQ(protocol.use_count(), 1);
}

TEST_F(ProtocolTransport, AbortBeforeTheFirstTurnStillMakesAndLoses) {
  {
    const asyncio::loop::loop::entry inside(*loop);
    transport->abort();
  }
  ASSERT_TRUE(until([&] { return protocol->losses == 1; }));
  EXPECT_NE(protocol->through, nullptr) << "connection_made() comes first, always";
}

struct datagrams : asyncio::datagram_protocol {
  void datagram_received(std::span<const std::byte> data, const socket_address&) override {
    received.push_back(std::string(reinterpret_cast<const char*>(data.data()), data.size()));
  }
  void connection_lost(std::exception_ptr) override { lost = true; }
  std::vector<std::string> received;
  bool lost = false;
};

TEST(DatagramProtocolTransport, CarriesDatagramsWithoutACoroutine) {
  host_log log;
  test::socket_pair pair(SOCK_DGRAM);
  const auto loop = make_loop();
  const auto protocol = std::make_shared<datagrams>();
  io::datagram_socket socket = io::adopt_datagram_socket(std::exchange(pair.a, -1));
  std::shared_ptr<io::datagram_protocol_transport> transport;
  {
    const asyncio::loop::loop::entry inside(*loop);
    transport =
        io::datagram_protocol_transport::make(*loop, io::datagram_transport::make(*loop, std::move(socket), 100),
                                              protocol, std::make_unique<recording_host>(log));
    transport->start();
  }
  EXPECT_EQ(::send(pair.b, "one", 3, 0), 3);
  EXPECT_EQ(::send(pair.b, "", 0, 0), 0);
  ASSERT_TRUE(run_until(*loop, [&] { return protocol->received.size() == 2; }));
  EXPECT_EQ(protocol->received, (std::vector<std::string>{"one", ""}));
  {
    const asyncio::loop::loop::entry inside(*loop);
    transport->sendto("back", {});
    transport->close();
  }
  ASSERT_TRUE(run_until(*loop, [&] { return protocol->lost; }));
  char text[8];
  EXPECT_EQ(::recv(pair.b, text, sizeof text, MSG_DONTWAIT), 4);
}

}  // namespace
