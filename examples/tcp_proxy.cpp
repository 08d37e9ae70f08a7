// SPDX-License-Identifier: BSL-1.0
// Carries every connection on to another server, byte for byte, both ways: the end of one direction is passed on while the
// other goes on (not under TLS, which ends both), who does not read is not sent to, and when one side breaks the other
// hears it.
// See: build/dev/bin/tcp_proxy --to localhost:80 --port 8080 &  then  curl http://127.0.0.1:8080/
#include "support/program.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/socket.h>

constexpr std::size_t piece_size = 64 * 1024;

struct settings : example::server_settings {
  std::string to_host;
  int to_port = 0;
};

/// One direction. Whatever moves puts off the moment at which both have been silent for too long.
asyncio::coroutine<> carry(asyncio::stream_reader& from, asyncio::stream_writer& to, asyncio::timeout& silence,
                           std::optional<asyncio::timedelta> idle) {
  const auto note_life = [&] {
    if (idle && !silence.expired())
      silence.reschedule(asyncio::get_running_loop().time() + std::chrono::nanoseconds(*idle));
  };
  std::string piece = co_await from.read(piece_size);
  while (!piece.empty()) {
    note_life();
    co_await to.write_all(std::move(piece));
    note_life();
    piece = co_await from.read(piece_size);
  }
  if (to.can_write_eof())
    to.write_eof();
  else
    to.close();  // TLS ends in both directions
}

/// The end of a connection that was not closed: a reset, unless its peer has been sent all that there is.
void cut(asyncio::stream_writer& writer, const asyncio::stream_reader& source) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (!writer.is_closing() && !source.at_eof())
    setsockopt(writer.fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  writer.abort();
}

/// Cuts both connections, in whatever way proxy() ends.
class both_ends {
 public:
  both_ends(asyncio::connection& near, asyncio::connection& far) : near_(near), far_(far) {}
  both_ends(const both_ends&) = delete;
  both_ends& operator=(const both_ends&) = delete;
  ~both_ends() {
    cut(near_.writer, far_.reader);
    cut(far_.writer, near_.reader);
  }

 private:
  asyncio::connection &near_, &far_;
};

asyncio::coroutine<std::optional<asyncio::connection>> connect(const settings& s) {
  auto connecting = asyncio::open_connection(s.to_host, s.to_port);
  try {
    asyncio::connection far = co_await asyncio::wait_for(std::move(connecting), s.idle_timeout);
    co_return std::move(far);
  } catch (const std::system_error& e) {
    std::fprintf(stderr, "tcp_proxy: %s\n", e.what());
  }
  co_return std::nullopt;
}

asyncio::coroutine<> proxy(const settings& s, asyncio::connection near) {
  std::optional<asyncio::connection> far = co_await connect(s);
  if (!far) co_return cut(near.writer, near.reader);
  const both_ends ends(near, *far);
  auto both_ways = [&](asyncio::timeout& silence) -> asyncio::coroutine<> {
    auto start = [&](asyncio::task_group& group) {
      group.create_task(carry(near.reader, far->writer, silence, s.idle_timeout));
      group.create_task(carry(far->reader, near.writer, silence, s.idle_timeout));
    };
    co_await asyncio::async_with(asyncio::task_group(), start);
    co_await asyncio::gather(near.writer.aclose(), far->writer.aclose());
  };
  try {
    co_await asyncio::async_with(asyncio::timeout(s.idle_timeout), both_ways);
  } catch (asyncio::exception_group& broken) {
    broken.handle<std::system_error>([](const std::system_error&) {}).rethrow_rest();
  }
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("tcp_proxy", "Carries every connection on to another server.");
  auto take_target = [&args, &s](std::string_view target) {
    const std::size_t colon = target.rfind(':');
    const std::string_view port = colon == std::string_view::npos ? "" : target.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), s.to_port);
    if (error != std::errc{} || end != port.data() + port.size() || colon == 0 || s.to_port < 1 || s.to_port > 65535)
      args.refuse("--to: '" + std::string(target) + "' is not HOST:PORT");
    s.to_host = target.substr(0, colon);
    if (s.to_host.starts_with('[') && s.to_host.ends_with(']')) s.to_host = s.to_host.substr(1, s.to_host.size() - 2);
  };
  args.option("--to", "HOST:PORT", "where connections are carried on to", take_target);
  example::parse_server_arguments(args, s, argc, argv);
  if (!args.given("--to")) args.refuse("--to is needed");
  auto handler = [&s](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return proxy(s, asyncio::connection(std::move(reader), std::move(writer)));
  };
  return example::run_program("tcp_proxy", s.backend, [&] { return example::serve(s, handler); });
}
