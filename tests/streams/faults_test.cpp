// SPDX-License-Identifier: BSL-1.0
// Streams when system calls fail, are interrupted or come back short: F1–F4, F14, F22.
#include "io/fake_names.hpp"
#include "streams/fault_sweep.hpp"
#include "streams/stream_test.hpp"
#include "support/sys_faults.hpp"

#include <asyncio/testing/testing.hpp>

#include <atomic>

namespace {

using namespace stream_test;
using test::sys_faults;
using test::sys::table;

coroutine<> echo(stream_reader reader, stream_writer writer) {
  while (true) {
    std::string data = co_await reader.read(4096);
    if (data.empty()) break;
    co_await writer.write_all(data);
  }
}

/// A server, a client, a few kilobytes there and back: true if they came back.
coroutine<bool> converse() {
  server s = co_await start_server(echo, "127.0.0.1", 0);
  connection c = co_await open_connection("127.0.0.1", s.port());
  std::string text;
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + " ";
  c.writer.write(text);
  co_await c.writer.drain();
  c.writer.write_eof();
  std::string back = co_await c.reader.read();
  co_await c.writer.aclose();
  co_await s.shutdown(60s);
  co_return back == text;
}

coroutine<> conversation() {
  const bool came_back = co_await converse();
  EXPECT_TRUE(came_back);
}

TEST(StreamFaults, DoNotMindInterruptedCalls) {  // F1
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.fail<&table::recv>(EINTR, 1, 2);
    faults.fail<&table::send>(EINTR, 1, 2);
    faults.fail<&table::accept4>(EINTR, 1, 2);
    faults.fail<&table::epoll_wait>(EINTR, 1, 2);
    faults.fail<&table::epoll_pwait2>(EINTR, 1, 2);
    co_await conversation();
  });
}

TEST(StreamFaults, DoNotMindReadinessThatWasNone) {  // F14
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.fail<&table::accept4>(EAGAIN);
    co_await conversation();
  });
}

TEST(StreamFaults, DoNotMindShortReadsAndWrites) {  // F14
  for (const std::size_t most : {1u, 7u, 1000u}) {
    run_clean([most]() -> coroutine<> {
      sys_faults faults;
      faults.shorten(most);
      co_await conversation();
    });
  }
}

TEST(StreamFaults, PassOverConnectionsThatWereGivenUp) {  // F4
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.fail<&table::accept4>(ECONNABORTED, 1, 5);
    co_await conversation();
  });
}

TEST(StreamFaults, TellOnceThatDescriptorsHaveRunOutAndGoOn) {  // F2
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.fail<&table::accept4>(EMFILE);
    const auto before = std::chrono::steady_clock::now();
    co_await conversation();
    EXPECT_GE(std::chrono::steady_clock::now() - before, 1s) << "after the pause";
    const std::vector<std::string> told = std::exchange(reports(), {});
    EXPECT_EQ(told, std::vector<std::string>{"accept() failed for want of system resources; accepting pauses"});
  });
}

TEST(StreamFaults, SendTheWritesOfATurnInOneCall) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    sys_faults faults;
    faults.watch<&table::send>();
    for (int i = 0; i < 16; ++i) e.client.writer.write("0123456789012345678901234567890123456789");
    std::string all = co_await e.served.reader.readexactly(640);
    EXPECT_EQ(faults.count<&table::send>(), 1);
    e.client.writer.write("and ");
    co_await e.client.writer.drain();
    EXPECT_EQ(faults.count<&table::send>(), 2) << "drain() does not wait for the end of the turn";
    all = co_await e.served.reader.readexactly(4);
  });
}

TEST(StreamFaults, NeedTwoCallsForEachSideOfARoundTrip) {  // performance row 7
  run_clean([]() -> coroutine<> {
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port());
    for (int i = 0; i < 2; ++i) {
      co_await c.writer.write_all("warm");
      std::string back = co_await c.reader.readexactly(4);
    }
    sys_faults faults;
    faults.watch<&table::recv>();
    faults.watch<&table::send>();
    faults.watch<&table::epoll_ctl>();
    for (int i = 0; i < 10; ++i) {
      co_await c.writer.write_all("ping");
      std::string back = co_await c.reader.readexactly(4);
    }
    EXPECT_EQ(faults.count<&table::send>(), 20);
    EXPECT_EQ(faults.count<&table::recv>(), 20) << "no call only to hear EAGAIN";
    EXPECT_EQ(faults.count<&table::epoll_ctl>(), 0);
    co_await c.writer.aclose();
    co_await s.shutdown(60s);
  });
}

TEST(StreamFaults, ResolveInAnotherThreadAndMayBeCancelledThere) {  // F22
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("host.test", {"::1", "127.0.0.1"});
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("host.test", s.port());
    EXPECT_EQ(c.writer.peername().host(), "127.0.0.1");
    c.writer.abort();

    names.hang();
    std::vector<task<connection>> hung;
    for (int i = 0; i < 20; ++i) hung.push_back(create_task(open_connection("host.test", s.port())));
    task<server> starting = create_task(start_server(echo, "host.test", 0));
    co_await turns(5);
    for (auto& t : hung) t.cancel();
    starting.cancel();
    for (auto& t : hung) {
      outcome<> end = co_await as_outcome(any_task(t));
      EXPECT_TRUE(t.cancelled());
    }
    outcome<> end = co_await as_outcome(any_task(starting));
    names.let_go();
    names.fail("host.test", EAI_AGAIN);
    outcome<connection> failed = co_await as_outcome(open_connection("host.test", s.port()));
    EXPECT_EQ(text_of(failed.exception()), "cannot resolve 'host.test': Temporary failure in name resolution");
    EXPECT_THROW(std::rethrow_exception(failed.exception()), asyncio::gai_error);
    co_await s.shutdown(60s);
    reports().clear();
  });
}

TEST(StreamFaults, AskNoResolverForAddressesInNumbers) {  // S180
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port(), {.local_addr = {"127.0.0.2", 0}});
    EXPECT_EQ(c.writer.sockname().host(), "127.0.0.2");
    outcome<connection> scoped = co_await as_outcome(open_connection("fe80::1%lo", s.port()));
    EXPECT_NE(code_of(scoped.exception()), 0) << "nobody is there";
    EXPECT_EQ(names.calls(), 0);
    c.writer.abort();
    co_await s.shutdown(60s);
  });
}

TEST(StreamFaults, ListenOnceOnAnAddressThatTheResolverNamesTwice) {  // S184
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("twice.test", {"127.0.0.1", "127.0.0.2", "127.0.0.1"});
    server s = co_await start_server(echo, "twice.test", 0);
    const socket_address one("127.0.0.1", s.port()), other("127.0.0.2", s.port());
    EXPECT_EQ(s.sockets(), (std::vector{one, other}));
    co_await s.shutdown(60s);
  });
}

TEST(StreamFaults, PassOverLocalAddressesOfAnotherFamily) {  // S183
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("local.test", {"::1", "127.0.0.2"});
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await open_connection("127.0.0.1", s.port(), {.local_addr = {"local.test", 0}});
    EXPECT_EQ(c.writer.sockname().host(), "127.0.0.2");
    c.writer.abort();
    co_await s.shutdown(60s);
  });
}

TEST(StreamFaults, TryTheNextAddressAsSoonAsOneRefuses) {  // S135
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("host.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
    server s = co_await start_server(echo, "127.0.0.1", 0);
    connection c = co_await wait_for(open_connection("host.test", s.port(), {.happy_eyeballs_delay = 1h}), 60s);
    EXPECT_EQ(c.writer.peername().host(), "127.0.0.1");
    c.writer.abort();
    co_await s.shutdown(60s);
  });
}

/// As connect(), to addresses that never answer.
void never_connect(sys_faults& faults) {
  faults.set<&table::connect>(+[](int, const sockaddr*, socklen_t) noexcept { return -EINPROGRESS; });
}

TEST(StreamFaults, CloseEveryAttemptOfAConnectionThatTookTooLong) {  // S181, S135
  asyncio::testing::virtual_clock clock;
  auto body = []() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("silent.test", {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"});
    never_connect(faults);
    const std::size_t before = test::open_descriptors();
    task<connection> connecting = create_task(open_connection("silent.test", 80));
    // Only then may everybody be blocked: the virtual clock does not wait for the resolver's thread.
    co_await until([&] { return test::open_descriptors() > before; });
    const time_point start = get_running_loop().time();
    outcome<connection> late = co_await as_outcome(wait_for(std::move(connecting), 600ms));
    EXPECT_THROW(std::rethrow_exception(late.exception()), timeout_error);
    EXPECT_EQ(get_running_loop().time() - start, 600ms);
    co_await until([&] { return test::open_descriptors() == before; });
  };
  run_clean(body, {.clock = clock});
}

/// How many bytes recv() has brought in the process.
std::atomic<std::size_t> received{0};

void count_received(sys_faults& faults) {
  received = 0;
  faults.set<&table::recv>(+[](int fd, void* to, std::size_t size, int flags) noexcept {
    const ssize_t n = test::sys::direct::recv(fd, to, size, flags);
    if (n > 0) received += static_cast<std::size_t>(n);
    return n;
  });
}

TEST(StreamFaults, ReadNoFurtherAheadThanTwiceTheLimitUnlessMoreIsWanted) {  // S197
  run_clean([]() -> coroutine<> {
    constexpr std::size_t limit = 8 * 1024, much = 24'000'000;
    ends e = co_await make_ends(limit);
    sys_faults faults;
    count_received(faults);
    auto send = [](stream_writer& writer) -> coroutine<> {
      co_await writer.write_all(std::string(much, 's'));
      writer.write_eof();
    };
    task<> sending = create_task(send(e.client.writer));
    std::string first = co_await e.served.reader.readexactly(1);
    co_await turns(100);
    EXPECT_LE(received, 2 * limit);
    EXPECT_FALSE(sending.done()) << "what the kernel does not hold stays with the writer";
    std::string more = co_await e.served.reader.readexactly(20 * limit);
    EXPECT_EQ(more.size(), 20 * limit) << "a read may want more than the limit";
    EXPECT_LE(received, 1 + 20 * limit + 2 * limit);
    std::string rest = co_await e.served.reader.read();
    EXPECT_EQ(1 + more.size() + rest.size(), much);
    co_await sending;
  });
}

TEST(StreamFaultSweep, Socket) {
  fault_sweep<&table::socket>("socket", converse, {EMFILE, ENFILE, ENOMEM, EAFNOSUPPORT});
}
TEST(StreamFaultSweep, Bind) { fault_sweep<&table::bind>("bind", converse, {EADDRINUSE, EADDRNOTAVAIL, EACCES}); }
TEST(StreamFaultSweep, Listen) { fault_sweep<&table::listen>("listen", converse, {EADDRINUSE}); }
TEST(StreamFaultSweep, Connect) {
  fault_sweep<&table::connect>("connect", converse, {ENETUNREACH, ETIMEDOUT, EACCES, EADDRNOTAVAIL});
}
TEST(StreamFaultSweep, EpollControl) { fault_sweep<&table::epoll_ctl>("epoll_ctl", converse, {ENOMEM, ENOSPC}); }
TEST(StreamFaultSweep, Send) { fault_sweep<&table::send>("send", converse, {EPIPE, ECONNRESET, ENOBUFS}); }
TEST(StreamFaultSweep, Receive) { fault_sweep<&table::recv>("recv", converse, {ECONNRESET, ETIMEDOUT, ENOMEM}); }
TEST(StreamFaultSweep, SetOption) { fault_sweep<&table::setsockopt>("setsockopt", converse, {EINVAL}); }
TEST(StreamFaultSweep, SocketName) { fault_sweep<&table::getsockname>("getsockname", converse, {ENOBUFS}); }

// ---- on io_uring, where calls are completions

constexpr run_options on_io_uring{.backend = backend_kind::io_uring};

TEST(IoUring, IsReplacedByEpollWithoutAWordWhereItIsRefused) {
  for (const int error : {EPERM, ENOSYS, ENOMEM, EMFILE}) {
    sys_faults faults;
    faults.fail<&table::io_uring_setup>(error);
    run_clean(
        []() -> coroutine<> {
          EXPECT_EQ(get_running_loop().backend(), backend_kind::epoll);
          co_await conversation();
        },
        on_io_uring);
    EXPECT_EQ(faults.count<&table::io_uring_setup>(), 1);
  }
}

TEST(StreamFaultSweep, IoUringCompletions) {
  fault_sweep<&table::completion_result>("completion", converse, {ECONNRESET, ENOMEM, EIO}, on_io_uring);
}
TEST(StreamFaultSweep, IoUringEnter) {
  fault_sweep<&table::io_uring_enter>("io_uring_enter", converse, {EINTR, EAGAIN, EBUSY, ENOMEM}, on_io_uring);
}

}  // namespace
