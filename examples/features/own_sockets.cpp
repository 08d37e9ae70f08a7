// SPDX-License-Identifier: BSL-1.0
// Sockets by hand, with the loop's sock_ calls: a server and a client of a few lines each.
// See: a receive that is given up takes nothing with it; the next one has every byte.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;

asyncio::coroutine<> serve_one(int listener) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  auto [fd, peer] = co_await loop.sock_accept(listener);
  std::printf("server: a client from %s\n", peer.host().c_str());
  while (true) {
    std::string text = co_await loop.sock_recv(fd, 100);
    if (text.empty()) break;
    co_await asyncio::sleep(20ms);
    co_await loop.sock_sendall(fd, "you said " + text);
  }
  ::close(fd);
  std::puts("server: the client has gone");
}

asyncio::coroutine<> talk(asyncio::socket_address server) {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  co_await loop.sock_connect(fd, server);
  co_await loop.sock_sendall(fd, "hello");
  try {
    (void)co_await asyncio::wait_for(loop.sock_recv(fd, 100), 1ms);
  } catch (const asyncio::timeout_error&) {
    std::puts("client: no answer within a millisecond");
  }
  char buffer[100];
  std::size_t n = co_await loop.sock_recv_into(fd, buffer);
  std::printf("client: %.*s\n", static_cast<int>(n), buffer);
  ::close(fd);
}

/// A listening socket on a port that is free; -1 when there is none.
int listen_anywhere(int& port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd, any, size) != 0 || ::listen(fd, 10) != 0 || ::getsockname(fd, any, &size) != 0) return -1;
  port = ntohs(address.sin_port);
  return fd;
}

asyncio::coroutine<> amain() {
  int port = 0;
  int listener = listen_anywhere(port);
  co_await asyncio::gather(serve_one(listener), talk(asyncio::socket_address("127.0.0.1", port)));
  ::close(listener);
}

int main() { asyncio::run(amain()); }
