// SPDX-License-Identifier: BSL-1.0
// Cancelled means that it did not happen: what a cancelled call on a socket leaves behind.
#include "spec/sock_test.hpp"

#include <functional>
#include <memory>

namespace asyncio::spec {
namespace {

/// Makes a socket that `t` waits for ready, and cancels `t` in the turn in which the kernel tells: from the callback of
/// the first of two others that are ready then too, one before it and one after it. So the kernel has told, and the task
/// has not heard.
coroutine<> cancel_when_the_kernel_has_told(any_task t, std::function<void()> make_ready) {
  event_loop& loop = get_running_loop();
  const socket_pair before, after;
  for (const int fd : {before.a, after.a})
    loop.add_reader(fd, [&loop, &before, &after, t] {
      loop.remove_reader(before.a);
      loop.remove_reader(after.a);
      t.cancel();
    });
  co_await sleep(1s);
  put(before.b, "x");
  make_ready();
  put(after.b, "x");
  co_await sleep(1s);
}

// S219, S220
TEST(sock_cancel, a_recv_that_waits_ends_and_a_new_one_works_at_once) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    task<std::string> t = create_task(loop.sock_recv(pair.a, 10));
    co_await sleep(1s);
    t.cancel("away");
    task<std::string> next = create_task(loop.sock_recv(pair.a, 10));
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error(away)");
    put(pair.b, "next");
    const std::string bytes = co_await next;
    EXPECT_EQ(bytes, "next");
    EXPECT_EQ(loop.metrics().inflight, 0u);
  });
}

// S220
TEST(sock_cancel, bytes_that_have_come_before_the_cancellation_are_delivered) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    task<std::string> t = create_task(loop.sock_recv(pair.a, 10));
    co_await cancel_when_the_kernel_has_told(t, [&] { put(pair.b, "kept"); });
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "kept");
    EXPECT_EQ(taken_from(pair.a), "");
  });
}

// S220
TEST(sock_cancel, a_connection_that_has_come_before_the_cancellation_is_delivered) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener;
    std::unique_ptr<owned_fd> client;
    task<std::pair<int, socket_address>> t = create_task(loop.sock_accept(listener.fd));
    co_await cancel_when_the_kernel_has_told(
        t, [&] { client = std::make_unique<owned_fd>(connected_to(listener.address)); });
    auto [fd, peer] = co_await t;
    const owned_fd accepted(fd);
    put(accepted, "served");
    EXPECT_EQ(taken_from(*client), "served");
  });
}

/// Receives `expected` once it has been sent, a second later, in two parts; and counts what is lost when it is cancelled.
template <class Receive>
std::size_t sweep_receiving(Receive receive) {
  const std::string all = "first part, second part";
  return testing::inject_cancel([&]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    const timer_handle one = loop.call_later(1s, [&] { put(pair.b, all.substr(0, 11)); });
    const timer_handle two = loop.call_later(2s, [&] { put(pair.b, all.substr(11)); });
    std::string got;
    std::exception_ptr error;
    try {
      while (got.size() < all.size()) co_await receive(pair.a, got);
    } catch (...) {
      error = std::current_exception();
    }
    one.cancel();
    two.cancel();
    got += taken_from(pair.a);
    EXPECT_EQ(got, all.substr(0, got.size())) << "nothing is missing in the middle";
    EXPECT_TRUE(got.empty() || got.size() == 11 || got == all) << got;
    if (error != nullptr) std::rethrow_exception(error);
  });
}

coroutine<> receive_string(int fd, std::string& got) {
  const std::string bytes = co_await get_running_loop().sock_recv(fd, 4);
  got += bytes;
}
coroutine<> receive_into(int fd, std::string& got) {
  char buffer[5];
  const std::size_t n = co_await get_running_loop().sock_recv_into(fd, buffer);
  got.append(buffer, n);
}
coroutine<> receive_in_time(int fd, std::string& got) {
  const std::string bytes = co_await wait_for(get_running_loop().sock_recv(fd, 6), 1h);
  got += bytes;
}
coroutine<> receive_from(int fd, std::string& got) {
  const datagram d = co_await get_running_loop().sock_recvfrom(fd, 7);
  got += d.data;
}

TEST(sock_cancel, wherever_a_recv_is_cancelled_no_byte_is_lost) {
  EXPECT_GE(sweep_receiving(receive_string), 2u);
  EXPECT_GE(sweep_receiving(receive_into), 2u);
  EXPECT_GE(sweep_receiving(receive_in_time), 2u);
  EXPECT_GE(sweep_receiving(receive_from), 2u);
}

TEST(sock_cancel, wherever_an_accept_is_cancelled_no_connection_is_lost) {
  EXPECT_GE(testing::inject_cancel([]() -> coroutine<> {
              event_loop& loop = get_running_loop();
              const listening_socket listener;
              std::unique_ptr<owned_fd> client;
              const timer_handle timer =
                  loop.call_later(1s, [&] { client = std::make_unique<owned_fd>(connected_to(listener.address)); });
              std::exception_ptr error;
              int number = -1;
              try {
                auto [fd, peer] = co_await loop.sock_accept(listener.fd);
                number = fd;
              } catch (...) {
                error = std::current_exception();
              }
              timer.cancel();
              if (client != nullptr) {
                const owned_fd accepted(number >= 0 ? number : ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK));
                EXPECT_GE(accepted, 0);
                put(*client, "hello");
                EXPECT_EQ(taken_from(accepted), "hello");
              }
              if (error != nullptr) std::rethrow_exception(error);
            }),
            1u);
}

TEST(sock_cancel, memory_of_the_callers_is_not_touched_after_a_cancelled_recv_into) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    auto buffer = std::make_unique<char[]>(16);  // freed early: a sanitizer sees who writes to it
    task<std::size_t> t =
        create_task(loop.sock_recv_into(pair.a, buffer_view(reinterpret_cast<std::byte*>(buffer.get()), 16)));
    co_await sleep(1s);
    t.cancel();
    put(pair.b, "too late");
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
    buffer.reset();
    co_await sleep(1s);
    EXPECT_EQ(taken_from(pair.a), "too late");
  });
}

TEST(sock_cancel, a_call_that_is_left_when_its_loop_is_closed_ends_with_it) {
  const socket_pair pair;
  char buffer[16];
  std::string end;
  {
    auto loop = new_event_loop();
    loop->create_task([&]() -> coroutine<> { end = co_await ending(loop->sock_recv_into(pair.a, buffer)); });
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
  }
  EXPECT_EQ(end, "cancelled_error");
  put(pair.b, "still there");
  EXPECT_EQ(taken_from(pair.a), "still there");
}

TEST(sock_cancel, a_sendall_has_sent_a_beginning_and_the_socket_stays_usable) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const socket_pair pair;
    std::string all(8 * 1024 * 1024, '\0');
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 31 >> 8);
    task<> sending = create_task(loop.sock_sendall(pair.a, all));
    std::string got;
    for (int i = 0; i < 5; ++i) {
      co_await sleep(1s);
      got += taken_from(pair.b);
    }
    EXPECT_FALSE(sending.done());
    sending.cancel();
    const std::string end = co_await ending(sending);
    EXPECT_EQ(end, "cancelled_error");
    got += taken_from(pair.b);
    EXPECT_TRUE(got == all.substr(0, got.size()));
    EXPECT_GT(got.size(), 0u);
    co_await loop.sock_sendall(pair.a, "again");
    EXPECT_EQ(taken_from(pair.b), "again");
  });
}

// A listener whose queue is full answers nobody.
TEST(sock_cancel, a_connect_can_be_given_up_and_taken_up_again) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const listening_socket listener(0);
    std::vector<owned_fd> clients;
    int silent = -1;
    while (silent < 0 && clients.size() < 64) {
      clients.push_back(new_socket());
      const std::string end = co_await ending(wait_for(loop.sock_connect(clients.back(), listener.address), 1s));
      if (end != "done") silent = clients.back();
      EXPECT_TRUE(end == "done" || end == "timeout_error") << end;
    }
    EXPECT_GE(silent, 0);
    const std::string again = co_await ending(wait_for(loop.sock_connect(silent, listener.address), 1s));
    EXPECT_EQ(again, "timeout_error");
    EXPECT_EQ(loop.metrics().inflight, 0u);
  });
}

TEST(sock_cancel, a_connect_may_be_cancelled_anywhere) {
  EXPECT_GE(testing::inject_cancel([]() -> coroutine<> {
              const listening_socket listener;
              const owned_fd client = new_socket();
              co_await sleep(1s);
              co_await get_running_loop().sock_connect(client, listener.address);
              co_await get_running_loop().sock_sendall(client, "x");
            }),
            1u);
}

}  // namespace
}  // namespace asyncio::spec
