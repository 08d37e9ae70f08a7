// SPDX-License-Identifier: BSL-1.0
// Laws of ends: write_eof, close, abort, and handles that are dropped.
#include "testing/stream_laws.hpp"

#include <asyncio/errors.hpp>
#include <asyncio/sleep.hpp>
#include <asyncio/testing/testing.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace asyncio::testing::laws {

namespace {

constexpr std::size_t much = 300'000;        // more than the buffers of most streams
constexpr std::size_t too_much = 8'000'000;  // more than the kernel's buffers

bool has_half_close(const check_stream_options& o) { return o.half_close; }
bool has_no_half_close(const check_stream_options& o) { return !o.half_close; }
bool both_ways(const check_stream_options& o) { return o.half_close && !o.one_way; }
bool tells_aborts(const check_stream_options& o) { return o.abort_is_told; }

void end_output(bench& b, stream_writer& writer) {
  if (b.options().half_close)
    writer.write_eof();
  else
    writer.close();
}

coroutine<> expect_end(stream_reader& reader) {
  std::array<char, 10> space{};
  for (int i = 0; i < 3; ++i) {
    const std::string bytes = co_await reader.read(10);
    const std::size_t n = co_await reader.read_into(space);
    const std::string line = co_await reader.readline();
    const std::string rest = co_await reader.read();
    auto next = co_await reader.next();
    require(bytes.empty() && n == 0 && line.empty() && rest.empty() && !next, "bytes came after the end");
    require(reader.at_eof(), "at_eof() is false at the end");
    bool incomplete = false;
    try {
      const std::string one = co_await reader.readexactly(1);
    } catch (const incomplete_read_error& e) {
      incomplete = e.partial().empty();
    }
    require(incomplete, "readexactly() at the end throws no incomplete_read_error");
  }
}

// ---- the end of a direction

coroutine<> end_stays(bench& b) {
  const std::string bytes = pattern(much);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    e.from.writer.write(bytes);
    end_output(b, e.from.writer);
    co_await receive(e.to.reader, bytes, 10'000, got);
    require_same(got, bytes);
    co_await expect_end(e.to.reader);
    co_await close_both(e);
  }
}

coroutine<> other_direction_goes_on(bench& b) {
  const std::string bytes = pattern(much);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    require(e.from.writer.can_write_eof(), "can_write_eof() is false");
    e.from.writer.write("question");
    e.from.writer.write_eof();
    e.from.writer.write_eof();  // twice is once
    const std::string asked = co_await e.to.reader.read();
    require_same(asked, "question");
    require(!e.from.writer.is_closing() && !e.to.writer.is_closing(), "write_eof() closes the whole connection");
    // Back, and by the side that has heard the end.
    std::string got;
    co_await together(send(e.to.writer, bytes, 50'000), receive(e.from.reader, bytes, 20'000, got));
    require_same(got, bytes);
    e.to.writer.write_eof();
    co_await expect_end(e.from.reader);
    co_await close_both(e);
  }
}

coroutine<> no_write_after_eof(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    e.from.writer.write_eof();
    std::exception_ptr error;
    try {
      e.from.writer.write("x");
    } catch (const std::runtime_error&) {
      error = std::current_exception();
    }
    require(error != nullptr, "nothing was thrown");
    const std::string rest = co_await e.to.reader.read();
    require(rest.empty(), "what was refused was sent");
    co_await close_both(e);
  }
}

coroutine<> eof_is_refused(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    require(!e.from.writer.can_write_eof(), "can_write_eof() is true");
    bool refused = false;
    try {
      e.from.writer.write_eof();
    } catch (const std::runtime_error&) {
      refused = true;
    }
    require(refused, "write_eof() throws nothing");
    e.from.writer.write("still here");
    const std::string got = co_await e.to.reader.readexactly(10);
    require_same(got, "still here");
    co_await close_both(e);
  }
}

// ---- close

coroutine<> close_sends(bench& b) {
  const std::string bytes = pattern(much);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    e.from.writer.write(bytes);
    e.from.writer.close();
    co_await together(answer_close(e.to, got), e.from.writer.wait_closed());
    require_same(got, bytes);
  }
}

void drop(connection c) { (void)c; }

coroutine<> dropping_sends(bench& b) {
  const std::string bytes = pattern(much);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    e.from.writer.write(bytes);
    drop(std::move(e.from));
    co_await answer_close(e.to, got);
    require_same(got, bytes);
  }
}

coroutine<> write_after_close(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    require(!e.from.writer.is_closing(), "is_closing() is true of an open connection");
    e.from.writer.write("before");
    e.from.writer.close();
    require(e.from.writer.is_closing(), "is_closing() is false after close()");
    e.from.writer.write("after");
    e.from.writer.write(std::string("after"));
    e.from.writer.close();
    co_await together(answer_close(e.to, got), e.from.writer.wait_closed());
    require_same(got, "before");
    e.from.writer.write("long after");
    e.from.writer.close();
    e.from.writer.abort();
    require(e.from.writer.get_write_buffer_size() == 0, "a closed connection has bytes to send");
    const ending drained = co_await ending_of(e.from.writer.drain());
    require(drained.is_system_error(), "drain() of a closed connection does not throw std::system_error");
  }
}

coroutine<> every_wait_for_the_close(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    e.from.writer.write("bye");
    co_await together(e.from.writer.wait_closed(), e.from.writer.wait_closed(), e.from.writer.aclose(),
                      answer_close(e.to, got));
    require_same(got, "bye");
    co_await e.from.writer.wait_closed();
    co_await e.from.writer.aclose();
    co_await e.to.writer.wait_closed();
    require(e.to.writer.fileno() == -1 && e.from.writer.fileno() == -1, "fileno() of a closed connection is not -1");
  }
}

coroutine<> reads_end_with_their_side(bench& b) {
  if (b.options().one_way) {
    ends e = co_await b.make();
    const auto close_soon = [&e]() -> coroutine<> {
      co_await turns(3);
      e.to.writer.close();
    };
    const auto read_on = [&e]() -> coroutine<> { const ending end = co_await read_to_end(e.to.reader); };
    co_await together(read_on(), close_soon());
    co_await close_both(e);
    co_return;
  }
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    const auto close_soon = [&e]() -> coroutine<> {
      co_await turns(3);
      co_await e.from.writer.aclose();
    };
    const auto read_on = [&e]() -> coroutine<> { const ending end = co_await read_to_end(e.from.reader); };
    co_await together(read_on(), close_soon(), answer_close(e.to, got));
    const ending again = co_await read_to_end(e.from.reader);
    require(again.bytes.empty(), "a closed connection gave bytes");
  }
}

// ---- abort, and peers that are gone

coroutine<> abort_ends(bench& b) {
  const std::string bytes = pattern(too_much);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    e.from.writer.write(bytes);
    co_await turns(3);
    const std::size_t buffered = e.from.writer.get_write_buffer_size();
    e.from.writer.abort();
    require(e.from.writer.is_closing(), "is_closing() is false after abort()");
    e.from.writer.write("after");
    const ending end = co_await read_to_end(e.to.reader);
    require_prefix(end.bytes, bytes);
    require(buffered < much || end.bytes.size() < bytes.size(), "what was buffered arrived all the same");
    if (end.error != nullptr && !end.is_system_error()) throw violation("reading ended with " + name_of(end.error));
    const ending closed = co_await ending_of(e.from.writer.wait_closed());
    if (closed.error != nullptr) throw violation("wait_closed() after abort(): " + name_of(closed.error));
    require(e.from.writer.get_write_buffer_size() == 0, "bytes are still buffered after abort()");
    co_await close_both(e);
  }
}

coroutine<> abort_is_an_error(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    e.from.writer.write("hello");
    co_await receive(e.to.reader, "hello", 5, got);
    e.from.writer.abort();
    const ending end = co_await read_to_end(e.to.reader);
    if (!end.is_system_error()) throw violation("reading ended: " + name_of(end.error));
    co_await close_both(e);
  }
}

coroutine<> waits_end_with_abort(bench& b) {
  const std::string bytes = pattern(too_much);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    e.from.writer.write(bytes);
    const auto abort_soon = [&e]() -> coroutine<> {
      co_await turns(5);
      e.from.writer.abort();
    };
    const auto read_on = [&e]() -> coroutine<> { const ending end = co_await read_to_end(e.from.reader); };
    const auto wait_on = [&e]() -> coroutine<> {
      const ending drained = co_await ending_of(e.from.writer.drain());
      const ending closed = co_await ending_of(e.from.writer.wait_closed());
    };
    if (b.options().one_way)
      co_await together(wait_on(), wait_on(), abort_soon());
    else
      co_await together(read_on(), wait_on(), wait_on(), abort_soon());
    co_await close_both(e);
  }
}

coroutine<> writing_to_nobody(bench& b) {
  const std::string bytes = pattern(20'000);
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    e.to.writer.abort();
    ending end(nullptr);
    while (end.error == nullptr) {
      e.from.writer.write(bytes);
      end = co_await ending_of(e.from.writer.drain());
      co_await sleep(1ms);
    }
    if (!end.is_system_error()) throw violation("drain() threw " + name_of(end.error));
    co_await ending_of(e.from.writer.wait_closed());
    require(e.from.writer.is_closing(), "is_closing() is false of a lost connection");
    e.from.writer.write("ignored");
    const ending rest = co_await read_to_end(e.from.reader);
    require(rest.bytes.empty(), "a peer that said nothing was heard");
    co_await close_both(e);
  }
}

// ---- dropping

struct handles {
  explicit handles(ends e)
      : from_reader(std::move(e.from.reader)),
        from_writer(std::move(e.from.writer)),
        to_reader(std::move(e.to.reader)),
        to_writer(std::move(e.to.writer)) {}
  std::optional<stream_reader> from_reader;
  std::optional<stream_writer> from_writer;
  std::optional<stream_reader> to_reader;
  std::optional<stream_writer> to_writer;
  void drop(int which) {
    if (which == 0) from_reader.reset();
    if (which == 1) from_writer.reset();
    if (which == 2) to_reader.reset();
    if (which == 3) to_writer.reset();
  }
};

coroutine<> any_order(bench& b) {
  const std::vector<int> before = ledger::now().descriptors;
  std::array<int, 4> order{0, 1, 2, 3};
  do {
    for (int turns_between = 0; turns_between < 2; ++turns_between) {
      ends e = co_await b.make();
      handles h(std::move(e));
      h.from_writer->write(pattern(1000));
      if (!b.options().one_way) h.to_writer->write(pattern(1000));
      for (const int which : order) {
        h.drop(which);
        co_await turns(turns_between);
      }
      co_await b.wait_until_closed(before);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

void ask_everything(const stream_writer& writer) {
  (void)writer.peername().to_string();
  (void)writer.sockname().to_string();
  (void)writer.fileno();
  (void)writer.get_write_buffer_size();
  (void)writer.is_closing();
  (void)writer.can_write_eof();
  (void)writer.ssl_info();
}

coroutine<> may_be_asked(bench& b) {
  for (int way = 0; way < b.ways(); ++way) {
    ends e = co_await b.make(way);
    std::string got;
    ask_everything(e.from.writer);
    e.from.writer.write("x");
    ask_everything(e.from.writer);
    const socket_address peer = e.from.writer.peername();
    e.from.writer.close();
    ask_everything(e.from.writer);
    co_await together(answer_close(e.to, got), e.from.writer.wait_closed());
    ask_everything(e.from.writer);
    ask_everything(e.to.writer);
    require(e.from.writer.peername() == peer, "peername() is another after the end");
  }
}

}  // namespace

std::vector<law> laws_of_ends() {
  return {
      {"the end comes after the last byte, and stays", end_stays},
      {"write_eof() ends one direction, and the other goes on", other_direction_goes_on, both_ways},
      {"a write after write_eof() throws std::runtime_error", no_write_after_eof, has_half_close},
      {"a stream without half-close refuses write_eof(), and goes on", eof_is_refused, has_no_half_close},
      {"close() sends what was written before it", close_sends},
      {"a writer that is dropped open sends what was written", dropping_sends},
      {"the four handles may be dropped in any order", any_order},
      {"after close() a write is ignored, and closing again changes nothing", write_after_close},
      {"wait_closed() and aclose() return to every task when the connection is closed", every_wait_for_the_close},
      {"a read ends when its own side is closed", reads_end_with_their_side},
      {"abort() drops what is buffered; the peer reads what had come, then an end or an error", abort_ends},
      {"an abort is an error to the peer, never an end", abort_is_an_error, tells_aborts},
      {"abort() ends every wait of its own side", waits_end_with_abort},
      {"writing to a peer that is gone ends in std::system_error", writing_to_nobody},
      {"addresses, descriptor and sizes may be asked for at any time", may_be_asked},
  };
}

}  // namespace asyncio::testing::laws
