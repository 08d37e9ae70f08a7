# SPDX-License-Identifier: BSL-1.0
"""What the random scenarios act on, in Python: numbered tasks, queues, locks, events, and the log. world.hpp is the same
in C++.

Two things that CPython leaves open are in a fixed order here: a TaskGroup cancels its tasks in the order of their
creation, and as_completed() is given tasks that are not done (it puts them into a set).
"""
import asyncio
import sys

from virtual_loop import VirtualLoop

# Where a task stands that waits in line for something, and has been called but has not run.
_LINES = {"Lock.acquire", "Semaphore.acquire", "Event.wait", "Condition.wait", "Queue.get", "Queue.put"}


def describe(error):
    """What was thrown, in words that both languages know."""
    if isinstance(error, asyncio.CancelledError):
        return f"cancelled({error.args[0]})" if error.args and error.args[0] else "cancelled"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, BaseExceptionGroup):
        return f"group[{', '.join(describe(e) for e in error.exceptions)}]"
    return f"error({error})"


class _OrderedSet(dict):
    def add(self, element):
        self[element] = True

    def discard(self, element):
        self.pop(element, None)


class TaskGroup(asyncio.TaskGroup):
    """Notes when errors make CPython deliver a cancellation again that was delivered, and swallowed, before the block.
    The library does not (S91): from there on the two logs cannot be compared.
    """

    def __init__(self):
        super().__init__()
        self._tasks = _OrderedSet()

    async def __aenter__(self):
        task = asyncio.current_task()
        self._requests, self._undelivered = task.cancelling(), task._must_cancel
        return await super().__aenter__()

    async def __aexit__(self, *error):
        try:
            return await super().__aexit__(*error)
        except BaseExceptionGroup:
            if 0 < asyncio.current_task().cancelling() <= self._requests and not self._undelivered:
                asyncio.get_running_loop().world.end_comparison()
            raise


class _Future(asyncio.Future):
    """Remembers who made it."""

    def __init__(self):
        super().__init__(loop=asyncio.get_running_loop())
        self.maker = asyncio.current_task()


class Condition(asyncio.Condition):
    """Notes when a cancelled wait wakes another one although nobody has notified it, as CPython does since 3.13 (S142
    allows it); the library does not: from there on the two logs cannot be compared.
    """

    def __init__(self):
        super().__init__()
        self._notified = set()
        self._by_hand = False

    def notify(self, n=1):
        self._by_hand = True
        super().notify(n)
        self._by_hand = False

    def _notify(self, n):
        woken = [waiter.maker for waiter in self._waiters if not waiter.done()][:n]
        if woken and not self._by_hand and asyncio.current_task() not in self._notified:
            asyncio.get_running_loop().world.end_comparison()
        self._notified.update(woken)
        super()._notify(n)

    async def wait(self):
        try:
            return await super().wait()
        finally:
            self._notified.discard(asyncio.current_task())


class _Gathering(asyncio.tasks._GatheringFuture):
    """Tells the message of the request that cancelled it; CPython tells that of the child which ended last."""

    told = None
    keep = False

    def cancel(self, msg=None):
        asked = super().cancel(msg)
        if asked:
            self.told = msg
        return asked

    def set_exception(self, error):
        collected = self.keep or not any(child.cancelled() for child in self._children)
        if self._cancel_requested and collected and isinstance(error, asyncio.CancelledError):
            error = asyncio.CancelledError(*filter(None, [self.told]))
        super().set_exception(error)


asyncio.tasks._GatheringFuture = _Gathering


def gather(*tasks, return_exceptions=False):
    gathering = asyncio.gather(*tasks, return_exceptions=return_exceptions)
    gathering.keep = return_exceptions
    return gathering


class _Task(asyncio.Task):
    """Notes when a request to cancel comes while a result is on its way to the task. CPython loses the result then, the
    library delivers it, on purpose (S69): from there on the two logs cannot be compared.
    """

    def cancel(self, msg=None):
        asked = super().cancel(msg)
        if asked and self._must_cancel and self._fut_waiter is not None and not _in_line(self):
            asyncio.get_running_loop().world.end_comparison()
        return asked


def _in_line(task):
    coroutine, name = task.get_coro(), ""
    while hasattr(coroutine, "cr_await"):
        name = coroutine.cr_code.co_qualname
        if name == "_AsCompletedIterator._wait_for_one" or name == "as_completed.<locals>._wait_for_one":
            return False
        coroutine = coroutine.cr_await
    return name in _LINES


if sys.version_info < (3, 12):
    async def _enter(scope, enter=asyncio.Timeout.__aenter__):
        """The first releases of 3.11 do not know that a task may have been cancelled before the block (S108)."""
        if asyncio.current_task().cancelling():
            asyncio.get_running_loop().world.end_comparison()
        return await enter(scope)

    asyncio.Timeout.__aenter__ = _enter


class Place:
    """Where a statement stands: the number of its task, and the innermost group and timeout around it."""

    def __init__(self, me, group=None, limit=None):
        self.me, self.group, self.limit = me, group, limit

    def inside(self, group=None, limit=None):
        return Place(self.me, group or self.group, limit or self.limit)


class World:
    def __init__(self):
        loop = asyncio.get_running_loop()
        loop.world = self
        loop.set_task_factory(lambda of, coroutine, **options: _Task(coroutine, loop=of, **options))
        loop.create_future = _Future
        loop.set_exception_handler(lambda _, context: self.report(context))
        self.lines = []
        self.comparable = None
        self.tasks = []
        self.queues = [asyncio.Queue(1), asyncio.Queue(2)]
        self.locks = [asyncio.Lock(), asyncio.Lock()]
        self.permits = asyncio.Semaphore(2)
        self.events = [asyncio.Event(), asyncio.Event()]
        self.changed = Condition()
        self.futures = [loop.create_future(), loop.create_future()]

    def log(self, number, text):
        self.lines.append(f"{round(asyncio.get_running_loop().time())} {number} {text}")

    def end_comparison(self):
        if self.comparable is None:
            self.comparable = len(self.lines)

    def report(self, context):
        # S133: what becomes of the exception of a shielded task that nobody waits for has changed in 3.14.
        if "shielded future" not in context["message"]:
            self.log(0, f"reported {describe(context['exception'])}")

    async def child(self, number, place, body):
        """What runs as a task: the body, its beginning and its end in the log."""
        self.log(number, f"task {place.me} begins")
        try:
            await body(self, place)
        except BaseException as error:
            self.log(number, f"task {place.me} throws {describe(error)}")
            raise
        self.log(number, f"task {place.me} returns")
        return number

    def create(self, number, body):
        self.tasks.append(asyncio.create_task(self.child(number, Place(len(self.tasks)), body)))
        return self.tasks[-1]

    def create_in(self, group, number, body):
        try:
            self.tasks.append(group.create_task(self.child(number, Place(len(self.tasks)), body)))
        except RuntimeError:
            self.log(number, "is refused")

    def pick(self, place, k):
        """A task that this one may wait for: one with a higher number, so that they never wait in a ring."""
        later = len(self.tasks) - place.me - 1
        return [self.tasks[place.me + 1 + k % later]] if later > 0 else []

    def names(self, tasks):
        return "[" + ", ".join(str(self.tasks.index(t)) for t in tasks) + "]"

    def cancel(self, number, k, message):
        k %= len(self.tasks)
        self.log(number, f"cancels task {k}: {self.tasks[k].cancel(message)}")

    def cancel_later(self, after, turns, k):
        """A cancellation from outside: so many turns of the loop after that time."""
        loop = asyncio.get_running_loop()

        def turn(left):
            if left:
                loop.call_soon(turn, left - 1)
            else:
                self.cancel(0, k, "outside")

        loop.call_later(after, turn, turns)

    def outcome(self, task):
        if task.cancelled():
            try:
                task.result()
            except asyncio.CancelledError as error:
                return describe(error)
        return str(task.result()) if task.exception() is None else describe(task.exception())

    async def drive(self):
        """Until every task has ended; those that wait for what will never come are cancelled, again and again."""
        await asyncio.sleep(1000)
        for _ in range(20):
            stuck = [t for t in self.tasks if not t.done()]
            if not stuck:
                break
            self.log(0, f"stuck {self.names(stuck)}")
            for task in stuck:
                task.cancel("stuck")
            await asyncio.sleep(1000)
        for k, task in enumerate(self.tasks):
            self.log(0, f"task {k} is {self.outcome(task) if task.done() else 'pending'}")


async def _wait_for(awaitable, limit):
    """The one of CPython 3.12."""
    if limit > 0:
        async with asyncio.timeout(limit):
            return await awaitable
    task = asyncio.ensure_future(awaitable)
    if task.done():
        return task.result()
    await asyncio.tasks._cancel_and_wait(task, asyncio.get_running_loop())
    try:
        return task.result()
    except asyncio.CancelledError as error:
        raise TimeoutError from error


wait_for = asyncio.wait_for if sys.version_info >= (3, 12) else _wait_for


def run(main, cancels):
    """The lines of a scenario, and how many of them can be compared (None: all)."""

    async def everything():
        world = World()
        world.create(1, main)
        for after, turns, k in cancels:
            world.cancel_later(after, turns, k)
        await world.drive()
        return world

    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        world = loop.run_until_complete(everything())
        return world.lines, world.comparable
    finally:
        asyncio.set_event_loop(None)
        loop.close()
