# SPDX-License-Identifier: BSL-1.0
"""Starts the example programs for the tests of this folder, speaks with them, and leaves none behind."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

# How long a test waits for what must happen: long, since a sanitizer build on a busy machine is slow.
PATIENCE = 30.0
# How much more memory a program takes than one that is not sanitized: ThreadSanitizer shadows every byte it touches.
MEMORY_FACTOR = int(os.environ.get("ASYNCIO_TEST_MEMORY_FACTOR", "1"))
# A sanitizer has needs of its own: UBSan makes a pipe to find out whether it may read some memory.
SANITIZED = "ASYNCIO_TEST_SANITIZED" in os.environ

STATS = re.compile(r"STATS conns=(\d+) tasks=(\d+) fds=(\d+) inflight=(\d+) rss_kb=(\d+)")


def main():
    """Runs the tests of the calling file: FILE FOLDER_OF_THE_PROGRAMS [ARGUMENT...]."""
    if len(sys.argv) < 2 or not os.path.isdir(sys.argv[1]):
        sys.exit(f"usage: {sys.argv[0]} FOLDER_OF_THE_PROGRAMS [ARGUMENT...]")
    unittest.main(argv=sys.argv[:1], verbosity=2)


def path(name):
    return os.path.join(os.path.abspath(sys.argv[1]), name)


def run(name, *arguments, stdin=None, timeout=PATIENCE):
    """Runs a program to its end: exit status, stdout, stderr."""
    done = subprocess.run([path(name), *arguments], input=stdin, capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def eventually(check, what, timeout=PATIENCE):
    """Asks until check() is true."""
    end = time.monotonic() + timeout
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


def catches(pid, number):
    """Has this process a handler for that signal? False, too, when it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            mask = next((line for line in status if line.startswith("SigCgt:")), "SigCgt: 0")
    except OSError:
        return False
    return int(mask.split()[1], 16) >> (number - 1) & 1 == 1


class Server:
    """A running server: `with Server("echo_server") as server`. At the end of the block it must obey SIGTERM, exit
    with 0 and have written nothing on stderr; if the block fails, it is killed. `unix`: the path it listens on, instead
    of a port."""

    def __init__(self, name, *arguments, unix=None):
        self.unix = unix
        if unix is not None:
            arguments = [*arguments, "--unix", unix]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([path(name), *arguments], stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.lines = queue.Queue()
        self.output = threading.Thread(target=self._read_output, daemon=True)
        self.output.start()
        try:
            first = self.line()
            match = re.fullmatch(r"LISTENING ([1-9]\d*)" if unix is None else f"LISTENING {re.escape(unix)}", first)
            if not match:
                raise AssertionError(f"the first line of {name} is {first!r}")
        except BaseException:
            self.kill()
            self.errors.close()
            raise
        self.port = int(match[1]) if unix is None else None

    def _read_output(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self.expect_exit(0)
        finally:
            self.kill()
            said = self.stderr()
            self.errors.close()
        if kind is None and said:
            raise AssertionError(f"on the server's stderr: {said}")
        if said:
            sys.stderr.write(said)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.output.join()
        self.process.stdout.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def expect_exit(self, status, timeout=PATIENCE):
        got = self.process.wait(timeout)
        if got != status:
            raise AssertionError(f"exit status {got}, not {status}: {self.stderr()}")

    def line(self, timeout=PATIENCE):
        """The next line of its output."""
        line = self.lines.get(timeout=timeout)
        if line is None:
            raise AssertionError(f"the server ended: {self.stderr()}")
        return line

    def stats(self):
        """What SIGUSR1 makes it print: conns, tasks, fds, inflight, rss_kb."""
        self.process.send_signal(signal.SIGUSR1)
        line = self.line()
        match = STATS.fullmatch(line)
        if not match:
            raise AssertionError(f"not a line of statistics: {line!r}")
        return dict(zip(("conns", "tasks", "fds", "inflight", "rss_kb"), map(int, match.groups())))

    def expect_idle(self, before):
        """Every connection is gone and every descriptor of theirs is closed, as it was `before`."""
        seen = {}

        def idle():
            seen.update(self.stats())
            return all(seen[key] == before[key] for key in ("conns", "tasks", "fds"))

        try:
            eventually(idle, "the server is as idle as before")
        except AssertionError:
            raise AssertionError(f"before: {before}, now: {seen}") from None

    def connect(self):
        if self.unix is None:
            return socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self.unix)
        return connection


def read_all(connection):
    """What comes until the peer's end of stream."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def read_exactly(connection, size):
    parts = []
    while size > 0:
        part = connection.recv(min(size, 1 << 16))
        if not part:
            raise AssertionError(f"end of stream, {size} bytes missing")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def reset(connection):
    """Closes it with a RST instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
