// SPDX-License-Identifier: BSL-1.0
// asyncio::testing: what is left over is said by name.
#include "spec/spec.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <array>
#include <memory>
#include <optional>
#include <thread>

namespace asyncio::spec {
namespace {

/// What testing::run(body) says is left over.
template <class F>
std::string left_over_by(F body) {
  try {
    testing::run(body);
  } catch (const std::logic_error& e) {
    return e.what();
  }
  return "nothing";
}

coroutine<int> answer() {
  co_await sleep(1s);
  co_return 42;
}

TEST(Leaks, a_task_whose_handle_is_kept_is_named_with_its_place) {
  std::vector<task<int>> kept;
  const std::string text = left_over_by([&]() -> coroutine<> {
    kept.push_back(create_task(answer(), {.name = "first"}));
    kept.push_back(create_task(answer(), {.name = "second"}));
    const int n = co_await kept[0];
    EXPECT_EQ(n, 42);
  });
  EXPECT_TRUE(text.starts_with("left over: 2 tasks\n  * <Task 'first' finished coro=")) << text;
  EXPECT_TRUE(contains(text, "answer()> of ")) << text;
  EXPECT_TRUE(contains(text, "testing_leaks_test.cpp:")) << text;
  EXPECT_TRUE(contains(text, "\n  * <Task 'second' ")) << text;
}

TEST(Leaks, futures_and_callbacks_are_counted_apart) {
  std::vector<future<>> futures;
  std::vector<callback_handle> callbacks;
  const std::string text = left_over_by([&]() -> coroutine<> {
    futures.emplace_back();
    futures.emplace_back();
    callbacks.push_back(get_running_loop().call_later(1h, [] {}));
    co_return;
  });
  EXPECT_EQ(text, "left over: 2 futures, 1 callback or timer");
}

TEST(Leaks, a_handle_that_is_dropped_later_is_found_no_more) {
  std::optional<task<int>> kept;
  const auto before = testing::ledger::now();
  run([&]() -> coroutine<> {
    kept = create_task(answer());
    co_return;
  });
  EXPECT_TRUE(contains(thrown_by([&] { testing::ledger::now().check_nothing_left_since(before); }), "1 task"));
  std::thread([&] { kept.reset(); }).join();
  EXPECT_EQ(thrown_by([&] { testing::ledger::now().check_nothing_left_since(before); }), "nothing");
}

TEST(Leaks, what_was_there_before_is_not_counted) {
  std::optional<future<>> older;
  run([&]() -> coroutine<> {
    older.emplace();
    co_return;
  });
  EXPECT_EQ(left_over_by([]() -> coroutine<> { co_await sleep(1s); }), "nothing");
}

TEST(Leaks, a_pending_task_of_a_loop_that_is_not_closed_shows_its_coroutines) {
  std::unique_ptr<event_loop> loop;
  const auto before = testing::ledger::now();
  loop = new_event_loop();
  loop->create_task(answer(), {.name = "stuck"});
  (void)loop->run_once(0s);
  const std::string text = thrown_by([&] { testing::ledger::now().check_nothing_left_since(before); });
  EXPECT_TRUE(contains(text, "1 task")) << text;
  EXPECT_TRUE(contains(text, "1 loop that is not closed")) << text;
  EXPECT_TRUE(contains(text, "\n  * Task(name='stuck', id=1)\n    + Call stack:\n    |   File ")) << text;
}

TEST(Leaks, a_descriptor_is_named_with_what_it_refers_to) {
  std::array<int, 2> ends{};
  const std::string text = left_over_by([&]() -> coroutine<> {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    co_return;
  });
  EXPECT_TRUE(text.starts_with("left over: 2 descriptors\n  * descriptor ")) << text;
  EXPECT_TRUE(contains(text, "* descriptor " + std::to_string(ends[0]) + ": socket:[")) << text;
  EXPECT_TRUE(contains(text, "* descriptor " + std::to_string(ends[1]) + ": socket:[")) << text;
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Leaks, a_descriptor_that_took_the_place_of_another_is_not_new) {
  const int before = ::dup(0);
  EXPECT_EQ(left_over_by([&]() -> coroutine<> {
              ::close(before);
              EXPECT_EQ(::dup(0), before);
              co_return;
            }),
            "nothing");
  ::close(before);
}

TEST(Leaks, a_long_list_is_cut) {
  std::vector<task<int>> kept;
  const std::string text = left_over_by([&]() -> coroutine<> {
    for (int i = 0; i < 80; ++i) kept.push_back(create_task(answer()));
    co_return;
  });
  EXPECT_TRUE(text.starts_with("left over: 80 tasks\n")) << text.substr(0, 200);
  EXPECT_TRUE(text.ends_with("\n  and 30 more")) << text.substr(text.size() - 200);
}

TEST(Leaks, inject_cancel_names_them_too) {
  std::vector<task<int>> kept;
  const auto careless = [&]() -> coroutine<> {
    kept.push_back(create_task(answer(), {.name = "careless"}));
    co_await sleep(1h);
    kept.clear();
  };
  const std::string thrown = thrown_by([&] { testing::inject_cancel(careless); });
  EXPECT_TRUE(contains(thrown, "left over: 1 task\n  * <Task 'careless' ")) << thrown;
}

}  // namespace
}  // namespace asyncio::spec
