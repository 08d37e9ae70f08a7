# SPDX-License-Identifier: BSL-1.0
"""parallel_checksum reads many files at once and prints them in order; io_vs_cpu shows whom threads help."""

import os
import re
import tempfile
import unittest
import zlib
from pathlib import Path

import programs


class ParallelChecksum(unittest.TestCase):
    def test_it_prints_the_crc_of_every_file_in_the_order_of_the_arguments(self):
        with tempfile.TemporaryDirectory() as folder:
            contents = {f"file {i}": os.urandom(size) for i, size in enumerate([0, 1, 1 << 18, 3_000_000, 17, 262_145])}
            for name, content in contents.items():
                Path(folder, name).write_bytes(content)
            paths = [str(Path(folder, name)) for name in contents]
            expected = "".join(f"{zlib.crc32(contents[Path(p).name]):08x}  {p}\n" for p in paths)
            for threads in ("1", "3", "16"):
                self.assertEqual(programs.run("parallel_checksum", "--threads", threads, *paths), (0, expected, ""))

    def test_a_file_that_cannot_be_read_is_one_line_and_stops_no_other(self):
        with tempfile.TemporaryDirectory() as folder:
            good = Path(folder, "good")
            good.write_bytes(b"123456789")
            status, output, errors = programs.run("parallel_checksum", f"{folder}/none", str(good), folder)
            self.assertEqual((status, output), (1, f"cbf43926  {good}\n"))
            self.assertEqual(errors, f"parallel_checksum: {folder}/none: No such file or directory\n"
                                     f"parallel_checksum: {folder}: Is a directory\n")

    def test_wrong_arguments_are_one_clear_line(self):
        for arguments, reason in (([], "no FILE is given"),
                                  (["--threads", "0", "x"], "--threads: '0' is not a whole number from 1 to 1000"),
                                  (["--sum", "x"], "unknown option '--sum'")):
            status, output, errors = programs.run("parallel_checksum", *arguments)
            self.assertEqual((status, output, errors.count("\n")), (2, "", 1))
            self.assertIn(reason, errors)


class IoVsCpu(unittest.TestCase):
    def test_gather_and_threads_shorten_waiting(self):
        status, output, errors = programs.run("io_vs_cpu", "1")
        self.assertEqual((status, errors), (0, ""))
        times = [float(t) for t in re.findall(r"^  .* (\d+\.\d\d) s$", output, re.MULTILINE)]
        self.assertEqual(len(times), 6, output)
        one_after_another, gathered, in_threads = times[:3]
        self.assertGreaterEqual(one_after_another, 1.0)
        self.assertLess(gathered, one_after_another)
        self.assertLess(in_threads, one_after_another)

    def test_wrong_arguments_are_one_clear_line(self):
        for arguments in (["0"], ["4001"], ["many"], ["-1"], ["1.5"], [""], ["1", "2"]):
            status, output, errors = programs.run("io_vs_cpu", *arguments)
            self.assertEqual((status, output), (2, ""))
            self.assertEqual(errors, "io_vs_cpu: WORK is a whole number of million steps, from 1 to 4000\n")


if __name__ == "__main__":
    programs.main()
