// SPDX-License-Identifier: BSL-1.0
// Our loop as the guest of a GLib main loop (GTK's, for one): GLib sleeps, and gives our tasks a turn when they want one.
// A GSource has all that is needed: a descriptor to watch, and a time by which to come.
// See: a timer of GLib's wakes a task, the task sleeps, a thread calls, and the task ends GLib's loop.
#include <asyncio/asyncio.hpp>

#include <glib.h>
#include <algorithm>
#include <cstdio>
#include <thread>

using namespace std::chrono_literals;

struct guest_source {
  GSource base;
  asyncio::event_loop* loop;
  gpointer watched;  // the descriptor, by GLib's name for it
};

asyncio::event_loop& guest_of(GSource* source) { return *reinterpret_cast<guest_source*>(source)->loop; }

// How long GLib may sleep. It asks before each sleep: so what its own callbacks do to our loop is heard of, too.
gboolean prepare(GSource* source, gint* most) {
  asyncio::event_loop& loop = guest_of(source);
  const auto deadline = loop.next_deadline();
  *most = -1;  // as long as it likes
  if (!deadline) return FALSE;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - loop.time()).count();
  *most = static_cast<gint>(std::clamp<long long>(left, 0, 60'000));
  return left <= 0;
}

gboolean check(GSource* source) {
  gint unused = 0;
  return g_source_query_unix_fd(source, reinterpret_cast<guest_source*>(source)->watched) || prepare(source, &unused);
}

// No exception may pass through C. The only one that run_once() lets out is keyboard_interrupt.
gboolean dispatch(GSource* source, GSourceFunc, gpointer) noexcept {
  guest_of(source).run_once(0s);
  return G_SOURCE_CONTINUE;
}

asyncio::coroutine<> amain(asyncio::event& rang, GMainLoop* host) {
  std::puts("task: waiting for a timer of GLib's");
  co_await rang.wait();
  co_await asyncio::sleep(5ms);
  std::puts("task: slept");
  asyncio::event called;
  auto call = [&loop = asyncio::get_running_loop(), &called] { loop.call_soon_threadsafe([&] { called.set(); }); };
  std::thread(call).join();
  co_await called.wait();
  std::puts("task: a thread has called");
  g_main_loop_quit(host);
}

int main() {
  auto loop = asyncio::new_event_loop();
  GSourceFuncs functions{prepare, check, dispatch, nullptr, nullptr, nullptr};
  GSource* source = g_source_new(&functions, sizeof(guest_source));
  auto* guest = reinterpret_cast<guest_source*>(source);
  guest->loop = loop.get();
  guest->watched = g_source_add_unix_fd(source, loop->poll_fd(), G_IO_IN);
  g_source_attach(source, nullptr);

  GMainLoop* host = g_main_loop_new(nullptr, FALSE);
  asyncio::event rang;
  auto ring = [](gpointer event) -> gboolean {
    std::puts("GLib: the timer");
    static_cast<asyncio::event*>(event)->set();
    return G_SOURCE_REMOVE;
  };
  g_timeout_add(10, ring, &rang);
  auto task = loop->create_task(amain(rang, host));
  g_main_loop_run(host);
  std::puts(task.done() ? "done" : "not done");
  g_source_destroy(source);
  g_source_unref(source);
  g_main_loop_unref(host);
}
