// SPDX-License-Identifier: BSL-1.0
// The server of bench/net.py with Asio's coroutines.
#include "listen.hpp"

#include <asio.hpp>

#include <string_view>
#include <vector>

namespace {

constexpr std::size_t most = 256 * 1024;
constexpr std::size_t request = 1024;
constexpr std::size_t piece = 64;

asio::awaitable<void> echo(asio::ip::tcp::socket client) {
  std::vector<char> buffer(most);
  try {
    while (true) {
      const std::size_t n = co_await client.async_read_some(asio::buffer(buffer), asio::use_awaitable);
      co_await asio::async_write(client, asio::buffer(buffer, n), asio::use_awaitable);
    }
  } catch (const std::system_error&) {  // the end of the stream among them
  }
}

asio::awaitable<void> answer_in_pieces(asio::ip::tcp::socket client) {
  std::vector<char> buffer(request);
  try {
    while (true) {
      co_await asio::async_read(client, asio::buffer(buffer), asio::use_awaitable);
      for (std::size_t at = 0; at < request; at += piece)
        co_await asio::async_write(client, asio::buffer(buffer.data() + at, piece), asio::use_awaitable);
    }
  } catch (const std::system_error&) {}
}

asio::awaitable<void> serve(asio::io_context& loop, bool in_pieces) {
  asio::ip::tcp::acceptor acceptor(loop);
  acceptor.assign(asio::ip::tcp::v4(), bench::listen_somewhere());
  while (true) {
    asio::ip::tcp::socket client = co_await acceptor.async_accept(asio::use_awaitable);
    if (in_pieces)
      asio::co_spawn(loop, answer_in_pieces(std::move(client)), asio::detached);
    else
      asio::co_spawn(loop, echo(std::move(client)), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context loop(1);
  asio::co_spawn(loop, serve(loop, argc > 1 && std::string_view(argv[1]) == "pieces"), asio::detached);
  loop.run();
}
