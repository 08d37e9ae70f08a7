// SPDX-License-Identifier: BSL-1.0
// Laws of flow: who waits for whom, and who need not.
#include "testing/stream_laws.hpp"

#include <asyncio/errors.hpp>
#include <asyncio/sleep.hpp>

#include <memory>

namespace asyncio::testing::laws {

namespace {

constexpr std::size_t high = 60'000, low = 20'000, piece = 16'000;
constexpr std::size_t most_under_way = 64 * 1024 * 1024;  // more than any kernel's buffers

/// One that had to wait comes back at the low mark, one that had not at the high one.
/// It may outlive the law that fails meanwhile: it has its share of the ends.
coroutine<> drain_to_low(std::shared_ptr<ends> e) {
  stream_writer& writer = e->from.writer;
  const std::size_t most = writer.get_write_buffer_size() > high ? low : high;
  co_await writer.drain();
  const std::size_t left = writer.get_write_buffer_size();
  if (left > most)
    throw violation("drain() came back with " + std::to_string(left) + " bytes buffered, where the high mark is " +
                    std::to_string(high) + " and the low one " + std::to_string(low));
}

/// Is `drain` waiting, while nothing moves any more?
coroutine<bool> stands_still(stream_writer& writer, const task<>& drain) {
  std::size_t before = 0;
  do {
    before = writer.get_write_buffer_size();
    if (!drain.done()) co_await sleep(20ms);
  } while (!drain.done() && before != writer.get_write_buffer_size());
  co_return !drain.done();
}

/// Writes until drain() waits; how much that was.
coroutine<std::size_t> fill(std::shared_ptr<ends> e, std::vector<task<>>& drains) {
  stream_writer& writer = e->from.writer;
  std::size_t written = 0;
  while (true) {
    if (written > most_under_way)
      throw violation(std::to_string(written) + " bytes were written, none was read, and drain() never waited");
    writer.write(pattern(piece, written));
    written += piece;
    if (writer.get_write_buffer_size() > high + 2 * piece)
      throw violation(std::to_string(writer.get_write_buffer_size()) + " bytes are buffered, and drain() returned");
    task<> drain = create_task(drain_to_low(e), {.name = "drain"});
    co_await turns(2);
    const bool still = co_await stands_still(writer, drain);
    if (!still) {
      co_await drain;
      continue;
    }
    drains.push_back(drain);
    if (writer.get_write_buffer_size() <= low)
      throw violation("drain() waits, with " + std::to_string(writer.get_write_buffer_size()) + " bytes buffered");
    co_return written;
  }
}

coroutine<> slow_reader(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends made = co_await b.make(way);
    const auto e = std::make_shared<ends>(std::move(made));
    std::vector<task<>> drains;
    std::string got;
    e->from.writer.set_write_buffer_limits(high, low);
    const std::size_t written = co_await fill(e, drains);
    b.progress();
    drains.push_back(create_task(drain_to_low(e), {.name = "drain"}));
    drains.push_back(create_task(drain_to_low(e), {.name = "drain"}));
    co_await turns(3);
    for (const task<>& drain : drains) require(!drain.done(), "a second drain() came back while the first waits");
    const std::string bytes = pattern(written);
    co_await together(receive(e->to.reader, bytes, 100'000, got), finish(drains));
    require_same(got, bytes);
    co_await close_both(*e);
  }
}

coroutine<> limits_are_checked(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    bool refused = false;
    try {
      e.from.writer.set_write_buffer_limits(10, 20);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    require(refused, "high < low was taken");
    e.from.writer.set_write_buffer_limits(0, 0);
    std::string got;
    const std::string bytes = pattern(300'000);
    co_await together(send(e.from.writer, bytes, 30'000), receive(e.to.reader, bytes, 10'000, got));
    require_same(got, bytes);
    require(e.from.writer.get_write_buffer_size() == 0, "drain() came back above a high-water mark of 0");
    co_await close_both(e);
  }
}

coroutine<> both_at_once(bench& b) {
  const std::string there = pattern(3'000'000), back = pattern(3'000'000, 17);
  ends e = co_await b.make();
  std::string there_got, back_got;
  co_await together(send(e.from.writer, there, 70'000), send(e.to.writer, back, 50'000),
                    receive(e.to.reader, there, 30'000, there_got), receive(e.from.reader, back, 90'000, back_got));
  require_same(there_got, there);
  require_same(back_got, back);
  co_await close_both(e);
}

bool both_ways(const check_stream_options& o) { return !o.one_way; }

coroutine<> keep(coroutine<std::string> reading, std::string& got) { got = co_await std::move(reading); }

coroutine<> one_read_at_a_time(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    const auto second = [&e]() -> coroutine<> {
      co_await turns(3);
      std::string none;
      const ending end = co_await ending_of(keep(e.to.reader.read(10), none));
      bool refused = false;
      try {
        if (end.error != nullptr) std::rethrow_exception(end.error);
      } catch (const std::runtime_error&) {
        refused = true;
      }
      if (!refused) throw violation("the second read: " + name_of(end.error));
      e.from.writer.write("hello");
    };
    co_await together(keep(e.to.reader.readexactly(5), got), second());
    require_same(got, "hello");
    co_await close_both(e);
  }
}

}  // namespace

std::vector<law> laws_of_flow() {
  return {
      {"a peer that does not read makes drain() wait above the high-water mark, until the low one", slow_reader},
      {"the limits of the write buffer are high >= low, and may be 0", limits_are_checked},
      {"both ends may write much at once while both read", both_at_once, both_ways},
      {"a second read at the same time is refused, and the first goes on", one_read_at_a_time},
  };
}

}  // namespace asyncio::testing::laws
