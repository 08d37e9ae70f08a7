// SPDX-License-Identifier: BSL-1.0
// Says which TCP ports of a host are open, and what those say first. Many are tried at once, and no more than that: each try
// holds a descriptor. A port is closed when it refuses, and silent when there is no answer in time (a firewall's way).
// See: build/dev/bin/port_scanner --range 1-1024 localhost
// Exit status: 0 all were tried, 6 the host has no address or cannot be reached.
#include "support/printable.hpp"
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct settings {
  std::vector<std::string> hosts;
  int first = 1, last = 1024;
  std::size_t limit = 500;
  asyncio::timedelta timeout = 1s;
  asyncio::backend_kind backend = asyncio::backend_kind::automatic;
};

struct findings {
  std::map<int, std::string> open;  // and the line that each said first
  int closed = 0, silent = 0;
};

asyncio::coroutine<> try_port(const settings& s, std::string address, int port, asyncio::semaphore& slots,
                              findings& found) {
  auto slot = co_await slots.scoped();
  auto connecting = asyncio::open_connection(address, port);
  try {
    asyncio::connection open = co_await asyncio::wait_for(std::move(connecting), s.timeout);
    auto listen = [&open]() -> asyncio::coroutine<std::string> { return open.reader.read(80); };
    std::optional<std::string> greeting = co_await asyncio::move_on_after(250ms, listen);
    std::string said = greeting.value_or("");
    found.open[port] = said.substr(0, said.find_first_of("\r\n"));
  } catch (const asyncio::timeout_error&) {
    ++found.silent;
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::connection_refused && e.code() != std::errc::connection_reset) throw;
    ++found.closed;
  }
}

asyncio::coroutine<int> amain(const settings& s) {
  auto addresses = co_await asyncio::get_running_loop().getaddrinfo(s.hosts[0], s.first);
  const std::string address = addresses[0].host();
  asyncio::semaphore slots(s.limit);
  findings found;
  auto scan = [&](asyncio::task_group& group) {
    for (int port = s.first; port <= s.last; ++port) group.create_task(try_port(s, address, port, slots, found));
  };
  try {
    co_await asyncio::async_with(asyncio::task_group(), scan);
  } catch (const asyncio::exception_group& failed) {
    std::rethrow_exception(failed.exceptions().front());
  }
  for (const auto& [port, said] : found.open)
    std::printf("%d open%s%s\n", port, said.empty() ? "" : ": ", example::printable(said).c_str());
  std::printf("%s: %zu open, %d closed, %d silent\n", address.c_str(), found.open.size(), found.closed, found.silent);
  co_return example::exit_ok;
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("port_scanner", "Says which TCP ports of a host are open.");
  auto take_range = [&args, &s](std::string_view range) {
    const char *end = range.data() + range.size(), *dash = std::from_chars(range.data(), end, s.first).ptr;
    s.last = s.first;
    const char* last = dash != end && *dash == '-' ? std::from_chars(dash + 1, end, s.last).ptr : dash;
    if (range.empty() || last != end || *(end - 1) == '-' || s.first < 1 || s.first > s.last || s.last > 65535)
      args.refuse("--range: '" + example::printable(range) + "' is not A-B, from 1 to 65535");
  };
  args.option("--range", "A-B", "the ports, or one port (default 1-1024)", take_range);
  args.number("--limit", "N", "at most N at a time (default 500)", s.limit, 1, 60000);
  args.seconds("--timeout", "a port that says nothing for S seconds is silent (default 1)", s.timeout);
  example::add_backend_argument(args, s.backend);
  args.rest("HOST", "whose ports", s.hosts);
  args.parse(argc, argv);
  if (s.hosts.size() != 1) args.refuse("one host is needed");
  return example::run_program("port_scanner", s.backend, [&] { return amain(s); });
}
