// SPDX-License-Identifier: BSL-1.0
// The io_uring backend when its system calls fail, and when completions say what they seldom say.
#include "kernel/kernel_test.hpp"

#include "support/sys_faults.hpp"

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <system_error>

namespace {

using namespace kernel_test;
using test::sys_faults;
namespace sys = asyncio::kernel::sys;

class UringFaults : public uring_fixture {
 protected:
  void finish(io_op& request) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (request.in_flight && std::chrono::steady_clock::now() < deadline) turn(10ms);
    EXPECT_FALSE(request.in_flight);
  }
};

/// The next result of this kind that a completion brings is this one.
std::atomic<std::int32_t> forged{0};
void forge(sys_faults& faults, std::int32_t result) {
  forged = result;
  faults.set<&sys::table::completion_result>(+[](std::int32_t real) noexcept {
    const std::int32_t instead = forged.exchange(0);
    return instead != 0 ? instead : real;
  });
}

TEST_F(UringFaults, HandsInAnewWhatWasGivenUpWithoutBeingAsked) {
  tcp_pair pair;
  for (const int error : {ECANCELED, EINTR}) {
    sys_faults faults;
    forge(faults, -error);
    send_op send(pair.a, "x");
    ASSERT_FALSE(kernel->start(send));
    finish(send);
    EXPECT_EQ(send.result, 1);
    EXPECT_EQ(send.times_done, 1);
    EXPECT_EQ(drain(pair.b), 2u) << "the forged one had been sent";
  }
  kernel->forget(pair.a);
}

TEST_F(UringFaults, GivesToEpollWhatTheRingDoesNotWaitFor) {
  tcp_pair pair;
  sys_faults faults;
  forge(faults, -EAGAIN);
  fill(pair.a);
  const std::size_t there = drain(pair.b);
  EXPECT_GT(there, 0u);
  send_op send(pair.a, "x");
  ASSERT_FALSE(kernel->start(send));
  EXPECT_EQ(kernel->in_flight(), 1u);
  finish(send);
  EXPECT_EQ(send.result, 1);
  EXPECT_EQ(kernel->in_flight(), 0u);

  forge(faults, -EAGAIN);
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  turn(0s);
  put(pair.b, "lost");  // by the forged completion
  turn(1s);
  EXPECT_TRUE(read.in_flight);
  put(pair.b, "waited for");
  finish(read);
  EXPECT_EQ(read.bytes, "waited for");
  forge(faults, -EAGAIN);
  ASSERT_FALSE(kernel->start(read));
  turn(0s);
  put(pair.b, "lost");
  turn(1s);
  kernel->cancel(read);
  finish(read);
  EXPECT_EQ(read.result, -ECANCELED);
  kernel->forget(pair.a);
}

TEST_F(UringFaults, SaysCancelledWhateverTheKernelSaysOfWhatWasCancelled) {
  tcp_pair pair;
  for (const int error : {EINTR, EAGAIN, ENOBUFS}) {
    recorded_op read(io_kind::recv, pair.a);
    ASSERT_FALSE(kernel->start(read));
    turn(0s);
    sys_faults faults;
    forge(faults, -error);
    kernel->cancel(read);
    finish(read);
    EXPECT_EQ(read.result, -ECANCELED);
  }
  kernel->forget(pair.a);
}

TEST_F(UringFaults, PassesOnWhatIsAnError) {
  tcp_pair pair;
  for (const int error : {ECONNRESET, ENOMEM, ENOBUFS}) {
    sys_faults faults;
    forge(faults, -error);
    send_op send(pair.a, "x");
    ASSERT_FALSE(kernel->start(send));
    finish(send);
    EXPECT_EQ(send.result, -error);
  }
  kernel->forget(pair.a);
}

// Whatever io_uring_enter fails with, and when: what was not taken is handed in later.
TEST_F(UringFaults, LosesNothingWhenEnteringFails) {
  for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM}) {
    for (int first = 1; first <= 6; ++first) {
      tcp_pair pair;
      sys_faults faults;
      faults.fail<&sys::table::io_uring_enter>(error, first, 3);
      send_op send(pair.a, "there");
      recorded_op back(io_kind::recv, pair.a);
      ASSERT_FALSE(kernel->start(send));
      ASSERT_FALSE(kernel->start(back));
      finish(send);
      EXPECT_EQ(send.result, 5);
      put(pair.b, "back");
      finish(back);
      EXPECT_EQ(back.bytes, "back");
      kernel->forget(pair.a);
      turn(0s);
    }
  }
}

TEST_F(UringFaults, DoesNotSleepWhileARequestHasFoundNoRoom) {
  std::deque<tcp_pair> pairs(4);
  std::deque<recorded_op> idle;
  turn(0s);
  for (tcp_pair& pair : pairs) ASSERT_FALSE(kernel->start(idle.emplace_back(io_kind::recv, pair.a)));
  send_op send(pairs[0].a, "x");
  ASSERT_FALSE(kernel->start(send));
  sys_faults faults;
  faults.fail<&sys::table::io_uring_enter>(EBUSY);
  const auto before = std::chrono::steady_clock::now();
  while (send.in_flight) turn(20s);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
  for (tcp_pair& pair : pairs) kernel->forget(pair.a);
  while (kernel->in_flight() > 0) turn(1s);
}

// A request that could not be handed in names a descriptor that is closed meanwhile, and its number means another file.
TEST_F(UringFaults, SendsNothingToWhatHasTheNumberOfAClosedDescriptor) {
  auto first = std::make_unique<tcp_pair>();
  tcp_pair second;
  turn(0s);
  sys_faults faults;
  faults.fail<&sys::table::io_uring_enter>(EBUSY);
  send_op send(first->a, "for the first");
  ASSERT_FALSE(kernel->start(send));
  turn(0s);
  const int number = first->a;
  kernel->forget(number);
  first.reset();
  ASSERT_EQ(::dup2(second.a, number), number);
  finish(send);
  EXPECT_EQ(send.result, -ECANCELED);
  EXPECT_EQ(drain(second.b), 0u);
  ::close(number);
}

TEST_F(UringFaults, AsksForNoBytesTwice) {
  tcp_pair pair;
  put(pair.b, "abc");
  sys_faults faults;
  faults.watch<&sys::table::recv>();
  faults.watch<&sys::table::io_uring_enter>();
  recorded_op read(io_kind::recv, pair.a);
  ASSERT_FALSE(kernel->start(read));
  turn();
  EXPECT_EQ(read.bytes, "abc");
  EXPECT_EQ(faults.count<&sys::table::recv>(), 0);
  EXPECT_EQ(faults.count<&sys::table::io_uring_enter>(), 1) << "a turn is one system call";
  kernel->forget(pair.a);
}

TEST(UringMaking, LeavesNothingOpenWhenItFails) {  // F3
  const int wake_fd = asyncio::kernel::make_wake_fd();
  try {
    asyncio::kernel::make_uring_kernel(wake_fd);
  } catch (const std::system_error& error) {
    asyncio::kernel::close_fd(wake_fd);
    GTEST_SKIP() << error.what();
  }
  const std::size_t before = test::open_descriptors();
  const auto refused = [&](int error) {
    try {
      asyncio::kernel::make_uring_kernel(wake_fd);
      ADD_FAILURE() << "made all the same";
    } catch (const std::system_error& e) {
      EXPECT_EQ(e.code().value(), error);
    }
    EXPECT_EQ(test::open_descriptors(), before);
  };
  sys_faults faults;
  for (const int error : {EPERM, ENOSYS, EMFILE, ENOMEM}) {
    faults.fail<&sys::table::io_uring_setup>(error);
    refused(error);
  }
  for (int n = 1; n <= 2; ++n) {
    faults.fail<&sys::table::io_uring_register>(EINVAL, n);
    refused(EINVAL);
  }
  faults.stop_failing<&sys::table::io_uring_register>();
  for (int n = 1; n <= 4; ++n) {
    faults.fail<&sys::table::map>(ENOMEM, n);
    refused(ENOMEM);
  }
  faults.stop_failing<&sys::table::map>();
  faults.fail<&sys::table::epoll_create1>(EMFILE);
  refused(EMFILE);
  faults.set<&sys::table::io_uring_setup>(+[](unsigned requests, asyncio::kernel::abi::setup_params* params) noexcept {
    const int fd = sys::direct::io_uring_setup(requests, params);
    params->features = 0;
    return fd;
  });
  refused(ENOSYS);
  asyncio::kernel::close_fd(wake_fd);
}

}  // namespace
