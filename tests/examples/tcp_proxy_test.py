#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""tcp_proxy between strangers: what one side does, the other side sees.

    tcp_proxy_test.py FOLDER_OF_THE_PROGRAMS
"""
import random
import socket
import threading
import unittest

import programs

LOCAL = "127.0.0.1"


class Proxied:
    """tcp_proxy in front of a listener of ours: connect() gives both ends of a connection through it."""

    def __init__(self, *arguments):
        self.listener = socket.create_server((LOCAL, 0))
        self.listener.settimeout(programs.PATIENCE)
        target = f"{LOCAL}:{self.listener.getsockname()[1]}"
        self.server = programs.Server("tcp_proxy", "--to", target, *arguments)

    def __enter__(self):
        self.before = self.server.stats()
        return self

    def __exit__(self, kind, error, trace):
        self.listener.close()
        if kind is None:
            self.server.expect_idle(self.before)
        self.server.__exit__(kind, error, trace)

    def connect(self):
        near = self.server.connect()
        far = self.listener.accept()[0]
        far.settimeout(programs.PATIENCE)
        return near, far


class TcpProxy(unittest.TestCase):
    def test_bytes_go_both_ways_at_once_whole_and_in_order(self):
        there, back = (random.Random(seed).randbytes(8_000_000) for seed in (1, 2))
        with Proxied() as proxied:
            near, far = proxied.connect()
            with near, far:
                senders = [threading.Thread(target=end.sendall, args=(data,)) for end, data in ((near, there), (far, back))]
                got = {}
                readers = [threading.Thread(target=lambda name, end, n: got.update({name: programs.read_exactly(end, n)}),
                                            args=arguments)
                           for arguments in (("far", far, len(there)), ("near", near, len(back)))]
                for thread in senders + readers:
                    thread.start()
                for thread in senders + readers:
                    thread.join()
                self.assertTrue(got["far"] == there and got["near"] == back)

    def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on(self):
        with Proxied() as proxied:
            near, far = proxied.connect()
            with near, far:
                near.sendall(b"question")
                near.shutdown(socket.SHUT_WR)
                self.assertEqual(programs.read_all(far), b"question")
                far.sendall(b"answer")
                far.close()
                self.assertEqual(programs.read_all(near), b"answer")

    def test_a_reset_is_heard_on_the_other_side_as_a_reset(self):
        for breaking in (0, 1):
            with self.subTest("near" if breaking == 0 else "far"), Proxied() as proxied:
                ends = proxied.connect()
                ends[breaking].sendall(b"half a mess")
                self.assertEqual(ends[1 - breaking].recv(100), b"half a mess")
                programs.reset(ends[breaking])
                with ends[1 - breaking] as other, self.assertRaises(ConnectionResetError):
                    other.recv(100)

    def test_who_does_not_read_is_not_sent_to(self):
        with Proxied() as proxied:
            near, far = proxied.connect()
            with near, far:
                near.settimeout(0.5)
                sent = 0
                with self.assertRaises(TimeoutError):
                    while True:
                        sent += near.send(bytes(65536))
                        self.assertLess(sent, 100_000_000, "the proxy takes whatever it is sent")
                other_near, other_far = proxied.connect()  # and nobody else has to wait for that
                with other_near, other_far:
                    other_near.sendall(b"hello")
                    self.assertEqual(programs.read_exactly(other_far, 5), b"hello")
                near.shutdown(socket.SHUT_WR)
                self.assertEqual(len(programs.read_all(far)), sent)

    def test_two_that_are_silent_for_too_long_are_cut_off_and_one_that_moves_is_enough(self):
        with Proxied("--idle-timeout", "0.5") as proxied:
            near, far = proxied.connect()
            with near, far:
                for _ in range(8):
                    self.assertFalse(select_readable(near, 0.1))
                    far.sendall(b".")
                    self.assertEqual(near.recv(1), b".")
                with self.assertRaises(ConnectionResetError):
                    near.recv(1)
                with self.assertRaises(ConnectionResetError):
                    far.recv(1)

    def test_a_server_that_is_not_there_is_named_and_the_client_cut_off(self):
        with socket.create_server((LOCAL, 0)) as nobody:
            port = nobody.getsockname()[1]
        with self.assertRaisesRegex(AssertionError, f"tcp_proxy: cannot connect to {LOCAL}:{port}: Connection refused"):
            with programs.Server("tcp_proxy", "--to", f"{LOCAL}:{port}") as server:
                with self.assertRaises(ConnectionResetError), server.connect() as client:
                    client.recv(1)

    def test_proxies_can_stand_in_a_row(self):
        data = random.Random(3).randbytes(1_000_000)
        with programs.Server("echo_server") as echo, \
                programs.Server("tcp_proxy", "--to", f"{LOCAL}:{echo.port}") as inner, \
                programs.Server("tcp_proxy", "--to", f"localhost:{inner.port}") as outer, outer.connect() as client:
            sender = threading.Thread(target=client.sendall, args=(data,))
            sender.start()
            self.assertTrue(programs.read_exactly(client, len(data)) == data)
            sender.join()

    def test_a_target_that_is_none_is_one_line(self):
        for target in ("", "x", ":80", "host:", "host:x", "host:0", "host:65536", "host:80x"):
            status, output, errors = programs.run("tcp_proxy", "--to", target)
            self.assertEqual((status, output, errors), (2, "", f"tcp_proxy: --to: '{target}' is not HOST:PORT\n"))
        status, output, errors = programs.run("tcp_proxy")
        self.assertEqual((status, output, errors), (2, "", "tcp_proxy: --to is needed\n"))


def select_readable(connection, seconds):
    connection.settimeout(seconds)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except TimeoutError:
        return False
    finally:
        connection.settimeout(programs.PATIENCE)


if __name__ == "__main__":
    programs.main()
