#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The lint flags every bad snippet, each at its line and by its rule, and no good one."""
import re
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools" / "lint"))
import lint  # noqa: E402

CLANG_QUERY = "clang-query-19"


def announced(file):
    """{(line, rule)} of the `// lint: G1 G2` marks in a snippet."""
    marks = set()
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if match := re.search(r"// lint: ([G0-9 ]+)$", line):
            marks |= {(number, rule) for rule in match.group(1).split()}
    return marks


def found(file):
    findings = lint.query(CLANG_QUERY, [file], ["-std=c++20"])
    return {(line, rule) if path.endswith("/" + file.name) else (path, line, rule)
            for path, line, _, rule, _ in findings}


class Lint(unittest.TestCase):
    def test_every_bad_snippet_is_flagged_at_its_line_and_by_its_rule(self):
        bad = HERE / "bad.cpp"
        self.assertEqual(found(bad), announced(bad))

    def test_every_rule_has_a_bad_snippet(self):
        self.assertEqual({rule for _, rule in announced(HERE / "bad.cpp")}, set(lint.SENTENCES))

    def test_no_good_snippet_is_flagged(self):
        self.assertEqual(found(HERE / "good.cpp"), set())

    def test_a_file_that_does_not_parse_is_a_finding(self):
        with tempfile.TemporaryDirectory() as folder:
            broken = Path(folder) / "broken.cpp"
            broken.write_text("int main() { return missing; }\n")
            findings = lint.query(CLANG_QUERY, [broken], ["-std=c++20"])
        self.assertEqual({rule for _, _, _, rule, _ in findings}, {"parse"})

    def test_programs_with_the_same_names_are_read_together(self):
        condition = "int main() { return 0; }\nsome f() { if (co_await some{}) {} }\n"
        with tempfile.TemporaryDirectory() as folder:
            header = Path(folder) / "some.hpp"
            header.write_text("#pragma once\n#include <coroutine>\n"
                              "struct some { struct promise_type { some get_return_object(); std::suspend_never initial_suspend();"
                              " std::suspend_never final_suspend() noexcept; void return_void(); void unhandled_exception(); };"
                              " bool await_ready(); bool await_resume(); void await_suspend(std::coroutine_handle<>); };\n")
            files = [Path(folder) / f"{name}.cpp" for name in ("one", "other")]
            for file in files:
                file.write_text('#include "some.hpp"\n' + condition)
            findings = lint.query(CLANG_QUERY, files, ["-std=c++20"])
        self.assertEqual({(Path(path).name, line, rule) for path, line, _, rule, _ in findings},
                         {("one.cpp", 3, "G3"), ("other.cpp", 3, "G3")})

    def test_what_has_no_coroutine_is_read_for_its_headers_alone(self):
        build = HERE.parent.parent / "build"
        build.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=build) as folder:
            header, without, other = (Path(folder).resolve() / name for name in ("some.hpp", "without.cpp", "other.cpp"))
            header.write_text("// co_await\n")
            without.write_text('#include "some.hpp"\n')
            other.write_text("int answer();\n")
            chosen = [file for file, _, _ in lint.with_coroutines([without, other], {})]
            self.assertEqual(chosen, [without])
            own = Path(folder).resolve() / "own.cpp"
            own.write_text('#include "some.hpp"\n// co_return\n')
            chosen = [file for file, _, _ in lint.with_coroutines([without, other, own], {})]
            self.assertEqual(chosen, [own])

    def test_what_was_clean_is_read_again_only_when_it_has_changed(self):
        build = HERE.parent.parent / "build"
        build.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=build) as folder:
            header, source, clean = (Path(folder) / name for name in ("some.hpp", "some.cpp", "clean"))
            source.write_text('#include "some.hpp"\n#include <coroutine>\n')
            header.write_text("// no co_await here\n")
            calls = Path(folder) / "calls"
            counter = Path(folder) / "counter"
            counter.write_text(f"#!/bin/sh\necho >>{calls}\n")
            counter.chmod(0o755)

            def reads():
                calls.write_text("")
                self.assertEqual(lint.lint(str(counter), [source], {source: ["-std=c++20"]}, 1, clean), [])
                return calls.read_text().count("\n")

            self.assertEqual([reads(), reads()], [1, 0])
            header.write_text("// nor co_await there\n")
            self.assertEqual([reads(), reads()], [1, 0])
            header.write_text("// nothing to see\n")
            self.assertEqual(reads(), 0)

    def test_of_a_command_line_only_what_parsing_needs_is_kept(self):
        line = ["g++", "-DA=1", "-I", "/x", "-I/y", "-isystem", "/z", "-O2", "-fsanitize=address", "-Werror",
                "-std=c++20", "-include", "/b/cmake_pch.hxx", "-o", "a.o", "-c", "a.cpp"]
        self.assertEqual(lint.kept(line), ["-DA=1", "-I", "/x", "-I/y", "-isystem", "/z", "-std=c++20"])

    def test_what_clang_is_told_of_precompiled_headers_is_dropped_whole(self):
        line = ["clang++", "-DA=1", "-Winvalid-pch", "-Xclang", "-include-pch", "-Xclang", "/b/cmake_pch.hxx.pch",
                "-Xclang", "-include", "-Xclang", "/b/cmake_pch.hxx", "-I/y", "-Xclang", "-fno-pch-timestamp", "-std=c++20"]
        self.assertEqual(lint.kept(line), ["-DA=1", "-I/y", "-std=c++20"])

    def test_an_error_without_a_place_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "plain.cpp"
            file.write_text("int main() {}\n")
            findings = lint.query(CLANG_QUERY, [file], ["-std=c++20", "-include", "nowhere.hpp"])
        self.assertIn("nowhere.hpp", "".join(str(finding) for finding in findings))

    def test_markdown_code_is_searched_for_conditions(self):
        self.assertTrue(lint.MARKDOWN_CONDITION.search("if (co_await f()) g();"))
        self.assertTrue(lint.MARKDOWN_CONDITION.search("while (!co_await f())"))
        self.assertFalse(lint.MARKDOWN_CONDITION.search("if (auto v = co_await f(); v) g();"))
        self.assertFalse(lint.MARKDOWN_CONDITION.search("while (auto x = co_await it.next())"))


if __name__ == "__main__":
    unittest.main()
