# SPDX-License-Identifier: BSL-1.0
"""Runs the core benchmarks of this library, of Asio, of tokio and of CPython's asyncio in turn, and prints one table.

Usage: core.py FOLDER-OF-THE-PROGRAMS [repetitions]
Every figure is the smallest of its repetitions, in nanoseconds of processor time for one operation (wake-ups: of real
time). The libraries take turns in each repetition, so that a busy moment of the machine meets all of them.
"""
import asyncio
import threading
import time

import table

MEASURES = ["spawn+await", "direct await", "switch", "set+cancel timer", "sleep, 10k at once", "wake from a thread"]


async def one():
    return 1


async def spawn_and_await(n):
    for _ in range(n):
        await asyncio.create_task(one())


async def await_directly(n):
    for _ in range(n):
        await one()


async def yield_often(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def switch_tasks(n):
    await asyncio.gather(yield_often(n // 2), yield_often(n // 2))


async def set_and_cancel_timer(n):
    loop = asyncio.get_running_loop()
    for _ in range(n):
        loop.call_later(3600, print).cancel()


async def sleep_in_crowd(n):
    await asyncio.gather(*(asyncio.sleep(i % 1000 / 1e6) for i in range(n)))


def wake_from_thread(n):
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    called = threading.Event()
    begin = time.perf_counter_ns()
    for _ in range(n):
        called.clear()
        loop.call_soon_threadsafe(called.set)
        called.wait()
    spent = time.perf_counter_ns() - begin
    loop.call_soon_threadsafe(loop.stop)
    runner.join()
    loop.close()
    return spent / n


def cpython():
    figures = {}
    for name, body, n in [("spawn+await", spawn_and_await, 20000), ("direct await", await_directly, 200000),
                          ("switch", switch_tasks, 50000), ("set+cancel timer", set_and_cancel_timer, 50000),
                          ("sleep, 10k at once", sleep_in_crowd, 10000)]:
        begin = time.process_time_ns()
        asyncio.run(body(n))
        figures[name] = (time.process_time_ns() - begin) / n
    figures["wake from a thread"] = wake_from_thread(5000)
    return figures


table.main("core", MEASURES, ["asyncio-cpp", "asio", "tokio", "CPython"], cpython)
