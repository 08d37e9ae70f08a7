# SPDX-License-Identifier: BSL-1.0
"""Connections that come and go, by thousands and in every way a peer can end: after each round echo_server is as it was, and
rounds do not make it grow.

usage: churn_test.py FOLDER_OF_THE_PROGRAMS CONNECTIONS SECONDS"""

import random
import resource
import socket
import sys
import time
import unittest

import programs

CONNECTIONS, SECONDS = int(sys.argv[2]), float(sys.argv[3])
RUDE = 100
LEAST_ROUNDS = 4  # the first ones take the memory that all need
GROWTH_KB = 4096


def vanish(connection):
    """Asks for an echo and never reads it: closing with bytes unread is a reset."""
    connection.sendall(bytes(3000))
    connection.recv(1)
    connection.close()


def half_close(connection):
    connection.sendall(b"x" * 1000)
    connection.shutdown(socket.SHUT_WR)
    assert len(programs.read_all(connection)) == 1000
    connection.close()


ENDS = (socket.socket.close, programs.reset, vanish, half_close)


class Churn(unittest.TestCase):
    def one_round(self, server, numbers):
        rude = [server.connect() for _ in range(RUDE)]
        status, output, errors = programs.run("echo_client", "--port", str(server.port), "--connections", str(CONNECTIONS),
                                              "--size", "100", timeout=300)
        self.assertEqual((status, errors), (0, ""), output)
        for connection in rude:
            numbers.choice(ENDS)(connection)

    def test_the_server_is_as_it_was_after_every_round(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        numbers = random.Random(1)
        with programs.Server("echo_server") as server:
            before = server.stats()
            memory = []
            end = time.monotonic() + SECONDS
            while len(memory) < LEAST_ROUNDS or time.monotonic() < end:
                self.one_round(server, numbers)
                server.expect_idle(before)
                memory.append(server.stats()["rss_kb"])
        print(f"{len(memory)} rounds, {len(memory) * (CONNECTIONS + RUDE)} connections, "
              f"{memory[0]} KiB after the first, {memory[-1]} after the last ... ", end="", file=sys.stderr)
        if not programs.SANITIZED:  # those keep what was freed, to see who uses it
            self.assertLess(memory[-1], memory[LEAST_ROUNDS // 2] + GROWTH_KB, memory)


if __name__ == "__main__":
    programs.main()
