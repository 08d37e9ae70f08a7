// SPDX-License-Identifier: BSL-1.0
// Laws of bytes: all of them, in order, as soon as they come.
#include "testing/stream_laws.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <array>

namespace asyncio::testing::laws {

namespace {

constexpr std::size_t mib = 1024 * 1024;
constexpr std::array<std::size_t, 5> pieces{1, 100, 5000, 65'537, mib};

/// As many bytes as are worth it: neither end goes on for ever with tiny pieces.
std::size_t size_for(std::size_t written, std::size_t read) { return std::min({mib, written * 300, read * 5'000}); }

coroutine<> carry(bench& b, ends& e, std::size_t written, std::size_t read, std::size_t from) {
  const std::string bytes = pattern(size_for(written, read), from);
  std::string got;
  co_await together(send(e.from.writer, bytes, written), receive(e.to.reader, bytes, read, got));
  require_same(got, bytes);
  b.progress();
}

// A byte too many shows in front of what follows.
coroutine<> in_order_and_whole(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::size_t from = 0;
    for (const std::size_t written : pieces)
      for (const std::size_t read : pieces) co_await carry(b, e, written, read, from++);
    e.from.writer.write("!");
    const std::string last = co_await e.to.reader.read(10);
    require_same(last, "!");
    co_await close_both(e);
  }
}

/// Lines of many lengths; some end in "\r\n".
std::string some_lines() {
  std::string text;
  for (std::size_t i = 0; i < 40; ++i) text += pattern(i * i % 397, i) + (i % 3 == 0 ? "\r\n" : "\n");
  return text;
}

coroutine<> send_cut(stream_writer& writer, std::string text, std::size_t piece) {
  for (std::size_t at = 0; at < text.size(); at += piece) {
    writer.write(std::string_view(text).substr(at, piece));
    co_await turns(1);
  }
}

coroutine<> read_lines(stream_reader& reader, std::string text, std::string& got) {
  for (unsigned i = 0; got.size() < text.size(); ++i) {
    std::string bytes;
    switch (i % 4) {
      case 0: bytes = co_await reader.readline(); break;
      case 1:
        if (auto line = co_await reader.next()) bytes = std::move(*line);
        break;
      case 2: bytes = co_await reader.readuntil("\r\n"); break;
      default: bytes = co_await reader.readexactly(std::min<std::size_t>(text.size() - got.size(), 50));
    }
    if (bytes.empty()) throw violation("the end came after " + std::to_string(got.size()) + " bytes");
    const std::size_t ends_at = i % 4 == 2 ? bytes.find("\r\n") + 2 : bytes.find('\n') + 1;
    if (i % 4 != 3) require(ends_at == bytes.size(), "a line that was read does not end where it should");
    got += bytes;
  }
}

coroutine<> lines_and_counts(bench& b) {
  std::string text = some_lines() + "\r\n";
  for (int way = 0; way < b.ways(); ++way)
    for (const std::size_t piece : {std::size_t(1), std::size_t(7), std::size_t(1000)}) {
      ends e = co_await b.make(way);
      std::string got;
      // Whoever looks for "\r\n" behind the last one waits for this.
      co_await together(send_cut(e.from.writer, text + "\r\n\r\n", piece), read_lines(e.to.reader, text, got));
      require_prefix(text, got);
      co_await close_both(e);
    }
}

coroutine<> nothing_is_nothing(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string none;
    e.from.writer.write("");
    e.from.writer.write(std::string());
    co_await e.from.writer.write_all("");
    const std::string read = co_await e.to.reader.read(0);
    const std::string exactly = co_await e.to.reader.readexactly(0);
    const std::size_t into = co_await e.to.reader.read_into(none);
    require(read.empty() && exactly.empty() && into == 0, "a read of nothing gave bytes");
    require(!e.to.reader.at_eof(), "at_eof() is true after an empty write");
    co_await turns(5);
    e.from.writer.write("x");
    const std::string first = co_await e.to.reader.read(10);
    require_same(first, "x");
    co_await close_both(e);
  }
}

coroutine<> answer(connection& c, int times) {
  for (int i = 0; i < times; ++i) {
    const std::string asked = co_await c.reader.read(100);
    require(asked.size() == 1, "a read did not give the one byte that had come");
    c.writer.write(asked);
  }
}

coroutine<> ask(connection& c, int times) {
  for (int i = 0; i < times; ++i) {
    const std::string asked(1, static_cast<char>('a' + i % 26));
    c.writer.write(asked);
    const std::string answered = co_await c.reader.readexactly(1);
    require_same(answered, asked);
  }
}

coroutine<> by_itself(bench& b) {
  constexpr int times = 100;
  ends e = co_await b.make();
  if (b.options().one_way) {
    for (int i = 0; i < times; ++i) {
      e.from.writer.write("x");
      const std::string got = co_await e.to.reader.read(100);
      require_same(got, "x");
    }
  } else {
    co_await together(ask(e.from, times), answer(e.to, times));
  }
  co_await close_both(e);
}

}  // namespace

std::vector<law> laws_of_bytes() {
  return {
      {"what is written leaves by itself, and is read as soon as one byte has come", by_itself},
      {"bytes arrive in order and whole, however they are written and read", in_order_and_whole},
      {"lines, separators and counts are found however the bytes were cut", lines_and_counts},
      {"an empty write sends nothing, and a read of nothing does not wait", nothing_is_nothing},
  };
}

}  // namespace asyncio::testing::laws
