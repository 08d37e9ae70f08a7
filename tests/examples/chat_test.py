# SPDX-License-Identifier: BSL-1.0
"""chat_server as people with a terminal see it."""

import re
import socket
import subprocess
import threading
import time
import unittest

import programs

LONGEST_LINE = 65536


class Person:
    """One client, in the lobby under the given name."""

    def __init__(self, server, name=None, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(programs.PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.port))
        self.file = self.socket.makefile("rb")
        welcome = self.hear()
        self.guest_name = re.fullmatch(r"\* welcome, (guest\d+): you are in lobby; .*", welcome)[1]
        if name:
            self.say("/nick " + name)
            self.expect("* you are " + name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def say(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def hear(self):
        """The next line, or None at the end of the stream."""
        line = self.file.readline()
        if not line:
            return None
        assert line.endswith(b"\n"), f"a line without its end: {line!r}"
        return line[:-1].decode()

    def expect(self, *lines):
        for line in lines:
            heard = self.hear()
            assert heard == line, f"heard {heard!r}, not {line!r}"

    def expect_nothing_but(self, *lines):
        """Hears these lines and nothing else: the answer to /who comes right after them."""
        self.say("/who")
        self.expect(*lines)
        heard = self.hear()
        assert heard.startswith("* in "), f"heard {heard!r}"


class Chat(unittest.TestCase):
    def test_what_is_said_is_heard_in_its_room_only(self):
        with programs.Server("chat_server") as server:
            before = server.stats()
            with Person(server, "ann") as ann, Person(server, "bob") as bob, Person(server, "eve") as eve:
                ann.expect("* guest2 joined lobby", "* guest2 is now bob")
                ann.expect("* guest3 joined lobby", "* guest3 is now eve")
                bob.expect("* guest3 joined lobby", "* guest3 is now eve")
                ann.say("hello, all")
                bob.expect("ann: hello, all")
                eve.expect("ann: hello, all")
                eve.say("/join garden")
                eve.expect("* you are in garden")
                ann.expect("* eve left lobby")
                bob.expect("* eve left lobby")
                ann.say("just us")
                bob.expect("ann: just us")
                bob.say("/join garden")
                bob.expect("* you are in garden")
                eve.expect("* bob joined garden")
                bob.say("  leading blanks stay")
                eve.expect("bob:   leading blanks stay")
                ann.expect_nothing_but("* bob left lobby")
                ann.say("/rooms")
                ann.expect("* rooms: garden (2) lobby (1)")
                bob.say("/who")
                bob.expect("* in garden: bob eve")
            server.expect_idle(before)

    def test_a_name_belongs_to_one_person_until_that_one_leaves(self):
        with programs.Server("chat_server") as server, Person(server, "ann") as ann:
            with Person(server) as other:
                other.say("/nick ann")
                other.expect("! the name ann is taken")
                ann.say("/nick ann")
                ann.expect("* guest2 joined lobby", "* you are ann")
                ann.say("/nick guest3")
                ann.expect("* you are guest3")
                other.expect("* ann is now guest3")
                other.say("/nick ann")
                other.expect("* you are ann")
            ann.expect("* guest2 is now ann", "* ann left lobby")
            with Person(server) as newcomer:
                self.assertEqual(newcomer.guest_name, "guest4")  # guest3 is taken
                newcomer.say("/nick ann")
                newcomer.expect("* you are ann")

    def test_names_are_checked_and_unknown_commands_refused(self):
        with programs.Server("chat_server") as server, Person(server) as person:
            for bad in ("", " ", "a b", "x" * 33, "tab\t", "\x1b[31m", "é", "*", "a:"):
                for command in ("/nick", "/join"):
                    person.say(f"{command} {bad}")
                    person.expect(f"! {command} needs a name of 1 to 32 letters, digits, '_' or '-'")
            person.say("/nick " + "x" * 32)
            person.expect("* you are " + "x" * 32)
            person.say("/sing\x07")
            person.expect(r"! unknown command /sing\x07")

    def test_control_characters_of_others_are_escaped(self):
        with programs.Server("chat_server") as server, Person(server, "ann") as ann, Person(server, "bob") as bob:
            for said, heard in (
                (b"\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
                (b"tab\there", r"tab\x09here"),
                (b"back\\slash", r"back\\slash"),
                (b"end\r", "end"),
                (b"\r* forged\rnews", r"\x0d* forged\x0dnews"),
                ("Grüße 👋".encode(), "Grüße 👋"),
                (b"\xc2\x9b31m", r"\xc2\x9b31m"),
                (b"\xff\xc3", r"\xff\xc3"),
                ("\u202eoverride".encode(), r"\xe2\x80\xaeoverride"),
            ):
                ann.socket.sendall(said + b"\n")
                line = bob.hear()
                while not line.startswith("ann: "):
                    line = bob.hear()
                self.assertEqual(line, "ann: " + heard)

    def test_a_line_over_the_limit_is_refused_whole_and_the_next_one_is_heard(self):
        with programs.Server("chat_server") as server, Person(server, "ann") as ann, Person(server, "bob") as bob:
            ann.expect("* guest2 joined lobby", "* guest2 is now bob")
            for length in (LONGEST_LINE + 1, LONGEST_LINE * 2, LONGEST_LINE * 2 + 1, 1_000_000):
                ann.say("x" * length)
                ann.expect("! line over 65536 bytes refused")
                ann.say(f"after {length}")
                bob.expect(f"ann: after {length}")
            ann.say("y" * LONGEST_LINE)
            bob.expect("ann: " + "y" * LONGEST_LINE)

    def test_quit_says_goodbye_and_closes(self):
        with programs.Server("chat_server") as server:
            before = server.stats()
            with Person(server, "ann") as ann, Person(server, "bob") as bob:
                bob.say("/quit\nnever heard")
                bob.expect("* goodbye")
                try:
                    self.assertIsNone(bob.hear())
                except ConnectionResetError:
                    pass  # so TCP tells that something was not read
                ann.expect("* guest2 joined lobby", "* guest2 is now bob", "* bob left lobby")
                ann.expect_nothing_but()
            server.expect_idle(before)

    def test_those_who_just_vanish_are_gone_for_the_others_too(self):
        with programs.Server("chat_server") as server:
            before = server.stats()
            with Person(server, "ann") as ann:
                for i in range(2, 12):
                    person = Person(server)
                    ann.expect(f"* guest{i} joined lobby")
                    person.file.close()
                    programs.reset(person.socket) if i % 2 else person.socket.close()
                    ann.expect(f"* guest{i} left lobby")
            server.expect_idle(before)

    def test_the_last_line_needs_no_end(self):
        with programs.Server("chat_server") as server, Person(server, "ann") as ann:
            with server.connect() as stranger:
                stranger.sendall(b"hello\nbye")
                stranger.shutdown(socket.SHUT_WR)
                self.assertRegex(programs.read_all(stranger).decode(), r"\A\* welcome, guest2: .*\n\Z")
            ann.expect("* guest2 joined lobby", "guest2: hello", "guest2: bye", "* guest2 left lobby")

    def test_a_slow_reader_stalls_nobody_and_learns_what_it_missed(self):
        rounds, lines_of_a_round = 100, 20
        text = "z" * 10_000
        with programs.Server("chat_server") as server:
            before = server.stats()
            with Person(server, "ann") as ann, Person(server, "bob") as bob, Person(server, "slow", 4096) as slow:
                ann.expect("* guest2 joined lobby", "* guest2 is now bob")
                ann.expect("* guest3 joined lobby", "* guest3 is now slow")
                bob.expect("* guest3 joined lobby", "* guest3 is now slow")
                started = time.monotonic()
                for i in range(rounds):  # 20 MB in all: more than the outbox and the kernel keep for one client
                    for j in range(lines_of_a_round):
                        ann.say(f"{i * lines_of_a_round + j} {text}")
                    for j in range(lines_of_a_round):
                        bob.expect(f"ann: {i * lines_of_a_round + j} {text}")
                self.assertLess(time.monotonic() - started, programs.PATIENCE)

                heard = dropped = 0
                while heard + dropped < rounds * lines_of_a_round:
                    line = slow.hear()
                    if note := re.fullmatch(r"! (\d+) lines dropped: you read too slowly", line):
                        dropped += int(note[1])
                    else:
                        self.assertEqual(line, f"ann: {heard + dropped} {text}")
                        heard += 1
                self.assertGreater(dropped, 0)
                self.assertGreater(heard, 0)
                ann.say("and now?")
                slow.expect("ann: and now?")
            server.expect_idle(before)

    def test_one_who_never_reads_again_is_cut_off_when_leaving(self):
        with programs.Server("chat_server") as server:
            before = server.stats()
            with Person(server, "ann") as ann, Person(server, "slow", 4096) as slow:
                listener = threading.Thread(target=ann.file.read, daemon=True)
                listener.start()
                for _ in range(1000):
                    ann.say("z" * 10_000)
                slow.socket.shutdown(socket.SHUT_WR)
                programs.eventually(lambda: server.stats()["conns"] == 1, "the slow one is gone")
                ann.socket.shutdown(socket.SHUT_WR)
                listener.join(programs.PATIENCE)
                server.expect_idle(before)

    def test_the_silent_are_sent_away_after_the_idle_timeout(self):
        with programs.Server("chat_server", "--idle-timeout", "0.5") as server:
            before = server.stats()
            with Person(server) as person:
                person.expect("! silent for too long: goodbye")
                self.assertIsNone(person.hear())
            server.expect_idle(before)

    def test_a_shell_can_take_part(self):
        with programs.Server("chat_server") as server, Person(server, "ann") as ann:
            script = 'exec 3<>"/dev/tcp/127.0.0.1/$0"; printf "/nick shell\nhi\n/quit\n" >&3; cat <&3'
            done = subprocess.run(["bash", "-c", script, str(server.port)], stdout=subprocess.PIPE, text=True,
                                  timeout=programs.PATIENCE)
            self.assertEqual(done.stdout.splitlines()[1:], ["* you are shell", "* goodbye"])
            ann.expect("* guest2 joined lobby", "* guest2 is now shell", "shell: hi", "* shell left lobby")


if __name__ == "__main__":
    programs.main()
