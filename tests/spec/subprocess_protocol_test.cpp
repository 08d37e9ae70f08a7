// SPDX-License-Identifier: BSL-1.0
// loop.subprocess_exec() and subprocess_shell(): children whose pipes and end are told to a protocol.
#include "spec/subprocess_test.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

namespace asyncio::spec {
namespace {

using SubprocessProtocol = Subprocess;
ASYNCIO_BOTH_WAYS(SubprocessProtocol);

/// Writes everything down; `during` is called with each line, and may throw.
struct recorder : subprocess_protocol {
  void connection_made(subprocess_transport& t) override {
    through = &t;
    note("made");
  }
  void pipe_data_received(int fd, std::span<const std::byte> data) override {
    received[static_cast<std::size_t>(fd)].append(reinterpret_cast<const char*>(data.data()), data.size());
    note("data " + std::to_string(fd));
  }
  void pipe_connection_lost(int fd, std::exception_ptr error) override {
    note("pipe " + std::to_string(fd) + " " + (error == nullptr ? "ended" : "broke"));
  }
  void process_exited() override { note("exited " + std::to_string(through->get_returncode().value_or(-1000))); }
  void connection_lost(std::exception_ptr error) override {
    note(error == nullptr ? "lost" : "lost by an error");
    over.set();
  }
  void pause_writing() override { note("pause"); }
  void resume_writing() override { note("resume"); }

  void note(const std::string& what) {
    seen.push_back(what);
    if (during) during(*this, what);
  }
  bool saw(const std::string& what) const { return std::ranges::find(seen, what) != seen.end(); }

  lines seen;
  std::array<std::string, 3> received;
  subprocess_transport* through = nullptr;
  std::function<void(recorder&, const std::string&)> during;
  event over;
};

std::shared_ptr<recorder> make_recorder() { return std::make_shared<recorder>(); }

constexpr subprocess_options all_pipes{.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::pipe};

/// In the order of the alphabet, for what has no order, and each once.
lines sorted(lines all) {
  std::ranges::sort(all);
  all.erase(std::ranges::unique(all).begin(), all.end());
  return all;
}

TEST_P(SubprocessProtocol, hears_of_the_start_first_of_pipes_and_the_exit_and_of_the_end_last) {  // S238
  run_clean([]() -> coroutine<> {
    auto& loop = get_running_loop();
    auto [transport, protocol] =
        co_await loop.subprocess_shell(make_recorder, "echo output; echo errors >&2; exit 3", all_pipes);
    EXPECT_EQ(protocol->seen, lines{"made"});
    EXPECT_EQ(protocol->through, transport.get());
    co_await protocol->over.wait();
    EXPECT_EQ(protocol->seen.front(), "made");
    EXPECT_EQ(protocol->seen.back(), "lost");
    EXPECT_EQ(protocol->received[1], "output\n");
    EXPECT_EQ(protocol->received[2], "errors\n");
    // Its input has nobody who reads any more: nothing was to be sent, so that is no error.
    const lines all = sorted(protocol->seen);
    EXPECT_EQ(all,
              (lines{"data 1", "data 2", "exited 3", "lost", "made", "pipe 0 ended", "pipe 1 ended", "pipe 2 ended"}));
    EXPECT_EQ(transport->get_returncode(), 3);
    EXPECT_EQ(transport->get_protocol(), nullptr);
    EXPECT_TRUE(transport->is_closing());
    transport->kill();  // to one that has ended: nothing
    transport->close();
  });
}

TEST_P(SubprocessProtocol, talks_to_the_child_through_the_transports_of_its_pipes) {
  run_clean([]() -> coroutine<> {
    auto& loop = get_running_loop();
    auto [transport, protocol] =
        co_await loop.subprocess_exec(make_recorder, command("cat"), {.in = subprocess::pipe, .out = subprocess::pipe});
    EXPECT_GT(transport->get_pid(), 0);
    EXPECT_EQ(transport->get_returncode(), std::nullopt);
    EXPECT_FALSE(transport->is_closing());
    EXPECT_EQ(transport->get_pipe_transport(2), nullptr);
    EXPECT_EQ(transport->get_pipe_transport(3), nullptr);
    EXPECT_EQ(transport->get_pipe_transport(-1), nullptr);
    transport->get_pipe_transport(0)->write("hello");
    transport->get_pipe_transport(0)->write_eof();
    co_await protocol->over.wait();
    EXPECT_EQ(protocol->received[1], "hello");
    EXPECT_TRUE(protocol->saw("exited 0"));
    EXPECT_EQ(transport->get_pipe_transport(0)->fileno(), -1);
  });
}

TEST_P(SubprocessProtocol, a_child_without_pipes_is_told_of_too) {
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(make_recorder, child("exit", "7"));
    co_await protocol->over.wait();
    EXPECT_EQ(protocol->seen, (lines{"made", "exited 7", "lost"}));
  });
}

TEST_P(SubprocessProtocol, close_kills_a_child_that_runs) {  // S233
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(make_recorder, command("cat"), all_pipes);
    transport->close();
    transport->close();
    EXPECT_TRUE(transport->is_closing());
    EXPECT_EQ(protocol->seen, lines{"made"});  // nobody is called from inside a call
    co_await protocol->over.wait();
    EXPECT_TRUE(protocol->saw("exited -9"));
    EXPECT_EQ(protocol->seen.back(), "lost");
    EXPECT_EQ(sorted(protocol->seen).size(), 6u);
  });
}

TEST_P(SubprocessProtocol, close_leaves_one_alone_that_has_ended) {  // S233
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] =
        co_await get_running_loop().subprocess_exec(make_recorder, child("leave-grandchild"), piped_output);
    while (!protocol->saw("exited 0") || !protocol->saw("data 1")) co_await sleep(1ms);
    EXPECT_FALSE(protocol->saw("lost"));  // the child of the child has the pipe
    transport->close();
    co_await protocol->over.wait();
    EXPECT_EQ(transport->get_returncode(), 0);
    EXPECT_EQ(sorted(protocol->seen), (lines{"data 1", "exited 0", "lost", "made", "pipe 1 ended"}));
    ::kill(std::stoi(protocol->received[1]), SIGKILL);
  });
}

TEST_P(SubprocessProtocol, close_does_not_wait_for_input_that_a_child_of_the_child_does_not_read) {
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(
        make_recorder, child("leave-grandchild"), {.in = subprocess::pipe, .out = subprocess::pipe});
    transport->get_pipe_transport(0)->write(std::string(300'000, 'x'));
    while (!protocol->saw("exited 0") || !protocol->saw("data 1")) co_await sleep(1ms);
    transport->close();
    co_await protocol->over.wait();
    ::kill(std::stoi(protocol->received[1]), SIGKILL);
  });
}

TEST_P(SubprocessProtocol, who_was_told_of_the_end_has_no_successor) {
  std::weak_ptr<recorder> late;
  run_clean([&]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(make_recorder, child("exit", "0"));
    co_await protocol->over.wait();
    const auto second = make_recorder();
    late = second;
    transport->set_protocol(second);
    EXPECT_EQ(transport->get_protocol(), nullptr);
  });
  EXPECT_TRUE(late.expired());
}

TEST_P(SubprocessProtocol, signals_reach_the_child) {
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(make_recorder, command("cat"), piped);
    transport->terminate();
    co_await protocol->over.wait();
    EXPECT_TRUE(protocol->saw("exited -15"));
    EXPECT_EQ(transport->get_returncode(), -15);
  });
}

TEST_P(SubprocessProtocol, who_writes_more_than_the_child_reads_is_told_to_pause) {
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(make_recorder, command("cat"), piped);
    auto output = transport->get_pipe_transport(1);
    output->pause_reading();
    auto input = transport->get_pipe_transport(0);
    input->write(std::string(2'000'000, 'x'));
    EXPECT_TRUE(protocol->saw("pause"));
    output->resume_reading();
    while (!protocol->saw("resume")) co_await sleep(1ms);
    input->write_eof();
    co_await protocol->over.wait();
    EXPECT_EQ(protocol->received[1].size(), 2'000'000u);
  });
}

TEST_P(SubprocessProtocol, what_a_child_leaves_unread_breaks_its_pipe) {
  run_clean([]() -> coroutine<> {
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(
        make_recorder, command("head", "-c1"), {.in = subprocess::pipe, .out = subprocess::devnull});
    transport->get_pipe_transport(0)->write(std::string(2'000'000, 'x'));
    co_await protocol->over.wait();
    std::erase(protocol->seen, "pause");  // there is no time for it, when the child is quick
    EXPECT_EQ(sorted(protocol->seen), (lines{"exited 0", "lost", "made", "pipe 0 broke"}));
  });
}

TEST_P(SubprocessProtocol, a_callback_that_throws_is_reported_and_ends_nothing) {
  lines reports;
  const auto main = [&]() -> coroutine<> {
    auto& loop = get_running_loop();
    loop.set_exception_handler([&](event_loop&, const exception_context& c) { reports.push_back(c.message); });
    const auto factory = [] {
      auto made = make_recorder();
      made->during = [](recorder&, const std::string& what) { throw std::runtime_error(what); };
      return made;
    };
    auto [transport, protocol] = co_await loop.subprocess_shell(factory, "echo x", piped_output);
    while (!protocol->saw("lost")) co_await sleep(1ms);
  };
  asyncio::run(main);
  std::ranges::sort(reports);
  EXPECT_EQ(reports,
            (lines{"subprocess_protocol.connection_lost() failed", "subprocess_protocol.connection_made() failed",
                   "subprocess_protocol.pipe_connection_lost() failed",
                   "subprocess_protocol.pipe_data_received() failed", "subprocess_protocol.process_exited() failed"}));
}

TEST_P(SubprocessProtocol, a_protocol_may_be_exchanged_also_from_inside_a_callback) {
  run_clean([]() -> coroutine<> {
    const auto second = make_recorder();
    const auto factory = [&second] {
      auto first = make_recorder();
      first->during = [&second](recorder& me, const std::string& what) {
        if (what == "data 1") me.through->set_protocol(second);
      };
      return first;
    };
    auto [transport, first] = co_await get_running_loop().subprocess_shell(factory, "echo x", piped_output);
    second->through = transport.get();
    EXPECT_EQ(transport->get_protocol(), first);
    EXPECT_EQ(thrown_by([&] { transport->set_protocol(nullptr); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { transport->set_protocol(std::make_shared<protocol>()); }), "invalid_argument");
    co_await second->over.wait();
    EXPECT_EQ(first->seen, (lines{"made", "data 1"}));
    EXPECT_EQ(sorted(second->seen), (lines{"exited 0", "lost", "pipe 1 ended"}));
  });
}

TEST_P(SubprocessProtocol, a_protocol_that_closes_at_once_is_told_all_the_same) {
  run_clean([]() -> coroutine<> {
    const auto factory = [] {
      auto made = make_recorder();
      made->during = [](recorder& me, const std::string& what) {
        if (what == "made") me.through->close();
      };
      return made;
    };
    auto [transport, protocol] = co_await get_running_loop().subprocess_exec(factory, command("cat"), all_pipes);
    co_await protocol->over.wait();
    EXPECT_TRUE(protocol->saw("exited -9"));
    EXPECT_EQ(protocol->seen.back(), "lost");
  });
}

TEST_P(SubprocessProtocol, a_child_that_cannot_be_started_is_an_error_at_once_and_leaves_nothing) {  // S234
  run_clean([]() -> coroutine<> {
    auto& loop = get_running_loop();
    const std::size_t before = test::open_descriptors();
    std::weak_ptr<recorder> made;
    const auto factory = [&made] {
      auto one = make_recorder();
      made = one;
      return one;
    };
    const auto failure = co_await failure_of(loop.subprocess_exec(factory, command("/no/such/program"), all_pipes));
    EXPECT_EQ(failure.first, ENOENT);
    EXPECT_TRUE(contains(failure.second, "/no/such/program")) << failure.second;
    co_await sleep(0s);
    EXPECT_EQ(test::open_descriptors(), before);
    EXPECT_TRUE(made.expired());

    std::string thrown;
    try {
      const auto failing = []() -> std::shared_ptr<recorder> { throw std::runtime_error("no protocol"); };
      co_await loop.subprocess_exec(failing, command("cat"), all_pipes);
    } catch (...) {
      thrown = name_of(std::current_exception());
    }
    EXPECT_EQ(thrown, "runtime_error(no protocol)");
    co_await sleep(0s);
    EXPECT_EQ(test::open_descriptors(), before);
  });
}

TEST_P(SubprocessProtocol, a_cancelled_start_has_started_nothing) {  // S232
  run_clean([]() -> coroutine<> {
    int made = 0;
    const auto factory = [&made] {
      ++made;
      return make_recorder();
    };
    auto starting = create_task(get_running_loop().subprocess_exec(factory, command("cat"), all_pipes));
    co_await sleep(0s);
    starting.cancel();
    std::vector all{starting};
    co_await wait(all);
    EXPECT_TRUE(starting.cancelled());
    EXPECT_EQ(made, 0);
  });
}

TEST_P(SubprocessProtocol, a_loop_that_ends_forgets_it_and_leaves_the_child_running) {
  std::weak_ptr<recorder> left;
  pid_t pid = 0;
  {
    std::shared_ptr<subprocess_transport> kept;
    const auto main = [&]() -> coroutine<> {
      auto [transport, protocol] =
          co_await get_running_loop().subprocess_exec(make_recorder, child("ignore", "15"), piped);
      left = protocol;
      pid = transport->get_pid();
      while (protocol->received[1].empty()) co_await sleep(1ms);
      kept = transport;
    };
    asyncio::run(main);
    EXPECT_TRUE(left.expired());
    EXPECT_EQ(kept->get_returncode(), std::nullopt);
    EXPECT_EQ(kept->get_protocol(), nullptr);
  }
  ::kill(pid, SIGKILL);
  wait_for_left_children();
}

TEST_P(SubprocessProtocol, an_exited_child_and_its_protocol_are_forgotten_with_the_last_who_shares_them) {
  std::weak_ptr<recorder> told;
  std::weak_ptr<subprocess_transport> through;
  run_clean([&]() -> coroutine<> {
    auto [transport, protocol] =
        co_await get_running_loop().subprocess_exec(make_recorder, child("exit", "0"), all_pipes);
    told = protocol;
    through = transport;
    co_await protocol->over.wait();
    protocol.reset();
    EXPECT_TRUE(told.expired());
    transport.reset();
    EXPECT_TRUE(through.expired());
  });
}

}  // namespace
}  // namespace asyncio::spec
