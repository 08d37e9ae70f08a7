# SPDX-License-Identifier: BSL-1.0
"""Runs a scenario's tree in CPython. interpreter.cpp does the same in C++, printer.py writes the tree as programs."""
import asyncio

from tree import children, from_text, numbers
from world import TaskGroup, describe, gather, run, wait_for

WHEN = (asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION)
STATEMENTS = {}


def statement(function):
    STATEMENTS[function.__name__.rstrip("_")] = function
    return function


def body_of(block):
    async def body(world, place):
        for node in children(block):
            await STATEMENTS[node[0]](world, place, node)
    return body


async def run_block(world, place, block):
    await body_of(block)(world, place)


def operands(world, place, nodes):
    """Fresh tasks of the blocks, and tasks that are there: (task k)."""
    tasks = []
    for node in nodes:
        if node[0] == "do":
            tasks.append(world.create(node[1], body_of(node)))
        else:
            tasks += world.pick(place, node[1])
    return tasks


def limit(seconds):
    return None if seconds < 0 else seconds


# ---- waiting

@statement
async def sleep(world, place, node):
    world.log(node[1], f"sleeps {node[2]}")
    await asyncio.sleep(node[2])
    world.log(node[1], "wakes")


@statement
async def ticks(world, place, node):
    for i in range(node[2]):
        world.log(node[1], f"tick {i}")
        await asyncio.sleep(0)


@statement
async def join(world, place, node):
    for task in operands(world, place, children(node)):
        world.log(node[1], f"joins {world.names([task])}")
        world.log(node[1], f"got {await task}")


@statement
async def shield(world, place, node):
    for task in operands(world, place, children(node)):
        world.log(node[1], f"shields {world.names([task])}")
        world.log(node[1], f"got {await asyncio.shield(task)}")


@statement
async def gather_(world, place, node):
    tasks = operands(world, place, children(node))
    world.log(node[1], f"gathers {world.names(tasks)}")
    if tasks and node[2]:
        got = await gather(*tasks, return_exceptions=True)
        world.log(node[1], f"got [{', '.join(describe(r) if isinstance(r, BaseException) else str(r) for r in got)}]")
    elif tasks:
        world.log(node[1], f"got {await gather(*tasks)}")


@statement
async def wait(world, place, node):
    tasks = operands(world, place, children(node))
    world.log(node[1], f"waits for {world.names(tasks)}")
    if tasks:
        done, pending = await asyncio.wait(tasks, timeout=limit(node[3]), return_when=WHEN[node[2]])
        each = list(dict.fromkeys(tasks))
        world.log(node[1], f"done {world.names([t for t in each if t in done])} "
                           f"pending {world.names([t for t in each if t in pending])}")


@statement
async def as_completed(world, place, node):
    tasks = [t for t in operands(world, place, children(node)) if not t.done()]
    world.log(node[1], f"awaits one of {world.names(tasks)}")
    for step in asyncio.as_completed(tasks, timeout=limit(node[2])):
        try:
            world.log(node[1], f"got {await step}")
        except Exception as error:
            world.log(node[1], f"got {describe(error)}")


@statement
async def wait_for_(world, place, node):
    world.log(node[1], f"waits {node[2]}")
    await wait_for(body_of(node[3])(world, place), node[2])
    world.log(node[1], "in time")


@statement
async def wait_for_task(world, place, node):
    for task in operands(world, place, children(node)):
        world.log(node[1], f"waits {node[2]} for {world.names([task])}")
        world.log(node[1], f"got {await wait_for(task, node[2])}")


# ---- scopes

@statement
async def timeout(world, place, node):
    world.log(node[1], f"has {node[2]}")
    deadline = asyncio.timeout(node[2])
    try:
        async with deadline:
            await run_block(world, place.inside(limit=deadline), node[3])
    except BaseException as error:
        world.log(node[1], f"leaves with {describe(error)} expired={deadline.expired()}")
        raise
    world.log(node[1], f"leaves expired={deadline.expired()}")


@statement
async def reschedule(world, place, node):
    if place.limit is not None:
        try:
            place.limit.reschedule(asyncio.get_running_loop().time() + node[2])
            world.log(node[1], f"reschedules to {node[2]}")
        except RuntimeError:
            world.log(node[1], "is refused")


@statement
async def group(world, place, node):
    body, *kids = children(node)
    world.log(node[1], "opens")
    try:
        async with TaskGroup() as tasks:
            for kid in kids:
                world.create_in(tasks, kid[1], body_of(kid))
            await run_block(world, place.inside(group=tasks), body)
    except BaseException as error:
        world.log(node[1], f"closes with {describe(error)} cancelling={asyncio.current_task().cancelling()}")
        raise
    world.log(node[1], f"closes cancelling={asyncio.current_task().cancelling()}")


@statement
async def spawn_in(world, place, node):
    if place.group is not None:
        world.create_in(place.group, node[2][1], body_of(node[2]))


@statement
async def spawn(world, place, node):
    world.log(node[1], f"spawns {world.names([world.create(node[2][1], body_of(node[2]))])}")


@statement
async def on_cancel(world, place, node):
    """0: swallows it; 1: throws it on; 2: fails instead; 3: swallows it and takes the request back."""
    try:
        await run_block(world, place, node[3])
    except asyncio.CancelledError as error:
        world.log(node[1], f"catches {describe(error)} cancelling={asyncio.current_task().cancelling()}")
        await run_block(world, place, node[4])
        if node[2] == 1:
            raise
        if node[2] == 2:
            raise RuntimeError(f"instead {node[1]}")
        if node[2] == 3:
            world.log(node[1], f"uncancels {asyncio.current_task().uncancel()}")


@statement
async def on_error(world, place, node):
    try:
        await run_block(world, place, node[2])
    except Exception as error:
        world.log(node[1], f"catches {describe(error)}")
        await run_block(world, place, node[3])


@statement
async def finally_(world, place, node):
    try:
        await run_block(world, place, node[2])
    finally:
        world.log(node[1], "cleans up")
        await run_block(world, place, node[3])


@statement
async def lock(world, place, node):
    world.log(node[1], f"wants lock {node[2]}")
    async with world.locks[node[2]]:
        world.log(node[1], "has it")
        await run_block(world, place, node[3])


@statement
async def semaphore(world, place, node):
    world.log(node[1], "wants a permit")
    async with world.permits:
        world.log(node[1], "has it")
        await run_block(world, place, node[2])


# ---- queues, events, futures

@statement
async def put(world, place, node):
    world.log(node[1], f"puts into {node[2]}")
    await world.queues[node[2]].put(node[1])
    world.log(node[1], "has put")


@statement
async def get(world, place, node):
    world.log(node[1], f"gets from {node[2]}")
    world.log(node[1], f"got {await world.queues[node[2]].get()}")


@statement
async def put_nowait(world, place, node):
    try:
        world.queues[node[2]].put_nowait(node[1])
        world.log(node[1], f"puts into {node[2]} at once")
    except asyncio.QueueFull:
        world.log(node[1], "finds it full")


@statement
async def get_nowait(world, place, node):
    try:
        world.log(node[1], f"got {world.queues[node[2]].get_nowait()} at once")
    except asyncio.QueueEmpty:
        world.log(node[1], "finds it empty")


@statement
async def task_done(world, place, node):
    try:
        world.queues[node[2]].task_done()
        world.log(node[1], "dealt with one")
    except ValueError:
        world.log(node[1], "is refused")


@statement
async def join_queue(world, place, node):
    world.log(node[1], f"joins queue {node[2]}")
    await world.queues[node[2]].join()
    world.log(node[1], "joined")


@statement
async def await_event(world, place, node):
    world.log(node[1], f"waits for event {node[2]}")
    await world.events[node[2]].wait()
    world.log(node[1], "saw it")


@statement
async def set_(world, place, node):
    world.log(node[1], f"sets event {node[2]}")
    world.events[node[2]].set()


@statement
async def clear(world, place, node):
    world.log(node[1], f"clears event {node[2]}")
    world.events[node[2]].clear()


@statement
async def await_change(world, place, node):
    world.log(node[1], "waits for a change")
    async with world.changed:
        await world.changed.wait()
        world.log(node[1], "saw a change")


@statement
async def notify(world, place, node):
    world.log(node[1], "wants to notify")
    async with world.changed:
        world.log(node[1], f"notifies {node[2]}")
        world.changed.notify(node[2])


@statement
async def await_future(world, place, node):
    world.log(node[1], f"waits for future {node[2]}")
    world.log(node[1], f"got {await world.futures[node[2]]}")


@statement
async def resolve(world, place, node):
    future = world.futures[node[2]]
    world.log(node[1], f"future {node[2]} is {'done already' if future.done() else 'resolved'}")
    if not future.done():
        future.set_result(node[1])


@statement
async def cancel_future(world, place, node):
    world.log(node[1], f"cancels future {node[2]}: {world.futures[node[2]].cancel(f'future {node[1]}')}")


# ---- at once

@statement
async def raise_(world, place, node):
    world.log(node[1], "fails")
    raise RuntimeError(str(node[1]))


@statement
async def cancel(world, place, node):
    world.cancel(node[1], node[2], f"by {node[1]}")


@statement
async def uncancel(world, place, node):
    world.log(node[1], f"uncancels {asyncio.current_task().uncancel()}")


@statement
async def count(world, place, node):
    world.log(node[1], f"cancelling={asyncio.current_task().cancelling()}")


@statement
async def callback(world, place, node):
    k = node[2] % len(world.tasks)
    world.tasks[k].add_done_callback(lambda task: world.log(node[1], f"called, task {k} is {world.outcome(task)}"))


@statement
async def soon(world, place, node):
    asyncio.get_running_loop().call_soon(world.log, node[1], "soon")


@statement
async def later(world, place, node):
    asyncio.get_running_loop().call_later(node[2], world.log, node[1], "later")


def interpret(program):
    """The log of a program, and how many lines of it can be compared (None: all)."""
    tree = from_text(program) if isinstance(program, str) else program
    main, *cancels = children(tree)
    return run(body_of(main), [numbers(c) for c in cancels])
