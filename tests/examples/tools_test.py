#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The servers between the tools that people put around servers: wrk, nginx and iperf3. What is not installed is skipped.

    tools_test.py FOLDER_OF_THE_PROGRAMS [SECONDS]    so long wrk and iperf3 keep them busy; 2 unless told
"""
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import programs

LOCAL = "127.0.0.1"
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 2


def needs(tool):
    # nginx is where only root looks.
    return unittest.skipUnless(shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"), f"{tool} is not installed")


def run(*command):
    """What it printed; it must end well."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=programs.PATIENCE + SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def free_port():
    """One that nobody listens on, for programs that cannot let the kernel choose."""
    with socket.create_server((LOCAL, 0)) as listener:
        return listener.getsockname()[1]


def listens(port):
    with socket.socket() as connection:
        return connection.connect_ex((LOCAL, port)) == 0


@contextlib.contextmanager
def running(port, *command):
    """A program that listens on the port by and by."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            programs.eventually(lambda: process.poll() is not None or listens(port), f"{command[0]} listens")
            if process.poll() is not None:
                raise AssertionError(f"{command[0]} ended: {process.returncode}")
            yield
        finally:
            process.terminate()


@contextlib.contextmanager
def nginx(folder, server):
    """nginx with one `server { … }`, which says LISTEN. Gives its port."""
    port = free_port()
    kept = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf, log = (os.path.join(folder, name) for name in ("nginx.conf", "error.log"))
    with open(conf, "w", encoding="ascii") as file:
        file.write(f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {log};\n"
                   f"events {{ worker_connections 512; }}\n"
                   f"http {{ access_log off; {kept}\n{server.replace('LISTEN', f'listen {LOCAL}:{port};')} }}\n")
    with running(port, shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c", conf, "-e", log):
        yield port
    with open(log, encoding="utf-8") as file:
        if complaints := file.read():
            raise AssertionError(f"nginx: {complaints}")


def get(*urls):
    """The SHA-256 of what each URL gives, fetched at once by curl."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"{folder}/{i}" for i in range(len(urls))]
        run("curl", "-sS", "--fail", "-Z", *(word for url, out in zip(urls, outputs) for word in ("-o", out, url)))
        found = []
        for out in outputs:
            with open(out, "rb") as file:
                found.append(hashlib.sha256(file.read()).hexdigest())
        return found


class Wrk(unittest.TestCase):
    @needs("wrk")
    def test_every_request_is_answered(self):
        with programs.Server("http_hello") as server:
            before = server.stats()
            for connections in ("50", "500"):
                output = run("wrk", "-t2", f"-c{connections}", f"-d{SECONDS}s", "--timeout", f"{programs.PATIENCE:.0f}s",
                             f"http://{LOCAL}:{server.port}/")
                self.assertNotIn("Socket errors", output)
                self.assertNotIn("Non-2xx", output)
                self.assertGreater(int(re.search(r"(\d+) requests in", output)[1]), 1000, output)
            server.expect_idle(before)


class Nginx(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = random.Random(1).randbytes(8_000_000)
        self.root = os.path.join(self.folder.name, "root")
        os.mkdir(self.root)
        with open(os.path.join(self.root, "big"), "wb") as file:
            file.write(self.data)
        self.digest = hashlib.sha256(self.data).hexdigest()

    @needs("nginx")
    def test_a_server_behind_it_keeps_its_connections(self):
        with programs.Server("http_hello") as server:
            before = server.stats()
            hello = get(f"http://{LOCAL}:{server.port}/")[0]
            conf = (f"upstream hello {{ server {LOCAL}:{server.port}; keepalive 4; }} server {{ LISTEN location / {{"
                    f" proxy_pass http://hello; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}")
            with nginx(self.folder.name, conf) as port:
                self.assertEqual(get(*[f"http://{LOCAL}:{port}/{i}" for i in range(200)]), [hello] * 200)
                programs.eventually(lambda: server.stats()["conns"] <= 4, "no more than four connections are kept")
            server.expect_idle(before)

    @needs("nginx")
    def test_it_is_reached_through_the_proxy(self):
        with nginx(self.folder.name, f"server {{ LISTEN root {self.root}; }}") as port:
            with programs.Server("tcp_proxy", "--to", f"{LOCAL}:{port}") as proxy:
                before = proxy.stats()
                self.assertEqual(get(*[f"http://{LOCAL}:{proxy.port}/big"] * 10), [self.digest] * 10)
                proxy.expect_idle(before)

    @needs("nginx")
    def test_it_speaks_tls_with_a_server_behind_it_and_believes_the_certificate(self):
        key, certificate = (os.path.join(self.folder.name, name) for name in ("key.pem", "certificate.pem"))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=hello",
            "-addext", "subjectAltName=DNS:hello", "-days", "2", "-keyout", key, "-out", certificate)
        with programs.Server("file_server", "--root", self.root, "--tls", certificate, key) as server:
            before = server.stats()
            conf = (f"server {{ LISTEN location / {{ proxy_pass https://{LOCAL}:{server.port}; proxy_ssl_name hello;"
                    f" proxy_ssl_verify on; proxy_ssl_trusted_certificate {certificate}; }} }}")
            with nginx(self.folder.name, conf) as port:
                self.assertEqual(get(*[f"http://{LOCAL}:{port}/big"] * 10), [self.digest] * 10)
            server.expect_idle(before)


class Iperf3(unittest.TestCase):
    @needs("iperf3")
    def test_it_measures_through_the_proxy(self):
        port = free_port()
        with running(port, "iperf3", "-s", "-B", LOCAL, "-p", str(port)):
            with programs.Server("tcp_proxy", "--to", f"{LOCAL}:{port}") as proxy:
                before = proxy.stats()
                for way in ([], ["-R"], ["--bidir"], ["-P", "8"]):
                    report = json.loads(run("iperf3", "-c", LOCAL, "-p", str(proxy.port), "-t", str(SECONDS), "-J", *way))
                    self.assertGreater(report["end"]["sum_received"]["bytes"], 10_000_000, way)
                    proxy.expect_idle(before)


if __name__ == "__main__":
    programs.main()
