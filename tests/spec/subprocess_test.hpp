// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "spec/spec.hpp"

#include "support/descriptors.hpp"
#if defined(ASYNCIO_TEST_SEAMS)
#include "support/sys_faults.hpp"
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::spec {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
inline constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool sanitized = false;
#endif

/// The program that tests start; what it does is its first argument.
template <class... A>
command child(A&&... arguments) {
  return command(ASYNCIO_TEST_CHILD, std::forward<A>(arguments)...);
}

inline constexpr subprocess_options piped_output{.out = subprocess::pipe};
inline constexpr subprocess_options piped{.in = subprocess::pipe, .out = subprocess::pipe};

/// No child is left, neither running nor to be reaped.
inline bool has_no_children() {
  siginfo_t about;
  return ::waitid(P_ALL, 0, &about, WEXITED | WNOWAIT | WNOHANG) == -1 && errno == ECHILD;
}

/// Waits until the last child is gone that its loop has left: a thread has reaped it, or the start of another child does.
inline void wait_for_left_children() {
  const auto another = []() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "0"));
    co_await p.wait();
  };
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!has_no_children() && std::chrono::steady_clock::now() < deadline) asyncio::run(another);
  EXPECT_TRUE(has_no_children());
}

/// Has this child ended, and waits to be reaped?
inline bool is_zombie(pid_t pid) {
  siginfo_t about;
  about.si_pid = 0;
  return ::waitid(P_PID, static_cast<id_t>(pid), &about, WEXITED | WNOWAIT | WNOHANG) == 0 && about.si_pid == pid;
}
inline void wait_for_zombie(pid_t pid) {
  siginfo_t about;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &about, WEXITED | WNOWAIT), 0);
}

/// Runs a coroutine function on a loop of its own: afterwards there is no child and no descriptor that was not there
/// before, and nobody reported anything.
template <class Body>
void run_clean(Body body) {
  const std::size_t before = test::open_descriptors();
  lines reports;
  auto main = [&]() -> coroutine<> {
    get_running_loop().set_exception_handler(
        [&](event_loop&, const exception_context& context) { reports.push_back(context.message); });
    co_await body();
  };
  asyncio::run(main);
  EXPECT_EQ(reports, lines());
  EXPECT_TRUE(has_no_children());
  EXPECT_EQ(test::settled_descriptors(before), before);
}

/// How the loop hears of a child's end.
enum class way { pidfd, thread };

/// Tests that hold for both ways.
class Subprocess : public ::testing::TestWithParam<way> {
 protected:
  void SetUp() override {
#if defined(ASYNCIO_TEST_SEAMS)
    if (GetParam() == way::thread) faults.fail<&test::sys::table::pidfd_open>(ENOSYS, 1, 1'000'000);
#endif
  }
#if defined(ASYNCIO_TEST_SEAMS)
  test::sys_faults faults;
#endif
};

inline std::string name_of_way(const ::testing::TestParamInfo<way>& info) {
  return info.param == way::pidfd ? "pidfd" : "thread";
}
#if defined(ASYNCIO_TEST_SEAMS)
#define ASYNCIO_BOTH_WAYS(suite) \
  INSTANTIATE_TEST_SUITE_P(Way, suite, ::testing::Values(way::pidfd, way::thread), name_of_way)
#else
#define ASYNCIO_BOTH_WAYS(suite) INSTANTIATE_TEST_SUITE_P(Way, suite, ::testing::Values(way::pidfd), name_of_way)
#endif

/// Awaits a task that was cancelled.
template <class T>
coroutine<> wait_for_end_of(task<T> one) {
  (void)co_await one;
}

/// "what(): …" of the std::system_error that f() throws, with its number.
template <class A>
coroutine<std::pair<int, std::string>> failure_of(A awaited) {
  std::pair<int, std::string> failure(0, "");
  try {
    (void)co_await std::move(awaited);
  } catch (const std::system_error& error) {
    failure = {error.code().value(), error.what()};
  }
  co_return failure;
}

}  // namespace asyncio::spec
