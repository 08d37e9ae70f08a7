// SPDX-License-Identifier: BSL-1.0
// Child processes when the system refuses.
#include "spec/subprocess_test.hpp"

#include <csignal>
#include <optional>

#include <sys/wait.h>

namespace asyncio::spec {
namespace {

using test::sys_faults;
namespace sys = asyncio::kernel::sys;

constexpr subprocess_options all_piped{.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::pipe};

/// Says something to a child and hears it again.
coroutine<> converse() {
  process p = co_await create_subprocess_exec(child("copy-twice"), all_piped);
  auto [out, err] = co_await p.communicate("said");
  EXPECT_EQ(out, "said");
  EXPECT_EQ(err, "said");
  EXPECT_EQ(p.returncode(), 0);
}

// F26: RLIMIT_NPROC
TEST(SubprocessFaults, no_more_processes_is_an_error_that_names_the_program) {
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.fail<&sys::table::posix_spawn>(EAGAIN);
    auto [error, text] = co_await failure_of(create_subprocess_exec(child("exit", "0"), all_piped));
    EXPECT_EQ(error, EAGAIN);
    EXPECT_TRUE(contains(text, "test_child': there can be no more processes: ")) << text;
    co_await converse();
  });
}

// F3
TEST(SubprocessFaults, no_more_descriptors_leave_nothing_half_made) {
  run_clean([]() -> coroutine<> {
    for (int n = 1; n <= 3; ++n) {
      sys_faults faults;
      faults.fail<&sys::table::pipe2>(EMFILE, n);
      auto [error, text] = co_await failure_of(create_subprocess_exec(child("exit", "0"), all_piped));
      EXPECT_EQ(error, EMFILE);
      EXPECT_TRUE(contains(text, "cannot make a pipe for a child process")) << text;
    }
    sys_faults faults;
    faults.fail<&sys::table::open>(EMFILE);
    auto [error, text] = co_await failure_of(
        create_subprocess_exec(child("exit", "0"), {.in = subprocess::pipe, .out = subprocess::devnull}));
    EXPECT_EQ(error, EMFILE);
    EXPECT_TRUE(contains(text, "/dev/null")) << text;
    faults.stop_failing<&sys::table::open>();
    faults.fail<&sys::table::set_status_flags>(EBADF, 2);
    auto [flags, told] = co_await failure_of(create_subprocess_exec(child("exit", "0"), all_piped));
    EXPECT_EQ(flags, EBADF) << told;
  });
}

// S237
TEST(SubprocessFaults, without_a_pidfd_for_any_reason_a_thread_waits) {
  for (const int error : {ENOSYS, EPERM, EMFILE, ENFILE, ENOMEM}) {
    run_clean([error]() -> coroutine<> {
      sys_faults faults;
      faults.fail<&sys::table::pidfd_open>(error);
      co_await converse();
      EXPECT_EQ(faults.count<&sys::table::pidfd_open>(), 1);
    });
  }
}

TEST(SubprocessFaults, a_pidfd_that_cannot_be_watched_is_closed_and_a_thread_waits) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "0"));  // the set knows its own descriptors
    co_await p.wait();
    sys_faults faults;
    faults.fail<&sys::table::epoll_ctl>(ENOSPC);
    process q = co_await create_subprocess_exec(child("exit", "5"));
    EXPECT_EQ(faults.count<&sys::table::epoll_ctl>(), 1);
    int code = co_await q.wait();
    EXPECT_EQ(code, 5);
  });
}

// A debugger holds it: its end is to be seen, and it cannot be reaped yet.
TEST(SubprocessFaults, a_child_that_is_not_to_be_reaped_when_its_pidfd_says_so_is_left_to_a_thread) {
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    static std::atomic<int> held;
    held = 1;
    faults.set<&sys::table::waitid>(+[](idtype_t type, id_t id, siginfo_t* about, int options) noexcept {
      if (type == P_PIDFD && held-- > 0) return 0;  // si_pid stays 0
      return sys::direct::waitid(type, id, about, options);
    });
    process p = co_await create_subprocess_exec(child("exit", "6"));
    int code = co_await p.wait();
    EXPECT_EQ(code, 6);
    EXPECT_LT(held, 1);
  });
}

// S239. Its number may be another process's by then.
TEST(SubprocessFaults, a_child_that_outlived_its_loop_and_was_reaped_is_sent_no_signals) {
  std::optional<process> left;
  run([&]() -> coroutine<> { left.emplace(co_await create_subprocess_exec(command("sleep", "1000"))); });
  left->kill();
  siginfo_t about;
  EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(left->pid()), &about, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(about.si_status, SIGKILL);
  run([]() -> coroutine<> { co_await converse(); });  // whose start reaps it
  sys_faults faults;
  faults.fail<&sys::table::kill>(EPERM);
  faults.fail<&sys::table::pidfd_send_signal>(EPERM);
  EXPECT_NO_THROW(left->kill());
}

// F1
TEST(SubprocessFaults, interrupted_calls_are_repeated) {
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.fail<&sys::table::waitid>(EINTR, 1, 2);
    faults.fail<&sys::table::read>(EINTR, 1, 3);
    faults.fail<&sys::table::write>(EINTR, 1, 1);
    co_await converse();
  });
}

// F5: short reads and writes
TEST(SubprocessFaults, pipes_that_give_and_take_little_at_a_time_lose_nothing) {
  run_clean([]() -> coroutine<> {
    sys_faults faults;
    faults.set<&sys::table::read_size>(+[](std::size_t wanted) noexcept { return std::min<std::size_t>(wanted, 7); });
    faults.set<&sys::table::write>(+[](int fd, const void* from, std::size_t size) noexcept {
      return sys::direct::write(fd, from, std::min<std::size_t>(size, 11));
    });
    const std::string text(5000, 't');
    process p = co_await create_subprocess_exec(child("copy"), piped);
    auto [out, err] = co_await p.communicate(text);
    EXPECT_EQ(out, text);
  });
}

TEST(SubprocessFaults, a_read_that_fails_is_told_by_communicate) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("stay"), piped_output);
    sys_faults faults;
    static std::atomic<int> broken_fd;
    broken_fd = 1;
    faults.set<&sys::table::read>(+[](int fd, void* to, std::size_t size) noexcept -> ssize_t {
      const ssize_t n = sys::direct::read(fd, to, size);
      return n > 0 && size > 8 && broken_fd-- > 0 ? -EIO : n;
    });
    std::string how = co_await ending(p.communicate());
    EXPECT_TRUE(contains(how, "Input/output error")) << how;
    p.kill();
    co_await p.wait();
  });
}

}  // namespace
}  // namespace asyncio::spec
