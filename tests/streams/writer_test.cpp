// SPDX-License-Identifier: BSL-1.0
// stream_writer and both ends of a connection: S160–S168, S202–S206, F8–F12.
#include "streams/stream_test.hpp"

#include <array>
#include <csignal>
#include <list>
#include <stdexcept>

namespace {

using namespace stream_test;

TEST(StreamWriter, SendsWhatWasWrittenWithoutADrain) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    e.client.writer.write("hel");
    e.client.writer.write(std::string("lo "));
    std::vector<std::string> lines{"a\n", "b\n"};
    e.client.writer.writelines(lines);
    std::list<std::string_view> views{"c", "d"};
    e.client.writer.writelines(views);
    std::string got = co_await e.served.reader.readexactly(12);
    EXPECT_EQ(got, "hello a\nb\ncd");
  });
}

TEST(StreamWriter, CopiesWhatItIsGiven) {  // S161 ≠
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    std::string text = "before";
    e.client.writer.write(text);
    text = "after!";
    std::array<unsigned char, 3> bytes{'x', 'y', 'z'};
    e.client.writer.write(bytes);
    bytes = {};
    std::string got = co_await e.served.reader.readexactly(9);
    EXPECT_EQ(got, "beforexyz");
  });
}

TEST(StreamWriter, CopiesTheArgumentOfWriteAllWhenItIsCalled) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    std::string text = "before";
    coroutine<> pending = e.client.writer.write_all(text);
    text = "after!";
    EXPECT_EQ(e.client.writer.get_write_buffer_size(), 0u) << "nothing is written before it is awaited";
    co_await std::move(pending);
    std::string got = co_await e.served.reader.readexactly(6);
    EXPECT_EQ(got, "before");
  });
}

TEST(StreamWriter, DrainDoesNotSuspendBelowTheHighWater) {  // S202
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    bool other_ran = false;
    task<> other = create_task([](bool& ran) -> coroutine<> {
      ran = true;
      co_return;
    }(other_ran));
    for (int i = 0; i < 100; ++i) {
      e.client.writer.write("x");
      co_await e.client.writer.drain();
    }
    EXPECT_FALSE(other_ran);
    co_await other;
  });
}

/// Writes until the other side, which does not read, stops it: the bytes written.
coroutine<std::size_t> write_until_stopped(stream_writer& writer) {
  const std::string block(64 * 1024, 'w');
  std::size_t written = 0;
  while (writer.get_write_buffer_size() <= 64 * 1024) {
    writer.write(block);
    written += block.size();
  }
  co_return written;
}

TEST(StreamWriter, DrainWaitsForASlowReaderAndWakesAllWhoDrain) {  // S202, F12
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    const std::size_t written = co_await write_until_stopped(e.client.writer);
    task<> first = create_task(e.client.writer.drain());
    task<> second = create_task(e.client.writer.drain());
    co_await turns(5);
    EXPECT_FALSE(first.done());
    EXPECT_FALSE(second.done());
    std::size_t got = 0;
    while (got < written) {
      std::string piece = co_await e.served.reader.read(1 << 20);
      got += piece.size();
    }
    co_await first;
    co_await second;
    EXPECT_EQ(e.client.writer.get_write_buffer_size(), 0u);
  });
}

TEST(StreamWriter, BuffersNoMoreThanTheHighWaterAndOneWrite) {  // F12
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    std::size_t most = 0;
    auto write_for_ever = [](stream_writer& writer, std::size_t& most_buffered) -> coroutine<> {
      const std::string block(10'000, 'w');
      while (true) {
        writer.write(block);
        most_buffered = std::max(most_buffered, writer.get_write_buffer_size());
        co_await writer.drain();
      }
    };
    task<> writing = create_task(write_for_ever(e.client.writer, most));
    co_await turns(2000);
    EXPECT_FALSE(writing.done());
    EXPECT_LE(most, 64u * 1024u + 10'000u);
    EXPECT_GT(most, 64u * 1024u) << "it did stop the writer";
    writing.cancel();
    outcome<> end = co_await as_outcome(writing);
    EXPECT_FALSE(end.has_value());
    e.client.writer.abort();
  });
}

TEST(StreamWriter, TakesOtherWaterMarks) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    EXPECT_THROW(e.client.writer.set_write_buffer_limits(1, 2), std::invalid_argument);
    e.client.writer.set_write_buffer_limits(0, 0);
    e.client.writer.write("x");
    co_await e.client.writer.drain();
    EXPECT_EQ(e.client.writer.get_write_buffer_size(), 0u);
  });
}

TEST(StreamWriter, HalfClosesAndGoesOnReading) {  // S166, S167, F9
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    EXPECT_TRUE(e.client.writer.can_write_eof());
    e.client.writer.write("question");
    e.client.writer.write_eof();
    std::string question = co_await e.served.reader.read();
    EXPECT_EQ(question, "question");
    co_await e.served.writer.write_all("answer");
    e.served.writer.write_eof();
    std::string answer = co_await e.client.reader.read();
    EXPECT_EQ(answer, "answer");
    std::string error;
    try {
      e.client.writer.write("more");
    } catch (const std::runtime_error& x) {
      error = x.what();
    }
    EXPECT_EQ(error, "cannot call write() after write_eof()");
    EXPECT_FALSE(e.client.writer.is_closing());
  });
}

TEST(StreamWriter, ClosingFeedsTheEndToItsReader) {  // S205
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    task<std::string> reading = create_task(e.client.reader.read());
    co_await turns(2);
    e.client.writer.close();
    EXPECT_TRUE(e.client.writer.is_closing());
    std::string got = co_await reading;
    EXPECT_EQ(got, "");
    EXPECT_TRUE(e.client.reader.at_eof());
    co_await e.client.writer.wait_closed();
    EXPECT_EQ(e.client.writer.fileno(), -1);
    std::string end = co_await e.served.reader.read();
    EXPECT_EQ(end, "");
  });
}

TEST(StreamWriter, ClosesWithInputThatNobodyHasRead) {  // S204
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    co_await e.served.writer.write_all("first\nsecond\nthird\n");
    std::string first = co_await e.client.reader.readline();
    EXPECT_EQ(first, "first\n");
    e.client.writer.close();
    co_await e.client.writer.wait_closed();
    co_await e.client.writer.wait_closed();
    EXPECT_EQ(e.client.reader.exception(), nullptr);
  });
}

TEST(StreamWriter, DrainFailsAfterTheEndAndDoesNotSpin) {  // S162, S203
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    e.client.writer.close();
    int rounds = 0;
    int code = 0;
    try {
      while (true) {
        e.client.writer.write("dropped");
        co_await e.client.writer.drain();
        ++rounds;
      }
    } catch (const std::system_error& error) {
      code = error.code().value();
    }
    EXPECT_EQ(code, ECONNRESET);
    EXPECT_LT(rounds, 10);
  });
}

TEST(StreamWriter, TellsAWriterThatThePeerHasReset) {  // S204, F8, F10
  std::signal(SIGPIPE, SIG_DFL);
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    reset_on_close(e.served.writer);
    e.served.writer.abort();
    co_await e.served.writer.wait_closed();
    int code = 0;
    try {
      for (int i = 0; i < 100; ++i) {
        co_await e.client.writer.write_all("x");
        co_await turns(1);
      }
    } catch (const std::system_error& error) {
      code = error.code().value();
    }
    EXPECT_TRUE(code == ECONNRESET || code == EPIPE) << code;
    outcome<> closed = co_await as_outcome(e.client.writer.wait_closed());
    EXPECT_TRUE(code_of(closed.exception()) == ECONNRESET || code_of(closed.exception()) == EPIPE);
  });
}

TEST(StreamWriter, TellsAReaderThatThePeerHasReset) {  // S203, F10
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    task<std::string> reading = create_task(e.client.reader.read());
    co_await turns(3);
    reset_on_close(e.served.writer);
    e.served.writer.abort();
    outcome<std::string> got = co_await as_outcome(reading);
    EXPECT_EQ(code_of(got.exception()), ECONNRESET);
    EXPECT_EQ(code_of(e.client.reader.exception()), ECONNRESET);
    outcome<> drained = co_await as_outcome(e.client.writer.drain());
    EXPECT_EQ(code_of(drained.exception()), ECONNRESET) << "drain() raises the reader's exception";
  });
}

TEST(StreamWriter, WakesWhoDrainsWhenTheConnectionIsLost) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    co_await write_until_stopped(e.client.writer);
    task<> draining = create_task(e.client.writer.drain());
    co_await turns(3);
    EXPECT_FALSE(draining.done());
    reset_on_close(e.served.writer);
    e.served.writer.abort();
    outcome<> drained = co_await as_outcome(draining);
    EXPECT_TRUE(code_of(drained.exception()) == ECONNRESET || code_of(drained.exception()) == EPIPE);
  });
}

TEST(StreamWriter, ReadsTheAnswerOfAPeerThatStoppedListening) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    co_await e.served.writer.write_all("413 too large\n");
    e.client.writer.write("first part");
    co_await turns(3);
    e.served.writer.close();  // with unread input: the peer's next write is answered by a reset
    co_await e.served.writer.wait_closed();
    bool failed = false;
    for (int i = 0; i < 100 && !failed; ++i) {
      outcome<> sent = co_await as_outcome(e.client.writer.write_all("another part"));
      failed = !sent.has_value();
      co_await turns(1);
    }
    EXPECT_TRUE(failed);
    std::string answer = co_await e.client.reader.readline();
    EXPECT_EQ(answer, "413 too large\n");
  });
}

TEST(StreamWriter, ClosesWhenItIsDestroyedAndSendsWhatWasWritten) {  // S206
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    const std::string much(3'000'000, 'm');
    {
      stream_writer writer = std::move(e.client.writer);
      writer.write(much);
    }
    std::string got = co_await e.served.reader.read();
    EXPECT_EQ(got.size(), much.size());
  });
}

TEST(StreamWriter, AbortLosesWhatIsBuffered) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    const std::size_t written = co_await write_until_stopped(e.client.writer);
    e.client.writer.abort();
    co_await e.client.writer.wait_closed();
    outcome<std::string> got = co_await as_outcome(e.served.reader.read());
    if (got.has_value()) {
      EXPECT_LT(got.value().size(), written);
    }
  });
}

TEST(StreamWriter, KnowsBothAddresses) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    const socket_address client = e.client.writer.sockname();
    EXPECT_EQ(e.served.writer.peername(), client);
    EXPECT_EQ(e.client.writer.peername(), e.served.writer.sockname());
    EXPECT_GE(e.client.writer.fileno(), 0);
    co_await e.client.writer.aclose();
    EXPECT_EQ(e.client.writer.fileno(), -1);
    EXPECT_EQ(e.client.writer.sockname(), socket_address());
    EXPECT_EQ(e.client.writer.peername(), e.served.writer.sockname()) << "also after the end";
  });
}

TEST(StreamWriter, IsAContextManagerAsItsConnectionIs) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    auto body = [](connection& c) -> coroutine<> { co_await c.writer.write_all("bye"); };
    co_await async_with(std::move(e.client), body);
    std::string got = co_await e.served.reader.read();
    EXPECT_EQ(got, "bye");
    std::string error;
    auto failing = [](stream_writer&) -> coroutine<> {
      co_await sleep(0s);
      throw std::runtime_error("the body's own");
    };
    try {
      co_await async_with(std::move(e.served.writer), failing);
    } catch (const std::runtime_error& x) {
      error = x.what();
    }
    EXPECT_EQ(error, "the body's own");
  });
}

TEST(StreamWriter, IsHarmlessWhenItsLoopIsClosed) {  // S206
  const std::size_t before = test::open_descriptors();
  std::optional<ends> kept;
  auto main = [&]() -> coroutine<> {
    ends e = co_await make_ends();
    e.client.writer.write("never drained");
    kept.emplace(std::move(e));
  };
  asyncio::run(main);
  kept->client.writer.write("x");
  kept->client.writer.close();
  EXPECT_TRUE(kept->client.writer.is_closing());
  EXPECT_EQ(kept->client.writer.fileno(), -1);
  kept.reset();
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(StreamWriter, RefusesAnotherThread) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    std::string error;
    std::thread other([&] {
      try {
        e.client.writer.write("x");
      } catch (const std::runtime_error& x) {
        error = x.what();
      }
    });
    other.join();
    EXPECT_TRUE(error.starts_with("stream_writer.write(): called from thread ")) << error;
  });
}

TEST(Connection, MovesManyBytesBothWaysAtOnce) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    std::string data(5'000'000, '\0');
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 2654435761u >> 24);
    auto send = [](stream_writer& writer, const std::string& all, std::size_t piece) -> coroutine<> {
      for (std::size_t at = 0; at < all.size(); at += piece) {
        writer.write(std::string_view(all).substr(at, piece));
        co_await writer.drain();
      }
      writer.write_eof();
    };
    task<> first = create_task(send(e.client.writer, data, 100'000));
    task<> second = create_task(send(e.served.writer, data, 777));
    task<std::string> at_server = create_task(e.served.reader.read());
    std::string back;
    char room[50'000];
    while (true) {
      const std::size_t n = co_await e.client.reader.read_into(room);
      if (n == 0) break;
      back.append(room, n);
    }
    std::string there = co_await at_server;
    EXPECT_EQ(back, data);
    EXPECT_EQ(there, data);
    co_await first;
    co_await second;
  });
}

TEST(Connection, ReadsLinesThatArriveInAnyPieces) {
  run_clean([]() -> coroutine<> {
    ends e = co_await make_ends();
    auto send = [](stream_writer& writer) -> coroutine<> {
      std::string all;
      for (int i = 0; i < 2000; ++i) all += std::string(static_cast<std::size_t>(i % 50), 'l') + "\n";
      for (std::size_t at = 0, step = 1; at < all.size(); at += step, step = step * 7 % 997 + 1) {
        writer.write(std::string_view(all).substr(at, step));
        co_await sleep(0s);
      }
      writer.close();
    };
    task<> sending = create_task(send(e.client.writer));
    int lines = 0;
    while (auto line = co_await e.served.reader.next()) {
      EXPECT_EQ(line->size(), static_cast<std::size_t>(lines % 50) + 1);
      ++lines;
    }
    EXPECT_EQ(lines, 2000);
    co_await sending;
  });
}

}  // namespace
