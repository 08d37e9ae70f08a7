// SPDX-License-Identifier: BSL-1.0
// An echo server of callbacks instead of coroutines: a protocol for each connection, and no task. A peer that does not read
// what it is sent is not read from either, so that it costs no more than the write buffer's limit.
// See: build/dev/bin/protocol_echo --port 8888 &  then  build/dev/bin/echo_client --port 8888 --connections 100
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <string>

using namespace std::chrono_literals;

struct settings {
  std::string host = "127.0.0.1";
  int port = 0;
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
};

class echo : public asyncio::protocol {
 public:
  explicit echo(int& connections) : connections_(connections) {}

  void connection_made(asyncio::transport& transport) override {
    transport_ = &transport;
    ++connections_;
  }
  void data_received(std::span<const std::byte> data) override { transport_->write(data); }
  bool eof_received() override { return false; }  // what is buffered goes out, then the connection closes
  void pause_writing() override { transport_->pause_reading(); }
  void resume_writing() override { transport_->resume_reading(); }
  void connection_lost(std::exception_ptr) override { --connections_; }

 private:
  asyncio::transport* transport_ = nullptr;
  int& connections_;
};

asyncio::coroutine<int> serve(settings s) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  int connections = 0;
  auto server = co_await loop.create_server([&] { return std::make_shared<echo>(connections); }, s.host, s.port);
  asyncio::future<> stop;
  loop.add_signal_handler(SIGTERM, [stop] { stop.set_result(); });
  loop.add_signal_handler(SIGUSR1, [&connections] {
    std::printf("CONNECTIONS %d\n", connections);
    std::fflush(stdout);
  });
  std::printf("LISTENING %d\n", server.port());
  std::fflush(stdout);
  co_await stop;
  loop.remove_signal_handler(SIGTERM);  // a second one ends the program
  co_await server.shutdown(5s);
  co_return example::exit_ok;
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("protocol_echo", "Sends every byte back to where it came from, by callbacks.");
  args.text("--host", "H", "listen on this address (default 127.0.0.1; an empty one: all)", s.host);
  args.number("--port", "P", "listen there (default 0: a free port)", s.port, 0, 65535);
  example::add_backend_argument(args, s.backend);
  args.note("The first line of output is LISTENING <port>. SIGTERM ends it; SIGUSR1 prints CONNECTIONS <number>.");
  args.parse(argc, argv);
  return example::run_program("protocol_echo", s.backend, [&] { return serve(s); });
}
