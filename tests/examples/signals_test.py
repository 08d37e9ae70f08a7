# SPDX-License-Identifier: BSL-1.0
"""What SIGTERM, SIGINT and SIGUSR1 do to a server, seen from outside."""

import signal
import socket
import time
import unittest

import programs

GRACE = 5.0
SERVERS = ("echo_server", "chat_server")
AT_ONCE = GRACE / 2


class Signals(unittest.TestCase):
    def test_sigterm_without_connections_ends_at_once(self):
        for name in SERVERS:
            with self.subTest(name), programs.Server(name) as server:
                started = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                server.expect_exit(0)
                self.assertLess(time.monotonic() - started, GRACE / 2)

    def test_sigterm_stops_accepting_and_cuts_an_idle_connection_after_five_seconds(self):
        for name in SERVERS:
            with self.subTest(name), programs.Server(name) as server, server.connect() as idle:
                idle.sendall(b"/who\n")
                self.assertTrue(idle.recv(1))
                started = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                programs.eventually(lambda: self.is_refused(server.port), "new connections are refused", GRACE / 2)
                try:
                    programs.read_all(idle)
                except ConnectionResetError:
                    pass  # cut is cut
                server.expect_exit(0)
                elapsed = time.monotonic() - started
                self.assertGreater(elapsed, GRACE - 1)
                self.assertLess(elapsed, GRACE + 2)

    def test_a_second_signal_ends_the_wait_for_clients_at_once(self):
        for name in SERVERS:
            for second, status in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
                with self.subTest(name, second=second), programs.Server(name) as server, server.connect() as idle:
                    idle.sendall(b"/who\n")
                    self.assertTrue(idle.recv(1))
                    server.process.send_signal(signal.SIGTERM)
                    programs.eventually(lambda: self.is_refused(server.port), "new connections are refused", AT_ONCE)
                    self.assertIsNone(server.process.poll())
                    started = time.monotonic()
                    server.process.send_signal(second)
                    server.expect_exit(status)
                    self.assertLess(time.monotonic() - started, AT_ONCE)

    def test_sigterm_lets_a_connection_finish(self):
        with programs.Server("echo_server") as server, server.connect() as connection:
            connection.sendall(b"first")
            self.assertEqual(programs.read_exactly(connection, 5), b"first")
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            programs.eventually(lambda: self.is_refused(server.port), "new connections are refused", GRACE / 2)
            connection.sendall(b"second")
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(programs.read_all(connection), b"second")
            server.expect_exit(0)
            self.assertLess(time.monotonic() - started, GRACE - 1)

    def test_sigint_ends_with_130_even_with_open_connections(self):
        for name in SERVERS:
            with self.subTest(name), programs.Server(name) as server, server.connect() as connection:
                connection.sendall(b"/who\n")
                self.assertTrue(connection.recv(1))
                server.process.send_signal(signal.SIGINT)
                server.expect_exit(130)

    def test_sigusr1_prints_statistics_that_follow_the_connections(self):
        for name in SERVERS:
            with self.subTest(name), programs.Server(name) as server:
                before = server.stats()
                self.assertEqual(before["conns"], 0)
                self.assertGreater(before["rss_kb"], 100)
                self.assertGreaterEqual(before["tasks"], 1)
                connections = [server.connect() for _ in range(3)]
                programs.eventually(lambda: server.stats()["conns"] == 3, "three connections are counted")
                now = server.stats()
                self.assertEqual(now["fds"], before["fds"] + 3)
                self.assertGreaterEqual(now["tasks"], before["tasks"] + 3)
                self.assertGreaterEqual(now["inflight"], before["inflight"])
                for connection in connections:
                    connection.close()
                server.expect_idle(before)

    @staticmethod
    def is_refused(port):
        try:
            socket.create_connection(("127.0.0.1", port), programs.PATIENCE).close()
            return False
        except ConnectionError:
            return True


if __name__ == "__main__":
    programs.main()
