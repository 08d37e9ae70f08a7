#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""udp_time, its server and its client, with CPython's asyncio as the stranger on the other side.

    udp_test.py FOLDER_OF_THE_PROGRAMS
"""
import asyncio
import contextlib
import datetime
import socket
import struct
import threading
import time
import unittest

import programs

LOCAL = "127.0.0.1"
SINCE_1900 = 2_208_988_800


class Asker(asyncio.DatagramProtocol):
    """Sends `questions`, and collects the answers."""

    def __init__(self, questions, done):
        self.questions, self.answers, self.done = questions, [], done

    def connection_made(self, transport):
        for question in self.questions:
            transport.sendto(question)

    def datagram_received(self, data, address):
        self.answers.append(data)
        if len(self.answers) == len(self.questions):
            self.done.set_result(None)


async def ask(port, questions):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    transport, protocol = await loop.create_datagram_endpoint(lambda: Asker(questions, done), remote_addr=(LOCAL, port))
    try:
        await asyncio.wait_for(done, programs.PATIENCE)
    finally:
        transport.close()
    return protocol.answers


class Teller(asyncio.DatagramProtocol):
    """Answers the n-th question with the n-th of `answers`; None: not at all."""

    def __init__(self, answers):
        self.answers, self.questions = list(answers), []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.questions.append(data)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            self.transport.sendto(answer, address)


@contextlib.contextmanager
def strange_server(*answers):
    """A server of CPython's asyncio in a thread: its port, and the questions that it was asked."""
    loop = asyncio.new_event_loop()
    transport, protocol = loop.run_until_complete(
        loop.create_datagram_endpoint(lambda: Teller(answers), local_addr=(LOCAL, 0)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield transport.get_extra_info("sockname")[1], protocol.questions
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        transport.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class UdpTimeServer(unittest.TestCase):
    def test_tells_a_stranger_the_time(self):
        with programs.Server("udp_time", "--listen") as server:
            before = int(time.time())
            answers = asyncio.run(ask(server.port, [b"?"]))
            after = int(time.time())
            (seconds,) = struct.unpack(">I", answers[0])
            self.assertTrue(before <= seconds - SINCE_1900 <= after, (before, seconds - SINCE_1900, after))

    def test_answers_whatever_it_is_sent_and_many_at_once(self):
        with programs.Server("udp_time", "--listen") as server:
            answers = asyncio.run(ask(server.port, [b"x", bytes(65507), b"y"]))
            self.assertEqual([len(answer) for answer in answers], [4, 4, 4])
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:  # CPython before 3.13 sends no empty ones
                plain.settimeout(programs.PATIENCE)
                plain.sendto(b"", (LOCAL, server.port))
                self.assertEqual(len(plain.recv(100)), 4)

    def test_askers_that_are_gone_when_the_answer_comes_disturb_nobody(self):
        with programs.Server("udp_time", "--listen") as server:
            for _ in range(50):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                    gone.sendto(b"", (LOCAL, server.port))
            self.assertEqual(len(asyncio.run(ask(server.port, [b"?"]))), 1)

    def test_a_port_that_is_taken_is_one_line_on_stderr(self):
        with programs.Server("udp_time", "--listen") as server:
            status, output, errors = programs.run("udp_time", "--listen", "--port", str(server.port))
        self.assertEqual((status, output), (6, ""))
        self.assertRegex(errors, r"\Audp_time: cannot bind to 127\.0\.0\.1:\d+: Address already in use\n\Z")


class UdpTimeClient(unittest.TestCase):
    def test_prints_what_its_own_server_says(self):
        with programs.Server("udp_time", "--listen") as server:
            status, output, errors = programs.run("udp_time", "--port", str(server.port))
        self.assertEqual((status, errors), (0, ""))
        told = datetime.datetime.strptime(output, "%Y-%m-%dT%H:%M:%SZ\n").replace(tzinfo=datetime.timezone.utc)
        self.assertLess(abs(told.timestamp() - time.time()), programs.PATIENCE)

    def test_reads_a_strangers_answer_in_this_era_of_the_number_and_the_next(self):
        for number, text in ((SINCE_1900, "1970-01-01T00:00:00Z\n"), (0, "2036-02-07T06:28:16Z\n")):
            with strange_server(struct.pack(">I", number)) as (port, questions):
                self.assertEqual(programs.run("udp_time", "--port", str(port)), (0, text, ""))
                self.assertEqual(questions, [b""])

    def test_asks_again_when_an_answer_is_lost_or_is_none(self):
        with strange_server(None, b"what?", struct.pack(">I", SINCE_1900 + 60)) as (port, questions):
            self.assertEqual(programs.run("udp_time", "--port", str(port), "--timeout", "0.2"),
                             (0, "1970-01-01T00:01:00Z\n", ""))
            self.assertEqual(len(questions), 3)

    def test_without_any_answer_it_is_exit_5(self):
        with strange_server() as (port, questions):
            self.assertEqual(programs.run("udp_time", "--port", str(port), "--timeout", "0.1", "--tries", "2"),
                             (5, "", "udp_time: timed out\n"))
            self.assertEqual(len(questions), 2)

    def test_a_refusal_is_told_at_once_as_exit_6(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOCAL, 0))
            free = probe.getsockname()[1]
        status, output, errors = programs.run("udp_time", "--port", str(free), "--timeout", "20")
        self.assertEqual((status, output), (6, ""))
        self.assertRegex(errors, r"\Audp_time: cannot receive: Connection refused\n\Z")

    def test_a_port_is_needed(self):
        self.assertEqual(programs.run("udp_time")[0], 2)


if __name__ == "__main__":
    programs.main()
