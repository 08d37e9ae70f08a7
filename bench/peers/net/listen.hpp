// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

namespace bench {

inline constexpr int backlog = 4096;

inline void say_port(int port) {
  std::printf("LISTENING %d\n", port);
  std::fflush(stdout);
}

/// A listening socket of the loopback that does not block; its port is printed. What is accepted has TCP_NODELAY.
inline int listen_somewhere() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, any, size) != 0 || listen(fd, backlog) != 0 || getsockname(fd, any, &size) != 0) {
    std::perror("cannot listen");
    std::exit(1);
  }
  say_port(ntohs(address.sin_port));
  return fd;
}

}  // namespace bench
