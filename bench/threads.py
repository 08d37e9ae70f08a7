# SPDX-License-Identifier: BSL-1.0
"""Runs the benchmarks of threads of this library, of Asio, of libuv, of tokio and of CPython in turns, and
prints one table.

Usage: threads.py FOLDER-OF-THE-PROGRAMS [repetitions]
Every figure is the smallest of its repetitions, in nanoseconds of real time for one operation: a way to a thread and
back, for nothing.
"""
import asyncio
import concurrent.futures
import threading
import time

import table

MEASURES = ["to_thread", "run_in_executor", "100 at once, each", "submit().result()", "call_soon_threadsafe",
            "run_coroutine_threadsafe"]


def nothing():
    return 1


async def to_thread(n):
    for _ in range(n):
        await asyncio.to_thread(nothing)


async def run_in_executor(n):
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(n):
            await loop.run_in_executor(pool, nothing)


async def hundred_at_once(n):
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(n // 100):
            for call in [loop.run_in_executor(pool, nothing) for _ in range(100)]:
                await call


def submit_and_wait(n):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(n):
            pool.submit(nothing).result()


async def one():
    return 1


def from_another_thread(n, ask):
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    begin = time.perf_counter_ns()
    for _ in range(n):
        ask(loop)
    spent = time.perf_counter_ns() - begin
    loop.call_soon_threadsafe(loop.stop)
    runner.join()
    loop.close()
    return spent / n


def call_and_wait(loop):
    called = threading.Event()
    loop.call_soon_threadsafe(called.set)
    called.wait()


def timed(call, n):
    begin = time.perf_counter_ns()
    call(n)
    return (time.perf_counter_ns() - begin) / n


def cpython(n=5000):
    return {
        "to_thread": timed(lambda times: asyncio.run(to_thread(times)), n),
        "run_in_executor": timed(lambda times: asyncio.run(run_in_executor(times)), n),
        "100 at once, each": timed(lambda times: asyncio.run(hundred_at_once(times)), n),
        "submit().result()": timed(submit_and_wait, n),
        "call_soon_threadsafe": from_another_thread(n, call_and_wait),
        "run_coroutine_threadsafe": from_another_thread(
            n, lambda loop: asyncio.run_coroutine_threadsafe(one(), loop).result()),
    }


table.main("threads", MEASURES, ["asyncio-cpp", "asio", "libuv", "tokio", "CPython"], cpython)
