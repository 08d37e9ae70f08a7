# SPDX-License-Identifier: BSL-1.0
"""philosophers prints who waits for whom, and a deadlock with the chain of each task."""

import re
import unittest

import programs

WAITS_FOR_A_FORK = "in async {anonymous}::take_both()"
EVENING = """\
* Task(name='evening', id=1)
  + Call stack:
  |   in async asyncio::task_group()
  |   File 'philosophers.cpp', line N, in async {anonymous}::dine()
  |   File 'philosophers.cpp', line N, in async {anonymous}::evening()
"""
WATCHED = """\
* Task(name='Laozi', id=4)
  + Call stack:
%s\
  |   File 'philosophers.cpp', line N, in async {anonymous}::take_both()
  + Awaited by:
""" + "".join("    " + line + "\n" for line in EVENING.splitlines())
EATS = "  |   File 'philosophers.cpp', line N, in async {anonymous}::eat()\n"


def philosopher(name, number):
    return (f"* Task(name='{name}', id={number})\n  + Call stack:\n"
            f"  |   File 'philosophers.cpp', line N, {WAITS_FOR_A_FORK}\n"
            f"  + Awaited by: Task(name='evening', id=1)\n")


EXPECTED = (
    "With the lower fork first:\n" + WATCHED % EATS +
    "Laozi has eaten\nPlato has eaten\nHypatia has eaten\n"
    "\nWith the left fork first:\n" + WATCHED % "" +
    "\ndeadlock: nothing can wake a task; none is ready, no timer is armed, nothing is in flight\n" + EVENING +
    philosopher("Plato", 3) + philosopher("Laozi", 4) + philosopher("Hypatia", 5))


class Philosophers(unittest.TestCase):
    maxDiff = None

    def test_it_prints_the_chains_and_the_deadlock(self):
        status, out, err = programs.run("philosophers")
        out = re.sub(r"File '[^']*/philosophers\.cpp', line \d+", "File 'philosophers.cpp', line N", out)
        self.assertEqual(out, EXPECTED)
        self.assertEqual((status, err), (0, ""))


if __name__ == "__main__":
    programs.main()
