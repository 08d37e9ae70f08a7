# SPDX-License-Identifier: BSL-1.0
"""What the signal handler calls, by its machine code: nothing that POSIX does not allow there (signal-safety(7)).

usage: handler_calls_test.py LIBRARY

LIBRARY: libasyncio-core.a. The handler is followed through every function that the same object file defines, as an
unoptimised build has them, to the symbols outside."""

import re
import shutil
import subprocess
import sys
import unittest

LIBRARY = sys.argv[1]
ALLOWED = {"sigaction", "raise", "write", "__errno_location", "memset", "memcpy"}
# Ends the process when an assertion of the standard library fails; abort() is allowed, and nothing runs after it.
DYING = {"abort", "_ZSt21__glibcxx_assert_failPKciS0_S0_", "__stack_chk_fail", "_ZSt9terminatev", "__cxa_begin_catch",
         "__clang_call_terminate", "__gxx_personality_v0"}

# What the file has for data, by names of its own where the compiler does not speak of sections.
DATA = re.compile(r"asyncio6kernel12_GLOBAL__N_1\d+(table|untaken|arrivals)E$")

FUNCTION = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
RELOCATION = re.compile(r"^\s+[0-9a-f]+: R_\S+\s+([^\s+-]+)")
INDIRECT = re.compile(r"\s(?:call|jmp)\s+\*%|\s(?:blr|br)\s+x")
DIRECT = re.compile(r"\s(?:call|jmp|j[a-z]+|bl?|b\.[a-z]+)\s+[0-9a-f]+ <([^+>]+)(\+0x[0-9a-f]+)?>")


def functions_of(library):
    """{function: (symbols its code refers to, does it jump to where a register says)} of the handler's object file."""
    tool = shutil.which("objdump") or shutil.which("llvm-objdump-19")
    listing = subprocess.run([tool, "-dr", "--no-show-raw-insn", library], capture_output=True, text=True, check=True)
    objects = re.split(r"^\S+:\s+file format ", listing.stdout, flags=re.MULTILINE)
    found = {}
    for text in objects:
        functions, current, before = {}, None, ""
        for line in text.splitlines():
            if match := FUNCTION.match(line):
                current = functions.setdefault(match.group(1), (set(), []))
            elif current is None:
                continue
            elif match := RELOCATION.match(line):
                current[0].add(match.group(1).split("@")[0])
            elif INDIRECT.search(line) and not ("jmp" in line and "add " in before):  # that is a switch
                current[1].append(line.strip())
            elif (match := DIRECT.search(line)) and match.group(2) is None:
                current[0].add(match.group(1))
            before = line
        if any("on_signal" in name for name in functions):
            found = functions
    return found


def is_data(name):
    return name.startswith(".") or DATA.search(name) is not None


class HandlerCalls(unittest.TestCase):
    def test_only_what_a_handler_may_call(self):
        functions = functions_of(LIBRARY)
        handlers = [name for name in functions if "on_signal" in name and not name.endswith(".cold")]
        self.assertEqual(len(handlers), 1, "the handler of src/kernel/signals.cpp is called on_signal")
        called, left = set(), handlers
        seen = set(handlers)
        while left:
            symbols, indirect = functions[left.pop()]
            self.assertEqual(indirect, [], "calls that go who knows where")
            for name in symbols - seen:
                seen.add(name)
                if name in functions:
                    left.append(name)
                elif not is_data(name):
                    called.add(name)
        self.assertLessEqual(called, ALLOWED | DYING)
        self.assertIn("write", called)  # else the listing was not understood


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
