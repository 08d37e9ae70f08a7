// SPDX-License-Identifier: BSL-1.0
// Files into sockets: loop.sock_sendfile(), loop.sendfile().
#include "spec/protocols_test.hpp"
#include "support/scratch_folder.hpp"

#if defined(ASYNCIO_TEST_SEAMS)
#include "support/sys_faults.hpp"

#include <condition_variable>
#include <mutex>
#endif

namespace asyncio::spec {
namespace {

using test::scratch_folder;

std::string numbers(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
  text.resize(size);
  return text;
}

/// A file with these bytes, open for reading.
class sample {
 public:
  explicit sample(const std::string& text) : fd_(make(folder_ / "sample", text)) {}
  int fd() const { return fd_; }
  off_t position() const { return ::lseek(fd_, 0, SEEK_CUR); }

 private:
  static owned_fd make(const std::string& path, const std::string& text) {
    const owned_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    return owned_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  scratch_folder folder_;
  owned_fd fd_;
};

/// Receives until `size` bytes have come. It waits for each of them, so that how often depends on nobody's speed.
coroutine<std::string> collect(int fd, std::size_t size) {
  std::string all = taken_from(fd);
  while (all.size() < size) {
    co_await get_running_loop().readable(fd);
    all += taken_from(fd);
  }
  co_return all;
}

// S224
TEST(SockSendfile, sends_all_of_a_file_or_a_part_and_leaves_its_position_behind_it) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(2'000'000);
    const sample file(text);
    const socket_pair pair;
    task<std::string> all = create_task(collect(pair.b, text.size()));
    const std::uint64_t sent = co_await loop.sock_sendfile(pair.a, file.fd());
    EXPECT_EQ(sent, text.size());
    const std::string got = co_await all;
    EXPECT_TRUE(got == text) << got.size();
    EXPECT_EQ(file.position(), static_cast<off_t>(text.size()));
    const std::uint64_t part = co_await loop.sock_sendfile(pair.a, file.fd(), {.offset = 1000, .count = 500});
    EXPECT_EQ(part, 500u);
    EXPECT_EQ(taken_from(pair.b), text.substr(1000, 500));
    EXPECT_EQ(file.position(), 1500);
    const std::uint64_t rest =
        co_await loop.sock_sendfile(pair.a, file.fd(), {.offset = text.size() - 10, .count = 500});
    EXPECT_EQ(rest, 10u) << "no more than there is";
    const std::uint64_t beyond = co_await loop.sock_sendfile(pair.a, file.fd(), {.offset = text.size() + 5});
    EXPECT_EQ(beyond, 0u);
    const sample empty("");
    const std::uint64_t none = co_await loop.sock_sendfile(pair.a, empty.fd());
    EXPECT_EQ(none, 0u);
  });
}

// S225
TEST(SockSendfile, refuses_what_makes_no_sense) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const sample file("text");
    const socket_pair pair;
    const std::string zero = co_await ending(loop.sock_sendfile(pair.a, file.fd(), {.count = 0}));
    const std::string far = co_await ending(loop.sock_sendfile(pair.a, file.fd(), {.offset = UINT64_MAX}));
    const socket_pair datagrams(SOCK_DGRAM);
    const std::string kind = co_await ending(loop.sock_sendfile(datagrams.a, file.fd()));
    const owned_fd blocking(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const std::string blocks = co_await ending(loop.sock_sendfile(blocking, file.fd()));
    EXPECT_EQ(zero, "invalid_argument");
    EXPECT_EQ(far, "invalid_argument");
    EXPECT_EQ(kind, "invalid_argument");
    EXPECT_EQ(blocks, "invalid_argument");
    const int closed = co_await error_of(loop.sock_sendfile(pair.a, 999'999));
    EXPECT_EQ(closed, EBADF);
    auto on = co_await on_pair();
    const int owned = co_await error_of(loop.sock_sendfile(on.t->fileno(), file.fd()));
    EXPECT_EQ(owned, EBUSY);
    on.t->close();
    co_await quiet();
  });
}

// S224: SIGPIPE does not end the process
TEST(SockSendfile, tells_that_the_peer_has_gone) {
  testing::run([]() -> coroutine<> {
    const sample file(numbers(1'000'000));
    socket_pair pair;
    pair.close_b();
    const int error = co_await error_of(get_running_loop().sock_sendfile(pair.a, file.fd()));
    EXPECT_EQ(error, EPIPE);
    EXPECT_EQ(file.position(), 0);
  });
}

void cancel_sending_at_every_point() {
  const std::string text = numbers(700'000);
  auto body = [&text]() -> coroutine<> {
    const sample file(text);
    auto pair = std::make_shared<socket_pair>();
    auto reading = [pair, &text]() -> coroutine<> {
      const std::string got = co_await collect(pair->b, text.size());
      EXPECT_TRUE(text.starts_with(got));
    };
    task<> reader = create_task(reading);
    const std::uint64_t sent = co_await get_running_loop().sock_sendfile(pair->a, file.fd());
    EXPECT_EQ(sent, text.size());
    co_await reader;
  };
  EXPECT_GT(testing::inject_cancel(body, {.all_tasks = true}), 5u);
}

TEST(SockSendfile, may_be_cancelled_at_every_point) { cancel_sending_at_every_point(); }

// S224
TEST(Sendfile, follows_what_was_written_before_it_and_goes_before_what_is_written_after) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(1'500'000);
    const sample file(text);
    auto on = co_await on_pair();
    const std::string before = fill(on.t->fileno());
    on.t->write(std::string(100'000, 'b'));
    EXPECT_EQ(on.p->seen.back(), "pause");
    task<std::uint64_t> sending = create_task(loop.sendfile(*on.t, file.fd(), {.offset = 5}));
    co_await sleep(0s);
    EXPECT_EQ(thrown_by([&] { on.t->write("x"); }), "runtime_error(unable to write; sendfile is in progress)");
    const std::string twice = co_await ending(loop.sendfile(*on.t, file.fd()));
    EXPECT_EQ(twice, "runtime_error(sendfile() is called while another one is in progress)");
    put(on.peer(), "read meanwhile");
    const std::string got = co_await collect(on.peer(), before.size() + 100'000 + text.size() - 5);
    const std::uint64_t sent = co_await sending;
    EXPECT_EQ(sent, text.size() - 5);
    EXPECT_TRUE(got == before + std::string(100'000, 'b') + text.substr(5)) << got.size();
    EXPECT_EQ(on.p->received, "read meanwhile");
    EXPECT_EQ(on.p->seen.back(), "resume");
    EXPECT_EQ(on.t->get_write_buffer_limits().second, 64u * 1024);
    on.t->write("after");
    co_await quiet();
    EXPECT_EQ(taken_from(on.peer()), "after");
    on.t->close();
    co_await quiet();
    const std::string closing = co_await ending(loop.sendfile(*on.t, file.fd()));
    EXPECT_EQ(closing, "runtime_error(the transport is closing)");
  });
}

// S224
TEST(Sendfile, close_waits_for_its_end_and_abort_ends_it) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(3'000'000);
    const sample file(text);
    for (const bool abort : {false, true}) {
      auto on = co_await on_pair();
      task<std::uint64_t> sending = create_task(loop.sendfile(*on.t, file.fd()));
      co_await quiet();
      EXPECT_FALSE(sending.done());
      abort ? on.t->abort() : on.t->close();
      EXPECT_TRUE(on.t->is_closing());
      std::string got;
      if (abort) {
        const std::string end = co_await ending(sending);
        EXPECT_TRUE(contains(end, "cannot send a file")) << end;
      } else {
        got = co_await collect(on.peer(), text.size());
        const std::uint64_t sent = co_await sending;
        EXPECT_EQ(sent, text.size());
        EXPECT_TRUE(got == text);
      }
      co_await until([&] { return on.p->lost; });
    }
  });
}

TEST(Sendfile, into_a_pipe_is_a_copy_which_abort_ends) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(500'000);
    const sample file(text);
    const auto make = [] { return std::make_shared<recorder>(); };
    for (const bool abort : {false, true}) {
      int fds[2];
      EXPECT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
      const owned_fd reader(fds[0]);
      auto [t, p] = co_await loop.connect_write_pipe(make, fds[1]);
      task<std::uint64_t> sending = create_task(loop.sendfile(*t, file.fd()));
      co_await quiet();
      EXPECT_FALSE(sending.done());
      if (abort) {
        t->abort();
        const std::string end = co_await ending(sending);
        EXPECT_TRUE(contains(end, "connection lost while a file was sent")) << end;
      } else {
        std::string got;
        const auto whole = [&] {
          char some[4096];
          const ssize_t n = ::read(reader, some, sizeof some);
          if (n > 0) got.append(some, static_cast<std::size_t>(n));
          return got.size() >= text.size();
        };
        co_await until(whole);
        EXPECT_TRUE(got == text) << got.size();
        const std::uint64_t sent = co_await sending;
        EXPECT_EQ(sent, text.size());
        t->close();
      }
      co_await until([&p = p] { return p->lost; });
    }
  });
}

// The server ends connections as their transports do, which know of the file.
// The last piece is read, and everything before it is with the kernel: nothing else would tell that it never goes out.
TEST(Sendfile, an_abort_while_the_last_piece_is_read_is_an_error) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const sample file(numbers(1000));
    const auto make = [] { return std::make_shared<recorder>(); };
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    const owned_fd reader(fds[0]);
    auto [t, p] = co_await loop.connect_write_pipe(make, fds[1]);
    task<std::uint64_t> sending = create_task(loop.sendfile(*t, file.fd(), {.count = 1000}));
    co_await sleep(0s);  // it reads now
    t->abort();
    const std::string end = co_await ending(sending);
    EXPECT_TRUE(contains(end, "connection lost while a file was sent")) << end;
    EXPECT_EQ(file.position(), 0);
    co_await until([&p = p] { return p->lost; });
  });
}

TEST(Sendfile, a_server_that_shuts_down_ends_it) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const sample file(numbers(30'000'000));
    std::shared_ptr<recorder> served;
    const auto make = [&served] { return served = std::make_shared<recorder>(); };
    server s = co_await loop.create_server(make, "127.0.0.1", 0);
    connection client = co_await open_connection("127.0.0.1", s.port());
    co_await until([&] { return served != nullptr && served->through != nullptr; });
    task<std::uint64_t> sending = create_task(loop.sendfile(*served->through, file.fd()));
    co_await quiet();
    EXPECT_FALSE(sending.done());
    co_await s.shutdown(1ms);
    EXPECT_TRUE(served->lost);
    const std::string end = co_await ending(sending);
    EXPECT_TRUE(contains(end, "cannot send a file")) << end;
  });
}

// S224
TEST(Sendfile, a_peer_that_goes_in_the_middle_is_an_error) {
  testing::run([]() -> coroutine<> {
    const std::string text = numbers(3'000'000);
    const sample file(text);
    auto on = co_await on_pair();
    task<std::uint64_t> sending = create_task(get_running_loop().sendfile(*on.t, file.fd()));
    co_await quiet();
    on.sockets->close_b();
    const std::string end = co_await ending(sending);
    EXPECT_TRUE(contains(end, "cannot send a file") || contains(end, "connection lost")) << end;
    EXPECT_GT(file.position(), 0);
    EXPECT_LT(file.position(), static_cast<off_t>(text.size()));
    co_await until([&] { return on.p->lost; });
  });
}

TEST(Sendfile, may_be_cancelled_at_every_point_and_the_transport_can_be_used_after_it) {
  const std::string text = numbers(700'000);
  auto body = [&text]() -> coroutine<> {
    const sample file(text);
    auto on = co_await on_pair();
    std::exception_ptr cancelled;
    task<std::string> reader = create_task(collect(on.peer(), text.size() + 5));
    try {
      co_await get_running_loop().sendfile(*on.t, file.fd());
    } catch (const cancelled_error&) {
      cancelled = std::current_exception();
    }
    on.t->write("after");
    on.t->close();
    if (cancelled != nullptr) std::rethrow_exception(cancelled);
    const std::string got = co_await reader;
    EXPECT_TRUE(got == text + "after");
  };
  EXPECT_GT(testing::inject_cancel(body), 5u);
}

#if defined(ASYNCIO_TEST_SEAMS)

using test::sys_faults;
using test::sys::table;

// S224
TEST(Sendfile, is_a_copy_where_the_kernel_cannot_unless_that_is_not_wanted) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(300'000);
    const sample file(text);
    for (const int error : {EINVAL, ENOSYS, EOPNOTSUPP}) {
      sys_faults faults;
      faults.fail<&table::sendfile>(error, 1, 1000);
      const socket_pair pair;
      task<std::string> all = create_task(collect(pair.b, text.size() - 7));
      const std::uint64_t sent = co_await loop.sock_sendfile(pair.a, file.fd(), {.offset = 7});
      EXPECT_EQ(sent, text.size() - 7);
      const std::string got = co_await all;
      EXPECT_TRUE(got == text.substr(7));
      EXPECT_EQ(faults.count<&table::sendfile>(), 1);
      std::string what;
      try {
        (void)co_await loop.sock_sendfile(pair.a, file.fd(), {.fallback = false});
      } catch (const sendfile_not_available_error& e) {
        what = e.what();
      }
      EXPECT_EQ(what, "sendfile(2) cannot send this file");
    }
  });
}

// A disk that takes its time: pread() waits for the loop, which goes on meanwhile. On io_uring the kernel waits.
TEST(Sendfile, a_copy_does_not_hold_up_the_loop_while_the_file_is_read) {
  static std::mutex mutex;
  static std::condition_variable changed;
  static bool may_read = false;
  may_read = false;
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(1000);
    const sample file(text);
    const socket_pair pair;
    sys_faults faults;
    faults.fail<&table::sendfile>(EINVAL, 1, 1000);
    faults.set<&table::pread>(+[](int fd, void* to, std::size_t size, off_t offset) noexcept -> ssize_t {
      std::unique_lock hold(mutex);
      const bool in_time = changed.wait_for(hold, 10s, [] { return may_read; });
      return in_time ? test::sys::direct::pread(fd, to, size, offset) : -EIO;
    });
    task<std::uint64_t> sending = create_task(loop.sock_sendfile(pair.a, file.fd()));
    for (int i = 0; i < 10; ++i) co_await sleep(0s);
    {
      const std::scoped_lock hold(mutex);
      may_read = true;
      changed.notify_all();
    }
    const std::uint64_t sent = co_await sending;
    EXPECT_EQ(sent, text.size());
    EXPECT_EQ(taken_from(pair.b), text);
  });
}

TEST(Sendfile, a_copy_may_be_cancelled_at_every_point) {
  sys_faults faults;
  faults.fail<&table::sendfile>(EINVAL, 1, 1'000'000);
  cancel_sending_at_every_point();
}

TEST(Sendfile, interruptions_are_not_seen_and_errors_are_told) {
  testing::run([]() -> coroutine<> {
    event_loop& loop = get_running_loop();
    const std::string text = numbers(1000);
    const sample file(text);
    const socket_pair pair;
    {
      sys_faults faults;
      faults.fail<&table::sendfile>(EINTR, 1, 3);
      const std::uint64_t sent = co_await loop.sock_sendfile(pair.a, file.fd());
      EXPECT_EQ(sent, text.size());
    }
    EXPECT_EQ(taken_from(pair.b), text);
    sys_faults faults;
    faults.fail<&table::sendfile>(EIO);
    const int error = co_await error_of(loop.sock_sendfile(pair.a, file.fd()));
    EXPECT_EQ(error, EIO);
    faults.fail<&table::sendfile>(EAGAIN, 1, 2);
    const std::uint64_t after = co_await loop.sock_sendfile(pair.a, file.fd());
    EXPECT_EQ(after, text.size());
  });
}

#endif

}  // namespace
}  // namespace asyncio::spec
