// SPDX-License-Identifier: BSL-1.0
// The epoll backend when system calls fail, are interrupted or come back short.
#include "kernel/kernel_test.hpp"

#include "support/sys_faults.hpp"

#include <system_error>
#include <utility>

#include <fcntl.h>

namespace {

using namespace kernel_test;
using test::sys_faults;
namespace sys = asyncio::kernel::sys;

class EpollFaults : public epoll_fixture {};

TEST_F(EpollFaults, RepeatsAnInterruptedCall) {  // F1
  tcp_pair pair;
  put(pair.b, "x");
  sys_faults faults;
  faults.fail<&sys::table::recv>(EINTR, 1, 3);
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "x");
  EXPECT_EQ(faults.count<&sys::table::recv>(), 4);

  faults.fail<&sys::table::send>(EINTR, 1, 2);
  send_op send(pair.a, "y");
  ASSERT_TRUE(kernel->start(send));
  EXPECT_EQ(send.result, 1);

  tcp_listener listener;
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&listener.address), listener.size), 0);
  faults.fail<&sys::table::accept4>(EINTR, 1, 2);
  recorded_op accept(io_kind::accept, listener.fd);
  if (!kernel->start(accept)) {
    EXPECT_EQ(turn(), 1);
  }
  ASSERT_GE(accept.result, 0);
  ::close(static_cast<int>(accept.result));
  ::close(client);
  kernel->forget(pair.a);
  kernel->forget(listener.fd);
}

TEST_F(EpollFaults, GoesOnConnectingAfterAnInterruptedConnect) {
  tcp_listener listener;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  recorded_op connect(io_kind::connect, fd);
  connect.address = &listener.address;
  connect.address_size = listener.size;
  sys_faults faults;
  // The kernel goes on by itself; the call only says that it was interrupted.
  faults.set<&sys::table::connect>(+[](int socket, const sockaddr* to, socklen_t size) noexcept {
    const int result = sys::direct::connect(socket, to, size);
    return result == -EINPROGRESS ? -EINTR : result;
  });
  if (!kernel->start(connect))
    while (connect.times_done == 0) turn();
  EXPECT_EQ(connect.result, 0);
  kernel->forget(fd);
  ::close(fd);
}

TEST_F(EpollFaults, ReturnsEarlyFromAnInterruptedWait) {
  sys_faults faults;
  faults.fail<&sys::table::epoll_pwait2>(EINTR);
  EXPECT_EQ(turn(10s), 0);
  EXPECT_EQ(faults.count<&sys::table::epoll_pwait2>(), 1);
}

TEST_F(EpollFaults, WaitsInMillisecondsWhereNanosecondsAreUnknown) {
  for (const int refusal : {ENOSYS, EPERM}) {
    auto fresh = asyncio::kernel::make_epoll_kernel(wake_fd);
    kernel.swap(fresh);
    sys_faults faults;
    faults.fail<&sys::table::epoll_pwait2>(refusal, 1, 1000);
    faults.watch<&sys::table::epoll_wait>();
    const auto before = std::chrono::steady_clock::now();
    turn(1500us);
    EXPECT_GE(std::chrono::steady_clock::now() - before, 1500us) << "rounded up";
    turn(1ms);
    EXPECT_EQ(faults.count<&sys::table::epoll_pwait2>(), 1) << "asked once";
    EXPECT_EQ(faults.count<&sys::table::epoll_wait>(), 2);
    kernel.swap(fresh);
  }
}

TEST_F(EpollFaults, AsksWhetherADescriptorIsOpenOnlyWhenItIsBeyondAllEarlierOnes) {
  test::socket_pair pair;
  const int high = ::fcntl(pair.a, F_DUPFD_CLOEXEC, 100);
  sys_faults faults;
  faults.watch<&sys::table::get_status_flags>();
  for (const int fd : {high, high, pair.a, pair.b}) {
    recorded_op readable(io_kind::readable, fd);
    ASSERT_FALSE(kernel->start(readable));
    kernel->cancel(readable);
    EXPECT_EQ(turn(0s), 1);
  }
  EXPECT_EQ(faults.count<&sys::table::get_status_flags>(), 1);
  ::close(high);
}

TEST_F(EpollFaults, DoesNotAskTwiceAfterAShortRead) {
  tcp_pair pair;
  put(pair.b, "short");
  sys_faults faults;
  faults.watch<&sys::table::recv>();
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_TRUE(kernel->start(read));
  ASSERT_FALSE(kernel->start(read));
  EXPECT_EQ(faults.count<&sys::table::recv>(), 1);
  put(pair.b, "next");
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(faults.count<&sys::table::recv>(), 2);
  kernel->forget(pair.a);
}

TEST_F(EpollFaults, AsksAgainAfterAShortReadOfADatagram) {
  test::socket_pair pair(SOCK_DGRAM);
  put(pair.b, "one");
  put(pair.b, "two");
  recorded_op read(io_kind::recv, pair.a);
  read.bounded_reads = true;
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "one");
  ASSERT_TRUE(kernel->start(read));
  EXPECT_EQ(read.now(), "two");
  kernel->forget(pair.a);
}

TEST_F(EpollFaults, RegistersASocketOnce) {
  tcp_pair pair;
  sys_faults faults;
  faults.watch<&sys::table::epoll_ctl>();
  recorded_op read(io_kind::recv, pair.a);
  for (int i = 0; i < 5; ++i) {
    ASSERT_FALSE(kernel->start(read));
    put(pair.b, "x");
    while (read.in_flight) turn();
  }
  EXPECT_EQ(faults.count<&sys::table::epoll_ctl>(), 1);
  kernel->forget(pair.a);
  EXPECT_EQ(faults.count<&sys::table::epoll_ctl>(), 2);
}

TEST_F(EpollFaults, LosesNothingWhenEveryReadAndWriteIsShort) {  // F14
  tcp_pair pair;
  std::string sent;
  for (int i = 0; i < 300; ++i) sent += std::to_string(i) + ",";
  sys_faults faults;
  faults.shorten(7);
  std::string received;
  recorded_op read(io_kind::recv, pair.a);
  std::size_t out = 0;
  const int b = ::dup(pair.b);
  ::fcntl(b, F_SETFL, O_NONBLOCK);
  while (received.size() < sent.size()) {
    if (out < sent.size()) {
      send_op send(b, std::string_view(sent).substr(out));
      ASSERT_TRUE(kernel->start(send));
      ASSERT_GT(send.result, 0);
      EXPECT_LE(send.result, 7);
      out += static_cast<std::size_t>(send.result);
    }
    if (read.in_flight) {
      turn(out < sent.size() ? 0s : 5s);
      received += std::exchange(read.bytes, {});
    } else if (kernel->start(read)) {
      EXPECT_LE(read.result, 7);
      received += read.now();
    }
  }
  EXPECT_EQ(received, sent);
  kernel->cancel(read);
  kernel->forget(pair.a);
  kernel->forget(b);
  turn(0s);
  ::close(b);
}

TEST_F(EpollFaults, LooksAgainAfterAReadinessThatWasNone) {  // F14: EAGAIN after readiness
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  sys_faults faults;
  faults.fail<&sys::table::recv>(EAGAIN);
  put(pair.b, "x");
  EXPECT_EQ(turn(), 0);
  EXPECT_EQ(turn(), 1) << "what is there is not waited for in vain";
  EXPECT_EQ(read.bytes, "x");

  put(pair.b, "yz");
  std::byte room[1];
  read.buffer = room;
  read.size = sizeof room;
  while (!kernel->start(read) && turn() == 0) {}
  faults.fail<&sys::table::recv>(EAGAIN);
  ASSERT_FALSE(kernel->start(read)) << "the first try, with nothing known against it";
  EXPECT_EQ(turn(), 1);
  EXPECT_EQ(read.bytes, "z");

  faults.fail<&sys::table::send>(EAGAIN);
  send_op tried(pair.a, "a");
  tried.try_only = true;
  ASSERT_TRUE(kernel->start(tried));
  EXPECT_EQ(tried.result, -EAGAIN);
  send_op send(pair.a, "b");
  if (!kernel->start(send)) {
    EXPECT_EQ(turn(), 1);
  }
  EXPECT_EQ(send.result, 1);
  kernel->forget(pair.a);
}

TEST_F(EpollFaults, ReportsADescriptorThatCannotBeRegistered) {
  tcp_pair pair;
  sys_faults faults;
  for (const int error : {ENOMEM, ENOSPC}) {
    faults.fail<&sys::table::epoll_ctl>(error);
    recorded_op read(io_kind::recv, pair.a);
    ASSERT_TRUE(kernel->start(read));
    EXPECT_EQ(read.result, -error);
    recorded_op readable(io_kind::readable, wake_fd);
    faults.fail<&sys::table::epoll_ctl>(error);
    ASSERT_TRUE(kernel->start(readable));
    EXPECT_EQ(readable.result, -error);
  }
  EXPECT_EQ(kernel->in_flight(), 0u);
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read)) << "and may be later";
  kernel->forget(pair.a);
  EXPECT_EQ(turn(0s), 1);
}

TEST_F(EpollFaults, IgnoresEventsOfAnEarlierLifeOfADescriptor) {  // F15
  static std::uint64_t remembered = 0;
  sys_faults faults;
  faults.set<&sys::table::epoll_ctl>(+[](int epfd, int operation, int fd, epoll_event* event) noexcept {
    if (operation == EPOLL_CTL_ADD && remembered == 0) remembered = event->data.u64;
    return sys::direct::epoll_ctl(epfd, operation, fd, event);
  });
  tcp_pair pair;
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  kernel->forget(pair.a);
  EXPECT_EQ(turn(0s), 1);
  ASSERT_FALSE(kernel->start(read)) << "the same number, registered anew";
  faults.set<&sys::table::epoll_wait>(+[](int, epoll_event* events, int, int) noexcept {
    events[0].events = EPOLLIN | EPOLLOUT | EPOLLHUP;
    events[0].data.u64 = remembered;
    events[1].events = EPOLLIN;
    events[1].data.u64 = std::uint64_t(7) << 32 | 1'000'000;  // never seen
    return 2;
  });
  faults.watch<&sys::table::recv>();
  EXPECT_EQ(turn(0s), 0);
  EXPECT_EQ(faults.count<&sys::table::recv>(), 0);
  kernel->forget(pair.a);
}

TEST(EpollMaking, LeavesNothingOpenWhenItFails) {  // F3
  const int wake_fd = asyncio::kernel::make_wake_fd();
  const std::size_t before = test::open_descriptors();
  sys_faults faults;
  faults.fail<&sys::table::epoll_create1>(EMFILE);
  EXPECT_THROW(asyncio::kernel::make_epoll_kernel(wake_fd), std::system_error);
  faults.fail<&sys::table::epoll_ctl>(ENOMEM);
  EXPECT_THROW(asyncio::kernel::make_epoll_kernel(wake_fd), std::system_error);
  faults.fail<&sys::table::eventfd>(ENFILE);
  EXPECT_THROW(asyncio::kernel::make_wake_fd(), std::system_error);
  EXPECT_EQ(test::open_descriptors(), before);
  asyncio::kernel::close_fd(wake_fd);
}

}  // namespace
