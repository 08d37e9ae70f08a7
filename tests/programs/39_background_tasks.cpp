// SPDX-License-Identifier: BSL-1.0
// a class that starts and stops tasks; the set of background tasks; done callbacks with the task
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <map>
#include <string>
#include <vector>
using namespace asyncio;

class service {
 public:
  void start() { worker_ = create_task(&service::loop_forever, this); }
  coroutine<> stop() {
    if (!worker_) co_return;
    worker_.cancel("stop");
    try { co_await worker_; } catch (const cancelled_error&) {}
  }
 private:
  coroutine<> loop_forever() { while (true) { co_await sleep(1s); ++ticks_; } }
  task<> worker_;
  int ticks_ = 0;
};
coroutine<int> job(int n) { co_await sleep(1s); co_return n; }
coroutine<> amain() {
  service s;
  s.start();
  std::map<std::string, task<int>> running;
  running["a"] = create_task(job(1));
  running["a"].add_done_callback([&](task<int> t) { std::printf("%s %d\n", t.get_name().c_str(), t.cancelled()); running.erase("a"); });
  std::vector<any_task> mixed{running["a"], create_task(s.stop())};
  mixed.push_back(create_task(job(2)));
  auto [done, pending] = co_await wait(mixed, {.return_when = return_when::first_exception});
  if (done.size() + pending.size() != 3) std::puts("?");
  future<int> as_future = create_task(job(3));
  as_future.cancel();
}
int main() { run(amain()); }
