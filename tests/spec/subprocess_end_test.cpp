// SPDX-License-Identifier: BSL-1.0
// Child processes: their ends, who hears of them, and what happens to those that nobody waits for.
#include "spec/subprocess_test.hpp"

#include <deque>
#include <memory>
#include <tuple>

namespace asyncio::spec {
namespace {

class SubprocessEnd : public Subprocess {};
ASYNCIO_BOTH_WAYS(SubprocessEnd);

/// A child that runs until it is told to end, and is beyond its start.
coroutine<process> staying(std::string verb = "stay", std::string argument = "") {
  process p = co_await create_subprocess_exec(child(verb, argument), piped);
  std::string line = co_await p.stdout_pipe().readline();
  EXPECT_FALSE(line.empty());
  co_return p;
}

// S228
TEST_P(SubprocessEnd, the_return_code_is_nothing_then_the_status_or_the_signal) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying();
    EXPECT_EQ(p.returncode(), std::nullopt);
    p.send_signal(SIGUSR1);
    int code = co_await p.wait();
    EXPECT_EQ(code, -SIGUSR1);
    EXPECT_EQ(p.returncode(), -SIGUSR1);
    for (const int status : {0, 1, 255}) {
      process q = co_await create_subprocess_exec(child("exit", std::to_string(status)));
      code = co_await q.wait();
      EXPECT_EQ(code, status);
    }
  });
}

// S228
TEST_P(SubprocessEnd, terminate_and_kill_send_their_signals) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying();
    p.terminate();
    int code = co_await p.wait();
    EXPECT_EQ(code, -SIGTERM);
    process q = co_await staying();
    q.kill();
    code = co_await q.wait();
    EXPECT_EQ(code, -SIGKILL);
  });
}

// F23
TEST_P(SubprocessEnd, a_child_that_ignores_sigterm_is_killed_after_a_grace) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying("ignore", std::to_string(SIGTERM));
    p.terminate();
    bool in_time = true;
    try {
      co_await wait_for(p.wait(), 20ms);
    } catch (const timeout_error&) {
      in_time = false;
    }
    EXPECT_FALSE(in_time);
    p.kill();
    int code = co_await p.wait();
    EXPECT_EQ(code, -SIGKILL);
  });
}

// S228
TEST_P(SubprocessEnd, any_number_of_tasks_may_wait) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying();
    std::vector<task<int>> waits;
    for (int i = 0; i < 100; ++i) waits.push_back(create_task(p.wait()));
    co_await settle();
    p.terminate();
    for (task<int>& each : waits) {
      int code = co_await each;
      EXPECT_EQ(code, -SIGTERM);
    }
  });
}

// S229
TEST_P(SubprocessEnd, wait_ends_with_the_child_while_a_grandchild_holds_the_pipe) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("leave-grandchild"), piped_output);
    int code = co_await p.wait();
    EXPECT_EQ(code, 0);
    std::string line = co_await p.stdout_pipe().readline();
    const pid_t grandchild = std::stoi(line);
    EXPECT_FALSE(p.stdout_pipe().at_eof());
    task<std::string> rest = create_task(p.stdout_pipe().read());
    co_await settle();
    EXPECT_FALSE(rest.done()) << "the pipe is open";
    ::kill(grandchild, SIGKILL);
    std::string nothing = co_await rest;
    EXPECT_EQ(nothing, "");
  });
}

// S229: a reader is not needed either.
TEST_P(SubprocessEnd, communicate_waits_for_the_grandchild_and_can_be_given_up) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("leave-grandchild"), piped_output);
    task<std::pair<std::string, std::string>> talk = create_task(p.communicate());
    co_await p.wait();
    co_await settle();
    EXPECT_FALSE(talk.done());
    talk.cancel();
    std::string how = co_await ending(wait_for_end_of(talk));
    EXPECT_EQ(how, "cancelled_error");
    std::string line = co_await p.stdout_pipe().readline();  // what it had read is still there
    ::kill(std::stoi(line), SIGKILL);
  });
}

// S230
TEST_P(SubprocessEnd, signals_to_a_child_that_has_ended_are_lost_without_a_word) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "4"));
    wait_for_zombie(p.pid());
    EXPECT_EQ(p.returncode(), std::nullopt) << "the loop has not seen it yet";
    p.kill();
    p.send_signal(0);
    int code = co_await p.wait();
    EXPECT_EQ(code, 4);
    p.terminate();
    p.kill();
    p.send_signal(SIGHUP);
  });
}

TEST_P(SubprocessEnd, a_signal_that_there_is_not_is_an_error) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying();
    int error = 0;
    try {
      p.send_signal(4711);
    } catch (const std::system_error& e) {
      error = e.code().value();
    }
    EXPECT_EQ(error, EINVAL);
    p.kill();
    co_await p.wait();
  });
}

// S232: either nothing was started, or the process is here.
TEST_P(SubprocessEnd, a_cancelled_creation_leaves_no_child) {
  bool created = false;
  const auto body = [&created]() -> coroutine<> {
    created = false;
    process p = co_await create_subprocess_exec(child("wait"), piped);
    created = true;
    co_await async_with(std::move(p), [](process& inside) { inside.kill(); });
  };
  int without = 0;
  testing::inject_cancel(body, [&] {
    without += created ? 0 : 1;
    EXPECT_TRUE(has_no_children());
  });
  EXPECT_GE(without, 1);
}

// S232
TEST_P(SubprocessEnd, a_cancelled_wait_leaves_the_child_running) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying();
    task<int> waiting = create_task(p.wait());
    co_await settle();
    waiting.cancel();
    std::string how = co_await ending(wait_for_end_of(waiting));
    EXPECT_EQ(how, "cancelled_error");
    p.stdin_pipe();
    EXPECT_EQ(p.returncode(), std::nullopt);
    EXPECT_EQ(::kill(p.pid(), 0), 0);
    p.kill();
    int code = co_await p.wait();
    EXPECT_EQ(code, -SIGKILL);
  });
}

TEST_P(SubprocessEnd, wait_and_communicate_may_be_cancelled_at_every_point) {
  const auto body = []() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("copy"), piped);
    std::exception_ptr error;
    try {
      auto [out, err] = co_await p.communicate("some text");
      EXPECT_EQ(out, "some text");
      co_await p.wait();
    } catch (...) {
      error = std::current_exception();
    }
    if (error != nullptr) std::rethrow_exception(error);
  };
  const std::size_t cancelled = testing::inject_cancel(body, [] { wait_for_left_children(); });
  EXPECT_GT(cancelled, 3u);
}

// Also when the output has ended, and the errors have not.
TEST_P(SubprocessEnd, a_cancelled_communicate_loses_nothing_that_was_read) {
  const auto body = []() -> coroutine<> {
    process p =
        co_await create_subprocess_exec(command("/bin/sh", "-c", "printf out; exec >&-; sleep 0.01; printf err >&2"),
                                        {.out = subprocess::pipe, .err = subprocess::pipe});
    std::exception_ptr error;
    std::string out;
    std::string err;
    try {
      std::tie(out, err) = co_await p.communicate();
    } catch (...) {
      error = std::current_exception();
    }
    if (error != nullptr) {
      out = co_await p.stdout_pipe().read();
      err = co_await p.stderr_pipe().read();
    }
    EXPECT_EQ(out, "out");
    EXPECT_EQ(err, "err");
    if (error != nullptr) std::rethrow_exception(error);
  };
  const std::size_t cancelled = testing::inject_cancel(body, [] { wait_for_left_children(); });
  EXPECT_GT(cancelled, 3u);
}

// S237
TEST_P(SubprocessEnd, a_child_that_somebody_else_has_reaped_reports_255_with_a_warning) {
  log_watch log;
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "3"));
    EXPECT_EQ(::waitpid(p.pid(), nullptr, 0), p.pid());
    int code = co_await p.wait();
    EXPECT_EQ(code, 255);
    EXPECT_EQ(p.returncode(), 255);
    p.kill();
  });
  const lines said = log.taken();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(contains(said[0], "was reaped by somebody else")) << said[0];
}

// S237, F24: with SIGCHLD ignored the system reaps.
TEST_P(SubprocessEnd, a_program_that_ignores_sigchld_hears_of_the_end_too) {
  log_watch log;
  struct sigaction ignore{};
  struct sigaction before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &before);
  run_clean([]() -> coroutine<> {
    for (int i = 0; i < 20; ++i) {
      process p = co_await create_subprocess_exec(child("exit", "3"));
      int code = co_await p.wait();
      EXPECT_EQ(code, 255);
    }
  });
  ::sigaction(SIGCHLD, &before, nullptr);
  EXPECT_EQ(log.taken().size(), 20u);
}

// S237
TEST_P(SubprocessEnd, works_on_loops_of_several_threads_at_once) {
  std::deque<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      const auto main = [t]() -> coroutine<> {
        for (int i = 0; i < 10; ++i) {
          process p = co_await create_subprocess_exec(child("exit", std::to_string(t)));
          int code = co_await p.wait();
          EXPECT_EQ(code, t);
        }
      };
      asyncio::run(main);
    });
  for (std::thread& t : threads) t.join();
  EXPECT_TRUE(has_no_children());
}

TEST_P(SubprocessEnd, a_process_that_is_destroyed_closes_its_pipes_and_is_reaped) {
  run_clean([]() -> coroutine<> {
    pid_t pid = 0;
    {
      process p = co_await create_subprocess_exec(child("copy"), piped);
      pid = p.pid();
      p.stdin_pipe().write("x");
    }
    // Its input ends, so it does; the loop reaps it without being asked.
    while (::kill(pid, 0) == 0) co_await sleep(1ms);
  });
}

TEST_P(SubprocessEnd, a_process_that_is_destroyed_is_not_killed) {
  run_clean([]() -> coroutine<> {
    pid_t pid = 0;
    {
      process p = co_await staying();
      pid = p.pid();
    }
    co_await settle();
    EXPECT_EQ(::kill(pid, 0), 0);
    EXPECT_FALSE(is_zombie(pid));
    ::kill(pid, SIGTERM);
    while (::kill(pid, 0) == 0) co_await sleep(1ms);
  });
}

TEST_P(SubprocessEnd, its_streams_may_be_moved_away_and_end_with_it) {
  run_clean([]() -> coroutine<> {
    std::optional<process> p(co_await create_subprocess_exec(child("copy"), piped));
    stream_writer in = std::move(p->stdin_pipe());
    stream_reader out = std::move(p->stdout_pipe());
    in.write("x");
    std::string echoed = co_await out.read(1);
    EXPECT_EQ(echoed, "x");
    task<std::string> rest = create_task(out.read());
    co_await settle();
    EXPECT_FALSE(rest.done());
    const pid_t pid = p->pid();
    p.reset();
    std::string nothing = co_await rest;
    EXPECT_EQ(nothing, "");
    EXPECT_TRUE(in.is_closing());
    while (::kill(pid, 0) == 0) co_await sleep(1ms);
  });
}

// Else a child that writes for ever would never hear that nobody wants it.
TEST_P(SubprocessEnd, a_reader_that_was_moved_away_and_destroyed_closes_its_pipe) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("fill", "1000000000"), piped_output);
    {
      stream_reader out = std::move(p.stdout_pipe());
      std::string first = co_await out.read(1);
      EXPECT_EQ(first, "f");
    }
    int code = co_await p.wait();
    EXPECT_EQ(code, -SIGPIPE);
    EXPECT_TRUE(contains(thrown_by([&] { (void)p.stdout_pipe().at_eof(); }), "was moved away"));
  });
}

// S239, F30
TEST_P(SubprocessEnd, a_loop_that_is_closed_right_after_kill_leaves_nothing) {
  const std::size_t before = test::open_descriptors();
  std::optional<process> outlives;
  const auto main = [&]() -> coroutine<> {
    outlives.emplace(co_await create_subprocess_exec(child("wait"), piped));
    outlives->kill();
  };
  asyncio::run(main);
  outlives->kill();
  // Its end may have come in the loop's last turn.
  EXPECT_TRUE(!outlives->returncode() || outlives->returncode() == -SIGKILL);
  outlives.reset();
  EXPECT_EQ(test::open_descriptors(), before);
  wait_for_left_children();
}

// S239
TEST_P(SubprocessEnd, a_loop_that_is_closed_leaves_its_children_running) {
  const std::size_t before = test::open_descriptors();
  pid_t pid = 0;
  const auto main = [&]() -> coroutine<> {
    process p = co_await staying();
    pid = p.pid();
    task<int> waiting = create_task(p.wait());
    co_await settle();
    task<std::string> reading = create_task(p.stdout_pipe().read());
    co_await settle();
  };
  asyncio::run(main);
  EXPECT_EQ(test::open_descriptors(), before);
  EXPECT_EQ(::kill(pid, 0), 0);
  EXPECT_FALSE(is_zombie(pid));
  ::kill(pid, SIGKILL);
  wait_for_left_children();
}

TEST_P(SubprocessEnd, async_with_closes_the_pipes_and_waits) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("copy"), piped);
    const pid_t pid = p.pid();
    co_await async_with(std::move(p), [](process& inside) { inside.stdin_pipe().write("x"); });
    EXPECT_EQ(::kill(pid, 0), -1);
  });
}

TEST_P(SubprocessEnd, async_with_kills_when_the_body_throws) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying("ignore", std::to_string(SIGTERM));
    const pid_t pid = p.pid();
    auto body = [](process&) { throw std::runtime_error("body"); };
    std::string how = co_await ending(async_with(std::move(p), body));
    EXPECT_EQ(how, "runtime_error(body)");
    EXPECT_EQ(::kill(pid, 0), -1);
  });
}

TEST_P(SubprocessEnd, async_with_kills_when_its_wait_is_cancelled) {
  run_clean([]() -> coroutine<> {
    process p = co_await staying();
    const pid_t pid = p.pid();
    auto scope = [](process inside) -> coroutine<> { co_await async_with(std::move(inside), [](process&) {}); };
    task<> whole = create_task(scope(std::move(p)));
    co_await settle();
    EXPECT_FALSE(whole.done());
    whole.cancel();
    std::string how = co_await ending(wait_for_end_of(whole));
    EXPECT_EQ(how, "cancelled_error");
    EXPECT_EQ(::kill(pid, 0), -1);
  });
}

// S43, S46
TEST_P(SubprocessEnd, sigint_ends_run_with_its_cleanup_while_children_run) {
  const std::size_t before = test::open_descriptors();
  int cleaned = 0;
  const auto main = [&]() -> coroutine<> {
    process p = co_await staying();
    auto watch = [&]() -> coroutine<> {
      auto body = [&](process& inside) -> coroutine<> {
        ::raise(SIGINT);
        co_await inside.wait();
      };
      auto cleanup = [&] { ++cleaned; };
      auto whole = [&]() -> coroutine<> { co_await async_with(std::move(p), body); };
      co_await async_finally(whole, cleanup);
    };
    co_await watch();
  };
  EXPECT_EQ(thrown_by([&] { asyncio::run(main); }), "keyboard_interrupt");
  EXPECT_EQ(cleaned, 1);
  EXPECT_TRUE(has_no_children()) << "async_with has killed and reaped it";
  EXPECT_EQ(test::open_descriptors(), before);
}

}  // namespace
}  // namespace asyncio::spec
