#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Installs the library, moves it, and uses it as a stranger would. Steps, each a test of its own:

    install       cmake --install, then the prefix is renamed: what is installed must not remember where it was
    headers       every header of include/ is installed, and no other
    find_package  a project outside the tree finds the package, builds the ten-line program and runs it
    programs      the same project builds the programs of tests/programs
    pkg_config    the ten-line program, and one with TLS, built with what pkg-config says

    run.py STEP --build DIR --compiler CXX [--flags FLAGS] [--launcher LAUNCHER]
"""
import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ANSWER = "42\n"


class Step:
    def __init__(self, arguments):
        self.build = Path(arguments.build).resolve()
        self.compiler = arguments.compiler
        self.flags = arguments.flags
        self.launcher = arguments.launcher
        self.prefix = self.build / "installed"
        self.outside = self.build / "outside"

    def call(self, *command, **options):
        print("+ " + shlex.join(map(str, command)), flush=True)
        subprocess.run(list(map(str, command)), check=True, **options)

    def expect_answer(self, program):
        # The prefix is no place where the system looks for shared libraries.
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.library_folder())}
        run = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60, env=environment)
        if run.stdout != ANSWER:
            sys.exit(f"{program} printed {run.stdout!r}, not {ANSWER!r}")

    def library_folder(self):
        found = sorted(self.prefix.rglob("asyncio-cpp.pc"))
        if len(found) != 1:
            sys.exit(f"{len(found)} files asyncio-cpp.pc below {self.prefix}")
        return found[0].parent.parent

    def install(self):
        first = self.build / "installed-first"
        for folder in (first, self.prefix):
            shutil.rmtree(folder, ignore_errors=True)
        self.call("cmake", "--install", self.build, "--prefix", first, stdout=subprocess.DEVNULL)
        first.rename(self.prefix)

    def headers(self):
        def below(folder):
            return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}

        wanted, installed = below(ROOT / "include"), below(self.prefix / "include")
        if not list(self.prefix.rglob("asyncio-cpp-curl.pc")):
            wanted.discard("asyncio/curl.hpp")
        for name in sorted(wanted - installed):
            print(f"include/{name} is not installed: src/CMakeLists.txt does not list it")
        for name in sorted(installed - wanted):
            print(f"{name} is installed, and is no public header")
        if wanted != installed:
            sys.exit(1)

    def configure(self):
        self.outside.mkdir(exist_ok=True)
        shutil.copytree(HERE / "outside", self.outside / "source", dirs_exist_ok=True)
        shutil.copytree(ROOT / "tests" / "programs", self.outside / "source" / "programs", dirs_exist_ok=True)
        definitions = [f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={self.compiler}",
                       f"-DCMAKE_CXX_FLAGS={self.flags} -Wall -Wextra -Werror",
                       f"-DCMAKE_CXX_COMPILER_LAUNCHER={self.launcher}"]
        self.call("cmake", "-G", "Ninja", "-S", self.outside / "source", "-B", self.outside / "build", *definitions,
                  stdout=subprocess.DEVNULL)

    def find_package(self):
        self.configure()
        self.call("cmake", "--build", self.outside / "build", "--target", "hello")
        self.expect_answer(self.outside / "build" / "hello")

    def programs(self):
        self.call("cmake", "--build", self.outside / "build", "-j", "2")

    def pkg_config(self):
        self.outside.mkdir(exist_ok=True)
        self.expect_answer(self.build_by_pkg_config("asyncio-cpp", HERE / "outside" / "hello.cpp"))
        if (self.library_folder() / "pkgconfig" / "asyncio-cpp-tls.pc").exists():
            self.build_by_pkg_config("asyncio-cpp-tls", ROOT / "tests" / "programs" / "26_tls.cpp")

    def build_by_pkg_config(self, package, source):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.library_folder() / "pkgconfig")}
        said = subprocess.run(["pkg-config", "--cflags", "--libs", package], env=environment, capture_output=True,
                              text=True, check=True).stdout
        program = self.outside / f"{package}-by-pkg-config"
        self.call(self.compiler, "-std=c++20", *shlex.split(self.flags), source, "-o", program, *shlex.split(said))
        return program


def main():
    steps = ["install", "headers", "find_package", "programs", "pkg_config"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=steps)
    parser.add_argument("--build", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--flags", default="")
    parser.add_argument("--launcher", default="")
    arguments = parser.parse_args()
    try:
        getattr(Step(arguments), arguments.step)()
    except subprocess.CalledProcessError as error:
        sys.exit(f"failed with status {error.returncode}: {shlex.join(map(str, error.cmd))}\n{error.stderr or ''}")


if __name__ == "__main__":
    main()
