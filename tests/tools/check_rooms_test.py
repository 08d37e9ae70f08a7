#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""tools/check_rooms.py against small trees, right ones and wrong ones."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import check_rooms  # noqa: E402

TABLE = """
| room | what it is for | may include | forbidden |
|---|---|---|---|
| `public` | the face | | `<iostream>` `<functional>` |
| `base` | words | | `<coroutine>` |
| `kernel` | calls | `base` `OS` `<linux/io_uring.h>` | `<coroutine>` |
| `loop` | order | `base` `kernel` `<pthread.h>` | `<coroutine>` |
| `coro` | faces | `base` `kernel` `loop` | |
| `tls` | handshakes | `coro` `<openssl/>` | |
"""
TREE = {
    "include/asyncio/time.hpp": "#include <chrono>\n",
    "include/asyncio/coroutine.hpp": "#include <asyncio/time.hpp>\n\n#include <coroutine>\n",
    "include/asyncio/task.hpp": "#include <asyncio/coroutine.hpp>\n",
    "src/base/word.hpp": "#include <asyncio/time.hpp>\n#include <string.h>\n",
    "src/kernel/kernel.hpp": '#include "base/word.hpp"\n\n#include <sys/epoll.h>\n#include <linux/io_uring.h>\n',
    "src/loop/loop.hpp": '#include "kernel/kernel.hpp"\n#include "base/word.hpp"\n#include <pthread.h>\n',
    "src/coro/task.cpp": '#include <asyncio/task.hpp>\n#include "loop/loop.hpp"\n#include <coroutine>\n',
    "src/tls/tls.cpp": '#include "coro/task.hpp"\n#include <openssl/ssl.h>\n',
    "src/coro/task.hpp": "#include <asyncio/task.hpp>\n",
    "examples/hello.cpp": '#include <asyncio/task.hpp>\n#include <unistd.h>\n#include <openssl/evp.h>\n#include <iostream>\n',
}


class CheckRooms(unittest.TestCase):
    def complaints(self, changes=None, table=TABLE):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {**TREE, **(changes or {})}.items():
                if text is None:
                    continue
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            if table is not None:
                (root / "ARCHITECTURE.md").write_text(table)
            return check_rooms.check(root)

    def assert_one(self, complaints, *words):
        self.assertEqual(len(complaints), 1, complaints)
        for word in words:
            self.assertIn(word, complaints[0])

    def test_a_tree_that_keeps_the_table_has_no_complaints(self):
        self.assertEqual(self.complaints(), [])

    def test_an_arrow_upwards(self):
        self.assert_one(self.complaints({"src/base/up.cpp": '#include "kernel/kernel.hpp"\n'}),
                        "src/base/up.cpp:1", "base may not include kernel")

    def test_an_arrow_that_the_table_does_not_name_though_it_points_down(self):
        self.assert_one(self.complaints({"src/tls/down.cpp": '\n#include "kernel/kernel.hpp"\n'}),
                        "src/tls/down.cpp:2", "tls may not include kernel")

    def test_coroutines_below_coro(self):
        self.assert_one(self.complaints({"src/loop/bad.cpp": "#include <coroutine>\n"}),
                        "<coroutine> is forbidden in loop")

    def test_coroutines_below_coro_through_public_headers(self):
        self.assert_one(self.complaints({"src/loop/bad.cpp": "#include <asyncio/task.hpp>\n"}),
                        "src/loop/bad.cpp:1", "task.hpp -> include/asyncio/coroutine.hpp")

    def test_the_operating_system_outside_kernel(self):
        for header in ("sys/socket.h", "unistd.h", "netinet/in.h", "linux/io_uring.h", "poll.h"):
            self.assert_one(self.complaints({"src/coro/bad.cpp": f"#include <{header}>\n"}),
                            f"coro may not include <{header}>")

    def test_an_os_header_that_the_table_allows_by_name_brings_no_other(self):
        self.assert_one(self.complaints({"src/loop/bad.cpp": "#include <pthread.h>\n#include <unistd.h>\n"}),
                        "src/loop/bad.cpp:2", "<unistd.h>")

    def test_libraries_outside_their_rooms(self):
        for header in ("openssl/ssl.h", "curl/curl.h", "liburing.h", "Python.h"):
            self.assert_one(self.complaints({"src/kernel/bad.cpp": f"#include <{header}>\n"}), header)

    def test_a_public_header_that_includes_a_room(self):
        self.assert_one(self.complaints({"include/asyncio/bad.hpp": '#include "base/word.hpp"\n'}),
                        "public may not include base")

    def test_a_public_header_that_includes_the_operating_system(self):
        self.assert_one(self.complaints({"include/asyncio/bad.hpp": "#include <sys/socket.h>\n"}),
                        "public may not include <sys/socket.h>")

    def test_a_standard_header_that_is_too_dear_for_the_public_face(self):
        self.assert_one(self.complaints({"include/asyncio/bad.hpp": "#include <iostream>\n"}),
                        "<iostream> is forbidden in public")

    def test_what_is_forbidden_to_the_public_face_is_not_forbidden_to_rooms(self):
        self.assertEqual(self.complaints({"src/base/ok.cpp": "#include <functional>\n"}), [])

    def test_an_example_that_reaches_into_a_room(self):
        self.assert_one(self.complaints({"examples/bad.cpp": '#include "base/word.hpp"\n'}),
                        "examples may not include base")

    def test_a_room_that_the_table_does_not_know(self):
        self.assert_one(self.complaints({"src/attic/x.cpp": "\n"}), "src/attic", "not in the table")

    def test_a_room_of_the_table_without_files(self):
        self.assert_one(self.complaints(table=TABLE + "| `ghost` | nothing | | |\n"), "ghost has no files")

    def test_a_row_that_allows_a_room_that_does_not_exist(self):
        table = TABLE.replace("`base` `kernel` `loop` |", "`base` `kernel` `loop` `moon` |")
        self.assert_one(self.complaints(table=table), "coro may include moon, which is no room")

    def test_a_cycle_in_the_table(self):
        complaints = self.complaints(table=TABLE.replace("| words | |", "| words | `loop` |"))
        self.assert_one(complaints, "cycle", "base -> loop")

    def test_a_cycle_of_files(self):
        changes = {"src/base/a.hpp": '#include "base/b.hpp"\n', "src/base/b.hpp": '#include "base/a.hpp"\n'}
        self.assert_one(self.complaints(changes), "src/base/a.hpp -> src/base/b.hpp -> src/base/a.hpp")

    def test_an_include_that_names_no_file(self):
        self.assert_one(self.complaints({"src/base/x.cpp": '#include "base/none.hpp"\n'}), "no file of this project")
        self.assert_one(self.complaints({"src/base/x.cpp": "#include <asyncio/none.hpp>\n"}), "no file of this project")

    def test_a_document_without_a_table(self):
        self.assertIn("there is no room table", self.complaints(table="# The house\n")[0])
        self.assertEqual(self.complaints(table=None), ["ARCHITECTURE.md is missing"])

    def test_a_row_with_too_few_cells(self):
        complaints = self.complaints(table=TABLE + "| `attic` | dust |\n")
        self.assert_one(complaints, "four cells")


if __name__ == "__main__":
    unittest.main()
