// SPDX-License-Identifier: BSL-1.0
// Child processes: what they are given, and how one talks with them.
#include "spec/subprocess_test.hpp"

#include <array>
#include <map>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace asyncio::spec {
namespace {

static_assert(!std::is_copy_constructible_v<process> && std::is_nothrow_move_constructible_v<process>);
static_assert(!std::is_default_constructible_v<process>);

class SubprocessTalk : public Subprocess {};
ASYNCIO_BOTH_WAYS(SubprocessTalk);

/// Its output, when it ends with 0.
coroutine<std::string> output_of(command program, subprocess_options options = piped_output) {
  process p = co_await create_subprocess_exec(std::move(program), options);
  auto [out, err] = co_await p.communicate();
  EXPECT_EQ(p.returncode(), 0);
  co_return out;
}

// S226
TEST_P(SubprocessTalk, communicate_writes_the_input_and_reads_both_outputs) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(
        child("copy-twice"), {.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::pipe});
    EXPECT_GT(p.pid(), 0);
    EXPECT_EQ(p.returncode(), std::nullopt);
    auto [out, err] = co_await p.communicate("said");
    EXPECT_EQ(out, "said");
    EXPECT_EQ(err, "said");
    EXPECT_EQ(p.returncode(), 0);
  });
}

// S226: what is no pipe comes back empty, input that nobody takes is no error.
TEST_P(SubprocessTalk, communicate_without_pipes_waits_for_the_end) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "3"), {.in = subprocess::devnull});
    auto [out, err] = co_await p.communicate("ignored");
    EXPECT_EQ(out + err, "");
    EXPECT_EQ(p.returncode(), 3);
    auto [again, no_more] = co_await p.communicate();
    EXPECT_EQ(again + no_more, "");
  });
}

// S226
TEST_P(SubprocessTalk, communicate_moves_much_in_all_directions_at_once) {
  run_clean([]() -> coroutine<> {
    const std::size_t much = (sanitized ? 16 : 100) * std::size_t{1024} * 1024;
    process p = co_await create_subprocess_exec(
        child("copy-twice"), {.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::pipe});
    auto [out, err] = co_await p.communicate(std::string(much, 'm'));
    EXPECT_EQ(out.size(), much);
    EXPECT_EQ(out.find_first_not_of('m'), std::string::npos);
    EXPECT_TRUE(out == err);
    EXPECT_EQ(p.returncode(), 0);
  });
}

// S226
TEST_P(SubprocessTalk, communicate_does_not_mind_a_child_that_reads_no_input) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "0"), piped);
    auto [out, err] = co_await p.communicate(std::string(10'000'000, 'x'));
    EXPECT_EQ(out, "");
    EXPECT_EQ(p.returncode(), 0);
  });
}

// S226, F26: the child closes its input early and goes on.
TEST_P(SubprocessTalk, communicate_does_not_mind_a_child_that_stops_reading) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(command("sh", "-c", "head -c1; exec <&-; echo done"), piped);
    auto [out, err] = co_await p.communicate(std::string(1'000'000, 'x'));
    EXPECT_EQ(out, "xdone\n");
  });
}

// S227, F8
TEST_P(SubprocessTalk, writing_to_a_child_that_has_ended_is_a_broken_pipe) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "0"), {.in = subprocess::pipe});
    co_await p.wait();
    p.stdin_pipe().write("too late");
    auto [error, text] = co_await failure_of(p.stdin_pipe().drain());
    EXPECT_EQ(error, EPIPE) << text;
    auto [again, same] = co_await failure_of(p.stdin_pipe().drain());
    EXPECT_EQ(again, EPIPE) << same;
  });
}

// S227: while a write waits for room.
TEST_P(SubprocessTalk, a_drain_that_waits_hears_that_the_child_has_ended) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("stay"), piped);
    std::string line = co_await p.stdout_pipe().readline();
    EXPECT_EQ(line, "here\n");
    p.stdin_pipe().write(std::string(1'000'000, 'x'));
    task<std::pair<int, std::string>> drained = create_task(failure_of(p.stdin_pipe().drain()));
    co_await settle();
    EXPECT_FALSE(drained.done());
    p.kill();
    auto [error, text] = co_await drained;
    EXPECT_EQ(error, EPIPE) << text;
    EXPECT_EQ(co_await p.wait(), -SIGKILL);
  });
}

TEST_P(SubprocessTalk, the_pipes_are_streams) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("copy"), piped);
    stream_writer& in = p.stdin_pipe();
    stream_reader& out = p.stdout_pipe();
    in.write("one\ntwo\n");
    co_await in.drain();
    std::string line = co_await out.readline();
    EXPECT_EQ(line, "one\n");
    std::optional<std::string> next = co_await out.next();
    EXPECT_EQ(next, "two\n");
    EXPECT_EQ(in.peername(), socket_address());
    EXPECT_EQ(in.sockname(), socket_address());
    EXPECT_TRUE(in.can_write_eof());
    in.write("three");
    in.write_eof();
    std::string rest = co_await out.read();
    EXPECT_EQ(rest, "three");
    EXPECT_TRUE(out.at_eof());
    co_await in.wait_closed();
    EXPECT_EQ(in.fileno(), -1);
    EXPECT_EQ(co_await p.wait(), 0);
  });
}

// S231
TEST_P(SubprocessTalk, a_reader_that_does_not_read_makes_the_child_wait) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("fill", "10000000"), {.out = subprocess::pipe, .limit = 1000});
    std::string first = co_await p.stdout_pipe().read(10);
    EXPECT_EQ(first.size(), 10u);
    co_await settle(100);
    EXPECT_EQ(p.returncode(), std::nullopt) << "10 MB fit into no pipe";
    std::string rest = co_await p.stdout_pipe().read();
    EXPECT_EQ(rest.size(), 9'999'990u);
    EXPECT_EQ(co_await p.wait(), 0);
  });
}

// S231
TEST_P(SubprocessTalk, output_is_there_after_the_child_has_ended) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("fill", "5000"), piped_output);
    EXPECT_EQ(co_await p.wait(), 0);
    std::string out = co_await p.stdout_pipe().read();
    EXPECT_EQ(out.size(), 5000u);
  });
}

// S236, F25
TEST_P(SubprocessTalk, a_child_has_its_three_descriptors_and_those_that_are_passed) {
  run_clean([]() -> coroutine<> {
    const int foreign = ::open("/dev/null", O_RDONLY);  // whoever opened it did not think of children
    const int passed = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const subprocess_options pipes{.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::pipe};
    std::string text = co_await output_of(child("descriptors"), pipes);
    EXPECT_EQ(std::ranges::count(text, '\n'), 3) << text;
    subprocess_options passing = pipes;
    const std::array<int, 3> fds{passed, passed, 1};  // said twice, and one that it has anyway
    passing.pass_fds = fds;
    text = co_await output_of(child("descriptors"), passing);
    EXPECT_EQ(std::ranges::count(text, '\n'), 4) << text;
    EXPECT_TRUE(contains(text, "\n" + std::to_string(passed) + " ")) << text;
    ::close(foreign);
    ::close(passed);
  });
}

// A program that has closed its own standard descriptors: pipes get their numbers.
TEST_P(SubprocessTalk, a_child_inherits_no_standard_descriptor_that_is_not_there) {
  run_clean([]() -> coroutine<> {
    const int kept = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
    const int kept_input = ::fcntl(0, F_DUPFD_CLOEXEC, 10);
    ::close(2);
    ::close(0);
    std::string text = co_await output_of(child("descriptors"), {.out = subprocess::pipe});
    std::string both = co_await output_of(
        child("copy-twice"), {.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::to_stdout});
    ::dup2(kept, 2);
    ::dup2(kept_input, 0);
    ::close(kept);
    ::close(kept_input);
    EXPECT_TRUE(text.starts_with("1 ") && std::ranges::count(text, '\n') == 1) << text;
    EXPECT_EQ(both, "");
  });
}

TEST_P(SubprocessTalk, standard_streams_go_where_they_are_told) {
  run_clean([]() -> coroutine<> {
    process joined = co_await create_subprocess_exec(command("sh", "-c", "echo out; echo err >&2"),
                                                     {.out = subprocess::pipe, .err = subprocess::to_stdout});
    auto [both, none] = co_await joined.communicate();
    EXPECT_EQ(both, "out\nerr\n");
    EXPECT_EQ(none, "");

    process quiet = co_await create_subprocess_exec(
        child("copy-twice"), {.in = subprocess::devnull, .out = subprocess::devnull, .err = subprocess::pipe});
    auto [no_out, no_err] = co_await quiet.communicate();
    EXPECT_EQ(no_out + no_err, "") << "no input comes from there";

    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    process into = co_await create_subprocess_exec(child("fill", "3"), {.out = ends[1], .err = subprocess::to_stdout});
    EXPECT_EQ(co_await into.wait(), 0);
    ::close(ends[1]);
    process from = co_await create_subprocess_exec(child("copy"), {.in = ends[0], .out = subprocess::pipe});
    ::close(ends[0]);
    auto [passed_on, nothing] = co_await from.communicate();
    EXPECT_EQ(passed_on, "fff");
  });
}

TEST_P(SubprocessTalk, environment_and_directory_are_the_ones_that_were_given) {
  run_clean([]() -> coroutine<> {
    std::map<std::string, std::string> env{{"A", "1"}, {"B", ""}};
    std::string text = co_await output_of(child("environment"), {.out = subprocess::pipe, .env = env});
    EXPECT_EQ(text, "A=1\nB=\n");
    const std::vector<std::pair<const char*, std::string>> pairs{{"C", "x=y"}};
    text = co_await output_of(child("environment"), {.out = subprocess::pipe, .env = pairs});
    EXPECT_EQ(text, "C=x=y\n");
    text = co_await output_of(child("folder"), {.out = subprocess::pipe, .cwd = "/"});
    EXPECT_EQ(text, "/\n");
  });
}

TEST_P(SubprocessTalk, sessions_and_groups_are_made_when_asked_for) {
  run_clean([]() -> coroutine<> {
    const auto ids = [](std::string text) {
      std::array<int, 4> found{};
      EXPECT_EQ(std::sscanf(text.c_str(), "%d %d %d %d", &found[0], &found[1], &found[2], &found[3]), 4);
      return found;  // pid, parent, group, session
    };
    std::string text = co_await output_of(child("ids"), {.out = subprocess::pipe, .start_new_session = true});
    auto [pid, parent, group, session] = ids(text);
    EXPECT_EQ(parent, ::getpid());
    EXPECT_EQ(session, pid);
    text = co_await output_of(child("ids"), {.out = subprocess::pipe, .process_group = 0});
    EXPECT_EQ(ids(text)[2], ids(text)[0]);
    EXPECT_EQ(ids(text)[3], ::getsid(0));
  });
}

// S17 of the dangers: no shell reads arguments; create_subprocess_shell() is one.
TEST_P(SubprocessTalk, only_a_shell_reads_what_is_written_for_shells) {
  run_clean([]() -> coroutine<> {
    std::string text = co_await output_of(child("arguments", "; rm -rf /", "two\nlines", "'\"$HOME`", ""));
    EXPECT_EQ(text, "[; rm -rf /]\n[two\nlines]\n['\"$HOME`]\n[]\n");
    process p = co_await create_subprocess_shell("echo $((1+2)) | cat; exit 7", piped_output);
    auto [out, err] = co_await p.communicate();
    EXPECT_EQ(out, "3\n");
    EXPECT_EQ(p.returncode(), 7);
  });
}

TEST_P(SubprocessTalk, everything_is_copied_by_the_call) {
  run_clean([]() -> coroutine<> {
    std::optional<coroutine<process>> made;
    {
      std::string cwd = "/usr";
      std::map<std::string, std::string> env{{"KEY", "value"}};
      const std::array<int, 1> fds{2};
      made.emplace(create_subprocess_shell(std::string("pwd; echo $KEY"),
                                           {.out = subprocess::pipe, .cwd = cwd, .env = env, .pass_fds = fds}));
      cwd = "/tmp";
      env.clear();
    }
    process p = co_await std::move(*made);
    auto [out, err] = co_await p.communicate();
    EXPECT_EQ(out, "/usr\nvalue\n");
  });
}

// S234
TEST_P(SubprocessTalk, a_program_that_cannot_be_started_is_told_by_name_and_leaves_nothing) {
  run_clean([]() -> coroutine<> {
    auto [missing, text] = co_await failure_of(create_subprocess_exec(command("no-such-program")));
    EXPECT_EQ(missing, ENOENT);
    EXPECT_EQ(text, "cannot start 'no-such-program': No such file or directory");
    auto [with_pipes, same] = co_await failure_of(create_subprocess_exec(
        command("/no/such/program"), {.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::pipe}));
    EXPECT_EQ(with_pipes, ENOENT);
    EXPECT_TRUE(contains(same, "'/no/such/program'")) << same;
    auto [forbidden, why] = co_await failure_of(create_subprocess_exec(command("/etc/passwd")));
    EXPECT_EQ(forbidden, EACCES) << why;
    auto [no_cwd, names] = co_await failure_of(create_subprocess_exec(command("true"), {.cwd = "/no/such/directory"}));
    EXPECT_EQ(no_cwd, ENOENT);
    EXPECT_EQ(names, "cannot start 'true': cannot go to the directory '/no/such/directory': No such file or directory");
    auto [no_fd, told] = co_await failure_of(create_subprocess_exec(command("true"), {.out = 999}));
    EXPECT_EQ(no_fd, EBADF) << told;
    const int first_free = ::dup(0);  // the next pipe would have this number
    ::close(first_free);
    const std::array<int, 1> passed{first_free};
    auto [not_ours, why_not] =
        co_await failure_of(create_subprocess_exec(command("true"), {.in = subprocess::pipe, .pass_fds = passed}));
    EXPECT_EQ(not_ours, EBADF) << why_not;
    EXPECT_TRUE(contains(why_not, "descriptor " + std::to_string(first_free))) << why_not;
    auto [no_input, says] =
        co_await failure_of(create_subprocess_exec(command("true"), {.in = first_free, .out = subprocess::pipe}));
    EXPECT_EQ(no_input, EBADF) << says;
    EXPECT_EQ(all_tasks().size(), 1u);
  });
}

// S234: the name may hold anything.
TEST_P(SubprocessTalk, names_in_messages_are_printable) {
  run_clean([]() -> coroutine<> {
    auto [error, text] = co_await failure_of(create_subprocess_exec(command("a\nb\x1b[0m")));
    EXPECT_EQ(error, ENOENT);
    EXPECT_TRUE(contains(text, "'a\\x0ab\\x1b[0m'")) << text;
  });
}

// S235: there are no text options. What else does not fit is refused.
TEST(SubprocessOptions, what_does_not_fit_is_refused) {
  run_clean([]() -> coroutine<> {
    const auto refused = [](command program, subprocess_options options) -> coroutine<std::string> {
      std::string how = co_await ending(create_subprocess_exec(std::move(program), options));
      co_return how;
    };
    EXPECT_EQ(co_await refused(command("true"), {.in = subprocess::to_stdout}), "invalid_argument");
    EXPECT_EQ(co_await refused(command("true"), {.out = subprocess::to_stdout}), "invalid_argument");
    EXPECT_EQ(co_await refused(command("true"), {.out = -5}), "invalid_argument");
    EXPECT_EQ(co_await refused(command("true"), {.limit = 0}), "invalid_argument");
    EXPECT_EQ(co_await refused(command("true"), {.process_group = -1}), "invalid_argument");
    EXPECT_EQ(co_await refused(command("true"), {.cwd = std::string_view("/\0x", 3)}), "invalid_argument");
    EXPECT_EQ(co_await refused(command("true", std::string_view("a\0b", 3)), {}), "invalid_argument");
    EXPECT_EQ(co_await refused(command(std::vector<std::string>()), {}), "invalid_argument");
    EXPECT_EQ(co_await refused(command(""), {}), "invalid_argument");
    std::map<std::string, std::string> env{{"A=B", "1"}};
    EXPECT_EQ(thrown_by([&] { (void)create_subprocess_exec(command("true"), {.env = env}); }), "invalid_argument");
    env = {{"A", std::string("x\0y", 3)}};
    EXPECT_EQ(co_await refused(command("true"), {.env = env}), "invalid_argument");
  });
}

TEST(SubprocessOptions, a_stream_that_was_not_asked_for_is_an_error_that_says_how_to_ask) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "0"));
    EXPECT_EQ(thrown_by([&] { p.stdin_pipe(); }),
              "runtime_error(process.stdin_pipe(): it is no pipe; ask for one with .in = subprocess::pipe)");
    EXPECT_TRUE(contains(thrown_by([&] { p.stdout_pipe(); }), ".out = subprocess::pipe"));
    EXPECT_TRUE(contains(thrown_by([&] { p.stderr_pipe(); }), ".err = subprocess::pipe"));
    process moved = std::move(p);
    EXPECT_TRUE(contains(thrown_by([&] { (void)p.pid(); }), "was moved away"));
    co_await moved.wait();
  });
}

TEST(SubprocessOptions, a_process_belongs_to_its_loops_thread) {
  run_clean([]() -> coroutine<> {
    process p = co_await create_subprocess_exec(child("exit", "0"));
    std::string thrown;
    std::thread([&] { thrown = thrown_by([&] { p.kill(); }); }).join();
    EXPECT_TRUE(contains(thrown, "process.send_signal()")) << thrown;
    co_await p.wait();
  });
}

TEST(SubprocessOptions, others_run_before_each_start) {
  run_clean([]() -> coroutine<> {
    int turns = 0;
    bool over = false;
    auto count = [&]() -> coroutine<> {
      while (!over) {
        ++turns;
        co_await sleep(0s);
      }
    };
    task<> counting = create_task(count());
    for (int i = 0; i < 5; ++i) {
      process p = co_await create_subprocess_exec(child("exit", "0"));
      EXPECT_GT(turns, i);
      co_await p.wait();
    }
    over = true;
    co_await counting;
  });
}

}  // namespace
}  // namespace asyncio::spec
