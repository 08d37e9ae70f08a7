// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/asyncio.hpp>

#include "support/descriptors.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace stream_test {

using namespace asyncio;

/// What the loop's exception handler was told during run_clean().
inline std::vector<std::string>& reports() {
  static std::vector<std::string> all;
  return all;
}

/// Runs a coroutine function on a loop of its own: when the loop is closed no descriptor is left, and nobody reported
/// anything to the exception handler but what the test took out of reports().
template <class Body>
void run_clean(Body body, run_options options = {}) {
  const std::size_t before = test::open_descriptors();
  reports().clear();
  auto main = [&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [](event_loop&, const exception_context& context) { reports().push_back(context.message); });
    co_await body();
  };
  asyncio::run(main, options);
  EXPECT_EQ(reports(), std::vector<std::string>());
  // A lookup that was abandoned in the resolver keeps its loop's wake-up descriptor until it ends there.
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (test::open_descriptors() != before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(test::open_descriptors(), before);
}

/// Both ends of a TCP connection on the loopback.
struct ends {
  ends(connection c, connection s) : client(std::move(c)), served(std::move(s)) {}
  connection client;
  connection served;
};

inline coroutine<ends> make_ends(std::size_t limit = 64 * 1024) {
  future<connection> arrived;
  auto handler = [arrived](stream_reader reader, stream_writer writer) -> coroutine<> {
    arrived.set_result(connection(std::move(reader), std::move(writer)));
    co_return;
  };
  server s = co_await start_server(handler, "127.0.0.1", 0, {.limit = limit});
  connection client = co_await open_connection("127.0.0.1", s.port(), {.limit = limit});
  connection served = co_await std::move(arrived);
  co_return ends(std::move(client), std::move(served));
}

inline coroutine<> turns(int n) {
  for (int i = 0; i < n; ++i) co_await sleep(0s);
}

/// Lets the loop turn until `reached` holds, at most five seconds.
template <class Condition>
coroutine<> until(Condition reached) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!reached() && std::chrono::steady_clock::now() < deadline) co_await sleep(0s);
  EXPECT_TRUE(reached());
}

/// The code of a std::system_error, 0 for none.
inline int code_of(const std::exception_ptr& error) {
  if (error == nullptr) return 0;
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    return e.code().value();
  }
}

inline std::string text_of(const std::exception_ptr& error) {
  if (error == nullptr) return {};
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

/// Makes the next close() of this end a reset.
inline void reset_on_close(const stream_writer& writer) {
  const linger reset{1, 0};
  EXPECT_EQ(::setsockopt(writer.fileno(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
}

}  // namespace stream_test
