// SPDX-License-Identifier: BSL-1.0
// Sends every byte back to where it came from, for any number of connections. What arrives before the peer's end of stream
// is echoed, then the connection is closed. A peer that neither sends nor reads for the idle timeout is cut off.
// See: build/dev/bin/echo_server --port 8888 &  then  nc localhost 8888, or build/dev/bin/echo_client --port 8888
#include "support/program.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <optional>
#include <string>
#include <utility>

using idle_timeout = std::optional<asyncio::timedelta>;

asyncio::coroutine<> echo(idle_timeout idle, asyncio::stream_reader reader, asyncio::stream_writer writer) {
  try {
    while (true) {
      std::string data = co_await asyncio::wait_for(reader.read(64 * 1024), idle);
      if (data.empty()) break;
      writer.write(std::move(data));
      co_await asyncio::wait_for(writer.drain(), idle);
    }
    co_await asyncio::wait_for(writer.aclose(), idle);
  } catch (const asyncio::timeout_error&) {
    writer.abort();  // what the peer does not read must not keep the connection open
  }
}

int main(int argc, char** argv) {
  example::server_settings settings;
  example::arguments args("echo_server", "Sends every byte back to where it came from.");
  example::parse_server_arguments(args, settings, argc, argv);

  auto handler = [&settings](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return echo(settings.idle_timeout, std::move(reader), std::move(writer));
  };
  return example::run_program("echo_server", settings.backend, [&] { return example::serve(settings, handler); });
}
