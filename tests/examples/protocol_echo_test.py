#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""protocol_echo, a server of protocols, with CPython's asyncio as its clients.

    protocol_echo_test.py FOLDER_OF_THE_PROGRAMS
"""
import asyncio
import random
import re
import signal
import socket
import threading
import time
import unittest

import programs

LOCAL = "127.0.0.1"


class Client(asyncio.Protocol):
    """Sends `data`, then the end; collects what comes back."""

    def __init__(self, data, done):
        self.data, self.done, self.got = data, done, bytearray()

    def connection_made(self, transport):
        transport.write(self.data)
        transport.write_eof()

    def data_received(self, data):
        self.got += data

    def connection_lost(self, error):
        self.done.set_result(error)


async def exchange(port, data):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    _, client = await loop.create_connection(lambda: Client(data, done), LOCAL, port)
    error = await asyncio.wait_for(done, programs.PATIENCE)
    return bytes(client.got), error


async def exchange_many(port, messages):
    return await asyncio.gather(*(exchange(port, message) for message in messages))


def connections(server):
    server.process.send_signal(signal.SIGUSR1)
    return int(re.fullmatch(r"CONNECTIONS (\d+)", server.line())[1])


class ProtocolEcho(unittest.TestCase):
    def test_a_strangers_protocol_gets_back_what_it_sent_and_then_the_end(self):
        data = random.Random(1).randbytes(5_000_000)
        with programs.Server("protocol_echo") as server:
            got, error = asyncio.run(exchange(server.port, data))
            self.assertIsNone(error)
            self.assertTrue(got == data, len(got))
            programs.eventually(lambda: connections(server) == 0, "the connection is gone")

    def test_two_hundred_strangers_at_once_get_their_own(self):
        messages = [random.Random(i).randbytes(1 + 97 * i) for i in range(200)]
        with programs.Server("protocol_echo") as server:
            for message, (got, error) in zip(messages, asyncio.run(exchange_many(server.port, messages))):
                self.assertTrue(got == message and error is None)
            programs.eventually(lambda: connections(server) == 0, "they are gone")

    def test_a_peer_that_does_not_read_is_not_read_from(self):
        with programs.Server("protocol_echo") as server, server.connect() as peer:
            peer.settimeout(0.5)
            sent = 0
            with self.assertRaises(TimeoutError):
                while True:
                    sent += peer.send(bytes(65536))
                    self.assertLess(sent, 100_000_000, "the server takes whatever it is sent")
            with server.connect() as other:  # and nobody else has to wait for that
                other.sendall(b"hello")
                self.assertEqual(programs.read_exactly(other, 5), b"hello")
            peer.settimeout(programs.PATIENCE)
            reader = threading.Thread(target=programs.read_exactly, args=(peer, sent))
            reader.start()
            reader.join(programs.PATIENCE)
            self.assertFalse(reader.is_alive())

    def test_peers_that_reset_disturb_nobody(self):
        with programs.Server("protocol_echo") as server:
            with server.connect() as witness:
                for i in range(100):
                    peer = server.connect()
                    if i % 2:
                        peer.sendall(bytes(100_000))
                    programs.reset(peer)
                witness.sendall(b"still here")
                self.assertEqual(programs.read_exactly(witness, 10), b"still here")
                programs.eventually(lambda: connections(server) == 1, "the others are gone")

    def test_sigterm_gives_open_connections_time_to_end(self):
        with programs.Server("protocol_echo") as server:
            with server.connect() as peer:
                peer.sendall(b"before")
                self.assertEqual(programs.read_exactly(peer, 6), b"before")
                server.process.send_signal(signal.SIGTERM)

                def refused():
                    try:
                        server.connect().close()
                        return False
                    except ConnectionError:
                        return True
                programs.eventually(refused, "it accepts nobody")
                peer.sendall(b"after")
                self.assertEqual(programs.read_exactly(peer, 5), b"after")
            server.expect_exit(0)

    def test_our_own_client_and_a_slow_one(self):
        with programs.Server("protocol_echo") as server:
            status, _, errors = programs.run("echo_client", "--port", str(server.port), "--connections", "20",
                                             "--count", "5", "--size", "70000")
            self.assertEqual((status, errors), (0, ""))
            with server.connect() as slow:
                for byte in b"slow":
                    slow.sendall(bytes([byte]))
                    self.assertEqual(slow.recv(1), bytes([byte]))
                    time.sleep(0.02)


if __name__ == "__main__":
    programs.main()
