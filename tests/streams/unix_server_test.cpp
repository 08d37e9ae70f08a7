// SPDX-License-Identifier: BSL-1.0
// start_unix_server and its file: S186–S190.
#include "streams/unix_test.hpp"

#include <optional>
#include <stdexcept>

#include <sys/wait.h>

namespace {

using namespace unix_test;

/// What start_unix_server throws.
coroutine<std::exception_ptr> failure(std::string path, server_options options = {}) {
  std::exception_ptr error;
  try {
    server s = co_await start_unix_server(echo, path, options);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return error;
}

TEST(UnixServer, ServesItsPathUntilItIsClosed) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const std::string path = folder / "s";
    server s = co_await start_unix_server(echo, path);
    EXPECT_TRUE(s.is_serving());
    EXPECT_EQ(s.sockets(), std::vector{socket_address::unix_path(path)});
    EXPECT_EQ(s.port(), 0);
    for (int i = 0; i < 3; ++i) {
      std::string answer = co_await ask(path, "hello");
      EXPECT_EQ(answer, "hello");
    }
    s.close();
    EXPECT_TRUE(s.sockets().empty());
    EXPECT_FALSE(exists(path)) << "at once";
    co_await s.wait_closed();
  });
}

TEST(UnixServer, CopiesItsPathWhenItIsCalled) {  // A11
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    task<server> starting;
    {
      std::string path = folder / "s";
      starting = create_task(start_unix_server(echo, path));
      path.assign(100, 'x');
    }
    server s = co_await std::move(starting);
    EXPECT_EQ(s.sockets(), std::vector{socket_address::unix_path(folder / "s")});
  });
}

TEST(UnixServer, BindsWithoutListeningUntilItIsToldTo) {  // S186
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s", {.start_serving = false});
    EXPECT_FALSE(s.is_serving());
    outcome<std::string> refused = co_await as_outcome(ask(folder / "s", "hello"));
    EXPECT_EQ(code_of(refused.exception()), ECONNREFUSED);
    co_await s.start_serving();
    std::string answer = co_await ask(folder / "s", "hello");
    EXPECT_EQ(answer, "hello");
    co_await s.shutdown(1s);
  });
}

TEST(UnixServer, ReplacesAStaleFile) {  // S190
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    leave_stale_file(folder / "s");
    server s = co_await start_unix_server(echo, folder / "s");
    std::string answer = co_await ask(folder / "s", "hello");
    EXPECT_EQ(answer, "hello");
    co_await s.shutdown(1s);
  });
}

TEST(UnixServer, NeverReplacesTheFileOfALivingServer) {  // S190
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const std::string path = folder / "s";
    int clients = 0;
    auto counting = [&clients](stream_reader reader, stream_writer writer) -> coroutine<> {
      ++clients;
      co_await echo(std::move(reader), std::move(writer));
    };
    server s = co_await start_unix_server(counting, path);
    std::exception_ptr error = co_await failure(path);
    EXPECT_EQ(code_of(error), EADDRINUSE);
    EXPECT_EQ(text_of(error), "cannot bind to " + path + ": Address already in use");
    std::string answer = co_await ask(path, "hello");
    EXPECT_EQ(answer, "hello");
    EXPECT_EQ(clients, 1) << "it was not disturbed";
    co_await s.shutdown(1s);
  });
}

TEST(UnixServer, NeverReplacesTheFileOfASocketThatDoesNotListen) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s", {.start_serving = false});
    const int datagrams = bind_to(folder / "d", SOCK_DGRAM);
    const int packets = bind_to(folder / "p", SOCK_SEQPACKET);
    for (const char* name : {"s", "d", "p"}) {
      std::exception_ptr error = co_await failure(folder / name);
      EXPECT_EQ(code_of(error), EADDRINUSE) << name;
      EXPECT_TRUE(exists(folder / name)) << name;
    }
    ::close(datagrams);
    ::close(packets);
  });
}

TEST(UnixServer, NeverReplacesAFileThatIsNoSocket) {  // S190
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    folder.put("file", "precious");
    std::filesystem::create_directory(folder / "folder");
    leave_stale_file(folder / "stale");
    std::filesystem::create_symlink(folder / "stale", folder / "link");
    for (const char* name : {"file", "folder", "link"}) {
      std::exception_ptr error = co_await failure(folder / name);
      EXPECT_EQ(code_of(error), EADDRINUSE) << name;
    }
    EXPECT_EQ(folder.content("file"), "precious");
    EXPECT_EQ(folder.names(), (std::set<std::string>{"file", "folder", "stale", "link"}));
    std::exception_ptr error = co_await failure(folder / "no/such/folder");
    EXPECT_EQ(text_of(error), "cannot bind to " + (folder / "no/such/folder") + ": No such file or directory");
  });
}

TEST(UnixServer, RemovesItsFileOnlyAsLongAsItIsItsOwn) {  // S190
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const std::string path = folder / "s";
    server first = co_await start_unix_server(echo, path);
    std::filesystem::remove(path);
    server second = co_await start_unix_server(echo, path);
    first.close();
    std::string answer = co_await ask(path, "hello");
    EXPECT_EQ(answer, "hello") << "the second one's file is still there";
    std::filesystem::remove(path);
    folder.put("s", "precious");
    co_await second.shutdown(1s);
    EXPECT_EQ(folder.content("s"), "precious");
  });
}

TEST(UnixServer, DoesNotMindThatItsFileIsGone) {  // S190
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s");
    std::filesystem::remove(folder / "s");
    s.close();
    co_await s.wait_closed();
  });
}

TEST(UnixServer, LeavesItsFileWhenItIsToldTo) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s", {.cleanup_socket = false});
    s.close();
    co_await s.wait_closed();
    EXPECT_TRUE(exists(folder / "s"));
    std::exception_ptr error = co_await failure(folder / "s");
    EXPECT_EQ(text_of(error), "") << "it is stale, and replaced";
    EXPECT_FALSE(exists(folder / "s"));
  });
}

TEST(UnixServer, RemovesItsFileHoweverItEnds) {
  const scratch_folder folder;
  const std::string path = folder / "s";
  run_clean([&]() -> coroutine<> {
    { server dropped = co_await start_unix_server(echo, path); }
    EXPECT_FALSE(exists(path)) << "destroyed";

    server s = co_await start_unix_server(echo, path);
    task<> serving = create_task(s.serve_forever());
    std::string answer = co_await ask(path, "hello");
    EXPECT_EQ(answer, "hello");
    serving.cancel();
    outcome<> ended = co_await as_outcome(serving);
    EXPECT_TRUE(serving.cancelled());
    EXPECT_FALSE(exists(path)) << "serve_forever() cancelled";

    auto body = [&path](server&) -> coroutine<> {
      EXPECT_TRUE(exists(path));
      co_return;
    };
    server scoped = co_await start_unix_server(echo, path);
    co_await async_with(std::move(scoped), body);
    EXPECT_FALSE(exists(path)) << "left";
  });
  std::optional<server> kept;
  asyncio::run([&]() -> coroutine<> { kept.emplace(co_await start_unix_server(echo, path)); });
  EXPECT_FALSE(exists(path)) << "the loop was closed";
}

TEST(UnixServer, LeavesNothingBehindWhereverItsStartIsCancelled) {
  const scratch_folder folder;
  const std::size_t before = test::open_descriptors();
  auto body = [&]() -> coroutine<> { server s = co_await start_unix_server(echo, folder / "s"); };
  const auto check = [&] {
    EXPECT_EQ(test::open_descriptors(), before);
    EXPECT_FALSE(exists(folder / "s"));
  };
  EXPECT_GT(asyncio::testing::inject_cancel(body, check), 0u);
}

TEST(UnixServer, LeavesItsFileToTheParentInAChildThatIsForkedOff) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s");
    const pid_t child = ::fork();
    if (child == 0) {
      {
        const server destroyed = std::move(s);
      }
      ::_exit(exists(folder / "s") ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    std::string answer = co_await ask(folder / "s", "hello");
    EXPECT_EQ(answer, "hello");
    co_await s.shutdown(1s);
    EXPECT_FALSE(exists(folder / "s"));
  });
}

TEST(UnixServer, HasNamesInTheAbstractNamespaceThatNeedNoFile) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const std::string name = std::string(1, '\0') + (folder / "s");
    server s = co_await start_unix_server(echo, name);
    std::string answer = co_await ask(name, "hello");
    EXPECT_EQ(answer, "hello");
    EXPECT_TRUE(folder.names().empty());
    std::exception_ptr error = co_await failure(name);
    EXPECT_EQ(text_of(error), "cannot bind to @" + (folder / "s") + ": Address already in use");
    s.close();
    error = co_await failure(name);
    EXPECT_EQ(text_of(error), "") << "it is free at once";
    co_await s.wait_closed();
  });
}

TEST(UnixServer, ListensOnASocketThatItIsGiven) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, "", {.sock = bind_to(folder / "s")});
    EXPECT_EQ(s.sockets(), std::vector{socket_address::unix_path(folder / "s")});
    std::string answer = co_await ask(folder / "s", "hello");
    EXPECT_EQ(answer, "hello");
    co_await s.shutdown(1s);
    EXPECT_FALSE(exists(folder / "s")) << "as CPython 3.13";
  });
}

TEST(UnixServer, RefusesArgumentsThatDoNotFitTogether) {  // S182, S207
  run_clean([]() -> coroutine<> {
    struct wrong_call {
      std::string path;
      server_options options;
      const char* text;
    };
    const int inet = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const std::string expected = "a Unix stream socket was expected, got descriptor " + std::to_string(inet);
    const wrong_call calls[] = {
        {"", {}, "an empty path names no Unix socket"},
        {std::string(108, 'p'), {}, "AF_UNIX path too long: 108 bytes, at most 107"},
        {std::string("/tmp/a\0b", 8), {}, "a path with a NUL inside names no Unix socket"},
        {"/s", {.backlog = -1}, "backlog must not be negative"},
        {"/s", {.limit = 0}, "the limit of a stream must be greater than 0"},
        {"/s", {.reuse_port = true}, "reuse_port is not meaningful for a Unix socket"},
        {"/s", {.reuse_address = false}, "reuse_address is not meaningful for a Unix socket"},
        {"/s", {.keep_alive = true}, "keep_alive is not meaningful for a Unix socket"},
        {"/s", {.family = address_family::inet6}, "family is not meaningful for a Unix socket"},
        {"/s",
         {.ssl_handshake_timeout = 1s},
         "ssl_handshake_timeout and ssl_shutdown_timeout are only meaningful with ssl"},
        {"/s", {.sock = 0}, "path and sock can not be specified at the same time"},
        {"", {.sock = inet}, expected.c_str()},
    };
    for (const wrong_call& call : calls) {
      std::exception_ptr error = co_await failure(call.path, call.options);
      EXPECT_EQ(text_of(error), call.text);
      EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    }
    EXPECT_EQ(::close(inet), 0) << "it is still the caller's";
  });
}

TEST(UnixServer, AcceptsNoMoreThanItMayServeAtATimeAndLosesNobody) {
  const scratch_folder folder;
  asyncio::testing::virtual_clock clock;
  auto body = [&]() -> coroutine<> {
    // More clients than the backlog holds: those wait for room.
    server s = co_await start_unix_server(echo, folder / "s", {.backlog = 1, .max_connections = 2});
    std::vector<task<std::string>> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(create_task(ask(folder / "s", std::to_string(i))));
    for (std::size_t i = 0; i < clients.size(); ++i) {
      std::string answer = co_await clients[i];
      EXPECT_EQ(answer, std::to_string(i));
    }
    co_await s.shutdown(1s);
  };
  run_clean(body, {.clock = clock});
}

TEST(UnixServer, LeavesItsClientsAloneWhenItIsClosedAndShutsThemDownWhenItShall) {  // S187–S189
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s");
    connection c = co_await open_unix_connection(folder / "s");
    co_await c.writer.write_all("hello");
    std::string hello = co_await c.reader.readexactly(5);
    s.close();
    task<> closed = create_task(s.wait_closed());
    co_await c.writer.write_all("still");
    std::string back = co_await c.reader.readexactly(5);
    EXPECT_EQ(back, "still");
    EXPECT_FALSE(closed.done()) << "a connection is left";
    co_await s.shutdown(0s);
    co_await closed;
    std::string end = co_await c.reader.read();
    EXPECT_EQ(end, "");
  });
}

}  // namespace
