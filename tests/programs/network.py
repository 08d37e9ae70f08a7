#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs one program of this folder that talks to the network, and is the other side; or that talks to other programs.

    network.py FOLDER NAME REDIRECT     REDIRECT is the library built of tests/support/redirect_ports.cpp

The programs name fixed ports and paths; here they get others, so that tests can run beside anything.
"""
import os
import pty
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 30


class Program:
    """The program with a terminal for its output, and ports and paths of ours for its own."""

    def __init__(self, command, redirect, places, folder=None, variables=None):
        terminal, other_end = pty.openpty()
        environment = {**os.environ, "LD_PRELOAD": redirect, **(variables or {})}
        environment |= {f"REDIRECT_{place}": str(to) for place, to in places.items()}
        checks = environment.get("ASAN_OPTIONS", "")
        environment["ASAN_OPTIONS"] = ":".join(filter(None, [checks, "verify_asan_link_order=0"]))
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=other_end, env=environment,
                                        cwd=folder)
        os.close(other_end)
        self.terminal = terminal
        self.printed = ""
        self.deadline = time.monotonic() + SECONDS

    def read_until(self, pattern):
        """Waits until what was printed matches; the match."""
        while not (match := re.search(pattern, self.printed)):
            assert self.read_more(), f"it ended; no {pattern!r} in {self.printed!r}"
        return match

    def read_more(self):
        left = self.deadline - time.monotonic()
        assert left > 0, f"nothing more within {SECONDS} s after {self.printed!r}"
        if not select.select([self.terminal], [], [], left)[0]:
            return True
        try:
            chunk = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.printed += chunk.decode().replace("\r\n", "\n")
        return bool(chunk)

    def end(self):
        """Everything it printed, and its exit status."""
        while self.read_more():
            pass
        return self.printed, self.process.wait(max(0.1, self.deadline - time.monotonic()))

    def wait_for(self, what, find):
        """Waits until find() has found something."""
        while not (found := find()):
            assert self.process.poll() is None, f"it ended with {self.process.returncode} before {what}"
            assert time.monotonic() < self.deadline, f"{what} not within {SECONDS} s"
            time.sleep(0.01)
        return found

    def port(self):
        """The port that it listens on, once it does."""
        def find():
            open_files = {os.readlink(file) for file in Path(f"/proc/{self.process.pid}/fd").iterdir()}
            for line in Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == "0A" and f"socket:[{inode}]" in open_files:
                    return int(local.split(":")[1], 16)
            return None
        return self.wait_for("it listens", find)

    def pipe(self):
        """The writing end of the pipe that it has made for itself, opened here."""
        def find():
            ends = {}
            for file in Path(f"/proc/{self.process.pid}/fd").iterdir():
                if (place := os.readlink(file)).startswith("pipe:"):
                    ends.setdefault(place, []).append(file)
            both = next((files for files in ends.values() if len(files) == 2), None)
            return both and max(both, key=lambda file: int(file.name))
        return os.open(self.wait_for("it makes a pipe", find), os.O_WRONLY)

    def catches(self, number):
        """Whether it has a handler for this signal."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        return caught is not None and int(caught[1], 16) >> (number - 1) & 1 == 1

    def signal(self, number):
        """Sends it once the program has a handler for it."""
        self.wait_for(f"it catches {number.name}", lambda: self.catches(number))
        self.process.send_signal(number)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


def listen(backlog=64):
    listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
    listener.settimeout(SECONDS)
    return listener


def accept(listener):
    peer, _ = listener.accept()
    peer.settimeout(SECONDS)
    return peer


def connect(host, port):
    return socket.create_connection((host, port), timeout=SECONDS)


def port_of(listener):
    return listener.getsockname()[1]


def read_to_the_end(peer):
    data = b""
    while chunk := peer.recv(65536):
        data += chunk
    return data


def echo_server_lambda(start):
    program = start({8888: 0})
    port = int(program.read_until(r"LISTENING (\d+)\n")[1])
    assert port not in (0, 8888), port
    slow, quick = connect("127.0.0.1", port), connect("127.0.0.1", port)
    slow.sendall(b"no line yet")
    quick.sendall(b"one\ntwo\nrest")
    quick.shutdown(socket.SHUT_WR)
    assert read_to_the_end(quick) == b"one\ntwo\nrest"
    slow.sendall(b", now\n")
    assert slow.makefile("rb").readline() == b"no line yet, now\n"
    program.process.send_signal(signal.SIGINT)
    _, status = program.end()
    assert status == 130, f"an interrupt ended it with {status}"
    assert read_to_the_end(slow) == b"", "the connection ends with the program"


def echo_server_function(start):
    program = start({})
    port = int(program.read_until(r"127\.0\.0\.1:(\d+)\n")[1])
    client = connect("127.0.0.1", port)
    client.sendall(b"hello")
    assert read_to_the_end(client) == b"hello"
    printed, status = program.end()
    host, own_port = client.getsockname()
    assert printed.endswith(f"Received hello from {host}:{own_port}\n"), printed
    assert status == 0, status


def client(start):
    listener = listen()
    program = start({80: port_of(listener)})
    peer = accept(listener)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\na\r\nb\r\n"
    got = b""
    while len(got) < len(request):
        got += peer.recv(len(request) - len(got))
    assert got == request, got
    # Two reads of what is there by then, of which the second has 16 bytes at most; both are written back by their length.
    peer.sendall(b"head\r\n\r\neither\n")
    body, echo, done = b"", b"", False
    while not done:
        if len(body) < 2000:
            body += b"%08d" % len(body)
            peer.sendall(body[-8:])
        if select.select([peer], [], [], 0.01)[0]:
            chunk = peer.recv(65536)
            echo, done = echo + chunk, not chunk
    peer.sendall(b"the end")
    peer.close()
    taken = len(echo) - 16
    printed, status = program.end()
    text = body.decode() + "the end"
    assert printed == "head\r\n\r\n" + text[taken:taken + 8] + "either\n" + text[taken + 8:] + "\n", (taken, printed)
    assert status == 0, status


def is_refused(port):
    try:
        connect("127.0.0.1", port).close()
        return False
    except ConnectionError:
        return True


def signals(start):
    program = start({})
    port = program.port()
    assert read_to_the_end(connect("127.0.0.1", port)) == b"bye\n"
    for times in (1, 2):
        program.signal(signal.SIGHUP)
        program.read_until(r"(reload\n){%d}" % times)
    assert not is_refused(port)
    program.signal(signal.SIGTERM)
    program.wait_for("the server is gone", lambda: is_refused(port))
    program.wait_for("the receiver is gone", lambda: not program.catches(signal.SIGTERM))
    program.signal(signal.SIGUSR1)
    assert program.end() == ("reload\n" * 2, 0), (program.printed, program.process.returncode)

    program = start({})  # its receiver is still waited in at the end
    program.wait_for("it receives", lambda: program.catches(signal.SIGHUP))
    program.signal(signal.SIGUSR1)
    assert program.end() == ("", 0), (program.printed, program.process.returncode)


def redis_like(start):
    for number in (signal.SIGTERM, signal.SIGINT):
        program = start({6379: 0})
        port = program.port()
        assert port != 6379
        one, other = connect("127.0.0.1", port), connect("127.0.0.1", port)
        one.sendall(b"PING\r\nSET name value\r\nGET name\r\nDEL name\r\n")
        answers = one.makefile("rb")
        assert [answers.readline() for _ in range(4)] == [b"+PONG\r\n", b"+OK\r\n", b"$value\r\n", b"-ERR\r\n"]
        program.wait_for("it receives", lambda: program.catches(signal.SIGTERM))
        program.signal(number)
        program.read_until(rf"signal {int(number)}\n")
        program.wait_for("it accepts nobody", lambda: is_refused(port))
        other.sendall(b"GET name\r\n")  # who is connected is still served
        assert other.makefile("rb").readline() == b"$value\r\n"
        one.shutdown(socket.SHUT_WR)
        other.shutdown(socket.SHUT_WR)
        assert program.end() == (f"signal {int(number)}\n", 0), (program.printed, program.process.returncode)


def unix_and_proxy(start):
    with tempfile.TemporaryDirectory() as folder:
        up, down = f"{folder}/up", f"{folder}/down"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(up)
        listener.listen()
        listener.settimeout(SECONDS)
        program = start({"/tmp/up.sock": up, "/tmp/down.sock": down})
        own = accept(listener)
        assert read_to_the_end(own) == b"hello", "its own client, which goes without a word"
        own.close()
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(SECONDS)
        client.connect(down)
        behind = accept(listener)
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_to_the_end(behind) == b"question"
        behind.sendall(b"a" * 50_000)
        behind.close()
        assert read_to_the_end(client) == b"a" * 50_000
        program.process.send_signal(signal.SIGINT)
        printed, status = program.end()
        assert (printed, status) == ("", 130), (printed, status)
        assert not Path(down).exists(), "a server removes its file"


def sock_and_fd(start):
    listener = listen()
    program = start({80: port_of(listener)})
    os.write(program.pipe(), b"x")
    program.read_until(r"readable\n")
    peer = accept(listener)
    request = b"GET / HTTP/1.0\r\n\r\n"
    got = b""
    while len(got) < len(request):
        got += peer.recv(len(request) - len(got))
    assert got == request, got
    # Of the 1025 bytes one is left for the second read. Then it accepts on a socket that does not listen.
    peer.sendall(b"y" * 1025)
    printed, status = program.end()
    assert printed == "readable\n", printed
    assert status == -signal.SIGABRT, f"it ended with {status} instead of by an exception that nobody catches"


def bounded_download(start):
    listener = listen()
    most, sources = 16, 40
    program = start({80: port_of(listener)}, *["127.0.0.1"] * sources, "127.0.0.99", "no host.invalid")
    open_now = [accept(listener) for _ in range(most)]
    listener.settimeout(0.3)
    try:
        listener.accept()
        raise AssertionError(f"more than {most} at once")
    except TimeoutError:
        listener.settimeout(SECONDS)
    for n in range(sources):
        peer = open_now.pop(0)
        request = peer.makefile("rb").readline()
        assert request == b"GET / HTTP/1.0\r\n", request
        peer.sendall(b"x" * (n + 1))
        peer.shutdown(socket.SHUT_WR)
        read_to_the_end(peer)
        peer.close()
        if n + most < sources:
            open_now.append(accept(listener))
    printed, status = program.end()
    *fetched, refused, unknown = printed.splitlines()
    assert sorted(int(line.split()[1]) for line in fetched) == list(range(1, sources + 1)), fetched
    assert refused.startswith("127.0.0.99: ") and "refused" in refused, refused
    assert unknown.startswith("no host.invalid: "), unknown
    assert status == 1, status


def callbacks_in_classes(start):
    listener = listen()
    program = start({5432: port_of(listener)})
    peer = accept(listener)
    lines = peer.makefile("rb")
    assert lines.readline() == b"select 1\n"
    peer.sendall(b"a row\n")
    printed, status = program.end()
    assert (printed, status) == ("", 0), (printed, status)
    assert lines.read() == b""
    listener.settimeout(0)
    try:
        listener.accept()
        raise AssertionError("the pool has an idle connection, and opened another")
    except BlockingIOError:
        pass


def subprocess_(start):
    program = start({})
    match = program.read_until(r"exited with 0\ntotal \d+\n((?:.*\n)*)x\n0(\d+)\n")
    names = {line.split(None, 8)[8].split(" -> ")[0] for line in match[1].splitlines()}
    assert names == {name for name in os.listdir("/") if not name.startswith(".")}, names
    assert int(match[2]) not in (0, program.process.pid)
    status = program.process.wait(SECONDS)  # the terminal is open for as long as the `sleep 10` of its shell
    assert status == 0, status


def make_certificate(folder, name, names):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}",
                    "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=folder, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    return context


def tls(start):
    with tempfile.TemporaryDirectory() as folder:
        example = make_certificate(folder, "example", "DNS:example.org")
        local = make_certificate(folder, "local", "DNS:localhost")
        for link, file in (("ca.pem", "local.pem"), ("cert.pem", "local.pem"), ("key.pem", "local.key")):
            os.symlink(file, f"{folder}/{link}")
        local.set_alpn_protocols(["http/1.1"])
        asked = []
        local.sni_callback = lambda _, name, __: asked.append(name)
        web, mine, mail = listen(), listen(), listen()
        program = start({443: port_of(web), 8443: port_of(mine), 25: port_of(mail)}, folder=folder,
                        variables={"SSL_CERT_FILE": f"{folder}/example.pem"})
        with example.wrap_socket(accept(web), server_side=True):
            program.read_until(r"^TLSv1\.3 TLS_\w+\n")
            plain = accept(mine)
            mine.close()  # the program's own server takes this port
            with local.wrap_socket(plain, server_side=True) as secure:
                assert (secure.version(), secure.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
                server = accept(mail)
                assert server.recv(100) == b"STARTTLS\r\n"
                server.sendall(b"220 go ahead\r\n")
                with local.wrap_socket(server, server_side=True):
                    assert asked == ["localhost", "localhost"], asked
                    assert secure.recv(100) == b"220 go ahead\r\n"
                    printed, status = program.end()
        assert status == 0 and printed.count("\n") == 1, (printed, status)


def udp(start):
    printed, status = start({}).end()
    assert re.fullmatch(r"ping from 127\.0\.0\.1:\d+\n", printed), printed
    assert status == 0, status


def transport_protocol(start):
    printed, status = start({}).end()
    assert printed.startswith("5\n"), printed  # its last call is on a transport that is closing: nobody catches the error
    assert status == -signal.SIGABRT, status


def datagram_protocol_pipes(start):
    printed, status = start({}).end()
    assert (printed, status) == ("", 0), (printed, status)


PROGRAMS = {
    "22_echo_server_lambda": echo_server_lambda,
    "23_echo_server_function": echo_server_function,
    "24_client": client,
    "25_unix_and_proxy": unix_and_proxy,
    "26_tls": tls,
    "27_udp": udp,
    "28_transport_protocol": transport_protocol,
    "29_sock_and_fd": sock_and_fd,
    "30_subprocess": subprocess_,
    "34_signals": signals,
    "40_bounded_download": bounded_download,
    "43_callbacks_in_classes": callbacks_in_classes,
    "46_datagram_protocol_pipes": datagram_protocol_pipes,
    "47_redis_like": redis_like,
}


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in PROGRAMS:
        print(__doc__, file=sys.stderr)
        return 2
    folder, name, redirect = sys.argv[1:]
    started = []

    def start(places, *arguments, **more):
        started.append(Program([Path(folder).resolve() / name, *arguments], redirect, places, **more))
        return started[-1]

    try:
        PROGRAMS[name](start)
    finally:
        for program in started:
            program.close()
    print(f"{name}: as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
