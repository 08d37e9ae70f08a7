# SPDX-License-Identifier: BSL-1.0
"""Goes on in the newest CPython of this machine, since that is the one to be compared with. ASYNCIO_ORACLE_PYTHON names
another one.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys


def _candidates():
    for minor in range(15, 10, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    yield from map(str, root.glob("versions/3.*/bin/python3"))


def _version(python):
    said = subprocess.run([python, "--version"], capture_output=True, text=True)
    found = re.fullmatch(r"Python (\d+)\.(\d+)\.(\d+)\n", said.stdout)  # no preview
    return tuple(map(int, found.groups())) if found and said.returncode == 0 else (0, 0, 0)


def go_on_in_the_newest():
    chosen = os.environ.get("ASYNCIO_ORACLE_PYTHON")
    if chosen is None:
        newest = max(_candidates(), key=_version, default=sys.executable)
        chosen = newest if (3, 16) > _version(newest) > sys.version_info[:3] else sys.executable
    if chosen != sys.executable:
        sys.stdout.flush()
        os.execve(chosen, [chosen, "-B", *sys.argv], {**os.environ, "ASYNCIO_ORACLE_PYTHON": chosen})
