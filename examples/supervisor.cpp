// SPDX-License-Identifier: BSL-1.0
// Keeps copies of a program running: starts one that has ended again, later and later while it ends at once; passes SIGHUP,
// SIGUSR1 and SIGUSR2 on to them; at SIGTERM or Ctrl-C asks them to end, and after the grace no longer asks. Logs to stderr.
// See: build/dev/bin/supervisor --copies 2 -- sh -c 'echo working; sleep 1; exit 3'
// Exit status: 0 after SIGTERM, 130 after Ctrl-C, 1 when all copies have been given up.
#include "support/program.hpp"

#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

struct settings {
  std::vector<std::string> program;
  int copies = 1, most_restarts = 1'000'000'000;
  asyncio::timedelta first_delay = 100ms, longest_delay = 10s, grace = 5s;
};

double seconds(asyncio::timedelta t) { return std::chrono::duration<double>(t.count()).count(); }

class supervisor {
 public:
  explicit supervisor(settings s) : settings_(std::move(s)), children_(static_cast<std::size_t>(settings_.copies)) {}

  /// One copy, again and again.
  asyncio::coroutine<> keep(std::size_t number) {
    asyncio::timedelta delay = settings_.first_delay;
    for (int restarts = 0; !stop_.is_set(); ++restarts) {
      if (restarts > settings_.most_restarts) {
        std::fprintf(stderr, "[%zu] given up\n", number);
        co_return;
      }
      asyncio::time_point started = asyncio::get_running_loop().time();
      co_await run_once(number);
      if (stop_.is_set()) co_return;
      if (asyncio::get_running_loop().time() - started > settings_.longest_delay) delay = settings_.first_delay;
      std::fprintf(stderr, "[%zu] starts again in %.2f s\n", number, seconds(delay));
      co_await asyncio::move_on_after(delay, [this]() -> asyncio::coroutine<> { co_await stop_.wait(); });
      delay = std::min(2 * delay, settings_.longest_delay);
    }
  }
  void send(int number) {
    for (asyncio::process* child : children_)
      if (child != nullptr) child->send_signal(number);
  }
  void stop() {
    stop_.set();
    send(SIGTERM);
  }

 private:
  asyncio::coroutine<> run_once(std::size_t number) {
    try {
      asyncio::process child =
          co_await asyncio::create_subprocess_exec(asyncio::command(settings_.program), {.process_group = 0});
      std::fprintf(stderr, "[%zu] started, pid %d\n", number, child.pid());
      children_[number] = &child;
      if (stop_.is_set()) child.terminate();  // it has just missed that
      int status = co_await child.wait();
      ::kill(-child.pid(), SIGKILL);  // what it has left behind
      std::fprintf(stderr, status < 0 ? "[%zu] ended by signal %d\n" : "[%zu] ended with %d\n", number,
                   std::abs(status));
    } catch (const std::system_error& error) {
      std::fprintf(stderr, "[%zu] %s\n", number, error.what());
    }
    children_[number] = nullptr;
  }

  settings settings_;
  std::vector<asyncio::process*> children_;  // null: does not run now
  asyncio::event stop_;
};

/// Passes signals on until one says that it is over; its number.
asyncio::coroutine<int> serve_signals(supervisor& all, asyncio::signal_receiver& signals) {
  while (auto number = co_await signals.next()) {
    if (*number == SIGTERM || *number == SIGINT) co_return *number;
    std::fprintf(stderr, "signal %d is passed on\n", *number);
    all.send(*number);
  }
  co_return 0;
}

asyncio::coroutine<int> amain(settings s) {
  asyncio::signal_receiver signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2});
  supervisor all(s);
  std::vector<asyncio::task<>> copies;
  copies.reserve(static_cast<std::size_t>(s.copies));
  for (int i = 0; i < s.copies; ++i) copies.push_back(asyncio::create_task(all.keep(static_cast<std::size_t>(i))));
  auto served = asyncio::create_task(serve_signals(all, signals));
  auto kept = asyncio::gather(copies);
  co_await asyncio::wait({.return_when = asyncio::return_when::first_completed}, served, kept);
  if (!served.done()) co_return example::exit_failed;

  all.stop();
  auto [ended, left] = co_await asyncio::wait(copies, {.timeout = s.grace});
  if (!left.empty()) {
    std::fprintf(stderr, "%zu do not end in time: killed\n", left.size());
    all.send(SIGKILL);
    co_await asyncio::wait(copies);
  }
  co_return served.result() == SIGINT ? example::exit_interrupted : example::exit_ok;
}

int main(int argc, char** argv) {
  settings s;
  example::arguments args("supervisor", "Keeps copies of a program running.");
  args.number("--copies", "N", "how many (default 1)", s.copies, 1, 1000);
  args.number("--most-restarts", "N", "give a copy up after N restarts (default: never)", s.most_restarts);
  args.seconds("--first-delay", "before the first restart; doubled for each one after it (default 0.1)", s.first_delay);
  args.seconds("--longest-delay", "at most; who runs longer begins anew (default 10)", s.longest_delay);
  args.seconds("--grace", "between SIGTERM and SIGKILL (default 5)", s.grace);
  args.rest("PROGRAM [ARGUMENT...]", "what to run", s.program);
  args.parse(argc, argv);
  if (s.program.empty()) args.refuse("a program is needed");
  return example::run_program("supervisor", asyncio::backend_kind::automatic, [&] { return amain(s); });
}
