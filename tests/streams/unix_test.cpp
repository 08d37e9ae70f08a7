// SPDX-License-Identifier: BSL-1.0
// open_unix_connection, and streams on Unix sockets: S160–S168, S180–S182, S192–S208.
#include "streams/unix_test.hpp"

#include <stdexcept>

namespace {

using namespace unix_test;

TEST(OpenUnixConnection, ConnectsToAPathAndKnowsBothNames) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    // Longer than an address of IPv6.
    const std::string path = folder / "a-name-that-is-as-long-as-the-names-of-sockets-are.sock";
    ends e = co_await make_unix_ends(path);
    const socket_address named = socket_address::unix_path(path), nameless = e.client.writer.sockname();
    EXPECT_EQ(e.client.writer.peername(), named);
    EXPECT_EQ(e.client.writer.peername().path(), path);
    EXPECT_EQ(e.served.writer.sockname(), named);
    EXPECT_EQ(nameless.family(), address_family::unix_);
    EXPECT_EQ(nameless.path(), "");
    EXPECT_EQ(e.served.writer.peername().family(), address_family::unix_);
    EXPECT_EQ(e.served.writer.peername().path(), "");
    co_await e.client.writer.aclose();
    EXPECT_EQ(e.client.writer.peername(), named) << "it is known after the end, too";
    EXPECT_EQ(e.client.writer.fileno(), -1);
  });
}

TEST(OpenUnixConnection, CopiesItsArgumentsWhenItIsCalled) {  // A11
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s");
    task<connection> connecting;
    {
      std::string path = folder / "s";
      connecting = create_task(open_unix_connection(path));
      path.assign(100, 'x');
    }
    connection c = co_await std::move(connecting);
    co_await c.writer.aclose();
    co_await s.shutdown(1s);
  });
}

TEST(OpenUnixConnection, ConnectsToNamesInTheAbstractNamespace) {  // F18
  run_clean([]() -> coroutine<> {
    const std::string common = std::string(1, '\0') + "asyncio-test-" + std::to_string(::getpid());
    const std::string names[] = {common, common + std::string("\0b", 2), common + std::string("\0c", 2)};
    for (const std::string& name : names) {
      auto handler = [&name](stream_reader, stream_writer writer) -> coroutine<> { co_await writer.write_all(name); };
      server s = co_await start_unix_server(handler, name);
      EXPECT_EQ(s.sockets(), std::vector{socket_address::unix_path(name)});
      connection c = co_await open_unix_connection(name);
      std::string told = co_await c.reader.read();
      EXPECT_EQ(told, name);
      EXPECT_EQ(c.writer.peername().path(), name);
      co_await c.writer.aclose();
      co_await s.shutdown(1s);
    }
  });
}

/// What open_unix_connection throws.
coroutine<std::exception_ptr> failure(std::string path, connection_options options = {}) {
  std::exception_ptr error;
  try {
    connection c = co_await open_unix_connection(path, options);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  co_return error;
}

TEST(OpenUnixConnection, SaysWhichPathFailed) {  // S180
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    std::exception_ptr error = co_await failure(folder / "nobody");
    EXPECT_EQ(code_of(error), ENOENT);
    EXPECT_EQ(text_of(error), "cannot connect to " + (folder / "nobody") + ": No such file or directory");
    leave_stale_file(folder / "stale");
    error = co_await failure(folder / "stale");
    EXPECT_EQ(code_of(error), ECONNREFUSED);
    EXPECT_EQ(text_of(error), "cannot connect to " + (folder / "stale") + ": Connection refused");
    error = co_await failure(std::string("\0asyncio-test-nobody", 20));
    EXPECT_EQ(text_of(error), "cannot connect to @asyncio-test-nobody: Connection refused");
  });
}

TEST(OpenUnixConnection, RefusesArgumentsThatDoNotFitTogether) {  // S182, S207, F18
  run_clean([]() -> coroutine<> {
    struct wrong_call {
      std::string path;
      connection_options options;
      const char* text;
    };
    const wrong_call calls[] = {
        {"", {}, "an empty path names no Unix socket"},
        {std::string(108, 'p'), {}, "AF_UNIX path too long: 108 bytes, at most 107"},
        {std::string("\0", 1) + std::string(108, 'p'), {}, "AF_UNIX path too long: 109 bytes, at most 108"},
        {std::string("/tmp/a\0b", 8), {}, "a path with a NUL inside names no Unix socket"},
        {"/s", {.limit = 0}, "the limit of a stream must be greater than 0"},
        {"/s", {.server_hostname = "x"}, "server_hostname is only meaningful with ssl"},
        {"/s",
         {.ssl_shutdown_timeout = 1s},
         "ssl_handshake_timeout and ssl_shutdown_timeout are only meaningful with ssl"},
        {"/s", {.family = address_family::inet}, "family is not meaningful for a Unix socket"},
        {"/s", {.local_addr = {"127.0.0.1", 0}}, "local_addr is not meaningful for a Unix socket"},
        {"/s", {.local_addr = {"", 1}}, "local_addr is not meaningful for a Unix socket"},
        {"/s", {.happy_eyeballs_delay = 1s}, "happy_eyeballs_delay is not meaningful for a Unix socket"},
        {"/s", {.interleave = 0}, "interleave is not meaningful for a Unix socket"},
        {"/s", {.sock = 0}, "path and sock can not be specified at the same time"},
    };
    for (const wrong_call& call : calls) {
      std::exception_ptr error = co_await failure(call.path, call.options);
      EXPECT_EQ(text_of(error), call.text);
      EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    }
    std::exception_ptr error = co_await failure("/nobody/is/here", {.family = address_family::unix_});
    EXPECT_EQ(code_of(error), ENOENT) << "this family does fit";
  });
}

TEST(OpenUnixConnection, TakesOverAConnectedSocket) {
  run_clean([]() -> coroutine<> {
    test::socket_pair pair;
    connection c = co_await open_unix_connection("", {.sock = std::exchange(pair.a, -1)});
    co_await c.writer.write_all("hello");
    co_await get_running_loop().readable(pair.b);
    char got[5];
    EXPECT_EQ(::recv(pair.b, got, 5, 0), 5);
    pair.close_b();
    std::string rest = co_await c.reader.read();
    EXPECT_EQ(rest, "");
    co_await c.writer.aclose();
  });
}

TEST(OpenUnixConnection, RefusesASocketThatIsNoUnixStream) {  // S182
  run_clean([]() -> coroutine<> {
    const int inet = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::exception_ptr error = co_await failure("", {.sock = inet});
    EXPECT_EQ(text_of(error), "a Unix stream socket was expected, got descriptor " + std::to_string(inet));
    EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    EXPECT_EQ(::fcntl(inet, F_GETFL) & O_NONBLOCK, 0) << "it is untouched";
    EXPECT_EQ(::close(inet), 0) << "it is still the caller's";
    const int datagrams = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    error = co_await failure("", {.sock = datagrams});
    EXPECT_THROW(std::rethrow_exception(error), std::invalid_argument);
    EXPECT_EQ(::close(datagrams), 0);
    error = co_await failure("", {.sock = 1'000'000});
    EXPECT_EQ(code_of(error), EBADF);
  });
}

/// A server that does not accept: its backlog has room for one client, which it has.
class full_server {
 public:
  explicit full_server(const std::string& path) : listener_(bind_to(path)) {
    EXPECT_EQ(::listen(listener_, 0), 0);
    const socket_address address = socket_address::unix_path(path);
    client_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(client_, io::address_access::data(address), io::address_access::size(address)), 0);
  }
  full_server(const full_server&) = delete;
  ~full_server() {
    ::close(client_);
    ::close(listener_);
  }
  void accept_one() const { EXPECT_EQ(::close(::accept(listener_, nullptr, nullptr)), 0); }

 private:
  int listener_;
  int client_ = -1;
};

TEST(OpenUnixConnection, WaitsForRoomInTheBacklogAsABlockingConnectDoes) {
  const scratch_folder folder;
  asyncio::testing::virtual_clock clock;
  auto body = [&]() -> coroutine<> {
    const full_server full(folder / "s");
    task<connection> connecting = create_task(open_unix_connection(folder / "s"));
    co_await sleep(60s);
    EXPECT_FALSE(connecting.done()) << "however long it takes";
    full.accept_one();
    connection c = co_await wait_for(connecting, 1s);
    full.accept_one();
    std::string end = co_await c.reader.read();
    EXPECT_EQ(end, "");
    co_await c.writer.aclose();
  };
  run_clean(body, {.clock = clock});
}

TEST(OpenUnixConnection, MayTakeTooLongWhileTheBacklogIsFull) {  // S181
  const scratch_folder folder;
  const full_server full(folder / "s");
  const std::size_t before = test::open_descriptors();
  auto body = [&]() -> coroutine<> {
    outcome<connection> late = co_await as_outcome(wait_for(open_unix_connection(folder / "s"), 200ms));
    EXPECT_THROW(std::rethrow_exception(late.exception()), timeout_error);
  };
  const std::size_t points =
      asyncio::testing::inject_cancel(body, [&] { EXPECT_EQ(test::open_descriptors(), before); });
  EXPECT_GT(points, 10u) << "it was cancelled while it waited for room";
}

TEST(OpenUnixConnection, LeavesNothingOpenWhereverItIsCancelled) {  // S181, F35
  const scratch_folder folder;
  const std::size_t before = test::open_descriptors();
  auto body = [&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s");
    connection c = co_await open_unix_connection(folder / "s");
    c.writer.write("hello");
    std::string back = co_await c.reader.readexactly(5);
    EXPECT_EQ(back, "hello");
    co_await c.writer.aclose();
    co_await s.shutdown(1s);
  };
  const auto check = [&] {
    EXPECT_EQ(test::open_descriptors(), before);
    EXPECT_FALSE(exists(folder / "s"));
  };
  EXPECT_GT(asyncio::testing::inject_cancel(body, check), 5u);
  EXPECT_GT(asyncio::testing::inject_cancel(body, check, {.all_tasks = true}), 5u);
}

// ---- streams

TEST(UnixStream, HalfClosesAndGoesOnReading) {  // S166, F9
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    ends e = co_await make_unix_ends(folder / "s");
    EXPECT_TRUE(e.client.writer.can_write_eof());
    e.client.writer.write("question");
    e.client.writer.write_eof();
    std::string question = co_await e.served.reader.read();
    EXPECT_EQ(question, "question");
    EXPECT_TRUE(e.served.reader.at_eof());
    co_await e.served.writer.write_all("answer");
    std::string answer = co_await e.client.reader.readexactly(6);
    EXPECT_EQ(answer, "answer");
    co_await e.served.writer.aclose();
    std::string rest = co_await e.client.reader.read();
    EXPECT_EQ(rest, "");
    co_await e.client.writer.aclose();
  });
}

TEST(UnixStream, DrainWaitsForASlowReader) {  // S202, F12
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    ends e = co_await make_unix_ends(folder / "s");
    const std::string block(64 * 1024, 'w');
    std::size_t written = 0, got = 0;
    for (; e.client.writer.get_write_buffer_size() <= 64 * 1024; written += block.size()) e.client.writer.write(block);
    task<> draining = create_task(e.client.writer.drain());
    co_await turns(5);
    EXPECT_FALSE(draining.done());
    while (got < written) {
      std::string piece = co_await e.served.reader.read(1 << 20);
      got += piece.size();
    }
    co_await draining;
    EXPECT_EQ(got, written);
    EXPECT_EQ(e.client.writer.get_write_buffer_size(), 0u);
  });
}

TEST(UnixStream, KeepsMegabytesInOrderBothWaysAtOnce) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    std::string text;
    while (text.size() < 4'000'000) text += std::to_string(text.size()) + " ";
    server s = co_await start_unix_server(echo, folder / "s");
    connection c = co_await open_unix_connection(folder / "s");
    auto send = [&text](stream_writer& writer) -> coroutine<> {
      for (std::size_t at = 0; at < text.size(); at += 10'007) co_await writer.write_all(text.substr(at, 10'007));
      writer.write_eof();
    };
    task<> sending = create_task(send(c.writer));
    std::string back = co_await c.reader.read();
    EXPECT_TRUE(back == text) << back.size() << " of " << text.size() << " bytes";
    co_await sending;
    co_await c.writer.aclose();
    co_await s.shutdown(1s);
  });
}

TEST(UnixStream, DeliversWhatCameBeforeThePeerClosed) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    ends e = co_await make_unix_ends(folder / "s");
    co_await e.client.writer.write_all("the last words");
    co_await e.client.writer.aclose();
    std::string words = co_await e.served.reader.read();
    EXPECT_EQ(words, "the last words");
    co_await e.served.writer.aclose();
  });
}

TEST(UnixStream, AbortLosesWhatIsBufferedAndClosesAtOnce) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    ends e = co_await make_unix_ends(folder / "s");
    const std::string block(1 << 20, 'a');
    e.client.writer.write(block);
    EXPECT_GT(e.client.writer.get_write_buffer_size(), 0u);
    e.client.writer.abort();
    co_await e.client.writer.wait_closed();
    std::string got = co_await e.served.reader.read();
    EXPECT_LT(got.size(), block.size());
    co_await e.served.writer.aclose();
  });
}

TEST(UnixStream, TellsTheWriterThatThePeerIsGone) {  // S203
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    ends e = co_await make_unix_ends(folder / "s");
    e.served.writer.abort();
    co_await e.served.writer.wait_closed();
    auto write_for_ever = [](stream_writer& writer) -> coroutine<> {
      while (true) {
        co_await writer.write_all("still there?");
        co_await sleep(0s);
      }
    };
    outcome<> lost = co_await as_outcome(write_for_ever(e.client.writer));
    EXPECT_TRUE(code_of(lost.exception()) == EPIPE || code_of(lost.exception()) == ECONNRESET)
        << text_of(lost.exception());
  });
}

}  // namespace
