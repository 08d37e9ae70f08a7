# SPDX-License-Identifier: BSL-1.0
"""echo_server while the kernel fails its system calls: nothing hangs, nothing leaks, and it goes on serving."""

import os
import signal
import socket
import subprocess
import tempfile
import unittest

import programs

# Of each call: what it fails with, and of which of them ("2+5": the second, and every fifth after it).
EVERYWHERE = {
    "accept4": [("EINTR", "1+2"), ("EAGAIN", "2+3"), ("ECONNABORTED", "1+2"), ("EPERM", "2+4"),
                ("EMFILE", "2..3"), ("ENFILE", "3..3"), ("ENOMEM", "2..2"), ("ENOBUFS", "4..4")],
    "setsockopt": [("EINVAL", "4+2")],
}
EPOLL = {
    "recvfrom": [("EINTR", "1+2"), ("EAGAIN", "2+3"), ("ENOMEM", "5+7"), ("ECONNRESET", "4+9")],
    "sendto": [("EINTR", "1+2"), ("EAGAIN", "2+3"), ("ENOMEM", "5+7"), ("EPIPE", "6+9")],
    "epoll_pwait2": [("EINTR", "1+2"), ("EAGAIN", "3+4"), ("ENOMEM", "4+4"), ("ENOSYS", "1+1")],
    "epoll_ctl": [("ENOMEM", "4+4"), ("ENOSPC", "5+6")],
}
IO_URING = {
    "io_uring_setup": [("EPERM", "1"), ("ENOSYS", "1"), ("ENOMEM", "1"), ("EMFILE", "1")],
    "io_uring_register": [("EINVAL", "1"), ("EINVAL", "2")],
    "io_uring_enter": [("EINTR", "3+4"), ("EAGAIN", "2+3"), ("EBUSY", "2+5"), ("ENOMEM", "4+6")],
}
# After these a connection may be lost, but no other, and not the server.
LOSING = {"ENOMEM", "ECONNRESET", "EPIPE", "EINVAL", "ENOSPC"}


class Injected:
    """echo_server under strace, which makes the calls fail."""

    def __init__(self, call, error, when):
        self.errors = tempfile.TemporaryFile()
        command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}",
                   programs.path("echo_server")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True, start_new_session=True)

    def __enter__(self):
        first = self.process.stdout.readline()
        self.port = int(first.split()[1]) if first.startswith("LISTENING ") else None
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as children:
            self.server = int(children.read().split()[0]) if self.port else None
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.server}/fd"))

    def end(self):
        os.kill(self.server, signal.SIGTERM)
        return self.process.wait(programs.PATIENCE)


def converse(port):
    """Five messages there and back, and the end. Whether all went well; a hang is an error."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=programs.PATIENCE) as connection:
            for size in (1, 100, 5000, 70_000, 3):
                message = os.urandom(size)
                connection.sendall(message)
                back = b""
                while len(back) < size:
                    piece = connection.recv(1 << 16)
                    if not piece:
                        return False
                    back += piece
                if back != message:
                    raise AssertionError("other bytes came back")
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return False


class FaultsTest(unittest.TestCase):
    def test_a_server_whose_calls_fail_serves_on_and_leaks_nothing(self):
        ring = os.environ.get("ASYNCIO_BACKEND") == "io_uring"
        for call, faults in (EVERYWHERE | (IO_URING if ring else EPOLL)).items():
            for error, when in faults:
                with self.subTest(call=call, error=error, when=when), Injected(call, error, when) as server:
                    self.assertIsNotNone(server.port, server.said())
                    before = server.open_descriptors()
                    answers = [converse(server.port) for _ in range(6)]
                    self.assertIn(True, answers)
                    if error not in LOSING:
                        self.assertEqual(answers, [True] * 6)
                    programs.eventually(lambda: server.open_descriptors() == before, "its descriptors are as before")
                    self.assertEqual(server.end(), 0, server.said())

    def test_one_that_cannot_begin_says_why(self):
        for call, error, words in (("epoll_create1", "EMFILE", "Too many open files"), ("eventfd2", "ENFILE", "Too many open files"),
                                   ("socket", "EACCES", "Permission denied"), ("bind", "EADDRINUSE", "Address already in use"),
                                   ("listen", "ENOBUFS", "No buffer space available")):
            with self.subTest(call=call), Injected(call, error, "1+1") as server:
                self.assertIsNone(server.port)
                self.assertNotEqual(server.process.wait(programs.PATIENCE), 0)
                self.assertIn(words, server.said())
                self.assertEqual(server.said().count("\n"), 1)


if __name__ == "__main__":
    programs.main()
