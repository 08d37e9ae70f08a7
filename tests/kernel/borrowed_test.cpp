// SPDX-License-Identifier: BSL-1.0
// Descriptors of others: ops that are tried and leave nothing behind, and waits whose descriptor is closed under them.
#include "kernel/kernel_test.hpp"

#include <unistd.h>

namespace {

using namespace kernel_test;

class EpollBorrowed : public epoll_fixture {
 protected:
  /// One try; its result.
  std::int64_t attempt(io_op& request) {
    request.borrowed = true;
    const std::size_t before = kernel->in_flight();
    EXPECT_TRUE(kernel->start(request)) << "it is never in flight";
    EXPECT_EQ(kernel->in_flight(), before);
    return request.result;
  }
  std::int64_t read(int fd, std::byte* to, std::size_t size) {
    recorded_op op(io_kind::recv, fd);
    op.buffer = to;
    op.size = size;
    return attempt(op);
  }
};

TEST_F(EpollBorrowed, ReadsAndSendsAtOnceOrSaysThatItWouldBlock) {
  test::socket_pair pair;
  std::byte room[8];
  EXPECT_EQ(read(pair.a, room, sizeof room), -EAGAIN);
  put(pair.b, "bytes");
  EXPECT_EQ(read(pair.a, room, 3), 3);
  EXPECT_EQ(read(pair.a, room, sizeof room), 2);
  send_op send(pair.a, "x");
  EXPECT_EQ(attempt(send), 1);
  fill(pair.a);
  EXPECT_EQ(attempt(send), -EAGAIN);
  drain(pair.b);
  pair.close_b();
  EXPECT_EQ(read(pair.a, room, sizeof room), 0);
  EXPECT_EQ(attempt(send), -EPIPE);
  EXPECT_EQ(read(-1, room, sizeof room), -EBADF);
  EXPECT_EQ(read(1'000'000, room, sizeof room), -EBADF);
}

TEST_F(EpollBorrowed, RemembersNothingSoThatTheOwnerMayCloseTheDescriptor) {
  std::byte room[8];
  int number = -1;
  {
    test::socket_pair pair;
    number = pair.a;
    EXPECT_EQ(read(number, room, sizeof room), -EAGAIN);
  }
  tcp_pair other;
  ASSERT_EQ(::dup2(other.a, number), number);
  put(other.b, "new");
  EXPECT_EQ(read(number, room, sizeof room), 3);
  recorded_op owned(io_kind::recv, number);
  ASSERT_FALSE(kernel->start(owned)) << "it may come to be the library's";
  EXPECT_EQ(read(number, room, sizeof room), -EBUSY);
  kernel->forget(number);
  EXPECT_EQ(turn(0s), 1);
  EXPECT_EQ(read(number, room, sizeof room), -EAGAIN) << "and somebody else's again";
  ::close(number);
}

TEST_F(EpollBorrowed, RefusesADescriptorFromTheMomentItIsTheLibrarys) {
  test::socket_pair pair;
  std::byte room[8];
  put(pair.b, "owned");
  kernel->own(pair.a);
  EXPECT_EQ(read(pair.a, room, sizeof room), -EBUSY);
  recorded_op readable(io_kind::readable, pair.a);
  ASSERT_TRUE(kernel->start(readable));
  EXPECT_EQ(readable.result, -EBUSY);
  kernel->forget(pair.a);
  EXPECT_EQ(read(pair.a, room, sizeof room), 5);
  ASSERT_FALSE(kernel->start(readable));
  kernel->own(pair.a);
  EXPECT_EQ(read(pair.a, room, sizeof room), -EAGAIN) << "not while somebody waits for it";
  kernel->cancel(readable);
  EXPECT_EQ(turn(0s), 1);
}

TEST_F(EpollBorrowed, MixesWithWaitsForTheSameDescriptor) {
  test::socket_pair pair;
  std::byte room[8];
  recorded_op readable(io_kind::readable, pair.a);
  ASSERT_FALSE(kernel->start(readable));
  recorded_op read(io_kind::recv, pair.a);
  read.borrowed = true;
  read.buffer = room;
  read.size = sizeof room;
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.result, -EAGAIN);
  put(pair.b, "x");
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(readable.result, 0);
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.result, 1);
}

TEST_F(EpollBorrowed, ConnectsInTwoTries) {
  tcp_listener listener;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  recorded_op connect(io_kind::connect, fd);
  connect.address = &listener.address;
  connect.address_size = listener.size;
  std::int64_t result = attempt(connect);
  if (result == -EINPROGRESS) {
    recorded_op writable(io_kind::writable, fd);
    ASSERT_FALSE(kernel->start(writable));
    EXPECT_EQ(turn(), 1);
    result = attempt(connect);
  }
  EXPECT_EQ(result, 0);
  EXPECT_EQ(attempt(connect), -EISCONN);
  ::close(fd);
}

TEST_F(EpollBorrowed, SendsToAnAddressAndTellsWhereBytesCameFrom) {
  const auto datagram_socket = [](sockaddr_in& own) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    own = {};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&own), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size), 0);
    return fd;
  };
  sockaddr_in here, there;
  const int from = datagram_socket(here), to = datagram_socket(there);
  send_op send(from, "datagram");
  send.address = reinterpret_cast<sockaddr_storage*>(&there);
  send.address_size = sizeof there;
  EXPECT_EQ(attempt(send), 8);
  sockaddr_storage sender{};
  std::byte room[16];
  recorded_op read(io_kind::recv, to);
  read.buffer = room;
  read.size = sizeof room;
  read.address = &sender;
  EXPECT_EQ(attempt(read), 8);
  EXPECT_EQ(read.address_size, sizeof here);
  EXPECT_EQ(reinterpret_cast<sockaddr_in&>(sender).sin_port, here.sin_port);
  ::close(from);
  ::close(to);
}

class EpollReused : public epoll_fixture {};

TEST_F(EpollReused, AWaitForAClosedDescriptorIsGivenUpWhenItsNumberIsWaitedForAnew) {
  test::socket_pair pair, fresh;
  recorded_op old_wait(io_kind::readable, pair.a), new_wait(io_kind::readable, pair.a);
  ASSERT_FALSE(kernel->start(old_wait));
  ASSERT_EQ(::dup2(fresh.a, pair.a), pair.a) << "closed, and its number another's";
  put(fresh.b, "new");
  ASSERT_FALSE(kernel->start(new_wait));
  while (new_wait.times_done == 0) ASSERT_GT(turn(), 0);
  EXPECT_EQ(new_wait.result, 0);
  EXPECT_EQ(old_wait.times_done, 1);
  EXPECT_EQ(old_wait.result, -ECANCELED);
  EXPECT_EQ(kernel->in_flight(), 0u);
}

TEST_F(EpollReused, AWaitBesideOneForAClosedDescriptorIsRefused) {
  test::socket_pair pair;
  recorded_op old_wait(io_kind::readable, pair.a), new_wait(io_kind::readable, pair.a);
  ASSERT_FALSE(kernel->start(old_wait));
  pair.close_a();
  ASSERT_TRUE(kernel->start(new_wait));
  EXPECT_EQ(new_wait.result, -EBADF);
  EXPECT_EQ(turn(0s), 1);
  EXPECT_EQ(old_wait.result, -ECANCELED);
}

TEST_F(EpollReused, SeveralMayWaitForOneDescriptorThatIsOpen) {
  test::socket_pair pair;
  recorded_op first(io_kind::readable, pair.a), second(io_kind::readable, pair.a), writable(io_kind::writable, pair.a);
  fill(pair.a);
  ASSERT_FALSE(kernel->start(first));
  ASSERT_FALSE(kernel->start(second));
  ASSERT_FALSE(kernel->start(writable));
  put(pair.b, "x");
  EXPECT_EQ(turn(), 2);
  EXPECT_EQ(first.result, 0);
  EXPECT_EQ(second.result, 0);
  EXPECT_EQ(writable.times_done, 0);
  drain(pair.b);
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(writable.result, 0);
}

}  // namespace
