// SPDX-License-Identifier: BSL-1.0
// Starting children when the system refuses.
#include "kernel/spawn_test.hpp"

#include "support/descriptors.hpp"
#include "support/sys_faults.hpp"

namespace {

using namespace kernel_test;
using asyncio::kernel::spawn_step;
using test::sys_faults;
namespace sys = asyncio::kernel::sys;

TEST(SpawnFaults, tell_that_there_can_be_no_more_processes) {  // F26
  for (const int error : {EAGAIN, ENOMEM}) {
    sys_faults faults;
    faults.fail<&sys::table::posix_spawn>(error);
    const spawned made = asyncio::kernel::spawn(child({"exit", "0"}));
    EXPECT_EQ(made.error, error);
    EXPECT_EQ(made.step, spawn_step::process);
    EXPECT_EQ(faults.count<&sys::table::posix_spawn>(), 1) << "it is not about the file: no other one is tried";
  }
}

TEST(SpawnFaults, tell_that_the_folder_could_not_be_opened) {
  sys_faults faults;
  faults.fail<&sys::table::open>(EMFILE);
  spawn_request request = child({"exit", "0"});
  request.directory = "/tmp";
  const spawned made = asyncio::kernel::spawn(request);
  EXPECT_EQ(made.error, EMFILE);
  EXPECT_EQ(made.step, spawn_step::directory);
}

TEST(SpawnFaults, tell_that_the_folder_may_not_be_entered_and_close_it) {
  const std::size_t before = test::open_descriptors();
  sys_faults faults;
  faults.fail<&sys::table::find_at>(EACCES);
  spawn_request request = child({"exit", "0"});
  request.directory = "/tmp";
  const spawned made = asyncio::kernel::spawn(request);
  EXPECT_EQ(made.error, EACCES);
  EXPECT_EQ(made.step, spawn_step::directory);
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(SpawnFaults, reap_by_pid_where_pidfds_can_only_be_polled) {  // Linux 5.3
  const spawned made = asyncio::kernel::spawn(child({"exit", "4"}));
  ASSERT_EQ(made.error, 0);
  sys_faults faults;
  asyncio::kernel::await_exit(made.pid);
  faults.fail<&sys::table::waitid>(EINVAL);
  EXPECT_EQ(asyncio::kernel::reap(made.pid, 0).code, 4);
  EXPECT_EQ(faults.count<&sys::table::waitid>(), 2);
}

TEST(SpawnFaults, repeat_an_interrupted_wait) {  // F1
  const spawned made = asyncio::kernel::spawn(child({"exit", "4"}));
  ASSERT_EQ(made.error, 0);
  sys_faults faults;
  faults.fail<&sys::table::waitid>(EINTR, 1, 2);
  asyncio::kernel::await_exit(made.pid);
  EXPECT_EQ(faults.count<&sys::table::waitid>(), 3);
  faults.fail<&sys::table::waitid>(EINTR, 1, 2);
  EXPECT_EQ(asyncio::kernel::reap(made.pid, -1).code, 4);
}

}  // namespace
