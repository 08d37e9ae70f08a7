// SPDX-License-Identifier: BSL-1.0
// Unix sockets and their files when system calls fail: S190, F2, F18.
#include "streams/fault_sweep.hpp"
#include "streams/unix_test.hpp"
#include "support/sys_faults.hpp"

#include <asyncio/log.hpp>

#include <optional>

namespace {

using namespace unix_test;
using test::sys_faults;
using test::sys::table;

/// What start_unix_server throws.
coroutine<std::exception_ptr> failure(std::string path) {
  outcome<server> made = co_await as_outcome(start_unix_server(echo, path));
  co_return made.exception();
}

TEST(UnixFaults, NameThePathThatMayNotBeUsed) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const std::string path = folder / "s";
    sys_faults faults;
    faults.fail<&table::bind>(EACCES);
    std::exception_ptr error = co_await failure(path);
    EXPECT_EQ(code_of(error), EACCES);
    EXPECT_EQ(text_of(error), "cannot bind to " + path + ": Permission denied");
    server s = co_await start_unix_server(echo, path);
    faults.fail<&table::connect>(EACCES);
    outcome<connection> refused = co_await as_outcome(open_unix_connection(path));
    EXPECT_EQ(code_of(refused.exception()), EACCES);
    EXPECT_EQ(text_of(refused.exception()), "cannot connect to " + path + ": Permission denied");
  });
}

TEST(UnixFaults, SayThatAStaleFileCannotBeRemoved) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    leave_stale_file(folder / "s");
    sys_faults faults;
    faults.fail<&table::unlink>(EACCES);
    std::exception_ptr error = co_await failure(folder / "s");
    EXPECT_EQ(code_of(error), EACCES);
    EXPECT_EQ(text_of(error), "cannot remove the stale socket file " + (folder / "s") + ": Permission denied");
    EXPECT_TRUE(exists(folder / "s"));
  });
}

TEST(UnixFaults, LeaveAFileOfWhichNobodyKnowsWhetherItIsStale) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const std::string path = folder / "s";
    leave_stale_file(path);
    sys_faults faults;
    faults.watch<&table::unlink>();
    faults.fail<&table::lstat>(EACCES);
    std::exception_ptr error = co_await failure(path);
    EXPECT_EQ(text_of(error), "cannot bind to " + path + ": Address already in use");
    faults.stop_failing<&table::lstat>();
    faults.fail<&table::socket>(EMFILE, 2);  // the one that asks
    error = co_await failure(path);
    EXPECT_EQ(code_of(error), EADDRINUSE);
    faults.stop_failing<&table::socket>();
    faults.fail<&table::connect>(EACCES);
    error = co_await failure(path);
    EXPECT_EQ(code_of(error), EADDRINUSE);
    EXPECT_EQ(faults.count<&table::unlink>(), 0);
    EXPECT_TRUE(exists(path));
  });
}

TEST(UnixFaults, ReplaceAStaleFileOnceAndNoMore) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    leave_stale_file(folder / "s");
    sys_faults faults;
    faults.watch<&table::unlink>();
    faults.fail<&table::bind>(EADDRINUSE, 1, 2);  // somebody else was quicker
    std::exception_ptr error = co_await failure(folder / "s");
    EXPECT_EQ(text_of(error), "cannot bind to " + (folder / "s") + ": Address already in use");
    EXPECT_EQ(faults.count<&table::unlink>(), 1);
  });
}

TEST(UnixFaults, AskNothingAboutAPathThatIsFree) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    sys_faults faults;
    faults.watch<&table::connect>();
    faults.watch<&table::socket>();
    server s = co_await start_unix_server(echo, folder / "s");
    EXPECT_EQ(faults.count<&table::connect>(), 0);
    EXPECT_EQ(faults.count<&table::socket>(), 1);
  });
}

/// What the log was told while it lives.
class told_to_log {
 public:
  told_to_log() {
    set_log_sink([](log_level, std::string_view text,
                    void* to) noexcept { static_cast<std::vector<std::string>*>(to)->emplace_back(text); },
                 &lines_);
  }
  told_to_log(const told_to_log&) = delete;
  told_to_log& operator=(const told_to_log&) = delete;
  ~told_to_log() { set_log_sink(nullptr, nullptr); }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

TEST(UnixFaults, TellTheLogThatAClosedServersFileCannotBeRemoved) {
  const scratch_folder folder;
  run_clean([&]() -> coroutine<> {
    const told_to_log told;
    server s = co_await start_unix_server(echo, folder / "s");
    sys_faults faults;
    faults.fail<&table::unlink>(EACCES);
    s.close();
    co_await s.wait_closed();
    const std::vector<std::string> expected{"cannot remove the socket file " + (folder / "s") + ": Permission denied"};
    EXPECT_EQ(told.lines(), expected);
    EXPECT_TRUE(exists(folder / "s"));
  });
}

TEST(UnixFaults, DoNotTakeAFullBacklogForAFailure) {
  const scratch_folder folder;
  asyncio::testing::virtual_clock clock;
  auto body = [&]() -> coroutine<> {
    server s = co_await start_unix_server(echo, folder / "s");
    sys_faults faults;
    faults.fail<&table::connect>(EAGAIN, 1, 10);
    const time_point start = get_running_loop().time();
    std::string answer = co_await ask(folder / "s", "hello");
    EXPECT_EQ(answer, "hello");
    EXPECT_EQ(faults.count<&table::connect>(), 11);
    const timedelta waited = get_running_loop().time() - start;
    EXPECT_EQ(waited, 1ms + 2ms + 4ms + 8ms + 16ms + 32ms + 4 * 50ms) << "less and less often";
    co_await s.shutdown(1s);
  };
  run_clean(body, {.clock = clock});
}

/// A server in the place of a stale file, a client, a few bytes there and back.
coroutine<bool> converse(std::string path) {
  leave_stale_file(path);
  server s = co_await start_unix_server(echo, path);
  std::string answer = co_await ask(path, "hello");
  co_await s.shutdown(60s);
  co_return answer == "hello";
}

template <auto Member>
void sweep(const char* name, std::initializer_list<int> errors) {
  const scratch_folder folder;
  // Each time another path: what cannot be removed stays.
  int number = 0;
  fault_sweep<Member>(name, [&] { return converse(folder / std::to_string(++number)); }, errors);
}

TEST(UnixFaultSweep, Socket) { sweep<&table::socket>("socket", {EMFILE, ENFILE, ENOMEM, EAFNOSUPPORT}); }
TEST(UnixFaultSweep, Bind) { sweep<&table::bind>("bind", {EADDRINUSE, EACCES, EROFS, EADDRNOTAVAIL}); }
TEST(UnixFaultSweep, Listen) { sweep<&table::listen>("listen", {EADDRINUSE}); }
TEST(UnixFaultSweep, Connect) { sweep<&table::connect>("connect", {EACCES, ECONNREFUSED, EAGAIN, EPROTOTYPE}); }
TEST(UnixFaultSweep, LookAtTheFile) { sweep<&table::lstat>("lstat", {EACCES, ENOENT, ENOMEM}); }
TEST(UnixFaultSweep, RemoveTheFile) { sweep<&table::unlink>("unlink", {EACCES, ENOENT, EROFS}); }
TEST(UnixFaultSweep, SocketName) { sweep<&table::getsockname>("getsockname", {ENOBUFS}); }
TEST(UnixFaultSweep, EpollControl) { sweep<&table::epoll_ctl>("epoll_ctl", {ENOMEM}); }

}  // namespace
