# SPDX-License-Identifier: BSL-1.0
"""Calls in other processes: this library's process_pool_executor and CPython's ProcessPoolExecutor in turn, in one table.

Usage: process_pool.py FOLDER-OF-THE-PROGRAMS [calls]
Microseconds, or MB/s, of real time. CPython starts its workers by "spawn", as programs with threads must.
"""
import asyncio
import concurrent.futures
import multiprocessing
import subprocess
import sys
import time

SIZE = 64 << 20


def one(n):
    return n + 1


def echo(data):
    return data


def make(size):
    return b"x" * size


def pool(workers):
    executor = concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    executor.submit(one, 1).result()
    return executor


def start():
    begin = time.perf_counter()
    with pool(1):
        return (time.perf_counter() - begin) * 1e6


def round_trips(n):
    times = []
    with pool(1) as executor:
        for i in range(n):
            begin = time.perf_counter()
            executor.submit(one, i).result()
            times.append(time.perf_counter() - begin)
    times.sort()
    return times[n // 2] * 1e6, times[n * 99 // 100] * 1e6


async def awaited(n):
    loop = asyncio.get_running_loop()
    with pool(1) as executor:
        begin = time.perf_counter()
        for i in range(n):
            await loop.run_in_executor(executor, one, i)
        return (time.perf_counter() - begin) / n * 1e6


def many(n):
    with pool(2) as executor:
        begin = time.perf_counter()
        for future in [executor.submit(one, 0) for _ in range(n)]:
            future.result()
        return (time.perf_counter() - begin) / n * 1e6


def large():
    data = b"x" * SIZE
    with pool(1) as executor:
        def speed(moved, *call):
            best = min(timed(executor, call) for _ in range(3))
            return moved / best / 1e6
        return speed(SIZE, len, data), speed(SIZE, make, SIZE), speed(2 * SIZE, echo, data)


def timed(executor, call):
    begin = time.perf_counter()
    executor.submit(*call).result()
    return time.perf_counter() - begin


def main():
    folder, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    lines = subprocess.run([f"{folder}/bench_process_pool", str(n)], capture_output=True, text=True, check=True).stdout
    ours = [line.rsplit(": ", 1) for line in lines.splitlines()]
    few = max(1, n // 10)
    python = [start(), *round_trips(few), asyncio.run(awaited(few)), many(few), *large()]
    print(f"{'':34} {'here':>10} {'CPython':>10}")
    for (name, value), theirs in zip(ours, python):
        print(f"{name:34} {float(value):10.1f} {theirs:10.1f}")


if __name__ == "__main__":
    main()
