// SPDX-License-Identifier: BSL-1.0
// Streams that break one promise each: check_stream finds them, and names the law.
#include "streams/broken_channel.hpp"
#include "streams/stream_test.hpp"

namespace stream_test {
namespace {

using pair = std::pair<connection, connection>;
using asyncio::testing::check_stream;
using asyncio::testing::check_stream_options;
using asyncio::testing::law_error;

struct verdict {
  std::string law = "every law holds";
  std::string seen = {};
};

template <class Make>
verdict judge(Make make, check_stream_options options) {
  verdict v;
  try {
    check_stream(make, options);
  } catch (const law_error& e) {
    EXPECT_EQ(std::string(e.what()), e.law() + ": " + e.seen());
    v.law = e.law();
    v.seen = e.seen();
  }
  for (const int fd : left_open()) ::close(fd);
  left_open().clear();
  return v;
}

// Nothing here takes a second, but on a machine that is busy.
constexpr timedelta short_patience = 3s;

verdict judge(fault f, check_stream_options options = {.abort_is_told = true, .patience = short_patience}) {
  return judge([f] { return broken_pair(f); }, options);
}

constexpr const char* by_itself = "what is written leaves by itself, and is read as soon as one byte has come";
constexpr const char* whole = "bytes arrive in order and whole, however they are written and read";
constexpr const char* lines = "lines, separators and counts are found however the bytes were cut";
constexpr const char* nothing = "an empty write sends nothing, and a read of nothing does not wait";
constexpr const char* end_stays = "the end comes after the last byte, and stays";
constexpr const char* half_close = "write_eof() ends one direction, and the other goes on";
constexpr const char* no_write = "a write after write_eof() throws std::runtime_error";
constexpr const char* eof_refused = "a stream without half-close refuses write_eof(), and goes on";
constexpr const char* close_sends = "close() sends what was written before it";
constexpr const char* any_order = "the four handles may be dropped in any order";
constexpr const char* after_close = "after close() a write is ignored, and closing again changes nothing";
constexpr const char* all_closed = "wait_closed() and aclose() return to every task when the connection is closed";
constexpr const char* own_reads = "a read ends when its own side is closed";
constexpr const char* abort_drops =
    "abort() drops what is buffered; the peer reads what had come, then an end or an error";
constexpr const char* abort_told = "an abort is an error to the peer, never an end";
constexpr const char* to_nobody = "writing to a peer that is gone ends in std::system_error";
constexpr const char* asked = "addresses, descriptor and sizes may be asked for at any time";
constexpr const char* drain =
    "a peer that does not read makes drain() wait above the high-water mark, until the low one";
constexpr const char* limits = "the limits of the write buffer are high >= low, and may be 0";
constexpr const char* at_once = "both ends may write much at once while both read";
constexpr const char* cancelled_read = "a read that is cancelled loses no byte and doubles none";
constexpr const char* cancelled_write = "a write that is cancelled while it waits loses no byte and doubles none";
constexpr const char* cancelled_talk = "a conversation that is cancelled anywhere leaves nothing open";
constexpr const char* nothing_left = "nothing is left over when both ends are closed or dropped";

TEST(BrokenStreams, one_that_is_whole_passes) { EXPECT_EQ(judge(fault::none).law, "every law holds"); }

TEST(BrokenStreams, bytes_that_are_lost_doubled_or_moved) {
  const verdict dropped = judge(fault::drops_a_byte);
  EXPECT_EQ(dropped.law, whole);
  EXPECT_NE(dropped.seen.find("came as"), std::string::npos) << dropped.seen;
  EXPECT_EQ(judge(fault::doubles_a_piece).law, whole);
  EXPECT_EQ(judge(fault::swaps_two_pieces).law, whole);
  EXPECT_EQ(judge(fault::translates_line_ends).law, lines);
  EXPECT_EQ(judge(fault::sends_something_for_nothing).law, nothing);
}

TEST(BrokenStreams, bytes_that_do_not_leave_are_a_hang_that_says_who_waits) {
  const verdict v = judge(fault::holds_back_single_bytes, {.abort_is_told = true, .patience = timedelta(300ms)});
  EXPECT_EQ(v.law, by_itself);
  EXPECT_NE(v.seen.find("nothing went on for 300 ms"), std::string::npos) << v.seen;
  EXPECT_NE(v.seen.find("'the law'"), std::string::npos) << v.seen;
}

TEST(BrokenStreams, ends_that_are_no_ends) {
  EXPECT_EQ(judge(fault::never_tells_the_end).law, end_stays);
  EXPECT_EQ(judge(fault::ends_both_ways).law, half_close);
  EXPECT_EQ(judge(fault::takes_writes_after_eof).law, no_write);
  EXPECT_EQ(judge(fault::refuses_eof).law, end_stays);
  EXPECT_EQ(judge(fault::none, {.half_close = false, .abort_is_told = true, .patience = short_patience}).law,
            eof_refused);
}

TEST(BrokenStreams, closing) {
  EXPECT_EQ(judge(fault::drops_at_close).law, close_sends);
  EXPECT_EQ(judge(fault::leaves_open_what_has_unread_input).law, any_order);
  EXPECT_EQ(judge(fault::sends_after_close).law, after_close);
  EXPECT_EQ(judge(fault::denies_that_it_closes).law, after_close);
  EXPECT_EQ(judge(fault::never_tells_the_loss).law, "closing both ends ends");
  EXPECT_EQ(judge(fault::keeps_its_number).law, all_closed);
  EXPECT_EQ(judge(fault::forgets_who_reads_when_it_closes).law, own_reads);
  EXPECT_EQ(judge(fault::forgets_its_peer).law, asked);
}

TEST(BrokenStreams, aborting) {
  EXPECT_EQ(judge(fault::ignores_abort).law, abort_drops);
  EXPECT_EQ(judge(fault::sends_all_at_abort).law, abort_drops);
  EXPECT_EQ(judge(fault::swallows_writes_to_nobody).law, to_nobody);
  const auto over_tcp = []() -> coroutine<pair> {
    ends both = co_await make_ends();
    co_return pair(std::move(both.client), std::move(both.served));
  };
  EXPECT_EQ(judge(over_tcp, {.abort_is_told = true}).law, abort_told);
}

TEST(BrokenStreams, flow) {
  EXPECT_EQ(judge(fault::never_makes_wait).law, drain);
  EXPECT_EQ(judge(fault::lets_go_on_at_the_high_mark).law, drain);
  EXPECT_EQ(judge(fault::never_lets_go_on).law, whole);  // the first that has to wait
  EXPECT_EQ(judge(fault::takes_any_limits).law, limits);
  EXPECT_EQ(judge(fault::does_not_read_while_it_is_full).law, at_once);
}

TEST(BrokenStreams, cancellation) {
  EXPECT_EQ(judge(fault::loses_what_a_cancelled_read_asked_for).law, cancelled_read);
  EXPECT_EQ(judge(fault::loses_writes_while_it_is_full).law, cancelled_write);
  const verdict v = judge(fault::leaves_open_what_ends_in_the_midst);
  EXPECT_EQ(v.law, cancelled_talk) << v.seen;
}

TEST(BrokenStreams, descriptors_that_are_left_over) {
  const auto leaks = []() -> pair {
    left_open().push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return broken_pair(fault::none);
  };
  const verdict v = judge(leaks, {.abort_is_told = true});
  EXPECT_EQ(v.law, nothing_left);
  EXPECT_NE(v.seen.find("/dev/null"), std::string::npos) << v.seen;
  EXPECT_NE(v.seen.find(by_itself), std::string::npos) << v.seen;  // the law during which it happened
}

// A relay in between, written with the library: what users test.
coroutine<> pump(connection& from, connection& to, std::size_t lost_from) {
  try {
    std::size_t passed = 0;
    while (true) {
      std::string bytes = co_await from.reader.read(16 * 1024);
      if (bytes.empty()) break;
      passed += bytes.size();
      if (passed < lost_from) co_await to.writer.write_all(std::move(bytes));
    }
    to.writer.write_eof();
  } catch (const std::system_error&) {
    from.writer.abort();
    to.writer.abort();
  }
}

coroutine<> relay(connection a, connection b, std::size_t lost_from) {
  co_await gather(pump(a, b, lost_from), pump(b, a, lost_from));
}

auto relayed(std::size_t lost_from) {
  return [lost_from]() -> pair {
    auto [client, front] = asyncio::testing::stream_pair();
    auto [back, served] = asyncio::testing::stream_pair();
    create_task(relay(std::move(front), std::move(back), lost_from));
    return {std::move(client), std::move(served)};
  };
}

TEST(BrokenStreams, a_relay_that_is_whole_passes_and_one_that_stalls_does_not) {
  const std::size_t never = std::string::npos;
  const verdict good = judge(relayed(never), {});
  EXPECT_EQ(good.law, "every law holds") << good.seen;
  EXPECT_EQ(judge(relayed(200'000), {.patience = short_patience}).law, whole);
}

}  // namespace
}  // namespace stream_test
