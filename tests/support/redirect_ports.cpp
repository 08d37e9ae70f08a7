// SPDX-License-Identifier: BSL-1.0
// Preloaded into a program that names fixed ports: what it wants from port P of anywhere it gets from port
// $REDIRECT_P of this machine, and binding port P binds any. The host "db" is this machine.
#include <cstdlib>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

in_port_t* port_of(sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return &reinterpret_cast<sockaddr_in&>(address).sin_port;
  if (address.ss_family == AF_INET6) return &reinterpret_cast<sockaddr_in6&>(address).sin6_port;
  return nullptr;
}

sockaddr_storage redirected(const sockaddr* address, socklen_t size) {
  sockaddr_storage copy{};
  std::memcpy(&copy, address, size);
  if (in_port_t* port = port_of(copy)) {
    const char* to = std::getenv(("REDIRECT_" + std::to_string(ntohs(*port))).c_str());
    if (to != nullptr) *port = htons(static_cast<in_port_t>(std::atoi(to)));
  }
  return copy;
}

}  // namespace

extern "C" {

int connect(int fd, const sockaddr* address, socklen_t size) {
  const sockaddr_storage to = redirected(address, size);
  return next<decltype(connect)>("connect")(fd, reinterpret_cast<const sockaddr*>(&to), size);
}

int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  const sockaddr_storage to = redirected(address, size);
  return next<decltype(bind)>("bind")(fd, reinterpret_cast<const sockaddr*>(&to), size);
}

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  const bool here = node != nullptr && std::strcmp(node, "db") == 0;
  return next<decltype(getaddrinfo)>("getaddrinfo")(here ? "127.0.0.1" : node, service, hints, found);
}
}
