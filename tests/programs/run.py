#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs one program of this folder and compares what it prints with expected/<name>.txt and how it ends.

    run.py FOLDER NAME

The program gets a terminal for its output, so that it prints line by line. A program that waits for ever is interrupted
(SIGINT, as by Ctrl-C) once it has printed what is expected and sleeps in its loop, and must then end by itself. Of the
source files that a program names only the last part of the path is compared.
"""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS_TO_RUN = 60
SECONDS_TO_STOP = 5

# Exit status of each program that ends by itself; None: it waits for ever, and is interrupted. 11: a deadline that is
# set inside its block throws timeout_error out of amain, as Python's would, and nobody catches it.
ENDS = {
    "01_hello": 11,
    "02_create_task": 0,
    "03_create_task_callable": 93,
    "04_future": 0,
    "05_gather": 0,
    "06_gather_range": 9,
    "07_gather_return_exceptions": 0,
    "08_wait": None,
    "09_as_completed": 0,
    "10_wait_for_shield": None,
    "11_timeout": -signal.SIGABRT,
    "12_task_group": 0,
    "13_nested_scopes": 86,
    "14_exception_group": 0,
    "15_finally_outcome": 0,
    "16_own_context_manager": 0,
    "17_exit_stack": 0,
    "18_event_loop": 6,
    "19_runner": 6,
    "20_locks": 0,
    "21_queue": 0,
    "31_threads": 144,  # the sum of what it has computed, 400, as an exit status
    "32_other_threads": 0,
    "33_process_pool": 0,
    "35_async_generator": 0,
    "36_context_var": 0,
    "37_introspect": 0,
    "38_testing": None,  # its last run waits for a clock that nobody moves
    "39_background_tasks": 0,
    "41_macros_and_posix": 0,
    "42_std_names": 1,
    "44_scopes_in_scopes": 32,
    "45_guest_mode": 0,
}


def read_until(terminal, text, deadline):
    """What the program prints, up to its end, or until it has printed as much as `text`; then whether it ended."""
    printed = b""
    while time.monotonic() < deadline:
        if text is not None and printed.count(b"\n") >= text.count("\n"):
            return printed, False
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                chunk = os.read(terminal, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                return printed, True
            printed += chunk
    return printed, False


def sleeps_in_its_loop(pid):
    """Whether the process has a handler for SIGINT, as inside asyncio::run, and does nothing; and its processor time."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if caught is None:  # it has ended
        return False, None
    state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    asleep = state == "S" and int(caught.group(1), 16) >> (signal.SIGINT - 1) & 1 == 1
    return asleep, fields[10:12]


def wait_until_it_sleeps(pid, deadline):
    """Whether it did before the deadline: five looks in a row find it asleep, and no time spent in between."""
    looks, before = 0, None
    while time.monotonic() < deadline and looks < 5:
        asleep, spent = sleeps_in_its_loop(pid)
        looks = looks + 1 if asleep and spent == before else 0
        before = spent
        time.sleep(0.02)
    return looks == 5


def run(program, expected, status):
    """A complaint, or None."""
    terminal, other_end = pty.openpty()
    process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=other_end, stderr=None)
    os.close(other_end)
    deadline = time.monotonic() + SECONDS_TO_RUN
    try:
        printed, ended = read_until(terminal, expected if status is None else None, deadline)
        text = re.sub(r"File '[^']*/", "File '", printed.decode().replace("\r\n", "\n"))
        if text != expected:
            return f"it printed\n{text}instead of\n{expected}"
        if status is None:
            if ended:
                return "it ended, and should wait"
            if not wait_until_it_sleeps(process.pid, deadline):
                return "it has not come to rest in its loop"
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                return f"it did not stop within {SECONDS_TO_STOP} s of SIGINT"
            return None if code == 130 else f"SIGINT ended it with status {code} instead of 130"
        code = process.wait(max(0.1, deadline - time.monotonic()))
        return None if code == status else f"it ended with status {code} instead of {status}"
    except subprocess.TimeoutExpired:
        return f"it did not end within {SECONDS_TO_RUN} s"
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in ENDS:
        print(__doc__, file=sys.stderr)
        return 2
    name = sys.argv[2]
    expected = (HERE / "expected" / f"{name}.txt").read_text()
    complaint = run(Path(sys.argv[1]) / name, expected, ENDS[name])
    print(f"{name}: {complaint or 'as expected'}")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
