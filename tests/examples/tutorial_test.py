# SPDX-License-Identifier: BSL-1.0
"""Each program of examples/tutorial prints the lines of its Python original, at the same times, and ends when it ends.

usage: tutorial_test.py FOLDER_OF_THE_PROGRAMS FOLDER_OF_THE_SOURCES

Both write to a terminal of their own, so that lines come out as a person sees them. Times count from the first line of
a program: how long an interpreter takes to start is not the subject. One starts at a time, then all of them sleep."""

import glob
import os
import select
import subprocess
import sys
import threading
import time
import tty
import unittest

import programs

SOURCES = sys.argv[2]
TOTAL_TOLERANCE = 0.5
LINE_TOLERANCE = 0.4
TOTALS = {"sync_6s": 6.0, "async_3s": 3.0}
LONGEST = ("sync_6s", "t307b_free_time", "t308_value", "t310_gather_in_task")

starting = threading.Lock()


def stems(suffix):
    return {os.path.splitext(os.path.basename(f))[0] for f in glob.glob(os.path.join(SOURCES, "*" + suffix))}


class Run(threading.Thread):
    """One program on a terminal: its lines, each with the seconds since the first, and the seconds to its end."""

    def __init__(self, *command):
        super().__init__(daemon=True)
        self.command = command
        self.lines, self.times = [], []
        self.total = self.status = None

    def run(self):
        terminal, other_side = os.openpty()
        tty.setraw(other_side)
        with starting:
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=other_side, stderr=other_side)
            os.close(other_side)
            end = time.monotonic() + programs.PATIENCE
            chunk = self.read(terminal, end)
        try:
            first = time.monotonic()
            rest = b""
            while chunk:
                *whole, rest = (rest + chunk).split(b"\n")
                self.lines += [line.decode(errors="replace") for line in whole]
                self.times += [time.monotonic() - first] * len(whole)
                chunk = self.read(terminal, end)
            self.status = process.wait(max(0.1, end - time.monotonic()))
            self.total = time.monotonic() - first
            if rest:
                self.lines.append(rest.decode(errors="replace") + " (without an end of line)")
        finally:
            process.kill()
            process.wait()
            os.close(terminal)

    @staticmethod
    def read(terminal, end):
        try:
            ready = select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]
            return os.read(terminal, 1 << 16) if ready else b""
        except OSError:  # EIO: the program, the last that had this terminal open, has ended
            return b""


class Tutorial(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.runs = {}
        for name in sorted(stems(".py"), key=lambda name: (name not in LONGEST, name)):
            ours = Run(programs.path(name))
            original = Run(sys.executable, os.path.join(SOURCES, name + ".py"))
            cls.runs[name] = ours, original
            ours.start()
            original.start()
        for ours, original in cls.runs.values():
            ours.join()
            original.join()

    def test_every_program_stands_beside_its_original(self):
        self.assertEqual(stems(".cpp"), stems(".py"))
        self.assertGreaterEqual(len(self.runs), 17)

    def compare(self, name):
        ours, original = self.runs[name]
        self.assertEqual(original.status, 0)
        self.assertEqual(ours.status, 0)
        self.assertEqual(ours.lines, original.lines)
        for line, time_of_ours, time_of_original in zip(ours.lines, ours.times, original.times):
            self.assertAlmostEqual(time_of_ours, time_of_original, delta=LINE_TOLERANCE, msg=f"the time of {line!r}")
        self.assertAlmostEqual(ours.total, original.total, delta=TOTAL_TOLERANCE, msg="the time to the end")
        if name in TOTALS:
            self.assertAlmostEqual(ours.total, TOTALS[name], delta=TOTAL_TOLERANCE)
        print(f"{ours.total:.2f} s, original {original.total:.2f} s ... ", end="", file=sys.stderr)


for stem in sorted(stems(".py")):
    setattr(Tutorial, f"test_{stem}", lambda self, name=stem: self.compare(name))

if __name__ == "__main__":
    programs.main()
