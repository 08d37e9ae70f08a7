# SPDX-License-Identifier: BSL-1.0
"""The example servers on a Unix socket, and echo_client as their client."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import programs

SERVERS = ("echo_server", "chat_server", "file_server")


class Unix(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="unix-test-"))
        self.path = os.path.join(self.folder, "socket")

    def test_bytes_come_back_and_the_end_of_the_stream_too(self):
        data = random.Random(1).randbytes(1 << 20)
        with programs.Server("echo_server", unix=self.path) as server:
            before = server.stats()
            with server.connect() as connection:
                sender = threading.Thread(target=self.send_all, args=(connection, data), daemon=True)
                sender.start()
                self.assertEqual(programs.read_all(connection), data)
                sender.join()
            server.expect_idle(before)

    @staticmethod
    def send_all(connection, data):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    def test_echo_client_finds_it_with_many_connections(self):
        with programs.Server("echo_server", unix=self.path) as server:
            before = server.stats()
            status, output, errors = programs.run(
                "echo_client", "--unix", self.path, "--connections", "300", "--count", "3", "--size", "5000")
            self.assertEqual((status, errors), (0, ""))
            self.assertTrue(output.startswith("OK connections=300 messages=900 bytes=4500000 "), output)
            server.expect_idle(before)

    def test_no_more_than_max_conns_are_served_at_a_time_and_nobody_is_lost(self):
        with programs.Server("echo_server", "--max-conns", "2", unix=self.path):
            status, output, errors = programs.run("echo_client", "--unix", self.path, "--connections", "20")
            self.assertEqual((status, errors), (0, ""), output)

    def test_people_can_chat(self):
        with programs.Server("chat_server", unix=self.path) as server, server.connect() as ann, server.connect() as bob:
            heard = ann.makefile("rb")
            self.assertRegex(heard.readline(), rb"\* welcome, guest1: .*")
            self.assertRegex(heard.readline(), rb"\* guest2 joined lobby")
            bob.sendall(b"good morning\n")
            self.assertEqual(heard.readline(), b"guest2: good morning\n")
            heard.close()

    def test_files_are_served(self):
        with open(os.path.join(self.folder, "file.txt"), "wb") as file:
            file.write(b"hello\n")
        with programs.Server("file_server", "--root", self.folder, unix=self.path) as server:
            with server.connect() as connection:
                connection.sendall(b"GET /file.txt HTTP/1.0\r\n\r\n")
                answer = programs.read_all(connection)
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nhello\n"), answer)
            if shutil.which("curl"):
                curl = ["curl", "--silent", "--show-error", "--unix-socket", self.path, "http://localhost/file.txt"]
                self.assertEqual(subprocess.check_output(curl, timeout=programs.PATIENCE), b"hello\n")

    def test_the_file_is_removed_by_sigterm_and_sigint(self):
        for program in SERVERS:
            for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
                with self.subTest(program, signal=number), programs.Server(program, unix=self.path) as server:
                    self.assertTrue(os.path.exists(self.path))
                    server.process.send_signal(number)
                    server.expect_exit(status)
                    self.assertFalse(os.path.exists(self.path))

    def test_a_server_takes_over_the_path_of_one_that_was_killed(self):
        with programs.Server("echo_server", unix=self.path) as killed:
            killed.kill()
            self.assertTrue(os.path.exists(self.path))
            refused = (6, f"echo_client: cannot connect to {self.path}: Connection refused\n")
            for _ in range(200):  # the kernel takes an io_uring down, and with it the socket, after the process has ended
                status, _, errors = programs.run("echo_client", "--unix", self.path)
                if (status, errors) == refused:
                    break
            self.assertEqual((status, errors), refused)
            with programs.Server("echo_server", unix=self.path) as server, server.connect() as connection:
                connection.sendall(b"x")
                self.assertEqual(connection.recv(1), b"x")

    def test_a_path_that_is_in_use_is_one_line_and_exit_6(self):
        with programs.Server("echo_server", unix=self.path) as server:
            for program in SERVERS:
                status, output, errors = programs.run(program, "--unix", self.path)
                self.assertEqual((status, output), (6, ""))
                self.assertEqual(errors, f"{program}: cannot bind to {self.path}: Address already in use\n")
            with server.connect() as connection:
                connection.sendall(b"x")
                self.assertEqual(connection.recv(1), b"x")

    def test_a_file_is_not_overwritten(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("precious")
        status, _, errors = programs.run("echo_server", "--unix", self.path)
        self.assertEqual((status, errors.count("\n")), (6, 1), errors)
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")


if __name__ == "__main__":
    programs.main()
