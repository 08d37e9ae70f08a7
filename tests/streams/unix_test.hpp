// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/address.hpp"
#include "streams/stream_test.hpp"
#include "support/scratch_folder.hpp"

#include <asyncio/testing/testing.hpp>

#include <filesystem>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace unix_test {

using namespace stream_test;
using test::scratch_folder;

/// Sends everything back.
inline coroutine<> echo(stream_reader reader, stream_writer writer) {
  std::string data = co_await reader.read(64 * 1024);
  while (!data.empty()) {
    co_await writer.write_all(std::move(data));
    data = co_await reader.read(64 * 1024);
  }
}

/// One round trip on a connection of its own.
inline coroutine<std::string> ask(std::string path, std::string text) {
  connection c = co_await open_unix_connection(path);
  c.writer.write(text);
  c.writer.write_eof();
  std::string answer = co_await c.reader.read();
  co_await c.writer.aclose();
  co_return answer;
}

/// Both ends of a connection through `path`.
inline coroutine<ends> make_unix_ends(std::string path) {
  future<connection> arrived;
  auto handler = [arrived](stream_reader reader, stream_writer writer) -> coroutine<> {
    arrived.set_result(connection(std::move(reader), std::move(writer)));
    co_return;
  };
  server s = co_await start_unix_server(handler, path);
  connection client = co_await open_unix_connection(path);
  connection served = co_await std::move(arrived);
  co_return ends(std::move(client), std::move(served));
}

/// A socket of the test's own, bound to `path`.
inline int bind_to(std::string_view path, int type = SOCK_STREAM) {
  const socket_address address = socket_address::unix_path(path);
  const int fd = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, io::address_access::data(address), io::address_access::size(address)), 0) << path;
  return fd;
}

/// What a server leaves that was killed: a file to which no socket is bound.
inline void leave_stale_file(const std::string& path) { EXPECT_EQ(::close(bind_to(path)), 0); }

inline bool exists(const std::string& path) { return std::filesystem::exists(std::filesystem::symlink_status(path)); }

}  // namespace unix_test
