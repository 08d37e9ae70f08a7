// SPDX-License-Identifier: BSL-1.0
#include "io/transport.hpp"

#include "io/io_test.hpp"

#include <stdexcept>

namespace {

using namespace io_test;

class Transport : public testing::Test {
 protected:
  Transport() : channel(io::stream_transport::make(*loop, io::unique_fd(ends.ours), {})) { channel->set_user(&user); }
  ~Transport() override {
    channel->set_user(nullptr);
    channel->abort();
    channel = {};
    run_turns(*loop, 4);
    loop.reset();
  }
  bool until(const std::function<bool()>& reached) { return run_until(*loop, reached); }
  void turns(int n) { run_turns(*loop, n); }
  /// What there is: read at once, or on io_uring told by the loop.
  std::string receive() {
    user.input.clear();
    const io::read_state state = read();
    EXPECT_EQ(state, test::on_io_uring() ? io::read_state::later : io::read_state::bytes);
    if (state == io::read_state::bytes) return std::string(now);
    EXPECT_TRUE(until([&] { return !user.input.empty(); }));
    return user.input;
  }
  io::read_state read(std::size_t most = 4096) {
    now = {};
    return channel->read(most, now);
  }
  /// Writes until the kernel takes no more, and more than the high-water mark is left.
  std::size_t stuff() {
    std::size_t total = 0;
    const std::string block(256 * 1024, 's');
    while (channel->buffered() <= 64 * 1024) {
      channel->write(std::string_view(block));
      channel->flush();
      total += block.size();
    }
    return total;
  }

  tcp_ends ends;
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  recording_user user;
  io::ref<io::channel> channel;
  std::string_view now;
};

TEST_F(Transport, ReadsAtOnceWhatIsThere) {
  ends.put("hello");
  EXPECT_EQ(receive(), "hello");
}

TEST_F(Transport, TellsInputThatCameLaterFromTheLoop) {
  ASSERT_EQ(read(), io::read_state::later);
  ASSERT_EQ(read(), io::read_state::later) << "asking twice changes nothing";
  ends.put("hello");
  EXPECT_EQ(user.input, "");
  ASSERT_TRUE(until([&] { return !user.input.empty(); }));
  EXPECT_EQ(user.input, "hello");
  ends.put("more");
  turns(3);
  EXPECT_EQ(user.input, "hello") << "input flows only when it is asked for";
}

TEST_F(Transport, TellsTheEndAndStaysOpenForWriting) {  // F9
  ASSERT_EQ(read(), io::read_state::later);
  ::shutdown(ends.theirs, SHUT_WR);
  ASSERT_TRUE(until([&] { return user.ends == 1; }));
  EXPECT_EQ(read(), io::read_state::end);
  EXPECT_FALSE(channel->closing());
  channel->write(std::string_view("still here"));
  channel->flush();
  ASSERT_TRUE(until([&] { return channel->buffered() == 0; }));
  EXPECT_EQ(ends.get(), "still here");
}

TEST_F(Transport, ReadsStraightIntoTheCallersMemory) {
  std::byte room[3];
  EXPECT_EQ(channel->read_into(room, sizeof room), -EAGAIN);
  ends.put("hello");
  EXPECT_EQ(channel->read_into(room, sizeof room), 3);
  EXPECT_EQ(std::string_view(reinterpret_cast<char*>(room), 3), "hel");
  EXPECT_EQ(channel->read_into(room, sizeof room), 2);
  ends.close_theirs();
  ASSERT_EQ(read(), io::read_state::later);
  ASSERT_TRUE(until([&] { return user.ends == 1; }));
  EXPECT_EQ(channel->read_into(room, sizeof room), 0);
}

TEST_F(Transport, TellsAResetOnceAndNothingAfterIt) {  // F10
  ASSERT_EQ(read(), io::read_state::later);
  ends.reset_theirs();
  ASSERT_TRUE(until([&] { return user.losses > 0; }));
  turns(5);
  EXPECT_EQ(user.losses, 1);
  EXPECT_EQ(user.ends, 0);
  EXPECT_EQ(code_of(user.error), ECONNRESET);
  EXPECT_EQ(channel->fd(), -1);
  EXPECT_TRUE(channel->closing());
  channel->write(std::string_view("dropped"));
  channel->close();
  channel->abort();
  turns(3);
  EXPECT_EQ(user.losses, 1);
}

TEST_F(Transport, SendsWhatAFewWritesGatheredAtTheEndOfTheTurn) {
  channel->write(std::string_view("one "));
  channel->write(std::string_view("two "));
  EXPECT_EQ(channel->buffered(), 8u);
  EXPECT_EQ(ends.get(), "");
  turns(test::on_io_uring() ? 2 : 1);  // handed in with the first one, and told by the second
  EXPECT_EQ(channel->buffered(), 0u);
  EXPECT_EQ(ends.get(), "one two ");
}

TEST_F(Transport, SendsAtOnceWhatIsMuch) {
  const std::string much(64 * 1024, 'm');
  channel->write(std::string_view(much));
  EXPECT_EQ(channel->buffered(), 0u);
  std::string got = ends.get();
  EXPECT_EQ(got, much);
  channel->write(std::string_view(much).substr(1));
  EXPECT_EQ(channel->buffered(), much.size() - 1);
  channel->write(std::string_view("x"));
  turns(test::on_io_uring() ? 1 : 0);
  EXPECT_EQ(channel->buffered(), 0u);
}

TEST_F(Transport, KeepsTheOrderOfSmallLargeAndGivenAwayWrites) {
  std::string all;
  for (int i = 0; i < 40; ++i) {
    std::string piece(static_cast<std::size_t>(i * 1500 + 1), static_cast<char>('a' + i % 26));
    all += piece;
    if (i % 3 == 0)
      channel->write(std::move(piece));
    else
      channel->write(std::string_view(piece));
  }
  std::string got;
  ASSERT_TRUE(until([&] {
    got += ends.get();
    return got.size() >= all.size();
  }));
  EXPECT_EQ(got, all);
}

TEST_F(Transport, IsCongestedAboveTheHighWaterUntilTheLowOne) {  // S163
  EXPECT_FALSE(channel->congested());
  std::size_t sent = stuff();
  EXPECT_TRUE(channel->congested());
  std::size_t got = 0;
  while (channel->buffered() > 16 * 1024) {
    EXPECT_TRUE(channel->congested());
    EXPECT_EQ(user.drained, 0);
    got += ends.get().size();
    run_turns(*loop, 1);
  }
  EXPECT_FALSE(channel->congested());
  EXPECT_EQ(user.drained, 1);
  ASSERT_TRUE(until([&] { return (got += ends.get().size()) == sent; }));
  EXPECT_EQ(user.drained, 1);
}

TEST_F(Transport, TakesOtherWaterMarks) {
  EXPECT_THROW(channel->set_limits(10, 11), std::invalid_argument);
  channel->set_limits(0, 0);
  channel->write(std::string_view("x"));
  EXPECT_TRUE(channel->congested()) << "strictly above";
  channel->flush();
  turns(test::on_io_uring() ? 1 : 0);
  EXPECT_FALSE(channel->congested());
  EXPECT_EQ(user.drained, 1);
  channel->set_limits(10, 5);
  channel->write(std::string_view("0123456789"));
  EXPECT_FALSE(channel->congested()) << "at the mark is not above it";
}

TEST_F(Transport, EndsItsDirectionAfterWhatIsBuffered) {  // S167
  channel->write(std::string_view("last words"));
  channel->write_eof();
  channel->write_eof();
  EXPECT_THROW(channel->write(std::string_view("x")), std::runtime_error);
  std::string got;
  ASSERT_TRUE(until([&] {
    got += ends.get();
    return ends.at_end;
  }));
  EXPECT_EQ(got, "last words");
  ends.put("answer");
  EXPECT_EQ(receive(), "answer");
}

TEST_F(Transport, ClosesAfterWhatIsBufferedHasGoneOut) {  // S165
  const std::size_t sent = stuff();
  channel->close();
  channel->write(std::string_view("dropped"));
  turns(3);
  EXPECT_EQ(user.losses, 0);
  std::size_t got = 0;
  ASSERT_TRUE(until([&] {
    got += ends.get().size();
    return ends.at_end;
  }));
  EXPECT_EQ(got, sent);
  EXPECT_EQ(user.losses, 1);
  EXPECT_EQ(user.error, nullptr);
}

TEST_F(Transport, AbortsAtOnceAndWithoutWhatIsBuffered) {  // S165
  const std::size_t sent = stuff();
  ASSERT_EQ(read(), io::read_state::later);
  channel->abort();
  EXPECT_EQ(user.losses, 0) << "never from inside the call";
  ASSERT_TRUE(until([&] { return user.losses == 1; }));
  EXPECT_EQ(user.error, nullptr);
  EXPECT_LT(ends.get().size(), sent);
}

TEST_F(Transport, ClosesItsDescriptorOnlyWhenItsOpsAreDone) {
  ASSERT_EQ(read(), io::read_state::later);
  const int fd = channel->fd();
  channel->close();
  EXPECT_EQ(channel->fd(), fd) << "a read is in flight on it";
  EXPECT_EQ(read(), io::read_state::later);
  ASSERT_TRUE(until([&] { return user.losses == 1; }));
  EXPECT_EQ(channel->fd(), -1);
  EXPECT_EQ(loop->in_flight(), 0u);
}

TEST_F(Transport, SendsWhatWasWrittenAlsoWhenItsOwnerIsGone) {
  const std::size_t sent = stuff();
  channel->set_user(nullptr);
  channel->close();
  channel = io::stream_transport::make(*loop, io::open_stream_socket(asyncio::address_family::inet), {});
  std::size_t got = 0;
  ASSERT_TRUE(until([&] {
    got += ends.get().size();
    return ends.at_end;
  }));
  EXPECT_EQ(got, sent);
}

TEST_F(Transport, KnowsItsPeerAlsoAfterTheEnd) {
  const socket_address peer("127.0.0.1", 1234);
  tcp_ends other;
  auto known = io::stream_transport::make(*loop, io::unique_fd(other.ours), peer);
  EXPECT_EQ(known->peer(), peer);
  known->abort();
  turns(3);
  EXPECT_EQ(known->fd(), -1);
  EXPECT_EQ(known->peer(), peer);
  EXPECT_EQ(channel->peer().host(), "127.0.0.1") << "asked for when it was not given";
}

TEST_F(Transport, IsHarmlessAfterItsLoopIsClosed) {
  ASSERT_EQ(read(), io::read_state::later);
  channel->write(std::string_view("unsent"));
  loop.reset();
  channel->write(std::string_view("x"));
  channel->write(std::string("x"));
  channel->flush();
  std::byte room[1];
  EXPECT_EQ(channel->read_into(room, 1), -EAGAIN);
  EXPECT_EQ(read(), io::read_state::later);
  channel->write_eof();
  channel->close();
  channel->abort();
  EXPECT_EQ(channel->fd(), -1);
  loop = make_loop();
}

TEST_F(Transport, ReadsOfAUnixSocketGoOnAfterAShortOne) {
  test::socket_pair pair;
  channel->abort();
  turns(3);
  user = {};
  channel =
      io::stream_transport::make(*loop, io::unique_fd(std::exchange(pair.a, -1)), socket_address::unix_path("/x"));
  channel->set_user(&user);
  for (const std::string_view text : {"one", "two"}) {
    EXPECT_EQ(::send(pair.b, text.data(), text.size(), 0), 3);
    EXPECT_EQ(receive(), text);
  }
}

}  // namespace
