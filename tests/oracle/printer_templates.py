# SPDX-License-Identifier: BSL-1.0
"""Each kind of statement as a piece of a program (printer.py)."""

PYTHON = {
    "sleep": """
w.log($n, "sleeps $a")
await asyncio.sleep($a)
w.log($n, "wakes")
""",
    "ticks": """
for i in range($a):
    w.log($n, f"tick {i}")
    await asyncio.sleep(0)
""",
    "join": """
for task in $tasks:
    w.log($n, f"joins {w.names([task])}")
    w.log($n, f"got {await task}")
""",
    "shield": """
for task in $tasks:
    w.log($n, f"shields {w.names([task])}")
    w.log($n, f"got {await asyncio.shield(task)}")
""",
    "gather": """
tasks = $tasks
w.log($n, f"gathers {w.names(tasks)}")
if tasks:
    got = await gather(*tasks, return_exceptions=bool($a))
    w.log($n, f"got [{', '.join(describe(r) if isinstance(r, BaseException) else str(r) for r in got)}]")
""",
    "wait": """
tasks = $tasks
w.log($n, f"waits for {w.names(tasks)}")
if tasks:
    when = (asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION)[$a]
    done, pending = await asyncio.wait(tasks, timeout=$limit, return_when=when)
    each = list(dict.fromkeys(tasks))
    w.log($n, f"done {w.names([t for t in each if t in done])} pending {w.names([t for t in each if t in pending])}")
""",
    "as_completed": """
tasks = [t for t in $tasks if not t.done()]
w.log($n, f"awaits one of {w.names(tasks)}")
for step in asyncio.as_completed(tasks, timeout=$limit):
    try:
        w.log($n, f"got {await step}")
    except Exception as error:
        w.log($n, f"got {describe(error)}")
""",
    "wait_for": """
w.log($n, "waits $a")
await wait_for($b0(w, at), $a)
w.log($n, "in time")
""",
    "wait_for_task": """
for task in $tasks:
    w.log($n, f"waits $a for {w.names([task])}")
    w.log($n, f"got {await wait_for(task, $a)}")
""",
    "timeout": """
w.log($n, "has $a")
deadline = asyncio.timeout($a)
try:
    async with deadline:
        await $b0(w, at.inside(limit=deadline))
except BaseException as error:
    w.log($n, f"leaves with {describe(error)} expired={deadline.expired()}")
    raise
w.log($n, f"leaves expired={deadline.expired()}")
""",
    "reschedule": """
if at.limit is not None:
    try:
        at.limit.reschedule(asyncio.get_running_loop().time() + $a)
        w.log($n, "reschedules to $a")
    except RuntimeError:
        w.log($n, "is refused")
""",
    "group": """
w.log($n, "opens")
try:
    async with TaskGroup() as group:
        $kids
        await $b0(w, at.inside(group=group))
except BaseException as error:
    w.log($n, f"closes with {describe(error)} cancelling={asyncio.current_task().cancelling()}")
    raise
w.log($n, f"closes cancelling={asyncio.current_task().cancelling()}")
""",
    "spawn_in": """
if at.group is not None:
    w.create_in(at.group, $kid, $b0)
""",
    "spawn": """
w.log($n, f"spawns {w.names([w.create($kid, $b0)])}")
""",
    "on_cancel": """
try:
    await $b0(w, at)
except asyncio.CancelledError as error:
    w.log($n, f"catches {describe(error)} cancelling={asyncio.current_task().cancelling()}")
    await $b1(w, at)
    if $a == 1:
        raise
    if $a == 2:
        raise RuntimeError("instead $n")
    if $a == 3:
        w.log($n, f"uncancels {asyncio.current_task().uncancel()}")
""",
    "on_error": """
try:
    await $b0(w, at)
except Exception as error:
    w.log($n, f"catches {describe(error)}")
    await $b1(w, at)
""",
    "finally": """
try:
    await $b0(w, at)
finally:
    w.log($n, "cleans up")
    await $b1(w, at)
""",
    "lock": """
w.log($n, "wants lock $a")
async with w.locks[$a]:
    w.log($n, "has it")
    await $b0(w, at)
""",
    "semaphore": """
w.log($n, "wants a permit")
async with w.permits:
    w.log($n, "has it")
    await $b0(w, at)
""",
    "put": """
w.log($n, "puts into $a")
await w.queues[$a].put($n)
w.log($n, "has put")
""",
    "get": """
w.log($n, "gets from $a")
w.log($n, f"got {await w.queues[$a].get()}")
""",
    "put_nowait": """
try:
    w.queues[$a].put_nowait($n)
    w.log($n, "puts into $a at once")
except asyncio.QueueFull:
    w.log($n, "finds it full")
""",
    "get_nowait": """
try:
    w.log($n, f"got {w.queues[$a].get_nowait()} at once")
except asyncio.QueueEmpty:
    w.log($n, "finds it empty")
""",
    "task_done": """
try:
    w.queues[$a].task_done()
    w.log($n, "dealt with one")
except ValueError:
    w.log($n, "is refused")
""",
    "join_queue": """
w.log($n, "joins queue $a")
await w.queues[$a].join()
w.log($n, "joined")
""",
    "await_event": """
w.log($n, "waits for event $a")
await w.events[$a].wait()
w.log($n, "saw it")
""",
    "set": """
w.log($n, "sets event $a")
w.events[$a].set()
""",
    "clear": """
w.log($n, "clears event $a")
w.events[$a].clear()
""",
    "await_change": """
w.log($n, "waits for a change")
async with w.changed:
    await w.changed.wait()
    w.log($n, "saw a change")
""",
    "notify": """
w.log($n, "wants to notify")
async with w.changed:
    w.log($n, "notifies $a")
    w.changed.notify($a)
""",
    "await_future": """
w.log($n, "waits for future $a")
w.log($n, f"got {await w.futures[$a]}")
""",
    "resolve": """
w.log($n, f"future $a is {'done already' if w.futures[$a].done() else 'resolved'}")
if not w.futures[$a].done():
    w.futures[$a].set_result($n)
""",
    "cancel_future": """
w.log($n, f"cancels future $a: {w.futures[$a].cancel('future $n')}")
""",
    "raise": """
w.log($n, "fails")
raise RuntimeError("$n")
""",
    "cancel": """
w.cancel($n, $a, "by $n")
""",
    "uncancel": """
w.log($n, f"uncancels {asyncio.current_task().uncancel()}")
""",
    "count": """
w.log($n, f"cancelling={asyncio.current_task().cancelling()}")
""",
    "callback": """
k = $a % len(w.tasks)
w.tasks[k].add_done_callback(lambda task, k=k: w.log($n, f"called, task {k} is {w.outcome(task)}"))
""",
    "soon": """
asyncio.get_running_loop().call_soon(w.log, $n, "soon")
""",
    "later": """
asyncio.get_running_loop().call_later($a, w.log, $n, "later")
""",
}

CPP = {
    "sleep": """
w.log($n, "sleeps $a");
co_await sleep(seconds($a));
w.log($n, "wakes");
""",
    "ticks": """
for (int i = 0; i < $a; ++i) {
  w.log($n, "tick " + text(i));
  co_await sleep(0s);
}
""",
    "join": """
$tasks
for (const task<int>& t : tasks) {
  w.log($n, "joins " + w.names({t}));
  const int got = co_await t;
  w.log($n, "got " + text(got));
}
""",
    "shield": """
$tasks
for (const task<int>& t : tasks) {
  w.log($n, "shields " + w.names({t}));
  const int got = co_await shield(t);
  w.log($n, "got " + text(got));
}
""",
    "gather": """
$tasks
w.log($n, "gathers " + w.names(tasks));
if (!tasks.empty()) {
  if constexpr ($a) {
    const std::vector<outcome<int>> got = co_await gather(return_exceptions, tasks);
    w.log($n, "got " + listed(got));
  } else {
    const std::vector<int> got = co_await gather(tasks);
    w.log($n, "got " + listed(got));
  }
}
""",
    "wait": """
$tasks
w.log($n, "waits for " + w.names(tasks));
if (!tasks.empty()) {
  const wait_options options{.timeout = $limit, .return_when = when[$a]};
  const auto [done, pending] = co_await wait(tasks, options);
  w.log($n, "done " + w.names(done) + " pending " + w.names(pending));
}
""",
    "as_completed": """
$tasks
std::erase_if(tasks, [](const task<int>& t) { return t.done(); });
w.log($n, "awaits one of " + w.names(tasks));
auto it = as_completed(tasks, $limit);
for (bool more = true; more;) {
  try {
    const auto t = co_await it.next();
    more = t.has_value();
    if (more) w.log($n, "got " + text(t->result()));
  } catch (const std::exception&) {
    w.log($n, "got " + describe(std::current_exception()));
  }
}
""",
    "wait_for": """
w.log($n, "waits $a");
co_await wait_for($b0(w, at), seconds($a));
w.log($n, "in time");
""",
    "wait_for_task": """
$tasks
for (const task<int>& t : tasks) {
  w.log($n, "waits $a for " + w.names({t}));
  const int got = co_await wait_for(t, seconds($a));
  w.log($n, "got " + text(got));
}
""",
    "timeout": """
w.log($n, "has $a");
timeout deadline(seconds($a));
const auto body = [&] { return $b0(w, at.inside(deadline)); };
try {
  co_await async_with(deadline, body);
} catch (...) {
  w.log($n, "leaves with " + describe(std::current_exception()) + " expired=" + yes(deadline.expired()));
  throw;
}
w.log($n, "leaves expired=" + yes(deadline.expired()));
""",
    "reschedule": """
if (at.limit != nullptr) {
  try {
    at.limit->reschedule(get_running_loop().time() + seconds($a));
    w.log($n, "reschedules to $a");
  } catch (const std::runtime_error&) {
    w.log($n, "is refused");
  }
}
""",
    "group": """
w.log($n, "opens");
const auto body = [&](task_group& group) {
  $kids
  return $b0(w, at.inside(group));
};
try {
  co_await async_with(task_group(), body);
} catch (...) {
  w.log($n, "closes with " + describe(std::current_exception()) + " cancelling=" + text(current_task().cancelling()));
  throw;
}
w.log($n, "closes cancelling=" + text(current_task().cancelling()));
""",
    "spawn_in": """
if (at.group != nullptr) w.create_in(*at.group, $kid, &$b0);
""",
    "spawn": """
const task<int> made = w.create($kid, &$b0);
w.log($n, "spawns " + w.names({made}));
""",
    "on_cancel": """
std::exception_ptr error;
try {
  co_await $b0(w, at);
} catch (const cancelled_error&) {
  error = std::current_exception();
}
if (error != nullptr) {
  w.log($n, "catches " + describe(error) + " cancelling=" + text(current_task().cancelling()));
  co_await $b1(w, at);
  if ($a == 1) std::rethrow_exception(error);
  if ($a == 2) throw std::runtime_error("instead $n");
  if ($a == 3) w.log($n, "uncancels " + text(current_task().uncancel()));
}
""",
    "on_error": """
std::exception_ptr error;
try {
  co_await $b0(w, at);
} catch (const std::exception&) {
  error = std::current_exception();
}
if (error != nullptr) {
  w.log($n, "catches " + describe(error));
  co_await $b1(w, at);
}
""",
    "finally": """
const auto body = [&] { return $b0(w, at); };
const auto cleanup = [&]() -> coroutine<> {
  w.log($n, "cleans up");
  co_await $b1(w, at);
};
co_await async_finally(body, cleanup);
""",
    "lock": """
w.log($n, "wants lock $a");
auto guard = co_await w.locks[$a].scoped();
w.log($n, "has it");
co_await $b0(w, at);
""",
    "semaphore": """
w.log($n, "wants a permit");
auto guard = co_await w.permits.scoped();
w.log($n, "has it");
co_await $b0(w, at);
""",
    "put": """
w.log($n, "puts into $a");
co_await w.queues[$a].put($n);
w.log($n, "has put");
""",
    "get": """
w.log($n, "gets from $a");
const int got = co_await w.queues[$a].get();
w.log($n, "got " + text(got));
""",
    "put_nowait": """
try {
  w.queues[$a].put_nowait($n);
  w.log($n, "puts into $a at once");
} catch (const queue_full&) {
  w.log($n, "finds it full");
}
""",
    "get_nowait": """
try {
  const int got = w.queues[$a].get_nowait();
  w.log($n, "got " + text(got) + " at once");
} catch (const queue_empty&) {
  w.log($n, "finds it empty");
}
""",
    "task_done": """
try {
  w.queues[$a].task_done();
  w.log($n, "dealt with one");
} catch (const std::invalid_argument&) {
  w.log($n, "is refused");
}
""",
    "join_queue": """
w.log($n, "joins queue $a");
co_await w.queues[$a].join();
w.log($n, "joined");
""",
    "await_event": """
w.log($n, "waits for event $a");
co_await w.events[$a].wait();
w.log($n, "saw it");
""",
    "set": """
w.log($n, "sets event $a");
w.events[$a].set();
""",
    "clear": """
w.log($n, "clears event $a");
w.events[$a].clear();
""",
    "await_change": """
w.log($n, "waits for a change");
auto guard = co_await w.changed.scoped();
co_await w.changed.wait();
w.log($n, "saw a change");
""",
    "notify": """
w.log($n, "wants to notify");
auto guard = co_await w.changed.scoped();
w.log($n, "notifies $a");
w.changed.notify($a);
""",
    "await_future": """
w.log($n, "waits for future $a");
const int got = co_await w.futures[$a];
w.log($n, "got " + text(got));
""",
    "resolve": """
w.log($n, std::string("future $a is ") + (w.futures[$a].done() ? "done already" : "resolved"));
if (!w.futures[$a].done()) w.futures[$a].set_result($n);
""",
    "cancel_future": """
w.log($n, "cancels future $a: " + yes(w.futures[$a].cancel("future $n")));
""",
    "raise": """
w.log($n, "fails");
throw std::runtime_error("$n");
""",
    "cancel": """
w.cancel($n, $a, "by $n");
""",
    "uncancel": """
w.log($n, "uncancels " + text(current_task().uncancel()));
""",
    "count": """
w.log($n, "cancelling=" + text(current_task().cancelling()));
""",
    "callback": """
const std::size_t k = $a % w.tasks.size();
w.tasks[k].add_done_callback([&w, k](const task<int>& t) {
  w.log($n, "called, task " + text(k) + " is " + world::outcome_of(t));
});
""",
    "soon": """
get_running_loop().call_soon([&w] { w.log($n, "soon"); });
""",
    "later": """
get_running_loop().call_later(seconds($a), [&w] { w.log($n, "later"); });
""",
}
