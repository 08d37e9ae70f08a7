# SPDX-License-Identifier: BSL-1.0
"""Thousands of open connections to echo_server: each echoes, then all close, and the server is as it was.

usage: many_connections_test.py FOLDER_OF_THE_PROGRAMS CONNECTIONS"""

import resource
import sys
import time
import unittest

import programs

CONNECTIONS = int(sys.argv[2])
SPARE = 200
LIMIT = 60.0


class ManyConnections(unittest.TestCase):
    def test_each_of_them_echoes_and_none_is_left(self):
        need = CONNECTIONS + SPARE
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < need:
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, need))
        elif soft < need:
            resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))

        started = time.monotonic()
        with programs.Server("echo_server") as server:
            before = server.stats()
            connections = []
            try:
                for _ in range(CONNECTIONS):
                    connections.append(server.connect())
                programs.eventually(lambda: server.stats()["conns"] == CONNECTIONS, "all are accepted")
                opened = time.monotonic()
                full = server.stats()
                self.assertEqual(full["fds"], before["fds"] + CONNECTIONS)
                for i, connection in enumerate(connections):
                    connection.sendall(b"connection %8d" % i)
                for i, connection in enumerate(connections):
                    self.assertEqual(programs.read_exactly(connection, 19), b"connection %8d" % i)
                echoed = time.monotonic()
            finally:
                for connection in connections:
                    connection.close()
            server.expect_idle(before)
            closed = time.monotonic()
        memory = (full["rss_kb"] - before["rss_kb"]) / CONNECTIONS
        print(f"opened in {opened - started:.2f} s, echoed in {echoed - opened:.2f} s, "
              f"closed in {closed - echoed:.2f} s, {memory:.2f} KiB each ... ", end="", file=sys.stderr)
        self.assertLess(closed - started, LIMIT)


if __name__ == "__main__":
    programs.main()
