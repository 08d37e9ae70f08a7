# SPDX-License-Identifier: BSL-1.0
"""file_server as curl, wget, Python's http.client and ill-behaved clients see it."""

import concurrent.futures
import hashlib
import http.client
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import programs

MEBIBYTE = 1 << 20
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Folder:
    """What the server serves, and what lies outside and must not be reached."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="file-server-test-")
        self.root = os.path.join(self.top, "root")
        os.makedirs(os.path.join(self.root, "sub", "deep"))
        self.files = {}
        self.put("small.txt", b"hello\n")
        self.put("empty", b"")
        self.put("sub/deep/inner.txt", b"inner\n")
        self.put("with space & \u00fc%.txt", b"odd\n")
        self.put("medium.bin", random.Random(1).randbytes(3 * MEBIBYTE + 17))
        self.put("big.bin", random.Random(2).randbytes(64 * MEBIBYTE))
        with open(os.path.join(self.top, "secret"), "wb") as file:
            file.write(b"secret\n")
        os.symlink("small.txt", os.path.join(self.root, "link-inside"))
        os.symlink("../secret", os.path.join(self.root, "link-outside"))
        os.symlink(os.path.join(self.top, "secret"), os.path.join(self.root, "link-absolute"))
        os.symlink("..", os.path.join(self.root, "link-folder"))
        os.symlink("link-loop", os.path.join(self.root, "link-loop"))
        os.mkfifo(os.path.join(self.root, "pipe"))

    def put(self, name, data):
        self.files[name] = data
        with open(os.path.join(self.root, name), "wb") as file:
            file.write(data)

    def remove(self):
        shutil.rmtree(self.top)


class FileServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Folder()
        cls.addClassCleanup(cls.folder.remove)

    def setUp(self):
        self.server = self.enterContext(programs.Server("file_server", "--root", self.folder.root))

    def url(self, path):
        return f"http://127.0.0.1:{self.server.port}/{path}"

    def client(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=programs.PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def get(self, path, method="GET", headers=None):
        """Status, headers and body of one request on a connection of its own."""
        connection = self.client()
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer, answer.read()

    def raw(self, request):
        """Everything that the server says to these bytes, until it closes."""
        with self.server.connect() as connection:
            connection.sendall(request)
            return programs.read_all(connection)

    # -- strangers ----------------------------------------------------------------------------------------------------

    def test_curl_gets_64_mib_with_the_right_checksum(self):
        got = subprocess.run(["curl", "-sS", "--fail", self.url("big.bin")], capture_output=True, check=True).stdout
        self.assertEqual(sha256(got), sha256(self.folder.files["big.bin"]))

    def test_wget_gets_64_mib_with_the_right_checksum(self):
        got = subprocess.run(["wget", "-q", "-O", "-", self.url("big.bin")], capture_output=True, check=True).stdout
        self.assertEqual(sha256(got), sha256(self.folder.files["big.bin"]))

    def test_curl_and_wget_continue_a_download(self):
        whole = self.folder.files["medium.bin"]
        for command in (["curl", "-sS", "--fail", "-C", "-", "-o"], ["wget", "-q", "-c", "-O"]):
            with self.subTest(command[0]), tempfile.TemporaryDirectory() as there:
                path = os.path.join(there, "file")
                with open(path, "wb") as file:
                    file.write(whole[:1000])
                subprocess.run([*command, path, self.url("medium.bin")], check=True)
                with open(path, "rb") as file:
                    self.assertEqual(sha256(file.read()), sha256(whole))

    def test_200_at_once_get_64_mib_each_and_the_server_holds_none_of_it_in_memory(self):
        expected = sha256(self.folder.files["big.bin"])
        count = 200
        before = self.server.stats()
        answers = []
        for _ in range(count):
            connection = self.client()
            connection.request("GET", "/big.bin", headers={"Connection": "close"})
            answers.append(connection.getresponse())
        during = self.server.stats()
        self.assertEqual(during["conns"], count)
        self.assertLess(during["rss_kb"] - before["rss_kb"], count * 1024 * programs.MEMORY_FACTOR)

        def checksum(answer):
            sum = hashlib.sha256()
            while piece := answer.read(MEBIBYTE):
                sum.update(piece)
            answer.close()
            return sum.hexdigest()

        with concurrent.futures.ThreadPoolExecutor(count) as threads:
            self.assertEqual(set(threads.map(checksum, answers)), {expected})
        self.server.expect_idle(before)

    # -- HTTP ---------------------------------------------------------------------------------------------------------

    def test_one_connection_serves_many_requests(self):
        before = self.server.stats()
        connection = self.client()
        for name in ("small.txt", "empty", "sub/deep/inner.txt", "medium.bin", "small.txt"):
            connection.request("GET", "/" + name)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, self.folder.files[name]))
            self.assertEqual(self.server.stats()["conns"], 1)
        connection.request("GET", "/missing")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 404)
        answer.read()
        connection.request("GET", "/small.txt?query=1")
        self.assertEqual(connection.getresponse().read(), b"hello\n")
        connection.close()
        self.server.expect_idle(before)

    def test_requests_that_come_in_one_piece_are_answered_in_order(self):
        answer = self.raw(b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n"
                          b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"
                          b"GET /sub/deep/inner.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(STATUS.findall(answer), [b"200", b"404", b"200"])
        self.assertTrue(answer.endswith(b"inner\n"))

    def test_head_tells_the_size_and_sends_nothing(self):
        connection = self.client()
        for name, status in (("/medium.bin", 200), ("/missing", 404), ("/small.txt", 200)):
            connection.request("HEAD", name)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (status, b""))
            if status == 200:
                self.assertEqual(int(answer.headers["Content-Length"]), len(self.folder.files[name[1:]]))

    def test_http_1_0_closes_unless_it_is_asked_to_stay(self):
        answer = self.raw(b"GET /small.txt HTTP/1.0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nhello\n"))
        answer = self.raw(b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /empty HTTP/1.0\r\n\r\n")
        self.assertEqual(STATUS.findall(answer), [b"200", b"200"])

    def test_a_proxys_form_of_target_and_an_empty_line_before_the_request(self):
        for request in (b"GET http://a.example/small.txt HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
                        b"\r\nGET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
            self.assertTrue(self.raw(request).endswith(b"\r\n\r\nhello\n"), request)

    def test_names_are_percent_decoded(self):
        for path in ("/with%20space%20%26%20%C3%BC%25.txt", "/with%20space%20&%20%c3%bc%25.txt"):
            self.assertEqual(self.get(path)[2], b"odd\n")

    def test_ranges(self):
        whole = self.folder.files["medium.bin"]
        size = len(whole)
        for value, first, last in (("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), (f"bytes={size - 1}-", size - 1, size - 1),
                                   ("bytes=-7", size - 7, size - 1), (f"bytes=10-{size * 2}", 10, size - 1),
                                   (f"bytes=-{size * 2}", 0, size - 1)):
            with self.subTest(value):
                status, answer, body = self.get("/medium.bin", headers={"Range": value})
                self.assertEqual((status, answer.headers["Content-Range"]), (206, f"bytes {first}-{last}/{size}"))
                self.assertEqual(sha256(body), sha256(whole[first:last + 1]))
        for value in (f"bytes={size}-", "bytes=-0"):
            self.assertEqual(self.get("/medium.bin", headers={"Range": value})[0], 416, value)
        for value in ("bytes=9-5", "bytes=a-b", "bytes=-", "lines=1-2", "bytes=0-1,5-6"):
            status, _, body = self.get("/medium.bin", headers={"Range": value})
            self.assertEqual((status, len(body)), (200, size), value)

    def test_methods_other_than_get_and_head_are_refused(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
            status, answer, _ = self.get("/small.txt", method=method)
            self.assertEqual((status, answer.headers["Allow"]), (405, "GET, HEAD"), method)

    def test_the_answer_to_a_large_unwanted_body_can_be_read(self):
        body = b"x" * (700 * 1024)
        answer = self.raw(b"POST /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertTrue(answer.startswith(b"HTTP/1.1 405 "), answer[:100])

    # -- refusals -----------------------------------------------------------------------------------------------------

    def test_what_could_be_understood_in_two_ways_is_refused_and_the_connection_closed(self):
        get = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n"
        smuggled = b"\r\nGET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n"
        for status, request in (
                (400, get + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n" + smuggled),
                (400, get + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + smuggled),
                (400, get + b"Content-Length: 0\r\nContent-Length: 40\r\n" + smuggled),
                (400, get + b"Content-Length: 5\r\nContent-Length: 5\r\n" + smuggled),
                (400, get + b"Content-Length: 5, 5\r\n" + smuggled),
                (400, get + b"Content-Length: +5\r\n" + smuggled),
                (400, get + b"Content-Length: 0x5\r\n" + smuggled),
                (400, get + b"Content-Length: 99999999999999999999999\r\n" + smuggled),
                (400, get + b"Content-Length:\r\n" + smuggled),
                (400, get + b"Content-Length : 5\r\n" + smuggled),
                (400, get + b"X: 1\r\n folded\r\n" + smuggled),
                (400, b"GET /small.txt HTTP/1.1\r\n Host: a\r\n" + smuggled),
                (400, b"GET /small.txt HTTP/1.1\nHost: a\n\n"),
                (400, get + b"X: 1\n" + smuggled),
                (400, get + b"X: a\rb\r\n" + smuggled),
                (400, get + b"X: a\0b\r\n" + smuggled),
                (400, get + b"Host: b\r\n" + smuggled),
                (400, b"GET /small.txt HTTP/1.1\r\n\r\n"),
                (400, b"GET /small.txt HTTP/1.1\r\nHost: a b\r\n" + smuggled),
                (400, get + b"No colon\r\n" + smuggled),
                (400, get + b": no name\r\n" + smuggled),
                (400, get + b"Bad(name): x\r\n" + smuggled),
                (400, b"GET  /small.txt HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"GET /small.txt  HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"GET /small.txt\r\n" + smuggled),
                (400, b"GET small.txt HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"GET * HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"GET /small.txt#part HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"G(T /small.txt HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"GET /small.txt http/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"GET /small.txt HTTP/11\r\nHost: a\r\n" + smuggled),
                (400, b"\r\n\r\nGET /small.txt HTTP/1.1\r\nHost: a\r\n" + smuggled),
                (400, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n"),
                (501, get + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + smuggled),
                (505, b"GET /small.txt HTTP/2.0\r\nHost: a\r\n" + smuggled)):
            with self.subTest(request):
                answer = self.raw(request)
                self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer[:200])
                self.assertEqual(len(STATUS.findall(answer)), 1)
                self.assertIn(b"\r\nConnection: close\r\n", answer)

    def test_heads_have_limits(self):
        get = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n"
        for status, request in ((414, b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
                                (414, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
                                (414, b"x" * 100000),
                                (431, get + b"X: " + b"x" * 20000 + b"\r\n\r\n"),
                                (431, get + b"X: 1\r\n" * 100 + b"\r\n"),
                                (431, get + (b"X: " + b"x" * 1000 + b"\r\n") * 20 + b"\r\n"),
                                (200, get + b"Connection: close\r\n" + b"X: 1\r\n" * 98 + b"\r\n"),
                                (200, get + b"Connection: close\r\nX: " + b"x" * 15000 + b"\r\n\r\n")):
            with self.subTest(status=status, size=len(request)):
                self.assertTrue(self.raw(request).startswith(b"HTTP/1.1 %d " % status))

    def test_no_path_leads_out_of_the_folder(self):
        for path, statuses in (("/../secret", {403}), ("/sub/../../secret", {403}), ("/%2e%2e/secret", {403}),
                               ("/%2E%2E%2Fsecret", {403}), ("/..%2fsecret", {403}), ("/sub/%2e%2e/%2e%2e/secret", {403}),
                               ("/.%2e/secret", {403}), ("//../secret", {403}), ("/./small.txt", {403}),
                               ("/link-outside", {403}), ("/link-absolute", {403}), ("/link-folder/secret", {403}),
                               ("/link-loop", {403}), ("/small.txt%00.png", {400}), ("/%", {400}), ("/%zz", {400}),
                               ("/%2", {400}), ("/..%5csecret", {404}), ("/etc/passwd", {404}),
                               ("//etc/passwd", {404}), ("/" + "x" * 300, {404}), ("/" + "a/" * 3000, {404}),
                               ("/small.txt/", {404}), ("/small.txt/more", {404}), ("/", {404}), ("/sub", {404}),
                               ("/sub/", {404}), ("/pipe", {404})):
            with self.subTest(path[:60]):
                answer = self.raw(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                self.assertIn(int(answer.split(None, 2)[1]), statuses)
                self.assertNotIn(b"secret\n", answer)
        self.assertEqual(self.get("/link-inside")[2], b"hello\n")

    # -- trouble ------------------------------------------------------------------------------------------------------

    def test_readers_that_stop_reading_cost_little_and_disturb_nobody(self):
        before = self.server.stats()
        stuck = []
        for _ in range(50):
            connection = self.server.connect()
            self.addCleanup(connection.close)
            connection.sendall(b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            stuck.append(connection)
        for _ in range(5):
            self.assertEqual(self.get("/medium.bin", headers={"Connection": "close"})[2], self.folder.files["medium.bin"])
        grown = self.server.stats()["rss_kb"] - before["rss_kb"]
        self.assertLess(grown, 50 * 1024 * programs.MEMORY_FACTOR)
        for connection in stuck:
            programs.reset(connection)
        self.server.expect_idle(before)

    def test_clients_that_break_off_leave_nothing_behind(self):
        before = self.server.stats()
        for piece in (b"", b"G", b"GET /big.bin HTTP/1.1\r\n", b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"):
            for leave in (socket.socket.close, programs.reset):
                connection = self.server.connect()
                connection.sendall(piece)
                if piece.endswith(b"\r\n\r\n"):
                    connection.recv(1000)
                leave(connection)
        self.server.expect_idle(before)

    def test_a_file_that_shrinks_meanwhile_is_cut_off_and_never_made_up(self):
        path = os.path.join(self.folder.root, "shrinking.bin")
        with open(path, "wb") as file:
            file.truncate(64 * MEBIBYTE)
        connection = self.client()
        connection.request("GET", "/shrinking.bin")
        answer = connection.getresponse()
        os.truncate(path, MEBIBYTE)
        with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
            while answer.read(MEBIBYTE):
                pass
            raise http.client.IncompleteRead(b"") if answer.length else AssertionError("all of it came")

    def test_silent_connections_are_closed_after_the_idle_timeout(self):
        with programs.Server("file_server", "--root", self.folder.root, "--idle-timeout", "0.2") as server:
            before = server.stats()
            with server.connect() as silent:
                self.assertEqual(programs.read_all(silent), b"")
            server.expect_idle(before)

    def test_a_delay_comes_before_every_answer_and_many_wait_at_once(self):
        delay = 0.4
        requests = ["GET /small.txt HTTP/1.1\r\nHost: a", "GET /missing HTTP/1.1\r\nHost: a", "nonsense"]
        with programs.Server("file_server", "--root", self.folder.root, "--delay", str(delay)) as server:
            before = server.stats()
            start = time.monotonic()
            waiting = [server.connect() for _ in range(60)]
            for connection, request in zip(waiting, requests * 20):
                connection.sendall(request.encode() + b"\r\nConnection: close\r\n\r\n")
            statuses = []
            for connection in waiting:
                with connection:
                    statuses.append(int(programs.read_all(connection).split(None, 2)[1]))
                    self.assertGreaterEqual(time.monotonic() - start, delay)
            self.assertEqual(statuses, [200, 404, 400] * 20)
            self.assertLess(time.monotonic() - start, 20 * delay)
            server.expect_idle(before)

    def test_a_delay_is_taken_once_for_each_request_of_a_connection(self):
        for delay, least in (("0", 0), ("0.1", 0.5)):
            with programs.Server("file_server", "--root", self.folder.root, "--delay", delay) as server:
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=programs.PATIENCE)
                start = time.monotonic()
                for _ in range(5):
                    connection.request("GET", "/small.txt")
                    self.assertEqual(connection.getresponse().read(), b"hello\n")
                self.assertGreaterEqual(time.monotonic() - start, least)
                connection.close()

    def test_a_kernel_without_openat2_serves_no_way_out_either(self):
        command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS",
                   programs.path("file_server"), "--root", self.folder.root]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
            try:
                port = int(process.stdout.readline().split()[1])
                for path, *statuses in (("/small.txt", 200), ("/sub/deep/inner.txt", 200), ("/sub//deep/inner.txt", 200),
                                     ("/link-inside", 403), ("/link-outside", 403), ("/link-folder/secret", 403, 404),
                                     ("/link-loop", 403), ("/missing", 404), ("/sub/missing/x", 404), ("/sub", 404),
                                     ("/sub/", 404), ("/", 404), ("/small.txt/", 404), ("/small.txt/x", 404)):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=programs.PATIENCE)
                    connection.request("GET", path)
                    self.assertIn(connection.getresponse().status, statuses, path)
                    connection.close()
            finally:
                os.killpg(process.pid, signal.SIGKILL)

    def test_files_are_looked_up_anew_for_each_request(self):
        path = os.path.join(self.folder.root, "changing")
        for content in (b"one", b"another one", b""):
            with open(path, "wb") as file:
                file.write(content)
            self.assertEqual(self.get("/changing")[2], content)
        os.remove(path)
        self.assertEqual(self.get("/changing")[0], 404)


class ArgumentTest(unittest.TestCase):
    def test_a_root_that_is_not_a_folder_is_one_clear_line_and_exit_2(self):
        with tempfile.NamedTemporaryFile() as file:
            for root in ("/no/such/folder", file.name):
                status, out, err = programs.run("file_server", "--root", root)
                self.assertEqual((status, out, err.count("\n")), (2, "", 1))
                self.assertIn(root, err)

    def test_the_current_folder_is_the_default_root(self):
        with tempfile.TemporaryDirectory() as there:
            with open(os.path.join(there, "file"), "wb") as file:
                file.write(b"here\n")
            here = os.getcwd()
            os.chdir(there)
            try:
                with programs.Server("file_server") as server, server.connect() as connection:
                    connection.sendall(b"GET /file HTTP/1.0\r\n\r\n")
                    self.assertTrue(programs.read_all(connection).endswith(b"here\n"))
            finally:
                os.chdir(here)


if __name__ == "__main__":
    programs.main()
