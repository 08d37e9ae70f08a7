# SPDX-License-Identifier: BSL-1.0
"""echo_server to strangers, and echo_client to strange servers."""

import random
import shutil
import socket
import subprocess
import threading
import time
import unittest

import programs

LOCAL = "127.0.0.1"


def send_in_background(connection, data):
    def send():
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


class StrangeServer:
    """Serves one connection by behave(connection), in a thread."""

    def __init__(self, behave):
        self.listener = socket.create_server((LOCAL, 0))
        self.listener.settimeout(programs.PATIENCE)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, args=(behave,), daemon=True)

    def serve(self, behave):
        try:
            connection = self.listener.accept()[0]
        except OSError:
            return  # nobody came
        with connection:
            connection.settimeout(programs.PATIENCE)
            behave(connection)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(programs.PATIENCE)
        self.listener.close()


class EchoServer(unittest.TestCase):
    def test_messages_of_every_size_come_back_unchanged(self):
        with programs.Server("echo_server") as server, server.connect() as connection:
            for size in (1, 2, 100, 4095, 4096, 65535, 65536, 65537, 1 << 20):
                data = random.Random(size).randbytes(size)
                sender = threading.Thread(target=connection.sendall, args=(data,), daemon=True)
                sender.start()
                self.assertEqual(programs.read_exactly(connection, size), data)
                sender.join()

    def test_what_arrives_before_the_end_of_the_stream_is_echoed_then_the_connection_is_closed(self):
        with programs.Server("echo_server") as server:
            before = server.stats()
            for size in (0, 1, 1 << 20):
                with server.connect() as connection:
                    data = random.Random(size).randbytes(size)
                    sender = send_in_background(connection, data)
                    self.assertEqual(programs.read_all(connection), data)
                    sender.join()
            server.expect_idle(before)

    def test_a_peer_that_sends_all_before_it_reads_gets_all(self):
        data = random.Random(1).randbytes(1 << 20)
        with programs.Server("echo_server") as server, server.connect() as connection:
            sender = send_in_background(connection, data)
            time.sleep(0.3)  # the server's way to us fills up meanwhile
            self.assertEqual(programs.read_all(connection), data)
            sender.join()

    def test_two_hundred_at_once_get_their_own_bytes_and_leave_nothing_behind(self):
        with programs.Server("echo_server") as server:
            before = server.stats()
            connections = [server.connect() for _ in range(200)]
            try:
                messages = [random.Random(i).randbytes(1 + i * 50) for i in range(200)]
                for connection, message in zip(connections, messages):
                    connection.sendall(message)
                for connection, message in zip(connections, messages):
                    self.assertEqual(programs.read_exactly(connection, len(message)), message)
                now = server.stats()
                self.assertEqual(now["conns"], 200)
                self.assertEqual(now["fds"], before["fds"] + 200)
            finally:
                for connection in connections:
                    connection.close()
            server.expect_idle(before)

    def test_peers_that_reset_cost_nothing_and_disturb_nobody(self):
        with programs.Server("echo_server") as server:
            before = server.stats()
            with server.connect() as witness:
                for i in range(100):
                    connection = server.connect()
                    if i % 3:  # so that the server is in the middle of sending
                        connection.sendall(bytes(100_000))
                    if i % 3 == 2:
                        connection.recv(1)
                    programs.reset(connection)
                witness.sendall(b"still here")
                self.assertEqual(programs.read_exactly(witness, 10), b"still here")
            server.expect_idle(before)

    def test_a_silent_connection_is_closed_after_the_idle_timeout_and_a_speaking_one_stays(self):
        with programs.Server("echo_server", "--idle-timeout", "1") as server:
            before = server.stats()
            with server.connect() as silent, server.connect() as speaking:
                started = time.monotonic()
                silent.settimeout(0.25)
                while True:
                    speaking.sendall(b"x")
                    self.assertEqual(speaking.recv(1), b"x")
                    try:
                        self.assertEqual(silent.recv(1), b"")
                        break
                    except TimeoutError:
                        self.assertLess(time.monotonic() - started, programs.PATIENCE)
                self.assertGreater(time.monotonic() - started, 0.9)
                speaking.sendall(b"y")
                self.assertEqual(speaking.recv(1), b"y")
            server.expect_idle(before)

    def test_a_peer_that_never_reads_is_cut_off_after_the_idle_timeout(self):
        with programs.Server("echo_server", "--idle-timeout", "0.5") as server:
            before = server.stats()
            with server.connect() as connection:
                with self.assertRaises(OSError):
                    while True:
                        connection.sendall(bytes(1 << 20))
                server.expect_idle(before)

    def test_no_more_than_max_conns_are_served_at_a_time(self):
        with programs.Server("echo_server", "--max-conns", "2") as server:
            before = server.stats()
            first, second = server.connect(), server.connect()
            for connection in (first, second):
                connection.sendall(b"x")
                self.assertEqual(connection.recv(1), b"x")
            third = server.connect()
            third.sendall(b"x")
            third.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                third.recv(1)
            self.assertEqual(server.stats()["conns"], 2)
            first.close()
            third.settimeout(programs.PATIENCE)
            self.assertEqual(third.recv(1), b"x")
            second.close()
            third.close()
            server.expect_idle(before)

    def test_strangers_programs_can_talk_to_it(self):
        strangers = {"bash": ["bash", "-c", 'exec 3<>"/dev/tcp/$0/$1"; cat >&3; head -c 12 <&3']}
        if shutil.which("nc"):
            strangers["nc"] = ["nc", "-q", "1"]
        if shutil.which("socat"):
            strangers["socat"] = ["socat", "-t", str(programs.PATIENCE), "-"]
        with programs.Server("echo_server") as server:
            before = server.stats()
            for name, command in strangers.items():
                target = [f"TCP:{LOCAL}:{server.port}"] if name == "socat" else [LOCAL, str(server.port)]
                with self.subTest(name):
                    done = subprocess.run(command + target, input=b"good morning", stdout=subprocess.PIPE,
                                          timeout=programs.PATIENCE)
                    self.assertEqual(done.stdout, b"good morning")
            server.expect_idle(before)

    def test_it_listens_on_the_host_and_the_port_it_is_given(self):
        with programs.Server("echo_server", "--host", "127.0.0.2") as server:
            with socket.create_connection(("127.0.0.2", server.port), programs.PATIENCE) as connection:
                connection.sendall(b"x")
                self.assertEqual(connection.recv(1), b"x")
            with self.assertRaises(ConnectionRefusedError):
                server.connect()
            port = server.port
        with programs.Server("echo_server", "--host=127.0.0.2", f"--port={port}") as server:
            self.assertEqual(server.port, port)

    def test_a_port_that_is_taken_is_one_line_on_stderr(self):
        with programs.Server("echo_server") as server:
            status, output, errors = programs.run("echo_server", "--port", str(server.port))
        self.assertEqual((status, output), (6, ""))
        self.assertRegex(errors, r"\Aecho_server: .*in use.*\n\Z")


class EchoClient(unittest.TestCase):
    def expect(self, status, arguments, output=r"\A\Z", errors=r"\A\Z"):
        got, said, complained = programs.run("echo_client", *arguments)
        self.assertEqual(got, status, complained)
        self.assertRegex(said, output)
        self.assertRegex(complained, errors)

    def test_all_that_comes_back_is_checked_and_counted(self):
        with programs.Server("echo_server") as server:
            before = server.stats()
            port = ["--port", str(server.port)]
            self.expect(0, port, r"\AOK connections=1 messages=1 bytes=64 seconds=\d+\.\d{3}\n\Z")
            self.expect(0, port + ["--message", "hello"], r"\AOK connections=1 messages=1 bytes=5 seconds=")
            self.expect(0, port + ["--connections", "200", "--count", "3", "--size", "65536", "--timeout", "60"],
                        r"\AOK connections=200 messages=600 bytes=39321600 seconds=")
            self.expect(0, port + ["--size", str(10 << 20)], r"\AOK connections=1 messages=1 bytes=10485760 seconds=")
            server.expect_idle(before)

    def test_a_server_that_answers_something_else_is_exit_1(self):
        def lie(connection):
            data = bytearray(programs.read_exactly(connection, 5))
            data[4] ^= 1
            connection.sendall(data)

        with StrangeServer(lie) as server:
            self.expect(1, ["--port", str(server.port), "--message", "hello"], errors=r"\Aecho_client: .*changed\n\Z")

    def test_a_server_that_answers_more_is_exit_1(self):
        def stutter(connection):
            connection.sendall(programs.read_exactly(connection, 5) * 2)

        with StrangeServer(stutter) as server:
            self.expect(1, ["--port", str(server.port), "--message", "hello"], errors=r"\Aecho_client: more .*\n\Z")

    def test_an_answer_that_is_cut_off_is_exit_4(self):
        def cut(connection):
            connection.sendall(programs.read_exactly(connection, 5)[:3])

        with StrangeServer(cut) as server:
            self.expect(4, ["--port", str(server.port), "--message", "hello"], errors=r"\Aecho_client: .+\n\Z")

    def test_a_server_that_never_answers_is_exit_5(self):
        with StrangeServer(lambda connection: programs.read_all(connection)) as server:
            started = time.monotonic()
            self.expect(5, ["--port", str(server.port), "--timeout", "0.5"], errors=r"\Aecho_client: timed out\n\Z")
            self.assertGreater(time.monotonic() - started, 0.4)

    def test_connection_errors_are_exit_6(self):
        with socket.create_server((LOCAL, 0)) as listener:
            free = listener.getsockname()[1]
        self.expect(6, ["--port", str(free)], errors=r"\Aecho_client: .+\n\Z")
        self.expect(6, ["--host", "no-such-host.invalid", "--port", "1"], errors=r"\Aecho_client: .+\n\Z")
        with StrangeServer(programs.reset) as server:
            self.expect(6, ["--port", str(server.port)], errors=r"\Aecho_client: .+\n\Z")


if __name__ == "__main__":
    programs.main()
