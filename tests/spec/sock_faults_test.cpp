// SPDX-License-Identifier: BSL-1.0
// The loop's calls on sockets and names when system calls fail, are interrupted or come back short.
#include "io/fake_names.hpp"
#include "spec/sock_test.hpp"
#include "support/sys_faults.hpp"

#include <memory>

namespace asyncio::spec {
namespace {

using test::sys_faults;
using test::sys::table;

TEST(sock_faults, interrupted_calls_are_repeated) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener;
    sys_faults faults;
    faults.fail<&table::accept4>(EINTR, 1, 2);
    faults.fail<&table::connect>(EINTR);
    faults.fail<&table::send>(EINTR, 1, 2);
    faults.fail<&table::recv>(EINTR, 1, 2);
    const owned_fd client = new_socket();
    co_await loop.sock_connect(client, listener.address);
    auto [number, peer] = co_await loop.sock_accept(listener.fd);
    const owned_fd accepted(number);
    co_await loop.sock_sendall(client, "through");
    const std::string bytes = co_await loop.sock_recv(accepted, 100);
    EXPECT_EQ(bytes, "through");
    EXPECT_GE(faults.count<&table::recv>(), 3);
  });
}

// S219
TEST(sock_faults, a_readiness_that_was_none_is_waited_out) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    sys_faults faults;
    faults.fail<&table::recv>(EAGAIN, 1, 3);
    put(pair.b, "there all the time");
    const std::string bytes = co_await loop.sock_recv(pair.a, 100);
    EXPECT_EQ(bytes, "there all the time");
    EXPECT_EQ(faults.count<&table::recv>(), 4);
    faults.fail<&table::send>(EAGAIN, 1, 3);
    co_await loop.sock_sendall(pair.a, "x");
    EXPECT_EQ(faults.count<&table::send>(), 4);
  });
}

TEST(sock_faults, what_need_not_wait_makes_one_system_call) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    sys_faults faults;
    faults.watch<&table::recv>();
    faults.watch<&table::send>();
    faults.watch<&table::epoll_ctl>();
    faults.watch<&table::get_status_flags>();
    co_await loop.sock_sendall(pair.a, "x");
    (void)co_await loop.sock_recv(pair.b, 10);
    EXPECT_EQ(faults.count<&table::send>(), 1);
    EXPECT_EQ(faults.count<&table::recv>(), 1);
    EXPECT_EQ(faults.count<&table::epoll_ctl>() + faults.count<&table::get_status_flags>(), 0);
  });
}

TEST(sock_faults, a_descriptor_that_cannot_be_waited_for_loses_no_bytes) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    {
      sys_faults faults;
      faults.fail<&table::epoll_ctl>(ENOMEM);
      const int error = co_await error_of(loop.sock_recv(pair.a, 100));
      EXPECT_EQ(error, ENOMEM);
    }
    put(pair.b, "kept");
    const std::string bytes = co_await loop.sock_recv(pair.a, 100);
    EXPECT_EQ(bytes, "kept");
  });
}

TEST(sock_faults, an_accept_without_descriptors_leaves_the_connection_to_the_next) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener;
    const owned_fd client = connected_to(listener.address);
    {
      sys_faults faults;
      faults.fail<&table::accept4>(EMFILE);
      const int error = co_await error_of(loop.sock_accept(listener.fd));
      EXPECT_EQ(error, EMFILE);
    }
    auto [number, peer] = co_await loop.sock_accept(listener.fd);
    const owned_fd accepted(number);
    EXPECT_GE(accepted, 0);
  });
}

coroutine<std::string> receive_all(int fd) {
  std::string all;
  while (true) {
    const std::string part = co_await get_running_loop().sock_recv(fd, 5000);
    if (part.empty()) break;
    all += part;
  }
  co_return all;
}

TEST(sock_faults, short_sends_and_reads_lose_nothing) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    socket_pair pair;
    sys_faults faults;
    faults.shorten(777);
    std::string all;
    for (int i = 0; i < 20'000; ++i) all += std::to_string(i) + " ";
    task<std::string> reading = create_task(receive_all(pair.b));
    co_await loop.sock_sendall(pair.a, all);
    pair.close_a();
    const std::string got = co_await reading;
    EXPECT_TRUE(got == all) << got.size();
  });
}

// The kernel room's shared buffer holds 256 KiB.
TEST(sock_faults, a_datagram_larger_than_the_shared_buffer_comes_whole) {
  testing::run([]() -> coroutine<> {
    const socket_pair pair;
    sys_faults faults;
    faults.set<&table::recvfrom>(
        +[](int, void* to, std::size_t size, int, sockaddr*, socklen_t* from_size) noexcept -> ssize_t {
          *from_size = 0;
          const std::size_t n = std::min<std::size_t>(size, 300'000);
          std::memset(to, 'z', n);
          return static_cast<ssize_t>(n);
        });
    const datagram whole = co_await get_running_loop().sock_recvfrom(pair.a, 1'000'000);
    EXPECT_EQ(whole.data.size(), 300'000u);
    EXPECT_LT(whole.data.capacity(), 400'000u);
    const datagram part = co_await get_running_loop().sock_recvfrom(pair.a, 200'000);
    EXPECT_EQ(part.data.size(), 200'000u);
  });
}

// S221
TEST(sock_faults, a_sendall_that_fails_in_between_says_so) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    sys_faults faults;
    faults.shorten(10);
    static int calls;
    calls = 0;
    faults.set<&table::send>(+[](int fd, const void* from, std::size_t size, int flags) noexcept {
      return ++calls < 3 ? test::sys::direct::send(fd, from, std::min<std::size_t>(size, 10), flags) : -ECONNRESET;
    });
    const std::string hundred(100, 'x');
    const int error = co_await error_of(loop.sock_sendall(pair.a, hundred));
    EXPECT_EQ(error, ECONNRESET);
    EXPECT_EQ(taken_from(pair.b).size(), 20u);
  });
}

TEST(sock_faults, a_connect_that_fails_later_names_its_address) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener;
    const owned_fd client = new_socket();
    sys_faults faults;
    static int calls;
    calls = 0;
    faults.set<&table::connect>(+[](int fd, const sockaddr* to, socklen_t size) noexcept {
      if (++calls == 2) return -EHOSTUNREACH;
      (void)test::sys::direct::connect(fd, to, size);
      return -EINPROGRESS;
    });
    std::string what;
    try {
      co_await loop.sock_connect(client, listener.address);
    } catch (const std::system_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "cannot connect to " + listener.address.to_string() + ": No route to host");
  });
}

using addresses = std::vector<socket_address>;

TEST(sock_faults, a_name_is_asked_for_in_a_thread_of_the_resolvers) {
  asyncio::run([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("host", {"::1", "127.0.0.1", "::1"});
    names.fail("nobody", EAI_NONAME);
    const addresses found = co_await get_running_loop().getaddrinfo("host", 80);
    EXPECT_EQ(found, (addresses{socket_address("::1", 80), socket_address("127.0.0.1", 80)}));
    const std::string end = co_await ending(get_running_loop().getaddrinfo("nobody", 80));
    EXPECT_TRUE(contains(end, "cannot resolve 'nobody'")) << end;
  });
}

TEST(sock_faults, a_lookup_that_hangs_can_be_cancelled) {
  asyncio::run([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("host", {"127.0.0.1"});
    names.hang();
    task<addresses> t = create_task(get_running_loop().getaddrinfo("host", 80));
    co_await sleep(0s);
    names.wait_for_hanging(1);
    t.cancel();
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
  });
}

TEST(sock_faults, getnameinfo_asks_with_the_flags_that_it_was_given) {
  asyncio::run([]() -> coroutine<> {
    sys_faults faults;
    faults.set<&table::getnameinfo>(
        +[](const sockaddr* address, socklen_t, char* host, socklen_t, char* service, socklen_t, int flags) noexcept {
          if (flags == NI_NAMEREQD) return EAI_NONAME;
          const int port = ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port);
          std::strcpy(host, "router.example");
          std::strcpy(service, port == 80 && flags == NI_DGRAM ? "http, in datagrams" : "http");
          return 0;
        });
    event_loop& loop = get_running_loop();
    const socket_address address("10.0.0.1", 80);
    auto [host, service] = co_await loop.getnameinfo(address);
    EXPECT_EQ(host, "router.example");
    EXPECT_EQ(service, "http");
    auto [same, other] = co_await loop.getnameinfo(address, NI_DGRAM);
    EXPECT_EQ(other, "http, in datagrams");
    std::string what;
    try {
      (void)co_await loop.getnameinfo(address, NI_NAMEREQD);
    } catch (const gai_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, std::string("cannot name 10.0.0.1:80: ") + gai_strerror(EAI_NONAME));
  });
}

}  // namespace
}  // namespace asyncio::spec
