// SPDX-License-Identifier: BSL-1.0
// fd based: add_reader, readable, sock_*
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
using namespace asyncio;

coroutine<> amain() {
  auto& loop = get_running_loop();
  int fds[2];
  if (::pipe(fds) != 0) co_return;
  int rfd = fds[0];
  loop.add_reader(rfd, [&loop, rfd] { std::puts("readable"); loop.remove_reader(rfd); });
  co_await loop.readable(fds[0]);
  co_await loop.writable(fds[1]);
  int s = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  auto addresses = co_await loop.getaddrinfo("localhost", 80, {.family = address_family::inet});
  co_await loop.sock_connect(s, addresses.at(0));
  co_await loop.sock_sendall(s, "GET / HTTP/1.0\r\n\r\n");
  std::string data = co_await loop.sock_recv(s, 1024);
  char buf[100];
  std::size_t n = co_await loop.sock_recv_into(s, buf);
  auto [conn, peer] = co_await loop.sock_accept(s);
  auto [host, service] = co_await loop.getnameinfo(peer);
  std::printf("%d %zu %s %s %s\n", conn, n, data.c_str(), host.c_str(), service.c_str());
  loop.remove_writer(fds[1]);
}
int main() { run(amain()); }
