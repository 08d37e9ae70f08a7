#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""http_hello as strangers see it: http.client, curl, and bytes by hand.

    http_hello_test.py FOLDER_OF_THE_PROGRAMS
"""
import http.client
import socket
import subprocess
import unittest

import programs

GREETING = b"Hello, world!\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def answers(text):
    """[(status, headers, body)] of a stream of answers, none of them to HEAD."""
    found = []
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        size = int(headers["Content-Length"])
        found.append((int(first.split()[1]), headers, text[:size]))
        text = text[size:]
    return found


def ask(server, data, end=True):
    with server.connect() as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return answers(programs.read_all(connection))


class HttpHello(unittest.TestCase):
    def test_it_greets_and_keeps_the_connection(self):
        with programs.Server("http_hello") as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=programs.PATIENCE)
            for path in ("/", "/anything?at=all"):
                connection.request("GET", path)
                with connection.getresponse() as response:
                    self.assertEqual((response.status, response.read()), (200, GREETING))
            connection.request("HEAD", "/")
            with connection.getresponse() as response:
                self.assertEqual((response.status, response.getheader("Content-Length")), (200, str(len(GREETING))))
            self.assertEqual(server.stats()["conns"], 1)
            connection.close()

    def test_curl_is_greeted_over_one_connection(self):
        with programs.Server("http_hello") as server:
            url = f"http://127.0.0.1:{server.port}/"
            done = subprocess.run(["curl", "-sS", "--http1.1", "-w", "%{num_connects}\n", url, url], capture_output=True,
                                  text=True, timeout=programs.PATIENCE, check=True)
            self.assertEqual(done.stdout, "Hello, world!\n1\nHello, world!\n0\n")

    def test_pipelined_requests_are_answered_in_order_and_in_pieces_too(self):
        with programs.Server("http_hello") as server:
            self.assertEqual([status for status, _, _ in ask(server, REQUEST * 1000)], [200] * 1000)
            with server.connect() as connection:
                for byte in REQUEST * 3:
                    connection.sendall(bytes([byte]))
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual([body for _, _, body in answers(programs.read_all(connection))], [GREETING] * 3)

    def test_who_wants_the_connection_closed_has_it_closed(self):
        with programs.Server("http_hello") as server:
            for request in (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
                            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"):
                (status, headers, body), = ask(server, request + REQUEST, end=False)
                self.assertEqual((status, headers["Connection"], body), (200, "close", GREETING))

    def test_bad_requests_are_refused_with_the_reason(self):
        with programs.Server("http_hello") as server:
            before = server.stats()
            for request, status in ((b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400),
                                    (b"\r\n\r\n\r\n", 400), (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
                                    (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
                                    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431)):
                (got, headers, body), = ask(server, request, end=False)
                self.assertEqual((got, headers["Connection"]), (status, "close"), request[:40])
                self.assertTrue(body.startswith(str(status).encode()))
            server.expect_idle(before)

    def test_a_peer_that_reads_no_answers_is_not_read_from(self):
        with programs.Server("http_hello", "--idle-timeout", "1") as server, server.connect() as connection:
            connection.settimeout(programs.PATIENCE)
            with self.assertRaises(ConnectionError):
                for _ in range(1_000_000):
                    connection.sendall(REQUEST * 100)


if __name__ == "__main__":
    programs.main()
