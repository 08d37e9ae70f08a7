#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""port_scanner against listeners of ours.

    port_scanner_test.py FOLDER_OF_THE_PROGRAMS
"""
import socket
import subprocess
import threading
import unittest

import programs

LOCAL = "127.0.0.1"
# For whole ranges: nobody else listens here, so no server of a test beside this one is knocked at.
ALONE = "127.45.67.89"


def scan(port, *arguments):
    return programs.run("port_scanner", "--range", str(port), *arguments, LOCAL)


class PortScanner(unittest.TestCase):
    def test_an_open_port_is_named_with_what_it_says(self):
        with socket.create_server((LOCAL, 0)) as listener:
            port = listener.getsockname()[1]

            def greet():
                with listener.accept()[0] as connection:
                    connection.sendall(b"220 hello\r\n")

            greeter = threading.Thread(target=greet)
            greeter.start()
            result = scan(port)
            greeter.join()
            self.assertEqual(result, (0, f"{port} open: 220 hello\n{LOCAL}: 1 open, 0 closed, 0 silent\n", ""))

    def test_one_that_says_nothing_is_open_too(self):
        with socket.create_server((LOCAL, 0)) as listener:
            port = listener.getsockname()[1]
            self.assertEqual(scan(port), (0, f"{port} open\n{LOCAL}: 1 open, 0 closed, 0 silent\n", ""))

    def test_a_port_that_refuses_is_closed(self):
        with socket.socket() as bound:  # and does not listen
            bound.bind((LOCAL, 0))
            self.assertEqual(scan(bound.getsockname()[1]), (0, f"{LOCAL}: 0 open, 1 closed, 0 silent\n", ""))

    def test_a_port_that_does_not_answer_is_silent(self):
        with socket.socket() as listener:
            listener.bind((LOCAL, 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            waiting = [socket.socket() for _ in range(8)]  # the queue of connections is full: no answer to another
            for one in waiting:
                one.setblocking(False)
                one.connect_ex((LOCAL, port))
            self.assertEqual(scan(port, "--timeout", "0.2"), (0, f"{LOCAL}: 0 open, 0 closed, 1 silent\n", ""))
            for one in waiting:
                one.close()

    def test_every_port_of_a_range_is_tried_and_no_more_at_a_time_than_allowed(self):
        with socket.create_server((ALONE, 0)) as listener:
            port = listener.getsockname()[1]
            first, last = max(1, port - 1000), min(65535, port + 1000)
            command = f"ulimit -n 40; exec {programs.path('port_scanner')} --range {first}-{last} --limit 20 {ALONE}"
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=programs.PATIENCE)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(f"{port} open\n", done.stdout)
            opened, closed, silent = (int(word) for word in done.stdout.splitlines()[-1].split() if word.isdigit())
            self.assertEqual((opened + closed, silent), (last - first + 1, 0))

    @unittest.skipIf(programs.SANITIZED, "without descriptors a sanitizer finds errors where there are none")
    def test_too_many_at_once_for_this_machine_is_an_error_and_no_closed_port(self):
        command = f"ulimit -n 30; exec {programs.path('port_scanner')} --range 1-2000 --limit 1000 --timeout 5 192.0.2.1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=programs.PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (6, ""))
        self.assertRegex(done.stderr, r"^port_scanner: .*(Too many open files|Network is unreachable)\n$")

    def test_mistakes_are_one_line(self):
        for text in ("", "0", "5-", "-5", "7-5", "1-65536", "1-2-3", "x"):
            status, output, errors = programs.run("port_scanner", "--range", text, LOCAL)
            self.assertEqual((status, output, errors),
                             (2, "", f"port_scanner: --range: '{text}' is not A-B, from 1 to 65535\n"))
        self.assertEqual(programs.run("port_scanner"), (2, "", "port_scanner: one host is needed\n"))
        status, output, errors = programs.run("port_scanner", "--range", "1", "host.invalid")
        self.assertEqual((status, output), (6, ""))
        self.assertRegex(errors, r"^port_scanner: cannot resolve 'host\.invalid': [^\n]+\n$")


if __name__ == "__main__":
    programs.main()
