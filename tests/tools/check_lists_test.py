#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""tools/check_lists.py against small trees."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import check_lists  # noqa: E402


class CheckLists(unittest.TestCase):
    def forgotten(self, tree):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            for name, text in tree.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return list(check_lists.forgotten(root))

    def test_a_file_that_its_folder_or_one_above_lists_is_not_forgotten(self):
        self.assertEqual(self.forgotten({
            "src/CMakeLists.txt": "set(s base/clock.cpp)",
            "src/base/clock.cpp": "",
            "tests/CMakeLists.txt": "add_subdirectory(spec)",
            "tests/spec/CMakeLists.txt": "foreach(topic IN ITEMS future task)",
            "tests/spec/future_test.cpp": "",
            "tests/spec/task_test.cpp": "",
            "examples/echo.cmake": "asyncio_program(echo echo.cpp)",
            "examples/echo.cpp": "",
        }), [])

    def test_sources_and_tests_that_no_list_names_are_found(self):
        self.assertEqual(self.forgotten({
            "src/CMakeLists.txt": "set(s base/clock.cpp)",
            "src/base/clock.cpp": "",
            "src/base/clocks.cpp": "",
            "tests/CMakeLists.txt": "",
            "tests/tools/some_test.py": "",
            "tests/io/socket_test.cpp": "",
        }), ["src/base/clocks.cpp", "tests/io/socket_test.cpp", "tests/tools/some_test.py"])

    def test_a_folder_that_no_list_adds_is_found(self):
        self.assertEqual(self.forgotten({
            "tests/CMakeLists.txt": "foreach(folder IN ITEMS io) add_subdirectory(${folder}) endforeach()",
            "tests/io/CMakeLists.txt": "asyncio_add_test(x SOURCES socket_test.cpp)",
            "tests/io/socket_test.cpp": "",
            "tests/base/CMakeLists.txt": "asyncio_add_test(x SOURCES time_test.cpp)",
            "tests/base/time_test.cpp": "",
        }), ["tests/base/CMakeLists.txt"])

    def test_a_list_in_another_folder_does_not_count(self):
        self.assertEqual(self.forgotten({
            "tests/CMakeLists.txt": "add_subdirectory(io)",
            "tests/io/CMakeLists.txt": "asyncio_add_test(x SOURCES socket_test.cpp)",
            "tests/kernel/socket_test.cpp": "",
        }), ["tests/kernel/socket_test.cpp"])


if __name__ == "__main__":
    unittest.main()
