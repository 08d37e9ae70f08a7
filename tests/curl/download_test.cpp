// SPDX-License-Identifier: BSL-1.0
#include "curl_test.hpp"

#include <cerrno>
#include <chrono>
#include <memory>
#include <vector>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

namespace curl = asyncio::curl;
using curl_test::failure_of;
using curl_test::ok;
using curl_test::recorder;
using curl_test::reply;
using curl_test::scratch_folder;
using curl_test::scripted_server;
using curl_test::some_bytes;
using curl_test::status;
using namespace std::chrono_literals;

TEST(Download, PutsTheBytesIntoTheFileAndTellsWhatItDid) {
  scratch_folder folder;
  const std::string body = some_bytes(3'000'000);
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok(body);
    co_await server.start();
    const curl::download_result result = co_await curl::download(server.url("/file"), folder / "here");
    EXPECT_EQ(result.bytes, body.size());
    EXPECT_EQ(result.http_status, 200);
    EXPECT_EQ(result.effective_url, server.url("/file"));
    EXPECT_GT(static_cast<std::chrono::nanoseconds>(result.elapsed), 0ns);
    co_await server.stop();
  });
  EXPECT_EQ(folder.names(), std::set<std::string>{"here"});
  EXPECT_TRUE(folder.content("here") == body);
}

TEST(Download, AnEmptyFileIsAFileToo) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/empty"] = ok("");
    co_await server.start();
    const curl::download_result result = co_await curl::download(server.url("/empty"), folder / "empty");
    EXPECT_EQ(result.bytes, 0U);
    co_await server.stop();
  });
  EXPECT_EQ(folder.names(), std::set<std::string>{"empty"});
}

TEST(Download, ReplacesTheFileThatWasThereOnlyWhenItIsComplete) {
  scratch_folder folder;
  folder.put("file", "old");
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/cut"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::close);
    server["/whole"] = ok("new");
    co_await server.start();
    const curl::transfer_error error = co_await failure_of(curl::download(server.url("/cut"), folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::cut_off);
    EXPECT_EQ(folder.content("file"), "old");
    co_await curl::download(server.url("/whole"), folder / "file");
    EXPECT_EQ(folder.content("file"), "new");
    co_await server.stop();
  });
  EXPECT_EQ(folder.names(), std::set<std::string>{"file"});
}

TEST(Download, GoesBehindALinkAndLeavesIt) {
  namespace fs = std::filesystem;
  scratch_folder folder;
  folder.put("old", "old");
  fs::create_directory(folder / "sub");
  fs::create_symlink("sub/over", folder / "link");
  fs::create_symlink(folder / "new", folder / "sub/over");  // absolute, and nothing is there yet
  fs::create_symlink("old", folder / "short");
  fs::create_symlink("ring", folder / "ring");
  fs::create_symlink("no/such/folder", folder / "astray");
  fs::create_symlink("never", folder / "later");
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    co_await curl::download(server.url("/file"), folder / "link");
    co_await curl::download(server.url("/file"), folder / "short");
    const curl::transfer_error error = co_await failure_of(curl::download(server.url("/file"), folder / "ring"));
    EXPECT_EQ(error.os_error(), std::errc::too_many_symbolic_link_levels);
    const curl::transfer_error nowhere = co_await failure_of(curl::download(server.url("/file"), folder / "astray"));
    EXPECT_EQ(nowhere.os_error(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(server.requests(), 2);
    co_await failure_of(curl::download("http://no-such-host.invalid/file", folder / "later"));
    co_await server.stop();
  });
  EXPECT_EQ(folder.content("new"), "bytes");
  EXPECT_EQ(folder.content("old"), "bytes");
  EXPECT_FALSE(fs::exists(folder / "never")) << "a failure leaves nothing";
  for (const char* link : {"link", "sub/over", "short"}) EXPECT_TRUE(fs::is_symlink(folder / link)) << link;
}

TEST(Download, TakesItsArgumentsWithItInTheCall) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    std::string url = server.url("/file"), path = folder / "file", agent = "a test with a rather long name";
    auto task = asyncio::create_task(curl::download(url, path, {.user_agent = agent}));
    url.assign(url.size(), 'x');
    path.assign(path.size(), 'x');
    agent.assign(agent.size(), 'x');
    co_await task;
    EXPECT_NE(server.head().find("User-Agent: a test with a rather long name\r\n"), std::string::npos);
    co_await server.stop();
  });
  EXPECT_EQ(folder.content("file"), "bytes");
}

TEST(Download, ShowsItsObserverEveryByteInOrder) {
  scratch_folder folder;
  const std::string body = some_bytes(1'000'000);
  recorder known, unknown;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/known"] = ok(body);
    server["/unknown"] = reply("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, reply::ending::close);
    co_await server.start();
    co_await curl::download(server.url("/known"), folder / "known", {.observer = &known});
    co_await curl::download(server.url("/unknown"), folder / "unknown", {.observer = &unknown});
    co_await server.stop();
  });
  EXPECT_TRUE(known.bytes == body);
  EXPECT_EQ(known.last_total, body.size());
  EXPECT_GT(known.calls, 1);
  EXPECT_TRUE(unknown.bytes == body);
  EXPECT_EQ(unknown.last_total, std::nullopt);
  EXPECT_TRUE(folder.content("unknown") == body);
}

TEST(Download, AnExceptionOfTheObserverEndsItAndComesOut) {
  struct offended final : curl::download_observer {
    void received(std::span<const std::byte>, std::uint64_t, std::optional<std::uint64_t>) override {
      throw std::logic_error("not this one");
    }
  } observer;
  scratch_folder folder;
  std::string said;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok(some_bytes(1'000'000));
    co_await server.start();
    try {
      co_await curl::download(server.url("/file"), folder / "file", {.observer = &observer});
    } catch (const std::logic_error& e) {
      said = e.what();
    }
    co_await server.stop();
  });
  EXPECT_EQ(said, "not this one");
  EXPECT_TRUE(folder.names().empty());
}

TEST(Download, AnObserverMayStartAnotherDownloadAtOnce) {
  struct starter final : curl::download_observer {
    void received(std::span<const std::byte>, std::uint64_t, std::optional<std::uint64_t>) override {
      if (!second) second = asyncio::create_task(curl::download(url, path), {.eager_start = true});
    }
    std::string url, path;
    asyncio::task<curl::download_result> second;
  } observer;
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/first"] = ok("first");
    server["/second"] = ok("second");
    co_await server.start();
    observer.url = server.url("/second");
    observer.path = folder / "second";
    co_await curl::download(server.url("/first"), folder / "first", {.observer = &observer});
    co_await observer.second;
    co_await server.stop();
  });
  EXPECT_EQ(folder.content("first"), "first");
  EXPECT_EQ(folder.content("second"), "second");
}

TEST(Download, FollowsRedirectsAndSaysWhereTheFileCameFrom) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/from"] = status("302 Found", "Location: /to\r\n");
    server["/to"] = ok("found");
    server["/round"] = status("302 Found", "Location: /round\r\n");
    co_await server.start();
    const curl::download_result result = co_await curl::download(server.url("/from"), folder / "file");
    EXPECT_EQ(result.effective_url, server.url("/to"));
    EXPECT_EQ(folder.content("file"), "found");

    const curl::transfer_error stayed =
        co_await failure_of(curl::download(server.url("/from"), folder / "no", {.follow_redirects = false}));
    EXPECT_EQ(stayed.code(), curl::errc::refused_by_server);
    EXPECT_EQ(stayed.http_status(), 302);

    const curl::transfer_error round =
        co_await failure_of(curl::download(server.url("/round"), folder / "no", {.max_redirects = 3}));
    EXPECT_EQ(round.code(), curl::errc::too_many_redirects);
    EXPECT_EQ(round.reason(), "more than 3 redirects");
    co_await server.stop();
  });
  EXPECT_EQ(folder.names(), std::set<std::string>{"file"});
}

TEST(Download, GoesAroundTheProxyOfTheEnvironmentWhenAskedTo) {
  struct proxy_in_environment {
    proxy_in_environment() { setenv("http_proxy", "http://127.0.0.1:1/", 1); }
    ~proxy_in_environment() { unsetenv("http_proxy"); }
  } nobody_there;
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    const curl::transfer_error error = co_await failure_of(curl::download(server.url("/file"), folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::connection_failed);
    co_await curl::download(server.url("/file"), folder / "file", {.use_proxy = false});
    co_await server.stop();
  });
  EXPECT_EQ(folder.content("file"), "bytes");
}

TEST(Download, ManyAtOnceEachGetTheirOwnBytes) {
  constexpr int count = 60;
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    for (int i = 0; i < count; ++i)
      server["/" + std::to_string(i)] = ok(some_bytes(1000 * static_cast<std::size_t>(i)));
    co_await server.start();
    std::vector<asyncio::coroutine<curl::download_result>> all;
    for (int i = 0; i < count; ++i) {
      const std::string name = std::to_string(i);
      all.push_back(curl::download(server.url("/" + name), folder / name));
    }
    const auto results = co_await asyncio::gather(std::move(all));
    EXPECT_EQ(results.size(), static_cast<std::size_t>(count));
    co_await server.stop();
  });
  EXPECT_EQ(folder.names().size(), static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(folder.content(std::to_string(i)) == some_bytes(1000 * static_cast<std::size_t>(i))) << i;
  }
}

TEST(Download, OneAfterAnotherOnOneConnection) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    for (int i = 0; i < 5; ++i) co_await curl::download(server.url("/file"), folder / "file");
    EXPECT_EQ(server.requests(), 5);
    EXPECT_EQ(server.connections(), 1);
    co_await server.stop();
  });
}

TEST(DownloadError, NamesTheAddressAndTheReasonButNoPassword) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/missing"] = status("404 Not Found");
    co_await server.start();
    const curl::transfer_error error =
        co_await failure_of(curl::download(server.url("/missing", "user:secret@"), folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::refused_by_server);
    EXPECT_EQ(error.http_status(), 404);
    EXPECT_EQ(error.url(), server.url("/missing"));
    EXPECT_EQ(error.reason(), "the server answered 404");
    EXPECT_EQ(std::string(error.what()), server.url("/missing") + ": the server answered 404");
    co_await server.stop();
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, TellsHowFarItCameWhenItWasCutOff) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/half"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::close);
    server["/chunk"] = reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", reply::ending::close);
    server["/nothing"] = reply("", reply::ending::close);
    server["/reset"] = reply("", reply::ending::reset);
    co_await server.start();
    const curl::transfer_error half = co_await failure_of(curl::download(server.url("/half"), folder / "file"));
    EXPECT_EQ(half.code(), curl::errc::cut_off);
    EXPECT_EQ(half.reason(), "cut off after 4 of 10 bytes");
    const curl::transfer_error chunk = co_await failure_of(curl::download(server.url("/chunk"), folder / "file"));
    EXPECT_EQ(chunk.code(), curl::errc::cut_off);
    EXPECT_EQ(chunk.reason(), "cut off after 3 bytes");
    const curl::transfer_error nothing = co_await failure_of(curl::download(server.url("/nothing"), folder / "file"));
    EXPECT_EQ(nothing.code(), curl::errc::connection_failed);
    const curl::transfer_error reset = co_await failure_of(curl::download(server.url("/reset"), folder / "file"));
    EXPECT_EQ(reset.code(), curl::errc::connection_failed);
    co_await server.stop();
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, NobodyListens) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    co_await server.start();
    const std::string url = server.url("/file");
    co_await server.stop();
    const curl::transfer_error error = co_await failure_of(curl::download(url, folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::connection_failed);
    EXPECT_EQ(error.os_error(), std::errc::connection_refused);
    EXPECT_EQ(error.reason(), "cannot connect to 127.0.0.1: Connection refused");
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, NoSuchHost) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    const curl::transfer_error error =
        co_await failure_of(curl::download("http://no-such-host.invalid/file", folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::unknown_host);
    EXPECT_EQ(error.reason(), "unknown host no-such-host.invalid");
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, AnAddressThatIsNone) {
  using namespace std::string_view_literals;
  const std::vector<std::string_view> urls{""sv,
                                           "nonsense"sv,
                                           "http://"sv,
                                           "ftp://127.0.0.1/x"sv,
                                           "file:///etc/passwd"sv,
                                           "http://127.0.0.1/\0x"sv,
                                           "http://127.0.0.1:99999/"sv,
                                           "http://a b/"sv};
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    for (const std::string_view url : urls) {
      const curl::transfer_error error = co_await failure_of(curl::download(url, folder / "file"));
      EXPECT_EQ(error.code(), curl::errc::bad_address) << url;
    }
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, ARedirectToAnotherProtocolIsNotFollowed) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/away"] = status("302 Found", "Location: file:///etc/passwd\r\n");
    co_await server.start();
    const curl::transfer_error error = co_await failure_of(curl::download(server.url("/away"), folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::other);
    co_await server.stop();
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, AnAnswerThatIsNotHttp) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/odd"] = reply("220 mail.example ESMTP\r\n", reply::ending::close);
    co_await server.start();
    const curl::transfer_error error = co_await failure_of(curl::download(server.url("/odd"), folder / "file"));
    EXPECT_EQ(error.code(), curl::errc::other);
    co_await server.stop();
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, TooLateAndTooSlowAreToldApart) {
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/hang"] = reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", reply::ending::hang);
    server["/silent"] = reply("", reply::ending::hang);
    co_await server.start();
    const curl::transfer_error late =
        co_await failure_of(curl::download(server.url("/hang"), folder / "file", {.timeout = 100ms}));
    EXPECT_EQ(late.code(), curl::errc::timed_out);
    EXPECT_EQ(late.reason(), "not complete within 0.1 s");
    const curl::transfer_error slow =
        co_await failure_of(curl::download(server.url("/hang"), folder / "file", {.stall_timeout = 200ms}));
    EXPECT_EQ(slow.code(), curl::errc::stalled);
    EXPECT_EQ(slow.reason(), "stalled after 4 bytes: nothing came for 0.2 s");
    const curl::transfer_error silent =
        co_await failure_of(curl::download(server.url("/silent"), folder / "file", {.stall_timeout = 200ms}));
    EXPECT_EQ(silent.code(), curl::errc::stalled);
    EXPECT_EQ(silent.reason(), "stalled after 0 bytes: nothing came for 0.2 s");
    const curl::transfer_error none =
        co_await failure_of(curl::download(server.url("/hang"), folder / "file", {.timeout = 0s}));
    EXPECT_EQ(none.code(), curl::errc::timed_out);
    co_await server.stop();
  });
  EXPECT_TRUE(folder.names().empty());
}

TEST(DownloadError, WhatIsNoRegularFileIsNotReplaced) {
  namespace fs = std::filesystem;
  scratch_folder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder / "socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  fs::create_symlink("fifo", folder / "link");
  fs::create_directory(folder / "folder");
  fs::create_symlink("folder", folder / "away");
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    for (const char* name : {"fifo", "link", "socket"}) {
      const curl::transfer_error error = co_await failure_of(curl::download(server.url("/file"), folder / name));
      EXPECT_EQ(error.code(), curl::errc::cannot_write) << name;
      EXPECT_EQ(error.os_error(), std::errc::file_exists) << name;
      EXPECT_EQ(error.reason(), "cannot replace " + folder / name + ", which is not a regular file: File exists");
    }
    for (const char* name : {"folder", "away"}) {
      const curl::transfer_error error = co_await failure_of(curl::download(server.url("/file"), folder / name));
      EXPECT_EQ(error.os_error(), std::errc::is_a_directory) << name;
    }
    EXPECT_EQ(server.requests(), 0);
    co_await server.stop();
  });
  EXPECT_TRUE(fs::is_fifo(folder / "fifo"));
  EXPECT_TRUE(fs::is_socket(folder / "socket"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
}

TEST(DownloadError, TextsWithControlCharactersAreNotSent) {
  using namespace std::string_view_literals;
  scratch_folder folder;
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    for (const std::string_view bad : {"\r\nX-Injected: yes"sv, "\n"sv, "\0"sv, "\t"sv, "\x1b"sv, "\x7f"sv}) {
      const std::string url = server.url("/file");
      const std::string agent = std::string("x").append(bad);
      EXPECT_THROW((void)curl::download(url, folder / "file", {.user_agent = agent}), std::invalid_argument);
      const std::string bad_url = server.url("/file").append(bad);
      const curl::transfer_error error = co_await failure_of(curl::download(bad_url, folder / "file"));
      EXPECT_EQ(error.code(), curl::errc::bad_address);
    }
    EXPECT_THROW((void)curl::download(server.url("/file"), folder / "file", {.ca_file = "/x\0y"sv}),
                 std::invalid_argument);
    EXPECT_EQ(server.requests(), 0);
    co_await curl::download(server.url("/file"), folder / "file", {.user_agent = "Gru\xc3\x9f (1.0)"});
    EXPECT_NE(server.head().find("User-Agent: Gru\xc3\x9f (1.0)\r\n"), std::string::npos);
    co_await server.stop();
  });
}

TEST(DownloadError, AFileThatCannotBeCreated) {
  scratch_folder folder;
  folder.put("plain", "");
  asyncio::run([&]() -> asyncio::coroutine<> {
    scripted_server server;
    server["/file"] = ok("bytes");
    co_await server.start();
    const curl::transfer_error missing =
        co_await failure_of(curl::download(server.url("/file"), folder / "no/such/folder"));
    EXPECT_EQ(missing.code(), curl::errc::cannot_write);
    EXPECT_EQ(missing.os_error(), std::errc::no_such_file_or_directory);
    EXPECT_NE(missing.reason().find(folder / "no/such/folder"), std::string_view::npos);
    const curl::transfer_error is_folder = co_await failure_of(curl::download(server.url("/file"), folder / ""));
    EXPECT_EQ(is_folder.os_error(), std::errc::is_a_directory);
    const curl::transfer_error in_file = co_await failure_of(curl::download(server.url("/file"), folder / "plain/x"));
    EXPECT_EQ(in_file.os_error(), std::errc::not_a_directory);
    EXPECT_EQ(server.requests(), 0);
    co_await server.stop();
  });
}

}  // namespace
