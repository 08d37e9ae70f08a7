// SPDX-License-Identifier: BSL-1.0
#include "curl_test.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <sys/resource.h>

namespace {

namespace curl = asyncio::curl;
using curl_test::failure_of;
using curl_test::ok;
using curl_test::recorder;
using curl_test::reply;
using curl_test::scratch_folder;
using curl_test::scripted_server;
using curl_test::some_bytes;
using namespace std::chrono_literals;

/// Finishes a future when the first bytes come.
class first_bytes final : public curl::download_observer {
 public:
  void received(std::span<const std::byte>, std::uint64_t, std::optional<std::uint64_t>) override {
    if (!seen.done()) seen.set_result();
  }
  asyncio::future<> seen;
};

/// Cancels a download of `body` after `turns` turns of the loop; true if it had its result by then.
asyncio::coroutine<bool> cancel_after(int turns, const scratch_folder& folder, const std::string& body) {
  scripted_server server;
  server["/file"] = ok(body);
  co_await server.start();
  auto task = asyncio::create_task(curl::download(server.url("/file"), folder / "file"));
  for (int i = 0; i < turns; ++i) co_await asyncio::sleep(0s);
  const bool in_time = task.cancel();
  bool cancelled = false;
  try {
    co_await task;
  } catch (const asyncio::cancelled_error&) {
    cancelled = true;
  }
  // A request that comes when the result is there already does not take it away.
  EXPECT_TRUE(in_time || !cancelled) << "after " << turns << " turns";
  EXPECT_EQ(folder.names(), cancelled ? std::set<std::string>{} : std::set<std::string>{"file"});
  co_await server.stop();
  co_return !cancelled;
}

TEST(DownloadCancel, LeavesNothingBehindAtWhateverTurnItComes) {
  const std::string body = some_bytes(300'000);
  bool ended = false;
  int turns = 0;
  for (; !ended; turns += 1 + turns / 20) {
    scratch_folder folder;
    ended = asyncio::run([&]() -> asyncio::coroutine<bool> { return cancel_after(turns, folder, body); });
    if (ended) {
      EXPECT_TRUE(folder.content("file") == body);
    }
  }
  EXPECT_GT(turns, 5);
}

TEST(DownloadCancel, LeavesNothingBehindWhenTheFileIsHalfThere) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/hang"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::hang);
    co_await server.start();
    first_bytes half;
    auto task = asyncio::create_task(curl::download(server.url("/hang"), folder / "file", {.observer = &half}));
    co_await half.seen;
    EXPECT_EQ(folder.names().size(), 1U);
    EXPECT_FALSE(folder.names().contains("file"));
    task.cancel();
    co_await asyncio::wait({}, task);
    EXPECT_TRUE(task.cancelled());
    EXPECT_TRUE(folder.names().empty());
    co_await server.stop();
  });
}

TEST(DownloadCancel, OneOfManyDoesNotDisturbTheOthers) {
  scratch_folder folder;
  const std::string body = some_bytes(500'000);
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/hang"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::hang);
    server["/file"] = ok(body);
    co_await server.start();
    first_bytes half;
    auto doomed = asyncio::create_task(curl::download(server.url("/hang"), folder / "doomed", {.observer = &half}));
    std::vector<asyncio::task<curl::download_result>> others;
    others.reserve(10);
    for (int i = 0; i < 10; ++i) {
      others.push_back(asyncio::create_task(curl::download(server.url("/file"), folder / std::to_string(i))));
    }
    co_await half.seen;
    doomed.cancel();
    for (const auto& other : others) {
      const curl::download_result result = co_await other;
      EXPECT_EQ(result.bytes, body.size());
    }
    EXPECT_TRUE(doomed.cancelled());
    co_await server.stop();
  });
  EXPECT_EQ(folder.names().size(), 10U);
}

TEST(DownloadCancel, IsAtOnceWhileTheNameIsLookedUp) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    auto task = asyncio::create_task(curl::download("http://no-such-host.invalid/", folder / "file"));
    co_await asyncio::sleep(0s);
    co_await asyncio::sleep(0s);
    task.cancel();
    co_await asyncio::wait({}, task);
    EXPECT_TRUE(task.cancelled());
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadCancel, ByATimeoutAroundIt) {
  scratch_folder folder;
  bool timed_out = false;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/hang"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::hang);
    co_await server.start();
    try {
      co_await asyncio::wait_for(curl::download(server.url("/hang"), folder / "file"), 100ms);
    } catch (const asyncio::timeout_error&) {
      timed_out = true;
    }
    co_await server.stop();
  });
  EXPECT_TRUE(timed_out);
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadLoop, ClosedWithDownloadsUnderWayLeavesNothingBehind) {
  scratch_folder folder;
  {
    std::optional<first_bytes> half;
    auto loop = asyncio::new_event_loop();
    scripted_server server;
    server["/hang"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::hang);
    loop->run_until_complete([&]() -> asyncio::coroutine<> {
      co_await server.start();
      half.emplace();
      asyncio::create_task(curl::download(server.url("/hang"), folder / "half", {.observer = &*half}));
      co_await half->seen;
      for (int i = 0; i < 5; ++i) asyncio::create_task(curl::download(server.url("/hang"), folder / std::to_string(i)));
      co_await asyncio::sleep(0s);
    });
    EXPECT_FALSE(folder.names().empty());
    loop->close();
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadLoop, RunCancelsTheDownloadsThatAreLeft) {
  scratch_folder folder;
  scripted_server server;
  std::optional<first_bytes> half;
  asyncio::run([&]() -> asyncio::coroutine<> {
    server["/hang"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::hang);
    co_await server.start();
    half.emplace();
    asyncio::create_task(curl::download(server.url("/hang"), folder / "file", {.observer = &*half}));
    co_await half->seen;
    EXPECT_EQ(folder.names().size(), 1U);
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadLoop, EachLoopHasItsOwnConnections) {
  scratch_folder folder;
  const auto fetch_once = [&](const std::string& name) {
    asyncio::run([&]() -> asyncio::coroutine<> {
      scripted_server server;
      server["/file"] = ok(name);
      co_await server.start();
      co_await curl::download(server.url("/file"), folder / name);
      EXPECT_EQ(server.connections(), 1);
      co_await server.stop();
    });
  };
  fetch_once("first");
  fetch_once("second");
  std::vector<std::thread> threads;
  for (const char* name : {"third", "fourth"}) threads.emplace_back([&fetch_once, name] { fetch_once(name); });
  for (std::thread& thread : threads) thread.join();
  for (const char* name : {"first", "second", "third", "fourth"}) EXPECT_EQ(folder.content(name), name);
}

TEST(DownloadDisk, AWriteThatFailsIsNamedWithItsFile) {
  // A limit on the size of files stands for a full disk: the write fails in the same place.
  struct file_size_limit {
    explicit file_size_limit(rlim_t bytes) : handler(std::signal(SIGXFSZ, SIG_IGN)) {
      getrlimit(RLIMIT_FSIZE, &before);
      rlimit small = before;
      small.rlim_cur = bytes;
      setrlimit(RLIMIT_FSIZE, &small);
    }
    ~file_size_limit() {
      setrlimit(RLIMIT_FSIZE, &before);
      std::signal(SIGXFSZ, handler);
    }
    rlimit before{};
    void (*handler)(int);
  };
  scratch_folder folder;
  recorder seen;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok(some_bytes(1'000'000));
    co_await server.start();
    const auto limit = std::make_unique<file_size_limit>(500'000);
    const curl::transfer_error error =
        co_await failure_of(curl::download(server.url("/file"), folder / "file", {.observer = &seen}));
    EXPECT_EQ(error.code(), curl::errc::cannot_write);
    EXPECT_EQ(error.os_error(), std::errc::file_too_large);
    EXPECT_EQ(error.reason(), "cannot write " + (folder / "file") + ": File too large");
    co_await server.stop();
  });
  EXPECT_LE(seen.bytes.size(), 500'000U);
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
