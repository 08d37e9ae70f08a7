#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""multicore_server: one port, many loops.

    multicore_server_test.py FOLDER_OF_THE_PROGRAMS
"""
import re
import signal
import socket
import unittest

import programs


def end(server):
    """What each thread has served, in their order; the server ends."""
    server.process.send_signal(signal.SIGTERM)
    server.expect_exit(0)
    served = []
    while (line := server.lines.get(timeout=programs.PATIENCE)) is not None:
        thread, connections = re.fullmatch(r"thread (\d+): (\d+) connections", line).groups()
        assert int(thread) == len(served)
        served.append(int(connections))
    return served


class MulticoreServer(unittest.TestCase):
    def test_all_connections_are_echoed_and_each_is_served_by_one_thread(self):
        with programs.Server("multicore_server", "--threads", "4") as server:
            for _ in range(2):
                status, output, errors = programs.run("echo_client", "--port", str(server.port), "--connections", "200",
                                                      "--count", "5", "--size", "3000")
                self.assertEqual((status, errors), (0, ""), output)
            served = end(server)
            self.assertEqual((len(served), sum(served)), (4, 400))
            self.assertGreaterEqual(min(served), 1, "the kernel spreads 400 connections over 4 sockets")

    def test_open_connections_may_end_when_it_is_told_to(self):
        with programs.Server("multicore_server", "--threads", "2") as server, server.connect() as connection:
            connection.sendall(b"before")
            self.assertEqual(programs.read_exactly(connection, 6), b"before")
            server.process.send_signal(signal.SIGTERM)
            programs.eventually(lambda: refuses(server.port), "it takes no new connections")
            connection.sendall(b"after")
            self.assertEqual(programs.read_exactly(connection, 5), b"after")
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(programs.read_all(connection), b"")
            server.expect_exit(0)

    def test_a_port_that_somebody_has_is_one_line(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            status, output, errors = programs.run("multicore_server", "--port", str(port), "--threads", "3")
            self.assertEqual((status, output, errors),
                             (6, "", f"multicore_server: cannot bind to 127.0.0.1:{port}: Address already in use\n"))

    def test_an_interrupt_ends_it_at_once(self):
        with programs.Server("multicore_server", "--threads", "3") as server, server.connect() as connection:
            connection.sendall(b"x")
            self.assertEqual(connection.recv(1), b"x")
            server.process.send_signal(signal.SIGINT)
            server.expect_exit(130)


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), programs.PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


if __name__ == "__main__":
    programs.main()
