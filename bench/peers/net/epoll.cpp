// SPDX-License-Identifier: BSL-1.0
// The server of bench/net.py straight on epoll: what a library can be measured by. One buffer for all, each descriptor
// registered once, no call that could come back with EAGAIN unless a send did not take everything.
#include "listen.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t request = 1024;
constexpr std::size_t piece = 64;

bool in_pieces = false;
std::array<char, 256 * 1024> buffer;

struct client {
  int fd = -1;
  std::string unsent;
  std::size_t gathered = 0;  // of a request that is answered in pieces
  std::array<char, request> gathering;
};

// False: the connection is over.
bool sent_all(client& c, ssize_t n, std::string_view all) {
  if (n < 0 && errno != EAGAIN) return false;
  const std::size_t sent = n < 0 ? 0 : static_cast<std::size_t>(n);
  if (sent < all.size()) c.unsent = all.substr(sent);
  return true;
}

bool send_back(client& c, std::string_view bytes) {
  return sent_all(c, send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), bytes);
}

bool send_pieces(client& c) {
  std::array<iovec, request / piece> pieces;
  for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i] = {c.gathering.data() + i * piece, piece};
  return sent_all(c, writev(c.fd, pieces.data(), static_cast<int>(pieces.size())), {c.gathering.data(), request});
}

// True: there may be more.
bool serve_once(client& c, bool& alive) {
  char* to = in_pieces ? c.gathering.data() + c.gathered : buffer.data();
  const std::size_t room = in_pieces ? request - c.gathered : buffer.size();
  const ssize_t n = recv(c.fd, to, room, 0);
  if (n < 0 && errno == EAGAIN) return false;
  alive = n > 0;
  if (!alive) return false;
  if (!in_pieces) {
    alive = send_back(c, {buffer.data(), static_cast<std::size_t>(n)});
    return static_cast<std::size_t>(n) == room;
  }
  c.gathered += static_cast<std::size_t>(n);
  if (c.gathered < request) return false;
  c.gathered = 0;
  alive = send_pieces(c);
  return false;  // a client sends its next request when this one is answered
}

// False: the connection is over.
bool handle(client& c, unsigned events) {
  bool had_to_wait = false;
  if (!c.unsent.empty()) {
    if ((events & EPOLLOUT) == 0) return true;
    const std::string rest = std::move(c.unsent);
    c.unsent.clear();
    if (!send_back(c, rest)) return false;
    had_to_wait = true;
  }
  bool alive = true;
  if ((events & EPOLLIN) == 0 && !had_to_wait) return true;
  while (c.unsent.empty() && serve_once(c, alive)) {}
  return alive;
}

void add(int epfd, int fd, void* data, unsigned events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = data;
  epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
}

void accept_all(int epfd, int listener) {
  for (int fd = -1; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    auto* c = new client;
    c->fd = fd;
    add(epfd, fd, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  }
}

}  // namespace

int main(int argc, char** argv) {
  in_pieces = argc > 1 && std::string_view(argv[1]) == "pieces";
  const int listener = bench::listen_somewhere();
  const int epfd = epoll_create1(EPOLL_CLOEXEC);
  add(epfd, listener, nullptr, EPOLLIN);
  std::array<epoll_event, 512> events;
  while (true) {
    const int n = epoll_wait(epfd, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      auto* c = static_cast<client*>(event.data.ptr);
      if (c == nullptr) {
        accept_all(epfd, listener);
      } else if (!handle(*c, event.events)) {
        close(c->fd);
        delete c;
      }
    }
  }
}
