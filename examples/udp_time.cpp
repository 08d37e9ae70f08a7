// SPDX-License-Identifier: BSL-1.0
// The time protocol of RFC 868 over UDP: whoever sends an empty datagram is answered with the seconds since 1900, four bytes.
// A datagram may be lost on its way, there or back: so the client asks again when no answer comes.
// See: build/dev/bin/udp_time --listen --port 3737 &  then  build/dev/bin/udp_time --port 3737
// Exit status: 0 it was told, 5 no answer, 6 nobody is there.
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

using namespace std::chrono_literals;
struct settings {
  bool listen = false;
  std::string host = "127.0.0.1";
  int port = 0, tries = 3;
  asyncio::timedelta timeout = 1s;
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
};

constexpr std::int64_t from_1900_to_1970 = 2'208'988'800, seconds_in_an_era = std::int64_t{1} << 32;

std::string time_now() {
  std::string bytes;
  auto seconds = static_cast<std::uint32_t>(std::time(nullptr) + from_1900_to_1970);
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(seconds >> shift);
  return bytes;
}

void print_time(const std::string& bytes) {
  std::int64_t seconds = 0;
  for (char byte : bytes) seconds = seconds << 8 | static_cast<unsigned char>(byte);
  if (seconds < from_1900_to_1970) seconds += seconds_in_an_era;  // the number begins anew in 2036
  const std::time_t time = seconds - from_1900_to_1970;
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&time));
  std::puts(text);
}

asyncio::coroutine<int> serve(settings s) {
  auto endpoint = co_await asyncio::open_datagram_endpoint({.local_addr = {s.host, s.port}});
  asyncio::get_running_loop().add_signal_handler(SIGTERM, [&endpoint] { endpoint.close(); });
  std::printf("LISTENING %d\n", endpoint.port());
  std::fflush(stdout);
  while (auto question = co_await endpoint.next()) {
    auto sent = co_await asyncio::as_outcome(endpoint.sendto(time_now(), question->address));
    if (!sent) std::fprintf(stderr, "cannot answer %s\n", question->address.to_string().c_str());
  }
  co_return example::exit_ok;
}

asyncio::coroutine<int> ask(settings s) {
  auto endpoint = co_await asyncio::open_datagram_endpoint({.remote_addr = {s.host, s.port}});
  for (int i = 0; i < s.tries; ++i) {
    co_await endpoint.send("");
    auto answer = co_await asyncio::move_on_after(s.timeout, [&] { return endpoint.recvfrom(); });
    if (!answer || answer->data.size() != 4) continue;
    print_time(answer->data);
    co_return example::exit_ok;
  }
  throw asyncio::timeout_error();
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("udp_time", "Asks a server for the time, or is one, by RFC 868 over UDP.");
  args.flag("--listen", "be the server; the first line of output is LISTENING <port>; SIGTERM ends it", s.listen);
  args.text("--host", "H", "the server's host, or the address to listen on (default 127.0.0.1)", s.host);
  args.number("--port", "P", "its port (for --listen, default 0: a free one)", s.port, 0, 65535);
  args.number("--tries", "N", "how often to ask before giving up (default 3)", s.tries, 1);
  args.seconds("--timeout", "how long to wait for each answer (default 1)", s.timeout);
  example::add_backend_argument(args, s.backend);
  args.parse(argc, argv);
  if (!s.listen && s.port == 0) args.refuse("--port is needed, or --listen");
  return example::run_program("udp_time", s.backend, [&] { return s.listen ? serve(s) : ask(s); });
}
