// SPDX-License-Identifier: BSL-1.0
// What is on its way out: how it is gathered, what leaves at once, and whose memory is used again.
#include "io/output_queue.hpp"

#include "io/io_test.hpp"
#include "io/spare_text.hpp"

#include <array>

namespace {

using namespace io_test;
using io::output_queue;
using io::spare_text;

#if defined(ASYNCIO_NO_FRAME_POOL)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

/// What a static object does at the end of the program, when the variables of its thread have ended.
struct late_user {
  ~late_user() {
    std::string large(100 * 1024, 'l');
    spare_text::give(large);
    const std::string copy = spare_text::copy(large);
    spare_text::drop();
  }
} at_the_end;

std::string text_of_queue(output_queue& queue) {
  std::array<iovec, 16> pieces{};
  const int n = queue.gather(pieces.data(), 16);
  std::string all;
  for (int i = 0; i < n; ++i)
    all.append(static_cast<const char*>(pieces[static_cast<std::size_t>(i)].iov_base),
               pieces[static_cast<std::size_t>(i)].iov_len);
  queue.consume(0);
  return all;
}

const void* begin_of(output_queue& queue) {
  iovec first{};
  queue.gather(&first, 1);
  queue.consume(0);
  return first.iov_base;
}

TEST(OutputQueue, SixteenSmallWritesMoveTheirBytesOnce) {
  output_queue queue;
  const std::string piece(64, 'p');
  queue.append(std::string_view(piece));
  queue.append(std::string_view(piece));
  const void* const begin = begin_of(queue);
  for (int i = 2; i < 16; ++i) queue.append(std::string_view(piece));
  EXPECT_EQ(begin_of(queue), begin);
  EXPECT_EQ(text_of_queue(queue), std::string(1024, 'p'));
}

TEST(OutputQueue, TakesTheRestOfWhatHasPartlyGoneOutWithoutACopy) {
  output_queue queue;
  std::string text(100'000, 'a');
  text += "rest";
  const char* const memory = text.data();
  queue.append_rest(std::move(text), 100'000);
  EXPECT_EQ(begin_of(queue), memory + 100'000);
  EXPECT_EQ(queue.size(), 4u);
  queue.append(std::string_view(" and more"));
  EXPECT_EQ(text_of_queue(queue), "rest and more");
  queue.consume(4);
  EXPECT_EQ(text_of_queue(queue), " and more");
  queue.consume(9);
  EXPECT_TRUE(queue.empty());
}

TEST(SpareText, IsTheMemoryOfOneLargeStringForTheNext) {
  spare_text::drop();
  std::string message(100 * 1024, 'm');
  const char* const memory = message.data();
  spare_text::give(message);
  std::string next = spare_text::copy(std::string(90 * 1024, 'n'));
  EXPECT_EQ(next.data() == memory, keeps);
  EXPECT_EQ(next, std::string(90 * 1024, 'n'));
  EXPECT_NE(spare_text::copy(next).data(), memory) << "it is given away once";
}

TEST(SpareText, IsNotWastedOnMuchLessNorKeptOfMuchMore) {
  spare_text::drop();
  std::string message(200 * 1024, 'm');
  const char* const memory = message.data();
  spare_text::give(message);
  const std::string small = spare_text::copy(std::string(20 * 1024, 's'));
  EXPECT_LT(small.capacity(), 50u * 1024);
  std::string huge(1024 * 1024, 'h');
  spare_text::give(huge);
  EXPECT_EQ(huge.size(), 1024u * 1024) << "not taken";
  EXPECT_EQ(spare_text::copy(std::string(150 * 1024, 'n')).data() == memory, keeps);
}

class Output : public testing::Test {
 protected:
  Output() : channel(io::stream_transport::make(*loop, io::unique_fd(ends.ours), {})) { channel->set_user(&user); }
  ~Output() override {
    close();
    loop.reset();
  }
  void close() {
    if (!channel) return;
    channel->set_user(nullptr);
    channel->abort();
    channel = {};
    run_turns(*loop, 4);
  }
  /// What has come when so much has come.
  std::string got(std::size_t size) {
    std::string all;
    EXPECT_TRUE(run_until(*loop, [&] { return (all += ends.get()).size() >= size; }));
    return all;
  }

  tcp_ends ends;
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  recording_user user;
  io::ref<io::channel> channel;
};

TEST_F(Output, SentAloneIsNotBuffered) {
  channel->send("hello");
  EXPECT_EQ(channel->buffered(), test::on_io_uring() ? 5u : 0u) << "there it goes with what else there is";
  EXPECT_EQ(got(5), "hello");
  EXPECT_EQ(channel->buffered(), 0u);
}

TEST_F(Output, SentGoesBehindWhatIsBufferedAndAlongWithIt) {
  channel->write(std::string_view("one "));
  channel->send("two ");
  const std::string at_once = ends.get();
  EXPECT_EQ(at_once, test::on_io_uring() ? "" : "one two ");
  channel->write(std::string_view("three"));
  EXPECT_EQ(at_once + got(13 - at_once.size()), "one two three");
}

TEST_F(Output, SentWhenItIsMoreThanTheKernelTakesGoesOutInOrder) {
  std::string much;
  for (int i = 0; much.size() < 16u * 1024 * 1024; ++i) much += std::to_string(i) + ' ';
  channel->send(std::string(much));
  EXPECT_GT(channel->buffered(), 0u);
  EXPECT_TRUE(channel->congested());
  channel->send("end");
  EXPECT_EQ(got(much.size() + 3), much + "end");
  EXPECT_EQ(user.drained, 1);
}

TEST_F(Output, SentAfterTheEndOfItsDirectionIsRefused) {
  channel->write_eof();
  EXPECT_THROW(channel->send("late"), std::runtime_error);
  channel->close();
  run_turns(*loop, 4);
  EXPECT_THROW(channel->send("later"), std::runtime_error);
}

TEST_F(Output, SentToAPeerThatIsGoneFailsInATurnOfItsOwn) {
  ends.reset_theirs();
  ASSERT_TRUE(run_until(*loop, [&] {
    if (user.losses == 0 && !channel->closing()) {
      channel->send("x");
      EXPECT_EQ(user.losses, 0);
    }
    return user.losses > 0;
  }));
  EXPECT_NE(code_of(user.error), 0);
  channel->send("nobody hears this");
  EXPECT_EQ(channel->buffered(), 0u);
}

TEST_F(Output, AConnectionThatIsClosedLeavesNoMemoryBehind) {
  std::string message(100 * 1024, 'm');
  spare_text::give(message);
  close();
  std::string other(30 * 1024, 'o');
  const char* const others = other.data();
  spare_text::give(other);
  EXPECT_EQ(spare_text::copy(std::string(30 * 1024, 'p')).data() == others, keeps)
      << "a smaller one is taken: nothing was kept";
}

// The memory that is kept at the end of the program: at_the_end must leave it alone.
TEST(SpareText, MayBeAskedForAfterItsThreadHasEnded) {
  std::string message(100 * 1024, 'm');
  const char* memory = message.data();
  spare_text::give(message);
  EXPECT_EQ(message.data() != memory, keeps);
  static_cast<void>(at_the_end);
}

}  // namespace
