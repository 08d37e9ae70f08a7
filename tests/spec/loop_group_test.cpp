// SPDX-License-Identifier: BSL-1.0
// loop_group: threads with a loop each.
#include <asyncio/loop_group.hpp>

#include "spec/spec.hpp"

#include <pthread.h>
#include <atomic>
#include <csignal>
#include <memory>
#include <set>
#include <thread>

namespace asyncio::spec {
namespace {

std::string name_of_this_thread() {
  char name[32] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

coroutine<std::string> tell_thread() {
  co_await sleep(0s);
  co_return name_of_this_thread();
}

coroutine<int> twice(int n) {
  co_await sleep(0s);
  co_return 2 * n;
}

TEST(LoopGroup, runs_coroutines_and_functions_in_its_threads) {
  loop_group group(2);
  EXPECT_EQ(group.size(), 2u);
  const concurrent_future<int> from_coroutine = group.submit(twice(1));
  const concurrent_future<int> from_function = group.submit(twice, 2);
  const concurrent_future<int> plain = group.submit([](int n) { return n + 1; }, 2);
  const concurrent_future<> nothing = group.submit([] {});
  const concurrent_future<std::thread::id> where = group.submit([] { return std::this_thread::get_id(); });
  EXPECT_EQ(from_coroutine.result(), 2);
  EXPECT_EQ(from_function.result(), 4);
  EXPECT_EQ(plain.result(), 3);
  nothing.result();
  EXPECT_NE(where.result(), std::this_thread::get_id());
}

TEST(LoopGroup, its_threads_have_names_and_numbers) {
  loop_group group({.threads = 2, .name = "a name that is long"});
  EXPECT_EQ(group.submit_to(0, tell_thread()).result(), "a name that i_0");
  EXPECT_EQ(group.submit_to(1, tell_thread).result(), "a name that i_1");
  EXPECT_EQ(thrown_by([&] { (void)group.submit_to(2, tell_thread()); }),
            "exception(this loop_group has 2 loops, and no number 2)");
}

TEST(LoopGroup, its_threads_hear_no_signals) {
  loop_group group(1);
  const auto blocked = [] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR1) == 1;
  };
  EXPECT_TRUE(group.submit(blocked).result());
  EXPECT_FALSE(blocked());
}

TEST(LoopGroup, gives_new_work_to_the_loop_that_has_the_least) {
  loop_group group(3);
  const channel<int> gate(1);
  const auto wait = [](channel<int> at) -> coroutine<std::string> {
    (void)co_await at.next();
    co_return name_of_this_thread();
  };
  std::vector<concurrent_future<std::string>> futures;
  for (int i = 0; i < 2; ++i) futures.push_back(group.submit_to(0, wait, gate));
  futures.push_back(group.submit_to(1, wait, gate));
  for (int i = 0; i < 3; ++i) futures.push_back(group.submit(wait, gate));
  EXPECT_EQ(group.pending(), 6u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(group.pending(i), 2u) << i;
  gate.shutdown();
  for (const auto& f : futures) (void)f.result();
}

TEST(LoopGroup, several_at_once_are_spread_over_all_loops) {
  loop_group group(4);
  std::set<std::string> seen;
  std::vector<concurrent_future<std::string>> futures;
  for (int i = 0; i < 8; ++i) futures.push_back(group.submit(tell_thread));
  for (const auto& f : futures) seen.insert(f.result());
  EXPECT_GE(seen.size(), 2u);
}

TEST(LoopGroup, a_submitted_function_and_its_arguments_live_until_the_task_has_ended) {
  auto owned = std::make_shared<int>(1);
  loop_group group(1);
  const auto use = [](std::shared_ptr<int> it) -> coroutine<long> {
    co_await sleep(1ms);
    co_return it.use_count();
  };
  EXPECT_GE(group.submit(use, owned).result(), 2);
  group.shutdown();
  EXPECT_EQ(owned.use_count(), 1);
}

// The futures outlive the exceptions that they throw: so each exception dies in this thread, and ThreadSanitizer need not
// understand the reference counts within libstdc++, which it cannot see.
TEST(LoopGroup, exceptions_come_out_of_the_future) {
  loop_group group(1);
  const auto fails = []() -> coroutine<> {
    co_await sleep(0s);
    throw std::runtime_error("a task");
  };
  const concurrent_future<> task = group.submit(fails);
  const concurrent_future<> call = group.submit([] { throw std::runtime_error("a call"); });
  EXPECT_EQ(thrown_by([&] { task.result(); }), "runtime_error(a task)");
  EXPECT_EQ(thrown_by([&] { call.result(); }), "runtime_error(a call)");
}

TEST(LoopGroup, an_exception_that_nobody_looks_at_is_logged) {
  log_watch log;
  {
    loop_group group(1);
    (void)group.submit([] { throw std::runtime_error("forgotten"); });
    group.submit([] {}).result();
    const concurrent_future<> looked_at = group.submit([] { throw std::runtime_error("seen"); });
    EXPECT_EQ(thrown_by([&] { looked_at.result(); }), "runtime_error(seen)");
  }
  const lines seen = log.taken();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(contains(seen[0], "never retrieved")) << seen[0];
  EXPECT_TRUE(contains(seen[0], "forgotten")) << seen[0];
}

TEST(LoopGroup, cancelling_a_future_cancels_its_task) {
  loop_group group(1);
  const channel<std::string> ended(1);
  const auto sleeps = [](channel<std::string> to) -> coroutine<> {
    std::string end = co_await ending(sleep(1h));
    co_await to.put(std::move(end));
  };
  const concurrent_future<> f = group.submit(sleeps, ended);
  group.submit([] {}).result();  // it has begun
  EXPECT_TRUE(f.cancel());
  EXPECT_EQ(ended.get_blocking(), "cancelled_error");
}

TEST(LoopGroup, a_coroutine_of_another_loop_awaits_what_it_submits) {
  loop_group group(2);
  const int sum = run([&]() -> coroutine<int> {
    const int first = co_await group.submit(twice, 1);
    auto futures = std::vector<future<int>>();
    for (int i = 0; i < 10; ++i) futures.push_back(wrap_future(group.submit(twice, i)));
    int all = first;
    for (auto& f : futures) {
      const int n = co_await f;
      all += n;
    }
    co_return all;
  });
  EXPECT_EQ(sum, 2 + 90);
}

TEST(LoopGroup, its_loops_take_calls_from_other_threads) {
  loop_group group(2);
  const channel<std::string> c(1);
  group.loop(1).call_soon_threadsafe([c] { (void)c.try_put(name_of_this_thread()); });
  EXPECT_EQ(c.get_blocking(), "loop_1");
  EXPECT_EQ(thrown_by([&] { (void)group.loop(2); }), "exception(this loop_group has 2 loops, and no number 2)");
  group.shutdown();
  EXPECT_EQ(thrown_by([&] { (void)group.loop(0); }), "runtime_error(this loop of the loop_group is closed)");
}

// A lock or queue of one loop that is used in another says whose it is, by the names of both threads.
TEST(LoopGroup, what_belongs_to_another_loop_is_refused_by_the_names_of_both_threads) {
  loop_group group(2);
  queue<int> q;
  const concurrent_future<int> waits = group.submit_to(0, [&q]() -> coroutine<int> {
    const int item = co_await q.get();
    co_return item;
  });
  group.submit_to(0, [] {}).result();
  const std::string refused = group.submit_to(1, [&q] { return thrown_by([&q] { q.put_nowait(1); }); }).result();
  EXPECT_TRUE(contains(refused, "queue.put_nowait(): called from thread ")) << refused;
  EXPECT_TRUE(contains(refused, "('loop_1'), but its loop belongs to thread ")) << refused;
  EXPECT_TRUE(contains(refused, "('loop_0')")) << refused;
  group.loop(0).call_soon_threadsafe([&q] { q.put_nowait(5); });
  EXPECT_EQ(waits.result(), 5);
}

// ---- the end

TEST(LoopGroup, shutdown_waits_for_all_that_was_submitted_and_takes_nothing_more) {
  log_watch log;
  std::atomic<int> done{0};
  loop_group group(3);
  for (int i = 0; i < 60; ++i)
    (void)group.submit([&done, i]() -> coroutine<> {
      for (int k = 0; k < i % 5; ++k) co_await sleep(1ms);
      done.fetch_add(1);
    });
  group.shutdown();
  EXPECT_EQ(done.load(), 60);
  EXPECT_EQ(group.pending(), 0u);
  EXPECT_EQ(thrown_by([&] { (void)group.submit(twice(1)); }), "runtime_error(the loop_group is shut down)");
  EXPECT_EQ(thrown_by([&] { (void)group.submit([] {}); }), "runtime_error(the loop_group is shut down)");
  EXPECT_TRUE(log.taken().empty());  // nobody says that what was refused was never awaited
  group.shutdown();
}

TEST(LoopGroup, the_destructor_waits_as_shutdown_does) {
  std::atomic<int> done{0};
  {
    loop_group group(2);
    for (int i = 0; i < 10; ++i)
      (void)group.submit([&done]() -> coroutine<> {
        co_await sleep(2ms);
        done.fetch_add(1);
      });
  }
  EXPECT_EQ(done.load(), 10);
}

TEST(LoopGroup, the_destructor_cancels_while_an_exception_is_on_its_way) {
  std::atomic<bool> cancelled{false};
  const auto sleeps = [&]() -> coroutine<> {
    const std::string end = co_await ending(sleep(1h));
    cancelled = end == "cancelled_error";
  };
  const auto leaves = [&] {
    loop_group group(1);
    (void)group.submit(sleeps);
    group.submit([] {}).result();
    throw std::runtime_error("on its way");
  };
  EXPECT_EQ(thrown_by(leaves), "runtime_error(on its way)");
  EXPECT_TRUE(cancelled.load());
}

TEST(LoopGroup, what_a_submitted_task_leaves_running_is_cancelled_at_the_end) {
  std::atomic<bool> cancelled{false};
  const auto background = [&]() -> coroutine<> {
    const std::string end = co_await ending(sleep(1h));
    cancelled = end == "cancelled_error";
  };
  loop_group group(1);
  group
      .submit([&]() -> coroutine<> {
        (void)create_task(background());
        co_await sleep(0s);
      })
      .result();
  group.shutdown();
  EXPECT_TRUE(cancelled.load());
}

TEST(LoopGroup, shutdown_can_cancel_what_runs_and_what_has_not_begun) {
  std::atomic<int> cleaned{0};
  loop_group group(2);
  std::vector<concurrent_future<>> futures;
  for (int i = 0; i < 20; ++i)
    futures.push_back(group.submit([&]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      cleaned.fetch_add(1);
      throw cancelled_error();
    }));
  group.submit_to(0, [] {}).result();
  group.submit_to(1, [] {}).result();
  group.shutdown(true);
  EXPECT_EQ(cleaned.load(), 20);
  for (const auto& f : futures) EXPECT_TRUE(f.cancelled());
}

TEST(LoopGroup, a_second_shutdown_hurries_the_first) {
  loop_group group(2);
  const concurrent_future<> sleeps = group.submit(sleep(1h));
  std::thread waits([&] { group.shutdown(); });
  while (thrown_by([&] { (void)group.submit([] {}); }) == "nothing") {}
  group.shutdown(true);
  waits.join();
  EXPECT_TRUE(sleeps.cancelled());
}

TEST(LoopGroup, is_a_scope) {
  int sum = 0;
  std::string thrown;
  run([&]() -> coroutine<> {
    const auto body = [&](loop_group& group) -> coroutine<> {
      (void)group.submit([&sum]() -> coroutine<> {
        co_await sleep(2ms);
        sum = 5;
      });
      co_return;
    };
    co_await async_with(loop_group(2), body);
    EXPECT_EQ(std::exchange(sum, 0), 5);

    const auto failing = [&](loop_group& group) -> coroutine<> {
      (void)group.submit(sleep(1h));
      co_await sleep(1ms);
      throw std::runtime_error("body");
    };
    thrown = co_await ending(async_with(loop_group(2), failing));
  });
  EXPECT_EQ(thrown, "runtime_error(body)");
}

TEST(LoopGroup, a_cancelled_scope_cancels_what_was_submitted_and_waits_for_it) {
  std::atomic<bool> cleaned{false};
  run([&]() -> coroutine<> {
    const auto sleeps = [&cleaned]() -> coroutine<> {
      (void)co_await ending(sleep(1h));
      co_await sleep(5ms);
      cleaned = true;
    };
    const auto body = [sleeps](loop_group& group) { (void)group.submit(sleeps); };
    const auto scope = [body]() -> coroutine<> { co_await async_with(loop_group(1), body); };
    const task<> t = create_task(scope);
    co_await sleep(5ms);
    t.cancel();
    const std::string end = co_await ending(t);
    EXPECT_EQ(end, "cancelled_error");
    EXPECT_TRUE(cleaned.load());
  });
}

TEST(LoopGroup, waiting_for_itself_is_refused) {
  loop_group group(1);
  const auto waits = [&group] { return thrown_by([&group] { group.shutdown(); }); };
  EXPECT_EQ(group.submit(waits).result(),
            "runtime_error(loop_group.shutdown() in a thread of that group would wait for itself)");
  const auto awaits = [&group]() -> coroutine<std::string> {
    std::string end = co_await ending(group.aclose());
    co_return end;
  };
  EXPECT_EQ(group.submit(awaits).result(),
            "runtime_error(loop_group.aclose() in a thread of that group would wait for itself)");
  run([&group]() -> coroutine<> {
    const std::string blocks = thrown_by([&group] { group.shutdown(); });
    EXPECT_TRUE(contains(blocks, "co_await aclose()")) << blocks;
    co_await group.aclose();
  });
}

TEST(LoopGroup, an_interrupt_thrown_by_a_task_is_reported_and_ends_no_thread) {
  log_watch log;
  loop_group group(1);
  (void)group.submit([]() -> coroutine<> {
    co_await sleep(0s);
    throw keyboard_interrupt();
  });
  EXPECT_EQ(group.submit(twice, 2).result(), 4);
  group.shutdown();
  const lines seen = log.taken();
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(contains(seen[0], "exception out of a loop of a loop_group")) << seen[0];
}

TEST(LoopGroup, who_cancels_all_tasks_of_a_loop_does_not_end_its_thread) {
  loop_group group(1);
  group
      .submit([]() -> coroutine<> {
        for (const any_task& t : all_tasks())
          if (!(t == current_task())) t.cancel();
        co_await sleep(0s);
      })
      .result();
  EXPECT_EQ(group.submit(twice, 3).result(), 6);
}

TEST(LoopGroup, its_last_owner_may_be_a_task_of_its_own) {
  const channel<std::string> ended(1);
  const channel<int> gate(1);
  auto group = std::make_shared<loop_group>(2);
  (void)group->submit_to(0, [ended]() -> coroutine<> {
    std::string end = co_await ending(sleep(1h));
    (void)ended.try_put(std::move(end));
  });
  group->submit_to(0, [] {}).result();
  const auto owner = [](std::shared_ptr<loop_group>, channel<int> until) -> coroutine<> {
    (void)co_await until.next();
  };
  (void)group->submit_to(1, owner, group, gate);
  group.reset();
  gate.shutdown();
  EXPECT_EQ(ended.get_blocking(), "cancelled_error");
}

TEST(LoopGroup, submitters_and_a_shutdown_may_meet) {
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> accepted{0}, ran{0};
    loop_group group(2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        const auto submit_one = [&] { (void)group.submit([&ran] { ran.fetch_add(1); }); };
        while (thrown_by(submit_one) == "nothing") accepted.fetch_add(1);
      });
    while (accepted.load() < 10) std::this_thread::yield();
    group.shutdown();
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(ran.load(), accepted.load());
  }
}

}  // namespace
}  // namespace asyncio::spec
