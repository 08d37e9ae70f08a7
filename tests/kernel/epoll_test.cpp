// SPDX-License-Identifier: BSL-1.0
#include "kernel/kernel_test.hpp"

#include <climits>
#include <thread>

#include <fcntl.h>
#include <poll.h>

namespace {

using namespace kernel_test;

class EpollKernel : public epoll_fixture {};

TEST_F(EpollKernel, RefusesANumberThatIsNoDescriptorHoweverLargeItIs) {
  for (const io_kind kind : {io_kind::readable, io_kind::recv}) {
    recorded_op request(kind, INT_MAX);
    ASSERT_TRUE(kernel->start(request));
    EXPECT_EQ(request.result, -EBADF) << "and asks for no memory for it";
  }
}

TEST_F(EpollKernel, FinishesAReadAtOnceWhenBytesAreThere) {
  tcp_pair pair;
  put(pair.b, "hello");
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "hello");
  EXPECT_FALSE(read.in_flight);
  EXPECT_EQ(kernel->in_flight(), 0u);
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, FinishesAReadThatHasToWaitThroughWaitOnce) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  EXPECT_TRUE(read.in_flight);
  EXPECT_EQ(kernel->in_flight(), 1u);
  EXPECT_EQ(turn(0s), 0);
  put(pair.b, "hello");
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "hello");
  EXPECT_EQ(read.times_done, 1);
  EXPECT_FALSE(read.in_flight);
  EXPECT_EQ(kernel->in_flight(), 0u);
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, KeepsAListedOpInFlightUntilItsDoneRuns) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  put(pair.b, "x");
  asyncio::detail::op_queue finished;
  kernel->wait(5s, finished);
  ASSERT_EQ(finished.front(), &read);
  EXPECT_TRUE(read.in_flight);
  kernel->cancel(read);
  EXPECT_EQ(read.result, 1) << "a result that was there first is kept";
  finished.pop()->done(&read);
  EXPECT_FALSE(read.in_flight);
  EXPECT_EQ(turn(0s), 0) << "listed once";
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, ReadsIntoABufferOfTheOpsOwn) {
  tcp_pair pair;
  std::byte room[3];
  recorded_op read(io_kind::recv, pair.a);
  read.buffer = room;
  read.size = sizeof room;
  ASSERT_FALSE(kernel->start(read));
  put(pair.b, "hello");
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.data, room);
  EXPECT_EQ(read.bytes, "hel");
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "lo");
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, ReadsAtMostSoManyBytesIntoTheSharedBuffer) {
  tcp_pair pair;
  put(pair.b, "hello");
  recorded_op read(io_kind::recv, pair.a);
  read.size = 2;
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "he");
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, TellsTheEndOfAStreamEvenWhenItCameWithTheLastBytes) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  put(pair.b, "last");
  pair.close_b();
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "last");
  // The end had no edge of its own, so the read may not wait for one.
  const bool at_once = kernel->start(read);
  if (!at_once) {
    EXPECT_EQ(turn(), 1);
  }
  EXPECT_EQ(read.result, 0);
  ASSERT_TRUE(kernel->start(read)) << "the end is sticky";
  EXPECT_EQ(read.result, 0);
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, TellsTheEndThatCameBetweenAShortReadAndTheNext) {
  tcp_pair pair;
  put(pair.b, "first");
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_TRUE(kernel->start(read));
  pair.close_b();
  if (!kernel->start(read)) {
    EXPECT_EQ(turn(), 1);
  }
  EXPECT_EQ(read.result, 0);
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, ServesReadsOfOneSocketInOrder) {
  tcp_pair pair;
  std::byte room[2][2];
  recorded_op first(io_kind::recv, pair.a), second(io_kind::recv, pair.a);
  first.buffer = room[0];
  second.buffer = room[1];
  first.size = second.size = 2;
  ASSERT_FALSE(kernel->start(first));
  ASSERT_FALSE(kernel->start(second));
  put(pair.b, "abcd");
  EXPECT_EQ(turn(), 2);
  EXPECT_EQ(first.bytes, "ab");
  EXPECT_EQ(second.bytes, "cd");
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, CancelsAReadAndLeavesItsBytes) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  kernel->cancel(read);
  kernel->cancel(read);
  EXPECT_EQ(read.times_done, 0) << "cancel() itself finishes nothing";
  put(pair.b, "kept");
  EXPECT_EQ(turn(0s), 1);
  EXPECT_EQ(read.result, -ECANCELED);
  EXPECT_EQ(kernel->in_flight(), 0u);
  const bool at_once = kernel->start(read);
  if (!at_once) {
    EXPECT_EQ(turn(), 1);
  }
  EXPECT_EQ(read.now(), "kept");
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, NeverPutsATryOnlyOpInFlight) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  read.try_only = true;
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.result, -EAGAIN);
  recorded_op waiting(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(waiting));
  put(pair.b, "x");
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.result, -EAGAIN) << "it does not overtake a read that waits";
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(waiting.bytes, "x");
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, GivesEachReadOfOneWaitAPieceOfItsOwn) {
  tcp_pair pairs[4];
  std::vector<std::unique_ptr<recorded_op>> reads;
  for (auto& pair : pairs) {
    reads.push_back(std::make_unique<recorded_op>(io_kind::recv, pair.a));
    ASSERT_FALSE(kernel->start(*reads.back()));
  }
  for (int i = 0; i < 4; ++i) put(pairs[i].b, std::string(1000, static_cast<char>('a' + i)));
  asyncio::detail::op_queue finished;
  while (finished.size() < 4) kernel->wait(5s, finished);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(reads[static_cast<std::size_t>(i)]->now(), std::string(1000, static_cast<char>('a' + i)));
  // A read at once, made by one done, does not touch what the next one is about to be given.
  put(pairs[0].b, std::string(1000, 'z'));
  recorded_op other(io_kind::recv, pairs[0].a);
  kernel->start(other);
  EXPECT_EQ(reads[3]->now(), std::string(1000, 'd'));
  while (asyncio::detail::op* node = finished.pop()) node->done(node);
  for (auto& pair : pairs) kernel->forget(pair.a);
  turn(0s);
}

TEST_F(EpollKernel, LeavesForTheNextWaitWhatTheSharedBufferCannotHold) {
  constexpr int connections = 8;
  constexpr std::size_t each = 100'000;
  test::socket_pair pairs[connections];
  std::vector<std::unique_ptr<recorded_op>> reads;
  for (auto& pair : pairs) {
    reads.push_back(std::make_unique<recorded_op>(io_kind::recv, pair.a));
    ASSERT_FALSE(kernel->start(*reads.back()));
  }
  for (int i = 0; i < connections; ++i) put(pairs[i].b, std::string(each, static_cast<char>('a' + i)));
  std::vector<int> per_turn;
  int total = 0;
  while (total < connections) {
    const int n = turn();
    ASSERT_GT(n, 0);
    per_turn.push_back(n);
    total += n;
  }
  EXPECT_GT(per_turn.size(), 1u);
  for (int i = 0; i < connections; ++i) {
    const std::string& bytes = reads[static_cast<std::size_t>(i)]->bytes;
    EXPECT_EQ(bytes, std::string(bytes.size(), static_cast<char>('a' + i)));
    EXPECT_GT(bytes.size(), 0u);
  }
  for (auto& pair : pairs) kernel->forget(pair.a);
}

TEST_F(EpollKernel, FinishesASendWhenThePeerHasMadeRoom) {
  tcp_pair pair;
  const std::size_t before = fill(pair.a);
  send_op send(pair.a, "tail");
  ASSERT_FALSE(kernel->start(send));
  EXPECT_EQ(turn(0s), 0);
  std::size_t received = 0;
  while (send.times_done == 0) {
    received += drain(pair.b);
    turn(10ms);
  }
  EXPECT_EQ(send.result, 4);
  while (received < before + 4) received += drain(pair.b);
  EXPECT_EQ(received, before + 4);
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, SendsSeveralPiecesInOneCall) {
  tcp_pair pair;
  iovec pieces[3] = {{const_cast<char*>("one "), 4}, {const_cast<char*>("two "), 4}, {const_cast<char*>("three"), 5}};
  recorded_op send(io_kind::send, pair.a);
  send.iov = pieces;
  send.iov_count = 3;
  ASSERT_TRUE(kernel->start(send));
  EXPECT_EQ(send.result, 13);
  char got[32] = {};
  EXPECT_EQ(::recv(pair.b, got, sizeof got, 0), 13);
  EXPECT_STREQ(got, "one two three");
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, TellsAWriterOfABrokenConnectionWithoutASignal) {
  tcp_pair pair;
  linger reset{1, 0};
  ::setsockopt(pair.b, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  pair.close_b();
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.result, -ECONNRESET);
  send_op send(pair.a, "x");
  ASSERT_TRUE(kernel->start(send));
  EXPECT_EQ(send.result, -EPIPE);
  kernel->forget(pair.a);
}

TEST_F(EpollKernel, AcceptsConnectionsWithTheirPeers) {
  tcp_listener listener;
  sockaddr_storage peer{};
  recorded_op accept(io_kind::accept, listener.fd);
  accept.address = &peer;
  ASSERT_FALSE(kernel->start(accept));
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&listener.address), listener.size), 0);
  EXPECT_EQ(turn(), 1);
  ASSERT_GE(accept.result, 0);
  const int accepted = static_cast<int>(accept.result);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ::getsockname(client, reinterpret_cast<sockaddr*>(&own), &size);
  EXPECT_EQ(accept.address_size, sizeof own);
  EXPECT_EQ(reinterpret_cast<sockaddr_in&>(peer).sin_port, own.sin_port);
  EXPECT_NE(::fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_FALSE(kernel->start(accept)) << "no second one";
  kernel->forget(listener.fd);
  EXPECT_EQ(turn(0s), 1);
  EXPECT_EQ(accept.result, -ECANCELED);
  ::close(accepted);
  ::close(client);
}

/// Starts a connect and waits for its end.
class EpollConnect : public epoll_fixture {
 protected:
  std::int64_t connect(int fd, sockaddr_storage& to, socklen_t size) {
    recorded_op connect(io_kind::connect, fd);
    connect.address = &to;
    connect.address_size = size;
    if (!kernel->start(connect))
      while (connect.times_done == 0) turn();
    kernel->forget(fd);
    return connect.result;
  }
};

TEST_F(EpollConnect, ConnectsToAListener) {
  tcp_listener listener;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(fd, listener.address, listener.size), 0);
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  EXPECT_EQ(::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size), 0);
  ::close(fd);
}

TEST_F(EpollConnect, SaysThatNobodyListens) {
  sockaddr_storage address{};
  socklen_t size = 0;
  {
    tcp_listener gone;
    address = gone.address;
    size = gone.size;
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(fd, address, size), -ECONNREFUSED);
  ::close(fd);
}

TEST_F(EpollConnect, CanBeCancelledWhileThePeerIsSilent) {
  // A backlog that is full lets further connection requests wait.
  tcp_listener listener(0);
  std::vector<int> clients;
  std::vector<std::unique_ptr<recorded_op>> connects;
  recorded_op* waiting = nullptr;
  while (waiting == nullptr && clients.size() < 64) {
    clients.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    connects.push_back(std::make_unique<recorded_op>(io_kind::connect, clients.back()));
    recorded_op& op = *connects.back();
    op.address = &listener.address;
    op.address_size = listener.size;
    if (!kernel->start(op)) turn(20ms);
    if (op.in_flight) waiting = &op;
  }
  ASSERT_NE(waiting, nullptr);
  kernel->cancel(*waiting);
  EXPECT_EQ(turn(0s), 1);
  EXPECT_EQ(waiting->result, -ECANCELED);
  for (const int fd : clients) {
    kernel->forget(fd);
    ::close(fd);
  }
  turn(0s);
  EXPECT_EQ(kernel->in_flight(), 0u);
}

class EpollWatch : public epoll_fixture {};

TEST_F(EpollWatch, IsLevelTriggeredAndFinishesOnce) {
  test::socket_pair pair;
  put(pair.b, "x");
  recorded_op readable(io_kind::readable, pair.a);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_FALSE(kernel->start(readable));
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(readable.result, 0);
    EXPECT_EQ(readable.times_done, i);
    EXPECT_EQ(turn(0s), 0) << "nobody asked again";
  }
}

TEST_F(EpollWatch, KeepsWaitingToWriteWhenReadingIsPossible) {
  test::socket_pair pair;
  fill(pair.a);
  put(pair.b, "x");
  recorded_op readable(io_kind::readable, pair.a), writable(io_kind::writable, pair.a);
  ASSERT_FALSE(kernel->start(readable));
  ASSERT_FALSE(kernel->start(writable));
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(readable.times_done, 1);
  EXPECT_EQ(writable.times_done, 0);
  drain(pair.b);
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(writable.times_done, 1);
}

TEST_F(EpollWatch, CountsAHangUpAsReadable) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
  recorded_op readable(io_kind::readable, fds[0]);
  ASSERT_FALSE(kernel->start(readable));
  ::close(fds[1]);
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(readable.result, 0);
  ::close(fds[0]);
}

TEST_F(EpollWatch, ServesADescriptorThatWasClosedAndOpenedAnewWithoutAWord) {
  for (int round = 0; round < 3; ++round) {
    test::socket_pair pair;
    put(pair.b, "x");
    recorded_op readable(io_kind::readable, pair.a);
    ASSERT_FALSE(kernel->start(readable));
    ASSERT_EQ(turn(), 1);
    // The same number again, before the next wait.
    const int number = pair.a;
    test::socket_pair fresh;
    put(fresh.b, "y");
    ASSERT_EQ(::dup2(fresh.a, number), number);
    ASSERT_FALSE(kernel->start(readable));
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(readable.times_done, 2);
  }
}

TEST_F(EpollWatch, OfADescriptorThatWasClosedGivesWayToAnOwnerOfItsNumber) {
  test::socket_pair pair, fresh;
  recorded_op readable(io_kind::readable, pair.a), writable(io_kind::writable, pair.a);
  fill(pair.a);
  ASSERT_FALSE(kernel->start(readable));
  ASSERT_FALSE(kernel->start(writable));
  ASSERT_EQ(::dup2(fresh.a, pair.a), pair.a) << "closed, and its number another's";
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read)) << read.result;
  EXPECT_EQ(turn(0s), 2);
  EXPECT_EQ(readable.result, -ECANCELED);
  EXPECT_EQ(writable.result, -ECANCELED);
  put(fresh.b, "new");
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "new");
  EXPECT_EQ(kernel->in_flight(), 0u);
  kernel->forget(pair.a);
}

TEST_F(EpollWatch, RefusesARegularFile) {
  const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  recorded_op readable(io_kind::readable, fd);
  ASSERT_TRUE(kernel->start(readable));
  EXPECT_EQ(readable.result, -EPERM);
  ::close(fd);
  ASSERT_TRUE(kernel->start(readable));
  EXPECT_EQ(readable.result, -EBADF);
}

TEST_F(EpollWatch, DoesNotMixWithReadsOfTheLibraryOnOneDescriptor) {
  test::socket_pair pair;
  recorded_op readable(io_kind::readable, pair.a), read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(readable));
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.result, -EBUSY);
  kernel->cancel(readable);
  EXPECT_EQ(turn(0s), 1);
  ASSERT_FALSE(kernel->start(read)) << "the watch is over";
  ASSERT_TRUE(kernel->start(readable));
  EXPECT_EQ(readable.result, -EBUSY);
  kernel->forget(pair.a);
  EXPECT_EQ(turn(0s), 1);
  ASSERT_FALSE(kernel->start(readable)) << "the transport has let go of it";
  kernel->cancel(readable);
  EXPECT_EQ(turn(0s), 1);
}

class EpollRegistration : public epoll_fixture {};

TEST_F(EpollRegistration, ForgetCancelsBothDirections) {
  tcp_pair pair;
  fill(pair.a);
  recorded_op read(io_kind::recv, pair.a);
  send_op send(pair.a, "x");
  ASSERT_FALSE(kernel->start(read));
  ASSERT_FALSE(kernel->start(send));
  kernel->forget(pair.a);
  EXPECT_EQ(turn(0s), 2);
  EXPECT_EQ(read.result, -ECANCELED);
  EXPECT_EQ(send.result, -ECANCELED);
}

TEST_F(EpollRegistration, ANumberThatIsUsedAnewStartsAfresh) {
  for (int round = 0; round < 20; ++round) {
    tcp_pair pair;
    recorded_op read(io_kind::recv, pair.a);
    ASSERT_FALSE(kernel->start(read));
    put(pair.b, "x");
    EXPECT_EQ(turn(), 1);
    EXPECT_EQ(read.bytes, "x");
    kernel->forget(pair.a);
  }
}

TEST_F(EpollRegistration, ACopyOfAForgottenDescriptorSendsNoMoreEvents) {
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  const int copy = ::dup(pair.a);  // as a forked child would hold it
  kernel->forget(pair.a);
  EXPECT_EQ(turn(0s), 1);
  pair.close_a();
  tcp_pair other;
  ASSERT_FALSE(kernel->start((read.fd = other.a, read)));
  put(pair.b, "phantom");
  EXPECT_EQ(turn(20ms), 0);
  put(other.b, "real");
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "real");
  kernel->forget(other.a);
  ::close(copy);
}

TEST_F(EpollRegistration, CancelAllReachesEveryOp) {
  tcp_pair pair;
  test::socket_pair watched;
  tcp_listener listener;
  recorded_op read(io_kind::recv, pair.a), accept(io_kind::accept, listener.fd), readable(io_kind::readable, watched.a);
  ASSERT_FALSE(kernel->start(read));
  ASSERT_FALSE(kernel->start(accept));
  ASSERT_FALSE(kernel->start(readable));
  EXPECT_EQ(kernel->in_flight(), 3u);
  kernel->cancel_all();
  EXPECT_EQ(turn(0s), 3);
  EXPECT_EQ(kernel->in_flight(), 0u);
  for (const recorded_op* op : {&read, &accept, &readable}) EXPECT_EQ(op->result, -ECANCELED);
  kernel->forget(pair.a);
  kernel->forget(listener.fd);
}

class EpollWait : public epoll_fixture {};

TEST_F(EpollWait, IsEndedByAWakeUpFromAnotherThread) {
  for (int i = 0; i < 3; ++i) {
    std::thread other([this] { asyncio::kernel::write_wake_fd(wake_fd); });
    EXPECT_EQ(turn(std::nullopt), 0);
    other.join();
  }
  EXPECT_EQ(turn(0s), 0);
}

TEST_F(EpollWait, IsNotEndedAgainByAWakeUpThatWasSeen) {
  asyncio::kernel::write_wake_fd(wake_fd);
  turn(0s);
  const auto before = std::chrono::steady_clock::now();
  turn(30ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 30ms);
}

TEST_F(EpollWait, TakesDeadlinesFinerThanAMillisecond) {
  auto shortest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 20; ++i) {
    const auto before = std::chrono::steady_clock::now();
    turn(100us);
    shortest = std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - before);
  }
  EXPECT_GE(shortest, 100us);
  EXPECT_LT(shortest, 1ms);
}

TEST_F(EpollWait, TreatsANegativeTimeAsNoTime) {
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(turn(-5s), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
}

TEST_F(EpollWait, IsVisibleToAGuestWhenSomethingWasCancelled) {
  const int guest = kernel->poll_fd();
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  turn(0s);
  pollfd p{guest, POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 0), 0);
  kernel->cancel(read);
  EXPECT_EQ(::poll(&p, 1, 0), 1);
  EXPECT_EQ(turn(0s), 1);
  EXPECT_EQ(::poll(&p, 1, 0), 0);
  kernel->forget(pair.a);
}

}  // namespace
