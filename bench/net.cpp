// SPDX-License-Identifier: BSL-1.0
// Our server among those of bench/net.py, on streams.
//
//   bench_net echo     sends back what comes
//   bench_net pieces   each KiB in sixteen writes
//
// Every server prints `LISTENING <port>` and serves until it is killed; ours adds the backend of its loop.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace {

using namespace asyncio;

constexpr std::size_t most = 256 * 1024;
constexpr std::size_t request = 1024;
constexpr std::size_t piece = 64;

coroutine<> echo(stream_reader reader, stream_writer writer) {
  while (true) {
    std::string data = co_await reader.read(most);
    if (data.empty()) break;
    co_await writer.write_all(std::move(data));
  }
}

coroutine<> answer_in_pieces(stream_reader reader, stream_writer writer) {
  while (true) {
    const std::string data = co_await reader.readexactly(request);
    const std::string_view bytes = data;
    for (std::size_t at = 0; at < request; at += piece) writer.write(bytes.substr(at, piece));
    co_await writer.drain();
  }
}

coroutine<> one_in_pieces(stream_reader reader, stream_writer writer) {
  try {
    co_await answer_in_pieces(std::move(reader), std::move(writer));
  } catch (const incomplete_read_error&) {  // the client has gone
  }
}

const char* backend_name() { return get_running_loop().backend() == backend_kind::io_uring ? "io_uring" : "epoll"; }

coroutine<> serve(std::string_view mode) {
  constexpr int backlog = 4096;
  const auto handler = mode == "pieces" ? &one_in_pieces : &echo;
  server all = co_await start_server(handler, "127.0.0.1", 0, {.backlog = backlog});
  std::printf("LISTENING %d %s\n", all.port(), backend_name());
  std::fflush(stdout);
  co_await all.serve_forever();
}

}  // namespace

int main(int argc, char** argv) { asyncio::run(serve(argc > 1 ? argv[1] : "echo")); }
