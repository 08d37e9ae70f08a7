# SPDX-License-Identifier: BSL-1.0
"""A wrong argument is one clear line on stderr that names it, and exit status 2; --help names every option."""

import subprocess
import unittest

import programs

SERVERS = ("echo_server", "chat_server", "file_server")

WRONG_FOR_SERVERS = [
    (["--prot", "1"], "unknown option '--prot'"),
    (["-p", "1"], "unknown option '-p'"),
    (["extra"], "unexpected argument 'extra'"),
    (["--port", "1", "2"], "unexpected argument '2'"),
    (["--port"], "--port needs a value"),
    (["--port", "--host", "::1"], "--port needs a value"),
    (["--port", ""], "--port: '' is not a whole number from 0 to 65535"),
    (["--port", "65536"], "--port: '65536' is not a whole number from 0 to 65535"),
    (["--port", "-1"], "--port: '-1' is not a whole number from 0 to 65535"),
    (["--port", "80x"], "--port: '80x' is not a whole number from 0 to 65535"),
    (["--port", "1.5"], "--port: '1.5' is not a whole number"),
    (["--port=http"], "--port: 'http' is not a whole number"),
    (["--port", "99999999999999999999"], "--port: '99999999999999999999' is not a whole number"),
    (["--backend", "kqueue"], "--backend: 'kqueue' is neither epoll nor io_uring"),
    (["--backend"], "--backend needs a value"),
    (["--idle-timeout", "0"], "--idle-timeout: '0' is not a number of seconds above 0"),
    (["--idle-timeout", "-3"], "--idle-timeout: '-3' is not a number of seconds above 0"),
    (["--idle-timeout", "nan"], "--idle-timeout: 'nan' is not a number of seconds above 0"),
    (["--idle-timeout", "inf"], "--idle-timeout: 'inf' is not a number of seconds above 0"),
    (["--idle-timeout", "1s"], "--idle-timeout: '1s' is not a number of seconds above 0"),
    (["--max-conns", "-1"], "--max-conns: '-1' is not a whole number from 0"),
    (["--max-conns", "many"], "--max-conns: 'many' is not a whole number from 0"),
    (["--unix"], "--unix needs a value"),
    (["--unix", ""], "--unix: an empty path names no Unix socket"),
    (["--unix", "x" * 108], "--unix: AF_UNIX path too long: 108 bytes, at most 107"),
    (["--unix", "/s", "--port", "1"], "--unix and --port exclude each other"),
    (["--host", "::1", "--unix", "/s"], "--unix and --host exclude each other"),
    (["--", "extra"], "unexpected argument 'extra'"),
    (["--", "--port"], "unexpected argument '--port'"),
    (["--", "--help"], "unexpected argument '--help'"),
    (["--", "--"], "unexpected argument '--'"),
    (["--port", "--", "1"], "--port needs a value"),
    (["--help=yes"], "unknown option '--help'"),
    (["--\x1b[31m\n"], r"unknown option '--\x1b[31m\x0a'"),
]

WRONG_FOR_FILE_SERVER = [
    (["--delay", value], f"--delay: '{value}' is not a number of seconds, 0 or above")
    for value in ("", "soon", "-1", "-0", "nan", "inf", "1s", "2e9", "0x1")
] + [
    (["--delay"], "--delay needs a value"),
]

WRONG_FOR_CLIENT = [
    ([], "--port is needed"),
    (["--port", "0"], "--port: '0' is not a whole number from 1 to 65535"),
    (["--port", "1", "--unix", "/s"], "--unix and --port exclude each other"),
    (["--unix", ""], "--unix: an empty path names no Unix socket"),
    (["--port", "1", "--count", "0"], "--count: '0' is not a whole number from 1"),
    (["--port", "1", "--size", "x"], "--size: 'x' is not a whole number from 1"),
    (["--port", "1", "--connections", ""], "--connections: '' is not a whole number from 1"),
    (["--port", "1", "--timeout", "soon"], "--timeout: 'soon' is not a number of seconds above 0"),
    (["--port", "1", "--message"], "--message needs a value"),
    (["--port", "1", "--message="], "--message is empty"),
    (["--port", "1", "--message", "x", "--size", "5"], "--message and --size exclude each other"),
    (["--port", "1", "--backend", "kqueue"], "--backend: 'kqueue' is neither epoll nor io_uring"),
    (["--port", "1", "--idle-timeout", "5"], "unknown option '--idle-timeout'"),
]


class Arguments(unittest.TestCase):
    def expect_refusal(self, program, arguments, reason):
        with self.subTest(program=program, arguments=arguments):
            status, output, errors = programs.run(program, *arguments)
            self.assertEqual((status, output), (2, ""))
            self.assertEqual(errors.count("\n"), 1, errors)
            self.assertTrue(errors.startswith(f"{program}: {reason}"), errors)

    def test_servers_refuse_wrong_arguments(self):
        for program in SERVERS:
            for arguments, reason in WRONG_FOR_SERVERS:
                self.expect_refusal(program, arguments, reason)

    def test_the_file_server_refuses_a_delay_that_is_none(self):
        for arguments, reason in WRONG_FOR_FILE_SERVER:
            self.expect_refusal("file_server", arguments, reason)

    def test_the_client_refuses_wrong_arguments(self):
        for arguments, reason in WRONG_FOR_CLIENT:
            self.expect_refusal("echo_client", arguments, reason)

    def test_help_names_every_option_and_exits_with_0(self):
        of_servers = ["--port P", "--host H", "--unix PATH", "--backend epoll|io_uring", "--idle-timeout S", "--max-conns N", "--help"]
        of_client = ["--host H", "--port P", "--unix PATH", "--message TEXT", "--count N", "--size B",
                     "--connections C", "--timeout S", "--backend epoll|io_uring", "--help"]
        for program, options in (("echo_server", of_servers), ("chat_server", of_servers),
                                 ("file_server", [*of_servers, "--root DIR", "--delay S"]), ("echo_client", of_client)):
            status, output, errors = programs.run(program, "--help")
            self.assertEqual((status, errors), (0, ""))
            self.assertTrue(output.startswith(f"usage: {program} "), output)
            for option in options:
                self.assertIn(f"  {option} ", output)

    def test_help_of_a_server_tells_what_signals_do_and_its_exit_statuses(self):
        for program in SERVERS:
            _, output, _ = programs.run(program, "--help")
            for word in ("SIGTERM", "SIGINT", "SIGUSR1", "STATS", "up to 5 s", "a second one", "Exit status: 0 ", "130"):
                self.assertIn(word, output)
            self.assertLessEqual(max(map(len, output.splitlines())), 120)

    def test_a_backend_can_be_asked_for_and_who_does_not_get_it_is_told(self):
        for backend in ("epoll", "io_uring"):
            with programs.Server("echo_server", "--backend", backend) as server:
                status, output, errors = programs.run("echo_client", "--port", str(server.port), "--backend", backend, "--")
                self.assertIn((status, errors), [(0, ""), (0, "echo_client: io_uring is not to be had here: running on epoll\n")])
                self.assertRegex(output, r"\AOK .*\n\Z")

    def test_output_that_cannot_be_written_is_a_failure_that_is_told(self):
        with programs.Server("echo_server") as server, open("/dev/full", "w") as full:
            run = subprocess.run([programs.path("echo_client"), "--port", str(server.port)], stdout=full,
                                 stderr=subprocess.PIPE, text=True, timeout=programs.PATIENCE, check=False)
        self.assertEqual((run.returncode, run.stderr), (1, "echo_client: cannot write to the standard output\n"))

    def test_a_place_where_a_server_cannot_listen_is_one_line_and_exit_6(self):
        with programs.Server("echo_server") as server:
            for program in SERVERS:
                status, output, errors = programs.run(program, "--port", str(server.port))
                self.assertEqual((status, output, errors.count("\n")), (6, "", 1), errors)
                self.assertIn("Address already in use", errors)


if __name__ == "__main__":
    programs.main()
