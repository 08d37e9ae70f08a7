// SPDX-License-Identifier: BSL-1.0
// Other programs as children: what they get, what they do not get, and how they end.
#include "kernel/spawn_test.hpp"

#include "support/descriptors.hpp"
#include "support/scratch_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

namespace {

using namespace kernel_test;
using asyncio::kernel::spawn_step;

std::string identity(int fd) {
  struct stat about{};
  EXPECT_EQ(::fstat(fd, &about), 0);
  return std::to_string(about.st_dev) + ':' + std::to_string(about.st_ino);
}

/// A file of its own under the number that it asks for, on which nothing stands that the test needs.
int file_at(int number) {
  const int fd = ::memfd_create("spawn_test", MFD_CLOEXEC);
  if (fd == number) return fd;
  EXPECT_EQ(::dup3(fd, number, O_CLOEXEC), number);
  ::close(fd);
  return number;
}

/// What the child says that it has, but for its standard output.
std::map<int, std::string> descriptors_of(const spawn_request& request) {
  std::map<int, std::string> found;
  const std::string text = output_of(request);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t space = text.find(' ', at);
    const std::size_t end = text.find('\n', at);
    found[std::stoi(text.substr(at))] = text.substr(space + 1, end - space - 1);
    at = end + 1;
  }
  found.erase(1);
  return found;
}

TEST(Spawn, hands_over_descriptors_in_every_permutation) {
  std::vector<int> numbers{40, 41, 42, 43};
  for (const int number : numbers) file_at(number);
  std::vector<int> targets = numbers;
  do {
    spawn_request request = child({"descriptors"});
    std::map<int, std::string> expected;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      request.descriptors.push_back({numbers[i], targets[i]});
      expected[targets[i]] = identity(numbers[i]);
    }
    EXPECT_EQ(descriptors_of(request), expected);
  } while (std::ranges::next_permutation(targets).found);
  for (const int number : numbers) ::close(number);
}

TEST(Spawn, hands_over_one_descriptor_as_several_and_standard_ones_crosswise) {
  file_at(50);
  spawn_request request = child({"descriptors"});
  request.descriptors = {{50, 0}, {50, 2}, {50, 50}, {0, 7}, {2, 51}};
  const std::map<int, std::string> expected{
      {0, identity(50)}, {2, identity(50)}, {50, identity(50)}, {7, identity(0)}, {51, identity(2)}};
  EXPECT_EQ(descriptors_of(request), expected);
  ::close(50);
}

TEST(Spawn, hands_over_nothing_else_even_of_descriptors_that_others_left_open_for_children) {  // S236 F25
  const int foreign_low = ::open("/dev/null", O_RDONLY);                                       // no O_CLOEXEC
  const int foreign_high = ::fcntl(foreign_low, F_DUPFD, 300);
  spawn_request request = child({"descriptors"});
  EXPECT_EQ(descriptors_of(request), (std::map<int, std::string>{}));
  request.descriptors.push_back({foreign_high, 400});
  EXPECT_EQ(descriptors_of(request), (std::map<int, std::string>{{400, identity(foreign_high)}}));
  ::close(foreign_low);
  ::close(foreign_high);
}

TEST(Spawn, leaves_the_parents_descriptors_as_they_are) {
  const std::size_t before = test::open_descriptors();
  output_of(child({"exit", "0"}));
  EXPECT_EQ(test::open_descriptors(), before);
}

TEST(Spawn, gives_every_signal_its_default_action_and_blocks_none) {  // F27
  struct sigaction ignore{};
  struct sigaction old_pipe{};
  struct sigaction old_user{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &old_pipe);
  ::sigaction(SIGRTMIN + 3, &ignore, &old_user);
  sigset_t all;
  sigset_t old_mask;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &old_mask);
  EXPECT_EQ(output_of(child({"signals"})), "");
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, &old_mask, &mask);
  EXPECT_EQ(sigismember(&mask, SIGUSR1), 1) << "the parent's own mask is as it was";
  ::sigaction(SIGPIPE, &old_pipe, nullptr);
  ::sigaction(SIGRTMIN + 3, &old_user, nullptr);
}

TEST(Spawn, passes_arguments_as_they_are) {  // S17
  EXPECT_EQ(output_of(child({"arguments", "; rm -rf /", "two\nlines", "'\"$HOME`", "", "\xff"})),
            "[; rm -rf /]\n[two\nlines]\n['\"$HOME`]\n[]\n[\xff]\n");
}

TEST(Spawn, gives_the_environment_that_it_was_told_or_its_own) {
  spawn_request request = child({"environment"});
  ::setenv("SPAWN_TEST", "inherited", 1);
  EXPECT_NE(output_of(request).find("SPAWN_TEST=inherited\n"), std::string::npos);
  ::unsetenv("SPAWN_TEST");
  request.env = {"A=1", "B="};
  EXPECT_EQ(output_of(request), "A=1\nB=\n");
  request.env.emplace();
  EXPECT_EQ(output_of(request), "");
}

TEST(Spawn, starts_in_the_folder_that_it_was_told) {
  test::scratch_folder folder;
  spawn_request request = child({"folder"});
  request.directory = folder.path();
  EXPECT_EQ(output_of(request), folder.path() + "\n");
}

TEST(Spawn, looks_for_a_program_along_the_path_of_the_childs_environment) {
  test::scratch_folder folder;
  ASSERT_EQ(::symlink(ASYNCIO_TEST_CHILD, (folder.path() + "/my-child").c_str()), 0);
  spawn_request request;
  request.argv = {"my-child", "arguments", "x"};
  EXPECT_EQ(asyncio::kernel::spawn(request).error, ENOENT);
  request.env = {"PATH=/nowhere:" + folder.path()};
  EXPECT_EQ(output_of(request), "[x]\n");
  request.env = {"PATH=relative:"};  // an empty part is the folder that the child is in
  request.directory = folder.path();
  EXPECT_EQ(output_of(request), "[x]\n");
  request.argv[0] = "./my-child";  // seen from there, too
  request.env = {"PATH=/nowhere"};
  EXPECT_EQ(output_of(request), "[x]\n");
  request.argv[0] = "sh";
  request.env = {"A=b"};  // no PATH: where programs usually are
  request.argv = {"sh", "-c", "echo y"};
  EXPECT_EQ(output_of(request), "y\n");
}

TEST(Spawn, goes_on_along_the_path_where_a_file_may_not_be_run_and_tells_of_it_at_the_end) {
  test::scratch_folder folder;
  for (const char* name : {"/a", "/b"}) ::mkdir((folder.path() + name).c_str(), 0700);
  const int fd = ::open((folder.path() + "/a/my-child").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ::close(fd);
  spawn_request request;
  request.argv = {"my-child", "arguments", "x"};
  request.env = {"PATH=" + folder.path() + "/a:" + folder.path() + "/b"};
  EXPECT_EQ(asyncio::kernel::spawn(request).error, EACCES);
  ASSERT_EQ(::symlink(ASYNCIO_TEST_CHILD, (folder.path() + "/b/my-child").c_str()), 0);
  EXPECT_EQ(output_of(request), "[x]\n");
}

TEST(Spawn, starts_a_session_or_a_group_when_asked) {
  const auto ids = [](const spawn_request& request) {
    std::array<int, 4> found{};
    EXPECT_EQ(std::sscanf(output_of(request).c_str(), "%d %d %d %d", &found[0], &found[1], &found[2], &found[3]), 4);
    return found;  // pid, parent, group, session
  };
  spawn_request request = child({"ids"});
  auto [pid, parent, group, session] = ids(request);
  EXPECT_EQ(parent, ::getpid());
  EXPECT_EQ(group, ::getpgrp());
  EXPECT_EQ(session, ::getsid(0));
  request.process_group = 0;
  std::tie(pid, parent, group, session) = std::tuple_cat(ids(request));
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, ::getsid(0));
  request.process_group.reset();
  request.new_session = true;
  std::tie(pid, parent, group, session) = std::tuple_cat(ids(request));
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session, pid);
}

TEST(Spawn, says_how_a_child_ended) {  // S228
  int code = -1;
  output_of(child({"exit", "7"}), &code);
  EXPECT_EQ(code, 7);
  output_of(child({"die", "9"}), &code);
  EXPECT_EQ(code, -9);
}

TEST(Spawn, reaps_with_and_without_a_descriptor_and_only_what_has_ended) {
  for (const bool with_pidfd : {true, false}) {
    const spawned made = asyncio::kernel::spawn(child({"wait"}));
    ASSERT_EQ(made.error, 0);
    const int pidfd = with_pidfd ? asyncio::kernel::open_pidfd(made.pid) : -1;
    EXPECT_FALSE(asyncio::kernel::reap(made.pid, pidfd).ended);
    EXPECT_EQ(asyncio::kernel::signal_child(made.pid, pidfd, SIGTERM), 0);
    asyncio::kernel::await_exit(made.pid);
    EXPECT_EQ(asyncio::kernel::signal_child(made.pid, pidfd, SIGTERM), 0) << "ended, but nobody has reaped it";
    const child_state state = asyncio::kernel::reap(made.pid, pidfd);
    EXPECT_TRUE(state.ended);
    EXPECT_FALSE(state.lost);
    EXPECT_EQ(state.code, -SIGTERM);
    EXPECT_EQ(asyncio::kernel::signal_child(made.pid, pidfd, SIGTERM), ESRCH);
    if (pidfd >= 0) ::close(pidfd);
  }
}

TEST(Spawn, knows_that_a_child_was_reaped_elsewhere) {  // S237
  for (const bool with_pidfd : {true, false}) {
    const spawned made = asyncio::kernel::spawn(child({"exit", "3"}));
    const int pidfd = with_pidfd ? asyncio::kernel::open_pidfd(made.pid) : -1;
    ASSERT_EQ(::waitpid(made.pid, nullptr, 0), made.pid);
    asyncio::kernel::await_exit(made.pid);  // returns
    const child_state state = asyncio::kernel::reap(made.pid, pidfd);
    EXPECT_TRUE(state.ended);
    EXPECT_TRUE(state.lost);
    EXPECT_EQ(state.code, 255);
    EXPECT_EQ(asyncio::kernel::open_pidfd(made.pid), -ESRCH);
    if (pidfd >= 0) ::close(pidfd);
  }
}

TEST(Spawn, tells_what_failed_and_leaves_nothing) {  // S234 F26
  const std::size_t before = test::open_descriptors();
  spawn_request request = child({"exit", "0"});
  request.directory = "/no/such/folder";
  spawned made = asyncio::kernel::spawn(request);
  EXPECT_EQ(made.error, ENOENT);
  EXPECT_EQ(made.step, spawn_step::directory);
  request.directory = "/dev/null";
  EXPECT_EQ(asyncio::kernel::spawn(request).error, ENOTDIR);

  request = child({});
  request.argv[0] = "/no/such/program";
  made = asyncio::kernel::spawn(request);
  EXPECT_EQ(made.error, ENOENT);
  EXPECT_EQ(made.step, spawn_step::program);
  EXPECT_EQ(made.pid, -1);
  request.argv[0] = "/dev/null/program";
  EXPECT_EQ(asyncio::kernel::spawn(request).error, ENOTDIR);
  request.argv[0] = "/tmp";
  EXPECT_EQ(asyncio::kernel::spawn(request).error, EACCES);

  for (const int not_open : {999, 100'000'000, -1}) {
    request = child({"exit", "0"});
    request.descriptors = {{not_open, 5}};
    made = asyncio::kernel::spawn(request);
    EXPECT_EQ(made.error, EBADF);
    EXPECT_EQ(made.step, spawn_step::descriptors);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
  EXPECT_EQ(test::open_descriptors(), before);
}

}  // namespace
