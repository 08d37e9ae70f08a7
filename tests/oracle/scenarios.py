# SPDX-License-Identifier: BSL-1.0
"""The scenarios in Python. Each stands under the same name, with the same log, in scenarios_*.cpp."""
import asyncio
import sys

from oracle import after, ending, fail_after, run_scenario, settle, ticks, wait_for

sleep = asyncio.sleep
create_task = asyncio.create_task
gather = asyncio.gather
shield = asyncio.shield


def loop():
    return asyncio.get_running_loop()


# ---- the loop

async def call_soon_nested(log):
    def a():
        log("a")
        loop().call_soon(lambda: log("a's child"))

    loop().call_soon(a)
    loop().call_soon(lambda: log("b"))
    log("scheduled")
    await sleep(0)
    log("one turn")
    await sleep(0)
    log("two turns")


async def soon_later_and_yield(log):
    loop().call_later(0, lambda: log("later 0"))
    loop().call_soon(lambda: log("soon"))
    loop().call_later(-1, lambda: log("later -1"))
    loop().call_soon(lambda: loop().call_soon(lambda: log("soon from soon")))
    loop().call_later(0, lambda: loop().call_soon(lambda: log("soon from later")))
    for i in range(4):
        log(f"turn {i}")
        await sleep(0)


async def timers_in_order(log):
    for delay in (3, 1, 2, 1, 3):
        loop().call_later(delay, lambda d=delay: log(f"timer {d}"))
    cancelled = loop().call_later(2, lambda: log("never"))
    loop().call_later(1, cancelled.cancel)
    await sleep(4)
    log("end")


async def timers_sleepers_and_callbacks(log):
    async def sleeper(name, delay):
        await sleep(delay)
        log(f"{name} wakes")

    loop().call_later(1, lambda: log("timer before"))
    first = create_task(sleeper("first", 1))
    second = create_task(sleeper("second", 1))
    await sleep(0)
    loop().call_later(1, lambda: log("timer after"))
    loop().call_later(1, lambda: loop().call_soon(lambda: log("soon from timer")))
    await first
    await second


async def yields_interleave(log):
    async def work(name):
        for i in range(3):
            log(f"{name}{i}")
            await sleep(0)

    tasks = [create_task(work(n)) for n in "abc"]
    log("created")
    for t in tasks:
        await t
    log("end")


async def handles_cancelled_in_the_same_turn(log):
    handles = []

    def first():
        log("first")
        handles[0].cancel()

    loop().call_soon(first)
    handles.append(loop().call_soon(lambda: log("second")))
    loop().call_soon(lambda: log("third"))
    await settle()


async def failing_callbacks(log):
    def fail():
        raise RuntimeError("callback")

    loop().call_soon(fail)
    loop().call_soon(lambda: log("goes on"))
    loop().call_later(1, fail)
    await sleep(2)
    log("end")


# ---- futures and tasks

async def tasks_and_callbacks_start_in_order(log):
    async def work(name):
        log(name)

    loop().call_soon(lambda: log("soon 1"))
    create_task(work("a"))
    loop().call_soon(lambda: log("soon 2"))
    create_task(work("b"))
    log("scheduled")
    await settle()


async def future_wakes_in_order(log):
    f = loop().create_future()

    async def wait(name):
        value = await f
        log(f"{name} got {value}")

    f.add_done_callback(lambda me: log(f"callback 1 {me.result()}"))
    create_task(wait("a"))
    await sleep(0)
    f.add_done_callback(lambda me: log(f"callback 2 {me.result()}"))
    create_task(wait("b"))
    await sleep(0)
    loop().call_soon(lambda: log("soon before"))
    f.set_result(5)
    loop().call_soon(lambda: log("soon after"))
    f.add_done_callback(lambda me: log("callback 3"))
    log("set")
    await settle()


async def future_cancelled(log):
    f = loop().create_future()

    async def wait(name):
        log(f"{name} {await ending(f)}")

    a = create_task(wait("a"))
    b = create_task(wait("b"))
    f.add_done_callback(lambda me: log(f"callback cancelled={me.cancelled()}"))
    await sleep(0)
    f.cancel("why")
    log("asked")
    await a
    await b


async def await_hops(log):
    ticker = create_task(ticks(log, 8))

    async def inner():
        log("inner begins")
        await sleep(0)
        log("inner ends")
        return 1

    t = create_task(inner())
    t.add_done_callback(lambda me: log("callback"))
    n = await t
    log(f"outer got {n}")
    done = loop().create_future()
    done.set_result(2)
    log(f"done future {await done}")
    await ticker


async def chain_of_tasks(log):
    async def leaf():
        await sleep(1)
        return 1

    async def wrap(t, name):
        n = await t
        log(f"{name} got {n}")
        return n + 1

    ticker = create_task(ticks(log, 3))
    t = create_task(leaf())
    for name in "abcd":
        t = create_task(wrap(t, name))
    log(f"end {await t}")
    await ticker


async def failures_travel(log):
    async def wrap(t):
        try:
            return await t
        finally:
            log("passes through")

    t = create_task(fail_after(1, "deep"))
    outer = create_task(wrap(create_task(wrap(t))))
    log(await ending(outer))
    log(await ending(t))


async def callbacks_on_done_tasks(log):
    t = create_task(after(0, 3))
    await t
    t.add_done_callback(lambda me: log(f"late callback {me.result()}"))
    log("added")
    await sleep(0)
    log("a turn later")


# ---- cancellation

async def cancel_a_sleeper(log):
    async def work():
        try:
            await sleep(10)
        finally:
            log("finally")

    ticker = create_task(ticks(log, 6))
    t = create_task(work())
    await sleep(0)
    await sleep(0)
    log(f"cancel {t.cancel('stop')}")
    log(await ending(t))
    log(f"cancelled={t.cancelled()} again={t.cancel()}")
    await ticker


async def cancel_a_chain(log):
    async def wrap(t, name):
        try:
            await t
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    innermost = create_task(wrap(sleep(10), "innermost"))
    middle = create_task(wrap(innermost, "middle"))
    outer = create_task(wrap(middle, "outer"))
    ticker = create_task(ticks(log, 6))
    await sleep(0)
    await sleep(0)
    outer.cancel()
    log(f"counts {outer.cancelling()} {middle.cancelling()} {innermost.cancelling()}")
    log(await ending(outer))
    await ticker


async def cancel_before_start(log):
    async def work():
        log("never")

    t = create_task(work())
    ticker = create_task(ticks(log, 3))
    t.cancel("early")
    t.add_done_callback(lambda me: log("callback"))
    log(await ending(t))
    await ticker


async def cancel_and_swallow(log):
    async def work():
        log(await ending(sleep(10)))
        log(await ending(sleep(5)))
        return 7

    t = create_task(work())
    await sleep(1)
    t.cancel()
    t.cancel()
    log(await ending(t))
    log(f"cancelled={t.cancelled()} count={t.cancelling()}")


async def cancel_itself(log):
    async def then_return():
        asyncio.current_task().cancel("me")
        return 1

    async def then_raise():
        asyncio.current_task().cancel()
        raise RuntimeError("mine")

    async def then_wait():
        asyncio.current_task().cancel()
        log(await ending(sleep(5)))
        await sleep(1)
        log("went on")
        return 2

    for work in (then_return, then_raise, then_wait):
        log(await ending(create_task(work())))


async def cancel_swallowed_by_the_inner(log):
    async def stubborn():
        log(f"inner {await ending(sleep(10))}")
        await sleep(1)
        return 3

    inner = create_task(stubborn())

    async def wait():
        return await inner

    outer = create_task(wait())
    await sleep(1)
    outer.cancel()
    log(await ending(outer))
    log(f"count={outer.cancelling()}")


async def cancel_during_cleanup(log):
    async def work():
        try:
            await sleep(10)
        finally:
            log("cleanup begins")
            log(f"cleanup {await ending(sleep(10))}")
            await sleep(1)
            log("cleanup ends")

    t = create_task(work())
    await sleep(1)
    t.cancel("first")
    await sleep(1)
    t.cancel("second")
    log(await ending(t))


async def raise_cancelled_error(log):
    async def work():
        raise asyncio.CancelledError("own")

    t = create_task(work())
    log(await ending(t))
    log(f"cancelled={t.cancelled()} count={t.cancelling()}")


# ---- gather

async def gather_hops(log):
    ticker = create_task(ticks(log, 8))

    async def work(turns, value):
        for _ in range(turns):
            await sleep(0)
        log(f"child {value} ends")
        return value

    g = gather(work(2, 1), work(1, 2))
    g.add_done_callback(lambda me: log("callback"))
    log(f"got {list(await g)}")
    await ticker


async def gather_first_exception(log):
    slow = create_task(after(3, 1))
    log(await ending(gather(slow, fail_after(1, "first"), fail_after(2, "second"))))
    log(f"slow done={slow.done()}")
    log(f"slow {await slow}")


async def gather_exception_hops(log):
    ticker = create_task(ticks(log, 8))

    async def fail(turns):
        for _ in range(turns):
            await sleep(0)
        log("child fails")
        raise RuntimeError("x")

    log(await ending(gather(fail(1), fail(3))))
    await ticker


async def gather_return_exceptions(log):
    cancelled = create_task(after(9, 0))
    g = gather(after(2, 1), fail_after(1, "x"), cancelled, return_exceptions=True)
    loop().call_later(1, cancelled.cancel)
    results = await g
    log(f"{results[0]} {type(results[1]).__name__ == 'RuntimeError'} "
        f"{isinstance(results[2], asyncio.CancelledError)}")


async def gather_child_cancelled(log):
    slow = create_task(after(5, 1))
    victim = create_task(after(5, 2))
    g = gather(slow, victim)
    await sleep(1)
    victim.cancel("victim")
    log(await ending(g))
    log(f"cancelled={g.cancelled()} slow={slow.done()}")
    await slow


async def gather_cancelled(log):
    async def work(name):
        try:
            await sleep(10)
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    async def wait():
        await gather(work("a"), work("b"), work("c"))

    ticker = create_task(ticks(log, 8))
    t = create_task(wait())
    await sleep(0)
    await sleep(0)
    t.cancel()
    log(await ending(t))
    await ticker


async def gather_cancelled_children_swallow(log):
    async def stubborn(delay):
        log(await ending(sleep(10)))
        await sleep(delay)
        return delay

    async def wait():
        return await gather(stubborn(1), stubborn(2))

    t = create_task(wait())
    await sleep(1)
    t.cancel()
    log(await ending(t))


async def gather_return_exceptions_cancelled(log):
    async def slow_to_end(delay):
        try:
            await sleep(10)
        finally:
            await sleep(delay)
            log(f"ended after {delay}")

    async def wait():
        await gather(slow_to_end(1), slow_to_end(3), return_exceptions=True)

    t = create_task(wait())
    await sleep(1)
    t.cancel()
    log(await ending(t))


async def gather_cancelled_ends_with_the_first_answer(log):
    async def slow_to_end(delay):
        try:
            await sleep(10)
        finally:
            await sleep(delay)
            log(f"ended after {delay}")

    async def wait():
        await gather(slow_to_end(3), slow_to_end(1), slow_to_end(2))

    t = create_task(wait())
    await sleep(1)
    t.cancel()
    log(await ending(t))
    await sleep(5)


async def gather_the_same_twice(log):
    t = create_task(after(1, 4))
    log(f"{list(await gather(t, after(2, 5), t))}")


# ---- wait and as_completed

async def wait_hops(log):
    ticker = create_task(ticks(log, 10))

    async def work(turns, name):
        for _ in range(turns):
            await sleep(0)
        log(f"{name} ends")

    a, b, c = (create_task(work(n, s)) for n, s in ((1, "a"), (3, "b"), (5, "c")))
    done, pending = await asyncio.wait([a, b, c], return_when=asyncio.FIRST_COMPLETED)
    log(f"first: {len(done)} done {len(pending)} pending")
    done, pending = await asyncio.wait([a, b, c])
    log(f"all: {len(done)} done {len(pending)} pending")
    done, pending = await asyncio.wait([a, b, c])
    log(f"again: {len(done)} done")
    await ticker


async def wait_first_exception(log):
    tasks = [create_task(after(1, 1)), create_task(fail_after(2, "x")), create_task(after(3, 2))]
    victim = create_task(after(9, 9))
    loop().call_later(1, victim.cancel)
    done, pending = await asyncio.wait([*tasks, victim], return_when=asyncio.FIRST_EXCEPTION)
    log(f"{len(done)} done {len(pending)} pending")
    await tasks[2]
    tasks[1].exception()


async def wait_with_a_timeout(log):
    slow, quick = create_task(after(5, 1)), create_task(after(1, 2))
    done, pending = await asyncio.wait([slow, quick], timeout=2)
    log(f"{len(done)} done {len(pending)} pending count={slow.cancelling()}")
    done, pending = await asyncio.wait([slow, quick], timeout=0)
    log(f"{len(done)} done {len(pending)} pending")
    log(f"{await slow}")


async def wait_cancelled(log):
    work = create_task(after(3, 1))

    async def wait():
        await asyncio.wait([work])

    ticker = create_task(ticks(log, 5))
    t = create_task(wait())
    await sleep(0)
    await sleep(0)
    t.cancel()
    log(await ending(t))
    await ticker
    log(f"work {await work} count={work.cancelling()}")


async def as_completed_in_order(log):
    ticker = create_task(ticks(log, 6))

    async def work(turns, value):
        for _ in range(turns):
            await sleep(0)
        log(f"{value} ends")
        return value

    for step in asyncio.as_completed([create_task(work(n, n)) for n in (3, 1, 2)]):
        log(f"got {await step}")
    await ticker


async def as_completed_with_failures(log):
    work = [create_task(after(3, 1)), create_task(fail_after(1, "x")), create_task(after(2, 2))]
    for step in asyncio.as_completed(work):
        log(await ending(step))


async def as_completed_with_a_timeout(log):
    work = [create_task(after(n, n)) for n in (1, 2, 3)]
    for step in asyncio.as_completed(work, timeout=1.5):
        log(await ending(step))
    log(f"{await work[2]}")


# ---- shield, wait_for, timeout

async def shield_hops(log):
    ticker = create_task(ticks(log, 8))

    async def work():
        await sleep(0)
        await sleep(0)
        log("inner ends")
        return 1

    log(f"got {await shield(work())}")
    await ticker


async def shield_outer_cancelled(log):
    inner = create_task(after(3, 1))

    async def wait():
        await shield(inner)

    t = create_task(wait())
    await sleep(1)
    t.cancel("outer")
    log(await ending(t))
    log(f"inner {await inner} count={inner.cancelling()}")


async def shield_inner_cancelled(log):
    inner = create_task(after(3, 1))
    outer = shield(inner)
    ticker = create_task(ticks(log, 6))
    await sleep(0)
    inner.cancel()
    log(await ending(outer))
    log(f"cancelled={outer.cancelled()}")
    await ticker


async def shield_inner_fails(log):
    log(await ending(shield(fail_after(1, "inner"))))


async def wait_for_in_time_and_late(log):
    log(await ending(wait_for(after(1, 5), 2)))
    log(await ending(wait_for(after(3, 5), 2)))
    t = create_task(after(3, 6))
    log(await ending(wait_for(t, 1)))
    log(f"cancelled={t.cancelled()}")
    inner = create_task(after(2, 7))
    log(await ending(wait_for(shield(inner), 1)))
    log(f"{await inner}")


async def wait_for_hops(log):
    ticker = create_task(ticks(log, 10))

    async def work():
        for _ in range(3):
            await sleep(0)
        log("inner ends")
        return 1

    log(f"inline {await wait_for(work(), 5)}")
    log(f"task {await wait_for(create_task(work()), 5)}")
    await ticker


async def wait_for_slow_to_end(log):
    async def work():
        try:
            await sleep(10)
        finally:
            log("cleanup")
            await sleep(3)

    log(await ending(wait_for(create_task(work()), 1)))


async def wait_for_cancelled(log):
    inner = create_task(after(10, 1))

    async def wait():
        await wait_for(inner, 20)

    t = create_task(wait())
    await sleep(1)
    t.cancel("outside")
    log(await ending(t))
    log(f"inner cancelled={inner.cancelled()}")


async def timeouts_nested(log):
    async def inside(outer, inner):
        try:
            async with asyncio.timeout(outer) as a:
                try:
                    async with asyncio.timeout(inner) as b:
                        await sleep(10)
                except BaseException as error:
                    log(f"inner {type(error) is TimeoutError} expired={b.expired()}")
                    raise
        except TimeoutError:
            log(f"outer timeout expired={a.expired()}")

    await inside(1, 2)
    await inside(2, 1)
    await inside(1, 1)
    log(f"count={asyncio.current_task().cancelling()}")


async def timeout_of_zero(log):
    ticker = create_task(ticks(log, 3))

    async def body():
        log("begins")
        await sleep(0)
        log("never")

    async def scope():
        async with asyncio.timeout(0):
            await body()

    log(await ending(scope()))
    await ticker


# ---- locks and queues

async def lock_first_come_first_served(log):
    lock = asyncio.Lock()

    async def work(name):
        async with lock:
            log(f"{name} in")
            await sleep(0)
            log(f"{name} out")

    ticker = create_task(ticks(log, 8))
    for t in [create_task(work(n)) for n in "abc"]:
        await t
    await ticker


async def lock_no_barging(log):
    lock = asyncio.Lock()

    async def work():
        async with lock:
            log("waiter")

    await lock.acquire()
    t = create_task(work())
    await sleep(0)
    lock.release()
    log(f"released locked={lock.locked()}")
    async with lock:
        log("releaser")
    await t


async def lock_cancelled_waiters(log):
    lock = asyncio.Lock()

    async def work(name):
        try:
            async with lock:
                log(f"{name} in")
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    await lock.acquire()
    tasks = [create_task(work(n)) for n in "abcd"]
    await sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    await sleep(0)
    lock.release()
    await settle()
    log(f"locked={lock.locked()}")


async def semaphore_permits(log):
    semaphore = asyncio.Semaphore(2)

    async def work(name):
        async with semaphore:
            log(f"{name} in")
            await sleep(1)
        log(f"{name} out")

    for t in [create_task(work(n)) for n in "abcde"]:
        await t


async def semaphore_released_together(log):
    semaphore = asyncio.Semaphore(0)

    async def work(name):
        await semaphore.acquire()
        log(name)

    tasks = [create_task(work(n)) for n in "abcd"]
    await sleep(0)
    for _ in range(3):
        semaphore.release()
    log(f"locked={semaphore.locked()}")
    await settle()
    log(f"d done={tasks[3].done()}")
    semaphore.release()
    await tasks[3]


async def event_set_and_clear(log):
    event = asyncio.Event()

    async def wait(name):
        await event.wait()
        log(name)

    tasks = [create_task(wait(n)) for n in "abc"]
    ticker = create_task(ticks(log, 4))
    await sleep(0)
    event.set()
    event.clear()
    late = create_task(wait("late"))
    for t in tasks:
        await t
    await ticker
    log(f"late done={late.done()}")
    event.set()
    await late


async def condition_notify(log):
    condition = asyncio.Condition()

    async def wait(name):
        async with condition:
            await condition.wait()
            log(name)

    tasks = [create_task(wait(n)) for n in "abcd"]
    await settle()
    ticker = create_task(ticks(log, 6))
    async with condition:
        condition.notify(2)
        log("notified two")
        await sleep(0)
    await ticker
    async with condition:
        condition.notify_all()
    for t in tasks:
        await t


async def condition_cancelled(log):
    condition = asyncio.Condition()

    async def wait(name):
        async with condition:
            try:
                await condition.wait()
            finally:
                log(f"{name} holds the lock again {condition.locked()}")

    a, b = create_task(wait("a")), create_task(wait("b"))
    await settle()
    await condition.acquire()
    a.cancel("away")
    await sleep(1)
    log(f"a done={a.done()}")
    condition.notify()
    condition.release()
    log(await ending(a))
    log(await ending(b))


async def queue_hand_over(log):
    queue = asyncio.Queue()

    async def consume(name):
        item = await queue.get()
        log(f"{name} got {item}")

    tasks = [create_task(consume(n)) for n in "abc"]
    ticker = create_task(ticks(log, 4))
    await sleep(0)
    queue.put_nowait(1)
    queue.put_nowait(2)
    log("put two")
    await ticker
    queue.put_nowait(3)
    for t in tasks:
        await t


async def queue_bounded(log):
    queue = asyncio.Queue(2)

    async def produce():
        for i in range(5):
            await queue.put(i)
            log(f"put {i}")

    async def consume():
        for _ in range(5):
            item = await queue.get()
            log(f"got {item}")
            await sleep(0)

    await gather(produce(), consume())


async def queue_cancelled(log):
    queue = asyncio.Queue(1)

    async def consume(name):
        item = await queue.get()
        log(f"{name} got {item}")

    a, b = create_task(consume("a")), create_task(consume("b"))
    await sleep(0)
    a.cancel()
    await sleep(0)
    queue.put_nowait(1)
    await settle()
    log(f"a cancelled={a.cancelled()} b done={b.done()}")
    queue.put_nowait(2)
    c, d = create_task(queue.put(3)), create_task(queue.put(4))
    await sleep(0)
    c.cancel()
    await sleep(0)
    log(f"{await queue.get()}")
    await d
    log(f"{await queue.get()}")


async def queue_join(log):
    queue = asyncio.Queue()
    for i in range(3):
        queue.put_nowait(i)

    async def work():
        for _ in range(3):
            item = await queue.get()
            await sleep(1)
            log(f"did {item}")
            queue.task_done()

    async def join():
        await queue.join()
        log("joined")

    await gather(work(), join())


async def barrier_rounds(log):
    barrier = asyncio.Barrier(3)

    async def work(name):
        for i in range(2):
            index = await barrier.wait()
            log(f"{name} passes {i} as {index}")

    await gather(work("a"), work("b"), work("c"))


# ---- nested

async def combinators_nested(log):
    async def part(name, delay):
        try:
            await sleep(delay)
            log(f"{name} ends")
            return delay
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    kept = create_task(part("kept", 5))
    whole = gather(wait_for(part("a", 1), 2), wait_for(part("b", 3), 2), shield(kept))
    log(await ending(whole))
    log(f"kept {await kept}")


async def cancel_nested_combinators(log):
    async def part(name):
        try:
            await sleep(10)
        except asyncio.CancelledError:
            log(f"{name} cancelled")
            raise

    shielded = create_task(after(3, 1))

    async def work():
        await wait_for(gather(part("a"), gather(part("b"), part("c")), shield(shielded)), 20)

    ticker = create_task(ticks(log, 8))
    t = create_task(work())
    await sleep(0)
    await sleep(0)
    await sleep(0)
    t.cancel()
    log(await ending(t))
    await ticker
    log(f"{await shielded}")


async def producer_pipeline(log):
    first, second = asyncio.Queue(1), asyncio.Queue(1)

    async def produce():
        for i in range(4):
            await first.put(i)
            log(f"made {i}")
        await first.put(-1)

    async def double():
        while (n := await first.get()) >= 0:
            log(f"doubles {n}")
            await second.put(n * 2)
        await second.put(-1)

    async def show():
        while (n := await second.get()) >= 0:
            log(f"shows {n}")

    await gather(produce(), double(), show())


def scenarios():
    """Every coroutine function of this file, in its order."""
    import inspect
    here = sys.modules[__name__]
    own = [f for f in vars(here).values() if inspect.iscoroutinefunction(f) and f.__module__ == __name__]
    return {f.__name__: f for f in own}


if __name__ == "__main__":
    for name, function in scenarios().items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            print(f"== {name}")
            print(*run_scenario(function), sep="\n")
