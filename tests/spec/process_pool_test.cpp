// SPDX-License-Identifier: BSL-1.0
// Functions of this program, run in other processes: what goes there and what comes back.
#include "process_pool_test.hpp"

#include <any>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <typeinfo>
#include <variant>
#include <vector>

namespace {

using namespace asyncio;
using namespace asyncio::spec;

struct order {
  std::string item;
  std::map<std::string, double> prices;
  std::vector<int> sizes;
  bool operator==(const order&) const = default;
};

order with_item(order o, const std::string& item) {
  o.item = item;
  return o;
}
std::string joined(std::string_view a, const char* b, std::string c) { return std::string(a) + b + std::move(c); }
std::unique_ptr<int> doubled(std::unique_ptr<int> n) {
  *n *= 2;
  return n;
}
const std::string& longer(const std::string& a, const std::string& b) { return a.size() < b.size() ? b : a; }
void nothing() {}
int called = 0;
int count_calls() { return ++called; }

TEST(ProcessPool, runs_functions_in_another_process) {
  const leaves_nothing check;
  process_pool_executor pool(1);
  EXPECT_NE(pool.submit(tasks::own_pid).result(), ::getpid());
  EXPECT_EQ(pool.submit(&tasks::square, 12).result(), 144);
  pool.submit(nothing).result();
  EXPECT_EQ(pool.submit(count_calls).result(), 1);
  EXPECT_EQ(pool.submit(count_calls).result(), 2) << "the worker is the same, and keeps its memory";
  EXPECT_EQ(called, 0) << "which is not ours";
}

TEST(ProcessPool, runs_lambdas_without_captures) {
  process_pool_executor pool(1);
  EXPECT_EQ(pool.submit([](int n) { return n * n; }, 12).result(), 144);
  EXPECT_EQ(pool.submit([](const auto& s) { return s + "!"; }, std::string("generic")).result(), "generic!");
  EXPECT_EQ(pool.submit(std::plus<>(), 2, 3).result(), 5);
}

TEST(ProcessPool, carries_arguments_and_results) {
  process_pool_executor pool(1);
  const order mine{"tea", {{"green", 2.5}}, {1, 2, 3}};
  EXPECT_EQ(pool.submit(with_item, mine, "coffee").result(), (order{"coffee", {{"green", 2.5}}, {1, 2, 3}}));
  EXPECT_EQ(pool.submit(joined, "views ", "travel ", "as strings").result(), "views travel as strings");
  EXPECT_EQ(*pool.submit(doubled, std::make_unique<int>(21)).result(), 42);
  EXPECT_EQ(pool.submit(longer, "a", std::string("bb")).result(), "bb") << "a reference comes back as a copy";
  EXPECT_EQ(pool.submit([](long n) { return n; }, 360).result(), 360) << "as what the function takes";
}

TEST(ProcessPool, needs_the_arguments_no_longer_than_submit_lasts) {
  process_pool_executor pool(1);
  concurrent_future<std::string> future = [&pool] {
    std::string text(100'000, 'x');
    return pool.submit([](const std::string& s) { return s; }, text);
  }();
  EXPECT_EQ(future.result(), std::string(100'000, 'x'));
}

TEST(ProcessPool, maps_a_function_over_a_range_in_its_order) {
  process_pool_executor pool(2);
  std::vector<int> squares;
  for (auto& each : pool.map(tasks::square, std::vector<int>{1, 2, 3, 4})) squares.push_back(each.result());
  EXPECT_EQ(squares, (std::vector<int>{1, 4, 9, 16}));
  EXPECT_EQ(pool.map([](const std::string& s) { return s.size(); }, std::set<std::string>{"a", "bb"}).at(1).result(),
            2u);
}

template <class E>
void fail_with(const std::string& text) {
  throw E(text);
}
struct app_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct no_exception {};

template <class E>
void expect_back(process_pool_executor& pool) {
  const auto failed = pool.submit(&fail_with<E>, "the text");
  try {
    failed.result();
    ADD_FAILURE() << typeid(E).name();
  } catch (const std::exception& e) {
    EXPECT_EQ(typeid(e), typeid(E));
    EXPECT_STREQ(e.what(), "the text");
  }
}

TEST(ProcessPool, gives_the_standard_librarys_exceptions_back_as_themselves) {
  process_pool_executor pool(1);
  expect_back<std::runtime_error>(pool);
  expect_back<std::invalid_argument>(pool);
  expect_back<std::out_of_range>(pool);
  expect_back<std::length_error>(pool);
  expect_back<std::overflow_error>(pool);
  expect_back<std::logic_error>(pool);
  expect_back<timeout_error>(pool);
  EXPECT_THROW(pool.submit([] { throw std::bad_alloc(); }).result(), std::bad_alloc);
  EXPECT_THROW(pool.submit([] { (void)std::optional<int>().value(); }).result(), std::bad_optional_access);
  EXPECT_THROW(pool.submit([] { throw cancelled_error("told so"); }).result(), cancelled_error);
  EXPECT_EQ(pool.submit(tasks::square, 2).result(), 4) << "the worker goes on";
}

TEST(ProcessPool, gives_system_errors_back_with_their_code) {
  process_pool_executor pool(1);
  const auto opened = [] { throw std::system_error(ENOENT, std::generic_category(), "open '/nowhere'"); };
  const auto failed = pool.submit(opened);
  try {
    failed.result();
    ADD_FAILURE();
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), std::errc::no_such_file_or_directory);
    EXPECT_STREQ(e.what(), "open '/nowhere': No such file or directory");
  }
  const auto again = pool.submit([] { throw std::system_error(EAGAIN, std::system_category()); });
  try {
    again.result();
    ADD_FAILURE();
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), std::error_code(EAGAIN, std::system_category()));
    EXPECT_STREQ(e.what(), std::system_error(EAGAIN, std::system_category()).what());
  }
}

/// Type and text of what a call throws.
template <class F>
std::string thrown_type_and_text(F call) {
  try {
    call();
  } catch (const std::exception& e) {
    return std::string(typeid(e).name()) + ": " + e.what();
  }
  return "nothing";
}

/// What it throws in a worker is what it throws here.
template <class F>
void expect_same_failure(process_pool_executor& pool, F call) {
  const auto failed = pool.submit(call);
  EXPECT_EQ(thrown_type_and_text([&] { failed.result(); }), thrown_type_and_text(call));
}

/// The library's parser gives it texts that its constructor does not know.
void throw_regex_error(const char* text) {
  std::regex_error error(std::regex_constants::error_paren);
  static_cast<std::runtime_error&>(error) = std::runtime_error(text);
  throw error;
}

TEST(ProcessPool, gives_errors_of_streams_expressions_files_and_futures_back_as_themselves) {
  process_pool_executor pool(1);
  expect_same_failure(pool, [] { throw std::ios_base::failure("disk", std::io_errc::stream); });
  expect_same_failure(pool, [] { throw std::ios_base::failure("disk", std::make_error_code(std::errc::io_error)); });
  expect_same_failure(pool, [] { throw std::regex_error(std::regex_constants::error_brack); });
  expect_same_failure(pool, [] { throw_regex_error("as a parser words it"); });
  expect_same_failure(pool, [] { throw std::future_error(std::future_errc::no_state); });
  expect_same_failure(pool, [] { throw std::system_error(std::make_error_code(std::io_errc::stream), "read"); });
  expect_same_failure(pool, [] { throw std::system_error(std::make_error_code(std::errc::io_error), ""); });
  expect_same_failure(pool, [] { (void)std::filesystem::file_size("/nowhere"); });
  expect_same_failure(pool, [] { std::filesystem::rename("/nowhere/a", "/nowhere/b"); });
  expect_same_failure(pool, [] { throw std::filesystem::filesystem_error("no file", std::error_code()); });
  expect_same_failure(pool, [] { (void)std::get<1>(std::variant<int, char>(1)); });
  expect_same_failure(pool, [] { throw std::bad_variant_access(); });
  expect_same_failure(pool, [] { (void)std::any_cast<int>(std::any('x')); });
  expect_same_failure(pool, [] { std::function<void()>()(); });
}

TEST(ProcessPool, keeps_codes_and_paths_of_errors) {
  process_pool_executor pool(1);
  const auto moved = pool.submit([] { std::filesystem::rename("/nowhere/a", "/nowhere/b"); });
  try {
    moved.result();
    ADD_FAILURE();
  } catch (const std::filesystem::filesystem_error& e) {
    EXPECT_EQ(e.code(), std::errc::no_such_file_or_directory);
    EXPECT_EQ(e.path1(), "/nowhere/a");
    EXPECT_EQ(e.path2(), "/nowhere/b");
  }
  const auto matched = pool.submit([] { throw_regex_error("no end"); });
  try {
    matched.result();
    ADD_FAILURE();
  } catch (const std::regex_error& e) {
    EXPECT_EQ(e.code(), std::regex_constants::error_paren);
  }
  const auto promised = pool.submit([] { throw std::future_error(std::future_errc::broken_promise); });
  try {
    promised.result();
    ADD_FAILURE();
  } catch (const std::future_error& e) {
    EXPECT_EQ(e.code(), std::future_errc::broken_promise);
  }
}

TEST(ProcessPool, gives_what_a_stream_throws_back_as_a_failure_of_streams) {
  process_pool_executor pool(1);
  const auto opened = pool.submit([] {
    std::ifstream file;
    file.exceptions(std::ios_base::failbit);
    file.open("/nowhere");
  });
  try {
    opened.result();
    ADD_FAILURE();
  } catch (const std::ios_base::failure& e) {
    EXPECT_EQ(e.code(), std::io_errc::stream);
    EXPECT_STREQ(e.what(), "basic_ios::clear: iostream error");
  }
}

TEST(ProcessPool, gives_an_error_code_of_a_category_of_the_programs_as_a_remote_error) {
  process_pool_executor pool(1);
  struct own_category final : std::error_category {
    const char* name() const noexcept override { return "own"; }
    std::string message(int) const override { return "out of luck"; }
  };
  const auto failed = pool.submit([] {
    static const own_category own;
    throw std::system_error(std::error_code(7, own), "draw");
  });
  EXPECT_EQ(failure_of(failed), "remote_error: std::system_error: draw: out of luck");
}

TEST(ProcessPool, gives_a_keyboard_interrupt_back_with_its_signal) {
  process_pool_executor pool(1);
  const auto interrupted = pool.submit([] { throw keyboard_interrupt(SIGTERM); });
  try {
    interrupted.result();
    ADD_FAILURE();
  } catch (const keyboard_interrupt& e) {
    EXPECT_EQ(e.signal(), SIGTERM);
  }
}

TEST(ProcessPool, tells_type_and_text_of_other_exceptions) {
  process_pool_executor pool(1);
  const auto failed = pool.submit([] { throw app_error("disk full"); });
  try {
    failed.result();
    ADD_FAILURE();
  } catch (const remote_error& e) {
    EXPECT_NE(e.type_name().find("app_error"), std::string::npos);
    EXPECT_EQ(e.message(), "disk full");
    EXPECT_EQ(e.what(), e.type_name() + ": disk full");
  }
  EXPECT_EQ(failure_of(pool.submit([] { throw 42; })), "remote_error: int");
  EXPECT_EQ(failure_of(pool.submit([] { throw "a text"; })), "remote_error: char const*: a text");
  EXPECT_NE(failure_of(pool.submit([] { throw no_exception(); })).find("no_exception"), std::string::npos);
}

TEST(ProcessPool, tells_what_exceptions_were_caused_by) {
  process_pool_executor pool(1);
  const auto nested = [] {
    try {
      throw std::out_of_range("no such key");
    } catch (...) {
      std::throw_with_nested(std::runtime_error("cannot read the settings"));
    }
  };
  EXPECT_EQ(failure_of(pool.submit(nested)),
            "remote_error: std::runtime_error: cannot read the settings; caused by std::out_of_range: no such key");
}

TEST(ProcessPool, starts_workers_when_they_are_needed_and_no_more_than_it_may) {
  const leaves_nothing check;
  const test::scratch_folder folder;
  process_pool_executor pool(2);
  EXPECT_TRUE(children().empty());
  for (int i = 0; i < 5; ++i) pool.submit(tasks::own_pid).result();
  EXPECT_EQ(children().size(), 1u);
  door a(folder, "a"), b(folder, "b");
  const auto at_a = pool.submit(tasks::wait_at, a.path());
  const auto at_b = pool.submit(tasks::wait_at, b.path());
  const auto behind = pool.submit(tasks::own_pid);
  a.await_visitor();
  b.await_visitor();  // both run at once
  EXPECT_EQ(children().size(), 2u);
  EXPECT_FALSE(behind.done());
  a.open();
  EXPECT_EQ(behind.result(), at_a.result());
  b.open();
  EXPECT_NE(at_b.result(), at_a.result());
}

TEST(ProcessPool, has_as_many_workers_as_there_are_processors_by_default) {
  process_pool_executor pool;
  std::set<int> pids;
  for (auto& each : pool.map([](int) { return ::getpid(); }, std::vector<int>(100))) pids.insert(each.result());
  EXPECT_LE(pids.size(), std::max(1u, std::thread::hardware_concurrency()));
}

TEST(ProcessPool, replaces_a_worker_after_as_many_tasks_as_it_may_do) {
  const leaves_nothing check;
  process_pool_executor pool({.max_workers = 1, .max_tasks_per_child = 2});
  std::vector<int> pids;
  for (int i = 0; i < 6; ++i) pids.push_back(pool.submit(tasks::own_pid).result());
  EXPECT_EQ(pids[0], pids[1]);
  EXPECT_NE(pids[1], pids[2]);
  EXPECT_EQ(pids[2], pids[3]);
  EXPECT_NE(pids[3], pids[4]);
  EXPECT_THROW(process_pool_executor({.max_tasks_per_child = 0}), std::invalid_argument);
}

std::string prepared;
void prepare(const std::string& with, int times) {
  for (int i = 0; i < times; ++i) prepared += with;
}
std::string what_was_prepared() { return prepared; }

TEST(ProcessPool, calls_an_initializer_in_each_worker_first) {
  process_pool_executor pool({.max_workers = 1, .max_tasks_per_child = 1}, prepare, "ab", 2);
  EXPECT_EQ(pool.submit(what_was_prepared).result(), "abab");
  EXPECT_EQ(pool.submit(what_was_prepared).result(), "abab");
  process_pool_executor with_lambda({.max_workers = 1}, [] { prepared = "by a lambda"; });
  EXPECT_EQ(with_lambda.submit(what_was_prepared).result(), "by a lambda");
  EXPECT_EQ(prepared, "");
}

TEST(ProcessPool, is_broken_when_an_initializer_fails) {
  const leaves_nothing check;
  process_pool_executor pool({.max_workers = 1}, [] { throw std::runtime_error("no licence"); });
  const auto first = pool.submit(tasks::own_pid);
  const std::string text =
      "broken_process_pool: the initialiser of a worker process has failed: std::runtime_error: no licence";
  EXPECT_EQ(failure_of(first), text);
  EXPECT_EQ(failure_of([&] { pool.submit(tasks::own_pid); }), text);
}

TEST(ProcessPool, cancels_tasks_that_have_not_begun) {
  const test::scratch_folder folder;
  door gate(folder);
  process_pool_executor pool(1);
  const auto running = pool.submit(tasks::wait_at, gate.path());
  const auto queued = pool.submit(tasks::own_pid);
  gate.await_visitor();
  EXPECT_FALSE(running.cancel());
  EXPECT_TRUE(queued.cancel());
  gate.open();
  EXPECT_GT(running.result(), 0);
  EXPECT_TRUE(queued.cancelled());
  EXPECT_EQ(pool.submit(tasks::square, 3).result(), 9);
}

TEST(ProcessPool, ends_what_was_submitted_before_it_is_shut_down) {
  const leaves_nothing check;
  process_pool_executor pool(2);
  auto futures = pool.map(tasks::square, std::vector<int>{1, 2, 3, 4, 5});
  pool.shutdown();
  for (const auto& each : futures) EXPECT_TRUE(each.done());
  EXPECT_EQ(futures[4].result(), 25);
  EXPECT_TRUE(children().empty());
  EXPECT_THROW(pool.submit(tasks::own_pid), std::runtime_error);
  pool.shutdown();
}

TEST(ProcessPool, cancels_what_waits_when_it_is_told_to_and_returns_at_once_when_it_is_not_to_wait) {
  const leaves_nothing check;
  const test::scratch_folder folder;
  door gate(folder);
  process_pool_executor pool(1);
  const auto running = pool.submit(tasks::wait_at, gate.path());
  const auto queued = pool.submit(tasks::own_pid);
  gate.await_visitor();
  pool.shutdown({.wait = false, .cancel_futures = true});
  EXPECT_TRUE(queued.cancelled());
  EXPECT_FALSE(running.done());
  gate.open();
  EXPECT_GT(running.result(), 0);
}

TEST(ProcessPool, refuses_to_wait_for_itself_in_a_callback) {
  process_pool_executor pool(1);
  concurrent_future<int> future = pool.submit(tasks::own_pid);
  detail::concurrent_promise<std::string> told;
  const concurrent_future<std::string> seen = told.get_future();
  (void)told.start();
  future.add_done_callback([&](const concurrent_future<int>&) {
    told.set_result(failure_of([&] { pool.submit(tasks::square, 1); }) + ", " +
                    failure_of([&] { pool.shutdown(); }).substr(0, 13));
  });
  const std::string text = seen.result();
  EXPECT_TRUE(text == "nothing, runtime_error" || text == "nothing, nothing") << text;
}

TEST(ProcessPool, whose_last_owner_goes_in_a_callback_ends_without_waiting_there) {
  auto pool = std::make_shared<process_pool_executor>(1);
  const concurrent_future<int> future = pool->submit(tasks::square, 3);
  const concurrent_future<int> later = pool->submit(tasks::square, 4);
  detail::concurrent_promise<void> gone;
  const concurrent_future<void> seen = gone.get_future();
  (void)gone.start();
  std::weak_ptr<process_pool_executor> watched = pool;
  std::atomic<bool> let_go{false};
  future.add_done_callback([&](const concurrent_future<int>&) {
    while (!let_go) std::this_thread::yield();
    pool.reset();
    gone.set_result();
  });
  let_go = true;
  seen.result();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(later.result(), 16);
}

TEST(ProcessPool, lets_workers_have_pools_of_their_own) {
  process_pool_executor pool(1);
  const auto nested = [](int n) {
    process_pool_executor inner(1);
    return inner.submit(tasks::square, n).result();
  };
  EXPECT_EQ(pool.submit(nested, 5).result(), 25);
}

coroutine<int> a_little_later(int n) {
  co_await sleep(1ms);
  co_return n + 1;
}

TEST(ProcessPool, lets_workers_have_a_loop_of_their_own) {
  process_pool_executor pool(1);
  EXPECT_EQ(pool.submit([](int n) { return run(a_little_later(n)); }, 5).result(), 6);
}

TEST(ProcessPool, takes_tasks_from_many_threads) {  // under ThreadSanitizer
  const leaves_nothing check;
  process_pool_executor pool(3);
  std::vector<std::thread> threads;
  std::vector<int> sums(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&pool, &sum = sums[static_cast<std::size_t>(t)], t] {
      std::vector<concurrent_future<int>> futures;
      for (int i = 0; i < 50; ++i) futures.push_back(pool.submit(tasks::square, t));
      for (const auto& each : futures) sum += each.result();
    });
  }
  for (std::thread& each : threads) each.join();
  for (int t = 0; t < 8; ++t) EXPECT_EQ(sums[static_cast<std::size_t>(t)], 50 * t * t);
}

std::vector<double> scaled(std::vector<double> values, double by) {
  for (double& v : values) v *= by;
  return values;
}

TEST(ProcessPool, carries_64_MiB_both_ways) {
  process_pool_executor pool(1);
  std::vector<double> values(std::size_t{8} << 20);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const std::vector<double> twice = pool.submit(scaled, values, 2.0).result();
  ASSERT_EQ(twice.size(), values.size());
  for (std::size_t i = 0; i < values.size(); i += 4097) ASSERT_EQ(twice[i], 2.0 * values[i]);
}

// ---- in a loop

coroutine<int> awaits(process_pool_executor& pool) { co_return co_await pool.submit(tasks::square, 4); }

TEST(ProcessPool, is_awaited_in_a_loop) {
  process_pool_executor pool(1);
  EXPECT_EQ(run(awaits(pool)), 16);
  const auto by_loop = [&pool]() -> coroutine<std::string> {
    const int n = co_await get_running_loop().run_in_executor(pool, tasks::square, 5);
    const std::string s =
        co_await get_running_loop().run_in_executor(pool, [](std::string t) { return t + "?"; }, "so");
    co_return s + std::to_string(n);
  };
  EXPECT_EQ(run(by_loop()), "so?25");
}

coroutine<int> wrapped_wait(process_pool_executor& pool, std::string path) {
  co_return co_await pool.submit(tasks::wait_at, path);
}

TEST(ProcessPool, lets_the_loop_go_on_while_it_is_awaited) {
  const test::scratch_folder folder;
  door gate(folder);
  process_pool_executor pool(1);
  const auto body = [&]() -> coroutine<int> {
    task<int> waiting = create_task(wrapped_wait(pool, gate.path()));
    co_await sleep(0s);
    gate.open();  // the task runs: it would block here otherwise
    co_return co_await waiting;
  };
  EXPECT_GT(run(body()), 0);
}

TEST(ProcessPool, is_a_scope_whose_end_waits_for_its_workers) {
  const leaves_nothing check;
  const auto body = []() -> coroutine<int> {
    process_pool_executor pool(2);
    const int n = co_await async_with(pool, [](process_pool_executor& inside) -> coroutine<int> {
      auto kept = inside.submit(tasks::square, 6);
      co_return co_await kept;
    });
    EXPECT_TRUE(children().empty());
    EXPECT_THROW(pool.submit(tasks::own_pid), std::runtime_error);
    co_return n;
  };
  EXPECT_EQ(run(body()), 36);
}

TEST(ProcessPool, cancels_what_has_not_begun_when_an_exception_leaves_its_scope) {
  const leaves_nothing check;
  const test::scratch_folder folder;
  door gate(folder);
  std::vector<concurrent_future<int>> futures;
  try {
    process_pool_executor pool(1);
    futures.push_back(pool.submit(tasks::wait_at, gate.path()));
    futures.push_back(pool.submit(tasks::own_pid));
    gate.await_visitor();
    futures[1].add_done_callback([&](const concurrent_future<int>&) { gate.open(); });  // else nobody ever opens it
    throw std::runtime_error("leaves");
  } catch (const std::runtime_error&) {}
  EXPECT_TRUE(futures[1].cancelled());
  EXPECT_GT(futures[0].result(), 0);
}

TEST(ProcessPool, cancels_what_has_not_begun_when_the_body_of_its_scope_fails) {
  const leaves_nothing check;
  const test::scratch_folder folder;
  door gate(folder);
  std::vector<concurrent_future<int>> futures;
  const auto body = [&]() -> coroutine<> {
    process_pool_executor pool(1);
    const auto inside = [&](process_pool_executor& p) -> coroutine<> {
      futures.push_back(p.submit(tasks::wait_at, gate.path()));
      futures.push_back(p.submit(tasks::own_pid));
      gate.await_visitor();
      futures[1].add_done_callback([&](const concurrent_future<int>&) { gate.open(); });
      co_await sleep(0s);
      throw std::runtime_error("fails");
    };
    co_await async_with(pool, inside);
  };
  EXPECT_EQ(failure_of([&] { run(body()); }), "runtime_error(fails)");
  EXPECT_TRUE(futures[1].cancelled());
}

TEST(ProcessPool, may_be_cancelled_at_every_point_of_an_await_and_of_its_end) {
  const leaves_nothing check;
  const auto body = []() -> coroutine<> {
    process_pool_executor pool(1);
    co_await async_with(pool, [](process_pool_executor& inside) -> coroutine<> {
      const int n = co_await inside.submit(tasks::square, 7);
      EXPECT_EQ(n, 49);
    });
  };
  EXPECT_GT(asyncio::testing::inject_cancel(body), 0u);
}

}  // namespace

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
