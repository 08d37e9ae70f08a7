#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""redis_like, spoken to in RESP2; by redis-cli and redis-benchmark too, where they are installed.

    redis_like_test.py FOLDER_OF_THE_PROGRAMS
"""
import random
import shutil
import socket
import subprocess
import unittest

import programs


def command(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Error(str):
    """A reply that is an error."""


class Client:
    def __init__(self, server):
        self.connection = server.connect()
        self.connection.settimeout(programs.PATIENCE)
        self.stream = self.connection.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.connection.close()

    def send(self, data):
        self.connection.sendall(data)

    def reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        kind, text = line[:1], line[1:-2]
        if kind == b"+":
            return text.decode()
        if kind == b"-":
            return Error(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"*":
            return [self.reply() for _ in range(int(text))]
        size = int(text)
        if size < 0:
            return None
        body = self.stream.read(size + 2)
        assert body.endswith(b"\r\n") and len(body) == size + 2
        return body[:-2]

    def ask(self, *words):
        self.send(command(*words))
        return self.reply()


class RedisLike(unittest.TestCase):
    def test_values_are_set_got_counted_and_deleted(self):
        with programs.Server("redis_like") as server, Client(server) as client:
            self.assertEqual(client.ask("PING"), "PONG")
            self.assertEqual(client.ask("ping", "hello"), b"hello")
            self.assertEqual(client.ask("ECHO", "a\r\nb"), b"a\r\nb")
            self.assertIsNone(client.ask("GET", "a"))
            self.assertEqual(client.ask("SET", "a", b"\0\xff\r\n"), "OK")
            self.assertEqual(client.ask("GET", "a"), b"\0\xff\r\n")
            self.assertEqual([client.ask("INCR", "n") for _ in range(3)], [1, 2, 3])
            self.assertEqual(client.ask("EXISTS", "a", "n", "n", "none"), 3)
            self.assertEqual(client.ask("DEL", "a", "none", "n"), 2)
            self.assertEqual(client.ask("SET", "", ""), "OK")
            self.assertEqual(client.ask("GET", ""), b"")
            self.assertEqual(client.ask("QUIT"), "OK")
            with self.assertRaises(EOFError):
                client.reply()

    def test_a_value_expires_when_it_is_told_to(self):
        with programs.Server("redis_like") as server, Client(server) as client:
            client.ask("SET", "a", "1")
            self.assertEqual(client.ask("TTL", "a"), -1)
            self.assertEqual(client.ask("TTL", "none"), -2)
            self.assertEqual(client.ask("EXPIRE", "none", 5), 0)
            self.assertEqual(client.ask("EXPIRE", "a", 100), 1)
            self.assertIn(client.ask("TTL", "a"), (99, 100))
            self.assertEqual(client.ask("INCR", "a"), 2)  # it goes on to expire
            self.assertIn(client.ask("TTL", "a"), (99, 100))
            client.ask("SET", "a", "1")  # a new value does not
            self.assertEqual(client.ask("TTL", "a"), -1)
            self.assertEqual(client.ask("EXPIRE", "a", 1), 1)
            programs.eventually(lambda: client.ask("GET", "a") is None, "it has expired")
            client.ask("SET", "b", "1")
            self.assertEqual(client.ask("EXPIRE", "b", -1), 1)
            self.assertIsNone(client.ask("GET", "b"))

    def test_what_is_wrong_is_an_error_and_the_connection_goes_on(self):
        with programs.Server("redis_like") as server, Client(server) as client:
            client.ask("SET", "text", "two words")
            client.ask("SET", "most", 2**63 - 1)
            for words in (["INCR", "text"], ["INCR", "most"], ["EXPIRE", "most", "soon"], ["EXPIRE", "most", 2**62],
                          ["GET"], ["GET", "a", "b"], ["SET", "a"], ["NOTHING"], ["B\x1b[31m"], [""]):
                reply = client.ask(*words)
                self.assertIsInstance(reply, Error, words)
                self.assertTrue(reply.startswith("ERR ") and reply.isprintable(), reply)
            self.assertEqual(client.ask("GET", "most"), str(2**63 - 1).encode())

    def test_bytes_that_are_no_command_end_the_connection_with_the_reason(self):
        for data in (b"*x\r\n", b"*9999999\r\n", b"*1\r\n+OK\r\n", b"*1\r\n$-5\r\n", b"*1\r\n$99999999999\r\n",
                     b"*1\r\n$4\r\nPINGxx", b"x" * 70000, b"*1\r\n$" + b"1" * 70000):
            with programs.Server("redis_like") as server, Client(server) as client:
                client.send(command("PING") + data)
                self.assertEqual(client.reply(), "PONG")
                self.assertTrue(client.reply().startswith("ERR Protocol error: "), data[:30])
                with self.assertRaises((EOFError, ConnectionError)):
                    client.reply()

    def test_pipelined_commands_are_answered_in_order_whatever_pieces_they_come_in(self):
        numbers = random.Random(1)
        sent = b"".join(command("ECHO", i) + b"PING\r\n" + command("SET", "k", b"v" * i) for i in range(500))
        with programs.Server("redis_like") as server, Client(server) as client:
            at = 0
            while at < len(sent):
                size = numbers.choice((1, 7, 100, 30000))
                client.send(sent[at:at + size])
                at += size
            for i in range(500):
                self.assertEqual([client.reply() for _ in range(3)], [str(i).encode(), "PONG", "OK"])

    def test_messages_reach_all_who_listen_and_nobody_else(self):
        with programs.Server("redis_like") as server, Client(server) as one, Client(server) as two, \
                Client(server) as other:
            one.send(command("SUBSCRIBE", "news", "more"))
            self.assertEqual([one.reply(), one.reply()], [[b"subscribe", b"news", 1], [b"subscribe", b"more", 2]])
            self.assertEqual(two.ask("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
            self.assertEqual(other.ask("PUBLISH", "news", "hello"), 2)
            self.assertEqual(other.ask("PUBLISH", "more", "there"), 1)
            self.assertEqual(other.ask("PUBLISH", "none", "anybody?"), 0)
            self.assertEqual(two.reply(), [b"message", b"news", b"hello"])
            self.assertEqual([one.reply(), one.reply()],
                             [[b"message", b"news", b"hello"], [b"message", b"more", b"there"]])
            self.assertIsInstance(one.ask("GET", "a"), Error)
            self.assertEqual(one.ask("PING"), [b"pong", b""])
            one.send(command("UNSUBSCRIBE"))
            self.assertEqual([one.reply()[2], one.reply()[2]], [1, 0])
            self.assertIsNone(one.ask("GET", "a"))
            two.__exit__()  # who goes away listens no more
            programs.eventually(lambda: server.stats()["conns"] == 2, "it is gone")
            self.assertEqual(other.ask("PUBLISH", "news", "hello"), 0)

    def test_a_listener_that_does_not_read_is_cut_off(self):
        with programs.Server("redis_like") as server, Client(server) as idle, Client(server) as busy:
            idle.ask("SUBSCRIBE", "news")
            message = b"x" * 1_000_000
            for _ in range(100):
                if busy.ask("PUBLISH", "news", message) == 0:
                    break
            else:
                self.fail("a hundred megabytes wait for one who does not read")

    def test_a_client_that_does_not_read_is_not_read_from(self):
        with programs.Server("redis_like") as server, Client(server) as client:
            client.ask("SET", "big", b"x" * 1_000_000)
            client.connection.settimeout(1)
            with self.assertRaises(TimeoutError):
                for _ in range(100_000):
                    client.send(command("GET", "big") * 100)
            self.assertLess(server.stats()["rss_kb"], 200_000 * programs.MEMORY_FACTOR)

    @unittest.skipUnless(shutil.which("redis-cli") and shutil.which("redis-benchmark"), "redis-tools is not installed")
    def test_the_tools_of_redis_speak_with_it(self):
        with programs.Server("redis_like") as server:
            port = str(server.port)
            done = subprocess.run(["redis-cli", "-p", port], input="SET a 1\nINCR a\nGET a\nDEL a\n", capture_output=True,
                                  text=True, timeout=programs.PATIENCE)
            self.assertEqual(done.stdout, "OK\n2\n2\n1\n")
            done = subprocess.run(["redis-benchmark", "-p", port, "-t", "ping,set,get,incr", "-n", "20000", "-P", "16", "-q"],
                                  capture_output=True, text=True, timeout=programs.PATIENCE)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.count("requests per second"), 5)


if __name__ == "__main__":
    programs.main()
