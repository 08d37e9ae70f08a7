// SPDX-License-Identifier: BSL-1.0
// Sends messages to an echo server over one or many connections at the same time and checks every byte that comes back.
// See: build/dev/bin/echo_client --port 8888 --connections 100 --count 10 --size 65536
// Exit status: 0 all came back, 1 something else came back, 4 cut off in the middle, 5 timed out, 6 connection error.
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

struct settings {
  std::string host = "127.0.0.1", unix_path, message;
  int port = 0;
  std::size_t count = 1, size = 64, connections = 1;
  std::optional<asyncio::timedelta> timeout;
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
};

/// Bytes that differ from message to message and from connection to connection, so that a mix-up shows.
std::string pattern(std::size_t connection, std::size_t message, std::size_t size) {
  std::minstd_rand random(static_cast<unsigned>(connection * 7919 + message + 1));
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() >> 8);
  return bytes;
}

asyncio::coroutine<> echo_all(settings s, std::size_t connection) {
  auto connecting =
      s.unix_path.empty() ? asyncio::open_connection(s.host, s.port) : asyncio::open_unix_connection(s.unix_path);
  auto [reader, writer] = co_await std::move(connecting);
  for (std::size_t i = 0; i < s.count; ++i) {
    std::string message = s.message.empty() ? pattern(connection, i, s.size) : s.message;
    writer.write(message);  // without drain(): a server that waits for us to read would never empty the buffer
    std::string echoed = co_await reader.readexactly(message.size());
    if (echoed != message) throw std::runtime_error("message " + std::to_string(i + 1) + " came back changed");
  }
  writer.write_eof();
  std::string surplus = co_await reader.read(1);
  if (!surplus.empty()) throw std::runtime_error("more came back than was sent");
  co_await writer.aclose();
}

asyncio::coroutine<int> amain(settings s) {
  auto started = std::chrono::steady_clock::now();
  std::vector<asyncio::coroutine<>> connections;
  connections.reserve(s.connections);
  for (std::size_t i = 0; i < s.connections; ++i) connections.push_back(echo_all(s, i));
  auto all = asyncio::gather(std::move(connections));
  co_await asyncio::wait_for(all, s.timeout);
  std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started;
  std::size_t messages = s.connections * s.count;
  std::size_t bytes = messages * (s.message.empty() ? s.size : s.message.size());
  std::printf("OK connections=%zu messages=%zu bytes=%zu seconds=%.3f\n", s.connections, messages, bytes,
              elapsed.count());
  co_return example::exit_ok;
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("echo_client", "Sends messages to an echo server and checks what comes back.");
  args.text("--host", "H", "the server's host (default 127.0.0.1)", s.host);
  args.number("--port", "P", "the server's port", s.port, 1, 65535);
  example::add_unix_argument(args, "the path of the server's Unix socket, instead of host and port", s.unix_path);
  args.text("--message", "TEXT", "send this text instead of made-up bytes", s.message);
  args.number("--count", "N", "messages on each connection, one after the other (default 1)", s.count, 1);
  args.number("--size", "B", "bytes in a message (default 64)", s.size, 1);
  args.number("--connections", "C", "connections at the same time (default 1)", s.connections, 1);
  args.seconds("--timeout", "give up after S seconds (default: never)", s.timeout);
  example::add_backend_argument(args, s.backend);
  args.parse(argc, argv);
  example::check_unix_argument(args);
  if (!args.given("--port") && !args.given("--unix")) args.refuse("--port is needed, or --unix");
  if (args.given("--message") && args.given("--size")) args.refuse("--message and --size exclude each other");
  if (args.given("--message") && s.message.empty()) args.refuse("--message is empty");
  return example::run_program("echo_client", s.backend, [&] { return amain(s); });
}
