// SPDX-License-Identifier: BSL-1.0
// Says which TCP ports of a host are open, and what those say first. Many are tried at once, and no more than that: each try
// holds a descriptor. A port is closed when it refuses, and silent when there is no answer in time, or one that comes from
// somebody else: a firewall's ways.
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
#include <tuple>
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

/// What it says first, as far as that is a line; nothing when it says nothing for a while, or breaks the connection.
asyncio::coroutine<std::string> greeting_of(asyncio::connection open) {
  std::string said;
  try {
    auto first = open.reader.read(80);
    said = co_await asyncio::wait_for(std::move(first), 250ms);
  } catch (const std::system_error&) {
    // it need not say anything
  }
  co_return said.substr(0, said.find_first_of("\r\n"));
}

asyncio::coroutine<> try_port(const settings& s, std::string address, int port, asyncio::semaphore& slots,
                              findings& found) {
  auto slot = co_await slots.scoped();
  std::optional<asyncio::connection> open;
  auto connecting = asyncio::open_connection(address, port);
  try {
    open = co_await asyncio::wait_for(std::move(connecting), s.timeout);
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::too_many_files_open) throw;
    ++(e.code() == std::errc::connection_refused ? found.closed : found.silent);
  }
  if (!open) co_return;
  std::string greeting = co_await greeting_of(std::move(*open));
  found.open[port] = std::move(greeting);
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

/// "A-B", or "A"; nothing when it is neither.
std::optional<std::pair<int, int>> to_range(std::string_view text) {
  const auto number = [](std::string_view digits) {
    int n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    return error == std::errc{} && end == digits.data() + digits.size() ? n : 0;
  };
  const std::size_t dash = text.find('-');
  const int first = number(text.substr(0, dash));
  const int last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  if (first < 1 || first > last || last > 65535) return std::nullopt;
  return std::pair(first, last);
}

int main(int argc, char** argv) {
  settings s;
  std::optional<asyncio::timedelta> timeout = s.timeout;
  example::arguments args("port_scanner", "Says which TCP ports of a host's first address are open.");
  auto take_range = [&args, &s](std::string_view text) {
    const auto range = to_range(text);
    if (!range) args.refuse("--range: '" + example::printable(text) + "' is not A-B, from 1 to 65535");
    std::tie(s.first, s.last) = *range;
  };
  args.option("--range", "A-B", "the ports, or one port (default 1-1024)", take_range);
  args.number("--limit", "N", "at most N at a time (default 500)", s.limit, 1, 60000);
  args.seconds("--timeout", "a port that says nothing for S seconds is silent (default 1)", timeout);
  example::add_backend_argument(args, s.backend);
  args.rest("HOST", "whose ports", s.hosts);
  args.parse(argc, argv);
  if (s.hosts.size() != 1) args.refuse("one host is needed");
  s.timeout = *timeout;
  return example::run_program("port_scanner", s.backend, [&] { return amain(s); });
}
