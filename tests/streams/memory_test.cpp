// SPDX-License-Identifier: BSL-1.0
// Streams when there is no memory for what is received: they end there, and nothing comes after the hole.
#include "streams/stream_test.hpp"

#include "support/no_memory.hpp"

#include <functional>
#include <new>

namespace {

using namespace stream_test;

/// Calls a function from the loop, between the completions of what was sent before spring() and after it.
class trap {
 public:
  explicit trap(std::function<void()> then) : then_(std::move(then)) {
    loop_.add_reader(pair_.a, [this] {
      loop_.remove_reader(pair_.a);
      then_();
    });
  }
  trap(const trap&) = delete;
  trap& operator=(const trap&) = delete;
  void spring() { EXPECT_EQ(::send(pair_.b, "!", 1, 0), 1); }

 private:
  event_loop& loop_ = get_running_loop();
  test::socket_pair pair_;
  std::function<void()> then_;
};

bool is_bad_alloc(const std::exception_ptr& error) {
  if (error == nullptr) return false;
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return true;
  } catch (...) {
    return false;
  }
}

void put(int fd, const std::string& bytes) {
  EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

const std::string first(1000, 'a');
const std::string lost(4096, 'b');  // what a stream with the smallest limit asks for at a time
const std::string later(1000, 'c');

TEST(StreamMemory, AReadThatHasNoMemoryIsTheLastOne) {
  run_clean([]() -> coroutine<> {
    test::socket_pair pair;
    connection c = co_await open_connection("", 0, {.limit = 1, .sock = std::exchange(pair.a, -1)});
    put(pair.b, lost);
    put(pair.b, later);
    coroutine<std::string> reading = c.reader.read(100);
    bool failed = false;
    try {
      test::memory_is_used_up = true;
      std::string none = co_await std::move(reading);
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    test::memory_is_used_up = false;
    EXPECT_TRUE(failed);
    for (int i = 0; i < 2; ++i) {
      outcome<std::string> next = co_await as_outcome(c.reader.read());
      EXPECT_TRUE(is_bad_alloc(next.exception())) << "not what came later";
      co_await turns(3);
    }
  });
}

TEST(StreamMemory, WhatIsReceivedWithoutMemoryIsNotFollowedByWhatCameLater) {
  run_clean([]() -> coroutine<> {
    test::socket_pair pair;
    connection c = co_await open_connection("", 0, {.sock = std::exchange(pair.a, -1)});
    task<std::string> reading = create_task(c.reader.readexactly(first.size()));
    co_await turns(2);
    put(pair.b, first);
    std::string got = co_await std::move(reading);
    EXPECT_EQ(got, first);
    reading = create_task(c.reader.readexactly(10'000));
    co_await turns(2);
    trap before([&] {
      put(pair.b, later);
      pair.close_b();
      c.writer.write(std::string(100'000, 'x'));  // EPIPE: the last input is delivered, from here on
      test::memory_is_used_up = true;
    });
    trap after([] { test::memory_is_used_up = false; });
    before.spring();
    put(pair.b, lost);
    after.spring();
    outcome<std::string> end = co_await as_outcome(std::move(reading));
    test::memory_is_used_up = false;
    EXPECT_NE(end.exception(), nullptr);
    co_await turns(5);
    outcome<std::string> next = co_await as_outcome(c.reader.read(1));
    EXPECT_TRUE(is_bad_alloc(next.exception())) << "nothing from behind the hole";
  });
}

}  // namespace
