// SPDX-License-Identifier: BSL-1.0
// Runs scenarios' trees, one in a line of the standard input, and prints their logs. interpreter.py in C++.
#include "oracle/tree.hpp"
#include "oracle/world.hpp"

#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace oracle {
namespace {

coroutine<> run_block(world& w, place at, const node& block);

/// A block as the body of a task.
struct body_of {
  const node* block;
  coroutine<> operator()(world& w, place at) const { return run_block(w, at, *block); }
};

/// Fresh tasks of the blocks, and tasks that are there: (task k).
std::vector<task<int>> operands(world& w, place at, const node& n) {
  std::vector<task<int>> all;
  for (const node& c : n.children) {
    if (c.kind == "do") {
      all.push_back(w.create(c.id(), body_of{&c}));
    } else {
      for (const task<int>& t : w.pick(at, c.at(0))) all.push_back(t);
    }
  }
  return all;
}

// ---- waiting

coroutine<> run_sleep(world& w, place, const node& n) {
  w.log(n.id(), "sleeps " + text(n.at(1)));
  co_await sleep(seconds(n.at(1)));
  w.log(n.id(), "wakes");
}

coroutine<> run_ticks(world& w, place, const node& n) {
  for (int i = 0; i < n.at(1); ++i) {
    w.log(n.id(), "tick " + text(i));
    co_await sleep(0s);
  }
}

coroutine<> run_join(world& w, place at, const node& n) {
  for (const task<int>& t : operands(w, at, n)) {
    w.log(n.id(), "joins " + w.names({t}));
    const int got = co_await t;
    w.log(n.id(), "got " + text(got));
  }
}

coroutine<> run_shield(world& w, place at, const node& n) {
  for (const task<int>& t : operands(w, at, n)) {
    w.log(n.id(), "shields " + w.names({t}));
    const int got = co_await shield(t);
    w.log(n.id(), "got " + text(got));
  }
}

coroutine<> run_gather(world& w, place at, const node& n) {
  const std::vector<task<int>> some = operands(w, at, n);
  w.log(n.id(), "gathers " + w.names(some));
  if (some.empty()) co_return;
  if (n.at(1) != 0) {
    const std::vector<outcome<int>> got = co_await gather(return_exceptions, some);
    w.log(n.id(), "got " + listed(got));
  } else {
    const std::vector<int> got = co_await gather(some);
    w.log(n.id(), "got " + listed(got));
  }
}

coroutine<> run_wait(world& w, place at, const node& n) {
  const std::vector<task<int>> some = operands(w, at, n);
  w.log(n.id(), "waits for " + w.names(some));
  if (some.empty()) co_return;
  const wait_options options{.timeout = limit(n.at(2)), .return_when = when[n.at(1)]};
  const auto [done, pending] = co_await wait(some, options);
  w.log(n.id(), "done " + w.names(done) + " pending " + w.names(pending));
}

coroutine<> run_as_completed(world& w, place at, const node& n) {
  std::vector<task<int>> some;
  for (const task<int>& t : operands(w, at, n))
    if (!t.done()) some.push_back(t);
  w.log(n.id(), "awaits one of " + w.names(some));
  auto it = as_completed(some, limit(n.at(1)));
  for (bool more = true; more;) {
    try {
      const auto t = co_await it.next();
      more = t.has_value();
      if (more) w.log(n.id(), "got " + text(t->result()));
    } catch (const std::exception&) {
      w.log(n.id(), "got " + describe(std::current_exception()));
    }
  }
}

coroutine<> run_wait_for(world& w, place at, const node& n) {
  w.log(n.id(), "waits " + text(n.at(1)));
  co_await wait_for(run_block(w, at, n.children[0]), seconds(n.at(1)));
  w.log(n.id(), "in time");
}

coroutine<> run_wait_for_task(world& w, place at, const node& n) {
  for (const task<int>& t : operands(w, at, n)) {
    w.log(n.id(), "waits " + text(n.at(1)) + " for " + w.names({t}));
    const int got = co_await wait_for(t, seconds(n.at(1)));
    w.log(n.id(), "got " + text(got));
  }
}

// ---- scopes

coroutine<> run_timeout(world& w, place at, const node& n) {
  w.log(n.id(), "has " + text(n.at(1)));
  timeout deadline(seconds(n.at(1)));
  const auto body = [&]() { return run_block(w, at.inside(deadline), n.children[0]); };
  try {
    co_await async_with(deadline, body);
  } catch (...) {
    w.log(n.id(), "leaves with " + describe(std::current_exception()) + " expired=" + yes(deadline.expired()));
    throw;
  }
  w.log(n.id(), "leaves expired=" + yes(deadline.expired()));
}

coroutine<> run_group(world& w, place at, const node& n) {
  w.log(n.id(), "opens");
  const auto body = [&](task_group& tasks) {
    for (std::size_t i = 1; i < n.children.size(); ++i) w.create_in(tasks, n.children[i].id(), body_of{&n.children[i]});
    return run_block(w, at.inside(tasks), n.children[0]);
  };
  try {
    co_await async_with(task_group(), body);
  } catch (...) {
    w.log(n.id(),
          "closes with " + describe(std::current_exception()) + " cancelling=" + text(current_task().cancelling()));
    throw;
  }
  w.log(n.id(), "closes cancelling=" + text(current_task().cancelling()));
}

coroutine<> run_on_cancel(world& w, place at, const node& n) {
  std::exception_ptr error;
  try {
    co_await run_block(w, at, n.children[0]);
  } catch (const cancelled_error&) {
    error = std::current_exception();
  }
  if (error == nullptr) co_return;
  w.log(n.id(), "catches " + describe(error) + " cancelling=" + text(current_task().cancelling()));
  co_await run_block(w, at, n.children[1]);
  switch (n.at(1)) {
    case 1: std::rethrow_exception(error);
    case 2: throw std::runtime_error("instead " + text(n.id()));
    case 3: w.log(n.id(), "uncancels " + text(current_task().uncancel()));
  }
}

coroutine<> run_on_error(world& w, place at, const node& n) {
  std::exception_ptr error;
  try {
    co_await run_block(w, at, n.children[0]);
  } catch (const std::exception&) {
    error = std::current_exception();
  }
  if (error == nullptr) co_return;
  w.log(n.id(), "catches " + describe(error));
  co_await run_block(w, at, n.children[1]);
}

coroutine<> run_finally(world& w, place at, const node& n) {
  const auto body = [&] { return run_block(w, at, n.children[0]); };
  const auto cleanup = [&]() -> coroutine<> {
    w.log(n.id(), "cleans up");
    co_await run_block(w, at, n.children[1]);
  };
  co_await async_finally(body, cleanup);
}

coroutine<> run_lock(world& w, place at, const node& n) {
  w.log(n.id(), "wants lock " + text(n.at(1)));
  auto guard = co_await w.locks[n.at(1)].scoped();
  w.log(n.id(), "has it");
  co_await run_block(w, at, n.children[0]);
}

coroutine<> run_semaphore(world& w, place at, const node& n) {
  w.log(n.id(), "wants a permit");
  auto guard = co_await w.permits.scoped();
  w.log(n.id(), "has it");
  co_await run_block(w, at, n.children[0]);
}

// ---- queues, events, futures

coroutine<> run_put(world& w, place, const node& n) {
  w.log(n.id(), "puts into " + text(n.at(1)));
  co_await w.queues[n.at(1)].put(n.id());
  w.log(n.id(), "has put");
}

coroutine<> run_get(world& w, place, const node& n) {
  w.log(n.id(), "gets from " + text(n.at(1)));
  const int got = co_await w.queues[n.at(1)].get();
  w.log(n.id(), "got " + text(got));
}

coroutine<> run_join_queue(world& w, place, const node& n) {
  w.log(n.id(), "joins queue " + text(n.at(1)));
  co_await w.queues[n.at(1)].join();
  w.log(n.id(), "joined");
}

coroutine<> run_await_event(world& w, place, const node& n) {
  w.log(n.id(), "waits for event " + text(n.at(1)));
  co_await w.events[n.at(1)].wait();
  w.log(n.id(), "saw it");
}

coroutine<> run_await_change(world& w, place, const node& n) {
  w.log(n.id(), "waits for a change");
  auto guard = co_await w.changed.scoped();
  co_await w.changed.wait();
  w.log(n.id(), "saw a change");
}

coroutine<> run_notify(world& w, place, const node& n) {
  w.log(n.id(), "wants to notify");
  auto guard = co_await w.changed.scoped();
  w.log(n.id(), "notifies " + text(n.at(1)));
  w.changed.notify(static_cast<std::size_t>(n.at(1)));
}

coroutine<> run_await_future(world& w, place, const node& n) {
  w.log(n.id(), "waits for future " + text(n.at(1)));
  const int got = co_await w.futures[static_cast<std::size_t>(n.at(1))];
  w.log(n.id(), "got " + text(got));
}

// ---- at once

void do_reschedule(world& w, place at, const node& n) {
  if (at.limit == nullptr) return;
  try {
    at.limit->reschedule(get_running_loop().time() + seconds(n.at(1)));
    w.log(n.id(), "reschedules to " + text(n.at(1)));
  } catch (const std::runtime_error&) {
    w.log(n.id(), "is refused");
  }
}

void do_spawn_in(world& w, place at, const node& n) {
  if (at.group != nullptr) w.create_in(*at.group, n.children[0].id(), body_of{n.children.data()});
}

void do_spawn(world& w, place, const node& n) {
  const task<int> made = w.create(n.children[0].id(), body_of{n.children.data()});
  w.log(n.id(), "spawns " + w.names({made}));
}

void do_put_nowait(world& w, place, const node& n) {
  try {
    w.queues[n.at(1)].put_nowait(n.id());
    w.log(n.id(), "puts into " + text(n.at(1)) + " at once");
  } catch (const queue_full&) {
    w.log(n.id(), "finds it full");
  }
}

void do_get_nowait(world& w, place, const node& n) {
  try {
    const int got = w.queues[n.at(1)].get_nowait();
    w.log(n.id(), "got " + text(got) + " at once");
  } catch (const queue_empty&) {
    w.log(n.id(), "finds it empty");
  }
}

void do_task_done(world& w, place, const node& n) {
  try {
    w.queues[n.at(1)].task_done();
    w.log(n.id(), "dealt with one");
  } catch (const std::invalid_argument&) {
    w.log(n.id(), "is refused");
  }
}

void do_set(world& w, place, const node& n) {
  w.log(n.id(), "sets event " + text(n.at(1)));
  w.events[n.at(1)].set();
}

void do_clear(world& w, place, const node& n) {
  w.log(n.id(), "clears event " + text(n.at(1)));
  w.events[n.at(1)].clear();
}

void do_resolve(world& w, place, const node& n) {
  const future<int>& f = w.futures[static_cast<std::size_t>(n.at(1))];
  w.log(n.id(), "future " + text(n.at(1)) + " is " + (f.done() ? "done already" : "resolved"));
  if (!f.done()) f.set_result(n.id());
}

void do_cancel_future(world& w, place, const node& n) {
  const bool asked = w.futures[static_cast<std::size_t>(n.at(1))].cancel("future " + text(n.id()));
  w.log(n.id(), "cancels future " + text(n.at(1)) + ": " + yes(asked));
}

void do_raise(world& w, place, const node& n) {
  w.log(n.id(), "fails");
  throw std::runtime_error(text(n.id()));
}

void do_cancel(world& w, place, const node& n) { w.cancel(n.id(), n.at(1), "by " + text(n.id())); }

void do_uncancel(world& w, place, const node& n) { w.log(n.id(), "uncancels " + text(current_task().uncancel())); }

void do_count(world& w, place, const node& n) { w.log(n.id(), "cancelling=" + text(current_task().cancelling())); }

void do_callback(world& w, place, const node& n) {
  const std::size_t k = static_cast<std::size_t>(n.at(1)) % w.tasks.size();
  w.tasks[k].add_done_callback([&w, k, id = n.id()](const task<int>& t) {
    w.log(id, "called, task " + text(k) + " is " + world::outcome_of(t));
  });
}

void do_soon(world& w, place, const node& n) {
  get_running_loop().call_soon([&w, id = n.id()] { w.log(id, "soon"); });
}

void do_later(world& w, place, const node& n) {
  get_running_loop().call_later(seconds(n.at(1)), [&w, id = n.id()] { w.log(id, "later"); });
}

using awaited_statement = coroutine<> (*)(world&, place, const node&);
using plain_statement = void (*)(world&, place, const node&);

const std::map<std::string_view, awaited_statement> awaited{
    {"sleep", run_sleep},
    {"ticks", run_ticks},
    {"join", run_join},
    {"shield", run_shield},
    {"gather", run_gather},
    {"wait", run_wait},
    {"as_completed", run_as_completed},
    {"wait_for", run_wait_for},
    {"wait_for_task", run_wait_for_task},
    {"timeout", run_timeout},
    {"group", run_group},
    {"on_cancel", run_on_cancel},
    {"on_error", run_on_error},
    {"finally", run_finally},
    {"lock", run_lock},
    {"semaphore", run_semaphore},
    {"put", run_put},
    {"get", run_get},
    {"join_queue", run_join_queue},
    {"await_event", run_await_event},
    {"await_change", run_await_change},
    {"notify", run_notify},
    {"await_future", run_await_future},
};
const std::map<std::string_view, plain_statement> plain{
    {"reschedule", do_reschedule},
    {"spawn_in", do_spawn_in},
    {"spawn", do_spawn},
    {"put_nowait", do_put_nowait},
    {"get_nowait", do_get_nowait},
    {"task_done", do_task_done},
    {"set", do_set},
    {"clear", do_clear},
    {"resolve", do_resolve},
    {"cancel_future", do_cancel_future},
    {"raise", do_raise},
    {"cancel", do_cancel},
    {"uncancel", do_uncancel},
    {"count", do_count},
    {"callback", do_callback},
    {"soon", do_soon},
    {"later", do_later},
};

coroutine<> run_block(world& w, place at, const node& block) {
  for (const node& n : block.children) {
    const auto simple = plain.find(n.kind);
    if (simple != plain.end())
      simple->second(w, at, n);
    else
      co_await awaited.at(n.kind)(w, at, n);
  }
}

std::vector<std::string> interpret(const node& program) {
  std::vector<cancellation> cancellations;
  for (std::size_t i = 1; i < program.children.size(); ++i) {
    const node& c = program.children[i];
    cancellations.push_back({c.at(0), c.at(1), c.at(2)});
  }
  return run(program.children[0].id(), body_of{program.children.data()}, cancellations);
}

}  // namespace
}  // namespace oracle

int main() {
  std::string line;
  for (int count = 0; std::getline(std::cin, line); ++count) {
    std::printf("== %d\n", count);
    std::fflush(stdout);
    try {
      std::string_view rest = line;
      const oracle::node program = oracle::parse(rest);
      for (const std::string& entry : oracle::interpret(program)) std::printf("%s\n", entry.c_str());
    } catch (const std::exception& e) {
      std::printf("the program fails: %s\n", e.what());
    }
  }
}
