// SPDX-License-Identifier: BSL-1.0
// Preloaded into a program that names fixed ports and paths: what it wants from port P of anywhere it gets from port
// $REDIRECT_P of this machine, and binding port P binds any; the Unix socket at a path is that at the path in
// $REDIRECT_<the path>. The hosts "db" and "example.org" are this machine.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

const char* redirection(const std::string& of) { return std::getenv(("REDIRECT_" + of).c_str()); }

/// Where a call shall go instead.
class target {
 public:
  target(const sockaddr* address, socklen_t size) : size_(size) {
    std::memcpy(&address_, address, size);
    switch (address_.ss_family) {
      case AF_INET: redirect(reinterpret_cast<sockaddr_in&>(address_).sin_port); break;
      case AF_INET6: redirect(reinterpret_cast<sockaddr_in6&>(address_).sin6_port); break;
      case AF_UNIX: redirect(reinterpret_cast<sockaddr_un&>(address_)); break;
      default: break;
    }
  }
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return size_; }

 private:
  static void redirect(in_port_t& port) {
    if (const char* to = redirection(std::to_string(ntohs(port)))) port = htons(static_cast<in_port_t>(std::atoi(to)));
  }
  void redirect(sockaddr_un& address) {
    const char* to = redirection(address.sun_path);
    if (to == nullptr || std::strlen(to) >= sizeof address.sun_path) return;
    std::strcpy(address.sun_path, to);
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(to) + 1);
  }

  sockaddr_storage address_{};
  socklen_t size_;
};

}  // namespace

extern "C" {

int connect(int fd, const sockaddr* address, socklen_t size) {
  const target to(address, size);
  return next<decltype(connect)>("connect")(fd, to.address(), to.size());
}

int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  const target to(address, size);
  return next<decltype(bind)>("bind")(fd, to.address(), to.size());
}

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  const bool here = node != nullptr && (std::strcmp(node, "db") == 0 || std::strcmp(node, "example.org") == 0);
  return next<decltype(getaddrinfo)>("getaddrinfo")(here ? "127.0.0.1" : node, service, hints, found);
}
}
