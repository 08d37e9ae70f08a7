# SPDX-License-Identifier: BSL-1.0
"""download: from its own server, from Python's, and from servers that do wrong."""

import contextlib
import fcntl
import hashlib
import http.server
import os
import pty
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

import programs

MEBIBYTE = 1 << 20
CONTROL = re.compile(r"\x1b\[[0-9]*[A-Za-z]")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_files(folder):
    """Everything in it, hidden files too: name to content."""
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            files[name] = file.read()
    return files


class SourceHandler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; a name may bring its fault along."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with self.server.counting():
            self.answer(self.path.lstrip("/"))

    def answer(self, name):
        kind, _, rest = name.partition("/")
        if kind == "cut":
            self.start(1000)
            self.wfile.write(b"x" * 400)
        elif kind == "cut-chunk":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"ff\r\n" + b"x" * 100)
        elif kind == "reset":
            self.start(1000)
            self.wfile.write(b"x" * 400)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif kind == "stall":
            self.start(1000)
            self.wfile.write(b"x" * 400)
            self.server.let_go.wait(programs.PATIENCE)
        elif kind == "silent":
            self.server.let_go.wait(programs.PATIENCE)
        elif kind == "short-length":
            # More bytes than were announced: the excess is not part of the file.
            self.start(100)
            self.wfile.write(b"y" * 300)
        elif kind == "drip":
            self.drip(self.server.files[rest], self.server.drip_seconds)
            return
        elif name in self.server.files:
            self.start(len(self.server.files[name]))
            self.wfile.write(self.server.files[name])
            return
        else:
            self.send_error(404)
        self.close_connection = True

    def start(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def drip(self, data, seconds):
        self.start(len(data))
        pieces = 20
        for i in range(pieces):
            self.wfile.write(data[len(data) * i // pieces:len(data) * (i + 1) // pieces])
            time.sleep(seconds / pieces)


class Source(http.server.ThreadingHTTPServer):
    """A server in this process: `with Source(files) as source`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, files, drip_seconds=0.3, context=None):
        super().__init__(("127.0.0.1", 0), SourceHandler)
        self.files = files
        self.drip_seconds = drip_seconds
        self.let_go = threading.Event()
        self.lock = threading.Lock()
        self.active = 0
        self.most_active = 0
        scheme = "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
            scheme = "https"
        self.origin = f"{scheme}://localhost:{self.server_port}/"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        pass  # clients break off here, on purpose

    @contextlib.contextmanager
    def counting(self):
        with self.lock:
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        try:
            yield
        finally:
            with self.lock:
                self.active -= 1

    def __exit__(self, *_):
        self.let_go.set()
        self.shutdown()
        self.server_close()


def python_server(folder):
    """`python3 -m http.server`, in a process of its own."""

    @contextlib.contextmanager
    def running():
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            port = re.search(r"port (\d+)", process.stdout.readline())[1]
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    return running()


def environment(**extra):
    """Ours, without a proxy between us and the servers of the tests."""
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env.update(extra)
    return env


class DownloadTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="download-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.into = os.path.join(self.folder, "into")
        self.temporary = os.path.join(self.folder, "tmp")
        os.mkdir(self.temporary)

    def start(self, *arguments, **options):
        process = subprocess.Popen([programs.path("download"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env=environment(TMPDIR=self.temporary), **options)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()

    def download(self, *arguments, **options):
        """Exit status, output."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=4 * programs.PATIENCE)
        self.assertEqual(err, "")
        return process.returncode, out

    def table(self, out):
        """The rows of the report: source to (bytes, SHA-256 or failure, seconds). All are equally long but for a
        failure's reason, which stands on a line of its own under its row."""
        rows = {}
        head, *lines = ("source " + out.split("\nsource ", 1)[1].split("\n\n", 1)[0]).splitlines()
        column = head.index("own time")
        while lines:
            line = lines.pop(0)
            match = re.fullmatch(r"(\S+) +(\d+)  ([0-9a-f]{64}|failed +)  ([\d.]+) s", line)
            self.assertTrue(match, line)
            self.assertEqual(match.start(4), column, line)
            result = match[3]
            if result.startswith("failed"):
                reason = lines.pop(0)
                self.assertRegex(reason, r"\A    \S")
                result = "failed: " + reason.strip()
            rows[match[1]] = (int(match[2]), result, float(match[4]))
        return rows

    def closing_times(self, out):
        """Of the report's last lines: wall time, sum of the own times, how many were under way at once, what they would
        take one after another; the latter two None where they are not told."""
        match = re.search(r"^wall time ([\d.]+) s, sum of the own times ([\d.]+) s: (.*)$", out, re.M)
        self.assertTrue(match, out)
        at_once = re.fullmatch(r"([\d.]+) under way at once on average", match[3])
        if not at_once:
            self.assertEqual(match[3], "one by one")
        after_another = re.search(r"^one after another at this pace they would take about ([\d.]+) s; ", out, re.M)
        return (float(match[1]), float(match[2]), float(at_once[1]) if at_once else None,
                float(after_another[1]) if after_another else None)

    def servers_left(self):
        """Processes that serve a folder of this test."""
        left = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
                if words[0].endswith(b"file_server") and any(self.temporary.encode() in word for word in words):
                    left.append(int(pid))
        return left

    # -- the job ------------------------------------------------------------------------------------------------------

    def test_without_arguments_it_fetches_sample_files_from_a_server_of_its_own(self):
        status, out = self.download()
        self.assertEqual(status, 0, out)
        rows = self.table(out)
        for size in (1, 2, 4, 8, 16, 32, 64):
            row = next(row for source, row in rows.items() if source.endswith(f"/generated/{size:02}-MiB.bin"))
            self.assertEqual(row[0], size * MEBIBYTE)
        self.assertTrue(any("/sources/" in source for source in rows))
        self.assertIn("all checksums are right", out)
        self.assertRegex(out, r"\Afile_server serves \d+ files on port \d+; each answer begins 0.025 s after its request")
        self.assertGreaterEqual(min(seconds for _, _, seconds in rows.values()), 0.024)
        self.assertEqual(os.listdir(self.temporary), [])
        self.assertEqual(self.servers_left(), [])

    def test_a_proxy_of_the_environment_is_not_asked_for_the_sample_files(self):
        process = subprocess.run([programs.path("download")], capture_output=True, text=True, timeout=4 * programs.PATIENCE,
                                 env=environment(TMPDIR=self.temporary, http_proxy="http://127.0.0.1:1/"))
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)

    def test_one_by_one_it_fetches_the_same(self):
        status, out = self.download("--one-by-one")
        self.assertEqual(status, 0, out)
        self.assertIn("all checksums are right", out)
        wall, total, at_once, after_another = self.closing_times(out)
        self.assertLessEqual(total, wall * 1.02)
        self.assertEqual((at_once, after_another), (None, None))

    def test_from_a_distant_server_many_at_once_come_several_times_faster_than_one_by_one(self):
        served, delay, count = os.path.join(self.folder, "served"), 0.2, 16
        os.mkdir(served)
        for i in range(count):
            with open(os.path.join(served, str(i)), "wb") as file:
                file.write(b"x" * 1000)
        with programs.Server("file_server", "--root", served, "--delay", str(delay)) as server:
            urls = [f"http://127.0.0.1:{server.port}/{i}" for i in range(count)]
            status, out = self.download("--dir", self.into, *urls)
            self.assertEqual(status, 0, out)
            wall, total, at_once, _ = self.closing_times(out)
            status, out = self.download("--dir", self.into, "--one-by-one", *urls)
            self.assertEqual(status, 0, out)
            one_by_one = self.closing_times(out)[0]
        self.assertGreaterEqual(one_by_one, count * delay)
        self.assertLess(wall * 3, one_by_one)
        self.assertGreater(at_once, 3)
        self.assertTrue(one_by_one / 2 < total < one_by_one * 2, (total, one_by_one))

    def test_the_closing_lines_tell_what_was_measured(self):
        with Source({str(i): b"x" * 1000 for i in range(8)}, drip_seconds=0.5) as source:
            urls = [f"{source.origin}drip/{i}" for i in range(8)]
            status, out = self.download("--dir", self.into, "--limit", "4", *urls)
            self.assertEqual(status, 0, out)
            wall, total, at_once, after_another = self.closing_times(out)
            self.assertAlmostEqual(total, sum(seconds for _, _, seconds in self.table(out).values()), delta=0.01)
            self.assertAlmostEqual(at_once, total / wall, delta=0.06)
            self.assertAlmostEqual(after_another, total, delta=0.06)
            self.assertGreater(total, 8 * 0.4)
            self.assertTrue(2 < at_once < 4.05, out)

    def test_nothing_is_said_of_one_after_another_when_nothing_came_or_there_was_one(self):
        with Source({"file": b"x"}) as source:
            for names, least in ((("missing", "missing-too"), 1), (("file",), 0)):
                status, out = self.download("--dir", self.into, *(source.origin + name for name in names))
                self.assertEqual(status, least, out)
                self.assertIsNone(self.closing_times(out)[3], out)
                self.assertNotIn("one after another", out)

    def test_the_sample_files_go_where_dir_says_and_stay(self):
        into = os.path.join(self.into, "below")
        for copy, name in enumerate(("01-MiB.bin", "01-MiB-2.bin")):
            status, out = self.download("--dir", into)
            self.assertEqual(status, 0, out)
            self.assertTrue(out.endswith(f"all checksums are right\nthe files are in {into}\n"), out)
            with open(os.path.join(into, "generated", name), "rb") as file:
                self.assertIn(sha256(file.read()), out)
            kept = [os.path.join(folder, file) for folder, _, files in os.walk(into) for file in files]
            self.assertEqual(len(kept), len(self.table(out)) * (copy + 1))
            self.assertTrue(os.path.exists(os.path.join(into, "sources", "examples", "download.cpp")))
            self.assertEqual(os.listdir(self.temporary), [])

    def test_two_dashes_end_the_options(self):
        with Source({"file": b"x"}) as source:
            status, out = self.download("--dir", self.into, "--", source.origin + "file", "--limit")
        self.assertEqual(status, 1, out)
        self.assertIn("FAILED  --limit: ", out)
        self.assertEqual(read_files(self.into), {"file": b"x"})

    def test_it_fetches_from_pythons_http_server(self):
        files = {f"file-{size}.bin": random.Random(size).randbytes(size)
                 for size in (0, 1, 1000, 16384, 100_000, 5_000_000)}
        served = os.path.join(self.folder, "served")
        os.mkdir(served)
        for name, data in files.items():
            with open(os.path.join(served, name), "wb") as file:
                file.write(data)
        with python_server(served) as origin:
            status, out = self.download("--dir", self.into, *(origin + name for name in files))
        self.assertEqual(status, 0, out)
        self.assertEqual(read_files(self.into), files)
        rows = self.table(out)
        for name, data in files.items():
            self.assertEqual(rows[origin + name][:2], (len(data), sha256(data)))
        self.assertEqual(sum(line.startswith("done ") for line in out.splitlines()), len(files))
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\r", out)

    def test_a_hundred_files_from_three_sources_at_once(self):
        with contextlib.ExitStack() as stack:
            sources = [stack.enter_context(Source({f"{letter}{i}": random.Random(i).randbytes(i * 1000) for i in range(34)}))
                       for letter in "abc"]
            urls = [source.origin + name for source in sources for name in source.files]
            status, out = self.download("--dir", self.into, *urls)
            self.assertEqual(status, 0, out)
            self.assertEqual(read_files(self.into), {k: v for source in sources for k, v in source.files.items()})

    def test_the_limit_bounds_how_many_are_fetched_together(self):
        files = {str(i): b"x" * 1000 for i in range(24)}
        for arguments, most in ((("--limit", "3"), 3), ((), 16), (("--limit", "100"), 24), (("--one-by-one",), 1)):
            count = 24 if most > 1 else 4
            with self.subTest(arguments), Source(files) as source:
                urls = [f"{source.origin}drip/{i}" for i in range(count)]
                status, out = self.download("--dir", os.path.join(self.into, str(most)), *arguments, *urls)
                self.assertEqual(status, 0, out)
                self.assertEqual(source.most_active, most)

    # -- names --------------------------------------------------------------------------------------------------------

    def test_files_are_named_by_the_last_segment_and_never_overwrite_one_another(self):
        files = {name: name.encode() for name in ("a/x.tar.gz", "b/x.tar.gz", "c/x.tar.gz", "x.txt", "d/%2e%2e%2fup",
                                                  "d/", "e/", "f/.hidden", "g/sp%20ace.txt", "h/x", "i/x", "j/%2e%2e")}
        os.mkdir(self.into)
        with open(os.path.join(self.into, "x.txt"), "wb") as file:
            file.write(b"mine")
        with Source(files) as source:
            status, out = self.download("--one-by-one", "--dir", self.into, *(source.origin + name for name in files))
        self.assertEqual(status, 0, out)
        self.assertEqual(read_files(self.into), {
            "x.txt": b"mine", "x-2.txt": b"x.txt", "x.tar.gz": b"a/x.tar.gz", "x-2.tar.gz": b"b/x.tar.gz",
            "x-3.tar.gz": b"c/x.tar.gz", ".._up": b"d/%2e%2e%2fup", "index.html": b"d/", "index-2.html": b"e/",
            ".hidden": b"f/.hidden", "sp ace.txt": b"g/sp%20ace.txt", "x": b"h/x", "x-2": b"i/x",
            "index-3.html": b"j/%2e%2e"})
        self.assertEqual(os.listdir(self.folder).count("up"), 0)

    # -- failures -----------------------------------------------------------------------------------------------------

    def test_each_failing_source_is_named_with_its_reason_and_the_others_go_on(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            refused = f"http://127.0.0.1:{unused.getsockname()[1]}/refused"
            with Source({"good": b"good" * 1000, "drop": b"slow" * 1000}) as source:
                reasons = {
                    source.origin + "missing": "the server answered 404",
                    source.origin + "cut/x": "cut off after 400 of 1000 bytes",
                    source.origin + "cut-chunk/x": "cut off after 100 bytes",
                    source.origin + "reset/x": "cut off after",
                    source.origin + "stall/x": "stalled after 400 bytes",
                    refused: "cannot connect to 127.0.0.1: Connection refused",
                    "http://no-such-host.invalid/x": "unknown host no-such-host.invalid",
                    "ftp://localhost/x": "only http:// and https://",
                    "nonsense": "http:// or https://",
                }
                good = [source.origin + "good", source.origin + "drip/drop"]
                status, out = self.download("--dir", self.into, "--stall-timeout", "1", *reasons, *good)
        self.assertEqual(status, 1, out)
        self.assertEqual(read_files(self.into), {"good": b"good" * 1000, "drop": b"slow" * 1000})
        lines = out.splitlines()
        for url, reason in reasons.items():
            self.assertTrue(any(line.startswith(f"FAILED  {url}: ") and reason in line for line in lines), (url, out))
            self.assertRegex(self.table(out)[url][1], "\\Afailed: .*" + re.escape(reason))
        self.assertIn("2 of 11 sources fetched", out)
        self.assertIn("9 failed", out)

    def test_a_source_that_takes_too_long_is_given_up(self):
        with Source({}) as source:
            start = time.monotonic()
            status, out = self.download("--dir", self.into, "--timeout", "0.5", source.origin + "stall/x",
                                        source.origin + "silent/x")
            self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(status, 1)
        self.assertEqual(out.count("FAILED "), 2)
        self.assertEqual([result for _, result, _ in self.table(out).values()], ["failed: not complete within 0.5 s"] * 2)
        self.assertEqual(read_files(self.into), {})

    def test_a_server_that_sends_more_than_it_announced(self):
        with Source({}) as source:
            status, out = self.download("--dir", self.into, source.origin + "short-length/x")
        self.assertEqual(status, 0, out)
        self.assertEqual(read_files(self.into), {"x": b"y" * 100})

    def test_a_full_disk_is_named_and_what_fits_is_fetched(self):
        os.mkdir(self.into)
        files = {"large": b"x" * 3 * MEBIBYTE, "small": b"small"}
        with contextlib.ExitStack() as stack:
            options, reason = {}, "No space left on device"
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.into], capture_output=True)
            if mounted.returncode == 0:
                stack.callback(subprocess.run, ["umount", self.into], check=True)
            else:  # not root: a limit on the size of files fails in the same place
                def limit():
                    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))

                options, reason = {"preexec_fn": limit}, "File too large"
            source = stack.enter_context(Source(files))
            status, out = self.download("--one-by-one", "--dir", self.into, source.origin + "large",
                                        source.origin + "small", **options)
            self.assertEqual(status, 1, out)
            self.assertIn(f"FAILED  {source.origin}large: cannot write {self.into}/large: {reason}", out)
            self.assertEqual(read_files(self.into), {"small": b"small"})

    def test_a_folder_that_cannot_be_made(self):
        with open(os.path.join(self.folder, "file"), "wb"):
            pass
        process = self.start("--dir", os.path.join(self.folder, "file", "below"), "http://localhost/x")
        out, err = process.communicate(timeout=programs.PATIENCE)
        self.assertEqual((process.returncode, out, err.count("\n")), (1, "", 1), err)
        self.assertIn(os.path.join(self.folder, "file"), err)

    def test_folders_that_cannot_be_used_are_named_and_no_connection_error(self):
        file, missing = os.path.join(self.folder, "file"), os.path.join(self.folder, "no", "such")
        with open(file, "wb"):
            pass
        os.mkdir(self.into)
        for arguments, temporary, named in ((("--dir", file), self.temporary, file),
                                            (("--dir", file, "http://localhost/x"), self.temporary, file),
                                            ((), missing, missing),
                                            ((), file, file),
                                            ((), "/proc", "/proc"),
                                            (("--dir", "/proc/no"), self.temporary, "/proc/no"),
                                            (("--dir", "/proc/no", "http://localhost/x"), self.temporary, "/proc/no")):
            with self.subTest(arguments, temporary=temporary):
                done = subprocess.run([programs.path("download"), *arguments], capture_output=True, text=True,
                                      timeout=programs.PATIENCE, env=environment(TMPDIR=temporary))
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
                self.assertTrue(done.stderr.startswith(f"download: cannot use {named}: "), done.stderr)

    def test_a_folder_for_temporary_files_that_is_full(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))

        process = self.start(preexec_fn=limit)
        out, err = process.communicate(timeout=programs.PATIENCE)
        self.assertEqual((process.returncode, out, err.count("\n")), (1, "", 1), err)
        self.assertRegex(err, rf"\Adownload: cannot use {self.temporary}/\S+/02-MiB.bin: File too large\n\Z")
        self.assertEqual(os.listdir(self.temporary), [])

    def test_wrong_arguments_are_one_clear_line_and_exit_2(self):
        for arguments in (("--limit", "0"), ("--limit", "many"), ("--timeout", "0"), ("--no-such-option",), ("--dir",),
                          ("--dir", ""), ("--one-by-one", "--limit", "3"), ("--backend", "kqueue")):
            status, out, err = programs.run("download", *arguments)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1), arguments)

    def test_a_certificate_that_nobody_vouches_for_is_refused(self):
        certificate, key = os.path.join(self.folder, "cert.pem"), os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with Source({"file": b"secure" * 10000}, context=context) as source:
            status, out = self.download("--dir", self.into, source.origin + "file")
            self.assertEqual(status, 1, out)
            self.assertIn("certificate refused", out)
            self.assertEqual(read_files(self.into), {})
            status, out = self.download("--dir", self.into, "--ca-file", certificate, source.origin + "file")
            self.assertEqual(status, 0, out)
            self.assertEqual(read_files(self.into), {"file": b"secure" * 10000})
            elsewhere = source.origin.replace("localhost", "127.0.0.1")
            status, out = self.download("--dir", self.into, "--ca-file", certificate, elsewhere + "file")
            self.assertEqual(status, 1, out)
            self.assertIn("certificate refused", out)

    # -- being stopped ------------------------------------------------------------------------------------------------

    def stop(self, process, number):
        """Seconds from the signal, for which it must have begun, to the end."""
        programs.eventually(lambda: programs.catches(process.pid, number) or process.poll() is not None, "it has begun")
        start = time.monotonic()
        process.send_signal(number)
        process.communicate(timeout=programs.PATIENCE)
        return time.monotonic() - start

    def test_ctrl_c_at_any_moment_leaves_only_complete_files(self):
        files = {str(i): random.Random(i).randbytes(200_000) for i in range(20)}
        moments = random.Random(20)
        for attempt in range(12):
            into = os.path.join(self.into, str(attempt))
            os.makedirs(into)
            with Source(files, drip_seconds=0.5) as source:
                urls = [f"{source.origin}{kind}{i}" for i, kind in enumerate(["", "drip/"] * 10)]
                process = self.start("--dir", into, "--limit", "8", *urls, source.origin + "silent/x",
                                     "http://no-such-host.invalid/x")
                time.sleep(moments.uniform(0.05, 1.0))
                seconds = self.stop(process, signal.SIGINT)
                self.assertLess(seconds, 1.0)
                self.assertEqual(process.returncode, 130)
                for name, data in read_files(into).items():
                    self.assertEqual(sha256(data), sha256(files[name]), (attempt, name))

    def test_ctrl_c_takes_the_server_and_the_temporary_files_along(self):
        moments = random.Random(5)
        for attempt in range(8):
            process = self.start()
            time.sleep(moments.uniform(0, 1.5) * attempt / 8)
            if process.poll() is not None:
                self.assertEqual(process.returncode, 0)
                continue
            seconds = self.stop(process, signal.SIGINT)
            self.assertLess(seconds, 1.0)
            self.assertIn(process.returncode, (130, 0))
            self.assertEqual(os.listdir(self.temporary), [])
            self.assertEqual(self.servers_left(), [])

    def test_sigterm_stops_it_as_cleanly(self):
        os.mkdir(self.into)
        with Source({}) as source:
            process = self.start("--dir", self.into, source.origin + "stall/x")
            programs.eventually(lambda: os.listdir(self.into), "the download has begun")
            self.assertLess(self.stop(process, signal.SIGTERM), 1.0)
        self.assertEqual(process.returncode, 143)
        self.assertEqual(read_files(self.into), {})

    def test_a_reader_of_its_output_may_leave(self):
        with Source({str(i): b"x" * 1000 for i in range(50)}) as source:
            process = self.start("--dir", self.into, *(source.origin + str(i) for i in range(50)))
            process.stdout.close()
            self.assertEqual(process.wait(programs.PATIENCE), 0)
        self.assertEqual(len(read_files(self.into)), 50)

    # -- the terminal -------------------------------------------------------------------------------------------------

    def on_terminal(self, *arguments, rows=30, columns=100, term="xterm"):
        """Runs it on a terminal: exit status, [(seconds, text)]."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen([programs.path("download"), *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
                                   env=environment(TMPDIR=self.temporary, TERM=term), start_new_session=True)
        os.close(theirs)
        pieces = []
        with contextlib.suppress(OSError):  # how a terminal tells that nobody is left
            while piece := os.read(ours, 1 << 16):
                pieces.append((time.monotonic(), piece.decode()))
        os.close(ours)
        return process.wait(programs.PATIENCE), pieces

    def test_a_terminal_shows_bars_with_rate_and_time_left_at_most_10_times_a_second(self):
        with Source({"file": b"x" * 2_000_000}, drip_seconds=2) as source:
            status, pieces = self.on_terminal("--dir", self.into, source.origin + "drip/file", source.origin + "missing")
        text = "".join(piece for _, piece in pieces)
        self.assertEqual(status, 0 if "FAILED" not in text else 1)
        self.assertRegex(text, r"drip/file +\[#+\.+\] +\d+% +[\d.]+ [kM]?B +[\d.]+ [kM]B/s +\d:\d\d")
        self.assertIn("FAILED  " + source.origin + "missing: the server answered 404", text)
        frames = [moment for moment, piece in pieces for _ in re.finditer(r"\d of 2 done", piece)]
        self.assertGreater(len(frames), 8)
        for first, last in zip(frames, frames[10:]):
            self.assertGreater(last - first, 0.95, "eleven drawings within a second")
        report = text.rsplit("\x1b[", 1)[1]
        self.assertIn("source", report)
        self.assertIn(sha256(b"x" * 2_000_000), report)
        self.assertEqual(read_files(self.into), {"file": b"x" * 2_000_000})

    def test_more_sources_than_lines_do_not_scroll_the_bars_away(self):
        files = {str(i): b"x" * 1000 for i in range(30)}
        rows, columns = 10, 60
        with Source(files, drip_seconds=1) as source:
            status, pieces = self.on_terminal("--dir", self.into, "--limit", "30",
                                              *(f"{source.origin}drip/{i}" for i in range(30)), rows=rows, columns=columns)
        self.assertEqual(status, 0)
        text = "".join(piece for _, piece in pieces)
        ups = [int(number) for number in re.findall(r"\x1b\[(\d+)A", text)]
        self.assertTrue(ups)
        self.assertLess(max(ups), rows)
        self.assertIn("not shown", text)
        drawn = text.split("\nsource ", 1)[0]
        for line in CONTROL.sub("", drawn).replace("\r", "").split("\n"):
            self.assertLess(len(line), columns)

    def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(self):
        with Source({"file": b"x" * 1000}) as source:
            status, pieces = self.on_terminal("--dir", self.into, source.origin + "file", term="dumb")
        text = "".join(piece for _, piece in pieces)
        self.assertEqual(status, 0)
        self.assertNotIn("\x1b", text)
        self.assertIn("done ", text)

    def test_ctrl_c_on_a_terminal(self):
        os.mkdir(self.into)
        ours, theirs = pty.openpty()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        with Source({}) as source:
            process = subprocess.Popen([programs.path("download"), "--dir", self.into, source.origin + "stall/x"],
                                       stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal,
                                       env=environment(TMPDIR=self.temporary, TERM="xterm"))
            os.close(theirs)
            self.addCleanup(os.close, ours)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            programs.eventually(lambda: os.listdir(self.into), "the download has begun")
            os.write(ours, b"\x03")
            start = time.monotonic()
            self.assertEqual(process.wait(programs.PATIENCE), 130)
            self.assertLess(time.monotonic() - start, 1.0)
        self.assertEqual(read_files(self.into), {})


if __name__ == "__main__":
    programs.main()
