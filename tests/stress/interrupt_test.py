# SPDX-License-Identifier: BSL-1.0
"""Ctrl-C at random moments of a busy program: it always ends within a second, with everything cleaned up, its children
too.

usage: interrupt_test.py PROGRAM [MOMENTS [SEED]]

Every fourth time a second one follows soon after the first, which may end the program at once, and then without clean-up.
ASYNCIO_TEST_PATIENCE: by how much a slow machine or a sanitizer may stretch the second (1)."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

PROGRAM = sys.argv[1]
MOMENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else time.time_ns() % 1_000_000
LIMIT = 1.0 * float(os.environ.get("ASYNCIO_TEST_PATIENCE", "1"))
INTERRUPTED = 128 + signal.SIGINT
MARK = f"ASYNCIO_BUSY_PROGRAM={os.getpid()}"


def end_children():
    """The processes that bear our mark: how many there were."""
    found = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
                found += 1
        except (OSError, ValueError):
            pass
    return found


def at_one_moment(chance):
    """What is wrong with one run; nothing, when all is well. And how long its end took."""
    runs_ms = chance.randrange(20, 200)
    first, second = chance.uniform(0, 0.22), chance.uniform(0, 0.02)
    twice = chance.randrange(4) == 0
    marked = dict(os.environ, **dict([MARK.split("=")]))
    with subprocess.Popen([PROGRAM, str(runs_ms)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=marked) as busy:
        try:
            if busy.stdout.readline() != "READY\n":
                return "it did not begin", 0.0
            time.sleep(first)
            began = time.monotonic()
            busy.send_signal(signal.SIGINT)
            if twice:
                time.sleep(second)
                busy.send_signal(signal.SIGINT)
            said, errors = busy.communicate(timeout=20 * LIMIT)
            took = time.monotonic() - began
        except subprocess.TimeoutExpired:
            busy.kill()
            return f"it did not end: {runs_ms} ms, first {first:.3f} s, twice {twice}", 20 * LIMIT
    where = f"{runs_ms} ms, first {first:.3f} s, second {second:.3f} s, twice {twice}: {said!r} {errors!r}"
    ended_by_signal = busy.returncode == -signal.SIGINT
    if busy.returncode not in (0, INTERRUPTED) and not ended_by_signal:
        return f"status {busy.returncode}: {where}", took
    if took > LIMIT:
        return f"it took {took:.3f} s to end: {where}", took
    left = end_children()
    if left and not ended_by_signal:
        return f"{left} child processes left: {where}", took
    # One signal ends the process itself only when all is cleaned up: between the end of run() and that of main().
    clean = said.endswith("left 0\n") or (ended_by_signal and said == "" and runs_ms / 1000 < first + took)
    if errors or not (clean or (twice and ended_by_signal)):
        return f"not cleaned up, status {busy.returncode}: {where}", took
    return "", took


def main():
    chance = random.Random(SEED)
    print(f"{MOMENTS} moments; to repeat: interrupt_test.py {PROGRAM} {MOMENTS} {SEED}", flush=True)
    longest = 0.0
    for moment in range(MOMENTS):
        wrong, took = at_one_moment(chance)
        longest = max(longest, took)
        if wrong:
            sys.exit(f"moment {moment}: {wrong}")
    print(f"the longest end took {longest * 1000:.0f} ms")


if __name__ == "__main__":
    main()
