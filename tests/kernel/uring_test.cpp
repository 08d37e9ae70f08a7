// SPDX-License-Identifier: BSL-1.0
#include "kernel/kernel_test.hpp"

#include "support/backend.hpp"
#include "support/scratch_folder.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

namespace {

using namespace kernel_test;

class UringKernel : public uring_fixture {
 protected:
  void TearDown() override {
    if (!kernel) return;
    kernel->cancel_all();
    for (int i = 0; i < 1000 && kernel->in_flight() > 0; ++i) turn(1ms);
    EXPECT_EQ(kernel->in_flight(), 0u);
  }
  /// Turns until `n` more ops were done.
  void finish(int n) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (n > 0 && std::chrono::steady_clock::now() < deadline) n -= turn(100ms);
    EXPECT_EQ(n, 0);
  }
  void hand_in() { EXPECT_EQ(turn(0s), 0); }
};

TEST_F(UringKernel, SaysItsName) { EXPECT_STREQ(kernel->name(), "io_uring"); }

TEST_F(UringKernel, ReadsWhatIsThereAndWhatComesLater) {
  tcp_pair pair;
  put(pair.b, "now");
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read)) << "what can wait is handed in with everything else";
  finish(1);
  EXPECT_EQ(read.bytes, "now");
  ASSERT_FALSE(kernel->start(read));
  hand_in();
  put(pair.b, "later");
  finish(1);
  EXPECT_EQ(read.bytes, "later");
  EXPECT_EQ(read.times_done, 2);
  ASSERT_FALSE(kernel->start(read));
  pair.close_b();
  finish(1);
  EXPECT_EQ(read.result, 0);
  kernel->forget(pair.a);
}

TEST_F(UringKernel, SendsOnePieceAndSeveral) {
  tcp_pair pair;
  send_op send(pair.a, "one ");
  ASSERT_FALSE(kernel->start(send));
  finish(1);
  std::string two = "two ", three = "three";
  iovec pieces[] = {{two.data(), two.size()}, {three.data(), three.size()}};
  send.iov = pieces;
  send.iov_count = 2;
  ASSERT_FALSE(kernel->start(send));
  finish(1);
  EXPECT_EQ(send.result, 9);
  char got[32];
  EXPECT_EQ(::recv(pair.b, got, sizeof got, 0), 13);
  EXPECT_EQ(std::string_view(got, 13), "one two three");
  kernel->forget(pair.a);
}

TEST_F(UringKernel, AcceptsAndConnects) {
  tcp_listener listener;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  recorded_op accept(io_kind::accept, listener.fd);
  sockaddr_storage peer{};
  accept.address = &peer;
  ASSERT_FALSE(kernel->start(accept));
  recorded_op connect(io_kind::connect, fd);
  connect.address = &listener.address;
  connect.address_size = listener.size;
  ASSERT_FALSE(kernel->start(connect));
  finish(2);
  EXPECT_EQ(connect.result, 0);
  ASSERT_GE(accept.result, 0);
  EXPECT_EQ(accept.address_size, sizeof(sockaddr_in));
  const int accepted = static_cast<int>(accept.result);
  EXPECT_NE(::fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(other, reinterpret_cast<sockaddr*>(&listener.address), listener.size), 0);
  ASSERT_TRUE(kernel->start(accept)) << "a connection that is there costs no turn";
  ::close(static_cast<int>(accept.result));
  kernel->forget(listener.fd);
  kernel->forget(fd);
  for (const int open : {fd, accepted, other}) ::close(open);
}

TEST_F(UringKernel, TellsWhyAConnectFailed) {
  sockaddr_storage nobody{};
  socklen_t size = 0;
  {
    const tcp_listener closed;
    nobody = closed.address;
    size = closed.size;
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  recorded_op connect(io_kind::connect, fd);
  connect.address = &nobody;
  connect.address_size = size;
  ASSERT_FALSE(kernel->start(connect));
  finish(1);
  EXPECT_EQ(connect.result, -ECONNREFUSED);
  kernel->forget(fd);
  ::close(fd);
}

TEST_F(UringKernel, ServesReadsOfOneDescriptorInTheirOrder) {
  tcp_pair pair;
  std::byte room[3][2];
  std::deque<recorded_op> reads;
  for (auto& r : room) {
    recorded_op& read = reads.emplace_back(io_kind::recv, pair.a);
    read.buffer = r;
    read.size = sizeof r;
    ASSERT_FALSE(kernel->start(read));
  }
  hand_in();
  kernel->cancel(reads[1]);
  put(pair.b, "abcd");
  finish(3);
  EXPECT_EQ(reads[0].bytes, "ab");
  EXPECT_EQ(reads[1].result, -ECANCELED);
  EXPECT_EQ(reads[2].bytes, "cd");
  kernel->forget(pair.a);
}

TEST_F(UringKernel, ReadsManyBytesBehindAFullBufferAtOnce) {
  tcp_pair pair;
  const std::string much(100'000, 'm');
  std::thread writer([&] { put(pair.b, much); });
  std::size_t got = 0;
  int at_once = 0;
  recorded_op read(io_kind::recv, pair.a);
  while (got < much.size()) {
    if (kernel->start(read))
      ++at_once;
    else
      finish(1);
    ASSERT_GT(read.result, 0);
    got += static_cast<std::size_t>(read.result);
  }
  writer.join();
  EXPECT_GT(at_once, 0);
  kernel->forget(pair.a);
}

// More reads than there are buffers, completions and requests: those that find no buffer are handed in again.
TEST_F(UringKernel, ServesMoreAtOnceThanItHasRoomFor) {
  std::deque<test::socket_pair> pairs;
  std::deque<recorded_op> reads;
  for (int i = 0; i < 1000; ++i) {
    test::socket_pair& pair = pairs.emplace_back();
    ASSERT_GE(pair.a, 0);
    recorded_op& read = reads.emplace_back(io_kind::recv, pair.a);
    read.bounded_reads = true;
    ASSERT_FALSE(kernel->start(read));
  }
  EXPECT_EQ(kernel->in_flight(), 1000u);
  hand_in();
  for (int i = 0; i < 1000; ++i) put(pairs[static_cast<std::size_t>(i)].b, std::to_string(i));
  finish(1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(reads[static_cast<std::size_t>(i)].bytes, std::to_string(i));
  for (auto& pair : pairs) kernel->forget(pair.a);
}

TEST_F(UringKernel, CancelsBeforeAndAfterTheKernelHasSeenIt) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  kernel->cancel(read);
  EXPECT_EQ(kernel->in_flight(), 1u) << "it still has to be listed";
  finish(1);
  EXPECT_EQ(read.result, -ECANCELED);
  ASSERT_FALSE(kernel->start(read));
  hand_in();
  kernel->cancel(read);
  kernel->cancel(read);
  finish(1);
  EXPECT_EQ(read.result, -ECANCELED);
  EXPECT_EQ(read.times_done, 2);
  put(pair.b, "kept");
  ASSERT_FALSE(kernel->start(read));
  finish(1);
  EXPECT_EQ(read.bytes, "kept") << "the cancelled ones have taken nothing";
  kernel->forget(pair.a);
}

// A read that is cancelled while a peer writes: either it has the bytes, or they are still to be read.
TEST_F(UringKernel, LosesNoByteWhenACancellationMeetsBytes) {
  tcp_pair pair;
  std::minstd_rand dice(7);
  std::size_t sent = 0, received = 0;
  recorded_op read(io_kind::recv, pair.a);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_FALSE(kernel->start(read));
    const auto order = dice() % 4;
    if (order != 0) hand_in_quietly();
    if (order != 1) sent += static_cast<std::size_t>(::send(pair.b, "abc", 3, MSG_NOSIGNAL));
    if (order == 2) hand_in_quietly();
    kernel->cancel(read);
    while (read.in_flight) turn(1s);
    if (read.result > 0) received += static_cast<std::size_t>(read.result);
  }
  received += drain(pair.a);
  EXPECT_EQ(received, sent);
  kernel->forget(pair.a);
}

TEST_F(UringKernel, LeavesNoConnectionBehindWhenAnAcceptIsCancelled) {
  tcp_listener listener(512);
  const std::size_t before = test::open_descriptors();
  int accepted = 0;
  recorded_op accept(io_kind::accept, listener.fd);
  for (int i = 0; i < 500; ++i) {
    bool now = kernel->start(accept);
    if (!now) hand_in_quietly();
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&listener.address), listener.size), 0);
    if (!now) kernel->cancel(accept);
    while (accept.in_flight) turn(1s);
    if (accept.result >= 0) {
      ++accepted;
      ::close(static_cast<int>(accept.result));
    }
    ::close(client);
  }
  while (kernel->start(accept)) {
    ++accepted;
    ::close(static_cast<int>(accept.result));
  }
  EXPECT_EQ(accepted, 500) << "those whose accept was cancelled are still there";
  kernel->cancel(accept);
  while (accept.in_flight) turn(1s);
  kernel->forget(listener.fd);
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST_F(UringKernel, EndsADescriptorForItsPeerAtOnceWhenItWasForgotten) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  hand_in();
  kernel->forget(pair.a);
  pair.close_a();
  char byte = 0;
  pollfd end{pair.b, POLLIN, 0};
  EXPECT_EQ(::poll(&end, 1, 5000), 1);
  EXPECT_EQ(::recv(pair.b, &byte, 1, 0), 0) << "the ring does not hold the file open";
  finish(1);
  EXPECT_EQ(read.result, -ECANCELED);
}

TEST_F(UringKernel, GivesNothingToTheNextDescriptorWithTheSameNumber) {
  auto first = std::make_unique<tcp_pair>();
  recorded_op old_read(io_kind::recv, first->a);
  ASSERT_FALSE(kernel->start(old_read));
  const int number = first->a;
  kernel->forget(number);
  first.reset();
  tcp_pair second;
  const int same = ::dup2(second.a, number);
  ASSERT_EQ(same, number);
  put(second.b, "for the second");
  recorded_op read(io_kind::recv, number);
  ASSERT_FALSE(kernel->start(read));
  finish(2);
  EXPECT_EQ(old_read.result, -ECANCELED);
  EXPECT_EQ(read.bytes, "for the second");
  kernel->forget(number);
  ::close(number);
}

TEST_F(UringKernel, HasDescriptorsOfOthersAndItsOwnBesideEachOther) {
  tcp_pair mine;
  test::socket_pair foreign;
  recorded_op read(io_kind::recv, mine.a), watch(io_kind::readable, foreign.a), clash(io_kind::readable, mine.a);
  ASSERT_FALSE(kernel->start(read));
  ASSERT_FALSE(kernel->start(watch));
  ASSERT_TRUE(kernel->start(clash));
  EXPECT_EQ(clash.result, -EBUSY);
  EXPECT_EQ(kernel->in_flight(), 2u);
  put(foreign.b, "x");
  finish(1);
  EXPECT_EQ(watch.times_done, 1);
  put(mine.b, "y");
  finish(1);
  EXPECT_EQ(read.bytes, "y");
  kernel->forget(mine.a);
}

TEST_F(UringKernel, WakesUpForAnotherThreadEachTime) {
  for (int i = 0; i < 50; ++i) {
    std::thread other([&] { asyncio::kernel::write_wake_fd(wake_fd); });
    const auto before = std::chrono::steady_clock::now();
    while (turn(10s) != 0) {}
    EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
    other.join();
  }
}

TEST_F(UringKernel, WaitsAsLongAsItIsAskedTo) {
  const auto before = std::chrono::steady_clock::now();
  turn(0s);
  turn(2ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 2ms);
}

TEST_F(UringKernel, ShowsAGuestWhatItHas) {
  tcp_pair pair;
  const int fd = kernel->poll_fd();
  const auto readable = [&] {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0;
  };
  turn(0s);
  EXPECT_FALSE(readable());
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  put(pair.b, "x");
  EXPECT_TRUE(readable());
  finish(1);
  EXPECT_FALSE(readable());
  ASSERT_FALSE(kernel->start(read));
  kernel->cancel(read);
  EXPECT_TRUE(readable());
  finish(1);
  kernel->forget(pair.a);
}

// Who has handed a request in has ended: the kernel gives it up, and it is handed in anew by who runs the loop now.
TEST_F(UringKernel, GoesOnInAnotherThreadWhenTheFirstHasEnded) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  std::thread first([&] {
    ASSERT_FALSE(kernel->start(read));
    turn(0s);
  });
  first.join();
  turn(0s);
  EXPECT_EQ(read.times_done, 0);
  put(pair.b, "still here");
  finish(1);
  EXPECT_EQ(read.bytes, "still here");
  kernel->forget(pair.a);
}

TEST_F(UringKernel, GoesOnInAnotherThreadWhileTheFirstSleeps) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  int done[2], gate[2];
  ASSERT_EQ(::pipe2(done, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(gate, O_CLOEXEC), 0);
  char byte = 0;
  std::thread first([&] {
    EXPECT_FALSE(kernel->start(read));
    turn(0s);
    EXPECT_EQ(::write(done[1], "", 1), 1);
    char opened = 0;
    EXPECT_EQ(::read(gate[0], &opened, 1), 1);
  });
  EXPECT_EQ(::read(done[0], &byte, 1), 1);
  turn(0s);
  put(pair.b, "x");
  EXPECT_EQ(::write(gate[1], "", 1), 1);
  first.join();
  finish(1);
  EXPECT_EQ(read.bytes, "x");
  kernel->forget(pair.a);
  for (const int fd : {done[0], done[1], gate[0], gate[1]}) ::close(fd);
}

TEST_F(UringKernel, IsOutOfReachOfAForkedChild) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  hand_in();
  const pid_t child = ::fork();
  if (child == 0) {
    recorded_op more(io_kind::recv, pair.b);
    if (!kernel->start(more) || more.result != -ECANCELED) ::_exit(1);
    kernel->cancel(more);
    kernel->forget(pair.a);
    asyncio::detail::op_queue finished;
    kernel->wait(0s, finished);
    kernel.reset();
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  put(pair.b, "unharmed");
  finish(1);
  EXPECT_EQ(read.bytes, "unharmed");
  kernel->forget(pair.a);
}

TEST_F(UringKernel, ReadsARegularFileWhereItIsTold) {
  ASSERT_TRUE(kernel->reads_files());
  const test::scratch_folder folder;
  const int file = ::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::write(file, "0123456789", 10), 10);
  std::array<std::byte, 8> first{}, second{};
  recorded_op reads[] = {{io_kind::file_read, file}, {io_kind::file_read, file}};
  reads[0].buffer = first.data();
  reads[1].buffer = second.data();
  for (recorded_op& r : reads) {
    r.size = 8;
    r.offset = &r == &reads[0] ? 0 : 6;
    ASSERT_FALSE(kernel->start(r));
  }
  finish(2);
  EXPECT_EQ(reads[0].bytes, "01234567");
  EXPECT_EQ(reads[1].bytes, "6789");
  EXPECT_EQ(::lseek(file, 0, SEEK_CUR), 10) << "its position is nobody's business";
  reads[0].offset = 10;
  ASSERT_FALSE(kernel->start(reads[0]));
  finish(1);
  EXPECT_EQ(reads[0].result, 0) << "the end";
  kernel->forget(file);
  ::close(file);
}

TEST_F(UringKernel, TellsWhyAFileCannotBeReadAndForgetsReads) {
  const test::scratch_folder folder;
  const int directory = ::open(folder.path().c_str(), O_RDONLY | O_CLOEXEC);
  std::array<std::byte, 8> room{};
  recorded_op read(io_kind::file_read, directory);
  read.buffer = room.data();
  read.size = room.size();
  ASSERT_FALSE(kernel->start(read));
  finish(1);
  EXPECT_EQ(read.result, -EISDIR);
  ASSERT_FALSE(kernel->start(read));
  kernel->forget(directory);
  ::close(directory);
  finish(1);
  EXPECT_EQ(read.result, -ECANCELED) << "not handed in yet, and so never";
}

TEST_F(UringKernel, EndsWithTenThousandOpsInFlight) {
  std::deque<recorded_op> reads;
  std::deque<test::socket_pair> pairs;
  for (int i = 0; i < 400; ++i) {
    test::socket_pair& pair = pairs.emplace_back();
    for (int n = 0; n < 25; ++n) ASSERT_FALSE(kernel->start(reads.emplace_back(io_kind::recv, pair.a)));
  }
  hand_in();
  EXPECT_EQ(kernel->in_flight(), 10'000u);
  kernel->cancel_all();
  finish(10'000);
  EXPECT_TRUE(std::ranges::all_of(reads, [](const recorded_op& r) { return r.result == -ECANCELED; }));
  for (auto& pair : pairs) kernel->forget(pair.a);
}

}  // namespace
