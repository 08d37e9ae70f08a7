// SPDX-License-Identifier: BSL-1.0
// An echo server on one port, with a loop a thread: each has a socket of its own that listens there (SO_REUSEPORT), and the
// kernel gives every connection to one of them. It stays in that thread: nothing is shared, nothing is locked.
// See: build/release/bin/multicore_server --port 8888 --threads 4, then echo_client --port 8888 --connections 100; SIGTERM ends
// it and prints what each thread has served.
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct settings {
  std::string host = "127.0.0.1";
  int port = 0;
  std::size_t threads = std::max(std::thread::hardware_concurrency(), 1u);
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
};

using counter = std::shared_ptr<std::size_t>;  // shared with connections, which may outlive their server

asyncio::coroutine<> echo(counter served, asyncio::stream_reader reader, asyncio::stream_writer writer) {
  ++*served;
  try {
    bool more = true;
    while (more) {
      std::string data = co_await reader.read(64 * 1024);
      more = !data.empty();
      if (more) co_await writer.write_all(std::move(data));
    }
  } catch (const std::system_error&) {
    // its peer went away
  }
}

/// The server of one thread, until `stop` is shut down; then its connections have 5 s to end. Yields how many there were.
asyncio::coroutine<std::size_t> serve(settings s, asyncio::channel<int> listening, asyncio::channel<int> stop) {
  const counter served = std::make_shared<std::size_t>(0);
  auto handler = [served](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return echo(served, std::move(reader), std::move(writer));
  };
  std::optional<asyncio::server> server;
  try {
    server = co_await asyncio::start_server(handler, s.host, s.port, {.backlog = 4096, .reuse_port = true});
  } catch (...) {
    listening.shutdown();
    throw;
  }
  co_await listening.put(server->port());
  co_await stop.next();
  co_await server->shutdown(5s);
  co_return *served;
}

asyncio::coroutine<> serve_in(asyncio::loop_group& group, settings s) {
  asyncio::signal_receiver terminated({SIGTERM});
  asyncio::channel<int> listening(1), stop(1);
  std::vector<asyncio::concurrent_future<std::size_t>> servers;
  for (std::size_t i = 0; i < group.size(); ++i) {
    servers.push_back(group.submit_to(i, serve, s, listening, stop));
    auto port = co_await listening.next();
    if (!port) co_await servers.back();  // it says why
    s.port = *port;                      // the first one's, for all
  }
  std::printf("LISTENING %d\n", s.port);
  std::fflush(stdout);
  co_await terminated.next();
  stop.shutdown();
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const std::size_t served = co_await servers[i];
    std::printf("thread %zu: %zu connections\n", i, served);
  }
}

asyncio::coroutine<int> amain(const settings& s) {
  auto body = [&s](asyncio::loop_group& group) { return serve_in(group, s); };
  asyncio::loop_group_options options{.threads = s.threads};
  options.loop.backend = s.backend;
  co_await asyncio::async_with(asyncio::loop_group(options), body);
  co_return example::exit_ok;
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("multicore_server", "Sends every byte back, with a loop a thread on one port.");
  args.text("--host", "H", "listen on this address (default 127.0.0.1)", s.host);
  args.number("--port", "P", "listen there (default 0: a free port, see the first line of output)", s.port, 0, 65535);
  args.number("--threads", "N", "that many threads (default: one for each processor)", s.threads, 1, 256);
  example::add_backend_argument(args, s.backend);
  args.parse(argc, argv);
  return example::run_program("multicore_server", s.backend, [&] { return amain(s); });
}
