// SPDX-License-Identifier: BSL-1.0
// Laws of cancellation: what was cancelled did not happen, at whatever point it was.
//
// Each body is run again and again on a fresh pair; in the n-th run its victim is cancelled at the n-th point after the
// pair was made, until a run ends before that. A point is the moment between any two things that the loop runs.
#include "testing/stream_laws.hpp"

#include <asyncio/errors.hpp>
#include <asyncio/sleep.hpp>
#include <asyncio/testing/testing.hpp>

namespace asyncio::testing::laws {

namespace {

/// Every point up to `dense`; from there on, where a stream takes very many for the same bytes, some.
std::size_t next_point(std::size_t point, std::size_t dense) { return point + 1 + (point < dense ? 0 : point / 16); }
constexpr std::size_t nearly_all = 400, while_a_buffer_drains = 64;

// ---- a read

/// One read, by one of seven means. False: that was the end.
coroutine<bool> read_somehow(stream_reader& reader, unsigned how, std::string& got) {
  std::string bytes;
  try {
    switch (how % 8) {
      case 0: bytes = co_await reader.read(3); break;
      case 1: bytes = co_await reader.readline(); break;
      case 2:
      case 6: {
        std::string space(20, ' ');
        const std::size_t n = co_await reader.read_into(space);
        bytes = space.substr(0, n);
        break;
      }
      case 3: bytes = co_await reader.readexactly(11); break;
      case 4: bytes = co_await reader.readuntil("\n"); break;
      case 5:
        if (auto line = co_await reader.next()) bytes = std::move(*line);
        break;
      default: bytes = co_await reader.read(5000);
    }
  } catch (const incomplete_read_error& e) {
    got += e.partial();
    co_return false;
  }
  got += bytes;
  co_return !bytes.empty();
}

/// Reads to the end, and does a read anew that was cancelled.
coroutine<> read_stubbornly(bench& b, stream_reader& reader, std::string& got) {
  for (unsigned how = 0;; ++how) {
    bool more = true;
    std::exception_ptr error;
    try {
      more = co_await read_somehow(reader, how, got);
    } catch (const cancelled_error&) {
      error = std::current_exception();
    }
    if (error != nullptr && !b.clock().take_cancellation()) std::rethrow_exception(error);
    if (!more) co_return;
  }
}

/// Slower than its reader: nearly every read has to wait, many of them in the midst. A loop that is busy with turns looks
/// at the kernel seldom, so that bytes over sockets would come in one lump: it must be idle in between.
coroutine<> send_lines(stream_writer& writer, std::string text) {
  for (std::size_t at = 0, size = 1; at < text.size(); at += size, size = size * 5 % 23 + 1) {
    writer.write(std::string_view(text).substr(at, size));
    if (size % 4 == 0)
      co_await turns(2);
    else
      co_await sleep(50us);
  }
  writer.close();
}

coroutine<> result_of(task<> t) { co_await t; }

coroutine<> cancelled_read(bench& b) {
  std::string text;
  for (std::size_t i = 0; i < 14; ++i) text += pattern(i * 13 % 47, i) + "\n";
  for (int way = 0; way < b.ways(); ++way) {
    bool cancelled = true;
    for (std::size_t point = 1; cancelled; point = next_point(point, nearly_all)) {
      ends e = co_await b.make(way);
      std::string got;
      task<> reading = create_task(read_stubbornly(b, e.to.reader, got), {.name = "the one that is cancelled"});
      co_await turns(1);  // one that has not begun would not run at all
      b.clock().cancel_at(point, reading);
      co_await together(send_lines(e.from.writer, text), result_of(reading));
      cancelled = b.clock().has_cancelled();
      b.clock().disarm();
      require_same(got, text);
      co_await close_both(e);
    }
  }
}

// ---- a write

constexpr std::size_t piece = 40'000, pieces = 6;
constexpr std::size_t most_room = 64 * 1024 * 1024;

/// How much a stream takes that nobody reads, until bytes stay in the writer's buffer.
coroutine<std::size_t> room_of(bench& b, int way) {
  ends e = co_await b.make(way);
  std::size_t written = 0;
  while (e.from.writer.get_write_buffer_size() == 0 && written < most_room) {
    e.from.writer.write(pattern(2 * piece));
    written += 2 * piece;
    co_await sleep(1ms);
  }
  e.from.writer.abort();
  co_await close_both(e);
  co_return written;
}

/// Writes and closes; what was cancelled while it drained is not written again.
coroutine<> write_stubbornly(bench& b, stream_writer& writer, std::size_t before) {
  for (std::size_t i = 0; i <= pieces; ++i) {
    std::exception_ptr error;
    try {
      if (i == pieces) {
        co_await writer.aclose();
      } else if (i % 2 == 0) {
        co_await writer.write_all(pattern(piece, before + i * piece));
      } else {
        writer.write(pattern(piece, before + i * piece));
        co_await writer.drain();
      }
    } catch (const cancelled_error&) {
      error = std::current_exception();
    }
    if (error != nullptr && !b.clock().take_cancellation()) std::rethrow_exception(error);
  }
  co_await writer.wait_closed();
}

// The stream is full when the victim begins, so that it has to wait.
coroutine<> cancelled_write(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    const std::size_t room = co_await room_of(b, way);
    const std::string all = pattern(room + pieces * piece);
    bool cancelled = true;
    for (std::size_t point = 1; cancelled; point = next_point(point, while_a_buffer_drains)) {
      ends e = co_await b.make(way);
      std::string got;
      e.from.writer.set_write_buffer_limits(0, 0);
      e.from.writer.write(std::string_view(all).substr(0, room));
      task<> writing = create_task(write_stubbornly(b, e.from.writer, room), {.name = "the one that is cancelled"});
      co_await turns(1);
      b.clock().cancel_at(point, writing);
      co_await together(answer_close(e.to, got), result_of(writing));
      cancelled = b.clock().has_cancelled();
      b.clock().disarm();
      require_same(got, all);
    }
  }
}

// ---- everything

coroutine<> talk(connection& c, bool first) {
  for (int i = 0; i < 5; ++i) {
    if (first) co_await c.writer.write_all("how are you?\n");
    const std::string line = co_await c.reader.readline();
    require_same(line, first ? "fine\n" : "how are you?\n");
    if (!first) co_await c.writer.write_all("fine\n");
  }
  co_await c.writer.aclose();
}

coroutine<> say_and_hear(ends& e) {
  std::string got;
  const std::string bytes = pattern(50'000);
  co_await together(send(e.from.writer, bytes, 9000), receive(e.to.reader, bytes, 7000, got));
}

/// It owns both ends: cancelled, it drops them.
coroutine<> converse(ends e, bool one_way) {
  co_await say_and_hear(e);
  if (!one_way) co_await together(talk(e.from, true), talk(e.to, false));
  e.from.writer.close();
  e.to.writer.close();
  co_await e.from.writer.wait_closed();
}

coroutine<> outlive(task<> t) {
  try {
    co_await t;
  } catch (const cancelled_error&) {
    if (current_task().cancelling() > 0) throw;
  }
}

coroutine<> cancelled_conversation(bench& b) {
  const std::vector<int> before = ledger::now().descriptors;
  bool cancelled = true;
  for (std::size_t point = 1; cancelled; point = next_point(point, nearly_all)) {
    ends e = co_await b.make();
    task<> conversation =
        create_task(converse(std::move(e), b.options().one_way), {.name = "the one that is cancelled"});
    co_await turns(1);
    b.clock().cancel_at(point, conversation);
    co_await outlive(conversation);
    cancelled = b.clock().has_cancelled();
    b.clock().disarm();
    conversation = task<>();
    co_await b.wait_until_closed(before);
  }
}

}  // namespace

std::vector<law> laws_of_cancellation() {
  return {
      {"a read that is cancelled loses no byte and doubles none", cancelled_read},
      {"a write that is cancelled while it waits loses no byte and doubles none", cancelled_write},
      {"a conversation that is cancelled anywhere leaves nothing open", cancelled_conversation},
  };
}

}  // namespace asyncio::testing::laws
