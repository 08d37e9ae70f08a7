// SPDX-License-Identifier: BSL-1.0
// asyncio::testing::stream_pair: two ends in memory keep what readers and writers promise.
#include "spec/spec.hpp"

#include <cerrno>
#include <cstddef>
#include <optional>
#include <system_error>

namespace asyncio::spec {
namespace {

/// The code of the std::system_error that a coroutine ends with; 0 for none.
coroutine<int> code_of(coroutine<> awaited) {
  int code = 0;
  try {
    co_await std::move(awaited);
  } catch (const std::system_error& e) {
    code = e.code().value();
  }
  co_return code;
}

coroutine<> read_and_forget(stream_reader& reader) { const std::string bytes = co_await reader.read(); }

TEST(StreamPair, carries_bytes_both_ways) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    co_await a.writer.write_all("hello\n");
    co_await b.writer.write_all("good day\n");
    const std::string there = co_await b.reader.readline();
    const std::string back = co_await a.reader.readline();
    EXPECT_EQ(there, "hello\n");
    EXPECT_EQ(back, "good day\n");
  });
}

TEST(StreamPair, has_no_descriptor_and_no_address) {
  testing::run([]() -> coroutine<> {
    const auto before = testing::ledger::now().descriptors;
    auto [a, b] = testing::stream_pair();
    EXPECT_EQ(testing::ledger::now().descriptors, before);
    EXPECT_EQ(a.writer.fileno(), -1);
    EXPECT_EQ(a.writer.peername(), socket_address());
    EXPECT_EQ(b.writer.sockname(), socket_address());
    co_return;
  });
}

TEST(StreamPair, takes_no_time) {
  testing::run([]() -> coroutine<> {
    const stopwatch watch;
    auto [a, b] = testing::stream_pair();
    for (int i = 0; i < 100; ++i) {
      co_await a.writer.write_all("x");
      const std::string got = co_await b.reader.readexactly(1);
      EXPECT_EQ(got, "x");
    }
    EXPECT_EQ(watch.ms(), 0);
  });
}

TEST(StreamPair, what_is_written_without_a_drain_arrives_in_the_next_turn) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    a.writer.write("hel");
    a.writer.write(std::string("lo"));
    EXPECT_EQ(a.writer.get_write_buffer_size(), 5u);
    co_await sleep(0s);
    EXPECT_EQ(a.writer.get_write_buffer_size(), 0u);
    const std::string got = co_await b.reader.read(100);
    EXPECT_EQ(got, "hello");
  });
}

TEST(StreamPair, a_read_that_waits_is_woken_by_bytes) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    auto& reader = b.reader;
    const auto read = [&reader]() -> coroutine<std::string> {
      std::string line = co_await reader.readline();
      co_return line;
    };
    task<std::string> line = create_task(read);
    co_await sleep(1h);
    a.writer.write("one\ntwo\n");
    const std::string first = co_await line;
    EXPECT_EQ(first, "one\n");
    const std::string second = co_await b.reader.readline();
    EXPECT_EQ(second, "two\n");
  });
}

TEST(StreamPair, drain_waits_while_the_peer_does_not_read) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair({.buffer = 10});
    auto& writer = a.writer;
    writer.set_write_buffer_limits(20, 5);
    co_await writer.write_all(std::string(20, 'x'));  // 10 under way, 10 buffered
    EXPECT_EQ(writer.get_write_buffer_size(), 10u);
    const auto more = [&writer]() -> coroutine<> { co_await writer.write_all("yyyyyyyyyyy"); };
    task<> blocked = create_task(more);
    co_await sleep(1h);
    EXPECT_FALSE(blocked.done());
    std::string got = co_await b.reader.readexactly(10);
    co_await sleep(1h);
    EXPECT_EQ(writer.get_write_buffer_size(), 11u);
    EXPECT_FALSE(blocked.done());
    got += co_await b.reader.readexactly(6);
    co_await sleep(1h);
    EXPECT_TRUE(blocked.done());
    got += co_await b.reader.readexactly(15);
    EXPECT_EQ(got, std::string(20, 'x') + std::string(11, 'y'));
  });
}

TEST(StreamPair, a_large_transfer_through_a_small_buffer_keeps_its_bytes_in_order) {
  testing::run([]() -> coroutine<> {
    std::string sent;
    for (int i = 0; i < 60'000; ++i) sent += std::to_string(i) + ",";
    auto [a, b] = testing::stream_pair({.buffer = 1000});
    auto& writer = a.writer;
    const auto write = [&]() -> coroutine<> {
      for (std::size_t at = 0; at < sent.size(); at += 5000) co_await writer.write_all(sent.substr(at, 5000));
      writer.write_eof();
    };
    task<> writing = create_task(write);
    const std::string got = co_await b.reader.read();
    EXPECT_EQ(got == sent, true);
    co_await writing;
  });
}

TEST(StreamPair, reads_into_memory_of_ones_own) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    a.writer.write("abcdef");
    co_await a.writer.drain();
    std::string buffer(4, '.');
    const std::size_t n = co_await b.reader.read_into(buffer);
    EXPECT_EQ(n, 4u);
    EXPECT_EQ(buffer, "abcd");
    a.writer.write_eof();
    const std::size_t m = co_await b.reader.read_into(buffer);
    EXPECT_EQ(buffer.substr(0, m), "ef");
    const std::size_t end = co_await b.reader.read_into(buffer);
    EXPECT_EQ(end, 0u);
    EXPECT_TRUE(b.reader.at_eof());
  });
}

TEST(StreamPair, write_eof_ends_one_direction_only) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    EXPECT_TRUE(a.writer.can_write_eof());
    a.writer.write("question");
    a.writer.write_eof();
    EXPECT_EQ(thrown_by([&a = a] { a.writer.write("more"); }), "runtime_error(cannot call write() after write_eof())");
    const std::string question = co_await b.reader.read();
    EXPECT_EQ(question, "question");
    co_await b.writer.write_all("answer");
    co_await b.writer.aclose();
    const std::string answer = co_await a.reader.read();
    EXPECT_EQ(answer, "answer");
  });
}

TEST(StreamPair, close_delivers_what_was_written_and_is_the_peers_end_of_stream) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    a.writer.write("last words");
    a.writer.close();
    EXPECT_TRUE(a.writer.is_closing());
    co_await a.writer.wait_closed();  // though nobody has read
    a.writer.write("ignored");
    const std::string got = co_await b.reader.read();
    EXPECT_EQ(got, "last words");
    EXPECT_TRUE(b.reader.at_eof());
  });
}

TEST(StreamPair, close_waits_for_room_for_what_was_written) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair({.buffer = 4});
    a.writer.write("0123456789");
    task<> closing = create_task(a.writer.aclose());
    co_await sleep(1h);
    EXPECT_FALSE(closing.done());
    const std::string got = co_await b.reader.read();
    EXPECT_EQ(got, "0123456789");
    co_await closing;
  });
}

TEST(StreamPair, a_writer_that_is_dropped_closes) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    {
      const stream_writer dropped = std::move(a.writer);
      connection taken = std::move(b);
      b = std::move(taken);
    }
    const std::string got = co_await b.reader.read();
    EXPECT_EQ(got, "");
  });
}

TEST(StreamPair, abort_is_a_connection_reset_behind_what_has_arrived) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair({.buffer = 4});
    a.writer.write("arrived, and the rest does not");
    co_await sleep(0s);
    a.writer.abort();
    const std::string got = co_await b.reader.read(100);
    EXPECT_EQ(got, "arri");
    const int code = co_await code_of(read_and_forget(b.reader));
    EXPECT_EQ(code, ECONNRESET);
    const int written = co_await code_of(b.writer.write_all("x"));
    EXPECT_EQ(written, ECONNRESET);
    const int closed = co_await code_of(b.writer.wait_closed());
    EXPECT_EQ(closed, ECONNRESET);
  });
}

TEST(StreamPair, abort_wakes_a_read_and_a_drain_of_the_peer) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    auto [c, d] = testing::stream_pair({.buffer = 1});
    d.writer.set_write_buffer_limits(0, 0);
    task<int> reading = create_task(code_of(read_and_forget(b.reader)));
    task<int> writing = create_task(code_of(d.writer.write_all("no room")));
    co_await sleep(1h);
    EXPECT_FALSE(reading.done() || writing.done());
    a.writer.abort();
    c.writer.abort();
    const int read = co_await reading;
    EXPECT_EQ(read, ECONNRESET);
    const int written = co_await writing;
    EXPECT_EQ(written, ECONNRESET);
  });
}

TEST(StreamPair, writing_to_a_peer_that_has_closed_is_a_broken_pipe) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair();
    co_await a.writer.aclose();
    b.writer.write("x");
    const int code = co_await code_of(b.writer.wait_closed());
    EXPECT_EQ(code, EPIPE);
  });
}

TEST(StreamPair, a_peer_that_answers_early_and_closes_is_heard_first) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair({.buffer = 8});
    b.writer.write("too large");
    b.writer.write(std::string(1000, 'x'));
    a.writer.write("413");
    co_await sleep(0s);
    co_await a.writer.aclose();  // it has not read what is still waiting
    const int code = co_await code_of(b.writer.wait_closed());
    EXPECT_EQ(code, EPIPE);
    const std::string answer = co_await b.reader.readexactly(3);
    EXPECT_EQ(answer, "413");
  });
}

TEST(StreamPair, a_reader_keeps_to_its_limit) {
  testing::run([]() -> coroutine<> {
    auto [a, b] = testing::stream_pair({.limit = 16});
    const std::string long_line(100, 'x');
    a.writer.write(long_line);
    a.writer.write("\n");
    co_await a.writer.drain();
    const std::string end = co_await ending(b.reader.readuntil("\n"));
    EXPECT_EQ(end, "runtime_error(Separator is found, but chunk is longer than limit)");
  });
}

TEST(StreamPair, wants_a_loop_that_runs_and_room) {
  EXPECT_EQ(thrown_by([] { (void)testing::stream_pair(); }), "runtime_error(no running event loop in this thread)");
  testing::run([]() -> coroutine<> {
    EXPECT_EQ(thrown_by([] { (void)testing::stream_pair({.buffer = 0}); }), "invalid_argument");
    EXPECT_EQ(thrown_by([] { (void)testing::stream_pair({.limit = 0}); }), "invalid_argument");
    co_return;
  });
}

TEST(StreamPair, ends_that_outlive_their_loop_are_closed) {
  std::optional<std::pair<connection, connection>> kept;
  asyncio::run([&]() -> coroutine<> {
    kept.emplace(testing::stream_pair({.buffer = 2}));
    kept->first.writer.write("more than there is room for");
    auto& reader = kept->second.reader;
    const auto wait = [&reader]() -> coroutine<> { co_await reader.readexactly(1000); };
    task<> reading = create_task(wait);
    co_await sleep(1ms);
  });
  kept.reset();
}

TEST(StreamPair, a_handler_of_a_server_is_tested_without_a_server) {
  testing::run([]() -> coroutine<> {
    const auto handler = [](stream_reader reader, stream_writer writer) -> coroutine<> {
      while (auto line = co_await reader.next()) co_await writer.write_all("> " + *line);
      co_await writer.aclose();
    };
    auto [client, served] = testing::stream_pair();
    task<> serving = create_task(handler(std::move(served.reader), std::move(served.writer)));
    co_await client.writer.write_all("a\nb\n");
    client.writer.write_eof();
    const std::string answers = co_await client.reader.read();
    EXPECT_EQ(answers, "> a\n> b\n");
    co_await serving;
  });
}

TEST(StreamPair, two_ends_that_wait_for_each_other_are_a_deadlock) {
  EXPECT_THROW(testing::run([]() -> coroutine<> {
                 auto [a, b] = testing::stream_pair();
                 auto &one = a.reader, &other = b.reader;
                 co_await gather(one.readline(), other.readline());
               }),
               testing::deadlock_error);
}

// Whatever is cancelled, and when: what was read is what was written, without a hole.
TEST(StreamPair, loses_nothing_when_a_read_is_cancelled_at_any_point) {
  std::string got;
  const auto body = [&]() -> coroutine<> {
    got.clear();
    auto [a, b] = testing::stream_pair({.buffer = 3});
    auto& writer = a.writer;
    auto& reader = b.reader;
    const auto write = [&]() -> coroutine<> {
      for (char c = 'a'; c <= 'p'; ++c) {
        co_await writer.write_all(std::string(1, c));
        if (c % 3 == 0) co_await sleep(1s);
      }
      writer.write_eof();
    };
    const auto read = [&]() -> coroutine<> {
      while (true) {
        const std::string some = co_await reader.read(2);
        if (some.empty()) co_return;
        got += some;
      }
    };
    task<> writing = create_task(write);
    task<> reading = create_task(read);
    const std::string end = co_await ending(reading);
    if (end != "done") got += co_await reader.read();
    co_await writing;
  };
  const std::size_t times = testing::inject_cancel(body, [&] {
    if (got != "abcdefghijklmnop") throw std::logic_error("read: " + got);
  });
  EXPECT_GT(times, 20u);
}

TEST(StreamPair, loses_nothing_when_a_drain_is_cancelled_at_any_point) {
  std::string got;
  const auto body = [&]() -> coroutine<> {
    got.clear();
    auto [a, b] = testing::stream_pair({.buffer = 3});
    auto& writer = a.writer;
    auto& reader = b.reader;
    writer.set_write_buffer_limits(4, 1);
    const auto write = [&]() -> coroutine<> {
      for (const char* part : {"abcdef", "ghijkl", "mnop"}) {
        writer.write(part);
        const std::string end = co_await ending(writer.drain());
      }
    };
    const auto read = [&]() -> coroutine<> {
      co_await sleep(1s);
      got = co_await reader.read();
    };
    task<> reading = create_task(read);
    task<> writing = create_task(write);
    const std::string end = co_await ending(writing);
    writer.close();
    co_await ending(reading);
  };
  const std::size_t times = testing::inject_cancel(body, [&] {
    const bool never_began = got.empty();
    if (got != "abcdefghijklmnop" && !never_began) throw std::logic_error("read: " + got);
  });
  EXPECT_GT(times, 5u);
}

TEST(StreamPair, keeps_its_bytes_in_every_order_of_tasks) {
  const std::size_t orders = testing::for_each_order(300, []() -> coroutine<> {
    auto [a, b] = testing::stream_pair({.buffer = 5});
    auto [c, d] = testing::stream_pair({.buffer = 7});
    auto &in = a.writer, &out = c.writer;
    auto &relay = b.reader, &last = d.reader;
    const auto write = [&]() -> coroutine<> {
      for (int i = 0; i < 20; ++i) co_await in.write_all(std::to_string(i) + " ");
      in.close();
    };
    const auto pass_on = [&]() -> coroutine<> {
      while (true) {
        std::string some = co_await relay.read(4);
        if (some.empty()) break;
        co_await out.write_all(std::move(some));
      }
      out.write_eof();
    };
    const auto read = [&]() -> coroutine<std::string> {
      std::string all = co_await last.read();
      co_return all;
    };
    task<> writing = create_task(write);
    task<> passing = create_task(pass_on);
    const std::string got = co_await create_task(read);
    EXPECT_EQ(got, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 ");
    co_await gather(writing, passing);
  });
  EXPECT_GT(orders, 10u);
}

}  // namespace
}  // namespace asyncio::spec
