// SPDX-License-Identifier: BSL-1.0
// The awaitables of readers and writers, which are no coroutines: what they have in common with them, and what may happen
// between the moment when one is woken and its turn.
#include "streams/stream_test.hpp"

#include <asyncio/testing/stream_pair.hpp>

#include <array>
#include <concepts>
#include <type_traits>

namespace {

using namespace stream_test;

/// What the library's log says while it lives.
class log_keeper {
 public:
  log_keeper() {
    set_log_sink([](log_level, std::string_view line, void*) noexcept { lines().emplace_back(line); });
  }
  log_keeper(const log_keeper&) = delete;
  ~log_keeper() { set_log_sink(nullptr); }
  std::vector<std::string> taken() { return std::exchange(lines(), {}); }

 private:
  static std::vector<std::string>& lines() {
    static std::vector<std::string> all;
    return all;
  }
};

coroutine<std::string> plainly(stream_reader& reader) { return reader.readexactly(3); }

TEST(StreamWait, IsKeptAsACoroutineByWhoWantsOne) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    coroutine<> writing = e.client.writer.write_all("abcdefghij");
    coroutine<> draining = e.client.writer.drain();
    coroutine<std::string> reading = e.served.reader.read(2);
    std::array<char, 2> buffer{};
    coroutine<std::size_t> into = e.served.reader.read_into(buffer);
    co_await std::move(writing);
    co_await std::move(draining);
    std::string got = co_await std::move(reading);
    EXPECT_EQ(got, "ab");
    got = co_await plainly(e.served.reader);
    EXPECT_EQ(got, "cde");
    std::size_t n = co_await std::move(into);
    EXPECT_EQ(std::string(buffer.data(), n), "fg");
  });
}

TEST(StreamWait, IsAwaitedByWhateverAwaits) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    task<> writing = create_task(e.client.writer.write_all("abcdefghij"));
    task<std::string> reading = create_task(e.served.reader.readexactly(4));
    EXPECT_NE(to_string(reading).find("asyncio::stream_reader::readexactly"), std::string::npos) << to_string(reading);
    co_await writing;
    std::string got = co_await reading;
    EXPECT_EQ(got, "abcd");
    got = co_await wait_for(e.served.reader.readexactly(2), 5s);
    EXPECT_EQ(got, "ef");
    outcome<std::string> end = co_await as_outcome(e.served.reader.readexactly(1));
    EXPECT_EQ(end.value(), "g");
    auto both = co_await gather(e.served.reader.readexactly(3), e.client.writer.drain());
    EXPECT_EQ(std::get<0>(both), "hij");
  });
}

TEST(StreamWait, HoldsItsConnection) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    reader.feed_data("kept");
    auto reading = reader.read(100);
    { const stream_reader gone = std::move(reader); }
    std::string got = co_await std::move(reading);
    EXPECT_EQ(got, "kept");
  });
}

TEST(StreamWait, DroppedUnawaitedIsReportedByName) {
  log_keeper log;
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    static_cast<void>(e.client.reader.readexactly(10));
    static_cast<void>(e.client.writer.write_all("x"));
    { auto kept = e.client.writer.drain(); }
  });
  EXPECT_EQ(log.taken(), (std::vector<std::string>{"stream_reader.readexactly() was never awaited",
                                                   "stream_writer.write_all() was never awaited",
                                                   "stream_writer.drain() was never awaited"}));
}

TEST(StreamWait, OfATaskThatIsCancelledBeforeItsFirstStepIsNot) {
  log_keeper log;
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<std::string> reading = create_task(reader.read(10));
    reading.cancel();
    outcome<std::string> end = co_await as_outcome(reading);
    EXPECT_TRUE(reading.cancelled());
  });
  EXPECT_EQ(log.taken(), std::vector<std::string>());
}

TEST(StreamWait, AWokenReadWhoseBytesWereTakenBeforeItsTurnWaitsOn) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<std::string> first = create_task(reader.read(10));
    co_await turns(2);
    reader.feed_data("stolen");
    std::string stolen = co_await reader.read(10);
    EXPECT_EQ(stolen, "stolen");
    co_await turns(2);
    EXPECT_FALSE(first.done());
    reader.feed_data("its own");
    std::string got = co_await first;
    EXPECT_EQ(got, "its own");
  });
}

TEST(StreamWait, AWokenReadWhoseBytesWereTakenBeforeItsTurnCanBeCancelled) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<std::string> first = create_task(reader.read(10));
    co_await turns(2);
    reader.feed_data("stolen");
    first.cancel();
    std::string stolen = co_await reader.read(10);
    EXPECT_EQ(stolen, "stolen");
    outcome<std::string> end = co_await as_outcome(first);
    EXPECT_TRUE(first.cancelled());
    reader.feed_data("next");
    std::string next = co_await reader.read(10);
    EXPECT_EQ(next, "next");
  });
}

TEST(StreamWait, ACancellationThatComesAfterItsBytesFindsThemAndIsThrownAtTheNextSuspension) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    std::string got;
    auto body = [](stream_reader& from, std::string& to) -> coroutine<> {
      to = co_await from.read(10);
      co_await sleep(1h);
    };
    task<> reading = create_task(body(reader, got));
    co_await turns(2);
    reader.feed_data("bytes");
    reading.cancel();
    outcome<> end = co_await as_outcome(reading);
    EXPECT_EQ(got, "bytes");
    EXPECT_TRUE(reading.cancelled());
  });
}

TEST(StreamWait, WhatWentIntoOneReadsMemoryStaysItsOwnWhenAnotherBeginsBeforeItsTurn) {
  run_clean([]() -> coroutine<> {
    auto [near, far] = asyncio::testing::stream_pair();
    std::array<char, 100> one{}, two{};
    task<std::size_t> first = create_task(near.reader.read_into(one));
    co_await turns(2);
    co_await far.writer.write_all("one");
    co_await sleep(0s);  // the bytes come, and the first has its turn behind this one
    EXPECT_EQ(std::string_view(one.data()), "one");
    EXPECT_FALSE(first.done());
    task<std::size_t> second = create_task(near.reader.read_into(two), {.eager_start = true});
    std::size_t n = co_await first;
    EXPECT_EQ(std::string(one.data(), n), "one");
    co_await far.writer.write_all("second");
    n = co_await second;
    EXPECT_EQ(std::string(two.data(), n), "second");
  });
}

TEST(StreamWait, ManyThatNeedNotWaitLetOthersRun) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    int ran = 0;
    auto count = [](int& turns_of_it) -> coroutine<> {
      while (true) {
        ++turns_of_it;
        co_await sleep(0s);
      }
    };
    task<> other = create_task(count(ran));
    for (int i = 0; i < 1000; ++i) co_await e.client.writer.write_all("x");
    EXPECT_GT(ran, 2);
    std::string got = co_await e.served.reader.readexactly(1000);
    EXPECT_EQ(got, std::string(1000, 'x'));
    ran = 0;
    e.served.reader.feed_data(std::string(100, 'y'));
    for (int i = 0; i < 100; ++i) {
      std::string one = co_await e.served.reader.read(1);
      EXPECT_EQ(one, "y");
    }
    EXPECT_GT(ran, 2);
    other.cancel();
    outcome<> end = co_await as_outcome(other);
  });
}

TEST(StreamWait, OneThatStillWaitsAtTheEndOfItsLoopDiesWithIt) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    auto stubborn = [](stream_reader reader) -> coroutine<> {
      while (true) {
        outcome<std::string> got = co_await as_outcome(reader.read(10));
        if (got.has_value()) break;
      }
    };
    task<> reading = create_task(stubborn(std::move(e.served.reader)));
    co_await turns(2);
  });
}

static_assert(!std::is_copy_constructible_v<read_operation> && std::is_nothrow_move_constructible_v<read_operation>);
static_assert(std::same_as<await_result_t<write_operation>, void>);

}  // namespace
