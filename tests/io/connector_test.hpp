// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/address.hpp"
#include "io/connector.hpp"

#include "io/io_test.hpp"

#include <thread>
#include <vector>

namespace io_test {

class connector_fixture : public testing::Test {
 protected:
  ~connector_fixture() override {
    if (connector) connector->cancel();
    connector = {};
    run_turns(*loop, 3);
    EXPECT_EQ(loop->in_flight(), 0u);
    EXPECT_EQ(loop->timer_count(), 0u);
    loop.reset();
    listeners.clear();
    reserved = {};
    answer = {};
    // A lookup that was abandoned in the resolver keeps the door of its loop until it ends there, and others may follow it.
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    std::size_t open = test::open_descriptors();
    for (; open != descriptors_before && std::chrono::steady_clock::now() < deadline; open = test::open_descriptors())
      std::this_thread::yield();
    EXPECT_EQ(open, descriptors_before);
  }

  void open_listener(const char* host) {
    const int wanted = listeners.empty() ? 0 : port();
    auto bound = io::bind_listeners(std::vector{socket_address(host, wanted)}, {});
    io::start_listening(bound[0].get(), 16);
    listeners.push_back(std::move(bound[0]));
  }
  int port() const { return io::local_address(listeners.front().get()).port(); }
  /// A port on which nobody listens, and which nobody gets meanwhile.
  int closed_port() {
    auto bound = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {});
    const int port = io::local_address(bound[0].get()).port();
    reserved = std::move(bound[0]);
    return port;
  }

  void start(io::name_query remote) {
    query.remote = std::move(remote);
    answer = {};
    connector = io::connector::start(*loop, query, &connector_fixture::answered, this);
  }
  bool until_answered() {
    return run_until(*loop, [&] { return answer.times > 0; }, 2s);
  }
  bool connect(io::name_query remote) {
    start(std::move(remote));
    return until_answered();
  }

  struct answer_t {
    int times = 0;
    io::unique_fd fd;
    socket_address peer;
    std::exception_ptr error;
  };
  static void answered(void* self, io::unique_fd fd, const socket_address& peer, std::exception_ptr error) noexcept {
    answer_t& answer = static_cast<connector_fixture*>(self)->answer;
    ++answer.times;
    answer.fd = std::move(fd);
    answer.peer = peer;
    answer.error = std::move(error);
  }

  const std::size_t descriptors_before = test::open_descriptors();
  leaping_clock clock;
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  std::vector<io::unique_fd> listeners;
  io::unique_fd reserved;
  io::connect_query query{{}, {}, std::nullopt, 1};
  io::ref<io::connector> connector;
  answer_t answer;
};

}  // namespace io_test
