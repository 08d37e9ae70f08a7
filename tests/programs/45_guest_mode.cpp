// SPDX-License-Identifier: BSL-1.0
// our loop inside somebody else's: a descriptor to poll and the next deadline
#include <asyncio/asyncio.hpp>
#include <algorithm>
#include <cstdio>
#include <poll.h>

asyncio::coroutine<> ticks() { for (int i = 0; i < 3; ++i) { std::puts("tick"); co_await asyncio::sleep(std::chrono::milliseconds(10)); } }

int main() {
  auto loop = asyncio::new_event_loop({.backend = asyncio::backend_kind::epoll});
  asyncio::set_event_loop(loop.get());
  auto t = loop->create_task(ticks(), {.name = "ticks"});
  while (!t.done()) {
    int wait_ms = -1;
    if (auto d = loop->next_deadline()) wait_ms = static_cast<int>(std::max<long>(0, std::chrono::duration_cast<std::chrono::milliseconds>(*d - loop->time()).count()));
    pollfd p{loop->poll_fd(), POLLIN, 0};
    ::poll(&p, 1, wait_ms);
    loop->run_once(std::chrono::seconds(0));
  }
  loop->close();
}
