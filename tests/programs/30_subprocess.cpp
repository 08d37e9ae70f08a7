// SPDX-License-Identifier: BSL-1.0
// create_subprocess_exec, communicate, pipes as streams
#include <asyncio/asyncio.hpp>
#include <csignal>
#include <iostream>
#include <map>
#include <string>
#include <vector>
using namespace asyncio;

coroutine<> amain() {
  process p = co_await create_subprocess_exec(command("ls", "-l", "/"), {.out = subprocess::pipe, .err = subprocess::to_stdout});
  auto [out, err] = co_await p.communicate();
  std::cout << "exited with " << p.returncode().value_or(-1) << '\n' << out << err;

  std::map<std::string, std::string> env{{"PATH", "/bin"}, {"LANG", "C"}};
  std::vector<std::string> argv{"grep", "x"};
  auto q = co_await create_subprocess_exec(command(argv), {.in = subprocess::pipe, .out = subprocess::pipe, .err = subprocess::devnull, .cwd = "/tmp", .env = env, .limit = 1 << 20});
  q.stdin_pipe().write("x\ny\n");
  co_await q.stdin_pipe().drain();
  q.stdin_pipe().close();
  while (auto line = co_await q.stdout_pipe().next()) std::cout << *line;
  int status = co_await q.wait();

  auto sh = co_await create_subprocess_shell("sleep 10 | wc", {.out = subprocess::pipe});
  try { co_await wait_for(sh.communicate(), 1s); }
  catch (const timeout_error&) { sh.terminate(); sh.send_signal(SIGHUP); sh.kill(); }
  auto [o2, e2] = co_await q.communicate("input for it");
  std::cout << status << q.pid() << o2 << e2 << '\n';
}
int main() { run(amain()); }
