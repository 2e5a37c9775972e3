"""The programs that are measured: found, built where they are missing, and run."""

import argparse
import inspect
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import generate
from contenders import Contender
from places import MEMORY, Failed, Skip, last_line, must, scratch

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "target"
TOOLS = BUILD / "bench"

RUN_TIMEOUT = 900
"""Seconds, after which a command is taken to hang."""
QUICK = {"count": 20, "size": 16}
"""With --quick the trees have one in so many files, or bytes."""


class Bench:
    """The options, the programs that were found, and where scratch files go."""

    def __init__(self, args: argparse.Namespace, cleanup: ExitStack) -> None:
        self.quick: bool = args.quick
        self.cold: bool = args.cold
        self.rounds: int = args.n or (1 if args.quick else 5)
        self.programs: Path = args.bin.resolve()
        TOOLS.mkdir(parents=True, exist_ok=True)
        self.memory = cleanup.enter_context(scratch(args.work or MEMORY))
        self.disk = cleanup.enter_context(scratch(args.work or BUILD))
        self.missing: dict[str, str] = {}
        self.launcher = compile_c("launch")
        compile_c("limit")

    def generate(self, workload: str, target: Path, amount: int) -> None:
        """The tree, of its usual size if the amount is 0; a part of it with --quick."""
        if self.quick and workload == "toolchain":
            raise Skip("not with --quick")
        make = generate.WORKLOADS[workload]
        unit = next((unit for unit in ("size", "count") if unit in inspect.signature(make).parameters), "")
        if not unit:
            make(str(target))
            return
        amount = amount or inspect.signature(make).parameters[unit].default
        make(str(target), **{unit: amount // QUICK[unit] if self.quick else amount})

    def command(self, contender: Contender, source: Path, target: Path) -> list[str]:
        """The command with its program's full path; raises Skip where the program cannot be had."""
        program, *arguments = shlex.split(contender.command)
        if contender.needs and not shutil.which(contender.needs):
            raise Skip(f"{contender.needs} is not installed")
        places = {"source": str(source), "target": str(target)}
        if program == "sh":
            places = {end: shlex.quote(path) for end, path in places.items()}
        return [self.find(program, contender), *(argument.format(**places) for argument in arguments)]

    def find(self, program: str, contender: Contender) -> str:
        if program in self.missing:
            raise Skip(self.missing[program])
        try:
            if contender.ours or contender.built:
                path = self.programs / program
                if not path.exists():
                    raise Skip(f"{program} is missing: make bench builds it")
                return str(path)
            if contender.package:
                return str(compile_c(program, *flags_of(contender.package)))
            installed = TOOLS / "bin" / program
            if contender.crate and not installed.exists():
                print(f"(installing {contender.crate})", file=sys.stderr)
                must("cargo", "install", "--quiet", "--locked", "--root", str(TOOLS), contender.crate)
            found = str(installed) if installed.exists() else shutil.which(program)
            if not found:
                raise Skip(f"{program} is not installed")
            return found
        except (Skip, OSError, subprocess.CalledProcessError) as reason:
            self.missing[program] = str(reason)
            raise Skip(str(reason)) from None


def flags_of(package: str) -> list[str]:
    if not shutil.which("pkg-config"):
        raise Skip("pkg-config is not installed")
    answer = subprocess.run(["pkg-config", "--cflags", "--libs", package], capture_output=True, text=True)
    if answer.returncode:
        raise Skip(f"{package}'s development files are not installed")
    return answer.stdout.split()


def compile_c(name: str, *flags: str) -> Path:
    source, program = HERE / f"{name}.c", TOOLS / "bin" / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(exist_ok=True)
        command = ["cc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(program), str(source), *flags]
        subprocess.run(command, check=True)
    return program


@dataclass
class Run:
    seconds: float
    peak_kib: int
    written: int
    """Bytes that were handed to a device's file system; tmpfs counts none."""


def launch(bench: Bench, command: list[str], environment: dict[str, str]) -> Run:
    """Runs a command, or raises Failed."""
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [str(bench.launcher), report.name, *command],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            child.wait(RUN_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {RUN_TIMEOUT} s") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        seconds, peak, written, status = Path(report.name).read_text().split()
        if status != "0":
            errors.seek(0)
            raise Failed(f"exit status {status}: {last_line(errors.read())}")
        return Run(float(seconds), int(peak), int(written))
