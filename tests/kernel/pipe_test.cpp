// SPDX-License-Identifier: BSL-1.0
// Pipes as the kernel room sees them: read and write ops, back-pressure, the end, and no SIGPIPE.
#include "kernel/pipe.hpp"
#include "kernel/kernel_test.hpp"

#include <array>
#include <csignal>
#include <string>

#include <fcntl.h>

namespace {

using namespace kernel_test;

/// Our two ends of one pipe, both non-blocking.
class PipeOps : public epoll_fixture {
 protected:
  PipeOps() {
    EXPECT_EQ(asyncio::kernel::make_pipe(ends), 0);
    EXPECT_EQ(asyncio::kernel::make_non_blocking(ends.read), 0);
    EXPECT_EQ(asyncio::kernel::make_non_blocking(ends.write), 0);
  }
  ~PipeOps() override {
    close(ends.read);
    close(ends.write);
  }
  void close(int& fd) {
    if (fd < 0) return;
    kernel->forget(fd);
    ::close(fd);
    fd = -1;
  }
  asyncio::kernel::pipe_ends ends;
};

struct write_op : send_op {
  write_op(int descriptor, std::string_view bytes) : send_op(descriptor, bytes) { kind = io_kind::write; }
};

TEST_F(PipeOps, bytes_go_through_at_once_or_when_they_come) {
  write_op write(ends.write, "one");
  ASSERT_TRUE(kernel->start(write));
  EXPECT_EQ(write.result, 3);
  recorded_op read(io_kind::read, ends.read);
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "one");

  ASSERT_FALSE(kernel->start(read));
  write_op later(ends.write, "two");
  ASSERT_TRUE(kernel->start(later));
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "two");
}

TEST_F(PipeOps, a_full_pipe_makes_a_write_wait_until_somebody_reads) {
  const std::string much(1024 * 1024, 'm');
  write_op first(ends.write, much);
  ASSERT_TRUE(kernel->start(first));
  EXPECT_GT(first.result, 0);
  EXPECT_LT(first.result, 1024 * 1024);
  write_op second(ends.write, "more");
  ASSERT_FALSE(kernel->start(second));
  EXPECT_EQ(turn(0ns), 0);
  std::string taken(static_cast<std::size_t>(first.result), '\0');
  ASSERT_EQ(::read(ends.read, taken.data(), taken.size()), first.result);
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(second.result, 4);
}

TEST_F(PipeOps, several_pieces_are_written_in_order) {
  std::array<iovec, 2> pieces{{{const_cast<char*>("one "), 4}, {const_cast<char*>("two"), 3}}};
  recorded_op write(io_kind::write, ends.write);
  write.iov = pieces.data();
  write.iov_count = 2;
  ASSERT_TRUE(kernel->start(write));
  recorded_op read(io_kind::read, ends.read);
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "one two");
}

TEST_F(PipeOps, the_end_comes_after_the_last_bytes) {
  recorded_op read(io_kind::read, ends.read);
  ASSERT_FALSE(kernel->start(read));
  write_op write(ends.write, "last");
  ASSERT_TRUE(kernel->start(write));
  close(ends.write);
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "last");
  if (!kernel->start(read)) turn();
  EXPECT_EQ(read.result, 0);
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.result, 0) << "and stays";
}

TEST_F(PipeOps, a_write_that_waits_hears_that_the_reader_has_gone) {
  const std::string much(1024 * 1024, 'm');
  write_op first(ends.write, much);
  ASSERT_TRUE(kernel->start(first));
  write_op second(ends.write, "more");
  ASSERT_FALSE(kernel->start(second));
  close(ends.read);
  EXPECT_EQ(turn(), 1);  // and the process is still there
  EXPECT_EQ(second.result, -EPIPE);
}

TEST_F(PipeOps, cancelled_reads_leave_the_bytes) {
  recorded_op read(io_kind::read, ends.read);
  ASSERT_FALSE(kernel->start(read));
  kernel->cancel(read);
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.result, -ECANCELED);
  write_op write(ends.write, "kept");
  ASSERT_TRUE(kernel->start(write));
  if (!kernel->start(read)) turn();
  EXPECT_EQ(read.result, 4);
}

bool blocks(int signal) {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

bool is_pending(int signal) {
  sigset_t pending;
  sigemptyset(&pending);
  ::sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

TEST_F(PipeOps, a_pipe_without_a_reader_raises_no_signal) {  // F8
  close(ends.read);
  iovec piece{const_cast<char*>("x"), 1};
  EXPECT_EQ(asyncio::kernel::write_quietly(ends.write, &piece, 1), -EPIPE);
  EXPECT_FALSE(blocks(SIGPIPE));
  EXPECT_FALSE(is_pending(SIGPIPE));
}

TEST_F(PipeOps, a_thread_that_blocks_the_signal_itself_keeps_it_blocked_and_does_not_lose_one_of_its_own) {
  close(ends.read);
  sigset_t pipe_signal;
  sigset_t before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  iovec piece{const_cast<char*>("x"), 1};
  EXPECT_EQ(asyncio::kernel::write_quietly(ends.write, &piece, 1), -EPIPE);
  EXPECT_TRUE(blocks(SIGPIPE));
  EXPECT_FALSE(is_pending(SIGPIPE));
  ::pthread_kill(::pthread_self(), SIGPIPE);
  EXPECT_EQ(asyncio::kernel::write_quietly(ends.write, &piece, 1), -EPIPE);
  EXPECT_TRUE(is_pending(SIGPIPE)) << "this one is the thread's own";
  const timespec at_once{};
  EXPECT_EQ(::sigtimedwait(&pipe_signal, nullptr, &at_once), SIGPIPE);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Pipe, leaves_the_other_end_blocking) {
  asyncio::kernel::pipe_ends ends;
  ASSERT_EQ(asyncio::kernel::make_pipe(ends), 0);
  ASSERT_EQ(asyncio::kernel::make_non_blocking(ends.read), 0);
  EXPECT_NE(::fcntl(ends.read, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::fcntl(ends.write, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(ends.read, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(ends.write, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(asyncio::kernel::is_open(ends.read));
  ::close(ends.read);
  ::close(ends.write);
  EXPECT_FALSE(asyncio::kernel::is_open(ends.read));
}

}  // namespace
