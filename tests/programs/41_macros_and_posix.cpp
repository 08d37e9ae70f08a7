// SPDX-License-Identifier: BSL-1.0
// every name must survive POSIX headers and `using namespace asyncio`, in -std=gnu++20 too
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <asyncio/asyncio.hpp>
#include <vector>
using namespace asyncio;

coroutine<> amain() {
  lock l; event e; condition c; semaphore s; barrier b(1); queue<int> q; future<> f; task<> t; context x; timeout w(1s); any_task a = current_task();
  std::vector<task<>> tasks{create_task(sleep(1s))};
  co_await wait(tasks);
  co_await sleep(1s);
  auto p = co_await create_subprocess_exec(command("true"), {.in = subprocess::devnull, .out = subprocess::pipe});
  int status = co_await p.wait();
  int raw = 0;
  ::wait(&raw);
  auto srv = co_await start_server([](stream_reader, stream_writer) -> coroutine<> { co_return; }, "", 0);
  handle h = get_running_loop().call_soon([] {});
  process* pp = &p; server* ps = &srv; command cmd("x"); connection* pc = nullptr; address_family fam = address_family::unix_; socket_address adr;
  (void)status; (void)h; (void)pp; (void)ps; (void)pc; (void)fam; (void)a; (void)x;
  co_await async_with(std::move(w), [] {});
}
int main() { run(amain()); }
