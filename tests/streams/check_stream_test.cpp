// SPDX-License-Identifier: BSL-1.0
// Every kind of stream keeps the laws. TLS: tests/tls/laws_test.cpp. That the laws find what breaks them:
// check_stream_broken_test.cpp.
#include "io/transport.hpp"
#include "streams/stream_core.hpp"
#include "streams/unix_test.hpp"
#include "support/backend.hpp"

#include <unistd.h>

namespace stream_test {
namespace {

using pair = std::pair<connection, connection>;

coroutine<pair> over_tcp() {
  ends both = co_await make_ends();
  co_return pair(std::move(both.client), std::move(both.served));
}

TEST(StreamLaws, hold_over_tcp) { EXPECT_GT(asyncio::testing::check_stream(over_tcp), 20u); }

TEST(StreamLaws, hold_over_unix_sockets) {
  const test::scratch_folder folder;
  const std::string path = folder / "socket";
  const auto over_unix = [&path]() -> coroutine<pair> {
    ends both = co_await unix_test::make_unix_ends(path);
    co_return pair(std::move(both.client), std::move(both.served));
  };
  EXPECT_GT(asyncio::testing::check_stream(over_unix), 20u);
}

TEST(StreamLaws, hold_in_memory) {
  const auto in_memory = [] { return asyncio::testing::stream_pair(); };
  EXPECT_GT(asyncio::testing::check_stream(in_memory, {.abort_is_told = true}), 20u);
}

TEST(StreamLaws, hold_in_memory_with_little_room) {
  const auto narrow = [] { return asyncio::testing::stream_pair({.buffer = 300}); };
  EXPECT_GT(asyncio::testing::check_stream(narrow, {.abort_is_told = true}), 20u);
}

// The connection of a pipe's end has its other half idle.
connection end_of_pipe(int fd, io::stream_kind kind) {
  loop::loop& l = loop::loop::of(asyncio::detail::running_loop());
  return streams::make_connection(io::stream_transport::make_pipe(l, io::unique_fd(fd), kind), 64 * 1024);
}

TEST(StreamLaws, hold_one_way_over_pipes) {
  const auto over_pipe = []() -> pair {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) throw std::system_error(errno, std::generic_category());
    connection writing = end_of_pipe(fds[1], io::stream_kind::pipe_to_write);
    return {std::move(writing), end_of_pipe(fds[0], io::stream_kind::pipe_to_read)};
  };
  EXPECT_GT(asyncio::testing::check_stream(over_pipe, {.one_way = true}), 15u);
}

// ---- how it is called

TEST(CheckStream, throws_what_make_throws) {
  const auto fails = []() -> coroutine<pair> {
    co_await sleep(0s);
    throw std::domain_error("no connection today");
  };
  EXPECT_THROW(asyncio::testing::check_stream(fails), std::domain_error);
  const auto fails_at_once = []() -> pair { throw std::domain_error("no connection today"); };
  EXPECT_THROW(asyncio::testing::check_stream(fails_at_once), std::domain_error);
}

TEST(CheckStream, runs_on_the_backend_that_it_is_told) {
  std::string seen;
  const auto looks = [&seen]() -> pair {
    seen = get_running_loop().backend() == backend_kind::epoll ? "epoll" : "io_uring";
    throw std::domain_error("enough");
  };
  EXPECT_THROW(asyncio::testing::check_stream(looks, {.backend = backend_kind::epoll}), std::domain_error);
  EXPECT_EQ(seen, test::on_io_uring() ? "io_uring" : "epoll");  // the environment goes first
}

}  // namespace
}  // namespace stream_test
