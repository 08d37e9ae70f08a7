# SPDX-License-Identifier: BSL-1.0
"""shell_pipeline and supervisor, which start other programs."""

import os
import re
import signal
import subprocess
import tempfile
import unittest

import programs


def has_ended(pid):
    """Is it gone, or a zombie that its new parent has not looked after?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class ShellPipeline(unittest.TestCase):
    def run_it(self, *arguments, stdin=""):
        return programs.run("shell_pipeline", *arguments, stdin=stdin)

    def test_bytes_pass_through_all_programs(self):
        status, out, err = self.run_it("--", "cat", "|", "tr", "a-z", "A-Z", "|", "sort", "-r", stdin="one\ntwo\nthree\n")
        self.assertEqual((status, out, err), (0, "TWO\nTHREE\nONE\n", ""))

    def test_a_single_program_needs_no_pipe(self):
        self.assertEqual(self.run_it("--", "cat", stdin="as it is"), (0, "as it is", ""))

    def test_much_passes_and_is_counted(self):
        status, out, err = self.run_it("--verbose", "--", "head", "-c", "50000000", "/dev/zero", "|", "wc", "-c")
        self.assertEqual((status, out.strip()), (0, "50000000"))
        self.assertIn("head: status 0, 50000000 bytes on\n", err)

    def test_who_has_read_enough_ends_who_writes(self):
        status, out, err = self.run_it("--verbose", "--", "cat", "/dev/zero", "|", "head", "-c", "10", "|", "wc", "-c")
        self.assertEqual((status, out.strip()), (0, "10"))
        self.assertIn(f"cat: status {-signal.SIGPIPE},", err)

    def test_the_status_is_the_last_programs(self):
        self.assertEqual(self.run_it("--", "sh", "-c", "exit 3", "|", "sh", "-c", "exit 4")[0], 4)
        self.assertEqual(self.run_it("--", "sh", "-c", "kill -9 $$")[0], 128 + 9)

    def test_a_program_that_is_not_there_is_told_by_name(self):
        self.assertEqual(self.run_it("--", "cat", "/dev/zero", "|", "no-such-program"),
                         (127, "", "shell_pipeline: cannot start 'no-such-program': No such file or directory\n"))

    def test_none_of_the_programs_outlives_it(self):
        pipeline = subprocess.Popen([programs.path("shell_pipeline"), "--", "sh", "-c", "echo $$; exec sleep 1000", "|", "cat"],
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(pipeline.stdout.close)
        self.addCleanup(pipeline.wait)
        self.addCleanup(pipeline.kill)
        sleeper = int(pipeline.stdout.readline())
        pipeline.send_signal(signal.SIGINT)
        self.assertEqual(pipeline.wait(programs.PATIENCE), 130)
        programs.eventually(lambda: has_ended(sleeper), "the end of sleep")

    def test_wrong_arguments(self):
        for arguments in ((), ("--", "cat", "|"), ("--", "|", "cat"), ("--", "a", "|", "|", "b")):
            status, out, err = self.run_it(*arguments)
            self.assertEqual((status, out), (2, ""), arguments)
            self.assertIn("a program is missing", err)


class Supervisor(unittest.TestCase):
    def setUp(self):
        self.log = tempfile.TemporaryFile()
        self.addCleanup(self.log.close)

    def start(self, *arguments):
        process = subprocess.Popen([programs.path("supervisor"), *arguments], stderr=self.log, stdout=self.log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def said(self):
        size = self.log.seek(0, os.SEEK_END)
        return os.pread(self.log.fileno(), size, 0).decode()

    def wait_until_it_says(self, pattern, times=1):
        programs.eventually(lambda: len(re.findall(pattern, self.said())) >= times, f"{pattern!r} in {self.said()!r}")

    def test_starts_again_what_has_ended_later_and_later(self):
        process = self.start("--first-delay", "0.02", "--longest-delay", "0.07", "--", "sh", "-c", "exit 3")
        self.wait_until_it_says("starts again", 4)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(programs.PATIENCE), 0)
        self.assertEqual(re.findall(r"\[0\] starts again in (.*) s", self.said())[:4], ["0.02", "0.04", "0.07", "0.07"])
        self.assertIn("[0] ended with 3\n", self.said())

    def test_gives_up_after_so_many_restarts(self):
        process = self.start("--first-delay", "0.01", "--most-restarts", "2", "--copies", "2", "--", "false")
        self.assertEqual(process.wait(programs.PATIENCE), 1)
        for copy in (0, 1):
            self.assertEqual(len(re.findall(rf"\[{copy}\] started, pid \d+", self.said())), 3)
            self.assertIn(f"[{copy}] given up\n", self.said())

    def test_a_program_that_cannot_be_started_is_tried_again(self):
        process = self.start("--first-delay", "0.01", "--most-restarts", "1", "--", "no-such-program")
        self.assertEqual(process.wait(programs.PATIENCE), 1)
        self.assertEqual(self.said().count("[0] cannot start 'no-such-program': No such file or directory\n"), 2)

    def test_a_child_that_is_killed_is_started_again(self):
        process = self.start("--first-delay", "0.01", "--", "sleep", "1000")
        self.wait_until_it_says(r"started, pid \d+")
        os.kill(int(re.search(r"pid (\d+)", self.said())[1]), signal.SIGKILL)
        self.wait_until_it_says(r"started, pid \d+", 2)
        self.assertIn("[0] ended by signal 9\n", self.said())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(programs.PATIENCE), 0)

    def test_passes_signals_on(self):
        script = "trap 'echo hung up' HUP; trap 'echo used' USR1; echo ready; while :; do sleep 0.02; done"
        process = self.start("--copies", "2", "--", "sh", "-c", script)
        self.wait_until_it_says("ready\n", 2)
        process.send_signal(signal.SIGHUP)
        self.wait_until_it_says("hung up\n", 2)
        process.send_signal(signal.SIGUSR1)
        self.wait_until_it_says("used\n", 2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(programs.PATIENCE), 0)
        self.assertEqual(self.said().count("ended by signal 15"), 2)

    def test_ends_what_a_child_has_left_behind(self):
        process = self.start("--", "sh", "-c", "sleep 1000 & echo left $!; wait")
        self.wait_until_it_says(r"left \d+")
        left = int(re.search(r"left (\d+)", self.said())[1])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(programs.PATIENCE), 0)
        programs.eventually(lambda: has_ended(left), "the end of sleep")

    def test_kills_who_does_not_end_within_the_grace(self):
        for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
            with self.subTest(number):
                self.setUp()
                script = "trap '' TERM; echo ready; while :; do sleep 0.02; done"
                process = self.start("--grace", "0.1", "--", "sh", "-c", script)
                self.wait_until_it_says("ready\n")
                self.wait_until_it_says(r"pid \d+")
                pid = int(re.search(r"pid (\d+)", self.said())[1])
                process.send_signal(number)
                self.assertEqual(process.wait(programs.PATIENCE), status)
                self.assertIn("1 do not end in time: killed\n[0] ended by signal 9\n", self.said())
                self.assertFalse(os.path.exists(f"/proc/{pid}"), "reaped")


if __name__ == "__main__":
    programs.main()
