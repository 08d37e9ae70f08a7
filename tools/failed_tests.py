#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Says again, at the end of a long log, which tests failed and what they printed last.

    tools/failed_tests.py RESULTS…    RESULTS is what ctest --output-junit wrote
"""
import sys
import xml.etree.ElementTree as ElementTree

LINES = 40


def failed(results):
    """The name, the seconds and the output of each test that did not pass, in the order of the file."""
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        if case.find("failure") is not None:
            yield case.get("name"), float(case.get("time", "0")), case.findtext("system-out", "")


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    for results in sys.argv[1:]:
        for name, seconds, output in failed(results):
            lines = output.splitlines()
            print(f"---- {name} failed after {seconds:.1f} s; its last lines ({results}):")
            print("\n".join(lines[-LINES:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
