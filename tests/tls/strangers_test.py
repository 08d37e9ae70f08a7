# SPDX-License-Identifier: BSL-1.0
"""The example programs under TLS, to strangers: openssl's s_client and s_server, curl, Python's ssl and asyncio."""

import asyncio
import os
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
import programs  # noqa: E402

LOCAL = "127.0.0.1"
OPENSSL = shutil.which("openssl")
CURL = shutil.which("curl")
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def cut(secure):
    """Ends the connection without a goodbye."""
    socket.socket(fileno=secure.detach()).close()


class Certificates:
    """Made once, in a folder of their own."""

    def __init__(self):
        self.keep = tempfile.TemporaryDirectory(prefix="tls-test-")
        self.folder = self.keep.name
        for ca in ("ca", "other"):
            self.openssl("req", "-x509", *CURVE, "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out",
                         f"{ca}.pem")
        self.issue("good", "DNS:localhost,IP:127.0.0.1")
        self.issue("wrong", "DNS:example.org")
        self.issue("expired", "DNS:localhost,IP:127.0.0.1", days=-1)
        self.issue("elsewhere", "DNS:localhost,IP:127.0.0.1", ca="other")
        self.openssl("req", "-x509", *CURVE, "-days", "2", "-subj", "/CN=itself", "-addext",
                     "subjectAltName=DNS:localhost", "-keyout", "itself.key", "-out", "itself.pem")

    def openssl(self, *arguments):
        subprocess.run([OPENSSL, *arguments], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name, names, days=2, ca="ca"):
        self.openssl("req", *CURVE, "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", "-keyout",
                     f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                     "-days", str(days), "-copy_extensions", "copy", "-out", f"{name}.pem")

    def path(self, name):
        return os.path.join(self.folder, name)

    def pair(self, name):
        return [self.path(f"{name}.pem"), self.path(f"{name}.key")]


def setUpModule():
    global certificates
    certificates = Certificates()


def tearDownModule():
    certificates.keep.cleanup()


def tls_server(name="echo_server", certificate="good", *arguments):
    return programs.Server(name, "--tls", *certificates.pair(certificate), *arguments)


def client_context():
    return ssl.create_default_context(cafile=certificates.path("ca.pem"))


class Serving(unittest.TestCase):
    """Strangers come to our servers."""

    def s_client(self, port, *arguments, said="hello\n", wanted=None):
        """What s_client prints that says `said`, a line at a time, each when the one before it was answered, and ends when
        `wanted` has come (default: that itself)."""
        process = subprocess.Popen(
            [OPENSSL, "s_client", "-connect", f"{LOCAL}:{port}", "-servername", "localhost", "-CAfile",
             certificates.path("ca.pem"), "-verify_return_error", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = []
        done = threading.Event()
        wanted = said if wanted is None else wanted

        def read():
            for line in process.stdout:
                output.append(line)
                if wanted and line == wanted:
                    done.set()
            done.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            for i, line in enumerate(said.splitlines(keepends=True)):
                process.stdin.write(line)
                process.stdin.flush()
                if line == "K\n":  # a command to s_client, which looks at one in each read
                    programs.eventually(lambda: output.count("KEYUPDATE\n") > i, "a key update")
            self.assertTrue(done.wait(programs.PATIENCE), output)
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.wait(programs.PATIENCE)
        reader.join(programs.PATIENCE)
        process.stdout.close()
        return "".join(output), process.returncode

    def test_s_client_verifies_and_is_echoed(self):
        with tls_server() as server:
            before = server.stats()
            for version in ("-tls1_2", "-tls1_3"):
                output, status = self.s_client(server.port, version)
                self.assertEqual(status, 0, output)
                self.assertIn("Verify return code: 0 (ok)", output)
                self.assertIn("\nhello\n", output)
            server.expect_idle(before)

    def test_s_client_resumes_its_session(self):
        with tls_server() as server:
            for version in ("-tls1_2", "-tls1_3"):
                session = certificates.path("session" + version)
                output, _ = self.s_client(server.port, version, "-sess_out", session)
                self.assertIn("\nNew, TLS", output)
                output, _ = self.s_client(server.port, version, "-sess_in", session)
                self.assertIn("\nReused, TLS", output)

    def test_old_versions_are_refused_with_an_alert(self):
        with tls_server() as server:
            output, status = self.s_client(server.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", wanted="")
            self.assertNotEqual(status, 0)
            self.assertIn("alert protocol version", output)

    def test_weak_ciphers_are_refused_with_an_alert(self):
        with tls_server() as server:
            for cipher in ("ECDHE-ECDSA-AES128-SHA", "NULL:@SECLEVEL=0", "aNULL:@SECLEVEL=0"):
                output, status = self.s_client(server.port, "-tls1_2", "-cipher", cipher, wanted="")
                self.assertNotEqual(status, 0, cipher)
                self.assertIn("alert handshake failure", output, cipher)

    def test_nobody_renegotiates(self):
        with tls_server() as server:
            output, _ = self.s_client(server.port, "-tls1_2", said="R\n", wanted="")
            self.assertIn("no renegotiation", output)

    def test_key_updates_are_followed(self):
        with tls_server() as server:
            output, _ = self.s_client(server.port, "-tls1_3", said="K\n" * 50 + "hello\n", wanted="hello\n")
            self.assertIn("KEYUPDATE", output)
            self.assertIn("\nhello\n", output)

    def test_curl_fetches_files_and_believes_nobody_else(self):
        data = random.Random(1).randbytes(3_000_000)
        Path(certificates.path("file.bin")).write_bytes(data)
        with tls_server("file_server", "good", "--root", certificates.folder) as server:
            url = f"https://localhost:{server.port}/file.bin"
            curl = [CURL, "--silent", "--show-error", "--http1.1", "--noproxy", "*", "-4"]
            known = [*curl, "--cacert", certificates.path("ca.pem")]
            got = subprocess.run([*known, url, url, url], capture_output=True, check=True)
            self.assertEqual(got.stdout, data * 3)
            resolve = ["--resolve", f"example.org:{server.port}:{LOCAL}"]
            for arguments in (curl + [url], known + [*resolve, f"https://example.org:{server.port}/file.bin"]):
                refused = subprocess.run(arguments, capture_output=True, check=False)
                self.assertEqual(refused.returncode, 60, refused.stderr)
            missing = subprocess.run([*known, "-o", os.devnull, "-w", "%{http_code}",
                                      f"https://localhost:{server.port}/none"], capture_output=True, check=True)
            self.assertEqual(missing.stdout, b"404")

    def test_python_sends_and_receives_much_at_once(self):
        data = random.Random(2).randbytes(20_000_000)
        with tls_server() as server:
            before = server.stats()
            with socket.create_connection((LOCAL, server.port), programs.PATIENCE) as plain:
                with client_context().wrap_socket(plain, server_hostname="localhost") as secure:
                    # One thread: the server's echo waits in its buffer, or in ours.
                    sent = got = 0
                    received = bytearray()
                    secure.setblocking(False)
                    while got < len(data):
                        try:
                            if sent < len(data):
                                sent += secure.send(data[sent : sent + 50_000])
                        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                            pass
                        try:
                            part = secure.recv(100_000)
                            self.assertTrue(part)
                            received += part
                            got += len(part)
                        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                            pass
                    self.assertEqual(bytes(received), data)
                    secure.setblocking(True)
                    secure.unwrap().close()
            server.expect_idle(before)

    def test_pythons_asyncio_says_goodbye_and_hears_it(self):
        async def talk(port):
            reader, writer = await asyncio.open_connection(LOCAL, port, ssl=client_context(),
                                                           server_hostname="localhost")
            for size in (1, 100, 16384, 16385, 1_000_000):
                message = random.Random(size).randbytes(size)
                writer.write(message)
                self.assertEqual(await reader.readexactly(size), message)
            writer.close()
            await writer.wait_closed()

        async def many(port):
            await asyncio.gather(*(talk(port) for _ in range(20)))

        with tls_server() as server:
            before = server.stats()
            asyncio.run(many(server.port))
            server.expect_idle(before)

    def test_who_is_cut_off_or_speaks_in_the_clear_leaves_nothing_behind(self):
        hello = ssl.MemoryBIO()
        secure = client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            secure.do_handshake()
        hello = hello.read()
        with tls_server() as server:
            before = server.stats()
            for i in range(300):
                connection = socket.create_connection((LOCAL, server.port), programs.PATIENCE)
                said = (b"GET / HTTP/1.1\r\n\r\n", hello[: i % len(hello)], hello, b"\x16\x03\x01\xff\xff" + bytes(i))
                connection.sendall(said[i % 4])
                if i % 3 == 0:
                    programs.reset(connection)
                else:
                    connection.close()
            server.expect_idle(before)

    def test_a_peer_that_closes_without_a_goodbye_is_an_error_and_not_an_end(self):
        with tls_server() as server:
            before = server.stats()
            with socket.create_connection((LOCAL, server.port), programs.PATIENCE) as plain:
                secure = client_context().wrap_socket(plain, server_hostname="localhost")
                secure.sendall(b"hello")
                self.assertEqual(secure.recv(5), b"hello")
                cut(secure)
            server.expect_idle(before)

    def test_the_other_servers_speak_it_too(self):
        with tls_server("chat_server") as server:
            with socket.create_connection((LOCAL, server.port), programs.PATIENCE) as plain:
                with client_context().wrap_socket(plain, server_hostname="localhost") as secure:
                    self.assertTrue(secure.recv(1000))

    def test_a_wrong_certificate_is_one_line(self):
        for arguments, reason in (
            (["--tls"], "--tls needs two values"),
            (["--tls", "a"], "--tls needs two values"),
            (["--tls=a", "b"], "--tls takes its two values as arguments of their own"),
            (["--tls", "none.pem", "none.key"], "cannot load the certificate 'none.pem': No such file or directory"),
            (["--tls", certificates.path("good.pem"), certificates.path("wrong.key")], "key values mismatch"),
        ):
            status, output, errors = programs.run("echo_server", *arguments)
            self.assertEqual((status, output), (2, ""), errors)
            self.assertIn(reason, errors)
            self.assertEqual(errors.count("\n"), 1)


class Stranger:
    """openssl s_server with a certificate, as long as the block lasts. It sends every line back, reversed."""

    def __init__(self, certificate, *arguments):
        cert, key = certificates.pair(certificate)
        self.process = subprocess.Popen(
            [OPENSSL, "s_server", "-accept", f"{LOCAL}:0", "-cert", cert, "-key", key, "-rev", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self):
        for line in self.process.stdout:
            if line.startswith("ACCEPT"):
                self.port = int(line.rpartition(":")[2])
                break
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class PythonServer:
    """One connection, served by behave(secure) in a thread."""

    def __init__(self, behave, certificate="good"):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(*certificates.pair(certificate))
        self.listener = socket.create_server((LOCAL, 0))
        self.listener.settimeout(programs.PATIENCE)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, args=(behave,), daemon=True)

    def serve(self, behave):
        plain = self.listener.accept()[0]
        plain.settimeout(programs.PATIENCE)
        with plain, self.context.wrap_socket(plain, server_side=True) as secure:
            behave(secure)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(programs.PATIENCE)
        self.listener.close()


class Connecting(unittest.TestCase):
    """Our client comes to strangers."""

    def say(self, port, *arguments, name="localhost", ca="ca"):
        return programs.run("tls_echo", "--client", "--port", str(port), "--name", name, "--ca",
                            certificates.path(f"{ca}.pem"), "--message", "hello", *arguments)

    def test_s_server_is_believed(self):
        for version in ("1_2", "1_3"):
            with Stranger("good", f"-tls{version}") as server:
                status, output, errors = self.say(server.port)
                self.assertEqual((status, errors), (0, ""))
                self.assertEqual(output, f"TLSv{version.replace('_', '.')} (new): olleh\n")

    def test_s_server_is_refused_with_the_reason(self):
        for certificate, name, reason in (
            ("wrong", "localhost", "hostname mismatch"),
            ("good", "127.0.0.2", "IP address mismatch"),
            ("expired", "localhost", "certificate has expired"),
            ("elsewhere", "localhost", "unable to get local issuer certificate"),
            ("itself", "localhost", "self-signed certificate"),
        ):
            with self.subTest(certificate), Stranger(certificate) as server:
                status, output, errors = self.say(server.port, name=name)
                self.assertEqual((status, output), (3, ""))
                self.assertEqual(errors, f"tls_echo: TLS handshake with '{name}': {reason}: certificate verify failed\n")

    def test_s_server_of_old_versions_is_refused(self):
        with Stranger("good", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0") as server:
            status, _, errors = self.say(server.port)
            self.assertEqual(status, 6)
            self.assertIn("TLS handshake with 'localhost': ", errors)

    def test_a_server_that_wants_a_certificate_says_so(self):
        with Stranger("good", "-Verify", "1", "-verify_return_error") as server:
            status, _, errors = self.say(server.port)
            self.assertEqual(status, 6)
            self.assertIn("certificate required", errors)

    def test_a_cut_is_no_end(self):
        with PythonServer(lambda secure: (secure.recv(100), secure.sendall(b"hel"), cut(secure))) as server:
            status, output, errors = self.say(server.port)
            self.assertEqual((status, output), (4, ""))
            self.assertEqual(errors, "tls_echo: TLS with 'localhost': connection cut off without a TLS goodbye\n")

    def test_an_end_is_no_cut(self):
        with PythonServer(lambda secure: (secure.recv(100), secure.sendall(b"hel"), secure.unwrap())) as server:
            status, _, errors = self.say(server.port)
            self.assertEqual(status, 4)
            self.assertIn("3 bytes read", errors)

    def test_a_server_in_the_clear_is_no_server(self):
        with programs.Server("echo_server") as server:
            status, _, errors = self.say(server.port)
            self.assertEqual(status, 6)
            self.assertTrue(re.search("TLS handshake with 'localhost': ", errors), errors)

    def test_pythons_asyncio_serves_it(self):
        async def serve(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        async def main():
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificates.pair("good"))
            server = await asyncio.start_server(serve, LOCAL, 0, ssl=context)
            async with server:
                port = server.sockets[0].getsockname()[1]
                return await asyncio.to_thread(self.say, port)

        status, output, errors = asyncio.run(main())
        self.assertEqual((status, output, errors), (0, "TLSv1.3 (new): hello\n", ""))

    def test_it_shows_what_a_client_believes(self):
        status, output, errors = programs.run("tls_echo")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(output, (
            "who trusts nobody but the system's authorities: TLS handshake with 'localhost': self-signed certificate: "
            "certificate verify failed\n"
            "who trusts the certificate: TLSv1.3 (new): hello\n"
            "who wants somebody else: TLS handshake with 'example.org': hostname mismatch: certificate verify failed\n"))


if __name__ == "__main__":
    programs.main()
