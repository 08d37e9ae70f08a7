// SPDX-License-Identifier: BSL-1.0
// stream_reader, fed by hand: S192–S201.
#include "streams/stream_test.hpp"

#include <array>
#include <stdexcept>

namespace {

using namespace stream_test;

/// A reader, and a task that feeds it pieces, one a turn.
coroutine<> feed(stream_reader& reader, std::vector<std::string> pieces, bool eof = true) {
  for (const std::string& piece : pieces) {
    co_await sleep(0s);
    reader.feed_data(piece);
  }
  co_await sleep(0s);
  if (eof) reader.feed_eof();
}

TEST(StreamReader, RefusesALimitOfZero) { EXPECT_THROW(stream_reader(0), std::invalid_argument); }  // S207

TEST(StreamReader, ReadGivesWhatIsThereAndEmptyOnlyAtTheEnd) {  // S192
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    reader.feed_data("hello");
    std::string none = co_await reader.read(0);
    EXPECT_EQ(none, "");
    std::string some = co_await reader.read(3);
    EXPECT_EQ(some, "hel");
    std::string rest = co_await reader.read(100);
    EXPECT_EQ(rest, "lo");
    task<> feeding = create_task(feed(reader, {"more"}));
    std::string more = co_await reader.read(100);
    EXPECT_EQ(more, "more");
    std::string end = co_await reader.read(100);
    EXPECT_EQ(end, "");
    EXPECT_TRUE(reader.at_eof());
    std::string still = co_await reader.read(100);
    EXPECT_EQ(still, "");
    co_await feeding;
  });
}

TEST(StreamReader, ReadOfEverythingIsNotBoundByTheLimit) {  // S192
  run_clean([]() -> coroutine<> {
    stream_reader reader(4);
    task<> feeding = create_task(feed(reader, {"abc", "defgh", "ij"}));
    std::string all = co_await reader.read();
    EXPECT_EQ(all, "abcdefghij");
    co_await feeding;
  });
}

TEST(StreamReader, ReadexactlyWaitsForAllOfIt) {  // S193
  run_clean([]() -> coroutine<> {
    stream_reader reader(4);
    task<> feeding = create_task(feed(reader, {"abc", "defgh", "ij"}));
    std::string nothing = co_await reader.readexactly(0);
    EXPECT_EQ(nothing, "");
    std::string seven = co_await reader.readexactly(7);
    EXPECT_EQ(seven, "abcdefg");
    std::string partial;
    std::optional<std::size_t> expected;
    try {
      co_await reader.readexactly(10);
    } catch (const incomplete_read_error& e) {
      partial = e.partial();
      expected = e.expected();
    }
    EXPECT_EQ(partial, "hij");
    EXPECT_EQ(expected, 10u);
    EXPECT_TRUE(reader.at_eof()) << "the buffer was emptied";
    co_await feeding;
  });
}

TEST(StreamReader, ReaduntilGivesTheSeparatorToo) {  // S194
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<> feeding = create_task(feed(reader, {"one\r", "\ntw", "o\r\nthr"}));
    std::string one = co_await reader.readuntil("\r\n");
    EXPECT_EQ(one, "one\r\n");
    std::string two = co_await reader.readuntil("\r\n");
    EXPECT_EQ(two, "two\r\n");
    std::string partial;
    std::optional<std::size_t> expected(1);
    try {
      co_await reader.readuntil("\r\n");
    } catch (const incomplete_read_error& e) {
      partial = e.partial();
      expected = e.expected();
    }
    EXPECT_EQ(partial, "thr");
    EXPECT_EQ(expected, std::nullopt);
    EXPECT_TRUE(reader.at_eof());
    co_await feeding;
  });
}

TEST(StreamReader, ReaduntilRefusesAnEmptySeparator) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    bool refused = false;
    try {
      co_await reader.readuntil("");
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
  });
}

/// What readuntil(separators...) does: its bytes, or "overrun <consumed>".
template <class... S>
coroutine<std::string> until(stream_reader& reader, S... separators) {
  std::string out;
  try {
    out = co_await reader.readuntil(separators...);
  } catch (const limit_overrun_error& e) {
    out = "overrun " + std::to_string(e.consumed());
  }
  co_return out;
}

TEST(StreamReader, ReaduntilLeavesWhatIsLongerThanTheLimit) {  // S194
  run_clean([]() -> coroutine<> {
    stream_reader reader(3);
    reader.feed_data("some dataAA");
    std::string found_too_far = co_await until(reader, "AA");
    EXPECT_EQ(found_too_far, "overrun 9");
    std::string not_found = co_await until(reader, "B");
    EXPECT_EQ(not_found, "overrun 11");
    std::string still_there = co_await reader.read(100);
    EXPECT_EQ(still_there, "some dataAA");
    reader.feed_data("abcA");
    std::string within = co_await until(reader, "A");
    EXPECT_EQ(within, "abcA") << "the limit counts up to the separator";
  });
}

TEST(StreamReader, ReaduntilOfSeveralTakesTheOneThatEndsFirst) {  // S195
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    reader.feed_data("ABCDEFG?!!?x");
    std::string earliest_end = co_await reader.readuntil("BCDEF", "CD");
    EXPECT_EQ(earliest_end, "ABCD");
    std::string next = co_await reader.readuntil("!!", "?");
    EXPECT_EQ(next, "EFG?");
    std::string last = co_await reader.readuntil("?", "!!");
    EXPECT_EQ(last, "!!");
  });
}

TEST(StreamReader, ReaduntilOfSeveralChecksTheLimitAgainstTheMatchThatWins) {  // S195
  run_clean([]() -> coroutine<> {
    stream_reader reader(5);
    reader.feed_data("123456?!");
    std::string over = co_await until(reader, "?!", "6?");
    EXPECT_EQ(over, "123456?") << "the separator begins within the limit";
    std::string rest = co_await reader.read(10);
    EXPECT_EQ(rest, "!");
    reader.feed_data("1234567?!");
    std::string too_far = co_await until(reader, "?!", "7?");
    EXPECT_EQ(too_far, "overrun 6");
  });
}

TEST(StreamReader, ReadlineGivesAPartialLineAtTheEnd) {  // S196
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<> feeding = create_task(feed(reader, {"chunk1 ", "chunk2 ", "chunk3 \n chunk4", "\nlast"}));
    std::string first = co_await reader.readline();
    EXPECT_EQ(first, "chunk1 chunk2 chunk3 \n");
    std::string second = co_await reader.readline();
    EXPECT_EQ(second, " chunk4\n");
    std::string third = co_await reader.readline();
    EXPECT_EQ(third, "last");
    std::string end = co_await reader.readline();
    EXPECT_EQ(end, "");
    co_await feeding;
  });
}

/// The line, or "too long".
coroutine<std::string> line_of(stream_reader& reader) {
  std::string line;
  try {
    line = co_await reader.readline();
  } catch (const std::invalid_argument&) {
    line = "too long";
  }
  co_return line;
}

TEST(StreamReader, ReadlineDropsALineThatIsTooLong) {  // S196
  run_clean([]() -> coroutine<> {
    stream_reader reader(3);
    reader.feed_data("li");
    reader.feed_data("ne1\nline2\nab\n");
    std::string first = co_await line_of(reader);
    EXPECT_EQ(first, "too long");
    std::string second = co_await line_of(reader);
    EXPECT_EQ(second, "too long");
    std::string third = co_await line_of(reader);
    EXPECT_EQ(third, "ab\n") << "only the offending lines are dropped";
    reader.feed_data("no newline at all");
    std::string fourth = co_await line_of(reader);
    EXPECT_EQ(fourth, "too long");
    reader.feed_data("x\n");
    std::string fifth = co_await line_of(reader);
    EXPECT_EQ(fifth, "x\n") << "without a newline the whole buffer is dropped";
  });
}

TEST(StreamReader, TakesLinesOf64KiBUnlessItIsToldOtherwise) {  // S207
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    const std::string longest(64 * 1024, 'l');
    reader.feed_data(longest + "\n" + longest + "x\n");
    std::string fits = co_await line_of(reader);
    EXPECT_EQ(fits.size(), longest.size() + 1);
    std::string does_not = co_await line_of(reader);
    EXPECT_EQ(does_not, "too long");
  });
}

TEST(StreamReader, NextGivesLinesUntilTheEnd) {  // S201
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    reader.feed_data("line1\nline2\n\nline4");
    reader.feed_eof();
    std::vector<std::string> lines;
    while (auto line = co_await reader.next()) lines.push_back(*line);
    EXPECT_EQ(lines, (std::vector<std::string>{"line1\n", "line2\n", "\n", "line4"}));
  });
}

TEST(StreamReader, ReadIntoFillsTheCallersMemory) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    reader.feed_data("hello");
    std::array<std::byte, 3> three{};
    std::size_t n = co_await reader.read_into(three);
    EXPECT_EQ(n, 3u);
    EXPECT_EQ(static_cast<char>(three[0]), 'h');
    char rest[10];
    n = co_await reader.read_into(rest);
    EXPECT_EQ(std::string_view(rest, n), "lo");
    task<> feeding = create_task(feed(reader, {"later"}));
    n = co_await reader.read_into(rest);
    EXPECT_EQ(std::string_view(rest, n), "later");
    n = co_await reader.read_into(rest);
    EXPECT_EQ(n, 0u);
    std::string none;
    n = co_await reader.read_into(none);
    EXPECT_EQ(n, 0u);
    co_await feeding;
  });
}

TEST(StreamReader, RefusesASecondReadWhileOneWaits) {  // S198
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<std::string> first = create_task(reader.read(10));
    co_await turns(2);
    std::vector<std::string> refusals;
    try {
      co_await reader.read(1);
    } catch (const std::runtime_error& e) {
      refusals.push_back(e.what());
    }
    try {
      co_await reader.readline();
    } catch (const std::runtime_error& e) {
      refusals.push_back(e.what());
    }
    EXPECT_EQ(refusals, (std::vector<std::string>{
                            "read() called while another coroutine is already waiting for incoming data",
                            "readline() called while another coroutine is already waiting for incoming data"}));
    reader.feed_data("x");
    std::string got = co_await first;
    EXPECT_EQ(got, "x");
  });
}

TEST(StreamReader, ACancelledReadLosesNoBytes) {  // S199
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<std::string> reading = create_task(reader.readexactly(10));
    co_await turns(2);
    reader.feed_data("abcd");
    co_await turns(1);
    reading.cancel();
    outcome<std::string> cancelled = co_await as_outcome(reading);
    EXPECT_FALSE(cancelled.has_value());
    EXPECT_TRUE(reading.cancelled());
    std::string kept = co_await reader.read(100);
    EXPECT_EQ(kept, "abcd");
  });
}

TEST(StreamReader, ACancelledReadOfEveryKindLosesNoBytes) {  // S199
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    std::string fed;
    for (int kind = 0; kind < 5; ++kind) {
      any_task reading;
      if (kind == 0) reading = create_task(reader.readline());
      if (kind == 1) reading = create_task(reader.readuntil("\r\n"));
      if (kind == 2) reading = create_task(reader.readuntil("!!", "??"));
      if (kind == 3) reading = create_task(reader.next());
      if (kind == 4) reading = create_task(reader.read());
      co_await turns(2);
      reader.feed_data("abcd");
      fed += "abcd";
      co_await turns(1);
      reading.cancel();
      outcome<> end = co_await as_outcome(reading);
      EXPECT_TRUE(reading.cancelled()) << kind;
    }
    reader.feed_eof();
    std::string kept = co_await reader.read();
    EXPECT_EQ(kept, fed);
  });
}

TEST(StreamReader, DeliversWhatIsBufferedBeforeAnException) {  // S200 ≠
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    EXPECT_EQ(reader.exception(), nullptr);
    reader.feed_data("line\nrest");
    reader.set_exception(std::make_exception_ptr(std::runtime_error("broken")));
    EXPECT_EQ(text_of(reader.exception()), "broken");
    std::string line = co_await reader.readline();
    EXPECT_EQ(line, "line\n");
    std::string error;
    try {
      co_await reader.readline();
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    EXPECT_EQ(error, "broken");
    std::string rest = co_await reader.read(100);
    EXPECT_EQ(rest, "rest") << "what did not make a line is still there";
    error.clear();
    try {
      co_await reader.read(100);
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    EXPECT_EQ(error, "broken");
  });
}

TEST(StreamReader, WakesAReadThatWaitsWithTheException) {  // S200
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    task<std::string> reading = create_task(reader.read(1));
    co_await turns(2);
    reader.set_exception(std::make_exception_ptr(std::runtime_error("broken")));
    outcome<std::string> got = co_await as_outcome(reading);
    EXPECT_EQ(text_of(got.exception()), "broken");
  });
}

TEST(StreamReader, TakesNothingAfterTheEnd) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    reader.feed_eof();
    EXPECT_THROW(reader.feed_data("x"), std::runtime_error);
    co_return;
  });
}

TEST(StreamReader, LetsOthersRunAfterSixteenReadsAtOnce) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    for (int i = 0; i < 100; ++i) reader.feed_data("x\n");
    bool other_ran = false;
    task<> other = create_task([](bool& ran) -> coroutine<> {
      ran = true;
      co_return;
    }(other_ran));
    int reads = 0;
    while (!other_ran) {
      co_await reader.readline();
      ++reads;
    }
    EXPECT_GT(reads, 1) << "the first ones do not suspend";
    EXPECT_LE(reads, 17);
    co_await other;
  });
}

TEST(StreamReader, MovedAwayIsRefusedWithASentence) {
  run_clean([]() -> coroutine<> {
    stream_reader reader;
    stream_reader other = std::move(reader);
    other.feed_data("x");
    std::string text;
    try {
      reader.feed_data("y");
    } catch (const std::runtime_error& e) {
      text = e.what();
    }
    EXPECT_EQ(text, "stream_reader.feed_data(): the stream_reader was moved away");
    std::string got = co_await other.read(10);
    EXPECT_EQ(got, "x");
  });
}

}  // namespace
