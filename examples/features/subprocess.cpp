// SPDX-License-Identifier: BSL-1.0
// Child processes: what they say, line by line or all at once, how they end, and one that must be told twice to end.
// See: the sleeper is stopped after a tenth of a second of grace, and not after an hour.
#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstdio>
#include <map>
#include <string>

using namespace asyncio;
using namespace std::chrono_literals;

coroutine<> say_and_hear() {
  process sort = co_await create_subprocess_exec(command("sort"), {.in = subprocess::pipe, .out = subprocess::pipe});
  auto [out, err] = co_await sort.communicate("pear\napple\nfig\n");
  std::printf("%s", out.c_str());
}

coroutine<> line_by_line() {
  std::map<std::string, std::string> env{{"PATH", "/usr/bin:/bin"}, {"GREETING", "hello"}};
  process shell = co_await create_subprocess_shell("for i in 1 2 3; do echo $GREETING $i; done; exit 7",
                                                   {.out = subprocess::pipe, .env = env});
  while (auto line = co_await shell.stdout_pipe().next()) std::printf("the shell says: %s", line->c_str());
  int status = co_await shell.wait();
  std::printf("and ends with %d\n", status);
}

coroutine<> end_it(process& child, timedelta grace) {
  child.terminate();
  try {
    co_await wait_for(child.wait(), grace);
    co_return;
  } catch (const timeout_error&) {
    std::puts("it does not listen");
  }
  child.kill();
  co_await child.wait();
}

coroutine<> stubborn() {
  process sleeper = co_await create_subprocess_shell("trap '' TERM; echo ready; while :; do sleep 0.05; done",
                                                     {.out = subprocess::pipe, .err = subprocess::devnull});
  co_await sleeper.stdout_pipe().readline();
  co_await end_it(sleeper, 100ms);
  std::printf("ended by signal %d\n", -sleeper.returncode().value_or(0));
}

coroutine<> amain() {
  co_await say_and_hear();
  co_await line_by_line();
  co_await stubborn();
  try {
    co_await create_subprocess_exec(command("no-such-program"));
  } catch (const std::system_error& error) {
    std::puts(error.what());
  }
}

int main() { run(amain()); }
