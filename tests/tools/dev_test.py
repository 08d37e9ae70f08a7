#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""./dev as a person meets it: what it says about itself, and to somebody who mistypes."""
import re
import subprocess
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parent.parent.parent / "dev"


def dev(*arguments):
    return subprocess.run([DEV, *arguments], capture_output=True, text=True, check=False)


class Dev(unittest.TestCase):
    def assert_misuse(self, run, word):
        self.assertEqual(run.returncode, 2)
        self.assertEqual(run.stdout, "")
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertIn(word, run.stderr)

    def test_without_a_verb_and_when_asked_it_explains_itself(self):
        for arguments in ((), ("help",), ("--help",), ("-h",), ("test", "--help"), ("bench", "-h")):
            run = dev(*arguments)
            self.assertEqual(run.returncode, 0)
            self.assertTrue(run.stdout.startswith("Usage: ./dev VERB"))

    def test_help_names_every_verb(self):
        verbs = set(re.findall(r"^verb_(\w+)\(\)", DEV.read_text(), re.MULTILINE))
        self.assertIn("run", verbs)
        named = set(re.findall(r"^  ([a-z, -]+?)(?: \[| --| [a-z]+ \[|  )", dev("help").stdout, re.MULTILINE))
        words = {word for line in named for word in re.split(r"[ ,]+", line)}
        self.assertLessEqual({verb.replace("_", "-") for verb in verbs}, words)

    def test_an_unknown_verb_is_one_clear_line(self):
        self.assert_misuse(dev("tset"), "tset")

    def test_an_unknown_preset_is_one_clear_line(self):
        self.assert_misuse(dev("test", "--preset", "fast"), "fast")
        self.assert_misuse(dev("build", "fast"), "fast")
        self.assert_misuse(dev("test", "--preset"), "--preset")

    def test_an_option_that_no_verb_knows_is_one_clear_line(self):
        self.assert_misuse(dev("test", "-x"), "-x")
        self.assert_misuse(dev("asan", "--fast"), "--fast")
        self.assert_misuse(dev("oracle", "--often"), "--often")

    def test_an_unknown_group_of_packages_is_one_clear_line(self):
        self.assert_misuse(dev("install-deps", "games"), "games")

    def test_it_knows_the_presets_that_cmake_knows(self):
        presets = subprocess.run(["cmake", "--list-presets=build"], cwd=DEV.parent, capture_output=True, text=True,
                                 check=True).stdout
        said = re.search(r"^Presets: (.*)\.$", dev("help").stdout, re.MULTILINE).group(1)
        self.assertEqual(set(said.split()), set(re.findall(r'"([\w-]+)"', presets)))


if __name__ == "__main__":
    unittest.main()
