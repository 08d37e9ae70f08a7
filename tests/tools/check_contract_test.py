#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""tools/check_contract.py against small trees."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import check_contract  # noqa: E402

HEAD = "| | statement | state | why, where | tests |\n|---|---|---|---|---|\n"
GOOD_ROWS = {
    1: "| S1 | in order | `held` | | `Loop.in_order`, `oracle/in_order` |",
    2: "| S2 | by type | `not applicable` | no types at run time | |",
    3: "| S3 | timers | `differs on purpose` | stable: [Order and time](from-python.md#order-and-time) | `Loop.timers` |",
    4: "| S4 | pools | `not here yet` | executors | |",
}
DIFFERENCES = """# From Python

```python
# Order and time
```

### Order and time

| CPython | here | why | test |
|---|---|---|---|
| Any order. | In order. | Stable. | `Loop.timers` |

### Other things

| CPython | here | why | test |
|---|---|---|---|
| No. | Yes. | Why not. | `Loop.in_order` |

## Not here yet

TLS, `to_thread` and
executors.
"""
TREE = {
    "docs/from-python.md": DIFFERENCES,
    "tests/CMakeLists.txt": "add_test(NAME canary COMMAND x)\nasyncio_source_test(check_rooms y)\n"
                            "add_test(NAME ${name} COMMAND z)\n",
    "tests/spec/loop_test.cpp": "TEST(Loop, in_order) {\n}\nTEST_F(Loop,\n       timers) {}\n// TEST(Loop, planned)\n"
                                "TEST_P(Every, one) {}\nTYPED_TEST(Kind, of) {}\n",
    "tests/oracle/scenarios.py": "async def in_order(log):\n    pass\n\nasync def helper(x):\n    pass\n",
    "tests/reject/expect.txt": "# a list\nr01_wrong.cpp | both | no\n",
}


class CheckContract(unittest.TestCase):
    def setUp(self):
        self.ranges, check_contract.RANGES = check_contract.RANGES, [(1, 4)]

    def tearDown(self):
        check_contract.RANGES = self.ranges

    def complaints(self, changed=None, **tree):
        """Of the good tree, with rows by number, and files, replaced."""
        rows = {**GOOD_ROWS, **(changed or {})}
        files = {**TREE, "docs/contract.md": HEAD + "\n".join(row for row in rows.values() if row) + "\n"}
        files.update({name.replace("__", "/"): text for name, text in tree.items()})
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).write_text(text)
            return check_contract.check(folder)

    def expect(self, number, row, *sentences):
        found = self.complaints({number: row})
        self.assertEqual(len(found), len(sentences), found)
        for complaint, sentence in zip(found, sentences):
            self.assertIn(sentence, complaint)

    def test_a_table_without_a_fault_is_accepted(self):
        self.assertEqual(self.complaints(), [])

    def test_every_statement_stands_there_once(self):
        self.expect(2, None, "S2 is missing")
        self.expect(5, GOOD_ROWS[1], "S1 stands in line 3 already")
        self.expect(5, "| S5 | more | `held` | | `Loop.timers` |", "S5 is none of the statements")

    def test_what_is_held_or_differs_names_tests_that_exist(self):
        self.expect(1, "| S1 | in order | `held` | | |", "S1 is held, and names no test")
        self.expect(1, "| S1 | x | `held` | | `Loop.in_orders` |", "there is no test Loop.in_orders")
        self.expect(1, "| S1 | x | `held` | | `Loop.planned` |", "there is no test Loop.planned")
        self.expect(1, "| S1 | x | `held` | | `oracle/helper` |", "there is no test oracle/helper")
        self.expect(3, "| S3 | x | `differs on purpose` | (from-python.md#order-and-time) | |",
                    "names no test", "no row of docs/from-python.md#order-and-time names one of its tests")

    def test_tests_of_every_kind_are_known(self):
        for name in ("Loop.timers", "Every.one", "Kind.of", "canary", "check_rooms", "reject.r01_wrong", "oracle/in_order"):
            self.expect(1, f"| S1 | x | `held` | | `{name}` |")

    def test_a_difference_is_explained_where_the_row_says(self):
        self.expect(3, "| S3 | x | `differs on purpose` | stable | `Loop.timers` |", "does not say where")
        self.expect(3, "| S3 | x | `differs on purpose` | (from-python.md#elsewhere) | `Loop.timers` |",
                    "has no section #elsewhere")
        self.expect(3, "| S3 | x | `differs on purpose` | (from-python.md#other-things) | `Loop.timers` |",
                    "no row of docs/from-python.md#other-things names one of its tests")

    def test_what_is_missing_has_its_reason(self):
        self.expect(2, "| S2 | x | `not applicable` | | |", "does not say why")
        self.expect(4, "| S4 | x | `not here yet` | subprocesses | |", "'subprocesses' is not in the section")
        self.expect(4, "| S4 | x | `not here yet` | | |", "'' is not in the section")
        self.expect(4, "| S4 | x | `not here yet` | `to_thread` and executors | |")

    def test_rows_have_five_cells_and_a_state(self):
        self.expect(1, "| S1 | x | `held` | `Loop.timers` |", "five cells, this one 4")
        self.expect(1, "| S1 | x | `kept` | | `Loop.timers` |", "'kept' is no state")

    def test_tests_that_the_list_of_differences_names_exist(self):
        found = self.complaints(**{"docs__from-python.md": DIFFERENCES.replace("`Loop.in_order`", "`Loop.gone`")})
        self.assertEqual(len(found), 1)
        self.assertIn("there is no test Loop.gone", found[0])

    def test_both_documents_are_needed(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(len(check_contract.check(folder)), 2)


if __name__ == "__main__":
    unittest.main()
