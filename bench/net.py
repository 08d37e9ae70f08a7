# SPDX-License-Identifier: BSL-1.0
"""Runs echo servers of this library and of others under the same load, in turns; a table for each kind of load.

Usage: net.py FOLDER-OF-THE-PROGRAMS [--repetitions N] [--seconds S] [--only WORD ...] [--count]

Server and load have a processor each. Every figure is the best of its repetitions: `server us` is the server's
processor time for one request, kernel and user together.
--count: instead, system calls for one request as strace counts them, and instructions outside the kernel as valgrind
does, of the servers that are programs: the same on a busy machine as on a quiet one.
"""
import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import table

# Sixteen writes are whatever a library's plain write is, one after the other; for raw epoll one writev of the pieces.
LOADS = [  # title, clients, bytes, what the server does
    ("50 clients, 64 B", 50, 64, "echo"),
    ("1000 clients, 64 B", 1000, 64, "echo"),
    ("50 clients, 1 KiB", 50, 1024, "echo"),
    ("1000 clients, 1 KiB", 1000, 1024, "echo"),
    ("50 clients, 16 writes of 64 B", 50, 1024, "pieces"),
    ("50 clients, 100 KiB", 50, 100 * 1024, "echo"),
]
YARDSTICK = "raw epoll"
COUNTED = (20, 64, "echo")


class Server:
    """`backend`: what ASYNCIO_BACKEND asks for, and what has to come of it. `compiled`: --count is for it."""

    def __init__(self, name, *command, backend=None, there=None, compiled=True):
        self.name = name
        self.command = [str(word) for word in command]
        self.backend = backend
        self.there = os.path.exists(self.command[0]) if there is None else there
        self.compiled = compiled

    @contextlib.contextmanager
    def running(self, mode, processor, wrapper=()):
        """A process that listens, and its port; None where there is no such server."""
        if not self.there:
            yield None
            return
        environment = dict(os.environ)
        environment.pop("ASYNCIO_BACKEND", None)
        if self.backend:
            environment["ASYNCIO_BACKEND"] = self.backend
        process = subprocess.Popen([*wrapper, *self.command, mode], stdout=subprocess.PIPE, text=True, env=environment,
                                   preexec_fn=lambda: settle(processor, in_lock_step=bool(wrapper)))
        try:
            words = process.stdout.readline().split()
            if not words or words[0] != "LISTENING":
                raise SystemExit(f"{self.name} does not listen: {' '.join(process.args)}")
            got = words[2] if len(words) > 2 else self.backend
            yield (process, int(words[1])) if got == self.backend else None
        finally:
            end(process)


def settle(processor, in_lock_step):
    """For a server that is about to start. A batch process does not push the load aside when bytes come for it: with
    both on one processor, it finds the whole of a round."""
    os.sched_setaffinity(0, {processor})
    if in_lock_step:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end(process):
    """Ends a server; one that runs inside another program by itself, so that the other can say what it has seen."""
    for pid in children(process.pid) or [process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 15)
    process.stdout.close()
    process.wait()


def python_with_uvloop():
    """This Python, or Debian's when only that has uvloop; whether one has."""
    for python in (sys.executable, "/usr/bin/python3"):
        if not os.path.exists(python):
            continue
        if subprocess.run([python, "-c", "import uvloop"], capture_output=True, check=False).returncode == 0:
            return python, True
    return sys.executable, False


def servers(folder):
    python, has_uvloop = python_with_uvloop()
    script = Path(__file__).parent / "peers/net/net_cpython.py"
    return [
        Server(YARDSTICK, folder / "bench_net_epoll"),
        Server("asyncio-cpp, epoll", folder / "bench_net", backend="epoll"),
        Server("asyncio-cpp, io_uring", folder / "bench_net", backend="io_uring"),
        Server("asio", folder / "bench_net_asio"),
        Server("libuv", folder / "bench_net_uv"),
        Server("tokio", folder / "bench_tokio", "net"),
        Server("Go", folder / "bench_net_go"),
        Server("asyncio, streams", python, script, "asyncio", "streams", compiled=False),
        Server("asyncio, protocol", python, script, "asyncio", "protocol", compiled=False),
        Server("uvloop, protocol", python, script, "uvloop", "protocol", there=has_uvloop, compiled=False),
    ]


def load(folder, processor, *words):
    """What the load says of one run."""
    run = subprocess.run([folder / "bench_net_load", *map(str, words)], stdout=subprocess.PIPE, text=True, check=True,
                         preexec_fn=lambda: os.sched_setaffinity(0, {processor}))
    return json.loads(run.stdout)


def measure(folder, all_servers, repetitions, seconds):
    *_, ours = sorted(os.sched_getaffinity(0))
    theirs = min(os.sched_getaffinity(0))
    for title, clients, size, mode in LOADS:
        best = {server.name: {} for server in all_servers}
        for _ in range(repetitions):
            for server in all_servers:
                with server.running(mode, theirs) as started:
                    if started is None:
                        continue
                    process, port = started
                    figures = load(folder, ours, port, clients, size, "seconds", seconds, process.pid)
                    keep_best(best[server.name], figures)
        show(title, best)


def keep_best(best, figures):
    for measure, value in figures.items():
        choose = max if measure == "rate" else min
        best[measure] = choose(value, best.get(measure, value))


def show(title, best):
    yardstick = best.get(YARDSTICK, {}).get("server_us")
    rows = []
    for name, figures in best.items():
        if not figures:
            rows.append((name, ["not there"]))
            continue
        spent = figures["server_us"]
        rows.append((name, [f"{figures['rate']:.0f}", f"{spent:.2f}", f"{spent / yardstick:.2f}" if yardstick else "-",
                            f"{figures['p50_us']:.0f}", f"{figures['p99_us']:.0f}"]))
    table.show(title, ["requests/s", "server us", "/ raw epoll", "p50 us", "p99 us"], rows)
    print()


# ---- --count

def counted(folder, server, wrapper, rounds):
    """Runs a server inside another program, for so many rounds; None where there is no such server."""
    clients, size, mode = COUNTED
    processor = min(os.sched_getaffinity(0))
    with server.running(mode, processor, wrapper) as started:
        if started is None:
            return None
        _, port = started
        return load(folder, processor, port, clients, size, "rounds", rounds)["requests"]


def calls(folder, server, rounds):
    """{system call: how often} and the number of requests."""
    with tempfile.NamedTemporaryFile("r") as report:
        requests = counted(folder, server, ["strace", "-f", "-c", "-o", report.name], rounds)
        rows = [line.split() for line in report.read().splitlines()]
    # % time, seconds, usecs/call, calls, sometimes errors, name
    rows = [row for row in rows if len(row) in (5, 6) and row[3].isdigit() and row[-1] != "total"]
    return requests, {row[-1]: int(row[3]) for row in rows}


def calls_per_request(folder, server):
    few, before = calls(folder, server, 50)
    if few is None:
        return None
    many, after = calls(folder, server, 250)
    per_request = {name: (count - before.get(name, 0)) / (many - few) for name, count in after.items()}
    return {name: value for name, value in per_request.items() if value >= 0.005}


def instructions(folder, server, rounds):
    with tempfile.NamedTemporaryFile("r") as report:
        requests = counted(folder, server, ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                                            f"--log-file={report.name}"], rounds)
        found = re.search(r"Collected : (\d+)", report.read())
    return requests, int(found[1]) if found else None


def instructions_per_request(folder, server):
    if server.backend == "io_uring":
        return None  # valgrind does not know its calls
    few, before = instructions(folder, server, 200)
    many, after = instructions(folder, server, 1200)
    return (after - before) / (many - few)


def count(folder, all_servers):
    for needed in ("strace", "valgrind"):
        if shutil.which(needed) is None:
            raise SystemExit(f"--count needs {needed}: ./dev install-deps bench")
    clients, size, _ = COUNTED
    rows = []
    for server in all_servers:
        if not server.compiled:
            continue
        seen = calls_per_request(folder, server)
        if seen is None:
            rows.append((server.name, ["not there"]))
            continue
        spent = instructions_per_request(folder, server)
        which = ", ".join(f"{name} {value:.2f}" for name, value in sorted(seen.items(), key=lambda item: -item[1]))
        rows.append((server.name, ["-" if spent is None else f"{spent:.0f}", f"{sum(seen.values()):.2f}", which]))
    corner = f"{clients} clients in lock-step, {size} B; per request"
    table.show(corner, ["instructions", "system calls", "which"], rows)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("folder", type=Path)
    words.add_argument("--repetitions", type=int, default=3)
    words.add_argument("--seconds", type=float, default=0.6, help="length of one run")
    words.add_argument("--only", nargs="+", metavar="WORD", help="servers whose names contain one of them")
    words.add_argument("--count", action="store_true", help="count system calls and instructions instead")
    given = words.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    chosen = [server for server in servers(given.folder.resolve())
              if not given.only or any(word in server.name for word in given.only)]
    if given.count:
        count(given.folder.resolve(), chosen)
    else:
        measure(given.folder.resolve(), chosen, given.repetitions, given.seconds)


main()
